"""fetch as a state machine in simulated time: statuses x ages x retries x refusals x interrupts, run after run."""

import contextlib
import itertools
import shutil
import sys
import tempfile
from collections import defaultdict
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import NamedTuple

import orjson
import pandas as pd
import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule
from simulated_time import World

import orstats
from orstats import errors
from orstats.api.transport import Answer
from orstats.fetching import batch, fetch, workers

KEY = "sk-or-v1-" + "0" * 64
HOST = "api.example.com"
#: Syncing thousands of small files to a real disk would take most of the time.
MEMORY = "/dev/shm" if Path("/dev/shm").is_dir() else None
#: How an id answers: the kinds that heal by themselves, and those that do not.
TRANSIENT = ["429", "502", "503", "520", "reset", "html", "error-200"]
LASTING = ["400", "403", "404", "302", "500", *["ok"] * 12]
STATUS = {"400": "invalid_id", "403": "forbidden", "302": "bad_response", "ok": "ok"}


class Sent(NamedTuple):
    """One request: when it was sent and answered (simulated seconds), with what, and the wait that was told."""

    at: float
    answered: float
    id: str
    kind: str
    told: float | None


class FakeTransport:
    """Answers as the ids' scripts say, after simulated seconds; in place of sockets."""

    def __init__(self, world, scripts, found_at=None, refusal=(None, 0)):
        self.world, self.scripts, self.found_at = world, scripts, found_at or {}
        self.refusal, self.refused_after = refusal
        self.sent, self.ok, self.fatal_at = [], [], None
        self.wall_ahead = None

    def wall(self):
        """Tell the time by the server's clock, which may be another than the client's."""
        return self.world.time() if self.wall_ahead is None else self.world.now + self.wall_ahead

    def send(self, path, *_, **__):
        name = path.rpartition("id=")[2]
        at = self.world.now
        transient, lasting, latency = self.scripts[name]
        refused = self.refusal is not None and len(self.sent) >= self.refused_after
        kind, told = transient.pop(0) if transient else (lasting, None)
        if kind == "ok" and self.wall() < self.found_at.get(name, 0.0):
            kind = "404"
        if kind in ("reset", "html"):  # these have no say
            told = None
        if refused:
            kind, told = self.refusal, None
        self.sent.append(Sent(at, at + latency, name, kind, told))
        self.world.sleep(latency)
        if refused and self.fatal_at is None:
            self.fatal_at = self.world.now
        return self.answer(kind, told, name)

    def answer(self, kind, told, name):
        headers = {"Date": http_date(self.wall())}
        if told is not None and kind != "503":
            headers["Retry-After"] = str(told)
        if kind == "503" and told is not None:
            headers["X-RateLimit-Reset"] = str(int((self.world.time() + told) * 1000) + 1)
        if kind == "reset":
            raise errors.NetworkError("reset", retryable=True)
        if kind == "html":
            return Answer(200, headers, b"<html>")
        if kind == "error-200":
            return Answer(200, headers, b'{"error": {"code": 502, "message": "upstream"}}')
        if kind == "ok":
            self.ok.append(name)
            return Answer(200, headers, orjson.dumps({"data": record(name)}))
        return Answer(int(kind), headers, b'{"error": {"code": %s, "message": "no"}}' % kind.encode())


def account(world, retry, transport, url=f"https://{HOST}"):
    client = orstats.Client(KEY, base_url=url, retry=retry, _clock=world)
    client._transport = transport
    return client, transport


def http_date(wall):
    return datetime.fromtimestamp(wall, UTC).strftime("%a, %d %b %Y %H:%M:%S GMT")


def record(name):
    second = int(name.split("-")[1])
    created = datetime.fromtimestamp(second, UTC).isoformat()
    return {"id": name, "created_at": created, "is_byok": False, "total_cost": int(name[-6:]) / 1e6, "model": "a/b"}


