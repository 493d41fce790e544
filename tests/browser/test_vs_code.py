"""The modules in a page like the webview that VS Code shows notebooks in, as its sources have it.

https://github.com/microsoft/vscode/blob/main/src/vs/workbench/contrib/notebook/browser/view/renderers/backLayerWebView.ts
"""

import pytest
from playwright.sync_api import expect
from test_elsewhere import LEAST_CONTRAST, THEMES
from widget_host import Place, WidgetHost

import orstats
from orstats.notebook.explorer import Explorer

# Rules for tables that every output gets, a white ground below ipywidgets in every theme, and the theme's colours.
STYLE = """<style>
body{padding:0;color:var(--vscode-foreground);background:var(--vscode-editor-background);overflow:hidden}
main{position:absolute;width:100%%;top:0;left:0} #host{background:white}
table,thead,tr,th,td,tbody{border:none!important;border-spacing:0;border-collapse:collapse}
table,th,tr{vertical-align:middle;text-align:right} th,td{padding:4px 8px}
thead{font-weight:bold;background-color:rgba(130,130,130,.16)}
tr:nth-child(even){background-color:rgba(130,130,130,.08)}
:root{--vscode-editor-background:%s;--vscode-editor-foreground:%s;--vscode-foreground:%s;
--vscode-descriptionForeground:%s;--vscode-textLink-foreground:%s}</style>"""
#: Applied with the setting notebook.experimental.enableCsp, which is off unless a user turns it on.
OPTIONAL_POLICY = (
    "default-src 'none'; script-src 'self' https://*.vscode-cdn.net 'unsafe-inline' 'unsafe-eval'; "
    "style-src 'self' https://*.vscode-cdn.net 'unsafe-inline'; img-src 'self' https: http: data:; "
    "font-src 'self' https:; connect-src https:; child-src https: data:"
)


def webview(kind, **options):
    attributes = f'data-vscode-theme-kind="{kind}" class="{kind}"'
    return Place(**{"policy": None, "head": STYLE % THEMES[kind], "body": attributes} | options)


@pytest.fixture(scope="module")
def df(sim):
    return orstats.fetch(sim.ids, client=sim.client(), progress=False, archive=False)


@pytest.mark.parametrize("kind", THEMES)
def test_the_table_loads_and_is_legible(page, df, kind, pictures):
    explorer = Explorer(df)
    explorer.selected = explorer.filtered.index[5]
    dark = kind.endswith("dark")
    host = WidgetHost(page, explorer.table, place=webview(kind), dark=dark, height="700px")
    rows = page.locator(".orstats-grid tbody tr")
    expect(rows).to_have_count(25)
    assert rows.nth(1).evaluate("row => getComputedStyle(row).backgroundColor") == "rgba(0, 0, 0, 0)"
    page.get_by_role("button", name="Next page").click()
    expect(page.get_by_text("26 to 50 of 300")).to_be_visible()
    pictures(page, f"{kind}-table")
    lowest, text = page.evaluate(LEAST_CONTRAST)
    assert lowest >= 4.5, text
    assert host.errors == []


@pytest.mark.parametrize("kind", THEMES)
def test_timeline_and_card_load_and_are_legible(page, df, sim, kind, pictures):
    card = orstats.view_session(df, orstats.sessions(df)["generations"].idxmax(), client=sim.client(), archive=False)
    host = WidgetHost(page, card, place=webview(kind), dark=kind.endswith("dark"))
    page.get_by_role("button", name="2: open generation", exact=True).click()
    page.get_by_role("button", name="Load prompt and completion").click()
    expect(page.get_by_text("Raw JSON")).to_be_visible()
    pictures(page, f"{kind}-session")
    lowest, text = page.evaluate(LEAST_CONTRAST)
    assert lowest >= 4.5, text
    assert host.errors == []


def test_the_optional_policy_refuses_the_module_of_any_anywidget(page, df):
    """The documentation says so; anywidget loads a module from a blob, which the policy does not list."""
    host = WidgetHost(page, Explorer(df).table, place=webview("vscode-light", policy=OPTIONAL_POLICY, loads=False))
    assert host.until(lambda: any("blob:" in one for one in host.errors))
    expect(page.locator("#host > *")).to_have_count(0)
