import gzip
import json
import logging
import threading
from datetime import UTC, datetime, timedelta
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

import orstats
from orstats.account.analytics import as_filters
from orstats.ids.id_shapes import id_created_at
from orstats.sim import Faults, SimServer

UNTIL = datetime(2026, 6, 17, 14, 30, tzinfo=UTC)
START = UNTIL - timedelta(days=31)


@pytest.fixture(scope="module")
def sim():
    with SimServer(3000, seed=5, until=UNTIL, analytics_per_minute=None) as server:
        yield server


def expected(sim, start=START, end=UNTIL, keep=lambda _: True):
    found = set()
    for one in sim.ids:
        record = sim.record(one)
        if start <= datetime.fromisoformat(record["created_at"]) < end and keep(record):
            found.add(one)
    return found


def test_one_request_for_a_small_account(sim):
    sim.reset_stats()
    ids = orstats.list_ids(START, UNTIL, client=sim.client())
    assert sim.requests == 1
    assert set(ids) == expected(sim)
    assert len(ids) == len(set(ids))
    seconds = [id_created_at(one) for one in ids]
    assert seconds == sorted(seconds)


@pytest.mark.parametrize("most", [50, 400])
def test_truncated_responses_are_requested_in_pieces(sim, most, small_client):
    sim.reset_stats()
    ids = orstats.list_ids(START, UNTIL, client=small_client(sim, most))
    wanted = expected(sim)
    assert set(ids) == wanted
    assert len(ids) == len(wanted)
    assert sim.requests <= 1.3 * len(wanted) / most + 5


@pytest.mark.slow
def test_hours_too_full_are_cut_by_minutes(small_client):
    with SimServer(12_000, until=UNTIL, analytics_per_minute=None) as server:
        start = UNTIL - timedelta(hours=2)
        ids = orstats.list_ids(start, UNTIL, client=small_client(server, 5))
        truth = {i for i in server.ids if start.timestamp() <= (id_created_at(i) or 0) < UNTIL.timestamp()}
    assert len(truth) > 20
    assert set(ids) == truth


def test_longer_ranges_are_requested_month_by_month(sim):
    sim.reset_stats()
    ids = orstats.list_ids("2025-06-17T14:30:00", UNTIL, client=sim.client())
    assert set(ids) == expected(sim, start=UNTIL - timedelta(days=365))
    assert sim.requests == 12


def test_legacy_ids_without_a_time_are_placed_at_their_window(sim):
    start, end = UNTIL - timedelta(days=430), UNTIL - timedelta(days=80)
    ids = orstats.list_ids(start, end, client=sim.client())
    assert set(ids) == expected(sim, start, end)
    assert ids
    assert all(id_created_at(one) is None for one in ids)


@pytest.mark.slow
def test_filters(sim):
    client = sim.client()
    model = sim.record(sim.ids[-1])["model"]
    ids = orstats.list_ids(START, UNTIL, filters={"model": model}, client=client)
    assert set(ids) == expected(sim, keep=lambda record: record["model"] == model)
    two = orstats.list_ids(START, UNTIL, filters={"provider": ["OpenAI", "Azure"]}, client=client)
    assert set(two) == expected(sim, keep=lambda record: record["provider_name"] in {"OpenAI", "Azure"})
    raw = [{"field": "model", "operator": "neq", "value": model}]
    assert set(orstats.list_ids(START, UNTIL, filters=raw, client=client)) == expected(sim) - set(ids)
    assert orstats.list_ids(START, UNTIL, filters={"model": "no/such"}, client=client) == []


@pytest.mark.parametrize("bad", ["model", {"model": None}, {"model": [{}]}, [{"field": "model"}], [1], 3])
def test_invalid_filters_are_refused(bad):
    with pytest.raises(orstats.errors.ConfigError, match="filters"):
        as_filters(bad)


def test_more_than_20_filters_are_refused():
    with pytest.raises(orstats.errors.ConfigError, match="at most 20"):
        as_filters({f"f{n}": "x" for n in range(21)})


def test_an_unknown_dimension_is_named_by_the_api(sim):
    with pytest.raises(orstats.errors.BadRequestError, match="Unknown dimension: colour"):
        orstats.list_ids(START, UNTIL, filters={"colour": "red"}, client=sim.client())


