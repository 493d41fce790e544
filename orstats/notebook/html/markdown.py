"""Markdown of strangers to HTML: parsed without raw HTML, then passed through a strict allow-list.

With the ``markdown`` extra; without it, or for texts too long to parse, the text is shown as it is.
"""

from __future__ import annotations

import functools
import html
import importlib.util
from collections.abc import Callable, Sequence
from typing import Any, Final

from orstats.notebook.html.base import pre, source
from orstats.text.sanitize import Html, visible_text

#: Longer texts are shown as they are: parsing time can grow faster than the text.
LONGEST: Final = 20_000

_TAGS: Final = frozenset(
    {
        "p",
        "br",
        "hr",
        "h1",
        "h2",
        "h3",
        "h4",
        "h5",
        "h6",
        "ul",
        "ol",
        "li",
        "blockquote",
        "pre",
        "code",
        "em",
        "strong",
        "s",
        "del",
        "table",
        "thead",
        "tbody",
        "tr",
        "th",
        "td",
        "a",
    }
)
_REL: Final = "noopener noreferrer nofollow"


def markdown(text: str) -> Html:
    r"""Return Markdown as HTML of harmless tags, with its source to copy. Images become links; no link is relative.

    Examples
    --------
    >>> markdown("**bold** <script>alert(1)</script>")
    '<div class="orstats-markdown" dir="auto"><p><strong>bold</strong>
    &lt;script&gt;alert(1)&lt;/script&gt;</p>\n</div><pre class="orstats-source" hidden>**bold** ...</pre>'
    """
    if len(text) > LONGEST or (convert := _converter()) is None:
        return pre(text)
    try:
        inside = convert(visible_text(text))
    except RecursionError:  # nested deeper than the parser can follow
        return pre(text)
    return Html(f'<div class="orstats-markdown" dir="auto">{inside}</div>{source(text)}')


def has_markdown() -> bool:
    """Whether the ``markdown`` extra is there."""
    return _converter() is not None


@functools.cache
def _converter() -> Callable[[str], str] | None:
    if importlib.util.find_spec("markdown_it") is None or importlib.util.find_spec("nh3") is None:
        return None
    import nh3  # noqa: PLC0415 - an extra
    from markdown_it import MarkdownIt  # noqa: PLC0415 - an extra

    # A line break stays one: prompts are plain text as often as not, and their lines mean something.
    parser = MarkdownIt("commonmark", {"html": False, "breaks": True}).enable(["table", "strikethrough"])
    parser.add_render_rule("image", _image)

    def convert(text: str) -> str:
        return nh3.clean(
            parser.render(text),
            tags=set(_TAGS),
            attributes={"a": {"href", "title"}, "ol": {"start"}},
            attribute_filter=_attribute,
            url_schemes={"http", "https", "mailto"},
            link_rel=_REL,
            set_tag_attribute_values={"a": {"target": "_blank"}},
        )

    return convert


def _image(_renderer: Any, tokens: Sequence[Any], index: int, _options: Any, _env: Any) -> str:
    """Write an image as a link to it: an image that loads would tell its server who reads this, and when."""
    token = tokens[index]
    source = str(token.attrs.get("src", ""))
    label = html.escape(f"image: {token.content or source}"[:200])
    return f'<a href="{html.escape(source)}">{label}</a>'


def _attribute(_tag: str, name: str, value: str) -> str | None:
    if name == "href" and not value.lower().startswith(("http://", "https://", "mailto:")):
        return None  # a relative link would lead to this Jupyter server
    return value
