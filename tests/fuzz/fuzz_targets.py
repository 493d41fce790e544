"""What a payload is fed to: the decoder, then whatever reads such an answer. Only OrstatsError may come out of it."""

import contextlib
import json
import warnings
from datetime import UTC, datetime, timedelta

import orjson

import orstats
from orstats import errors
from orstats.account.daily_totals import account_totals
from orstats.api.response import decode
from orstats.content.content import Content
from orstats.content.contents_frame import contents_frame
from orstats.frame.build import FetchOutcome, build_frame
from orstats.frame.record_table import to_table

NOW = 1_790_000_000.0
STATUSES = [200, 200, 200, 200, 200, 200, 400, 401, 402, 403, 404, 408, 429, 500, 503, 529, 302, 204, 599]
HEADERS = [
    {},
    {"Retry-After": "2"},
    {"Retry-After": "Thu, 01 Jan 0001 00:00:00 +2359", "Date": "Fri, 31 Dec 9999 23:59:59 -2359"},
    {"Retry-After": "-1e999"},
    {"Retry-After": "9" * 5000},
    {"X-RateLimit-Reset": "1e308", "Date": "\x00"},
    {"X-RateLimit-Reset": "nan"},
    {"Location": "sk-or-v1-0123 \x1b[31m"},
]
GOOD = {
    f"gen-1780000000-{number:020d}": {
        "id": f"gen-1780000000-{number:020d}",
        "created_at": "2026-05-28T20:26:40.5+00:00",
        "model": "a/b",
        "is_byok": False,
        "total_cost": number / 1000,
        "native_tokens_prompt": number,
        "provider_responses": [{"status": 200, "provider_name": "A"}],
    }
    for number in range(3)
}
GOOD_CONTENT = {"input": {"messages": [{"role": "user", "content": "hello"}]}, "output": {"completion": "there"}}


def run(path, generation_id, status, headers, body):
    """Feed one answer through; returns whether it was taken for a good one.

    Raises
    ------
    AssertionError
        A row beside it is not right.
    Exception
        Any error other than an OrstatsError is a defect.
    """
    try:
        data = decode(
            status,
            headers,
            body,
            generation_id=generation_id,
            path=path,
            shape=list if path == "/activity" else dict,
            now=NOW,
            secret="sk-or-v1-0123",
        )
    except errors.ApiError as error:
        text = str(error)
        assert len(text) < 800
        assert len(text.splitlines()) == 1
        assert "\x1b" not in text
        text.encode()
        return False
    READERS[path](generation_id, data)
    return True


def read_record(generation_id, data):
    """A batch with this record among good ones."""
    read_records({generation_id: data})


def read_records(unexpected):
    """Read a batch with unexpected records (by id) among good ones, whose rows must not change."""
    records = {**GOOD, **unexpected}
    ids = [*list(records)[1:], next(iter(records))]
    table = to_table(ids, [records[one] for one in ids], [NOW] * len(ids))
    frame = build_frame(ids, [table], {one: FetchOutcome("ok", 200, 1, None) for one in ids})
    assert list(frame.index) == ids
    assert (frame["fetch_status"] == "ok").all()
    for one, record in GOOD.items():
        assert frame.loc[one, "total_cost"] == frame.loc[one, "cost_usd"] == record["total_cost"]
        assert frame.loc[one, "native_tokens_prompt"] == record["native_tokens_prompt"]
        assert frame["extra"].isna()[one]
    for extra in frame.loc[list(unexpected), "extra"].dropna():
        assert isinstance(json.loads(extra), dict)
    orstats.attempts(frame)
    orstats.summary(frame)
    orstats.cost_by(frame, by="model")


def read_content(generation_id, data):
    """A batch with this content beside a good one; and as it comes back from the archive."""
    good = next(iter(GOOD))
    for content in (
        (first := Content.from_wire(generation_id, data)),
        Content.from_json(generation_id, first.raw),
    ):
        contents = {good: Content.from_wire(good, GOOD_CONTENT), generation_id: content}
        outcomes = dict.fromkeys(contents, FetchOutcome("ok", None, 1, None))
        frame = contents_frame([generation_id, good], outcomes, contents, "generation")
        assert frame.loc[good, "completion"] == "there"
        assert orjson.loads(frame.loc[good, "messages"])[0]["content"] == "hello"
        rows = contents_frame([generation_id, good], outcomes, contents, "message")
        assert list(rows.loc[good, "text"]) == ["hello", "there"]


class _Account(orstats.Client):
    """Answers every question with the same data."""

    def __init__(self, data):
        super().__init__("sk-or-v1-" + "0" * 64, base_url="https://api.example.com", retry=orstats.Retry(attempts=1))
        self.data = data
        self.asked = 0

    def _request(self, path, *_, shape=dict, **__):
        self.asked += 1
        if self.asked > 40:  # an answer that is cut again and again is asked for in ever smaller pieces
            raise errors.ServerError("enough", status=500)
        good = isinstance(self.data, shape) and (path != "/analytics/query" or isinstance(self.data, dict))
        return self.data if good else shape()


def read_account(_, data):
    """What list_ids, list_generations and reconcile make of an answer about the account."""
    now = datetime.now(UTC)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for start, end in ((now - timedelta(days=3), now - timedelta(hours=1)), (now - timedelta(days=40), now)):
            with contextlib.suppress(errors.OrstatsError):
                account_totals(start, end, _Account(data))
            if isinstance(data, dict):
                with contextlib.suppress(errors.OrstatsError):
                    listed = orstats.list_ids(start, end, client=_Account(data), archive=False, progress=False)
                    assert all(isinstance(one, str) for one in listed)
                with contextlib.suppress(errors.OrstatsError):
                    options = {"client": _Account(data), "archive": False, "progress": False}
                    labelled = orstats.list_generations(start, end, **options)
                    assert labelled.index.is_unique
                    assert labelled["account_usd"].dtype == "float64"


def _nothing(_, data):
    assert isinstance(data, dict)


READERS = {
    "/generation": read_record,
    "/generation/content": read_content,
    "/analytics/query": read_account,
    "/activity": read_account,
    "/key": _nothing,
    "/credits": _nothing,
}
