"""Text in dictionaries, as the archive gives it, beside plain text, as a fetch makes it."""

import pandas as pd
import pytest

from orstats.frame.build import build_frame
from orstats.frame.record_table import to_table


@pytest.mark.parametrize("encoded", [(True, True), (True, False), (False, True)])
def test_text_in_dictionaries_gives_the_same_frame(encoded):
    tables = [
        to_table(["gen-1", "gen-2"], [{"model": "a/b"}, {"model": None}], [0.0, 0.0]),
        to_table(["gen-3", "gen-1"], [{"model": "c/d"}, {"model": "é"}], [0.0, 1.0]),
    ]
    asked = ["gen-3", "gen-2", "gen-0", "gen-1"]
    expected = build_frame(asked, tables, {})
    assert expected["model"].fillna("-").tolist() == ["c/d", "-", "-", "é"]
    stored = [
        table.set_column(table.column_names.index("model"), "model", table["model"].dictionary_encode())
        if is_encoded
        else table
        for table, is_encoded in zip(tables, encoded, strict=True)
    ]
    pd.testing.assert_frame_equal(build_frame(asked, stored, {}), expected)
    pd.testing.assert_frame_equal(
        build_frame(["gen-1", "gen-2"], stored[:1], {}), build_frame(["gen-1", "gen-2"], tables[:1], {})
    )
