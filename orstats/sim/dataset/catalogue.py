"""The models of the simulated account with their providers and prices, and the organisation that uses them."""

from __future__ import annotations

import functools
import tomllib
from bisect import bisect
from dataclasses import dataclass
from importlib.resources import files
from itertools import accumulate
from typing import TYPE_CHECKING, Any

from orstats.sim.dataset.random_streams import hexadecimal, uuid_of

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
        """Return the constant id of an endpoint of this model."""
        return _endpoint_id(self.permaslug, endpoint.provider)


@functools.cache
def _endpoint_id(permaslug: str, provider: str) -> str:
    # Cached, so that the ledger of a million generations does not keep a million copies.
    return uuid_of("endpoint", permaslug, provider)


def _read(name: str) -> dict[str, Any]:
    return tomllib.loads(files(__package__).joinpath(name).read_text("utf-8"))


_MODELS = _read("models.toml")


def _models(group: str) -> tuple[Model, ...]:
    return tuple(
        Model(
            **{"permaslug": table["slug"]} | table | {"endpoints": tuple(Endpoint(**one) for one in table["endpoints"])}
        )
        for table in _MODELS["models"][group]
    )


CHAT, FREE, EMBEDDINGS, LEGACY = (_models(group) for group in ("chat", "free", "embeddings", "legacy"))
INSTRUCT, RERANK, IMAGE, SPEECH, TRANSCRIPTION, VIDEO = (
    _models(group)[0] for group in ("instruct", "rerank", "image", "speech", "transcription", "video")
)
MODELS: dict[str, Model] = {model.permaslug: model for group in _MODELS["models"] for model in _models(group)}

SEEING: tuple[Model, ...] = tuple(model for model in CHAT if model.sees)
ROUTED: tuple[Model, ...] = tuple(model for model in CHAT if len(model.endpoints) > 1)
OWN_KEY: tuple[Model, ...] = tuple(
    model for model in CHAT if model.endpoints[0].provider in {"OpenAI", "Anthropic", "Google"}
)

_NATIVE_FINISH: dict[str, dict[str, str]] = _MODELS["native_finish"]
_SAME_WORDS: dict[str, str] = _MODELS["same_words"]
REPORTS_UPSTREAM: dict[str, float] = _MODELS["tells_upstream"]

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
    maker = _SAME_WORDS.get(provider, provider)
    return _NATIVE_FINISH.get(maker, {}).get(reason, reason)


def weighted(rng: random.Random, models: tuple[Model, ...]) -> Model:
    """Draw a model by its share of use.

    Examples
    --------
    >>> from orstats.sim.dataset.random_streams import stream
    >>> weighted(stream(1), FREE).slug.endswith(":free")
    True
    """
    heights = list(accumulate(model.weight for model in models))
    return models[bisect(heights, rng.random() * heights[-1])]


WORKSPACE_NAMES: dict[str, str] = {uuid_of("workspace", name): name for name in ("Production", "Research", "Studio")}
PRODUCTION, RESEARCH, STUDIO = WORKSPACE_NAMES

PRESETS: tuple[str, ...] = tuple(uuid_of("preset", name) for name in ("support-tone", "strict-json", "reviewer"))


@dataclass(frozen=True, slots=True)
class App:
    """One application that spends the account's money.

    ``talks`` is its share of the conversations, ``asks`` its share of the single requests. ``attached`` is
    the usual size, in tokens, of the documents that it sends along. With ``zero_retention`` nothing that it
    says is ever stored.
    """

    name: str
    origin: str
    workspace: str
    agents: tuple[str, ...]
    users: tuple[str | None, ...]
    subject: str
    talks: float
    asks: float
    app_id: int | None = None
    referer: str | None = None
    attached: int = 900
    streams: float = 0.9
    zero_retention: bool = False


_ORGANISATION = _read("apps.toml")


def _app(table: dict[str, Any]) -> App:
    users = tuple(user or None for user in table["users"])
    workspace = uuid_of("workspace", table["workspace"])
    return App(**table | {"users": users, "agents": tuple(table["agents"]), "workspace": workspace})


APPS: tuple[App, ...] = tuple(_app(table) for table in _ORGANISATION["apps"].values())
HELPDESK, ENRICHMENT, ANALYST, REVIEWER, CHATROOM, SCRIPTS, CONTRACTS, DESIGN = APPS
HOSTILE_USERS, HOSTILE_AGENTS, HOSTILE_REFERERS = (
    tuple(_ORGANISATION["hostile"][name]) for name in ("users", "agents", "referers")
)


@dataclass(frozen=True, slots=True)
class Member:
    """A member of the organisation."""

    name: str
    email: str
    user_id: str


@dataclass(frozen=True, slots=True)
class ApiKey:
    """A key, the applications that use it, and who created it.

    Analytics name keys and members, and filter by ``hash`` and ``user_id``.
    """

    name: str
    hash: str
    secret: str
    creator: Member
    workspace: str
    apps: tuple[App, ...] = ()
    limit: float | None = None
    disabled: bool = False


@dataclass(frozen=True, slots=True)
class Keys:
    """The account's keys: an administrator's and a plain one that clients may use, others, and one for management."""

    admin: ApiKey
    plain: ApiKey
    others: tuple[ApiKey, ...]
    management: str

    @property
    def listed(self) -> tuple[ApiKey, ...]:
        """All but the management key."""
        return (self.admin, self.plain, *self.others)


def keys_of(seed: int, *, awkward: bool = False) -> Keys:
    """Make the account's keys, shaped like real ones.

    Examples
    --------
    >>> keys_of(0).admin.secret.startswith("sk-or-v1-"), len(keys_of(0).admin.secret)
    (True, 73)
    """

    def member(name: str) -> Member:
        return Member(
            name, f"{name.partition(' ')[0].lower()}@northwind.example", f"user_2{hexadecimal(26, seed, name)}"
        )

    def secret(name: str) -> str:
        return f"sk-or-v1-{hexadecimal(64, seed, 'key', name)}"

    def key(ident: str, name: str, creator: Member, *apps: App, limit: float | None = None) -> ApiKey:
        workspace = apps[0].workspace if apps else RESEARCH
        hashed = hexadecimal(64, seed, "key-hash", ident)
        return ApiKey(name, hashed, secret(ident), creator, workspace, apps, limit, disabled=not apps)

    ana, jonas, mei = member("Ana Silva"), member("Jonas Weber"), member("Mei Tanaka")
    return Keys(
        admin=key("admin", "Notebooks", ana, ANALYST, SCRIPTS),
        plain=key("plain", "Campaign studio", mei, DESIGN, limit=100),
        others=(
            key("helpdesk", "Production", jonas, HELPDESK),
            key("jobs", "Production" if awkward else "Batch jobs", jonas, ENRICHMENT),
            key("ci", "CI", jonas, REVIEWER),
            key("legal", "Legal", mei, CONTRACTS, limit=500),
            key("laptop", "Old laptop", ana),
        ),
        management=secret("management"),
    )


def label_of(key: str) -> str:
    """Shorten a key as the API does in its answers.

    Examples
    --------
    >>> label_of("sk-or-v1-0e6" + "0" * 57 + "1c96")
    'sk-or-v1-0e6...c96'
    """
    return f"{key[:12]}...{key[-3:]}"