@contextlib.contextmanager
def interrupted(function, opcode):
    """Press Ctrl-C in this thread, at an instruction of a function of the fetch. None presses nothing."""
    left, before = [opcode], sys.gettrace()

    def at_instruction(_frame, event, _):
        if event == "opcode":
            left[0] -= 1
            if left[0] == -1:
                raise KeyboardInterrupt
        return at_instruction

    def at_call(frame, _event, _):
        code = frame.f_code
        files = (batch.__file__, fetch.__file__, workers.__file__)
        if code.co_filename not in files or function not in ("*", code.co_name):
            return None
        frame.f_trace = at_instruction  # Python 3.13 heeds the next line only where this is set
        frame.f_trace_opcodes = True
        return at_instruction

    if function is not None:
        sys._getframe().f_trace_opcodes = True  # Python 3.12 traces instructions from the first only if asked before
        sys.settrace(at_call)
    try:
        yield
    finally:
        sys.settrace(before)


seconds = st.sampled_from([0, 0, 1, 2, 7])
answers = st.tuples(
    st.just([]) | st.lists(st.tuples(st.sampled_from(TRANSIENT), st.none() | seconds), max_size=5),
    st.sampled_from(LASTING),
    st.floats(0.001, 1.5),
)
interrupts = st.none() | st.tuples(
    st.sampled_from(
        [
            "*",
            "_request",
            "_run",
            "_work_through",
            "_drain_and_save",
            "_collected",
            "_take",
            "keep",
            "_save",
            "store",
            "results",
            "start",
            "_add",
            "read_archive",
        ]
    ),
    st.integers(0, 60) | st.integers(0, 20_000),
)


