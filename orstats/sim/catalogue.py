"""The models of the simulated account, who serves them, how fast and at what price.

Slugs, providers and prices (US dollars per million tokens) are of the order that public price lists showed in
2025 and 2026; they are there to look right, not to be right. Provider names are those of the API's own list.
"""

from __future__ import annotations

import functools
from bisect import bisect
from dataclasses import dataclass
from itertools import accumulate
from typing import TYPE_CHECKING

from orstats.sim.seeds import uuid_of

if TYPE_CHECKING:
    import random


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One provider's offer of a model: prices in USD per million tokens, speeds as typical values."""

    provider: str
    prompt: float
    completion: float
    cached: float | None = None
    ttft_ms: float = 600.0
    tokens_per_s: float = 70.0


@dataclass(frozen=True, slots=True)
class Model:
    """One model: names, share of use, tokenizer, abilities and endpoints (the first is tried first)."""

    slug: str
    permaslug: str
    weight: float
    endpoints: tuple[Endpoint, ...]
    ratio: float = 1.0
    reasons: bool = False
    sees: bool = False
    hears: bool = False

    def endpoint_id(self, endpoint: Endpoint) -> str:
        """Give the id of the endpoint that serves this model, the same for ever."""
        return _endpoint_id(self.permaslug, endpoint.provider)


@functools.cache
def _endpoint_id(permaslug: str, provider: str) -> str:
    # One text for all who name it: the books of a million generations would keep a million.
    return uuid_of("endpoint", permaslug, provider)


_E = Endpoint

CHAT: tuple[Model, ...] = (
    Model(
        "openai/gpt-4.1-mini",
        "openai/gpt-4.1-mini-2025-04-14",
        20,
        (_E("OpenAI", 0.4, 1.6, 0.1, 520, 82), _E("Azure", 0.4, 1.6, 0.1, 690, 74)),
        sees=True,
    ),
    Model(
        "anthropic/claude-sonnet-4",
        "anthropic/claude-4-sonnet-20250522",
        14,
        (
            _E("Anthropic", 3.0, 15.0, 0.3, 1150, 61),
            _E("Amazon Bedrock", 3.0, 15.0, 0.3, 1480, 55),
            _E("Google", 3.0, 15.0, 0.3, 1320, 58),
        ),
        ratio=1.14,
        sees=True,
    ),
    Model(
        "google/gemini-2.5-flash",
        "google/gemini-2.5-flash",
        13,
        (_E("Google", 0.3, 2.5, 0.03, 480, 148), _E("Google AI Studio", 0.3, 2.5, 0.03, 540, 139)),
        ratio=1.03,
        sees=True,
        hears=True,
    ),
    Model(
        "openai/gpt-5-mini",
        "openai/gpt-5-mini-2025-08-07",
        11,
        (_E("OpenAI", 0.25, 2.0, 0.025, 2100, 96), _E("Azure", 0.25, 2.0, 0.025, 2600, 88)),
        reasons=True,
        sees=True,
    ),
    Model(
        "anthropic/claude-haiku-4.5",
        "anthropic/claude-4.5-haiku-20251001",
        9,
        (_E("Anthropic", 1.0, 5.0, 0.1, 610, 132), _E("Amazon Bedrock", 1.0, 5.0, 0.1, 820, 118)),
        ratio=1.14,
        sees=True,
    ),
    Model(
        "deepseek/deepseek-chat-v3.1",
        "deepseek/deepseek-chat-v3.1",
        9,
        (
            _E("DeepInfra", 0.27, 1.0, 0.216, 870, 34),
            _E("SiliconFlow", 0.27, 1.0, None, 1400, 29),
            _E("Novita", 0.27, 1.0, 0.135, 1250, 31),
            _E("Fireworks", 0.56, 1.68, 0.28, 640, 76),
        ),
        ratio=1.05,
    ),
    Model(
        "meta-llama/llama-3.3-70b-instruct",
        "meta-llama/llama-3.3-70b-instruct",
        7,
        (
            _E("DeepInfra", 0.13, 0.39, None, 560, 38),
            _E("Groq", 0.59, 0.79, None, 240, 268),
            _E("Together", 0.88, 0.88, None, 470, 92),
            _E("Cerebras", 0.85, 1.2, None, 190, 1450),
        ),
        ratio=1.06,
    ),
    Model(
        "mistralai/mistral-small-3.2-24b-instruct",
        "mistralai/mistral-small-3.2-24b-instruct-2506",
        5,
        (_E("DeepInfra", 0.075, 0.2, None, 430, 58), _E("Mistral", 0.1, 0.3, None, 360, 121)),
        ratio=1.09,
        sees=True,
    ),
    Model(
        "google/gemini-2.5-pro",
        "google/gemini-2.5-pro",
        4,
        (_E("Google", 1.25, 10.0, 0.125, 2700, 88), _E("Google AI Studio", 1.25, 10.0, 0.125, 2900, 84)),
        ratio=1.03,
        reasons=True,
        sees=True,
        hears=True,
    ),
    Model("x-ai/grok-4-fast", "x-ai/grok-4-fast", 4, (_E("xAI", 0.2, 0.5, 0.05, 1900, 142),), 0.98, reasons=True),
    Model(
        "openai/gpt-oss-20b",
        "openai/gpt-oss-20b",
        3,
        (
            _E("DeepInfra", 0.03, 0.14, None, 380, 122),
            _E("Groq", 0.1, 0.5, None, 210, 890),
            _E("Fireworks", 0.07, 0.3, None, 340, 240),
        ),
        reasons=True,
    ),
    Model(
        "deepseek/deepseek-r1-0528",
        "deepseek/deepseek-r1-0528",
        2,
        (
            _E("DeepInfra", 0.5, 2.15, 0.4, 1100, 31),
            _E("Novita", 0.7, 2.5, 0.35, 1600, 28),
            _E("Together", 3.0, 7.0, None, 700, 64),
        ),
        ratio=1.05,
        reasons=True,
    ),
)

