"""Front ends that cannot be run here, imitated: VS Code, and Jupyter behind plain http."""

import pytest

import orstats
from orstats.content.content import Content, StoredError, turns
from orstats.content.generation import Generation
from orstats.content.record import ProviderAttempt
from orstats.notebook.html.base import notice, spinner, static_file, style
from orstats.notebook.html.card import details, head
from orstats.notebook.html.content import bubble, stored_error
from orstats.notebook.html.explorer import table
from orstats.notebook.module import pane_script

TEXT = "First *line*\n\n\tthen $5 & <b>more</b>\n"
# VS Code gives widgets a white ground in every theme, has none of Lab's variables where ipywidgets brings none, allows
# inline scripts, no remote ones, and takes the borders off tables.
VSCODE = """<!doctype html><meta http-equiv="Content-Security-Policy" content="default-src 'none';
script-src 'unsafe-inline'; style-src 'unsafe-inline'; img-src data:"><style>
body{background:var(--vscode-editor-background);color:var(--vscode-foreground)}
table,thead,tr,th,td,tbody{border:none!important;text-align:left}
.cell-output-ipywidget-background{background:white!important}
:root{--vscode-editor-background:%s;--vscode-editor-foreground:%s;--vscode-foreground:%s;
--vscode-descriptionForeground:%s;--vscode-textLink-foreground:%s}</style>
<body data-vscode-theme-kind="%s" class="%s"><div class="cell-output-ipywidget-background">%s</div>"""
THEMES = {
    "vscode-dark": ("#1f1f1f", "#cccccc", "#cccccc", "#9d9d9d", "#4daafc"),
    "vscode-light": ("#ffffff", "#3b3b3b", "#3b3b3b", "#3b3b3b", "#005fb8"),
}
# The lowest contrast of any text with its background (WCAG 2 requires 4.5 for small text), and of which text.
LEAST_CONTRAST = """() => {
  const light = c => { const [r, g, b] = c.map(v => (v /= 255) <= .03928 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4);
    return .2126 * r + .7152 * g + .0722 * b };
  const parse = s => { const m = s.match(/[\\d.]+/g).map(Number); return m.length < 4 ? [...m, 1] : m };
  const over = (a, b) => [0, 1, 2].map(i => a[i] * a[3] + b[i] * (1 - a[3]));
  const ground = e => { const all = []; for (; e; e = e.parentElement) {
    all.push(parse(getComputedStyle(e).backgroundColor)); if (all.at(-1)[3] == 1) break }
    return all.reverse().reduce((below, one) => over(one, below), [255, 255, 255]) };
  let least = [99, ""];
  const walk = document.createTreeWalker(document.querySelector("div"), NodeFilter.SHOW_TEXT);
  for (let node; node = walk.nextNode();) {
    const e = node.parentElement;
    if (!node.data.trim() || e.closest("style,[hidden]")) continue;
    const below = ground(e), l = [light(over(parse(getComputedStyle(e).color), below)), light(below)].sort();
    const ratio = (l[1] + .05) / (l[0] + .05);
    if (ratio < least[0]) least = [ratio, e.className + ": " + node.data];
  }
  return least }"""


def shown(df):
    """Return the HTML of a card and an explorer."""
    tried = (ProviderAttempt("A", 429, 162.0, None, ok=False), ProviderAttempt("B", 200, 524.0, None, ok=True))
    good = Generation("gen-1", model="m/x", provider_name="B", cost_usd=0.1, cost_basis="credits", latency=5.0)
    good = Generation(**(vars(good) | {"provider_responses": tried, "native_tokens_prompt": 7, "tokens_total": 7}))
    parts = [head(good), head(Generation("gen-2", fetch_status="not_found", error="HTTP 404")), details(good)]
    calls = [{"id": "c", "function": {"name": "find", "arguments": "{}"}}]
    roles = ("system", "user", "assistant", "tool", "other")
    messages = [{"role": role, "content": TEXT, "tool_calls": calls} for role in roles]
    content = Content.from_wire("gen-1", {"input": {"messages": messages}, "output": {"completion": TEXT}})
    parts += [
        bubble(one, as_markdown=role != "system") for one, role in zip(turns(content), [*roles, "end"], strict=True)
    ]
    parts += [stored_error(StoredError(500, "no", "A", "raw")), notice("odd", "warn"), notice("wrong", "error")]
    card = f'{style("card")}<div class="orstats-card">{"".join(parts)}</div>'
    return f'{style("explorer")}<div class="orstats-explorer">{table(df)}{card}</div>'


