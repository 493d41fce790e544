"""One row without threads, Arrow or pandas: for a person who waits for a single generation."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from orstats.api.client import Client
from orstats.errors import ApiError, BadRequestError, ConfigError, NotApiResponseError
from orstats.fetching.arguments import ArchiveChoice, choose_archive, compact_if_needed, invalid_id_reason
from orstats.fetching.required_key import require_key
from orstats.fetching.scheduler import FailureRules, Task
from orstats.frame.row import full_row, record_row
from orstats.frame.status import status_of
from orstats.ids.id_shapes import API_KEY, clean_id, invalid_id_kind

if TYPE_CHECKING:
    from orstats.archive.archive import Archive


def fetch_one(
    generation_id: str, *, client: Client, archive: ArchiveChoice, pending_wait: float = 30.0
) -> tuple[dict[str, Any], ApiError | None]:
    """Return the row of one id, from the archive or by requests, and the error of the last request if it failed."""
    generation_id = clean_id(generation_id)
    if invalid_id_kind(generation_id) == API_KEY:
        raise ConfigError("The id is an API key. Remove it, and delete it from disk.")
    if (reason := invalid_id_reason(generation_id)) is not None:
        error = BadRequestError(reason, generation_id=generation_id)
        return full_row({"id": generation_id}, fetch_status="invalid_id", attempts=0, error=reason), error
    store = choose_archive(archive, client.settings)
    host = client.settings.host
    if store is not None and (row := store.read_record(host, generation_id)) is not None:
        return full_row(row, fetch_status="ok", attempts=0), None
    require_key(client.settings, store, archived=0, ids=1)
    if store is not None:
        store.check_writable(host)
    return _request(generation_id, client.with_options(retry=client.retry.for_one_request()), store, pending_wait)


def _request(
    generation_id: str, client: Client, store: Archive | None, pending_wait: float
) -> tuple[dict[str, Any], ApiError | None]:
    clock = client.clock
    rules = FailureRules(client.retry, pending_wait)
    task = Task(generation_id, first_sent=clock.monotonic())
    while True:
        task.attempts += 1
        try:
            record = client.ask_generation(generation_id)
        except ApiError as error:
            is_foreign = isinstance(error, NotApiResponseError) and isinstance(task.error, NotApiResponseError)
            verdict = rules.classify(task, error, clock.monotonic(), client.now())
            if isinstance(verdict, float) and not is_foreign:
                clock.sleep(verdict)
                continue
            status = verdict if isinstance(verdict, str) else status_of(error)
            failed = {"http_status": error.status, "attempts": task.attempts, "error": str(error)}
            return full_row({"id": generation_id}, fetch_status=status, **failed), error
        row = record_row(generation_id, record) | {"fetched_at": datetime.fromtimestamp(client.now(), UTC)}
        if store is not None:
            from orstats.frame.record_table import row_table  # noqa: PLC0415 - loads pyarrow

            store.append(client.settings.host, row_table(row))
            compact_if_needed(store, client.settings.host)
        return full_row(row, fetch_status="ok", http_status=200, attempts=task.attempts), None