FREE: tuple[Model, ...] = (
    Model(
        "meta-llama/llama-3.3-70b-instruct:free",
        "meta-llama/llama-3.3-70b-instruct:free",
        1,
        (_E("Venice", 0.0, 0.0, None, 1900, 33), _E("Crusoe", 0.0, 0.0, None, 2300, 30)),
        ratio=1.06,
    ),
    Model(
        "deepseek/deepseek-chat-v3.1:free",
        "deepseek/deepseek-chat-v3.1:free",
        1,
        (_E("DeepInfra", 0.0, 0.0, None, 3100, 22), _E("OpenInference", 0.0, 0.0, None, 3600, 20)),
        ratio=1.05,
    ),
)

INSTRUCT = Model(
    "openai/gpt-3.5-turbo-instruct",
    "openai/gpt-3.5-turbo-instruct",
    1,
    (_E("OpenAI", 1.5, 2.0, None, 330, 105), _E("Azure", 1.5, 2.0, None, 420, 97)),
)
EMBEDDINGS: tuple[Model, ...] = (
    Model(
        "openai/text-embedding-3-small",
        "openai/text-embedding-3-small",
        1,
        (_E("OpenAI", 0.02, 0.0, None, 140, 1.0), _E("Azure", 0.02, 0.0, None, 170, 1.0)),
    ),
    Model(
        "qwen/qwen3-embedding-8b",
        "qwen/qwen3-embedding-8b",
        1,
        (_E("DeepInfra", 0.01, 0.0, None, 180, 1.0), _E("Nebius", 0.01, 0.0, None, 210, 1.0)),
        ratio=1.07,
    ),
)
RERANK = Model("cohere/rerank-v3.5", "cohere/rerank-v3.5", 1, (_E("Cohere", 0.0, 0.0, None, 210, 1.0),))
IMAGE = Model(
    "google/gemini-2.5-flash-image",
    "google/gemini-2.5-flash-image",
    1,
    (_E("Google", 0.3, 30.0, None, 6800, 210), _E("Google AI Studio", 0.3, 30.0, None, 7200, 200)),
    ratio=1.03,
)
SPEECH = Model(
    "openai/gpt-4o-mini-tts",
    "openai/gpt-4o-mini-tts-2025-12-15",
    1,
    (_E("OpenAI", 0.6, 12.0, None, 900, 160),),
)
TRANSCRIPTION = Model(
    "openai/whisper-large-v3",
    "openai/whisper-large-v3",
    1,
    (_E("Groq", 0.0, 0.0, None, 700, 300), _E("DeepInfra", 0.0, 0.0, None, 1200, 200)),
)
VIDEO = Model("google/veo-3.1", "google/veo-3.1", 1, (_E("Google", 0.0, 0.0, None, 64000, 1.0),))
LEGACY: tuple[Model, ...] = (
    Model("openai/gpt-4o", "openai/gpt-4o-2024-08-06", 3, (_E("OpenAI", 2.5, 10.0, 1.25, 560, 78),), sees=True),
    Model(
        "anthropic/claude-3.5-sonnet",
        "anthropic/claude-3.5-sonnet-20240620",
        2,
        (_E("Anthropic", 3.0, 15.0, 0.3, 1200, 58),),
        ratio=1.14,
    ),
    Model("sao10k/l3-stheno-8b", "sao10k/l3-stheno-8b", 1, (_E("Infermatic", 0.25, 1.5, None, 750, 46),), 1.02),
)

