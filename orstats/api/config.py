"""Base URL, keys and headers: from arguments or the environment, validated once, immutable."""

from __future__ import annotations

import ipaddress
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, SupportsFloat, SupportsIndex
from urllib.parse import urlsplit

from orstats.errors import ConfigError, MissingKeyError
from orstats.text.suggest import did_you_mean

DEFAULT_BASE_URL = "https://openrouter.ai/api/v1"
#: Connections of one client, and so the most workers.
MAX_CONNECTIONS: Final = 256
#: The variables of the keys.
API_KEY: Final = "OPENROUTER_API_KEY"
MANAGEMENT_KEY: Final = "OPENROUTER_MANAGEMENT_KEY"


class Secret(str):
    """A string that is not shown by repr, as in the local variables of a traceback.

    Examples
    --------
    >>> key = Secret("sk-or-v1-0123")
    >>> key, [key[:9]], key == "sk-or-v1-0123"
    ([key], [[key]], True)
    """

    __slots__ = ()

    @classmethod
    def of(cls, text: str | None) -> Secret | None:
        """Return a text as a secret, or None."""
        if text is not None and not isinstance(text, str):
            raise ConfigError(f"A key must be text, got {type(text).__name__}.")
        return None if text is None else cls(text)

    def __repr__(self) -> str:
        return "[key]"

    def __getitem__(self, index: SupportsIndex | slice) -> Secret:
        return Secret(super().__getitem__(index))


@dataclass(frozen=True, slots=True)
class Settings:
    """Base URL and keys. Created by :meth:`resolve`."""

    base_url: str
    api_key: str | None = field(default=None, repr=False)
    management_key: str | None = field(default=None, repr=False)
    api_key_from: str = API_KEY
    """Where the key came from: the variable or the argument, as messages name it."""
    management_key_from: str = MANAGEMENT_KEY

    @classmethod
    def resolve(
        cls,
        api_key: str | None = None,
        management_key: str | None = None,
        base_url: str | None = None,
        *,
        environ: Mapping[str, str] | None = None,
    ) -> Settings:
        """Take each setting from its argument, else from the environment, else the default.

        Examples
        --------
        >>> Settings.resolve(base_url="https://openrouter.ai", environ={}).base_url
        'https://openrouter.ai/api/v1'
        """
        api_key, management_key = Secret.of(api_key), Secret.of(management_key)
        return cls(
            base_url=normalise_base_url(base_url or _variable("OPENROUTER_BASE_URL", environ) or DEFAULT_BASE_URL),
            api_key=_checked_key(api_key, "api_key=", API_KEY, environ),
            management_key=_checked_key(management_key, "management_key=", MANAGEMENT_KEY, environ),
            api_key_from=API_KEY if api_key is None else "api_key=",
            management_key_from=MANAGEMENT_KEY if management_key is None else "management_key=",
        )

    @property
    def host(self) -> str:
        """Host, with its port if the URL has one: the name of the dataset in an archive."""
        return urlsplit(self.base_url).netloc

    @property
    def origin(self) -> tuple[str, str]:
        """Scheme and host."""
        parts = urlsplit(self.base_url)
        return parts.scheme, parts.netloc

    @property
    def is_loopback(self) -> bool:
        """Whether the host is this machine."""
        return is_loopback(urlsplit(self.base_url).hostname or "")

    def source(self, key: str) -> str:
        """Return where one of the keys came from.

        Examples
        --------
        >>> settings = Settings.resolve("sk-or-v1-0", environ={"OPENROUTER_MANAGEMENT_KEY": "sk-or-v1-1"})
        >>> settings.source("sk-or-v1-0"), settings.source("sk-or-v1-1")
        ('api_key=', 'OPENROUTER_MANAGEMENT_KEY')
        """
        return self.management_key_from if key == self.management_key != self.api_key else self.api_key_from

    def key(self) -> str:
        """Return the key for ordinary requests, for which a management key is valid too."""
        key = self.api_key or self.management_key
        if key is None:
            raise MissingKeyError(f"No API key: set the environment variable {API_KEY}, or pass Client(api_key=…).")
        return key


def is_loopback(hostname: str) -> bool:
    """Whether ``hostname`` always means this machine.

    Examples
    --------
    >>> is_loopback("127.0.0.1"), is_loopback("localhost"), is_loopback("openrouter.ai")
    (True, True, False)
    """
    if hostname == "localhost":
        return True
    try:
        return ipaddress.ip_address(hostname).is_loopback
    except ValueError:
        return False


