"""The rows below the tables of orstats' workbooks: their texts, and how readers recognize them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

#: The sheet that every workbook of orstats has.
COVERAGE: Final = "coverage"
TOTAL: Final = "Total"
#: How the note below the totals begins.
EXCLUDED: Final = "Excluded from the totals: "


def is_below_table(cells: Sequence[object]) -> bool:
    """Tell whether a row below an empty row has the totals, or the note about them, and so no data.

    Examples
    --------
    >>> is_below_table([None, "Total", 0.25]), is_below_table([None, "Excluded from the totals: pending (2)."])
    (True, True)
    >>> is_below_table(["gen-1790000000-AbCdEfGhIjKlMnOpQrSt", None, 0.25])
    False
    """
    texts = [cell for cell in cells if isinstance(cell, str) and cell]
    return texts in ([], [TOTAL]) or (len(texts) == 1 and texts[0].startswith(EXCLUDED))
