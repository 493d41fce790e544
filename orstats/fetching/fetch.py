"""``fetch``: many ids in, one typed DataFrame out; nothing requested twice, nothing lost."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterable, Sequence
from contextlib import ExitStack
from functools import cache
from typing import Final, Literal

import pandas as pd
import pyarrow as pa

from orstats.api.client import Client
from orstats.archive.archive import Archive
from orstats.fetching.arguments import ArchiveChoice, choose_archive, validate_arguments
from orstats.fetching.batch import Batch, StopRule
from orstats.fetching.normalize_ids import normalize_ids
from orstats.fetching.workers import Loader, Result
from orstats.frame.arrow import to_table
from orstats.frame.build import SOURCE, FetchOutcome, build_frame

log = logging.getLogger("orstats.fetch")

#: Records in memory are stored when there are so many.
_STORE_ROWS: Final = 4_000
#: Memory worth giving back before the frame needs as much again; for less it costs more than it brings.
_LARGE_BYTES: Final = 256_000_000


def fetch(
    ids: str | Iterable[str],
    *,
    client: Client | None = None,
    archive: ArchiveChoice = None,
    workers: int = 16,
    refresh: bool = False,
    errors: Literal["coerce", "raise"] = "coerce",
    pending_wait: float = 30.0,
    progress: bool | None = None,
    deadline: float | None = None,
    cancel: threading.Event | None = None,
) -> pd.DataFrame:
    """Fetch the metadata of many generations into one typed frame.

    Every distinct id gives one row, in the order first asked; an id that could not be had keeps its row, with
    missing values and the reason. Settled records are taken from the archive and never asked for again.
    Interrupted (Ctrl-C, a crash), what was fetched is in the archive; run the same again for the rest.

    Parameters
    ----------
    ids
        Generation ids, e.g. from :func:`orstats.read_ids`. Asked for once each; missing values are skipped.
    client
        Whom to ask, and with what pace learnt so far. None makes one from the environment.
    archive
        Where settled records are kept: an :class:`orstats.Archive`, a directory or URL. None is the default
        place (``ORSTATS_ARCHIVE``, else the user data directory), but nothing for servers on this machine, such
        as the simulator; False is none at all.
    workers
        Threads at most, 1 to 256. The pace is shared, so more than needed do no harm.
    refresh
        Ask for archived ids too; the newer record wins.
    errors
        ``"coerce"``: return the frame, with failed rows in it. ``"raise"``: if any row is not ok, raise after
        everything was tried.
    pending_wait
        Seconds during which an id that is not found is retried, if its call may still be running or has just ended: the
        second in an id is when its request began. Ids that began more than an hour ago, or without a time in them, are
        ``not_found`` at once.
    progress
        A progress bar: True, False, or None for "if a person is watching".
    deadline
        Seconds for the whole call. When they are over, no more requests are sent: the fetched rows are kept, and the
        others are ``not_attempted``. 0 reads the archive only.
    cancel
        An event that ends the call in the same way as soon as another thread, or a signal handler, sets it.

    Returns
    -------
    pandas.DataFrame
        Index ``id``; columns and dtypes as in :func:`orstats.field_table`, also when empty.

    Raises
    ------
    IncompleteFetchError
        ``errors="raise"`` and some row is not ok; ``.frame`` has them all.
    ApiError
        Every other request would fail too: the key (401) or the credits (402) are refused, a setting is wrong, or
        something other than the API answers. ``.frame`` has the rows fetched before that.
    ArchiveError
        The archive cannot be written; ``.frame`` has what was fetched before.
    ConfigError
        No key (only if something must be asked), or an argument that cannot be used.

    Examples
    --------
    >>> import orstats
    >>> with orstats.sim.SimServer(50) as sim:
    ...     df = orstats.fetch(sim.ids, client=sim.client())
    >>> len(df), df.index.name, set(df.fetch_status)
    (50, 'id', {'ok'})
    """
    with ExitStack() as stack:
        client = client or stack.enter_context(Client())
        rule = StopRule.start(deadline, cancel, client.clock)
        unique = normalize_ids(ids)
        validate_arguments(workers, errors, pending_wait)
        batch = _RecordBatch(unique, client, choose_archive(archive, client))
        missing = unique if refresh else batch.read_archive()
        batch.request(missing, workers=workers, pending_wait=pending_wait, progress=progress, rule=rule)
        return batch.result(errors)


class _RecordBatch(Batch):
    """One call of fetch: its records as tables, besides what became of each id."""

    store_every_s = 1.0

    def __init__(self, ids: Sequence[str], client: Client, archive: Archive | None) -> None:
        super().__init__(ids, client, archive)
        self._tables: list[pa.Table] = []
        self._unsaved: dict[str, Result] = {}

    def read_archive(self) -> Sequence[str]:
        """Read the archived records; return the ids of the others."""
        if self.archive is None or not self.ids:
            return self.ids
        archived = self.archive.read(self.host, self.ids, encoded=True)
        if archived.nbytes > _LARGE_BYTES:
            pa.default_memory_pool().release_unused()  # what reading took, before the frame needs as much again
        log.info("%d of %d ids are in the archive", archived.num_rows, len(self.ids))
        if not archived.num_rows:
            return self.ids
        self._tables.append(archived)
        if archived.num_rows == len(self.ids):
            return []
        have = set(archived.column("id").to_pylist())
        return [one for one in self.ids if one not in have]

    def load(self) -> Loader:
        self.client.settings.key()
        return lambda generation_id, sent_at, _: self.client.ask_generation(generation_id, sent_at=sent_at)

    def keep(self, result: Result) -> FetchOutcome:
        if result.error is not None:
            return FetchOutcome(result.status, result.error.status, result.task.attempts, str(result.error))
        self._unsaved[result.task.id] = result
        return _ok(result.task.attempts)

    @property
    def is_full(self) -> bool:
        return len(self._unsaved) >= _STORE_ROWS

    def store(self) -> None:
        results = list(self._unsaved.values())
        if not results:
            return
        table = to_table([r.task.id for r in results], [r.record or {} for r in results], [r.at for r in results])
        if self.archive is not None:
            self.archive.append(self.host, table)
        self._tables.append(table)
        for result in results:
            del self._unsaved[result.task.id]

    def frame(self) -> pd.DataFrame:
        frame = build_frame(self.ids, self._take_tables(), self.outcomes)
        frame.attrs[SOURCE] = self.host + ("" if self.archive is None else f", archive {self.archive.path}")
        return frame

    def _take_tables(self) -> list[pa.Table]:
        """Give the records away: holding them would double the memory."""
        tables, self._tables = self._tables, []
        return tables


@cache
def _ok(attempts: int) -> FetchOutcome:
    """Share the outcome of nearly every row."""
    return FetchOutcome("ok", 200, attempts, None)
