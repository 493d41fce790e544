"""Small widgets and helpers that all others use."""

from __future__ import annotations

import functools
import logging
import threading
from collections.abc import Callable
from typing import Final, ParamSpec, TypeVar

import ipywidgets as widgets

from orstats.errors import OrstatsError
from orstats.notebook.html.base import notice
from orstats.text.sanitize import Html

P = ParamSpec("P")
T = TypeVar("T")

log = logging.getLogger("orstats.notebook")

#: JupyterLab handles clicks in the kernel's main thread and typed or chosen values in another (a "subshell"). Two
#: handlers at the same time would show a mixture of two results.
_HANDLER_LOCK: Final = threading.RLock()


class HtmlView(widgets.HTML):  # type: ignore[misc] # ipywidgets has no types
    """HTML of :mod:`orstats.notebook.html`. Its repr has the length, where that of a widget has the text."""

    def __init__(self, value: Html | None = None) -> None:
        super().__init__(value=value or "")

    def __repr__(self) -> str:
        return f"HtmlView({len(self.value):,} characters)"


def serialized(handler: Callable[P, T]) -> Callable[P, T]:
    """Make a handler wait until the running one has ended, whichever threads they are called in."""

    @functools.wraps(handler)
    def waiting(*args: P.args, **options: P.kwargs) -> T:
        with _HANDLER_LOCK:
            return handler(*args, **options)

    return waiting


def in_thread(work: Callable[[], object]) -> None:
    """Run a request in a thread of its own, so that other widgets of this kernel respond meanwhile."""
    threading.Thread(target=work, name="orstats-content", daemon=True).start()


def failure(what: str, error: Exception) -> Html:
    """Return a notice about a failure, which must not break the cell."""
    return notice(failure_text(what, error), "error")


def failure_text(what: str, error: Exception) -> str:
    """Describe a failure. Unexpected ones are logged with their trace."""
    if isinstance(error, OrstatsError):
        return f"Could not {what}: {error}"
    log.error("could not %s", what, exc_info=error)
    return f"Could not {what}: {type(error).__name__}. The log of orstats.notebook has the details."


def replace_children(box: widgets.Box, shown: list[widgets.Widget]) -> None:
    """Show other widgets in a box, and close those it had, so that neither kernel nor browser keeps them."""
    before = box.children
    box.children = shown
    close_all(before)


def close_all(shown: tuple[widgets.Widget, ...]) -> None:
    """Close widgets and everything in them."""
    for one in shown:
        close_all(getattr(one, "children", ()))
        one.close()
        for part in (one.layout, getattr(one, "style", None)):  # widgets of their own, used by nothing else
            if part is not None:
                part.close()
