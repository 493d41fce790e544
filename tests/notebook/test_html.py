"""HTML of untrusted input: hostile text is shown as text."""

import base64
import html as html_module
import re
import struct
import sys
import zlib
from html.parser import HTMLParser
from pathlib import Path

import orjson
import pytest

import orstats.notebook
from orstats.content.content import Content, StoredAttempt, StoredError, turns
from orstats.content.generation import Generation
from orstats.content.html_card import static_card
from orstats.content.record_facts import status_label
from orstats.notebook.html.base import image, link, pre
from orstats.notebook.html.card import details, head
from orstats.notebook.html.content import bubble, raw_json, reasoning, stored_error
from orstats.notebook.html.image_check import MAX_BYTES, checked_image
from orstats.notebook.html.markdown import markdown

STATIC = Path(orstats.notebook.__file__).parent / "static"
HOSTILE = [
    "<script>window.bad=1</script>",
    "<img src=x onerror=alert(1)>",
    "<svg/onload=alert(1)>",
    "<iframe srcdoc='<script>1</script>'></iframe>",
    "<style>*{display:none}</style>",
    "</pre></div><script>1</script>",
    '"><b onmouseover=alert(1)>x</b>',
    "<details open ontoggle=alert(1)>x</details>",
    "[click](javascript:alert(1)) [x](data:text/html,<script>1</script>) [y](vbscript:x)",
    "![beacon](http://evil.example/x.png) ![b][r]\n\n[r]: http://evil.example/y.png",
    '<button data-commandlinker-command="terminal:create-new">x</button>',
    "[lab](/lab/api/kernels) [up](../..) [proto](//evil.example/x)",
    "<a href='http://x' onclick=alert(1)>x</a> <http://ok.example/\"onclick=alert(1)>",
    '| <img src=x onerror=1> |\n|---|\n| [a](javascript:1) |\n\n```js" onload="1\n<script>\n```',
]
TAGS = set(
    re.findall(
        r"[a-z1-6]+",
        "p br hr h1 h2 h3 h4 h5 h6 ul ol li blockquote pre code em strong s del table thead tbody tr th td a "
        "div span bdi small b i mark button img svg rect",
    )
)


class Seen(HTMLParser):
    """Collects every tag and attribute that a browser's parser would find."""

    def __init__(self):
        super().__init__()
        self.found = []

    def handle_starttag(self, tag, attrs):
        self.found.append((tag, dict(attrs)))


def harmless(html):
    seen = Seen()
    seen.feed(html)
    for tag, attrs in seen.found:
        assert tag in TAGS, tag
        for name, value in attrs.items():
            allowed = {
                "align",
                "class",
                "dir",
                "href",
                "title",
                "rel",
                "target",
                "style",
                "start",
                "src",
                "alt",
                "type",
                "hidden",
                "value",
            }
            actions = {"data-action", "data-value", "aria-pressed", "aria-label"}
            assert (
                name in allowed
                or (tag == "button" and name in actions)
                or name in ("role", "tabindex", "aria-label")
                or tag in ("svg", "rect")
            ), (tag, name)
            if name == "data-action":
                assert value in ("copy", "fold", "format"), value
            if name == "href":
                assert value.startswith(("http://", "https://", "mailto:")), value
                assert attrs["target"] == "_blank"
                assert "noopener" in attrs["rel"]
            if name == "src":
                assert value.startswith("data:image/"), value
            if name == "style":
                assert "url" not in value
    return seen.found


@pytest.mark.parametrize("text", HOSTILE)
@pytest.mark.parametrize("as_markdown", [True, False])
def test_hostile_messages_are_harmless(text, as_markdown):
    content = Content.from_wire(
        text,
        {
            "input": {
                "messages": [
                    {"role": text, "name": text, "content": text},
                    {"role": "tool", "tool_call_id": text, "content": [{"type": text, "x": text}]},
                    {
                        "role": "user",
                        "content": [
                            {"type": "image_url", "image_url": {"url": text}},
                            {"type": "input_audio", "input_audio": {"data": text, "format": text}},
                            {"type": "file", "file": {"filename": text, "file_data": text}},
                        ],
                    },
                    {
                        "role": "assistant",
                        "content": None,
                        "tool_calls": [{"id": text, "function": {"name": text, "arguments": text}}],
                    },
                ]
            },
            "output": {"completion": text, "reasoning": text},
            "error": {"message": text, "raw": text, "provider_name": text, "previous_errors": [{"message": text}]},
        },
    )
    for turn in turns(content):
        harmless(bubble(turn, as_markdown=as_markdown))
        harmless(bubble(turn, query=text[:3]))
    harmless(reasoning(content.reasoning))
    harmless(stored_error(content.error))
    harmless(raw_json(orjson.loads(content.raw)))


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_records_are_harmless(text):
    named = ("id", "model", "provider_name", "external_user", "session_id", "user_agent", "finish_reason")
    row = dict.fromkeys(named, text)
    row |= {"provider_responses": [{"provider_name": text, "status": 503}, {"provider_name": text, "status": 200}]}
    for status in ("ok", "not_found", text):
        generation = Generation.from_row(row | {"fetch_status": status, "error": text})
        harmless(head(generation))
        harmless(details(generation))
        harmless(static_card(generation).replace("<code>", "").replace("</code>", ""))


