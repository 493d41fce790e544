"""Rows are in the order of the ids, in whatever order the responses come."""

import pytest
from fake_account import FakeTransport, account, record
from simulated_time import World

import orstats
from orstats.fetching import fetch


@pytest.mark.parametrize("stored_rows", [30, 4000])
def test_without_an_archive_rows_are_in_order_and_a_slow_id_does_not_hold_the_others(monkeypatch, stored_rows):
    """Records are converted in the order of the ids, unless too many would wait in memory for an earlier one."""
    ids = [f"gen-1780000000-{number:020d}" for number in range(300)]
    waited = []

    def converted(self, portion):
        waited.append(len(self._unsaved))
        return convert(self, portion)

    convert = fetch._RecordBatch._convert
    monkeypatch.setattr(fetch._RecordBatch, "_convert", converted)
    monkeypatch.setattr(fetch, "_STORE_ROWS", stored_rows)
    with World() as world:
        scripts = {one: ([], "ok", 0.05 + 0.01 * (number % 7)) for number, one in enumerate(ids)}
        scripts[ids[1]] = ([("503", None)] * 3, "ok", 0.05)
        scripts[ids[50]] = ([], "404", 0.05)
        client, wire = account(world, orstats.Retry(), FakeTransport(world, scripts))
        frame = orstats.fetch(ids, client=client, archive=False, workers=8, progress=False)
    answered = [one for one in ids if one != ids[50]]
    assert list(frame.index) == ids
    assert wire.ok != answered, "the responses came in another order"
    expected = {one: record(one)["total_cost"] for one in answered}
    assert frame["total_cost"].dropna().to_dict() == expected
    assert frame.fetch_status.drop(ids[50]).eq("ok").all()
    if stored_rows == 30:
        assert max(waited) < 30 + 2 * 8
