"""Which generations an archive is to forget."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from orstats.errors import ConfigError
from orstats.ids.id_shapes import clean_id, id_created_at, joined_ids

Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Criteria:
    """Which generations to delete: those that meet all given criteria."""

    ids: Sequence[str] | None = None
    users: Sequence[str] | None = None
    models: Sequence[str] | None = None
    after: datetime | None = None
    before: datetime | None = None

    @classmethod
    def of(
        cls,
        *,
        ids: str | Iterable[str] | None,
        user: str | Iterable[str] | None,
        model: str | Iterable[str] | None,
        before: datetime | date | str | None,
        after: datetime | date | str | None,
    ) -> Criteria:
        """Validate the arguments of :meth:`orstats.Archive.forget`."""
        if isinstance(ids, str):
            ids = joined_ids(ids) or [ids]
        cleaned = None if ids is None else [clean_id(one) for one in _texts(ids) or ()]
        return cls(cleaned, _texts(user), _texts(model), _moment("after", after), _moment("before", before))

    @property
    def need_records(self) -> bool:
        """Whether they need records: stored contents have neither user nor model."""
        return self.users is not None or self.models is not None

    def meet(self, table: pa.Table) -> Mask:
        """Return for each row whether it meets all of them."""
        met = np.ones(table.num_rows, dtype=bool)
        for name, values in (("id", self.ids), ("external_user", self.users), ("model", self.models)):
            if values is not None:
                met &= pc.is_in(table[name], pa.array(values, pa.string())).to_numpy()
        if self.after is None and self.before is None:
            return met
        created = _created(table)
        if self.after is not None:
            met &= created >= _microseconds(self.after)  # a missing time is NaN, which meets nothing
        if self.before is not None:
            fetched = table["fetched_at"].cast(pa.int64()).to_numpy()
            met &= np.where(np.isnan(created), fetched, created) < _microseconds(self.before)
        return met


def _texts(values: str | Iterable[str] | None) -> list[str] | None:
    if values is None:
        return None
    return [values] if isinstance(values, str) else [str(value) for value in values if not pd.isna(value)]


def _moment(name: str, value: datetime | date | str | None) -> datetime | None:
    if value is None:
        return None
    try:
        moment = pd.Timestamp(value).to_pydatetime()
    except (ValueError, TypeError) as error:
        raise ConfigError(f"{name} must be a time such as 2026-03-01, got {value!r}.") from error
    if pd.isna(moment):
        raise ConfigError(f"{name} must be a time such as 2026-03-01, got {value!r}.")
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment


def _created(table: pa.Table) -> npt.NDArray[np.float64]:
    """Return the time of creation in microseconds, from the record or else the id; NaN when neither has one."""
    created = np.full(table.num_rows, np.nan)
    if "created_at" in table.column_names:
        created = table["created_at"].cast(pa.int64()).to_numpy().astype(np.float64)
    for row in np.flatnonzero(np.isnan(created)):
        second = id_created_at(table["id"][row].as_py() or "")
        created[row] = np.nan if second is None else second * 1e6
    return created


def _microseconds(moment: datetime) -> int:
    return round(moment.astimezone(UTC).timestamp() * 1e6)