def normalise_base_url(url: str) -> str:
    """Return the URL to which paths such as ``/generation`` are appended.

    A URL that does not end in a version gets the vendor's prefix: ``https://openrouter.ai`` and
    ``https://openrouter.ai/api/v1`` mean the same.

    Examples
    --------
    >>> normalise_base_url("https://eu.openrouter.ai/api/v1/")
    'https://eu.openrouter.ai/api/v1'
    """
    if not isinstance(url, str):
        raise ConfigError(f"The base URL must be text, got {type(url).__name__}.")
    if " " in url.strip():
        raise ConfigError("The base URL must not contain spaces.")
    try:
        parts = urlsplit(url.strip())
        port = parts.port
    except ValueError as error:
        raise ConfigError(f"The base URL cannot be read: {error}.") from None
    host = parts.hostname
    if parts.scheme not in ("http", "https") or not host:
        question = did_you_mean(_with_scheme(url.strip()))
        raise ConfigError(f"The base URL must look like https://openrouter.ai/api/v1 (scheme and host).{question}")
    if parts.username is not None or parts.password is not None:
        raise ConfigError("The base URL must not contain a user or password. Pass the key as api_key=.")
    if parts.query or parts.fragment:
        raise ConfigError("The base URL must not contain a query (?…) or a fragment (#…).")
    if parts.scheme == "http" and not is_loopback(host):
        raise ConfigError(f"The base URL must use https: over http the key would be sent to {host} unencrypted.")
    path = parts.path.rstrip("/")
    last = path.rpartition("/")[2]
    if not (last.startswith("v") and last[1:].isdigit()):
        path += "/v1" if last == "api" else "/api/v1"
    shown = f"[{host}]" if ":" in host else host
    base_url = f"{parts.scheme}://{shown}{'' if port is None else f':{port}'}{path}"
    if not _PLAIN_URL.fullmatch(base_url):
        _check_url(base_url)
    return base_url


def _with_scheme(url: str) -> list[str]:
    """Return the URL that is meant by a host without a scheme, unless the text may be a key."""
    found = _NO_SCHEME.fullmatch(url)
    if found is None or "sk-" in url or not (is_loopback(found[1]) or "." in found[1]):
        return []
    return [f"{'http' if is_loopback(found[1]) else 'https'}://{url}"]


_NO_SCHEME: Final = re.compile(r"([A-Za-z0-9.-]+)(?::[0-9]+)?(?:/[A-Za-z0-9._/-]*)?")
#: URLs that need no further check.
_PLAIN_URL: Final = re.compile(r"https?://[a-z0-9][a-z0-9.-]*(?::[0-9]+)?/[A-Za-z0-9._/-]*")


def _check_url(url: str) -> None:
    import requests  # noqa: PLC0415 - takes a fifth of a second; reports on an archive do not need it

    try:
        requests.Request("GET", url).prepare()
    except requests.exceptions.InvalidURL as error:
        raise ConfigError(f"The base URL cannot be read: {str(error).rstrip('.')}.") from None


def checked_headers(headers: Mapping[str, str]) -> dict[str, Secret]:
    """Return valid additional request headers; the values may be secrets of a gateway.

    Examples
    --------
    >>> checked_headers({"X-Team": "search"})
    {'X-Team': [key]}
    """
    if not isinstance(headers, Mapping):
        raise ConfigError(f"headers must be a mapping of names to texts, got {type(headers).__name__}.")
    for name, value in headers.items():
        if not (isinstance(name, str) and _HEADER_NAME.fullmatch(name)):
            raise ConfigError(f"A header name must be letters, digits and hyphens, got {name!r}.")
        if name.lower() in _OWN_HEADERS:
            advice = "; pass the key as api_key=" if name.lower() == "authorization" else ""
            raise ConfigError(f"headers must not contain {name}: the client sets it itself{advice}.")
        if not (isinstance(value, str) and _HEADER_VALUE.fullmatch(value)):
            raise ConfigError(f"The value of the header {name} must be one line of Latin-1 text.")
    return {name: Secret(value.strip()) for name, value in headers.items()}


_HEADER_NAME: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_HEADER_VALUE: Final = re.compile(r"[\t\x20-\x7e\xa0-\xff]*")
_OWN_HEADERS: Final = frozenset(
    {
        *("authorization", "proxy-authorization", "host", "connection", "accept-encoding", "content-length"),
        *("content-type", "transfer-encoding", "te", "trailer", "upgrade", "expect"),
    }
)


def _variable(name: str, environ: Mapping[str, str] | None) -> Secret:
    # os.environ is named only here: as a local variable above, a traceback would show it with all its keys.
    return Secret((os.environ if environ is None else environ).get(name, ""))


def _checked_key(
    given: Secret | None, argument: str, variable: str, environ: Mapping[str, str] | None
) -> Secret | None:
    key = Secret((_variable(variable, environ) if given is None else given).strip())
    if not key:
        return None
    if not _KEY.fullmatch(key):
        source = argument if given is not None else variable
        raise ConfigError(
            f"The API key ({source}) contains an invalid character. Was it copied completely, and without quotes?"
        )
    return key


#: Keys of gateways contain other punctuation than the API's, but no quotes, spaces or template braces.
_KEY: Final = re.compile(r"[A-Za-z0-9!#%&*+,./:;=?@^_|~-]+")


def is_duration(value: object) -> bool:
    """Whether a value is a non-negative number of seconds; infinity is one."""
    return isinstance(value, SupportsFloat) and not isinstance(value, bool) and float(value) >= 0