def test_markdown_is_formatted_and_images_are_links():
    html = markdown("**b** `c`\n\n| a |\n|---|\n| 1 |\n\n![pic](https://e.example/p.png)")
    assert "<strong>b</strong>" in html
    assert '<td dir="auto">1</td>' in html
    assert '<a href="https://e.example/p.png"' in html
    assert "image: pic" in html
    assert "<img" not in html


def test_line_breaks_in_markdown_are_kept():
    html = markdown("Name: Ann\nAge: 3\n\n- one\n- two")
    assert re.search(r"Name: Ann<br>\s*Age: 3", html)
    assert html.count("<li ") == 2


def test_each_block_of_markdown_has_its_own_direction():
    html = markdown("# Heading\n\n\u05e9\u05dc\u05d5\u05dd\n\n- one\n\n> two")
    assert set(re.findall(r"<(h1|p|ul|li|blockquote)(?: dir=\"(\w+)\")", html)) >= {("h1", "auto"), ("p", "auto")}
    assert '<div class="orstats-markdown">' in html
    assert not re.search(r"<(h1|p|ul|li|blockquote)>", html)


def test_markdown_keeps_what_formatting_would_lose():
    shown = markdown(r"so \(a_1*b*c\) and \[x\], $$p \\ q$$, \[left and \*star\*").split("<pre")[0]
    assert r"so \(a_1*b*c\) and \[x\], $$p \\ q$$, \[left and *star*" in shown
    assert "[^1]: the footnote" in markdown("text[^1]\n\n[^1]: the footnote")
    assert "[r]: http" in markdown("[r]: http://ok.example/").replace('<a href="', "")
    assert 'value="1986"' in markdown("10. ten\n1986. a year").replace(' dir="auto"', "")
    assert "<small>python</small>" in markdown("```python\nx = 1\n```")
    harmless(markdown("7) a\n\n```<script>\nx\n```"))


def test_without_the_extra_markdown_is_preformatted(monkeypatch):
    monkeypatch.setitem(sys.modules, "nh3", None)
    assert markdown("**b** <x>") == pre("**b** <x>")


def test_control_characters_and_direction_overrides_are_visible():
    html = pre("a\x00\x1b[31m\u202eevil\u2066\r\nb\ud800")
    assert "a[U+0000][U+001B][31m[U+202E]evil[U+2066]\nb\ufffd" in html
    html.encode()  # text that is not valid UTF-8 would break the connection to the browser
    assert 'dir="auto"' in pre("שלום")


def test_dollar_signs_are_not_read_as_formulas():
    generation = Generation.from_row({"id": "gen-1", "model": "$5 and $7", "cost_usd": 1.0, "cost_basis": "credits"})
    for html in (head(generation), static_card(generation)):
        assert re.match(r'<div class="[^"]*tex2jax_ignore mathjax_ignore', html)


def png(width=1, height=1):
    def chunk(name, data):
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    pixels = zlib.compress(b"\x00\x01\x02\x03")
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", pixels) + chunk(b"IEND", b"")


def url(body, kind="image/png"):
    return f"data:{kind};base64,{base64.b64encode(body).decode()}"


