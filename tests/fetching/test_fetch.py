"""fetch against the simulator: ids in, one row for each out."""

from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

import orstats
from orstats import errors
from orstats.frame.schema import COLUMNS


def test_fetch_returns_one_row_per_distinct_id_in_order(sim):
    ids = [sim.ids[5], sim.ids[3], sim.ids[5], f" {sim.ids[0]}\n", sim.ids[3]]
    df = orstats.fetch(ids, client=sim.client())
    assert list(df.index) == [sim.ids[5], sim.ids[3], sim.ids[0]]
    assert df.index.name == "id"
    assert sim.requests == 3
    assert list(df.columns) == [field.name for field in COLUMNS]
    assert {name: str(dtype) for name, dtype in df.dtypes.items()} == {field.name: field.dtype for field in COLUMNS}


def test_fetched_values_equal_the_records(sim):
    df = orstats.fetch(sim.ids, client=sim.client())
    assert (df["fetch_status"] == "ok").all()
    assert (df["http_status"] == 200).all()
    assert (df["attempts"] == 1).all()
    assert df["fetched_at"].notna().all()
    for generation_id in sim.ids:
        record, row = sim.record(generation_id), df.loc[generation_id]
        for name in ("total_cost", "model", "native_tokens_prompt", "latency", "cancelled", "external_user"):
            sent, got = record[name], row[name]
            assert pd.isna(got) if sent is None else got == sent, (generation_id, name)
        if record["is_byok"] and record["upstream_inference_cost"] is not None:
            assert row["cost_usd"] == pytest.approx(record["total_cost"] + record["upstream_inference_cost"])
        elif not record["is_byok"]:
            assert row["cost_usd"] == record["total_cost"]


def test_no_ids_give_an_empty_frame_with_all_typed_columns():
    df = orstats.fetch([])
    assert len(df) == 0
    assert {name: str(dtype) for name, dtype in df.dtypes.items()} == {field.name: field.dtype for field in COLUMNS}


def test_ids_may_be_text_a_series_or_a_generator_with_missing_values(sim):
    client = sim.client()
    assert list(orstats.fetch(sim.ids[0], client=client).index) == [sim.ids[0]]
    series = pd.Series([sim.ids[0], None, np.nan, sim.ids[1]])
    assert list(orstats.fetch(series, client=client).index) == sim.ids[:2]
    assert list(orstats.fetch((i for i in sim.ids[:3]), client=client).index) == sim.ids[:3]
    with pytest.raises(TypeError, match="item 1 is int"):
        orstats.fetch([sim.ids[0], 7], client=client)
    frame = orstats.fetch(pd.DataFrame({"key": [1, 2], "id": sim.ids[:2]}), client=client)
    assert list(frame.index) == list(orstats.fetch(frame, client=client).index) == sim.ids[:2]


def test_ids_are_cleaned_and_other_texts_are_explained(sim):
    first, second, third, *_ = sim.ids
    pasted = [f"\u200b{first}\u00a0", f'="{second}",', f"https://openrouter.ai/logs?transaction={third}&tab=raw"]
    frame = orstats.fetch([*pasted, f"{first} {second}", "ids.txt"], client=sim.client())
    assert list(frame.index)[:3] == [first, second, third]
    assert frame["fetch_status"].tolist() == ["ok"] * 3 + ["invalid_id"] * 2
    assert "several ids; pass each id separately" in frame["error"].iloc[3]
    assert "one generation id" in orstats.failures(frame)["advice"].iloc[0]
    assert "the name of a file" in frame["error"].iloc[4]


@pytest.mark.parametrize("name", ["ids.txt", Path("logs/app.log.gz"), Path("somewhere")])
def test_a_file_instead_of_ids_is_refused(sim, name):
    with pytest.raises(errors.ConfigError, match=r"is the name of a file, not an id. Use fetch\(read_ids\("):
        orstats.fetch(name, client=sim.client())


def test_response_objects_are_accepted_as_ids(sim):
    responses = [SimpleNamespace(id=sim.ids[0]), {"id": sim.ids[1]}]
    assert list(orstats.fetch(responses, client=sim.client()).index) == sim.ids[:2]
    assert list(orstats.fetch(responses[0], client=sim.client()).index) == sim.ids[:1]


def test_errors_raise_raises_after_all_requests_with_the_frame(sim):
    ids = [*sim.ids[:5], *sim.unknown_ids(2, age=3600)]
    with pytest.raises(errors.IncompleteFetchError, match="2 of 7 ids are not ok") as caught:
        orstats.fetch(ids, client=sim.client(), errors="raise")
    assert list(caught.value.frame.index) == ids
    assert (caught.value.frame["fetch_status"] == "ok").sum() == 5


