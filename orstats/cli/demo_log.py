"""An application's log, as a program might have written it while it made the simulator's generations."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

from orstats.ids.id_shapes import id_created_at
from orstats.sim import SimServer

#: Ids in the log that the account does not have.
_UNKNOWN_IDS: Final = 2
_DAY_S: Final = 86_400


def write_app_log(server: SimServer, path: Path) -> int:
    """Write the log of an account, with two ids that the account does not have; return the number of lines."""
    lines = 0
    with path.open("w", encoding="utf-8") as file:
        for text in _lines(server, server.unknown_ids(_UNKNOWN_IDS, age=_DAY_S)):
            file.write(text)
            lines += 1
    return lines


def _lines(server: SimServer, unknown: Sequence[str]) -> Iterator[str]:
    rng = random.Random(7)  # noqa: S311 - makes up a log
    broken = [(_created_at(one), one) for one in unknown]
    for generation_id in server.ids:
        record = server.record(generation_id)
        at = datetime.fromisoformat(record["created_at"])
        while broken and broken[0][0] <= at:
            yield _broken(*broken.pop(0))
        if rng.random() < 0.2:  # noqa: PLR2004
            yield f"{_stamp(at)} DEBUG http.pool     connection reused pool=llm idle={rng.randrange(1, 90)}s\n"
        if rng.random() < 0.05:  # noqa: PLR2004
            yield f"{_stamp(at)} WARN  billing.quota estimate for tenant {rng.randrange(40, 90)} is stale\n"
        took = record.get("generation_time") or 0
        done = _stamp(at + timedelta(milliseconds=took))
        model = record["model"]
        yield f'{done} INFO  llm.client    completion model="{model}" generation={generation_id} ms={took:.0f}\n'
        if rng.random() < 0.1:  # noqa: PLR2004
            yield f'{done} INFO  audit         {{"event": "answer_shown", "generation_id": "{generation_id}"}}\n'
    yield from (_broken(*one) for one in broken)


def _created_at(generation_id: str) -> datetime:
    return datetime.fromtimestamp(id_created_at(generation_id) or 0, UTC)


def _broken(at: datetime, generation_id: str) -> str:
    return f"{_stamp(at)} ERROR llm.client    stream broke off generation={generation_id}\n"


def _stamp(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
