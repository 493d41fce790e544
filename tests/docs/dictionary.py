"""The data dictionary in docs/reference/columns.md and its extract in docs/explanation/numbers.md.

Run this file to rewrite both.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from orstats.frame.schema import COLUMNS, DERIVED, ID

ROOT = Path(__file__).parents[2]
README = ROOT / "README.md"
DOCS = ROOT / "docs"
#: What a person reads: the README and the pages of the documentation.
PAGES = [README, *sorted(DOCS.rglob("*.md"))]
#: Read by contributors; their blocks are not run.
POLICIES = sorted((ROOT / ".github").glob("*.md"))


def whole() -> str:
    return table(
        ("column", "dtype", "unit", "promised", "meaning", "source"),
        (
            (f"`{one.name}`", one.dtype, one.unit, "" if one.nullable else "yes", one.meaning, one.source)
            for one in (ID, *COLUMNS)
        ),
    )


def extract() -> str:
    return table(("column", "unit", "meaning"), ((f"`{one.name}`", one.unit, one.meaning) for one in DERIVED))


def table(header: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    lines = [header, ("---",) * len(header), *(tuple(cell.replace("|", "\\|") for cell in row) for row in rows)]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


#: Of each file: the name of the marks, and what stands between them.
WRITTEN = {
    DOCS / "explanation" / "numbers.md": ("derived", extract),
    DOCS / "reference" / "columns.md": ("columns", whole),
}


def split(path: Path) -> tuple[str, str, str]:
    """What stands before, between and behind the marks, these with the first and the last."""
    name = WRITTEN[path][0]
    begin, end = f"<!-- {name}: written by tests/docs/dictionary.py -->\n", f"<!-- /{name} -->\n"
    before, _, rest = path.read_text("utf-8").partition(begin)
    inside, _, after = rest.partition(end)
    return before + begin, inside, end + after


if __name__ == "__main__":
    for path, (_, made) in WRITTEN.items():
        before, _, after = split(path)
        path.write_text(before + made() + after, "utf-8")
