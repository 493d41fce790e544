"""``fetch_contents``: the stored prompts and completions of many generations, as a frame."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import ExitStack
from datetime import UTC, datetime
from typing import Any, Final, Literal

import pandas as pd

from orstats.api.client import Client
from orstats.archive.archive import Archive
from orstats.content.content import Content, missing, why_missing
from orstats.content.contents_frame import Rows, Stored, contents_frame
from orstats.errors import ConfigError, ForbiddenError, IncompleteFetchError, NotFoundError
from orstats.fetching.arguments import ArchiveChoice, check_choices, choose_archive, distinct, why_foreign
from orstats.fetching.batch import StopRule, run_batch
from orstats.fetching.progress import Progress
from orstats.fetching.scheduler import Schedule, call_ended_at, may_appear, tally
from orstats.fetching.workers import Ask, Crew, Result
from orstats.ids.formats import id_created_at

log = logging.getLogger("orstats.contents")

#: Contents are archived when there are so many bytes of them, or after so many seconds.
_BATCH_BYTES: Final = 32 << 20
_BATCH_S: Final = 2.0


def fetch_contents(
    ids: str | Iterable[str],
    *,
    client: Client | None = None,
    archive: ArchiveChoice = None,
    store_content: bool = False,
    workers: int = 8,
    rows: Rows = "generation",
    progress: bool | None = None,
    errors: Literal["coerce", "raise"] = "coerce",
    pending_wait: float = 30.0,
    deadline: float | None = None,
    cancel: threading.Event | None = None,
) -> pd.DataFrame:
    """Fetch the stored prompts and completions of many generations.

    Governed and retried like :func:`orstats.fetch`, and resumable when `store_content` is on: what came before an
    interruption is in the archive, and is not asked for again.

    **Privacy.** What people wrote to a model, and what it answered, is often personal and sometimes secret. Nothing of
    it is written to disk unless you ask for that; then it lies unencrypted in the archive (its owner only may read it)
    until :meth:`orstats.Archive.forget_contents` deletes it. The frame itself holds the texts: mind where you save it.

    Parameters
    ----------
    ids
        Generation ids. Asked for once each; missing values are skipped.
    client
        Whom to ask. None makes one from the environment. Where its key is forbidden to read content, its management
        key is tried.
    archive
        Where to look first, and to store, as in :func:`orstats.fetch`. Its records help to say why content is missing.
    store_content
        Keep what is fetched in the archive. Off: the archive is only read.
    workers
        Threads at most, 1 to 256. Contents are large; few threads do.
    rows
        ``"generation"``: one row each, messages as JSON. ``"message"``: one row for each message, the completion last;
        a generation without content still has one.
    progress
        A progress bar: True, False, or None for "if a person is watching".
    errors
        ``"coerce"``: return the frame with failed rows in it. ``"raise"``: raise if some content could not be asked
        for, after everything was tried. That there is none is an answer, not a failure.
    pending_wait
        Seconds during which missing content is retried, if its call may still be running or has just ended. After that
        the row is ``pending``, and its ``content_status`` is "not yet".
    deadline, cancel
        When to end early, as in :func:`orstats.fetch`.

    Returns
    -------
    pandas.DataFrame
        Indexed by ``id``, in the order first asked. ``fetch_status`` and ``error`` say how asking ended (``ok``: it was
        answered), ``content_status`` and ``reason`` whether something is stored (see :class:`orstats.Content`).

    Raises
    ------
    IncompleteFetchError
        ``errors="raise"``, and some row is not answered; ``.frame`` has them all.
    ApiError
        Every other request would fail too: the key (401) or the credits (402) are refused, a setting is wrong, or
        something other than the API answers. ``.frame`` has the rows fetched before that.
    ArchiveError
        The archive cannot be read or written.
    ConfigError
        No key (only if something must be asked), or arguments that cannot be used.

    Examples
    --------
    >>> import orstats
    >>> with orstats.sim.SimServer(50) as sim:
    ...     contents = orstats.fetch_contents(sim.ids, client=sim.client())
    >>> len(contents), set(contents.fetch_status)
    (50, {'ok'})
    """
    asked = distinct(ids)
    check_choices(workers, errors, pending_wait)
    rule = StopRule.of(deadline, cancel)
    if rows not in ("generation", "message"):
        raise ConfigError(f'rows={rows!r}: "generation" or "message".')
    with ExitStack() as stack:
        if client is None:
            client = stack.enter_context(Client())
        kept = choose_archive(archive, client)
        if store_content and kept is None:
            raise ConfigError("store_content=True needs an archive: name one as archive=… or in ORSTATS_ARCHIVE.")
        run = _Run(asked, client, kept, store=store_content)
        run.read_archive()
        run.ask(workers, pending_wait, progress, rows, rule)
        frame = contents_frame(asked, run.got, rows)
    if errors == "raise":
        _require_answers(frame)
    return frame


def _require_answers(frame: pd.DataFrame) -> None:
    status = frame.loc[frame["fetch_status"] != "ok", "fetch_status"]
    if len(status):
        raise IncompleteFetchError(
            f"{status.index.nunique():,} contents could not be asked for ({tally(iter(status))}). "
            "The frame is in .frame.",
            frame=frame,
        )


class _Run:
    """One call: what is known of each id so far."""

    def __init__(self, ids: Sequence[str], client: Client, archive: Archive | None, *, store: bool) -> None:
        self.ids = ids
        self.client = client
        self.archive = archive
        self.host = client.settings.host
        self.got: dict[str, Stored] = {}
        self._store = store
        self._known: dict[str, tuple[datetime | None, str | None]] = {}
        self._ended_at: dict[str, float] = {}
        self._unsaved: list[tuple[str, bytes, float]] = []
        self._unsaved_bytes = 0
        self._saved_at = time.monotonic()

    def read_archive(self) -> None:
        if self.archive is None or not self.ids:
            return
        for generation_id, body in self.archive.read_contents(self.host, self.ids).items():
            self.got[generation_id] = Stored("ok", Content.from_json(generation_id, body))
        if len(self.got) < len(self.ids):
            columns = ["id", "created_at", "generation_time", "data_region"]
            for one in self.archive.read(self.host, self.ids, settled_only=False, columns=columns).to_pylist():
                self._known[one["id"]] = (one["created_at"], one["data_region"])
                ended_at = call_ended_at(one["created_at"], one["generation_time"])
                if ended_at is not None:
                    self._ended_at[one["id"]] = ended_at
        log.info("%d of %d contents are in the archive", len(self.got), len(self.ids))

    def ask(self, workers: int, pending_wait: float, progress: bool | None, rows: Rows, rule: StopRule) -> None:
        """Ask for what is not archived. However it ends, what came in is stored first."""
        to_ask = [i for i in self.ids if i not in self.got and not self._is_foreign(i)]
        if not to_ask:
            return
        ask = _asker(self.client)
        if self._store and self.archive is not None:
            self.archive.check_writable(self.host)
        schedule = Schedule(to_ask, self.client.retry, pending_wait, self._ended_at)
        crew = Crew(self.client, schedule, workers, ask)
        with Progress(len(self.ids), len(self.ids) - len(to_ask), progress) as bar:
            reason = run_batch(crew, len(to_ask), bar, rule, take=self._take, save=self._save)
        if crew.fatal is not None:
            crew.fatal.frame = contents_frame(self.ids, self.got, rows)
            raise crew.fatal
        if reason is not None:
            rest = Stored("not_attempted", None, 0, f"{reason} before this id was requested.")
            self.got = dict.fromkeys(self.ids, rest) | self.got

    def _take(self, result: Result) -> bool:
        """Store one result. Interrupted anywhere, it can be called again."""
        task, error = result.task, result.error
        if error is None:
            content = Content.from_wire(task.id, result.record or {})
            self.got[task.id] = Stored("ok", content, task.attempts)
            if self._store and content.status == "stored":
                self._unsaved.append((task.id, content.raw, result.at))
                self._unsaved_bytes += len(content.raw)
        elif isinstance(error, ForbiddenError | NotFoundError):
            content = self._none(task.id, error, result.at)
            status = "pending" if content.status == "not yet" else "ok"
            self.got[task.id] = Stored(status, content, task.attempts)
        else:
            self.got[task.id] = Stored(result.status, None, task.attempts, str(error))
        return self.got[task.id].status == "ok"

    def _none(self, generation_id: str, error: ForbiddenError | NotFoundError, at: float) -> Content:
        created_at, region = self._known.get(generation_id, (None, None))
        second = id_created_at(generation_id)
        if created_at is None and second is not None:
            created_at = datetime.fromtimestamp(second, UTC)
        status = why_missing(
            error,
            now=datetime.fromtimestamp(at, UTC),
            created_at=created_at,
            data_region=region,
            known=generation_id in self._known,
            recent=may_appear(generation_id, at, self._ended_at.get(generation_id)),
        )
        return missing(generation_id, status)

    def _save(self, final: bool) -> None:
        if not final and self._unsaved_bytes <= _BATCH_BYTES and time.monotonic() - self._saved_at <= _BATCH_S:
            return
        self._saved_at = time.monotonic()
        if self.archive is None or not self._unsaved:
            return
        ids, bodies, times = zip(*self._unsaved, strict=True)
        self.archive.append_contents(self.host, ids, bodies, times)
        self._unsaved.clear()
        self._unsaved_bytes = 0

    def _is_foreign(self, generation_id: str) -> bool:
        why = why_foreign(generation_id)
        if why is not None:
            self.got[generation_id] = Stored("invalid_id", None, 0, why)
        return why is not None


def _asker(client: Client) -> Ask:
    """Ask with the ordinary key; from the first refusal on with the management key, if there is one."""
    keys = [client.settings.key()]
    spare = client.settings.management_key
    if spare is not None and spare != keys[0]:
        keys.append(spare)

    def ask(generation_id: str, admitted: float, admit: Callable[[], float | None]) -> dict[str, Any]:
        key = keys[0]
        try:
            return client.ask_content(generation_id, key=key, sent_at=admitted)
        except ForbiddenError:
            if key == keys[-1] or (again := admit()) is None:
                raise
        data = client.ask_content(generation_id, key=keys[-1], sent_at=again)
        keys[0] = keys[-1]
        return data

    return ask
