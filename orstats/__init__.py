"""orstats: what OpenRouter generations cost, took and said, as a pandas DataFrame.

The public names are listed in ``__all__`` and loaded when first used, so that ``import orstats`` stays light.
"""

from __future__ import annotations

import importlib
import logging
from typing import TYPE_CHECKING, Any, Final

from orstats._version import __version__ as __version__

if TYPE_CHECKING:
    from orstats import sim
    from orstats.analysis.export import write_csv
    from orstats.analysis.page import write_html
    from orstats.analysis.plots import plot_cost, plot_latency, plot_tokens
    from orstats.analysis.read_frame import read
    from orstats.analysis.reconcile import reconcile
    from orstats.analysis.report import cost_by, coverage, failures_by, latency_by, tokens_by
    from orstats.analysis.report_files import write_report
    from orstats.analysis.what_if import what_if
    from orstats.api import errors
    from orstats.api.client import Client
    from orstats.api.retry import Retry
    from orstats.data.account.discover import list_ids
    from orstats.data.account.litellm_callback import litellm_callback
    from orstats.data.account.recorder import labels, record, unrecord
    from orstats.data.archive.archive import Archive
    from orstats.data.content.content import Content
    from orstats.data.content.contents import fetch_contents
    from orstats.data.content.generation import Generation, get
    from orstats.data.fetch.fetch import fetch
    from orstats.data.frame.combine import combine
    from orstats.data.frame.totals import summary
    from orstats.data.frame.views import attempts, failures, field_table
    from orstats.data.ids.read import read_ids
    from orstats.notebook.explore import explore
    from orstats.notebook.view import view

__all__ = [
    "Archive",
    "Client",
    "Content",
    "Generation",
    "Retry",
    "attempts",
    "combine",
    "cost_by",
    "coverage",
    "errors",
    "explore",
    "failures",
    "failures_by",
    "fetch",
    "fetch_contents",
    "field_table",
    "get",
    "labels",
    "latency_by",
    "list_ids",
    "litellm_callback",
    "plot_cost",
    "plot_latency",
    "plot_tokens",
    "read",
    "read_ids",
    "reconcile",
    "record",
    "sim",
    "summary",
    "tokens_by",
    "unrecord",
    "view",
    "what_if",
    "write_csv",
    "write_html",
    "write_report",
]

#: Where each public name lives; the two modules are public themselves.
_HOME: Final = {
    "Archive": "orstats.data.archive.archive",
    "Client": "orstats.api.client",
    "Content": "orstats.data.content.content",
    "Generation": "orstats.data.content.generation",
    "Retry": "orstats.api.retry",
    "attempts": "orstats.data.frame.views",
    "combine": "orstats.data.frame.combine",
    "cost_by": "orstats.analysis.report",
    "coverage": "orstats.analysis.report",
    "explore": "orstats.notebook.explore",
    "failures": "orstats.data.frame.views",
    "failures_by": "orstats.analysis.report",
    "fetch": "orstats.data.fetch.fetch",
    "fetch_contents": "orstats.data.content.contents",
    "field_table": "orstats.data.frame.views",
    "get": "orstats.data.content.generation",
    "labels": "orstats.data.account.recorder",
    "latency_by": "orstats.analysis.report",
    "list_ids": "orstats.data.account.discover",
    "litellm_callback": "orstats.data.account.litellm_callback",
    "plot_cost": "orstats.analysis.plots",
    "plot_latency": "orstats.analysis.plots",
    "plot_tokens": "orstats.analysis.plots",
    "read": "orstats.analysis.read_frame",
    "read_ids": "orstats.data.ids.read",
    "reconcile": "orstats.analysis.reconcile",
    "record": "orstats.data.account.recorder",
    "summary": "orstats.data.frame.totals",
    "tokens_by": "orstats.analysis.report",
    "unrecord": "orstats.data.account.recorder",
    "view": "orstats.notebook.view",
    "what_if": "orstats.analysis.what_if",
    "write_csv": "orstats.analysis.export",
    "write_html": "orstats.analysis.page",
    "write_report": "orstats.analysis.report_files",
}
_MODULES: Final = {"errors": "orstats.api.errors", "sim": "orstats.sim"}

logging.getLogger("orstats").addHandler(logging.NullHandler())


def __getattr__(name: str) -> Any:
    if name in _MODULES:
        value = importlib.import_module(_MODULES[name])
    elif name in _HOME:
        value = getattr(importlib.import_module(_HOME[name]), name)
    else:
        raise AttributeError(f"module 'orstats' has no attribute {name!r}")
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