SEEING: tuple[Model, ...] = tuple(model for model in CHAT if model.sees)
ROUTED: tuple[Model, ...] = tuple(model for model in CHAT if len(model.endpoints) > 1)
OWN_KEY: tuple[Model, ...] = tuple(
    model for model in CHAT if model.endpoints[0].provider in {"OpenAI", "Anthropic", "Google"}
)

# How the providers' own words for the end of an answer differ from the API's four.
_NATIVE_FINISH: dict[str, dict[str, str]] = {
    "Anthropic": {
        "stop": "end_turn",
        "length": "max_tokens",
        "tool_calls": "tool_use",
        "content_filter": "refusal",
    },
    "Google": {"stop": "STOP", "length": "MAX_TOKENS", "tool_calls": "STOP", "content_filter": "SAFETY"},
}
_NATIVE_FINISH["Amazon Bedrock"] = _NATIVE_FINISH["Anthropic"]
_NATIVE_FINISH["Google AI Studio"] = _NATIVE_FINISH["Google"]

# Providers that tell the router what they charged even when the account pays in credits, and the share of the
# credit price that they name. Whoever adds this number to the bill for such rows doubles the bill.
TELLS_UPSTREAM: dict[str, float] = {
    "Azure": 1.0,
    "Google": 1.0,
    "Google AI Studio": 1.0,
    "DeepInfra": 0.9,
    "Fireworks": 0.0,
    "Infermatic": 0.8,
}

# Models of these makers pass a moderation check first (it shows as `moderation_latency`).
MODERATED: tuple[str, ...] = ("openai/", "anthropic/")


def native_finish(provider: str, reason: str | None) -> str | None:
    """Translate the API's finish reason into the provider's own word.

    Examples
    --------
    >>> native_finish("Anthropic", "stop"), native_finish("OpenAI", "stop")
    ('end_turn', 'stop')
    """
    if reason is None:
        return None
    return _NATIVE_FINISH.get(provider, {}).get(reason, reason)


def weighted(rng: random.Random, models: tuple[Model, ...]) -> Model:
    """Draw a model by its share of use.

    Examples
    --------
    >>> from orstats.sim.seeds import stream
    >>> weighted(stream(1), FREE).slug.endswith(":free")
    True
    """
    heights = list(accumulate(model.weight for model in models))
    return models[bisect(heights, rng.random() * heights[-1])]
