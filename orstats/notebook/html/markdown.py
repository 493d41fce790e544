"""Untrusted Markdown as HTML: parsed without raw HTML, then filtered by a strict allow-list.

This takes the ``markdown`` extra; without it, and for texts too long to parse, text is shown preformatted.
"""

from __future__ import annotations

import functools
import html
import importlib.util
import re
from collections.abc import Callable, Sequence
from typing import Any, Final

from orstats.notebook.html.base import LINK_REL, pre, source
from orstats.text.sanitize import Html, visible_text

#: Longer texts are shown preformatted: parsing time can grow faster than the text.
MAX_LENGTH: Final = 20_000

_TAGS: Final = frozenset(
    (
        *("p", "br", "hr", "h1", "h2", "h3", "h4", "h5", "h6", "ul", "ol", "li", "blockquote", "pre", "code"),
        *("em", "strong", "s", "del", "small", "table", "thead", "tbody", "tr", "th", "td", "a"),
    )
)
#: Elements that get a writing direction of their own, so that each block has that of its text.
_BLOCKS: Final = ("p", "h1", "h2", "h3", "h4", "h5", "h6", "ul", "ol", "li", "blockquote", "pre", "table", "th", "td")
#: Formulas between ``\\(`` and ``\\)``, ``\\[`` and ``\\]``, or double dollar signs; or such a bracket alone.
_FORMULA: Final = re.compile(r"\\\(.*?\\\)|\\\[.*?\\\]|\$\$.+?\$\$|\\[()\[\]]", re.DOTALL)
_LANGUAGE_LENGTH: Final = 40
#: Levels of nested lists and quotes, two for each list. The parser drops what is deeper.
_NESTING: Final = 40


def markdown(text: str) -> Html:
    r"""Return Markdown as harmless HTML, with its source to copy. Images become links; relative links are removed.

    What formatting would lose is kept: the numbers of lists, the language of code, formulas, and the definitions of
    footnotes and link references, which are shown as text.

    Examples
    --------
    >>> markdown("**bold** <script>alert(1)</script>")
    '<div class="orstats-markdown"><p dir="auto"><strong>bold</strong>
    &lt;script&gt;alert(1)&lt;/script&gt;</p>\n</div><pre class="orstats-source" hidden>**bold** ...</pre>'
    """
    if len(text) > MAX_LENGTH or not has_markdown():
        return pre(text)
    try:
        inside = _converter()(visible_text(text))
    except RecursionError:  # nested too deep for the parser
        return pre(text)
    return Html(f'<div class="orstats-markdown">{inside}</div>{source(text)}')


def has_markdown() -> bool:
    """Whether the ``markdown`` extra is installed."""
    return all(importlib.util.find_spec(name) for name in ("markdown_it", "nh3"))


@functools.cache
def _converter() -> Callable[[str], str]:
    import nh3  # noqa: PLC0415 - an extra
    from markdown_it import MarkdownIt  # noqa: PLC0415 - an extra

    # Line breaks stay: prompts are often plain text, in which they mean something.
    parser = MarkdownIt("commonmark", {"html": False, "breaks": True, "maxNesting": _NESTING}).enable(
        ["table", "strikethrough"]
    )
    parser.disable("reference")  # definitions are not shown, and a footnote is one
    parser.inline.ruler.before("escape", "formula", _formula)
    parser.add_render_rule("image", _image_link)
    parser.add_render_rule("list_item_open", _numbered_item)
    parser.add_render_rule("fence", _code_with_language)
    for cell in ("th_open", "td_open"):
        parser.add_render_rule(cell, _aligned_cell)

    def convert(text: str) -> str:
        env: dict[str, Any] = {}
        tokens = parser.parse(text, env)
        if any(token.level + 1 >= _NESTING for token in tokens):
            raise RecursionError("nested too deep")
        return nh3.clean(
            parser.renderer.render(tokens, parser.options, env),
            tags=set(_TAGS),
            attributes={"a": {"href", "title"}, "ol": {"start"}, "li": {"value"}, "th": {"align"}, "td": {"align"}},
            attribute_filter=_filter_attribute,
            url_schemes={"http", "https", "mailto"},
            link_rel=LINK_REL,
            set_tag_attribute_values={"a": {"target": "_blank"}} | {tag: {"dir": "auto"} for tag in _BLOCKS},
        )

    return convert


def _image_link(_renderer: Any, tokens: Sequence[Any], index: int, _options: Any, _env: Any) -> str:
    """Write an image as a link to it: loading it would tell its server who reads this, and when."""
    token = tokens[index]
    address = str(token.attrs.get("src", ""))
    label = html.escape(f"image: {token.content or address}"[:200])
    return f'<a href="{html.escape(address)}">{label}</a>'


def _formula(state: Any, silent: bool) -> bool:
    """Keep formulas as they are: the backslashes of their brackets are not escapes."""
    match = _FORMULA.match(state.src, state.pos, state.posMax)
    if match is None:
        return False
    if not silent:
        state.push("text", "", 0).content = match[0]
    state.pos = match.end()
    return True


def _numbered_item(renderer: Any, tokens: Sequence[Any], index: int, options: Any, env: Any) -> str:
    """Keep the number that was written: "1986." must not become the item after the 10th."""
    token = tokens[index]
    if token.info.isdecimal():
        token.attrSet("value", str(int(token.info)))
    return str(renderer.renderToken(tokens, index, options, env))


def _aligned_cell(renderer: Any, tokens: Sequence[Any], index: int, options: Any, env: Any) -> str:
    """Keep the alignment of a column as an attribute: styles are removed."""
    style = tokens[index].attrs.pop("style", None)
    if style is not None:
        tokens[index].attrSet("align", str(style).rpartition(":")[2])
    return str(renderer.renderToken(tokens, index, options, env))


def _code_with_language(_renderer: Any, tokens: Sequence[Any], index: int, _options: Any, _env: Any) -> str:
    token = tokens[index]
    language = html.escape(token.info.strip()[:_LANGUAGE_LENGTH])
    name = f"<p><small>{language}</small></p>" if language else ""
    return f"{name}<pre><code>{html.escape(token.content)}</code></pre>\n"


def _filter_attribute(_tag: str, name: str, value: str) -> str | None:
    if name == "href" and not value.lower().startswith(("http://", "https://", "mailto:")):
        return None  # a relative link would lead to this Jupyter server
    return value
