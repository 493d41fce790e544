"""The data dictionary in the README, from the field table. Run this file to write it anew."""

from __future__ import annotations

from pathlib import Path

from orstats.data.frame.schema import COLUMNS, ID

README = Path(__file__).parents[2] / "README.md"
BEGIN, END = "<!-- dictionary: written by tests/docs/dictionary.py -->\n", "<!-- /dictionary -->"


def dictionary() -> str:
    rows = ["| column | dtype | unit | meaning |", "|---|---|---|---|"]
    for field in (ID, *COLUMNS):
        meaning = field.meaning.replace("|", "\\|")
        rows.append(f"| `{field.name}` | {field.dtype} | {field.unit} | {meaning} |")
    return "\n".join(rows) + "\n"


def split(text: str) -> tuple[str, str, str]:
    before, _, rest = text.partition(BEGIN)
    inside, _, after = rest.partition(END)
    return before, inside, after


if __name__ == "__main__":
    before, _, after = split(README.read_text("utf-8"))
    README.write_text(before + BEGIN + dictionary() + END + after, "utf-8")
