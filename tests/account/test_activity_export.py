"""``reconcile(df, activity=…)``: the Activity export, compared id by id without a key and a network."""

from decimal import Decimal

import pandas as pd
import pytest

import orstats
from orstats import errors
from orstats.sim import SimServer


@pytest.fixture(scope="module")
def sim():
    with SimServer(400, seed=11) as server:
        yield server


@pytest.fixture(scope="module")
def df(sim):
    return orstats.fetch(sim.ids, client=sim.client(), archive=False, progress=False)


@pytest.fixture(scope="module")
def export(sim, tmp_path_factory):
    file = tmp_path_factory.mktemp("export") / "activity.csv"
    file.write_text(sim.activity_export(), "utf-8")
    return file


@pytest.fixture(autouse=True)
def offline(monkeypatch):
    """No key is set, and no request is sent."""
    for name in ("OPENROUTER_API_KEY", "OPENROUTER_MANAGEMENT_KEY", "OPENROUTER_BASE_URL"):
        monkeypatch.delenv(name, raising=False)


def cost(record):
    """What one of the simulator's records cost."""
    upstream = Decimal(repr(record["upstream_inference_cost"] or 0)) if record["is_byok"] else Decimal(0)
    return Decimal(repr(record["total_cost"])) + upstream


def test_export_of_the_simulator_reads_as_its_records(sim, df, export):
    read = orstats.read(export)
    assert sorted(read.index) == sorted(sim.ids)
    both = read.loc[df.index]
    for name in ("model", "provider_name", "finish_reason", "tokens_prompt", "latency", "streamed", "total_cost"):
        values = [[None if pd.isna(one) else one for one in side[name]] for side in (both, df)]
        assert values[0] == values[1], name
    assert both["cost_usd"].tolist() == df["cost_usd"].tolist()
    assert read["created_at"].is_monotonic_decreasing


def test_everything_agrees(sim, df, export):
    before = sim.requests
    compared = orstats.reconcile(df, activity=export)
    assert compared.empty
    total = float(sum(cost(sim.record(one)) for one in sim.ids))
    totals = compared.attrs["totals"]
    assert (totals["export_generations"], totals["generations"]) == (400, 400)
    assert totals["export_usd"] == pytest.approx(total, abs=1e-11)
    assert totals["usd"] == pytest.approx(total, abs=1e-11)
    assert "every generation agrees" in compared.attrs["note"]
    assert sim.requests == before


def test_each_kind_of_difference(sim, df, export, tmp_path):
    costly = sorted(sim.ids, key=lambda one: -cost(sim.record(one)))
    unlogged, unfetched, changed, unlisted = costly[0], costly[1], costly[2], costly[3]
    file = tmp_path / "part.csv"
    lines = export.read_text().splitlines(keepends=True)
    file.write_text("".join(line for line in lines if not line.startswith(unlisted)))
    mine = df.drop(index=unlogged)
    mine.loc[unfetched, ["fetch_status", "cost_usd", "created_at"]] = ["pending", None, pd.NaT]
    mine.loc[changed, "cost_usd"] = mine.loc[changed, "cost_usd"] / 2
    compared = orstats.reconcile(mine, activity=file)
    assert compared["difference"].to_dict() == {
        unlogged: "missing_in_ids",
        unfetched: "not_fetched",
        changed: "cost_differs",
        unlisted: "missing_in_export",
    }
    expected = {
        unlogged: cost(sim.record(unlogged)),
        unfetched: cost(sim.record(unfetched)),
        changed: cost(sim.record(changed)) / 2,
        unlisted: -cost(sim.record(unlisted)),
    }
    assert compared["difference_usd"].to_dict() == pytest.approx({one: float(usd) for one, usd in expected.items()})
    totals = compared.attrs["totals"]
    assert totals["unexplained_usd"] == pytest.approx(float(sum(map(abs, expected.values()))))
    everything = sum(cost(sim.record(one)) for one in sim.ids)
    assert totals["export_usd"] == pytest.approx(float(everything - cost(sim.record(unlisted))))
    assert (totals["export_generations"], totals["generations"]) == (399, 398)
    assert compared["model"].to_dict() == {one: sim.record(one)["model"] for one in compared.index}
    assert compared["reason"].notna().all()
    assert (
        "1 missing in your ids, 1 not fetched, 1 missing in the export, 1 with another cost" in compared.attrs["note"]
    )


def test_range_limits_both_sides(sim, df, export):
    middle = sorted(sim.record(one)["created_at"] for one in sim.ids)[200][:19] + "Z"
    compared = orstats.reconcile(df.iloc[:0], activity=export, start=middle, end="2100-01-01")
    later = [one for one in sim.ids if pd.Timestamp(sim.record(one)["created_at"]) >= pd.Timestamp(middle)]
    assert sorted(compared.index) == sorted(later)
    assert set(compared["difference"]) == {"missing_in_ids"}
    with pytest.raises(errors.ConfigError, match="start must be before end"):
        orstats.reconcile(df, activity=export, start="2026-02-01", end="2026-01-01")