def test_old_unknown_ids_cost_one_request_each(sim):
    ids = sim.unknown_ids(10, age=7200)
    df = orstats.fetch(ids, client=sim.client())
    assert set(df["fetch_status"]) == {"not_found"}
    assert sim.requests == 10


def test_recent_ids_are_found_later(sim):
    young = sim.young_ids(8, found_after=1.5)
    df = orstats.fetch([*young, *sim.ids[:200]], client=sim.client(), workers=4)
    assert (df["fetch_status"] == "ok").all()
    assert (df.loc[young, "attempts"] > 1).all()


def test_recent_ids_that_do_not_appear_are_pending(sim):
    ids = sim.unknown_ids(3, age=0)
    df = orstats.fetch(ids, client=sim.client(), pending_wait=2)
    assert set(df["fetch_status"]) == {"pending"}
    assert (df["attempts"] >= 2).all()
    assert set(orstats.fetch(ids, client=sim.client(), pending_wait=0)["fetch_status"]) == {"pending"}


def test_ids_of_another_kind_are_explained_and_not_requested(sim):
    df = orstats.fetch(["chatcmpl-abc", "req-1727282430-aBcDeF", "", sim.ids[0]], client=sim.client())
    assert list(df["fetch_status"]) == ["invalid_id", "invalid_id", "invalid_id", "ok"]
    assert df["error"].iloc[:3].str.contains("generation id").all()
    assert sim.requests == 1


def test_unusual_ids_are_quoted_in_requests(sim):
    odd = ["gen-../../key", "gen-a?b=c&id=d#e", "gen-ünï%41", "gen-" + "x" * 300]
    df = orstats.fetch(odd, client=sim.client())
    assert set(df["fetch_status"]) == {"not_found"}
    assert set(sim.stats.ids) == set(odd)
    assert set(sim.stats.paths) == {"/api/v1/generation"} or all("generation" in path for path in sim.stats.paths)


def test_key_among_the_ids_is_refused_and_not_repeated(sim):
    with pytest.raises(errors.ConfigError) as caught:
        orstats.fetch([sim.ids[0], sim.key], client=sim.client())
    assert sim.key not in str(caught.value)
    assert sim.requests == 0


def test_progress_counts_done_failed_and_archived_ids(sim, tmp_path, capsys):
    orstats.fetch(sim.ids[:100], client=sim.client(), archive=tmp_path)
    orstats.fetch([*sim.ids[:120], *sim.unknown_ids(1, age=7200)], client=sim.client(), archive=tmp_path, progress=True)
    shown = capsys.readouterr().err
    assert "121/121" in shown
    assert "failed=1" in shown
    assert "archived=" in shown


def test_progress_can_be_off(sim, capsys):
    orstats.fetch(sim.ids[:20], client=sim.client(), progress=False)
    orstats.fetch(sim.ids[:20], client=sim.client(), progress=None)
    assert capsys.readouterr().err == "", "None shows nothing without a terminal"


@pytest.mark.parametrize(
    "options",
    [
        *({"deadline": value} for value in (-1, float("nan"), float("inf"), "5", True, [1], timedelta(seconds=1))),
        *({"cancel": value} for value in (5, True, "now", lambda: True)),
        *({"workers": value} for value in (0, 257, 1.5, "4", None)),
        *({"pending_wait": value} for value in (-1, float("nan"), float("inf"), "5", None)),
        {"errors": "ignore"},
    ],
)
@pytest.mark.parametrize("fetch", [orstats.fetch, orstats.fetch_contents])
def test_invalid_arguments_are_refused(account, fetch, options):
    before = account.requests
    with pytest.raises(errors.ConfigError, match=f"^{next(iter(options))} must be "):
        fetch(account.ids[:1], client=account.client(), **options)
    assert account.requests == before


def test_a_dataframe_without_one_column_of_ids_leads_to_read_ids():
    for columns in ({"customer": ["Ada"]}, {name: [f"gen-1790000000-AbCdEfGhIjKlMnOpQrS{name}"] for name in "ab"}):
        with pytest.raises(errors.IdSourceError, match=r"; use fetch\(read_ids\(df, column=…\)\)\."):
            orstats.fetch(pd.DataFrame(columns))


@pytest.mark.parametrize("ids", [None, 5, True, 1.5, object(), {"a": "gen-1"}])
def test_ids_that_are_not_iterable_are_refused(ids):
    with pytest.raises(TypeError, match="ids must be a list of generation ids, got "):
        orstats.fetch(ids)


def test_ids_in_two_dimensions_are_refused():
    with pytest.raises(TypeError, match="item 0 is ndarray"):
        orstats.fetch(np.array([["gen-1", "gen-2"]]))
