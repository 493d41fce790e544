"""orstats: cost, latency and content of OpenRouter generations, as a pandas DataFrame.

The public names are listed in ``__all__`` and loaded when first used, so that ``import orstats`` stays light.
"""

from __future__ import annotations

import importlib
import logging
from typing import TYPE_CHECKING, Any, Final

from orstats._version import __version__ as __version__

if TYPE_CHECKING:
    from orstats import errors, sim
    from orstats.account.budgets import budgets
    from orstats.account.list_generations import list_generations
    from orstats.account.list_ids import list_ids
    from orstats.account.reconcile import reconcile
    from orstats.account.usage import usage
    from orstats.api.client import Client
    from orstats.api.retry import Retry
    from orstats.archive.archive import Archive
    from orstats.content.content import Content
    from orstats.content.fetch_contents import fetch_contents
    from orstats.content.generation import Generation, get
    from orstats.export.html_page import write_html
    from orstats.export.join import join
    from orstats.export.read import read
    from orstats.export.write_csv import write_csv
    from orstats.export.write_report import write_report
    from orstats.fetching.fetch import fetch
    from orstats.frame.combine import combine
    from orstats.frame.summary import summary
    from orstats.frame.views import attempts, failures, field_table
    from orstats.ids.read import read_ids
    from orstats.notebook.card import view
    from orstats.notebook.explorer import explore
    from orstats.notebook.view_session import view_session
    from orstats.plots.change import plot_change
    from orstats.plots.plots import plot_cost, plot_latency, plot_tokens
    from orstats.recording.labels import labels
    from orstats.recording.litellm_callback import litellm_callback
    from orstats.recording.recorder import record, unrecord
    from orstats.reports.compare import compare
    from orstats.reports.cost_tokens_latency import cost_by, latency_by, tokens_by
    from orstats.reports.coverage import coverage
    from orstats.reports.failures import failures_by
    from orstats.reports.sessions import sessions
    from orstats.reports.what_if import what_if

__all__ = [
    "Archive",
    "Client",
    "Content",
    "Generation",
    "Retry",
    "attempts",
    "budgets",
    "combine",
    "compare",
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
    "join",
    "labels",
    "latency_by",
    "list_generations",
    "list_ids",
    "litellm_callback",
    "plot_change",
    "plot_cost",
    "plot_latency",
    "plot_tokens",
    "read",
    "read_ids",
    "reconcile",
    "record",
    "sessions",
    "sim",
    "summary",
    "tokens_by",
    "unrecord",
    "usage",
    "view",
    "view_session",
    "what_if",
    "write_csv",
    "write_html",
    "write_report",
]

#: Where each public name lives; the two modules are public themselves.
_HOME: Final = {
    "Archive": "orstats.archive.archive",
    "Client": "orstats.api.client",
    "Content": "orstats.content.content",
    "Generation": "orstats.content.generation",
    "Retry": "orstats.api.retry",
    "attempts": "orstats.frame.views",
    "budgets": "orstats.account.budgets",
    "combine": "orstats.frame.combine",
    "compare": "orstats.reports.compare",
    "cost_by": "orstats.reports.cost_tokens_latency",
    "coverage": "orstats.reports.coverage",
    "explore": "orstats.notebook.explorer",
    "failures": "orstats.frame.views",
    "failures_by": "orstats.reports.failures",
    "fetch": "orstats.fetching.fetch",
    "fetch_contents": "orstats.content.fetch_contents",
    "field_table": "orstats.frame.views",
    "get": "orstats.content.generation",
    "join": "orstats.export.join",
    "labels": "orstats.recording.labels",
    "latency_by": "orstats.reports.cost_tokens_latency",
    "list_generations": "orstats.account.list_generations",
    "list_ids": "orstats.account.list_ids",
    "litellm_callback": "orstats.recording.litellm_callback",
    "plot_change": "orstats.plots.change",
    "plot_cost": "orstats.plots.plots",
    "plot_latency": "orstats.plots.plots",
    "plot_tokens": "orstats.plots.plots",
    "read": "orstats.export.read",
    "read_ids": "orstats.ids.read",
    "reconcile": "orstats.account.reconcile",
    "record": "orstats.recording.recorder",
    "sessions": "orstats.reports.sessions",
    "summary": "orstats.frame.summary",
    "tokens_by": "orstats.reports.cost_tokens_latency",
    "unrecord": "orstats.recording.recorder",
    "usage": "orstats.account.usage",
    "view": "orstats.notebook.card",
    "view_session": "orstats.notebook.view_session",
    "what_if": "orstats.reports.what_if",
    "write_csv": "orstats.export.write_csv",
    "write_html": "orstats.export.html_page",
    "write_report": "orstats.export.write_report",
}
_MODULES: Final = {"errors": "orstats.errors", "sim": "orstats.sim"}

logging.getLogger("orstats").addHandler(logging.NullHandler())


def __getattr__(name: str) -> Any:
    if name in _MODULES:
        value = importlib.import_module(_MODULES[name])
    elif name in _HOME:
        value = getattr(importlib.import_module(_HOME[name]), name)
    else:
        raise AttributeError(f"module 'orstats' has no attribute {name!r}.{_similar(name)}".removesuffix("."))
    globals()[name] = value
    return value


def _similar(name: str) -> str:
    """Suggest public names; Python itself suggests only those that are loaded already."""
    from orstats.text.suggest import did_you_mean, similar  # noqa: PLC0415 - only for errors

    return "" if name.startswith("_") else did_you_mean(similar(name, __all__))


def __dir__() -> list[str]:
    return sorted(__all__)