AVIF = b"\0\0\0\x18ftypavif" + b"\0" * 30 + b"\0\0\0\x14ispe\0\0\0\0\0\0\0\x02\0\0\0\x03"
JPEG = b"\xff\xd8\xff\xe0\x00\x04ab\xff\xc0\x00\x11\x08\x00\x02\x00\x03" + b"\0" * 20


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (png(), "png"),
        (b"GIF89a\x02\x00\x02\x00" + b"\0" * 9, "gif"),
        (JPEG, "jpeg"),
        (b"RIFF\0\0\0\0WEBPVP8X" + b"\0" * 20, "webp"),
        (b"RIFF\0\0\0\0WEBPVP8L\0\0\0\0/" + b"\0" * 8, "webp"),
        (b"RIFF\0\0\0\0WEBPVP8 " + b"\0" * 20, "webp"),
        (AVIF, "avif"),
    ],
)
def test_valid_images_are_shown_with_their_real_type(body, kind):
    assert checked_image(url(body, "image/whatever")) == url(body, f"image/{kind}")
    assert f'src="data:image/{kind};base64,' in image(url(body, "text/html"))


def test_base64_without_padding_or_of_the_url_alphabet_is_read():
    body = png() + b"\xfb\xff"
    given = url(body).rstrip("=")
    assert len(given) < len(url(body))
    assert checked_image(given) == url(body)
    head, _, text = given.partition(",")
    assert checked_image(f"{head},{text.translate(str.maketrans('+/', '-_'))}") == url(body)


@pytest.mark.parametrize(
    ("given", "problem"),
    [
        ("data:image/svg+xml;base64," + base64.b64encode(b"<svg onload=1>").decode(), "not a PNG"),
        ("data:image/png;base64,####", "invalid base64"),
        ("data:image/png;base64,", "not a PNG"),
        ("data:image/png,abc", "not a base64"),
        ("data:", "not a base64"),
        (url(png()[:18]), "damaged"),
        (url(JPEG[:6]), "damaged"),
        (url(AVIF[:20]), "damaged"),
        (url(AVIF[:-2]), "damaged"),
        (url(png(50_000, 50_000)), "too large to draw"),
        ("data:image/png;base64," + "A" * (MAX_BYTES * 2), "too large to show"),
        ("data:image/png;base64," + "A" * 27_000_000, "20.2 MB, too large"),
    ],
)
def test_invalid_images_are_described(given, problem):
    with pytest.raises(ValueError, match=problem):
        checked_image(given)
    html = image(given)
    assert "<img" not in html
    assert len(html) < 500


@pytest.mark.parametrize("url", ["http:/lab/tree", "http:lab", "https:", "http:?token", "//lab", "/lab", "http:///lab"])
def test_links_without_a_host_are_text(url):
    """A browser would resolve them against the Jupyter server."""
    assert "href" not in link(url, "image")
    assert "href" not in image(url)


def test_remote_images_are_linked_and_never_loaded():
    html = image("https://evil.example/beacon.png?u=1")
    assert "<img" not in html
    assert "not loaded" in html
    assert harmless(html)[1][1]["href"] == "https://evil.example/beacon.png?u=1"


def test_large_content_is_bounded():
    big = "x" * 5_000_000
    content = Content.from_wire("gen-1", {"input": {"messages": [{"role": "user", "content": big}] * 3}, "output": {}})
    turn = turns(content)[0]
    assert len(bubble(turn)) < 10_000  # the text, and its source to copy
    assert len(bubble(turn, opened=True)) < 210_000
    assert "5,000,000" in bubble(turn)
    assert len(bubble(turn, query="x")) < 5_000
    assert len(raw_json(orjson.loads(content.raw))) < 5_000
    assert len(reasoning(big)) < 210_000
    attempts = tuple(StoredAttempt(500, big, big, big) for _ in range(200))
    assert len(stored_error(StoredError(500, big, big, big, attempts))) < 500_000
    deep = []
    for _ in range(200):
        deep = [deep]
    assert len(raw_json(deep)) < 100_000
    parts = [{"type": "text", "text": "y" * 5_000}] * 10_000
    many = Content.from_wire("gen-1", {"input": {"messages": [{"role": "user", "content": parts}]}})
    assert len(bubble(turns(many)[0])) < 20_000


def sources(html):
    return [html_module.unescape(one) for one in re.findall(r'orstats-source"[^>]*>(.*?)</pre>', html, re.DOTALL)]


@pytest.mark.parametrize("as_markdown", [True, False])
def test_copy_button_copies_the_original_text(as_markdown):
    text = "\n# *Title* & <b>\n\n- `x`  \n"
    html = bubble(turn_of(text), as_markdown=as_markdown)
    assert sources(html) == ["\n" + text]  # browsers drop the first line feed
    assert ">copy</button>" in html
    assert "orstats-copy" not in bubble(turn_of(text), query="title")


