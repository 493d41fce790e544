"""fetch against the simulator: real HTTP, real threads, faults of every kind."""

import os
import re
import signal
import socket
import subprocess
import sys
import textwrap
import threading
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

import orstats
from orstats import errors
from orstats.frame.schema import COLUMNS
from orstats.sim import Faults, RateLimit, SimServer
from orstats.sim.faults import DEFAULT_KINDS

QUICK = orstats.Retry(first_wait=0.01, max_wait=0.05)
UNTIL = datetime(2026, 10, 1, tzinfo=UTC)
OLD = "gen-1700000000-AbCdEfGhIjKlMnOpQr"


@pytest.fixture(scope="module")
def account():
    with SimServer(300, seed=7, until=UNTIL) as sim:
        yield sim


@pytest.fixture
def sim(account):
    account.reset_stats()
    return account


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


@pytest.mark.parametrize("kind", DEFAULT_KINDS)
def test_each_transient_fault_is_retried(kind):
    faults = Faults(rate=1.0, kinds=[kind], retry_after_s=0)
    with SimServer(12, faults=faults) as sim:
        df = orstats.fetch(sim.ids, client=sim.client(retry=QUICK))
        assert (df["fetch_status"] == "ok").all(), df["error"].dropna().tolist()
        assert (df["attempts"] == 2).all()


def test_no_id_is_lost_to_many_faults():
    faults = Faults(rate=0.3, retry_after_s=0, repeat=2)
    with SimServer(1000, faults=faults) as sim:
        df = orstats.fetch(sim.ids, client=sim.client(retry=QUICK), workers=32)
    assert (df["fetch_status"] == "ok").all()
    assert df["attempts"].max() > 1


@pytest.mark.parametrize(
    ("kind", "status", "http_status", "requests"),
    [
        ("400", "invalid_id", 400, 1),
        ("403", "forbidden", 403, 1),
        ("404", "not_found", 404, 1),
        ("429", "rate_limited", 429, 3),
        ("500", "server_error", 500, 3),
        ("408", "server_error", 408, 3),
        ("529", "server_error", 529, 3),
        ("reset", "network_error", None, 3),
        ("cut", "network_error", None, 3),
        ("html-200", "bad_response", 200, 3),
        ("truncated", "bad_response", 200, 3),
        ("redirect", "bad_response", 302, 1),
        ("hang", "network_error", None, 3),
    ],
)
def test_permanent_fault_is_one_failed_row_with_the_reason(kind, status, http_status, requests):
    victim = next(i for i in SimServer(20, until=UNTIL).ids if i.startswith("gen-1"))
    bad = Faults(rate=0, always={victim: kind}, retry_after_s=0)
    with SimServer(20, until=UNTIL, faults=bad) as sim:
        timeout = 0.3 if kind == "hang" else 10
        client = sim.client(retry=orstats.Retry(attempts=3, first_wait=0.01), timeout=timeout)
        df = orstats.fetch(sim.ids, client=client)
        row = df.loc[victim]
        assert row["fetch_status"] == status
        assert row["attempts"] == requests == sim.stats.ids[victim]
        assert pd.isna(row["http_status"]) if http_status is None else row["http_status"] == http_status
        assert victim in row["error"]
        assert pd.isna(row["cost_usd"])
        assert pd.isna(row["total_cost"])
        assert (df.drop(index=victim)["fetch_status"] == "ok").all()


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


def test_wrong_key_stops_after_one_request_a_worker(sim, tmp_path):
    client = orstats.Client("sk-or-v1-" + "0" * 64, base_url=sim.base_url)
    with pytest.raises(errors.AuthenticationError, match="Check api_key=:") as caught:
        orstats.fetch(sim.ids, client=client, workers=4, archive=tmp_path)
    assert sim.requests <= 4
    frame = caught.value.frame
    assert len(frame) == len(sim.ids)
    assert (frame["fetch_status"] == "not_attempted").sum() >= len(sim.ids) - 4
    assert set(frame["fetch_status"]) == {"forbidden", "not_attempted"}


def wait_for(condition):
    while not condition():
        time.sleep(0.005)


