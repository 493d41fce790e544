"""``fetch``: many ids in, one typed frame out; nothing asked twice, nothing lost."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterable, Sequence
from contextlib import ExitStack
from typing import Any, Final, Literal

import pandas as pd
import pyarrow as pa

from orstats.api.client import Client
from orstats.archive.archive import Archive
from orstats.errors import ApiError, ArchiveError, BadRequestError, IncompleteFetchError
from orstats.fetching.arguments import ArchiveChoice, check_choices, choose_archive, distinct, why_foreign
from orstats.fetching.batch import StopRule, run_batch
from orstats.fetching.progress import Progress
from orstats.fetching.scheduler import Schedule, tally
from orstats.fetching.workers import Crew, Result
from orstats.frame.arrow import to_table
from orstats.frame.build import SOURCE, FetchOutcome, build_frame

log = logging.getLogger("orstats.fetch")

#: Fetched records are written to the archive when there are so many, or after so many seconds.
_BATCH, _BATCH_S = 4_000, 1.0
#: So many files of one host in the archive are merged into few at the end of a fetch.
_MANY_FILES: Final = 64

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
    asked = distinct(ids)
    check_choices(workers, errors, pending_wait)
    rule = StopRule.of(deadline, cancel)
    with ExitStack() as stack:
        if client is None:
            client = stack.enter_context(Client())
        run = _Run(asked, client, choose_archive(archive, client))
        run.read_archive(refresh=refresh)
        run.ask(workers, pending_wait, progress, rule)
        frame = run.frame()
    if errors == "raise":
        _require_complete(frame)
    return frame


def fetch_one(generation_id: str, *, client: Client, archive: ArchiveChoice) -> pd.DataFrame:
    """Fetch the row of one id that a person waits for."""
    patient = client.with_options(retry=client.retry.for_one_request())
    run = _Run(distinct([generation_id]), patient, choose_archive(archive, client))
    run.read_archive(refresh=False)
    run.ask(workers=1, pending_wait=30.0, progress=False, rule=StopRule.of(None, None))
    frame = run.frame()
    status = "ok" if frame.empty else frame["fetch_status"].iloc[0]
    if run.error is not None:
        run.error.retryable |= status == "pending"
        raise run.error
    if status != "ok":
        raise BadRequestError(str(frame["error"].iloc[0]), generation_id=generation_id)
    return frame


def _require_complete(frame: pd.DataFrame) -> None:
    not_ok = frame.loc[frame["fetch_status"] != "ok", "fetch_status"]
    if len(not_ok):
        raise IncompleteFetchError(
            f"{len(not_ok):,} of {len(frame):,} rows are not ok ({tally(iter(not_ok))}). The frame is in .frame.",
            frame=frame,
        )


class _Run:
    """One call of fetch: its tables, and what became of the ids that were asked for."""

    def __init__(self, ids: Sequence[str], client: Client, archive: Archive | None) -> None:
        self.ids = ids
        self.client = client
        self.archive = archive
        self.host = client.settings.host
        self.tables: list[pa.Table] = []
        self.outcomes: dict[str, FetchOutcome] = {}
        self.to_ask: Sequence[str] = ids
        self.error: ApiError | None = None  # the latest that an id ended with
        self._got: dict[str, Result] = {}
        self._saved_at = time.monotonic()

    def read_archive(self, *, refresh: bool) -> None:
        if self.archive is None or refresh or not self.ids:
            return
        known = self.archive.read(self.host, self.ids, encoded=True)
        if known.nbytes > _LARGE_BYTES:
            pa.default_memory_pool().release_unused()  # what reading took, before the frame needs as much again
        log.info("%d of %d ids are in the archive", known.num_rows, len(self.ids))
        if known.num_rows:
            self.tables.append(known)
        if known.num_rows == len(self.ids):
            self.to_ask = []
        elif known.num_rows:
            have = set(known.column("id").to_pylist())
            self.to_ask = [i for i in self.ids if i not in have]

    def ask(self, workers: int, pending_wait: float, progress: bool | None, rule: StopRule) -> None:
        """Ask for what is not archived. However it ends, what came in is kept first."""
        to_ask = [i for i in self.to_ask if not self._is_foreign(i)]
        if not to_ask:
            return
        self.client.settings.key()
        if self.archive is not None:
            self.archive.check_writable(self.host)
        crew = Crew(self.client, Schedule(to_ask, self.client.retry, pending_wait), workers)
        try:
            with Progress(len(self.ids), len(self.ids) - len(to_ask), progress) as bar:
                reason = run_batch(crew, len(to_ask), bar, rule, take=self._take, save=self._save)
        except ArchiveError as error:
            self._save(final=True)
            error.frame = self.stopped_frame()
            raise
        if crew.fatal is not None:
            crew.fatal.frame = self.stopped_frame()
            raise crew.fatal
        if reason is not None:
            self._mark_not_attempted(reason)
        else:
            self._tidy()

    def frame(self) -> pd.DataFrame:
        """Return a row for each id asked for. Gives the records away: holding them would double the memory."""
        frame = build_frame(self.ids, self._give_records(), self.outcomes)
        frame.attrs[SOURCE] = self.host + ("" if self.archive is None else f", archive {self.archive.path}")
        return frame

    def _give_records(self) -> list[pa.Table]:
        tables, self.tables = self.tables, []
        return tables

    def stopped_frame(self) -> pd.DataFrame:
        """Return a row for each id after a stop."""
        self._mark_not_attempted("The fetch stopped")
        return self.frame()

    def _mark_not_attempted(self, reason: str) -> None:
        have = self.outcomes.keys() | {i for table in self.tables for i in table.column("id").to_pylist()}
        rest = FetchOutcome("not_attempted", None, 0, f"{reason} before this id was requested.")
        self.outcomes.update(dict.fromkeys((i for i in self.ids if i not in have), rest))

    def _take(self, result: Result) -> bool:
        """Store one result. Interrupted anywhere, it can be called again."""
        task, error = result.task, result.error
        if error is None:
            self._got[task.id] = result
            self.outcomes[task.id] = _ok(task.attempts)
        else:
            self.outcomes[task.id] = FetchOutcome(result.status, error.status, task.attempts, str(error))
            self.error = error
        return error is None

    def _save(self, final: bool) -> None:
        """Turn the results into a table and archive it. Interrupted anywhere, it can be called again."""
        if not final and len(self._got) < _BATCH and time.monotonic() - self._saved_at <= _BATCH_S:
            return
        self._saved_at = time.monotonic()
        got = list(self._got.values())
        if not got:
            return
        table = to_table([r.task.id for r in got], [r.record or {} for r in got], [r.at for r in got])
        if self.archive is not None:
            try:
                self.archive.append(self.host, table)
            except ArchiveError:
                self.archive = None  # the results stay in memory
                raise
        self.tables.append(table)
        for result in got:
            del self._got[result.task.id]

    def _tidy(self) -> None:
        """Merge the archive's files once there are many: their number decides how fast it is read."""
        if self.archive is None:
            return
        try:
            self.archive.compact(self.host, min_files=_MANY_FILES)
        except ArchiveError as error:
            log.warning("everything fetched is kept, but the archive's files were not merged: %s", error)

    def _is_foreign(self, generation_id: str) -> bool:
        why = why_foreign(generation_id)
        if why is not None:
            self.outcomes[generation_id] = FetchOutcome("invalid_id", None, 0, why)
        return why is not None


_OK: Final[dict[int, Any]] = {attempts: FetchOutcome("ok", 200, attempts, None) for attempts in range(1, 4)}


def _ok(attempts: int) -> FetchOutcome:
    """Share the outcome that nearly every row has."""
    return _OK.get(attempts) or FetchOutcome("ok", 200, attempts, None)