class Fetching(RuleBasedStateMachine):
    """An account, an archive, and one run of fetch after the other."""

    @initialize(
        ages=st.lists(st.sampled_from([-1, 0, 20, 55, 61, 3600, *[10**6] * 5]), min_size=4, max_size=14), data=st.data()
    )
    def open(self, ages, data):
        self.wall = 1_790_000_000.0
        self.place = tempfile.mkdtemp(dir=MEMORY)
        self.ids = [f"gen-{int(self.wall) - age}-{number:020d}" for number, age in enumerate(ages)]
        self.scripts = {one: data.draw(answers) for one in self.ids}
        self.found_at = {one: self.wall + 4 for one, age in zip(self.ids, ages, strict=True) if age <= 0}
        self.settled, self.had = set(), set()

    @rule(hours=st.floats(0, 2), data=st.data())
    def time_passes(self, hours, data):
        self.wall += hours * 3600
        for one in self.ids:
            self.scripts[one] = data.draw(answers)

    @rule(
        data=st.data(),
        seed=st.integers(0, 99),
        workers=st.integers(1, 12),
        retry=st.builds(
            orstats.Retry, attempts=st.integers(1, 5), max_elapsed=st.floats(0, 30), max_wait=st.floats(0, 5)
        ),
        pending_wait=st.sampled_from([0.0, 1.0, 8.0]),
        refresh=st.sampled_from([False, False, False, True]),
        refused=st.tuples(st.sampled_from([None, None, "401", "402"]), st.integers(0, 20)),
        interrupt=interrupts,
    )
    def fetch(self, data, seed, workers, retry, pending_wait, refresh, refused, interrupt):
        wanted = data.draw(st.lists(st.sampled_from(self.ids), min_size=4, max_size=20))
        archive = orstats.Archive(self.place)
        with World(seed, self.wall) as world:
            client, wire = account(world, retry, FakeTransport(world, self.scripts, self.found_at, refused))
            ended, frame = None, None
            try:
                with interrupted(*(interrupt or (None, 0))):
                    frame = orstats.fetch(
                        wanted,
                        client=client,
                        archive=archive,
                        workers=workers,
                        refresh=refresh,
                        pending_wait=pending_wait,
                        progress=False,
                    )
            except errors.AccountError as error:
                ended, frame = error, error.frame
            except errors.NotApiResponseError as error:
                answers = [one.kind for one in sorted(wire.sent, key=lambda one: one.answered)]
                assert answers.count("html") >= 2, "one page may be an accident"
                ended, frame = error, getattr(error, "frame", None)
            except KeyboardInterrupt as error:
                assert interrupt
                ended = error
            answered = list(wire.ok)
            told_at = world.now
        self.wall += world.now
        if not refresh:
            assert not {one.id for one in wire.sent} & self.settled, "a settled record was asked for again"
        self.check_requests(wire, retry, told_at)
        if frame is not None:
            self.check_frame(frame, list(dict.fromkeys(wanted)), wire, retry, pending_wait, stopped=ended is not None)
        self.check_archive(archive, answered)
        if ended is None:
            assert wire.fatal_at is None
        elif isinstance(ended, errors.AccountError):
            assert ended.status == int(refused[0])

    def check_requests(self, wire, retry, told_at):
        if wire.fatal_at is not None:
            assert not [one for one in wire.sent if one.at > wire.fatal_at], "requests after a fatal answer"
        by_id = defaultdict(list)
        for one in wire.sent:
            by_id[one.id].append(one)
        for requests in by_id.values():
            # A refusal while other ids get through is the account's limit, and uses up time instead of attempts.
            failures = [one for one in requests if one.kind not in ("ok", "404", "429", "503", "529")]
            assert len(failures) <= retry.attempts
            assert [one.kind for one in requests].count("ok") <= 1
            for last, following in itertools.pairwise(requests):
                assert last.kind not in ("ok", "400", "401", "402", "403", "302"), "asked again after a final answer"
                assert following.at >= last.answered
                if last.kind != "404":
                    assert last.answered - requests[0].at <= retry.max_elapsed + 1e-6
                if last.told is not None:
                    assert following.at >= last.answered + min(last.told, retry.max_wait) - 1e-6, "sooner than told"
        assert all(one.at <= told_at for one in wire.sent)

    def check_frame(self, frame, wanted, wire, retry, pending_wait, *, stopped):
        assert list(frame.index) == wanted
        by_id = defaultdict(list)
        for one in wire.sent:
            by_id[one.id].append(one)
        for one in wanted:
            row, requests = frame.loc[one], by_id[one]
            status = row["fetch_status"]
            assert row["attempts"] <= len(requests)
            if status == "ok":
                assert row["total_cost"] == record(one)["total_cost"]
                assert requests or one in self.had
                continue
            assert pd.isna(row["total_cost"])
            if stopped:
                continue
            assert row["attempts"] == len(requests) > 0
            last = requests[-1]
            if last.kind in STATUS:
                assert status == STATUS[last.kind]
            elif last.kind == "404":
                assert status in ("pending", "not_found")
                young = self.wall - int(one.split("-")[1]) < 3_500
                if young and last.answered - requests[0].at >= pending_wait:
                    assert status == "pending"
            else:
                failures = sum(request.kind != "404" for request in requests)
                grown = min(retry.first_wait * 2 ** (failures - 1), retry.max_wait)
                most = max(grown, 0 if last.told is None else last.told + 0.11)
                gave_up_at = last.answered - requests[0].at
                assert failures >= retry.attempts or gave_up_at + most >= retry.max_elapsed, "given up too early"

    def check_archive(self, archive, answered):
        stored = archive.read(HOST, self.ids, settled_only=False)
        names = stored["id"].to_pylist()
        assert len(names) == len(set(names))
        self.had |= set(answered)
        assert set(names) == self.had, "what was answered is stored, and nothing else"
        costs = dict(zip(names, stored["total_cost"].to_pylist(), strict=True))
        assert costs == {one: record(one)["total_cost"] for one in names}
        self.settled = set(archive.read(HOST, self.ids)["id"].to_pylist())

    def teardown(self):
        if hasattr(self, "place"):
            shutil.rmtree(self.place)