def test_copy_button_says_when_it_copies_a_part():
    for text, opened in (("x" * 4_001, False), ("x" * 200_001, True)):
        assert ">copy part</button>" in bubble(turn_of(text), opened=opened)
    assert ">copy</button>" in bubble(turn_of("x" * 4_001), opened=True)
    assert ">copy part</button>" in reasoning("x" * 200_001)
    message = {"role": "user", "content": "short", "reasoning": "y" * 5_000}
    html = bubble(turn_of(message))
    assert ">copy part</button>" in html
    assert "the first 2,000 of 5,000" in html


def turn_of(message):
    message = message if isinstance(message, dict) else {"role": "user", "content": message}
    return turns(Content.from_wire("gen-1", {"input": {"messages": [message]}}))[0]


def test_only_html_modules_make_html():
    folder = Path(orstats.notebook.__file__).parent
    modules = [*folder.glob("*.py"), *folder.parent.glob("content/*.py")]
    assert len(modules) > 10
    tag = re.compile(r"""["'][^"'\n]*</?[a-z]""")
    offenders = {
        path.name
        for path in modules
        if path.name != "html_card.py" and any(tag.search(code(one)) for one in path.read_text().splitlines())
    }
    assert not offenders
    assert tag.search('x = "<div>"')


def code(text):
    return "" if text.lstrip().startswith(("#", ">>>")) else text


@pytest.mark.parametrize(
    ("known", "label"),
    [
        ({"api_type": "video"}, ("ok", "good")),
        ({"api_type": "embeddings", "finish_reason": ""}, ("ok", "good")),
        ({"api_type": "completions"}, ("ended", "unusual")),
        ({}, ("ended", "unusual")),
        ({"api_type": "completions", "finish_reason": "tool_calls"}, ("tool calls", "good")),
        ({"api_type": "completions", "finish_reason": "length"}, ("length", "unusual")),
        ({"api_type": "video", "finish_reason": "error"}, ("failed", "bad")),
        ({"finish_reason": "stop", "fallbacks": 1}, ("ok, 1 fallback", "unusual")),
        ({"finish_reason": "error", "fallbacks": 2}, ("failed, 2 fallbacks", "bad")),
    ],
)
def test_status_label_needs_a_finish_reason_for_text_only(known, label):
    assert status_label(Generation("gen-1", **known)) == label


def test_static_card_omits_missing_times_and_tokens():
    card = static_card(Generation("gen-1", cost_usd=0.4, generation_time=53_600.0))
    assert "none counted for this call" in card
    assert ">53.6 s total<" in card
    assert "?" not in card
    assert "duration" not in static_card(Generation("gen-1"))


def test_static_files_are_well_formed():
    """Style sheets must not end their element; modules are run by the browser tests."""
    scripts, sheets = list(STATIC.glob("*.js")), list(STATIC.glob("*.css"))
    assert scripts
    assert sheets
    for path in [*scripts, *sheets]:
        text = path.read_text("utf-8")
        code = re.sub(r"/\*.*?\*/", "", text, flags=re.DOTALL)
        assert all(code.count(left) == code.count(right) for left, right in ("()", "[]", "{}")), path.name
        assert "</style" not in text, path.name


def test_style_sheets_and_html_use_the_same_classes():
    sheets = "".join(path.read_text("utf-8") for path in STATIC.glob("*.css"))
    folders = (STATIC.parent, STATIC.parents[1] / "content")
    kinds = [path for folder in folders for kind in ("*.py", "*.js") for path in folder.rglob(kind)]
    modules = "".join(path.read_text("utf-8") for path in kinds)
    styled = set(re.findall(r"\.orstats-([a-z]+)", sheets))
    assert len(styled) > 50
    assert {name for name in styled if f"orstats-{name}" not in modules and f'"{name}"' not in modules} == set()


@pytest.mark.parametrize("levels", [1, 15, 60, 3_000])
@pytest.mark.parametrize("opening", ["> ", "  "])
def test_no_level_of_nested_markdown_is_lost(levels, opening):
    text = "\n".join(f"{opening * level}- level {level}" for level in range(min(levels, 80)))
    text += f"\n\n{'> ' * levels}the end"
    shown = re.sub(r'<pre class="orstats-source" hidden>.*', "", markdown(text), flags=re.DOTALL)
    assert f"level {min(levels, 80) - 1}" in shown
    assert "the end" in shown


def test_columns_of_tables_keep_their_alignment():
    shown = markdown("| a | b | c |\n|--:|:-:|---|\n| 1 | 2 | 3 |")
    assert re.findall(r'<td[^>]* align="(\w+)"', shown) == ["right", "center"]
