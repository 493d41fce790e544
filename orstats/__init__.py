"""orstats: what OpenRouter generations cost, took and said, as a pandas DataFrame.

The public names are listed in ``__all__`` and loaded when first used, so that ``import orstats`` stays light.
"""

from __future__ import annotations

import importlib
import logging
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from orstats import sim
    from orstats.analysis.export import write_csv
    from orstats.api import errors
    from orstats.api.client import Client
    from orstats.api.retry import Retry
    from orstats.data.archive import Archive
    from orstats.data.fetch import fetch
    from orstats.data.ids import read_ids
    from orstats.data.views import attempts, failures, field_table, summary

__all__ = [
    "Archive",
    "Client",
    "Retry",
    "attempts",
    "errors",
    "failures",
    "fetch",
    "field_table",
    "read_ids",
    "sim",
    "summary",
    "write_csv",
]

#: Where each public name lives; a name equal to the module's own means the module.
_HOME: Final = {
    "Archive": "orstats.data.archive",
    "Client": "orstats.api.client",
    "Retry": "orstats.api.retry",
    "attempts": "orstats.data.views",
    "errors": "orstats.api.errors",
    "failures": "orstats.data.views",
    "fetch": "orstats.data.fetch",
    "field_table": "orstats.data.views",
    "read_ids": "orstats.data.ids",
    "sim": "orstats.sim",
    "summary": "orstats.data.views",
    "write_csv": "orstats.analysis.export",
}

logging.getLogger("orstats").addHandler(logging.NullHandler())


def __getattr__(name: str) -> Any:
    home = _HOME.get(name)
    if home is None:
        raise AttributeError(f"module 'orstats' has no attribute {name!r}")
    module = importlib.import_module(home)
    value = module if home.rpartition(".")[2] == name else getattr(module, name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