def spend(sim):
    sim.out_of_credits = True


def test_exhausted_credits_stop_the_batch_and_keep_fetched_records(tmp_path):
    with SimServer(400, latency=0.01, until=UNTIL) as sim:
        spender = threading.Thread(target=lambda: (wait_for(lambda: sim.requests > 80), spend(sim)))
        spender.start()
        with pytest.raises(errors.PaymentRequiredError) as caught:
            orstats.fetch(sim.ids, client=sim.client(), workers=4, archive=tmp_path)
        spender.join()
        done = caught.value.frame["fetch_status"].value_counts()
        assert done["ok"] > 10
        assert done["not_attempted"] > 10
        sim.out_of_credits = False
        sim.reset_stats()
        df = orstats.fetch(sim.ids, client=sim.client(), archive=tmp_path)
        assert (df["fetch_status"] == "ok").all()
        assert sim.requests == len(sim.ids) - done["ok"]


def test_missing_key_error_names_the_variable(monkeypatch):
    monkeypatch.delenv("OPENROUTER_API_KEY", raising=False)
    monkeypatch.delenv("OPENROUTER_MANAGEMENT_KEY", raising=False)
    with pytest.raises(errors.MissingKeyError, match="OPENROUTER_API_KEY"):
        orstats.fetch([OLD], archive=False)


def test_missing_key_error_says_what_the_archive_has(sim, tmp_path, monkeypatch):
    monkeypatch.delenv("OPENROUTER_API_KEY", raising=False)
    monkeypatch.delenv("OPENROUTER_MANAGEMENT_KEY", raising=False)
    orstats.fetch(sim.ids[:3], client=sim.client(), archive=tmp_path)
    ids, options = [*sim.ids[:5], "chatcmpl-1"], {"client": orstats.Client(base_url=sim.base_url), "archive": tmp_path}
    known = rf"3 of the 6 ids are archived for {re.escape(sim.client().settings.host)}: fetch\(ids, deadline=0\)"
    with pytest.raises(errors.MissingKeyError, match=known):
        orstats.fetch(ids, **options)
    df = orstats.fetch(ids, **options, deadline=0)
    assert list(df["fetch_status"]) == ["ok"] * 3 + ["not_attempted"] * 2 + ["invalid_id"]
    elsewhere = (
        rf"The id is not archived for openrouter\.ai\. The archive .* has records of {sim.client().settings.host}:"
    )
    for missing in (lambda: orstats.fetch([OLD], archive=tmp_path), lambda: orstats.get(OLD, archive=tmp_path)):
        with pytest.raises(errors.MissingKeyError, match=elsewhere):
            missing()
    with pytest.raises(errors.MissingKeyError) as caught:
        orstats.fetch(ids, **options, refresh=True)
    assert "archived" not in str(caught.value)


def test_settled_records_are_requested_only_once(sim, tmp_path):
    first = orstats.fetch(sim.ids, client=sim.client(), archive=tmp_path)
    sim.reset_stats()
    keyless = orstats.Client(base_url=sim.base_url)
    again = orstats.fetch(sim.ids, client=keyless, archive=tmp_path)
    assert sim.requests == 0
    same = [column for column in first.columns if column not in ("attempts", "http_status", "fetched_at")]
    pd.testing.assert_frame_equal(first[same], again[same])
    assert (again["attempts"] == 0).all()


def test_refresh_requests_archived_ids(sim, tmp_path):
    orstats.fetch(sim.ids[:50], client=sim.client(), archive=tmp_path)
    sim.reset_stats()
    df = orstats.fetch(sim.ids[:50], client=sim.client(), archive=tmp_path, refresh=True)
    assert sim.requests == 50
    assert (df["attempts"] == 1).all()


def test_misses_and_recent_records_are_not_archived_as_settled(sim, tmp_path):
    young, unknown = sim.young_ids(2, found_after=0), sim.unknown_ids(2, age=7200)
    orstats.fetch([*young, *unknown], client=sim.client(), archive=tmp_path)
    sim.reset_stats()
    df = orstats.fetch([*young, *unknown], client=sim.client(), archive=tmp_path)
    assert sim.requests == 4
    assert list(df["fetch_status"]) == ["ok", "ok", "not_found", "not_found"]


