"""fetch as a state machine in simulated time: statuses x ages x retries x refusals x interrupts, run after run."""

import itertools
import shutil
import tempfile
from collections import defaultdict

import pandas as pd
import pytest
from fake_account import HOST, MEMORY, FakeTransport, account, record
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule
from interrupts import interrupted
from simulated_time import World

import orstats
from orstats import errors

#: How an id answers: the kinds that heal by themselves, and those that do not.
TRANSIENT = ["429", "502", "503", "520", "reset", "html", "error-200"]
LASTING = ["400", "403", "404", "302", "500", *["ok"] * 12]
STATUS = {"400": "invalid_id", "403": "forbidden", "302": "bad_response", "ok": "ok"}


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
    "function", ["_take", "keep", "_collected", "save", "_convert", "_run", "_drain_and_save", "_work_through"]
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
