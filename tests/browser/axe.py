"""axe-core, which finds what hinders users of assistive technology. `make check` installs it."""

from pathlib import Path

import pytest

AXE = Path(__file__).parent / "node_modules" / "axe-core" / "axe.min.js"
needs_axe = pytest.mark.skipif(not AXE.exists(), reason="axe-core is not installed: run make check, with npm")
RUN = """async (within) => (await axe.run(within)).violations
  .filter((one) => ["serious", "critical"].includes(one.impact))
  .map((one) => [one.id, one.nodes[0].html, one.nodes[0].failureSummary])"""


def serious(page, within="body"):
    """Return what axe finds in a part of the page, without the minor and moderate."""
    page.evaluate(AXE.read_text("utf-8"))
    return page.evaluate(RUN, within)