@pytest.fixture
def df(sim):
    ids = [*sim.ids[:30], sim.unknown_ids(1, age=9_000)[0]]
    return orstats.fetch(ids, client=sim.client(), progress=False)


@pytest.fixture
def html(df):
    return shown(df)


@pytest.mark.parametrize("kind", THEMES)
def test_all_text_has_enough_contrast_in_vs_code(page, html, kind, pictures):
    errors = []
    page.on("console", lambda message: errors.append(message.text) if message.type == "error" else None)
    page.set_content(VSCODE % (*THEMES[kind], kind, kind, html))
    pictures(page, kind)
    lowest, text = page.evaluate(LEAST_CONTRAST)
    assert lowest >= 4.5, text
    page.locator(".orstats-copy").first.click()
    assert errors == []


DARK = ["rgb(17, 17, 17)", "oklch(0.2 0.02 260)", "lab(15 -1 2)", "color(display-p3 0.1 0.1 0.1)", "#1e1e1eee"]
LIGHT = ["rgb(250, 250, 250)", "oklch(0.98 0 0)", "lab(97 0.1 -2)", "color(srgb 1 1 1 / 0.9)", "white"]


def test_dark_pages_are_recognized_in_every_colour_space(page):
    page.add_script_tag(content=static_file("dark.js").replace("export ", ""))
    is_dark = "([name, colour]) => { document.body.style = `${name}:${colour}`; return isDark(document.body); }"
    for name, dark, light in (("background", DARK, LIGHT), ("color", LIGHT, DARK)):
        assert [one for one in dark if not page.evaluate(is_dark, [name, one])] == []
        assert [one for one in light if page.evaluate(is_dark, [name, one])] == []


RENDER = """async ([code, html]) => {
  const module = await import(URL.createObjectURL(new Blob([code], {type: "text/javascript"})));
  window.sent = [];
  const model = {get: () => ({only: html}), on() {}, off() {}, send: (message) => window.sent.push(message)};
  module.default.render({model, el: document.body});
}"""


def test_the_copy_button_works_on_plain_http(page, html):
    page.route("http://plain.test/", lambda route: route.fulfill(body="<!doctype html>", content_type="text/html"))
    page.goto("http://plain.test/")
    page.evaluate(RENDER, [pane_script(), html])
    assert page.evaluate("window.isSecureContext") is False
    button = page.locator(".orstats-final .orstats-copy")
    button.click()
    assert button.inner_text() == "copied"
    page.evaluate("document.body.prepend(document.createElement('textarea'))")
    page.locator("textarea").focus()
    page.keyboard.press("Control+V")
    assert page.locator("textarea").input_value() == TEXT


def test_bars_are_visible_with_high_contrast(page, html):
    page.emulate_media(forced_colors="active")
    page.set_content(html)
    drawn = page.locator(".orstats-bar rect, .orstats-legend i, .orstats-track rect").evaluate_all(
        "all => all.map(e => getComputedStyle(e)[e.tagName === 'rect' ? 'fill' : 'backgroundColor'])"
    )
    assert drawn
    assert len(set(drawn)) > 2, "each part has its colour"


def test_reduced_motion_stops_the_spinner(page):
    page.set_content(f'{style("card")}<div class="orstats-card">{spinner("asking")}</div>')
    name = "e => getComputedStyle(e).animationName"
    assert page.locator(".orstats-wheel").evaluate(name) == "orstats-turn"
    page.emulate_media(reduced_motion="reduce")
    assert page.locator(".orstats-wheel").evaluate(name) == "none"
