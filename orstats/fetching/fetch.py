"""``fetch``: many ids in, one typed DataFrame out; nothing requested twice, nothing lost."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterable, Sequence
from contextlib import ExitStack
from datetime import UTC, datetime
from functools import cache
from typing import Any, Final, Literal

import pandas as pd
import pyarrow as pa

from orstats._version import __version__
from orstats.api.client import Client
from orstats.archive.archive import Archive
from orstats.fetching.arguments import ArchiveChoice, FetchOptions, choose_archive
from orstats.fetching.batch import Batch
from orstats.fetching.required_key import require_key
from orstats.fetching.workers import Loader, Result
from orstats.frame.build import SOURCE, FetchOutcome, build_frame
from orstats.frame.record_table import column, to_table

log = logging.getLogger("orstats.fetch")

#: Records in memory are stored when there are so many.
_STORE_ROWS: Final = 4_000
#: Without an archive they are only converted: in so many portions, of so many rows, while requests are on their way, so
#: that little is left to do after the last one.
_PORTIONS: Final = 16
_PORTION_ROWS: Final = (100, 1_000)
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
    """Fetch the records of many generations into one typed DataFrame.

    Every distinct id gives one row, in the order given; an id without a record has missing values and the reason.
    Archived records are not requested again. After an interruption (Ctrl-C, a crash), the same call resumes: fetched
    records are in the archive.

    Parameters
    ----------
    ids : str or iterable of str
        Generation ids, e.g. from :func:`orstats.read_ids`. Duplicates are requested once; missing values are skipped.
        A single string may have several ids, separated by commas, semicolons or spaces.
    client : Client, optional
        Sends the requests, and remembers the rate limit that it learned. Default: one made from the environment.
    archive : Archive, str, os.PathLike or False, optional
        Where records are kept: an :class:`orstats.Archive`, a directory or a URL. Default: ``ORSTATS_ARCHIVE``, else
        the user data directory, but none for servers on this machine, such as the simulator. False: no archive.
    workers : int
        Maximum number of concurrent requests, 1 to 256. The request rate adapts automatically.
    refresh : bool
        Also request archived ids; the newer record replaces the archived one.
    errors : {"coerce", "raise"}
        ``"coerce"``: return the DataFrame with its failed rows. ``"raise"``: raise if a row is not ok, after all ids
        were requested.
    pending_wait : float
        Seconds during which a missing record is requested again, if its call may still be running or has just ended:
        the time in an id is when its request began. Ids older than an hour, or without a time, are ``not_found`` at
        once.
    progress : bool, optional
        Show a progress bar. Default: when stderr is a terminal, or in a notebook.
    deadline : float, optional
        Seconds for the call. After that no more requests are sent: fetched rows are kept, and the others are
        ``not_attempted``. 0 only reads the archive, and needs no key.
    cancel : threading.Event, optional
        Ends the call in the same way once another thread, or a signal handler, sets it.

    Returns
    -------
    pandas.DataFrame
        Indexed by ``id``, with the columns and dtypes of :func:`orstats.field_table`, also when empty. ``.attrs`` has
        the texts ``"source"`` (host and archive), ``"host"``, ``"orstats_version"`` and ``"fetched_at"`` (UTC), which
        pandas keeps in filtered and sorted copies and drops where DataFrames are combined.

    Raises
    ------
    IncompleteFetchError
        With ``errors="raise"``, if some row is not ok; ``.frame`` has all rows.
    ApiError
        Every other request would fail too: the key (401) or the credits (402) are refused, a setting is wrong, or
        the responses are not from the API. ``.frame`` has the rows fetched before that.
    ArchiveError
        The archive cannot be read or written; ``.frame`` has the rows fetched before that.
    ConfigError
        No key (only if a request is necessary), or an invalid argument.

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
        options = FetchOptions(workers, errors, pending_wait, progress, deadline, cancel)
        batch = _RecordBatch(ids, client, choose_archive(archive, client.settings), options)
        return batch.run(batch.ids if refresh else batch.read_archive())


class _RecordBatch(Batch):
    """One call of fetch: its records as tables, besides what became of each id."""

    store_every_s = 1.0

    def __init__(self, ids: Any, client: Client, archive: Archive | None, options: FetchOptions) -> None:
        super().__init__(ids, client, archive, options)
        self._id_array = column(self.ids, "text")[0]
        self._tables: list[pa.Table] = []
        self._unsaved: dict[str, Result] = {}
        self._settled = self._converted = 0  # so many of the first ids have their final result, and are converted
        self._archived: int | None = None  # ids, once the archive was read

    def read_archive(self) -> Sequence[str]:
        """Read the archived records; return the ids of the others."""
        if self.archive is None or not self.ids:
            return self.ids
        archived = self.archive.read(self.host, self._id_array, encoded=True)
        if archived.get_total_buffer_size() > _LARGE_BYTES:
            pa.default_memory_pool().release_unused()  # what reading took, before the frame needs as much again
        self._archived = archived.num_rows
        log.info("%d of %d ids are in the archive", archived.num_rows, len(self.ids))
        if not archived.num_rows:
            return self.ids
        self._tables.append(archived)
        if archived.num_rows == len(self.ids):
            return []
        have = set(archived.column("id").to_pylist())
        return [one for one in self.ids if one not in have]

    def load(self) -> Loader:
        require_key(self.client.settings, self.archive, archived=self._archived, ids=len(self.ids))
        return lambda generation_id, sent_at, _: self.client.ask_generation(generation_id, sent_at=sent_at)

    def keep(self, result: Result) -> FetchOutcome:
        if result.error is not None:
            return FetchOutcome(result.status, result.error.status, result.task.attempts, str(result.error))
        self._unsaved[result.task.id] = result
        return _ok(result.task.attempts)

    @property
    def is_full(self) -> bool:
        return len(self._unsaved) >= _STORE_ROWS

    def save(self) -> None:
        """Without an archive, convert results in the order of the ids: the frame then need not sort them."""
        if self.archive is not None or self.is_full:  # full: an early id is being retried
            super().save()
            return
        ids, start = self.ids, self._converted
        while self._settled < len(ids) and ids[self._settled] in self.outcomes:
            self._settled += 1
        least, most = _PORTION_ROWS
        portion = min(max(least, len(ids) // _PORTIONS), most)
        if self._settled - start >= portion or self._settled == len(ids):
            self._convert([one for one in ids[start : self._settled] if one in self._unsaved])
            self._converted = self._settled

    def store(self) -> None:
        self._convert(list(self._unsaved))

    def _convert(self, ids: Sequence[str]) -> None:
        if not ids:
            return
        results = [self._unsaved[one] for one in ids]
        table = to_table(ids, [r.record or {} for r in results], [r.at for r in results])
        if self.archive is not None:
            self.archive.append(self.host, table)
        self._tables.append(table)
        for one in ids:
            del self._unsaved[one]

    def frame(self) -> pd.DataFrame:
        frame = build_frame(self._id_array, self._take_tables(), self.outcomes)
        frame.attrs[SOURCE] = self.host + ("" if self.archive is None else f", archive {self.archive.path}")
        fetched_at = datetime.fromtimestamp(self.client.now(), UTC).isoformat(timespec="seconds")
        frame.attrs |= {"host": self.host, "orstats_version": __version__, "fetched_at": fetched_at}
        return frame

    def _take_tables(self) -> list[pa.Table]:
        """Give the records away: holding them would double the memory."""
        tables, self._tables = self._tables, []
        return tables


@cache
def _ok(attempts: int) -> FetchOutcome:
    """Share the outcome of nearly every row."""
    return FetchOutcome("ok", 200, attempts, None)