def test_an_account_without_traffic():
    with SimServer(0) as server:
        assert orstats.list_ids("30d", client=server.client()) == []


def test_a_plain_key_is_refused_with_advice(sim):
    client = sim.client(api_key=sim.plain_key, management_key=None)
    with pytest.raises(orstats.errors.ForbiddenError, match=r"openrouter\.ai/settings/management-keys"):
        orstats.list_ids(START, UNTIL, client=client)


def test_faults_are_retried():
    faults = Faults(rate=0, per_id={"/analytics/query": ["502", "408", "429-bare", "cut"]})
    with SimServer(300, until=UNTIL, faults=faults) as server:
        client = server.client(retry=orstats.Retry(first_wait=0))
        assert set(orstats.list_ids(START, UNTIL, client=client)) == expected(server)


def test_a_retried_request_is_reported_where_no_bar_is_shown(monkeypatch, caplog):
    monkeypatch.setattr("sys.stderr.isatty", lambda: False, raising=False)
    waits = []
    retry = orstats.Retry(attempts=2, first_wait=2, on_retry=lambda *call: waits.append(call))
    client = orstats.Client("key", management_key="key", base_url="http://127.0.0.1:9/api/v1", retry=retry)
    with caplog.at_level(logging.INFO, "orstats.progress"), client, pytest.raises(orstats.errors.ApiError):
        orstats.list_ids(START, UNTIL, client=client)
    (line,) = [record.getMessage() for record in caplog.records if record.name == "orstats.progress"]
    assert line.startswith("0% of the time range done; retrying after: ")
    assert len(waits) == 1


def test_a_minute_that_always_times_out_is_an_error():
    faults = Faults(rate=0, per_id={"/analytics/query": ["408"] * 60})
    with (
        SimServer(30, until=UNTIL, faults=faults, analytics_per_minute=None) as server,
        pytest.raises(orstats.errors.ServerError, match="even for a single minute"),
    ):
        orstats.list_ids(UNTIL - timedelta(minutes=9), UNTIL, client=server.client())


def test_completed_windows_are_cached_and_requested_once(sim, tmp_path, small_client):
    client = small_client(sim, 100)
    first = orstats.list_ids(START, UNTIL, client=client, archive=tmp_path)
    sim.reset_stats()
    assert orstats.list_ids(START, UNTIL, client=client, archive=tmp_path) == first
    assert sim.requests == 1  # compares the counts
    assert orstats.list_ids(START, UNTIL, client=client, archive=tmp_path, refresh=True) == first
    assert sim.requests > 10
    sim.reset_stats()
    orstats.list_ids(START, UNTIL, client=client, archive=tmp_path, filters={"provider": "OpenAI"})
    assert sim.requests > 0
    assert sim.management_key not in " ".join(map(str, tmp_path.rglob("*")))


def test_an_interrupted_listing_is_resumed(sim, tmp_path, small_client):
    client = small_client(sim, 100)

    class Interrupted(type(client)):
        complete = 0

        def ask_analytics(self, query):
            response = super().ask_analytics(query)
            self.complete += "granularity" not in query and not response["metadata"]["truncated"]
            if self.complete == 6:
                raise KeyboardInterrupt
            return response

    interrupted = Interrupted(sim, 100)
    with pytest.raises(KeyboardInterrupt):
        orstats.list_ids(START, UNTIL, client=interrupted, archive=tmp_path)
    sim.reset_stats()
    whole = orstats.list_ids(START, UNTIL, client=client, archive=tmp_path)
    again = sim.requests
    assert set(whole) == expected(sim)
    sim.reset_stats()
    orstats.list_ids(START, UNTIL, client=client, archive=False)
    assert again <= sim.requests - 4


def gzipped(text):
    return gzip.compress(text.encode())