def test_servers_on_this_machine_do_not_write_to_the_default_archive(sim, tmp_path, monkeypatch):
    monkeypatch.delenv("ORSTATS_ARCHIVE", raising=False)
    for variable in ("HOME", "XDG_DATA_HOME", "LOCALAPPDATA"):
        monkeypatch.setenv(variable, str(tmp_path))
    orstats.fetch(sim.ids[:5], client=sim.client())
    assert list(tmp_path.rglob("*")) == []


def test_unwritable_archive_costs_no_request(sim, tmp_path):
    (tmp_path / "file").write_text("not a directory")
    with pytest.raises(errors.ArchiveError) as caught:
        orstats.fetch(sim.ids, client=sim.client(), archive=tmp_path / "file" / "archive")
    assert str(tmp_path / "file") in str(caught.value)
    assert sim.requests == 0


def test_archive_error_midway_carries_the_fetched_rows(sim, tmp_path, monkeypatch):
    archive = orstats.Archive(tmp_path)

    def full(*_):
        raise errors.ArchiveError("No space left on device.", path=str(tmp_path))

    monkeypatch.setattr(orstats.Archive, "append", full)
    with pytest.raises(errors.ArchiveError) as caught:
        orstats.fetch(sim.ids, client=sim.client(), archive=archive)
    assert (caught.value.frame["fetch_status"] == "ok").sum() > 0
    assert len(caught.value.frame) == len(sim.ids)


def test_many_small_files_are_merged_at_the_end_of_a_fetch(sim, tmp_path):
    archive = orstats.Archive(tmp_path)
    for number in range(70):
        orstats.fetch([sim.ids[number]], client=sim.client(), archive=archive)
    assert archive.info()["parts"].item() < 64
    sim.reset_stats()
    assert (orstats.fetch(sim.ids[:70], client=sim.client(), archive=archive)["fetch_status"] == "ok").all()
    assert sim.requests == 0


def test_rate_limit_is_learned_once_and_kept_with_the_client():
    limit = RateLimit(300, burst=30, retry_after="seconds")
    with SimServer(900, rate_limit=limit) as sim:
        client = sim.client()
        first = orstats.fetch(sim.ids[:600], client=client, workers=32)
        refused = sim.stats.refusals
        second = orstats.fetch(sim.ids[600:], client=client, workers=32)
        assert (first["fetch_status"] == "ok").all()
        assert (second["fetch_status"] == "ok").all()
        assert client.rate_limiter.pace is not None
        assert sim.stats.refusals - refused < 30


@pytest.mark.parametrize("status", [420, 502])
def test_rate_limit_with_any_transient_status_is_detected(status):
    with SimServer(250, rate_limit=RateLimit(100, burst=50, status=status, retry_after="none")) as sim:
        df = orstats.fetch(sim.ids, client=sim.client())
        assert (df["fetch_status"] == "ok").all()
        assert sim.requests < 2 * len(sim.ids)  # failures that may be chance are believed on more evidence


def test_two_threads_may_share_a_client(sim):
    client, frames = sim.client(), {}

    def work(part):
        frames[part] = orstats.fetch(sim.ids[part::2], client=client)

    threads = [threading.Thread(target=work, args=(part,)) for part in (0, 1)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (pd.concat(frames.values())["fetch_status"] == "ok").all()
    assert sim.requests == len(sim.ids)


def test_no_thread_is_left_behind(sim):
    orstats.fetch(sim.ids, client=sim.client(), workers=16)
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("orstats-worker")]


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


INTERRUPTED = """
    import signal
    import sys
    import orstats
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background job inherits that it is ignored
    ids = open(sys.argv[3]).read().split()
    try:
        orstats.fetch(ids, client=orstats.Client(sys.argv[1], base_url=sys.argv[2]), workers=4, archive=sys.argv[4])
    except KeyboardInterrupt:
        print("interrupted")
        raise SystemExit(130)
"""


