"""``orstats show``: everything about one generation, for a person in a terminal or as JSON."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import orjson
import pandas as pd
from rich.table import Table
from rich.text import Text

from orstats.api.client import Client
from orstats.archive.archive import Archive
from orstats.cli.console import FAILED, SOME_FAILED, pairs, print_status, stdout_console, write_json
from orstats.cli.conversation import conversation
from orstats.cli.inputs import fetch_ids, resolve_archive
from orstats.content.content import Content
from orstats.content.facts import BASIS
from orstats.content.generation import Generation
from orstats.errors import ApiError
from orstats.export.write_csv import json_rows
from orstats.frame.views import ADVICE
from orstats.ids.formats import log_url
from orstats.text.format import count, duration, is_present, usd
from orstats.text.sanitize import terminal_line, terminal_text

_SERVED = range(200, 300)
_IDS = ("request_id", "session_id", "upstream_id", "response_cache_source_id", "workspace_id", "app_id", "preset_id")
_CALLER = ("external_user", "origin", "http_referer", "user_agent")


def run(
    generation_id: str, base_url: str | None, archive: str | None, *, no_archive: bool, content: bool, as_json: bool
) -> int:
    """Show one generation; the options are those of the command."""
    with Client(base_url=base_url) as client:
        patient = client.with_options(retry=client.retry.for_one_request())
        store = resolve_archive(archive, no_archive, client)
        frame = fetch_ids(
            [generation_id], patient, store, pending_wait=0, quiet=True
        )  # a person waits; advice comes at once
        row = next(json_rows(frame))
        ok = row["fetch_status"] == "ok"
        found, failure = _content(client, frame.iloc[0], store) if content and ok else (None, None)
    stored = found if found is not None and found.status == "stored" else None
    missing = found.reason if found is not None and stored is None else None
    if failure is not None:
        missing = str(failure)
    if as_json:
        raw = None if stored is None else orjson.loads(stored.raw)
        whole = row | ({"content": raw, "content_missing": missing} if content else {})
        write_json(whole)
    elif ok:
        out = stdout_console()
        out.print(Text(terminal_line(row["id"]), style="bold"))
        out.print(_record(row))
        out.print(Text(log_url(row["id"])), soft_wrap=True)
        if stored is not None:
            for part in conversation(stored, row["finish_reason"]):
                out.print(part)
    if not ok:
        status = row["fetch_status"]
        print_status(f"{status}: {terminal_line(row['error'] or row['id'])}", "red")
        print_status(ADVICE[status])
        return SOME_FAILED
    if missing is not None:
        print_status(f"No content: {missing}", "yellow" if failure is None else "red")
    return 0 if failure is None else FAILED


def _content(client: Client, row: pd.Series[Any], store: Archive | None) -> tuple[Content | None, ApiError | None]:
    """Load the content, or return why it failed: the record is shown in any case."""
    try:
        return Generation.from_row(row, client=client, archive=False if store is None else store).content(), None
    except ApiError as error:
        return None, error


def _record(row: dict[str, Any]) -> Table:
    grid = pairs()
    for title, lines in (
        ("What", _what(row)),
        ("Cost", _cost(row)),
        ("Tokens", _tokens(row)),
        ("Speed", _speed(row)),
        ("Attempts", _attempts(row)),
        ("Caller", _named(row, _CALLER)),
        ("Ids", _named(row, _IDS)),
        ("More", _more(row)),
    ):
        text = "\n".join(lines)
        if text:
            grid.add_row(title, Text(text))
    return grid


def _what(row: dict[str, Any]) -> Iterator[str]:
    provider = f" by {terminal_line(row['provider_name'])}" if row["provider_name"] else ""
    yield f"{terminal_line(row['model'] or 'unknown model')}{provider}"
    words = [f"{pd.Timestamp(row['created_at']):%Y-%m-%d %H:%M:%S} UTC" if row["created_at"] else "at an unknown time"]
    if row["api_type"]:
        words.append(terminal_line(row["api_type"]))
    if row["streamed"] is not None:
        words.append("streamed" if row["streamed"] else "not streamed")
    if row["data_region"]:
        words.append(f"region {terminal_line(row['data_region'])}")
    yield " · ".join(words)
    ended = terminal_line(row["finish_reason"] or "no finish reason")
    native = row["native_finish_reason"]
    if native and native != row["finish_reason"]:
        ended += f" (provider: {terminal_line(native, 60)})"
    yield f"ended: {ended}" + (", cancelled by the caller" if row["cancelled"] else "")


def _cost(row: dict[str, Any]) -> Iterator[str]:
    basis = row["cost_basis"]
    yield f"{usd(row['cost_usd'])}  {BASIS.get(basis, terminal_line(basis))}"
    if row["is_byok"]:
        yield f"{usd(row['total_cost'])} from credits + {usd(row['upstream_inference_cost'])} by the provider"
    elif is_present(row["upstream_inference_cost"]):
        yield f"the provider's own charge of {usd(row['upstream_inference_cost'])} is not yours to pay on top"
    if is_present(row["cache_discount"]) and row["cache_discount"]:
        saved = row["cache_discount"] > 0
        yield f"prompt caching {'saved' if saved else 'added'} {usd(abs(row['cache_discount']))}"
    if row["usd_per_mtok"]:
        yield f"{usd(row['usd_per_mtok'])} per million tokens"


def _tokens(row: dict[str, Any]) -> Iterator[str]:
    prompt, completion = row["native_tokens_prompt"], row["native_tokens_completion"]
    cached, reasoning = row["native_tokens_cached"], row["native_tokens_reasoning"]
    yield (
        f"{count(prompt)} prompt{f' ({count(cached)} cached)' if cached else ''} + "
        f"{count(completion)} completion{f' ({count(reasoning)} reasoning)' if reasoning else ''} = "
        f"{count(row['tokens_total'])}{', as billed' if is_present(row['tokens_total']) else ''}"
    )
    yield f"{count(row['tokens_prompt'])} + {count(row['tokens_completion'])} by the vendor's normalised count"
    media = {
        "media in the prompt": row["num_media_prompt"],
        "audio inputs": row["num_input_audio_prompt"],
        "media in the completion": row["num_media_completion"],
        "search results": row["num_search_results"],
        "pages fetched": row["num_fetches"],
    }
    if any(media.values()):
        yield ", ".join(f"{count(number)} {name}" for name, number in media.items() if number)


def _speed(row: dict[str, Any]) -> Iterator[str]:
    latency, total = row["latency"], row["generation_time"]
    if is_present(latency) or is_present(total):
        yield f"{duration(latency)} to the first token, {duration(total)} in all, at the provider"
    rates = []
    if is_present(row["throughput_tok_s"]):
        rates.append(f"{row['throughput_tok_s']:,.1f} tokens/s overall")
    if is_present(row["decode_tok_s"]):
        rates.append(f"{row['decode_tok_s']:,.1f} tokens/s after the first")
    if rates:
        yield ", ".join(rates)
    if is_present(row["moderation_latency"]):
        yield f"{duration(row['moderation_latency'])} moderation before that"


def _attempts(row: dict[str, Any]) -> Iterator[str]:
    chain = row["provider_responses"]
    if not isinstance(chain, list):
        return
    for number, attempt in enumerate((one for one in chain if isinstance(one, dict)), start=1):
        status = attempt.get("status")
        name = terminal_line(attempt.get("provider_name") or "unknown provider")
        words = [f"{number}. {name}", terminal_line("no answer" if status is None else status)]
        if isinstance(attempt.get("latency"), int | float):
            words.append(duration(attempt["latency"]))
        if attempt.get("is_byok"):
            words.append("your key")
        yield " · ".join(words) + ("" if status in _SERVED else "   failed")
    if is_present(row["fallback_ms"]) and row["fallback_ms"]:
        answered = any(isinstance(one, dict) and one.get("status") in _SERVED for one in chain)
        yield f"{duration(row['fallback_ms'])} went by" + (" before the one that answered" if answered else "")


def _named(row: dict[str, Any], names: tuple[str, ...]) -> Iterator[str]:
    for name in names:
        if row[name] is not None and row[name] != "":
            yield f"{name} {terminal_line(row[name], 200)}"


def _more(row: dict[str, Any]) -> Iterator[str]:
    yield from _named(row, ("service_tier", "router", "web_search_engine"))
    if row["extra"]:
        yield terminal_text(orjson.dumps(row["extra"]).decode())