Fetching.TestCase.settings = settings(
    max_examples=50,
    stateful_step_count=8,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
TestFetching = Fetching.TestCase


@pytest.mark.parametrize(
    "function", ["_take", "keep", "_collected", "_save", "store", "_run", "_drain_and_save", "_work_through"]
)
def test_an_interrupt_at_every_instruction_of_a_function_loses_nothing(function):
    """The machine meets these by chance; here each is met for sure."""
    ids = [f"gen-1780000000-{number:020d}" for number in range(5)]
    for opcode in range(150):
        with tempfile.TemporaryDirectory(dir=MEMORY) as place, World(opcode) as world:
            archive = orstats.Archive(place)
            scripts = {one: ([], "ok", 0.01 * number) for number, one in enumerate(ids)}
            client, wire = account(world, orstats.Retry(), FakeTransport(world, scripts))
            try:
                with interrupted(function, opcode):
                    orstats.fetch(ids, client=client, archive=archive, workers=3, progress=False)
            except KeyboardInterrupt:
                answered = list(wire.ok)
            else:
                assert opcode > 5
                return
            assert set(archive.read(HOST)["id"].to_pylist()) == set(answered)


@pytest.mark.parametrize("kind", ["429", "503", "reset"])
@pytest.mark.parametrize("told", [None, 1, 3600])
def test_server_that_only_fails_is_given_up_in_bounded_time(kind, told):
    ids = [f"gen-1780000000-{number:020d}" for number in range(1500)]
    with World() as world:
        scripts = {one: ([(kind, told)] * 100 if number >= 50 else [], "ok", 0.05) for number, one in enumerate(ids)}
        client, wire = account(world, orstats.Retry(), FakeTransport(world, scripts))
        frame = orstats.fetch(ids, client=client, archive=False, workers=16, progress=False)
        ended = world.now
    assert ended < 400
    status = frame["fetch_status"]
    assert (status.iloc[:50] == "ok").all()
    assert set(status.iloc[50:]) <= {"rate_limited", "server_error", "network_error", "not_attempted"}
    asked = pd.Series([one.id for one in wire.sent]).value_counts()
    assert (frame["attempts"] == asked.reindex(frame.index, fill_value=0)).all()
    assert ((status == "not_attempted") == (frame["attempts"] == 0)).all()


class Away(FakeTransport):
    """Refuses connections for 20 seconds, from the first or from the fifth on."""

    def __init__(self, world, scripts, accepted):
        super().__init__(world, scripts)
        self.accepted = accepted

    def send(self, path, *rest, **options):
        self.accepted -= 1
        if self.accepted < 0 and self.world.now < 20:
            raise errors.NoConnectionError("no connection (connection refused)", retryable=True)
        return super().send(path, *rest, **options)


@pytest.mark.parametrize(
    ("url", "accepted", "retry", "is_patient"),
    [
        ("http://127.0.0.1:9", 0, orstats.Retry(), False),
        ("http://127.0.0.1:9", 5, orstats.Retry(), True),
        ("http://127.0.0.1:9", 0, orstats.Retry(max_offline=60), True),
        (f"https://{HOST}", 0, orstats.Retry(), True),
    ],
)
@pytest.mark.parametrize("number", [1, 400])
def test_only_a_local_server_that_never_accepts_a_connection_is_given_up_early(
    url, accepted, retry, is_patient, number
):
    ids = [f"gen-1780000000-{number:020d}" for number in range(number)]
    with World() as world:
        client, _ = account(world, retry, Away(world, {one: ([], "ok", 0.02) for one in ids}, accepted), url)
        frame = orstats.fetch(ids, client=client, archive=False, progress=False)
        ended = world.now
    assert set(frame["fetch_status"]) == ({"ok"} if is_patient else {"network_error"})
    assert is_patient or ended < 10


@pytest.mark.parametrize("told", [None, 0, 1])
def test_ids_refused_once_each_do_not_block_each_other(told):
    ids = [f"gen-1780000000-{number:020d}" for number in range(60)]
    with World() as world:
        scripts = {one: ([("429", told)], "ok", 0.02) for one in ids}
        client, wire = account(world, orstats.Retry(), FakeTransport(world, scripts))
        frame = orstats.fetch(ids, client=client, archive=False, workers=16, progress=False)
        ended = world.now
    assert (frame["fetch_status"] == "ok").all()
    assert len(wire.sent) == 120
    assert ended < 60


class Limited(FakeTransport):
    """A token bucket in front of the API: `rate` a second, refusals without a word about when to come back."""

    def __init__(self, world, rate, burst, status, latency, *, hammered=0.0):
        super().__init__(world, {})
        self.rate, self.burst, self.status, self.latency = rate, burst, status, latency
        self.tokens, self.at, self.hammered = burst, 0.0, hammered
        self.refused = 0

    def send(self, path, *_, **__):
        name = path.rpartition("id=")[2]
        self.world.sleep(self.latency / 2)
        now = self.world.now
        self.tokens = min(self.burst, self.tokens + (now - self.at) * self.rate)
        self.at = now
        is_ok = self.tokens >= 1 and self.world._random.random() >= self.hammered
        self.tokens -= is_ok
        self.refused += not is_ok
        self.sent.append(name)
        self.world.sleep(self.latency / 2)
        return self.answer("ok", None, name) if is_ok else Answer(self.status, {}, b"<html>no</html>")


@pytest.mark.parametrize(("status", "workers"), [(503, 16), (503, 32), (429, 16)])
@pytest.mark.parametrize(("rate", "burst"), [(20, 1), (20, 20), (50, 50), (200, 40), (200, 200)])
def test_rate_limit_without_a_wait_is_fully_used_and_loses_nothing(rate, burst, workers, status):
    ids = [f"gen-1780000000-{number:020d}" for number in range(1000)]
    with World() as world:
        client, wire = account(world, orstats.Retry(), Limited(world, rate, burst, status, 0.005))
        frame = orstats.fetch(ids, client=client, archive=False, workers=workers, progress=False)
        ended = world.now
    assert (frame["fetch_status"] == "ok").all(), frame["error"].dropna().iloc[:3].tolist()
    assert wire.refused < 0.08 * len(wire.sent)
    assert ended < 1.3 * (len(ids) - burst) / rate


@pytest.mark.parametrize("status", [503, 429])
def test_ids_are_not_given_up_while_another_program_uses_up_the_limit(status):
    ids = [f"gen-1780000000-{number:020d}" for number in range(300)]
    with World() as world:
        client, _wire = account(world, orstats.Retry(), Limited(world, 50, 50, status, 0.02, hammered=0.3))
        frame = orstats.fetch(ids, client=client, archive=False, progress=False)
    assert (frame["fetch_status"] == "ok").all()


def test_id_that_is_always_refused_is_given_up_as_early_as_before():
    ids = [f"gen-1780000000-{number:020d}" for number in range(3000)]
    with World() as world:
        scripts = {one: ([], "ok", 0.05) for one in ids} | {ids[5]: ([], "503", 0.05)}
        client, _wire = account(world, orstats.Retry(), FakeTransport(world, scripts))
        frame = orstats.fetch(ids, client=client, archive=False, progress=False)
        ended = world.now
    assert frame.loc[ids[5], ["fetch_status", "attempts"]].tolist() == ["server_error", 8]
    assert (frame["fetch_status"] == "ok").sum() == 2999
    assert ended < 70


def test_random_faults_do_not_slow_a_fetch_down():
    ids = [f"gen-1780000000-{number:020d}" for number in range(2500)]
    with World(3) as world:
        scripts = {one: ([("503", None)] * (number % 10 == 7), "ok", 0.02) for number, one in enumerate(ids)}
        client, _ = account(world, orstats.Retry(), FakeTransport(world, scripts))
        frame = orstats.fetch(ids, client=client, archive=False, workers=16, progress=False)
        ended = world.now
    assert (frame["fetch_status"] == "ok").all()
    assert ended < 1.3 * 1.1 * len(ids) * 0.02 / 16
    assert client.rate_limiter.pace is None


@pytest.mark.parametrize(("workers", "number"), [(1, 40), (4, 40), (16, 400), (16, 5)])
@pytest.mark.parametrize("status", [403, 404, 200])
def test_responses_from_elsewhere_stop_the_batch(workers, number, status):
    ids = [f"gen-1780000000-{number:020d}" for number in range(number)]
    page = Answer(status, {"Content-Type": "text/html"}, b"<html><title>Blocked</title></html>")
    with World() as world:
        client, wire = account(world, orstats.Retry(), FakeTransport(world, {}))
        sent = []
        wire.send = lambda path, *_, **__: (sent.append(path), world.sleep(0.05), page)[-1]
        with pytest.raises(errors.NotApiResponseError) as caught:
            orstats.fetch(ids, client=client, archive=False, workers=workers, progress=False)
        ended = world.now
    assert len(sent) <= 2 * workers
    assert ended < 10
    status = caught.value.frame["fetch_status"]
    assert len(status) == number
    assert set(status) <= {"bad_response", "not_attempted"}


def test_wrong_setting_stops_the_batch_and_keeps_fetched_records():
    ids = [f"gen-1780000000-{number:020d}" for number in range(100)]
    with tempfile.TemporaryDirectory(dir=MEMORY) as place, World() as world:
        archive = orstats.Archive(place)
        client, wire = account(world, orstats.Retry(), FakeTransport(world, dict.fromkeys(ids, ([], "ok", 0.05))))
        answer = wire.send

        def send(path, *_, **__):
            if len(wire.sent) >= 30:
                raise errors.NetworkSetupError("the proxy asks for a user and password")
            return answer(path)

        wire.send = send
        with pytest.raises(errors.NetworkSetupError, match="user and password") as caught:
            orstats.fetch(ids, client=client, archive=archive, workers=4, progress=False)
        stored = archive.read(HOST).num_rows
    assert caught.value.frame["fetch_status"].value_counts()["ok"] == stored == 30
    assert (caught.value.frame["fetch_status"] == "not_attempted").sum() >= 66


@pytest.mark.parametrize("age", [90, 135, 240, 3000])
@pytest.mark.parametrize("hours_ahead", [-7, 0, 7])
def test_records_that_appear_after_the_end_of_a_long_call_are_fetched(age, hours_ahead):
    old = [f"gen-1780000000-{number:020d}" for number in range(50)]
    with World() as world:
        recent = [f"gen-{int(world.time()) - age}-{number:020d}" for number in range(3)]
        ids = [*recent, *old, "gen-mistyped"]
        scripts = {one: ([], "404" if one == "gen-mistyped" else "ok", 0.02) for one in ids}
        found_at = dict.fromkeys(recent, world.time() + 8)
        client, wire = account(world, orstats.Retry(), FakeTransport(world, scripts, found_at))
        wire.wall_ahead = world.wall_ahead  # the server's clock is right
        world.wall_ahead += 3600 * hours_ahead
        frame = orstats.fetch(ids, client=client, archive=False, workers=4, progress=False)
        ended = world.now
    assert (frame.loc[[*recent, *old], "fetch_status"] == "ok").all()
    assert frame.loc["gen-mistyped", ["fetch_status", "attempts"]].tolist() == ["not_found", 1]
    assert max(one.at for one in wire.sent if one.id in old) < 1, "recent ids do not delay others"
    assert ended < 15


@pytest.mark.parametrize("how", ["deadline", "cancel"])
def test_deadline_and_cancel_keep_fetched_records(how):
    ids = [f"gen-1780000000-{number:020d}" for number in range(40)]
    with tempfile.TemporaryDirectory(dir=MEMORY) as place, World() as world:
        archive = orstats.Archive(place)
        scripts = {one: ([], "ok", 1.0) for one in ids}
        scripts[ids[0]] = ([("429", 60)] * 9, "ok", 1.0)
        client, wire = account(world, orstats.Retry(), FakeTransport(world, scripts))
        early = {"deadline": 4.9}
        if how == "cancel":
            early = {"cancel": SimpleNamespace(is_set=lambda: world.now >= 4.9)}
        frame = orstats.fetch(ids, client=client, archive=archive, workers=4, progress=False, **early)
        ended = world.now
        requests = len(wire.sent)
        with pytest.raises(errors.IncompleteFetchError):
            orstats.fetch(ids, client=client, archive=archive, progress=False, deadline=0, errors="raise")
        stored = archive.read(HOST)["id"].to_pylist()
    assert ended < 7.5
    status = frame["fetch_status"]
    assert set(status) == {"ok", "not_attempted"}
    assert 10 < (status == "ok").sum() < 25
    assert set(stored) == set(status.index[status == "ok"])
    assert frame.loc[ids[0], "fetch_status"] == "not_attempted"
    assert "HTTP 429" in frame.loc[ids[0], "error"]
    assert ("4.9 s passed" if how == "deadline" else "was cancelled") in frame["error"].iloc[-1]
    assert len(wire.sent) == requests, "deadline=0 sends nothing"


def test_deadline_leaves_recent_ids_pending():
    with World() as world:
        (recent,) = ids = [f"gen-{int(world.time()) - 100}-{1:020d}"]
        client, _ = account(world, orstats.Retry(), FakeTransport(world, {recent: ([], "404", 0.1)}))
        frame = orstats.fetch(ids, client=client, archive=False, progress=False, deadline=5)
        ended = world.now
    assert frame["fetch_status"].tolist() == ["pending"]
    assert ended < 6
