"""Reports in notebooks: formatted, legible in light and dark themes, and harmless."""

import pytest
from playwright.sync_api import expect

REPORTS = """
import orstats, pandas as pd
from orstats.frame.build import FetchOutcome, build_frame
from orstats.frame.record_table import to_table
names = ["openai/gpt-4.1", "<img src=x onerror=document.title='run'>$a$ and $b$", "gpt-\\u202egnp"]
records = [{"model": name, "total_cost": cost, "is_byok": False, "streamed": True, "latency": ms,
            "native_tokens_prompt": 1_000_000, "native_tokens_completion": 5}
           for name, cost, ms in zip(names, (1234.5, 0.25, 0.0), (327.0, 33_812.0, 5.0))]
ids = [f"gen-{n}" for n in range(3)]
pending = FetchOutcome("pending", 404, 3, "Not yet.")
df = build_frame([*ids, "gen-9"], [to_table(ids, records, [0.0] * 3)], {"gen-9": pending})
display(orstats.cost_by(df), orstats.latency_by(df), orstats.summary(df), orstats.failures(df))
print(orstats.cost_by(df))
"""


@pytest.mark.parametrize("front_end", ["lab", "notebook7"], ids=["light", "dark"])
def test_reports_are_formatted_and_escaped(page, front_end, request, pictures):
    request.getfixturevalue(front_end)(page, REPORTS)
    tables = page.locator("table.dataframe")
    expect(tables).to_have_count(4)
    costs = tables.first
    expect(costs.get_by_role("cell", name="$1,234.50", exact=True).first).to_be_visible()
    expect(costs.locator("tbody th").nth(2)).to_have_text("gpt-[U+202E]gnp")
    expect(costs.locator("tbody th").nth(1)).to_contain_text("<img src=x onerror=document.title='run'>$a$ and $b$")
    expect(tables.nth(1).get_by_role("cell", name="33.812 s", exact=True).first).to_be_visible()
    expect(tables.nth(3)).to_contain_text("records become available a few seconds after the generation finishes.")
    assert "run" not in page.title()
    assert page.locator(".MathJax, mjx-container").count() == 0
    advice = tables.nth(3).locator("td").last
    assert advice.evaluate("cell => getComputedStyle(cell).textAlign") == "left"
    assert costs.locator("td").first.evaluate("cell => getComputedStyle(cell).textAlign") == "right"
    pictures(page, f"reports-{front_end}")
