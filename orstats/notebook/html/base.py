"""The elements of every widget: escaped text, links, images, notices, and the style sheets and scripts of ``static/``.

Prompts, completions, ids, user names and even model names are untrusted input, and Jupyter trusts what a widget shows.
Here each becomes text that is escaped (:mod:`orstats.text.sanitize`) and bounded, Markdown filtered by an allow-list
(:mod:`orstats.notebook.html.markdown`), or an image whose bytes were checked
(:mod:`orstats.notebook.html.image_check`). A test ensures that no other part of the notebook makes HTML.
"""

from __future__ import annotations

import functools
import html
import re
from importlib.resources import files
from typing import Final, Literal
from urllib.parse import urlsplit

from orstats.notebook.html.image_check import checked_image
from orstats.text.sanitize import LINE, Html, html_line, html_text, visible_text

#: Attributes of every link.
LINK_REL: Final = "noopener noreferrer nofollow"
#: The class of the texts that a copy button copies.
SOURCE: Final = "orstats-source"


def static_file(name: str) -> str:
    """Read a file of ``orstats/notebook/static``."""
    return files("orstats.notebook").joinpath("static", name).read_text("utf-8")


@functools.cache
def style(sheet: Literal["card", "explorer"]) -> Html:
    """Return the colours and one style sheet as an element."""
    return Html(f"<style>{static_file('theme.css')}{static_file(f'{sheet}.css')}</style>")


def span(value: object, css_class: str, width: int = LINE) -> Html:
    """Return one line of text with its own writing direction."""
    return Html(f'<bdi class="{html.escape(css_class)}">{html_line(value, width)}</bdi>')


def pre(text: object, limit: int | None = None) -> Html:
    """Return preformatted text, or its first `limit` characters."""
    return Html(f'<pre class="orstats-text {SOURCE}" dir="auto">{_inside_pre(str(text)[:limit])}</pre>')


def found(text: str, query: str, *, context: int = 160, limit: int = 5) -> Html:
    """Return the first places of `query` in a text, marked and with their context, ignoring case."""
    pieces: list[str] = []
    # A pattern in the text itself, because lower case may change the length of a text (İ).
    for match in re.finditer(re.escape(query), text, re.IGNORECASE):
        if len(pieces) == limit:
            pieces.append("<i>and more</i>")
            break
        start, end = match.span()
        before, after = text[max(0, start - context) : start], text[end : end + context]
        left, right = "…" * (start > context), "…" * (end + context < len(text))
        pieces.append(f"{left}{html_text(before)}<mark>{html_text(match[0])}</mark>{html_text(after)}{right}")
    return Html(f'<pre class="orstats-text" dir="auto">{"<br><br>".join(pieces)}</pre>')


def link(url: str, label: str) -> Html:
    """Return a link that opens in a new tab and sends no referrer; plain text unless it leads to a web host.

    Without a host, ``http:/lab`` would lead to this Jupyter server.

    Examples
    --------
    >>> link("javascript:alert(1)", "click")
    'click (javascript:alert(1))'
    """
    try:
        parts = urlsplit(url)
        is_web = parts.scheme in ("http", "https") and bool(parts.hostname)
    except ValueError:
        is_web = False
    if not is_web:
        return Html(html_line(url) if label == url else f"{html_line(label)} ({html_line(url)})")
    return Html(f'<a href="{html.escape(url[:2000])}" target="_blank" rel="{LINK_REL}">{html_line(label)}</a>')


def image(url: str) -> Html:
    """Return the image of a valid ``data:`` URL, else a description. Remote images are never loaded, only linked."""
    if url[:5].lower() != "data:":
        return Html(f'<div class="orstats-media">Image, not loaded: {link(url, url)}</div>')
    try:
        return Html(f'<img class="orstats-image" alt="image in the conversation" src="{checked_image(url)}">')
    except ValueError as problem:
        return media("Image", str(problem))


def media(kind: str, description: str) -> Html:
    """Return a line about audio, a file or an image that is not shown."""
    return Html(f'<div class="orstats-media">{html_line(kind)}: {span(description, "orstats-quiet")}</div>')


def notice(text: str, kind: Literal["note", "warn", "error"] = "note") -> Html:
    """Return a message in a box."""
    role = ' role="alert"' if kind == "error" else ""
    return Html(f'<div class="orstats-notice orstats-{kind}"{role}>{html.escape(visible_text(text)[:1000])}</div>')


def spinner(text: str, *, elapsed_s: float | None = None) -> Html:
    """Return a turning wheel and what is being loaded; in a pane, with the seconds since it began."""
    clock = "" if elapsed_s is None else f' <span class="orstats-clock" data-value="{elapsed_s:.1f}"></span>'
    wheel = '<span class="orstats-wheel"></span>'
    return Html(f'<div class="orstats-wait" role="status">{wheel}{html_line(text, 400)}{clock}</div>')


def action(name: str, label: str, value: str = "", *, pressed: bool | None = None, about: str = "") -> Html:
    """Return a button of a pane. `about` completes its label for those who only hear it."""
    state = "" if pressed is None else f' aria-pressed="{str(pressed).lower()}"'
    name_for = f' aria-label="{html_line(label)}: {html_line(about)}"' if about else ""
    return Html(
        f'<button type="button" class="orstats-do" data-action="{html.escape(name)}" '
        f'data-value="{html.escape(value)}"{state}{name_for}>{html_line(label)}</button>'
    )


def copyable(content: Html, *, complete: bool = True) -> Html:
    """Return HTML with a button that copies the texts in it: those of :func:`pre` and :func:`source`."""
    label, title = ("copy", "Copy the text") if complete else ("copy part", "Copy the part that is shown")
    return Html(
        f'<div class="orstats-box"><button type="button" class="orstats-copy" title="{title}" data-action="copy">'
        f"{label}</button>{content}</div>"
    )


def source(text: str) -> Html:
    """Return hidden text for the copy button, where the text is shown in another form."""
    return Html(f'<pre class="{SOURCE}" hidden>{_inside_pre(text)}</pre>')


def _inside_pre(text: str) -> str:
    shown = html_text(text)
    return f"\n{shown}" if shown.startswith("\n") else shown  # a browser drops a line feed after the tag
