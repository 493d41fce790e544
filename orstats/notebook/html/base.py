"""The only door from strangers' text to HTML. Jupyter trusts what a widget shows, so nothing else may make HTML.

Prompts, completions, ids, user names and even model names are written by strangers. Here each becomes text that is
escaped (:mod:`orstats.text.sanitize`) and bounded; or Markdown through an allow-list
(:mod:`orstats.notebook.html.markdown`); or an image whose bytes were checked
(:mod:`orstats.notebook.html.image_check`). A test holds that no other part of the notebook makes HTML.
"""

from __future__ import annotations

import html
import re
from typing import Final
from urllib.parse import urlsplit

from orstats.notebook.html.image_check import read_image
from orstats.text.sanitize import LINE, Html, html_line, html_text, visible_text


def span(value: object, kind: str, width: int = LINE) -> Html:
    """Return text of one line in a box of its own direction. `kind` is a class of ours."""
    return Html(f'<bdi class="{html.escape(kind)}">{html_line(value, width)}</bdi>')


def pre(text: object, limit: int | None = None) -> Html:
    """Return preformatted text, whole or its first `limit` characters."""
    whole = str(text)
    shown = whole if limit is None else whole[:limit]
    return Html(f'<pre class="orstats-text {SOURCE}" dir="auto">{_inside_pre(shown)}</pre>')


def found(text: str, query: str, *, around: int = 160, most: int = 5) -> Html:
    """Return the places of a text where `query` occurs (in any case), marked, with what stands around them."""
    pieces: list[str] = []
    # Lower case may change the length of a text (İ), so the places are sought by a pattern in the text itself.
    for match in re.finditer(re.escape(query), text, re.IGNORECASE):
        if len(pieces) == most:
            pieces.append("<i>and more</i>")
            break
        start, end = match.span()
        before, hit, after = text[max(0, start - around) : start], text[start:end], text[end : end + around]
        left, right = "…" * (start > around), "…" * (end + around < len(text))
        marked = f"<mark>{html_text(hit)}</mark>"
        pieces.append(f"{left}{html_text(before)}{marked}{html_text(after)}{right}")
    return Html(f'<pre class="orstats-text" dir="auto">{"<br><br>".join(pieces)}</pre>')


def link(url: str, label: str) -> Html:
    """Return a link that opens in a new tab and tells nothing of where it came from; text for other schemes.

    Without a host it is text, too: ``http:/lab`` would lead to this Jupyter server.

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
        return Html(f"{html_line(label)} ({html_line(url)})")
    rel = "noopener noreferrer nofollow"
    return Html(f'<a href="{html.escape(url[:2000])}" target="_blank" rel="{rel}">{html_line(label)}</a>')


def image(url: str) -> Html:
    """Return an image of a ``data:`` URL if it is a good one, else what it is in words. Remote ones are links only."""
    if url[:5].lower() != "data:":
        return Html(f'<div class="orstats-media">Image, not loaded: {link(url, url)}</div>')
    checked = read_image(url)
    if checked.problem:
        return media("Image", checked.problem)
    return Html(f'<img class="orstats-image" alt="image in the conversation" src="{checked.data}">')


def media(kind: str, about: str) -> Html:
    """Return a line about what is there and not shown: audio, files, odd images."""
    return Html(f'<div class="orstats-media">{html_line(kind)}: {span(about, "orstats-quiet")}</div>')


def notice(text: str, kind: str = "note") -> Html:
    """Return a message in a box: `kind` is ``note``, ``warn`` or ``error``."""
    return Html(
        f'<div class="orstats-notice orstats-{html.escape(kind)}">{html.escape(visible_text(text)[:1000])}</div>'
    )


def spinner(text: str) -> Html:
    """Return a turning wheel and what is waited for."""
    return Html(f'<div class="orstats-wait"><span class="orstats-wheel"></span>{html_line(text)}</div>')


#: The class of the texts that a copy button takes.
SOURCE: Final = "orstats-source"


def copyable(inside: Html, *, whole: bool = True) -> Html:
    """Return HTML with a button that copies the texts in it: those of :func:`pre`, and :func:`source`.

    The handler is a constant: no word of a stranger is in it.
    """
    label, title = ("copy", "Copy the text") if whole else ("copy part", "Copy what is shown here: there is more")
    return Html(
        f'<div class="orstats-box"><button type="button" class="orstats-copy" title="{title}" onclick="{_COPY}">'
        f"{label}</button>{inside}</div>"
    )


def source(text: str) -> Html:
    """Return the text that a copy button takes where another form of it is shown. It is not seen."""
    return Html(f'<pre class="{SOURCE}" hidden>{_inside_pre(text)}</pre>')


def _inside_pre(text: str) -> str:
    # A browser drops a line feed that follows the tag.
    shown = visible_text(text)
    return ("\n" if shown.startswith("\n") else "") + html.escape(shown)


# The clipboard's newer door is shut on plain http and in some frames; then the older one is tried, and at last the text
# is left selected, for Ctrl-C.
_COPY: Final = (
    "var b=this,s=b.parentElement.querySelectorAll('.orstats-source'),"
    "t=Array.from(s,function(e){return e.textContent}).join('\\n'),l=b.dataset.label||(b.dataset.label=b.textContent);"
    "function say(w){b.textContent=w;setTimeout(function(){b.textContent=l},2000)}"
    "function old(){var a=document.createElement('textarea');a.value=t;a.style.cssText='position:fixed;opacity:0';"
    "b.after(a);a.select();var k=false;try{k=document.execCommand('copy')}catch(e){}a.remove();b.focus();"
    "if(k)say('copied');else{getSelection().selectAllChildren(b.parentElement);say('press Ctrl-C')}}"
    "if(window.isSecureContext&amp;&amp;navigator.clipboard)"
    "navigator.clipboard.writeText(t).then(function(){say('copied')},old);else old()"
)
