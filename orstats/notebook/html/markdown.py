"""Untrusted Markdown as HTML: parsed without raw HTML, then filtered by a strict allow-list.

This takes the ``markdown`` extra; without it, and for texts too long to parse, text is shown preformatted.
"""

from __future__ import annotations

import functools
import html
import importlib.util
from collections.abc import Callable, Sequence
from typing import Any, Final

from orstats.notebook.html.base import LINK_REL, pre, source
from orstats.text.sanitize import Html, visible_text

#: Longer texts are shown preformatted: parsing time can grow faster than the text.
MAX_LENGTH: Final = 20_000

_TAGS: Final = frozenset(
    (
        *("p", "br", "hr", "h1", "h2", "h3", "h4", "h5", "h6", "ul", "ol", "li", "blockquote", "pre", "code"),
        *("em", "strong", "s", "del", "table", "thead", "tbody", "tr", "th", "td", "a"),
    )
)


def markdown(text: str) -> Html:
    r"""Return Markdown as harmless HTML, with its source to copy. Images become links; relative links are removed.

    Examples
    --------
    >>> markdown("**bold** <script>alert(1)</script>")
    '<div class="orstats-markdown" dir="auto"><p><strong>bold</strong>
    &lt;script&gt;alert(1)&lt;/script&gt;</p>\n</div><pre class="orstats-source" hidden>**bold** ...</pre>'
    """
    if len(text) > MAX_LENGTH or not has_markdown():
        return pre(text)
    try:
        inside = _converter()(visible_text(text))
    except RecursionError:  # nested too deep for the parser
        return pre(text)
    return Html(f'<div class="orstats-markdown" dir="auto">{inside}</div>{source(text)}')


def has_markdown() -> bool:
    """Whether the ``markdown`` extra is installed."""
    return all(importlib.util.find_spec(name) for name in ("markdown_it", "nh3"))


@functools.cache
def _converter() -> Callable[[str], str]:
    import nh3  # noqa: PLC0415 - an extra
    from markdown_it import MarkdownIt  # noqa: PLC0415 - an extra

    # Line breaks stay: prompts are often plain text, in which they mean something.
    parser = MarkdownIt("commonmark", {"html": False, "breaks": True}).enable(["table", "strikethrough"])
    parser.add_render_rule("image", _image_link)

    def convert(text: str) -> str:
        return nh3.clean(
            parser.render(text),
            tags=set(_TAGS),
            attributes={"a": {"href", "title"}, "ol": {"start"}},
            attribute_filter=_filter_attribute,
            url_schemes={"http", "https", "mailto"},
            link_rel=LINK_REL,
            set_tag_attribute_values={"a": {"target": "_blank"}},
        )

    return convert


def _image_link(_renderer: Any, tokens: Sequence[Any], index: int, _options: Any, _env: Any) -> str:
    """Write an image as a link to it: loading it would tell its server who reads this, and when."""
    token = tokens[index]
    address = str(token.attrs.get("src", ""))
    label = html.escape(f"image: {token.content or address}"[:200])
    return f'<a href="{html.escape(address)}">{label}</a>'


def _filter_attribute(_tag: str, name: str, value: str) -> str | None:
    if name == "href" and not value.lower().startswith(("http://", "https://", "mailto:")):
        return None  # a relative link would lead to this Jupyter server
    return value
