"""The whole account in one table, for the endpoints that add up. Made once, when it is first needed."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import TYPE_CHECKING

from orstats.sim import catalogue as models
from orstats.sim.account import APPS, WORKSPACE_NAMES, ApiKey, Keys
from orstats.sim.special import SEARCH_USD

if TYPE_CHECKING:
    import threading

    from orstats.sim.catalogue import Model
    from orstats.sim.corpus import Corpus

_APP_NAMES = {app.app_id: app.name or app.origin for app in APPS if app.app_id is not None}


@dataclass(frozen=True, slots=True)
class Entry:
    """One generation as accounting sees it: native tokens, USD, ms. Empty text where the record has null."""

    index: int
    created_us: int
    model: str
    slug: str
    endpoint_id: str
    provider: str
    app: int | None
    key: ApiKey | None
    origin: str
    workspace: str
    finish_reason: str
    external_user: str
    usage: float
    byok: bool
    byok_usage: float
    upstream: float | None
    cache: float | None
    replayed: bool
    prompt: int
    completion: int
    reasoning: int
    cached: int
    latency: float | None
    generation_time: float | None
    web: float | None

    @property
    def ended_us(self) -> int:
        """When the call ended, in microseconds since 1970."""
        return self.created_us + int((self.generation_time or 0) * 1000)

    @property
    def app_name(self) -> str:
        """The application's title, or where the request came from."""
        return _APP_NAMES.get(self.app, self.origin) if self.app is not None else self.origin

    @property
    def workspace_name(self) -> str:
        """The workspace's name."""
        return WORKSPACE_NAMES.get(self.workspace, "")


def read_ledger(corpus: Corpus, keys: Keys, stop: threading.Event) -> list[Entry]:
    """Read all generations of an account, in time order; takes about 0.1 ms each.

    Parameters
    ----------
    corpus, keys
        The account.
    stop
        Ends the reading early, with what has been read so far, when the server is stopped meanwhile.
    """
    entries = []
    for index in range(corpus.generations):
        if stop.is_set():
            break
        entries.append(read_entry(corpus, keys, index))
    return entries


def read_entry(corpus: Corpus, keys: Keys, index: int) -> Entry:
    """Read one generation of an account."""
    row = corpus.record(index)
    base, _, variant = row["model"].partition(":")
    model = _models().get(row["model"]) or _models()[base]
    provider = row["provider_name"] or ""
    served = [endpoint for endpoint in model.endpoints if endpoint.provider == provider]
    discount = row["cache_discount"]
    return Entry(
        index=index,
        created_us=corpus.created_us(index),
        # An awkward account counts variants under the one permaslug that they share.
        model=base if corpus.awkward else row["model"],
        slug=f"{model.slug.partition(':')[0]}:{variant}" if variant else model.slug,
        endpoint_id=model.endpoint_id(served[0]) if served else "",
        provider=provider,
        app=row["app_id"],
        key=_key_of_app(keys).get((row["app_id"], row["origin"])),
        origin=row["origin"],
        workspace=row["workspace_id"] or "",
        finish_reason=row["finish_reason"] or "",
        external_user=row["external_user"] or "",
        usage=row["usage"],
        byok=row["is_byok"],
        byok_usage=(row["upstream_inference_cost"] or 0) if row["is_byok"] else 0,
        upstream=row["upstream_inference_cost"],
        cache=-discount if discount is not None else None,
        replayed=bool(row.get("response_cache_source_id")),
        prompt=row["native_tokens_prompt"] or 0,
        completion=row["native_tokens_completion"] or 0,
        reasoning=row["native_tokens_reasoning"] or 0,
        cached=row["native_tokens_cached"] or 0,
        latency=row["latency"],
        generation_time=row["generation_time"],
        web=row["num_search_results"] * SEARCH_USD if row["num_search_results"] else None,
    )


@functools.lru_cache(maxsize=8)
def _key_of_app(keys: Keys) -> dict[tuple[int | None, str], ApiKey]:
    return {(app.app_id, app.origin): key for key in keys.listed for app in key.apps}


@functools.cache
def _models() -> dict[str, Model]:
    everything = (
        *models.CHAT,
        *models.FREE,
        *models.EMBEDDINGS,
        *models.LEGACY,
        models.INSTRUCT,
        models.RERANK,
        models.IMAGE,
        models.SPEECH,
        models.TRANSCRIPTION,
        models.VIDEO,
    )
    return {model.permaslug: model for model in everything}