@pytest.mark.parametrize(
    "damage",
    [
        lambda _: b"",
        lambda kept: kept[:40],
        lambda kept: kept[:-1],
        lambda kept: kept[:100] + b"\0" + kept[101:],
        lambda kept: bytes(len(kept)),
        lambda _: b"nonsense",
        lambda _: gzipped(""),
        lambda _: gzipped("gen-1\ngen-2"),
        lambda _: gzipped("[]"),
        lambda _: gzipped('{"listing": "elsewhere", "ids": 0, "counted": 0}'),
        lambda kept: gzip.compress(gzip.decompress(kept).rsplit(b"\n", 3)[0]),
        lambda kept: gzip.compress(gzip.decompress(kept).replace(b"host=127.0.0.1", b"host=example.org")),
    ],
)
def test_damaged_listing_is_reported_requested_again_and_replaced(sim, tmp_path, caplog, damage):
    client = sim.client()
    first = orstats.list_ids(START, UNTIL, client=client, archive=tmp_path)
    (kept,) = tmp_path.rglob("*.gz")
    whole = kept.read_bytes()
    kept.write_bytes(damage(whole))
    assert orstats.list_ids(START, UNTIL, client=client, archive=tmp_path) == first
    assert f"{kept} is damaged and is requested again" in caplog.text
    assert gzip.decompress(kept.read_bytes()) == gzip.decompress(whole)


def test_listing_of_another_window_is_damaged(sim, tmp_path, caplog):
    client = sim.client()
    orstats.list_ids(START, UNTIL - timedelta(days=3), client=client, archive=tmp_path)
    (kept,) = tmp_path.rglob("*.gz")
    kept.rename(kept.with_name(f"{kept.name.partition('-')[0]}-{int(UNTIL.timestamp()) * 1_000_000}.gz"))
    assert set(orstats.list_ids(START, UNTIL, client=client, archive=tmp_path)) == expected(sim)
    assert "is damaged" in caplog.text


def test_file_left_by_a_crash_does_not_prevent_caching(sim, tmp_path):
    client = sim.client()
    orstats.list_ids(START, UNTIL, client=client, archive=tmp_path)
    (kept,) = tmp_path.rglob("*.gz")
    kept.with_name(f".{kept.name}.tmp").write_bytes(b"")
    kept.unlink()
    orstats.list_ids(START, UNTIL, client=client, archive=tmp_path)
    assert kept.stat().st_size


def test_cache_that_cannot_be_read_is_reported_and_the_listing_continues(sim, tmp_path):
    (tmp_path / "listings").touch()
    with pytest.warns(UserWarning, match=r"cannot be read: .*The listing continues without a cache") as warned:
        ids = orstats.list_ids(UNTIL - timedelta(days=90), UNTIL, client=sim.client(), archive=tmp_path)
    assert set(ids) == expected(sim, start=UNTIL - timedelta(days=90))
    assert len(warned) == 1
    assert warned[0].filename == __file__


def test_cache_that_cannot_be_written_is_reported_and_the_listing_continues(sim, tmp_path):
    resource = pytest.importorskip("resource")  # limits of POSIX systems
    limit = resource.getrlimit(resource.RLIMIT_FSIZE)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (0, limit[1]))
        with pytest.warns(UserWarning, match=r"cannot be written: File too large\. The listing continues") as warned:
            ids = orstats.list_ids(UNTIL - timedelta(days=90), UNTIL, client=sim.client(), archive=tmp_path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limit)
    assert set(ids) == expected(sim, start=UNTIL - timedelta(days=90))
    assert len(warned) == 1
    assert warned[0].filename == __file__


def test_windows_of_the_last_day_are_not_cached(tmp_path):
    now = datetime.now(UTC)
    with SimServer(100) as server:
        client = server.client()
        orstats.list_ids("3d", now - timedelta(hours=23), client=client, archive=tmp_path)
        assert not list(tmp_path.rglob("*.gz"))
        orstats.list_ids("3d", now - timedelta(hours=25), client=client, archive=tmp_path)
        assert len(list(tmp_path.rglob("*.gz"))) == 1


