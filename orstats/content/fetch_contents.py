"""``fetch_contents``: the stored prompts and completions of many generations, as a DataFrame."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterable
from contextlib import ExitStack
from typing import Any, Final, Literal

import pandas as pd

from orstats.api.client import Client
from orstats.archive.archive import Archive
from orstats.content.archived_contents import archived_contents
from orstats.content.content import Content, explain_missing
from orstats.content.contents_frame import Rows, contents_frame
from orstats.errors import ConfigError, ForbiddenError, NotFoundError
from orstats.fetching.arguments import ArchiveChoice, FetchOptions, choose_archive
from orstats.fetching.batch import Batch
from orstats.fetching.required_key import require_key
from orstats.fetching.scheduler import call_ended_at
from orstats.fetching.workers import Loader, Result
from orstats.frame.build import FetchOutcome

log = logging.getLogger("orstats.contents")
#: Contents in memory are stored when there are so many bytes of them.
_STORE_BYTES: Final = 32 << 20


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

    Rate-limited, retried and interruptible like :func:`orstats.fetch`. It resumes where it stopped if `store_content`
    is on.

    **Privacy.** What people wrote to a model, and its answers, is often personal and sometimes secret. None of it is
    written to disk unless `store_content` is on; then it is unencrypted in the archive (readable by its owner only)
    until :meth:`orstats.Archive.forget_contents` deletes it. The DataFrame contains the texts: take care where you save
    it.

    Parameters
    ----------
    ids : str or iterable of str
        Generation ids, as in :func:`orstats.fetch`. Duplicates are requested once; missing values are skipped.
    client : Client, optional
        Sends the requests; with its management key where the ordinary key may not read content. Default: one made from
        the environment.
    archive : Archive, str, os.PathLike or False, optional
        As in :func:`orstats.fetch`. Its contents are not requested again, and its records help to explain why content
        is missing.
    store_content : bool
        Store fetched contents in the archive. Off: the archive is only read.
    workers : int
        Maximum number of concurrent requests, 1 to 256. Contents are large, so few are enough.
    rows : {"generation", "message"}
        ``"generation"``: one row each, with messages as JSON. ``"message"``: one row for each message, the completion
        last; a generation without content still has one row. ``other`` has the parts that are neither text nor media,
        such as citations.
    progress : bool, optional
        Show a progress bar. Default: when stderr is a terminal, or in a notebook.
    errors : {"coerce", "raise"}
        ``"raise"``: raise if a request failed, after all ids were requested. Missing content is not a failure.
    pending_wait : float
        Seconds during which missing content is requested again, if its call may still be running or has just ended.
        After that its row is ``pending``, and its ``content_status`` is "not yet".
    deadline, cancel
        End the call early, as in :func:`orstats.fetch`.

    Returns
    -------
    pandas.DataFrame
        Indexed by ``id``, in the order given. ``fetch_status`` and ``error`` tell whether the requests succeeded,
        ``content_status`` and ``reason`` whether content is stored (see :class:`orstats.Content`).

    Raises
    ------
    IncompleteFetchError
        With ``errors="raise"``, if some request failed; ``.frame`` has all rows.
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
    ...     contents = orstats.fetch_contents(sim.ids, client=sim.client())
    >>> len(contents), set(contents.fetch_status)
    (50, {'ok'})
    """
    with ExitStack() as stack:
        client = client or stack.enter_context(Client())
        options = FetchOptions(workers, errors, pending_wait, progress, deadline, cancel)
        if rows not in ("generation", "message"):
            raise ConfigError(f'rows must be "generation" or "message", got {rows!r}.')
        source = choose_archive(archive, client.settings)
        if store_content and source is None:
            raise ConfigError("store_content=True needs an archive: pass archive= or set ORSTATS_ARCHIVE.")
        batch = _ContentBatch(ids, client, source if store_content else None, options, rows)
        if source is not None:
            batch.read_archive(source)
        return batch.run(one for one in batch.ids if one not in batch.outcomes)


class _ContentBatch(Batch):
    """One call of fetch_contents: its contents, besides what became of each id."""

    store_every_s = 2.0

    def __init__(self, ids: Any, client: Client, archive: Archive | None, options: FetchOptions, rows: Rows) -> None:
        super().__init__(ids, client, archive, options)
        self._rows = rows
        self._contents: dict[str, Content] = {}
        self._records: dict[str, dict[str, Any]] = {}  # archived ones: they help to explain missing content
        self._unsaved: dict[str, tuple[bytes, float]] = {}
        self._unsaved_bytes = 0

    def read_archive(self, archive: Archive) -> None:
        """Read the archived contents, and the records of the other ids."""
        for generation_id, content in archived_contents(archive, self.host, self.ids).items():
            self._contents[generation_id] = content
            self.outcomes[generation_id] = FetchOutcome("ok", None, 0, None)
        if len(self._contents) < len(self.ids):
            columns = ["id", "created_at", "generation_time", "data_region"]
            found = archive.read(self.host, self.ids, settled_only=False, columns=columns)
            self._records = {one.pop("id"): one for one in found.to_pylist()}
            ends = {one: call_ended_at(row["created_at"], row["generation_time"]) for one, row in self._records.items()}
            self.ended_at = {one: end for one, end in ends.items() if end is not None}
        log.info("%d of %d contents are in the archive", len(self._contents), len(self.ids))

    def load(self) -> Loader:
        require_key(self.client.settings, self.archive, archived=None, ids=len(self.ids))
        return lambda generation_id, sent_at, admit: self.client.ask_content(
            generation_id, sent_at=sent_at, admit=admit
        )

    def keep(self, result: Result) -> FetchOutcome:
        task, error = result.task, result.error
        if error is None:
            content = Content.from_wire(task.id, result.record or {})
            if self.archive is not None and content.status == "stored" and task.id not in self._unsaved:
                self._unsaved[task.id] = content.raw, result.at
                self._unsaved_bytes += len(content.raw)
        elif isinstance(error, ForbiddenError | NotFoundError):
            record = self._records.get(task.id)
            content = explain_missing(task.id, error, result.at, is_known=record is not None, **(record or {}))
        else:
            return FetchOutcome(result.status, error.status, task.attempts, str(error))
        self._contents[task.id] = content
        return FetchOutcome("pending" if content.status == "not yet" else "ok", None, task.attempts, None)

    @property
    def is_full(self) -> bool:
        return self._unsaved_bytes > _STORE_BYTES

    def store(self) -> None:
        if self.archive is not None and self._unsaved:
            bodies, times = zip(*self._unsaved.values(), strict=True)
            self.archive.append_contents(self.host, list(self._unsaved), bodies, times)
        self._unsaved.clear()
        self._unsaved_bytes = 0

    def frame(self) -> pd.DataFrame:
        return contents_frame(self.ids, self.outcomes, self._contents, self._rows)