@pytest.mark.skipif(os.name == "nt", reason="signals to another process")
@pytest.mark.parametrize("name", ["SIGINT", "SIGKILL"])
def test_fetched_records_survive_an_interrupt(tmp_path, name):
    how = getattr(signal, name)
    (tmp_path / "job.py").write_text(textwrap.dedent(INTERRUPTED))
    with SimServer(2000, latency=0.01, until=UNTIL) as sim:
        (tmp_path / "ids.txt").write_text("\n".join(sim.ids))
        command = [
            sys.executable,
            tmp_path / "job.py",
            sim.key,
            sim.base_url,
            tmp_path / "ids.txt",
            tmp_path / "archive",
        ]
        with subprocess.Popen([str(part) for part in command], stdout=subprocess.PIPE) as job:
            wait_for(lambda: sim.requests > 700 or job.poll() is not None)
            os.kill(job.pid, how)
            output, _ = job.communicate()
        asked = sim.requests
        if how == signal.SIGINT:
            assert job.returncode == 130
            assert b"interrupted" in output
        sim.reset_stats()
        df = orstats.fetch(sim.ids, client=sim.client(), workers=32, archive=tmp_path / "archive")
        assert (df["fetch_status"] == "ok").all()
        repeated = asked + sim.requests - len(sim.ids)
        lost_at_most = 8 if how == signal.SIGINT else 600  # a second's worth at 4 workers and 10 ms
        assert repeated <= lost_at_most


def test_dripping_response_is_given_up_in_bounded_time():
    with SimServer(3, faults=Faults(rate=1.0, kinds=["drip"], drip_s=0.05)) as sim:
        df = orstats.fetch(sim.ids, client=sim.client(timeout=0.4, retry=QUICK))
    assert (df["fetch_status"] == "ok").all()
    assert (df["attempts"] > 1).all()


def test_netrc_cannot_replace_the_key_and_proxies_do_not_see_loopback(sim, tmp_path, monkeypatch):
    (tmp_path / "netrc").write_text("machine 127.0.0.1 login someone password else\n")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    monkeypatch.setenv("ALL_PROXY", "http://127.0.0.1:1")
    df = orstats.fetch(sim.ids[:3], client=sim.client())
    assert (df["fetch_status"] == "ok").all()


def test_server_restart_loses_nothing():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with SimServer(600, latency=0.005, port=port) as sim:
        client = sim.client(retry=orstats.Retry(attempts=40, first_wait=0.05, max_wait=0.3))
        frames = []
        worker = threading.Thread(target=lambda: frames.append(orstats.fetch(sim.ids, client=client, workers=4)))
        worker.start()
        wait_for(lambda: sim.requests > 100)
        sim.stop()
        time.sleep(0.4)
        sim.start()
        worker.join()
    assert (frames[0]["fetch_status"] == "ok").all()


def test_cancel_event_ends_a_fetch_of_records_and_of_contents():
    with SimServer(400, latency=0.05, until=UNTIL) as sim:
        for fetch in (orstats.fetch, orstats.fetch_contents):
            sim.reset_stats()
            cancel = SimpleNamespace(is_set=lambda: sim.requests > 30)
            df = fetch(sim.ids, client=sim.client(), workers=4, cancel=cancel)
            status = df["fetch_status"]
            assert set(status) == {"ok", "not_attempted"}
            assert df["error"][status == "not_attempted"].str.contains("was cancelled").all()


def test_deadline_is_kept_when_the_server_never_responds():
    with SimServer(30, faults=Faults(rate=1.0, kinds=["hang"]), until=UNTIL) as sim:
        df = orstats.fetch(sim.ids, client=sim.client(timeout=60), deadline=0.2)
    assert set(df["fetch_status"]) == {"not_attempted"}


def test_crash_of_a_worker_is_logged_with_its_traceback(sim, monkeypatch, caplog):
    def crash(*_, **__):
        raise ZeroDivisionError("a bug")

    client = sim.client()
    monkeypatch.setattr(client, "ask_generation", crash)
    with pytest.raises(ZeroDivisionError):
        orstats.fetch(sim.ids, client=client, workers=1)
    assert "in crash" in caplog.text


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