def test_loopback_servers_cache_nothing_by_default(sim, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    monkeypatch.delenv("ORSTATS_ARCHIVE", raising=False)
    orstats.list_ids(START, UNTIL, client=sim.client())
    assert not list(tmp_path.iterdir())


def test_listings_of_a_bucket_without_home_directory_are_not_cached(sim, monkeypatch):
    def no_home(*_, **__):
        raise RuntimeError("could not determine the home directory")

    monkeypatch.setattr("platformdirs.user_cache_path", no_home)
    with pytest.warns(UserWarning, match=r"no home directory\. Set XDG_CACHE_HOME"):
        ids = orstats.list_ids(START, UNTIL, client=sim.client(), archive="s3://bucket/archive?region=us-east-1")
    assert ids
    assert set(ids) <= set(sim.ids)


@pytest.fixture
def scripted():
    """A server that sends scripted responses to analytics queries, and records the queries."""
    responses, requested = [], []

    class Scripted(BaseHTTPRequestHandler):
        def do_POST(self):
            requested.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            body = json.dumps({"data": responses.pop(0)}).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            """Keep quiet."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Scripted)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    with orstats.Client("k", management_key="m", base_url=f"http://127.0.0.1:{server.server_port}") as client:
        yield client, responses, requested
    server.shutdown()
    server.server_close()
    thread.join()


def response(rows, *, truncated=False, **more):
    return {"data": rows, "metadata": {"query_time_ms": 1, "row_count": len(rows), "truncated": truncated}, **more}


@pytest.mark.parametrize("key", ["date__hour", "created_at__hour"])
def test_both_spellings_of_time_counts_as_text_and_nulls(scripted, key):
    client, responses, requested = scripted
    times = [START.replace(minute=0) + timedelta(hours=n) for n in range(3)]
    counts = [("6000", times[0]), (None, times[1]), ("6000", times[2])]
    responses += [
        response([{"generation_id": f"gen-{n}"} for n in range(10_000)], truncated=True),
        response([{key: at.strftime("%Y-%m-%dT%H:00:00.000Z"), "request_count": n} for n, at in counts]),
        response([{"generation_id": "gen-1", "request_count": "1"}]),
        response([{"generation_id": "gen-2", "request_count": "1"}, {"generation_id": "gen-1", "request_count": "1"}]),
    ]
    assert orstats.list_ids(times[0], times[0] + timedelta(hours=4), client=client) == ["gen-1", "gen-2"]
    assert [query.get("granularity") for query in requested] == [None, "hour", None, None]
    assert all(query["limit"] == 10_000 for query in requested)
    assert requested[2]["time_range"]["end"] == requested[3]["time_range"]["start"]


def test_each_warning_of_the_vendor_is_issued_once(scripted):
    client, responses, _ = scripted
    responses += [response([], warnings=["results are sampled"]), response([], warnings=["results are sampled"])]
    with pytest.warns(UserWarning, match="sampled") as warned:
        assert orstats.list_ids(UNTIL - timedelta(days=40), UNTIL, client=client) == []
    assert [str(one.message) for one in warned] == ["The API warns: results are sampled"]


def test_a_warning_shows_no_key_and_no_terminal_escapes(scripted):
    client, responses, _ = scripted
    responses += [response([], warnings=["careful, sk-or-v1-0123456789 \x1b[2J"])]
    with pytest.warns(UserWarning, match="careful") as warned:
        orstats.list_ids(UNTIL - timedelta(days=1), UNTIL, client=client)
    assert [str(one.message) for one in warned] == ["The API warns: careful, [key]"]


def test_a_response_from_the_vendors_cache_is_reported_and_not_cached(scripted, tmp_path):
    client, responses, _ = scripted
    at = UNTIL - timedelta(hours=1)
    responses.append(response([{"generation_id": "gen-1"}], cachedAt=at.timestamp() * 1000))
    with pytest.warns(UserWarning, match="from its cache of 2026-06-17 13:30:00 UTC"):
        assert orstats.list_ids(START, UNTIL, client=client, archive=tmp_path) == ["gen-1"]
    assert not list(tmp_path.rglob("*.gz"))


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"metadata": {}}, "has no rows"),
        (response([{"id": "gen-1"}]), "have no generation id"),
        (response(["gen-1"]), "has no rows"),
    ],
)
def test_an_undocumented_response_is_an_error(scripted, given, message):
    client, responses, _ = scripted
    responses.append(given)
    with pytest.raises(orstats.errors.BadResponseError, match=message):
        orstats.list_ids(START, UNTIL, client=client)


def test_a_minute_with_too_many_generations_is_reported(scripted):
    client, responses, _ = scripted
    responses.append(response([{"generation_id": f"gen-{n}", "request_count": "1"} for n in range(5)], truncated=True))
    with pytest.warns(UserWarning, match="More than 5 generations in the minute starting .* is incomplete") as warned:
        ids = orstats.list_ids(UNTIL - timedelta(minutes=1), UNTIL, client=client)
    assert ids == [f"gen-{n}" for n in range(5)]
    assert warned[0].filename == __file__


def test_rows_without_an_id_are_skipped_and_counted(scripted):
    client, responses, _ = scripted
    responses.append(response([{"generation_id": None}, {"generation_id": "gen-1"}]))
    with pytest.warns(UserWarning, match="Skipped 1 of 2 usage rows"):
        assert orstats.list_ids(START, UNTIL, client=client) == ["gen-1"]


def listed(*names, **more):
    return response([{"generation_id": name, "request_count": "1"} for name in names], **more)


def hours(**counts):
    times = {name: f"2026-06-01T{name.removeprefix('h')}:00:00Z" for name in counts}
    return response([{"created_at__hour": times[name], "request_count": str(n)} for name, n in counts.items()])


FIRST, LAST = datetime(2026, 6, 1, 8, tzinfo=UTC), datetime(2026, 6, 1, 10, tzinfo=UTC)


def test_cached_window_is_listed_again_where_the_account_counts_more(scripted, tmp_path):
    client, responses, requested = scripted
    responses += [listed("gen-1", "gen-2")]
    list_ids = partial(orstats.list_ids, client=client, archive=tmp_path)
    assert list_ids(FIRST, LAST) == ["gen-1", "gen-2"]
    responses += [hours(h08=1, h09=1)]
    assert list_ids(FIRST, LAST) == ["gen-1", "gen-2"]
    assert requested[-1]["granularity"] == "hour"
    responses += [hours(h08=1, h09=2), listed("gen-1", "gen-2", "gen-3")]
    assert list_ids(FIRST, LAST) == ["gen-1", "gen-2", "gen-3"]
    responses += [hours(h08=1, h09=2)]
    assert list_ids(FIRST, LAST) == ["gen-1", "gen-2", "gen-3"]
    assert not responses


def test_only_the_hours_that_the_account_counts_more_in_are_listed_again(scripted, tmp_path):
    client, responses, requested = scripted
    list_ids = partial(orstats.list_ids, client=client, archive=tmp_path)
    responses += [listed("gen-1"), listed("gen-2")]
    nine = LAST - timedelta(hours=1)
    assert list_ids(FIRST, nine) + list_ids(nine, LAST) == ["gen-1", "gen-2"]
    responses += [hours(h08=1, h09=2), listed("gen-2", "gen-3")]
    assert list_ids(FIRST, LAST) == ["gen-1", "gen-2", "gen-3"]
    assert requested[-1]["time_range"]["start"] == "2026-06-01T09:00:00Z"
    assert not responses


def test_generations_that_the_account_counts_but_does_not_list_are_reported_once(scripted, tmp_path):
    client, responses, _ = scripted
    list_ids = partial(orstats.list_ids, client=client, archive=tmp_path)
    responses += [listed("gen-1"), hours(h08=3), listed("gen-1"), hours(h08=3)]
    assert list_ids(FIRST, LAST) == ["gen-1"]
    with pytest.warns(UserWarning, match=r"counts 3 generations from .* but lists only 1\. .* not be available yet"):
        assert list_ids(FIRST, LAST) == ["gen-1"]
    assert list_ids(FIRST, LAST) == ["gen-1"]
    assert not responses


def test_cache_is_used_when_the_counts_cannot_be_compared(scripted, tmp_path):
    client, responses, _ = scripted
    list_ids = partial(orstats.list_ids, client=client, archive=tmp_path)
    responses += [listed("gen-1"), response([{"request_count": "1"}])]
    assert list_ids(FIRST, LAST) == ["gen-1"]
    with pytest.warns(UserWarning, match="could not be compared with the account's counts"):
        assert list_ids(FIRST, LAST) == ["gen-1"]