def test_ids_without_a_record_count_only_if_the_export_has_them(sim, export):
    lost = orstats.fetch(
        [*sim.ids[:5], *sim.unknown_ids(2, age=900_000)],
        client=sim.client(),
        archive=False,
        pending_wait=0,
        progress=False,
    )
    compared = orstats.reconcile(lost, activity=orstats.read(export).loc[sim.ids[:5]])
    assert compared.empty
    assert compared.attrs["totals"]["generations"] == 5


def test_ids_without_a_record_and_without_a_time(sim, df, export):
    lost = orstats.fetch(["gen-1", "gen-2"], client=sim.client(), archive=False, pending_wait=0, progress=False)
    assert set(orstats.reconcile(lost, activity=export)["difference"]) == {"missing_in_ids"}
    assert orstats.reconcile(orstats.combine(df, lost), activity=export).empty


def test_repeated_ids_count_once(df, export):
    with pytest.warns(errors.DuplicateIdsWarning):
        orstats.summary(pd.concat([df, df[:3]]))
    assert orstats.reconcile(pd.concat([df, df[:3]]), activity=export).empty


def test_invalid_arguments(df, tmp_path):
    with pytest.raises(errors.ReadError, match="no such file"):
        orstats.reconcile(df, activity=tmp_path / "none.csv")
    with pytest.raises(errors.ConfigError, match=r"start=.*or activity="):
        orstats.reconcile(df)
    (tmp_path / "other.csv").write_text("a,b\n1,2\n")
    with pytest.raises(errors.ReadError, match="no table of generations"):
        orstats.reconcile(df, activity=tmp_path / "other.csv")


# ---- reports of an export --------------------------------------------------------------------------------------


def test_cost_by_key_and_application(sim, export):
    read = orstats.read(export)
    for name in ("api_key_name", "app_name"):
        report = orstats.cost_by(read, name)
        by_hand = {}
        for one, label in read[name].items():
            key = None if pd.isna(label) else label
            by_hand[key] = by_hand.get(key, 0) + cost(sim.record(one))
        found = {None if pd.isna(label) else label: usd for label, usd in report["cost_usd"].items()}
        assert found == pytest.approx({label: float(usd) for label, usd in by_hand.items()}, abs=1e-11)
    usage = orstats.usage("api_key", start="70d", end="now", client=sim.client())
    charged = orstats.cost_by(read, "api_key_name")["charged_usd"]
    for label in set(charged.index.dropna()) & set(usage.index):
        assert charged[label] >= 0


@pytest.mark.slow
def test_reports_say_what_an_export_lacks(export, df):
    read = orstats.read(export)
    note = orstats.tokens_by(read).attrs["note"]
    assert "The Activity export does not have native_tokens_prompt" in note
    assert orstats.tokens_by(read)["tokens_total"].isna().all()
    assert "provider_responses" in orstats.failures_by(read).attrs["note"]
    assert "does not have" in str(orstats.cost_by(read, "app_name"))
    failures = orstats.failures_by(read)
    for name in ("attempts", "failed_attempts", "fallbacks", "failed_attempt_ms", "failed_attempt_share"):
        assert failures[name].isna().all(), name
        assert orstats.failures_by(df)[name].notna().any()
    assert failures["generations"].sum() == 400
    assert "does not have" in orstats.sessions(read, "app_name").attrs["note"]
    assert orstats.sessions(read, "app_name")["fallbacks"].isna().all()
    assert "does not have tokens_total" in orstats.compare(read[:100], read[100:], "app_name").attrs["note"]
    assert "note" not in orstats.cost_by(df).attrs
    assert "throughput_tok_s" in orstats.latency_by(read).attrs["note"]


@pytest.mark.slow
@pytest.mark.parametrize("columns", [["generation_id", "created_at", "cost_total"], None])
def test_columns_come_and_go(sim, tmp_path, columns):
    table = pd.read_csv(pd.io.common.StringIO(sim.activity_export()), dtype=str)
    table = (table[columns] if columns else table.drop(columns=["cost_cache", "user"])).assign(brand_new="x")
    table.to_csv(tmp_path / "some.csv", index=False)
    read = orstats.read(tmp_path / "some.csv")
    assert len(orstats.cost_by(read, None, freq="M"))
    assert orstats.summary(read).loc["ok", "value"] == 400
    orstats.write_html(read, tmp_path / "page.html")
    orstats.plot_cost(read, by="model")
    orstats.latency_by(read)
    orstats.failures_by(read)
    assert read["brand_new"].eq("x").all()
