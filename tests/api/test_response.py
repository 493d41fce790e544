import pickle
import time

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from urllib3 import HTTPHeaderDict

from orstats import errors
from orstats.api.response import RETRYABLE, decode, quote
from orstats.api.retry_after import retry_after

ID = "gen-1790000000-AbCdEfGhIjKlMnOpQrSt"
NOW = 1_790_000_000.0


def answer(status, body=b"", headers=(), **kwargs):
    raw = body if isinstance(body, bytes) else orjson.dumps(body)
    return decode(status, HTTPHeaderDict(dict(headers)), raw, generation_id=ID, now=NOW, **kwargs)


def failure(status, body=b"", headers=(), **kwargs):
    with pytest.raises(errors.ApiError) as caught:
        answer(status, body, headers, **kwargs)
    return caught.value


def said(code, message="Said"):
    return {"error": {"code": code, "message": message}}


def test_success_gives_the_data_object():
    assert answer(200, {"data": {"id": ID, "total_cost": 0.5}}) == {"id": ID, "total_cost": 0.5}


@pytest.mark.parametrize(
    ("wire", "value"),
    [
        (b"\xef\xbb\xbf" + b'{"data": {"a": 1}}', 1),
        (b'{"data": {"a": -Infinity}}', float("-inf")),
        (b'{"data": {"a": 1e999}}', float("inf")),
        (b'{"data": {"a": "caf\xe9"}}', "caf\ufffd"),
        (b'{"data": {"b": NaN, "a": "\\ud83d"}}', "\ufffd"),
    ],
)
def test_json_extensions_of_most_parsers_are_accepted(wire, value):
    assert answer(200, wire, path="/other")["a"] == value


@pytest.mark.parametrize(
    ("charset", "encoding"),
    [("iso-8859-1", "latin-1"), ("utf-16le", "utf-16le"), ("iso-8859-1", "utf-8"), ("base64", "utf-8")],
)
def test_json_in_the_encoding_of_its_header_unless_it_is_utf_8(charset, encoding):
    wire = '{"data": {"a": "café"}}'.encode(encoding)
    assert answer(200, wire, {"Content-Type": f"application/json; charset={charset}"}, path="/other")["a"] == "café"
    assert answer(200, '{"data": {"a": 1}}'.encode("utf-16"), path="/other")["a"] == 1


def test_empty_record_is_not_kept():
    error = failure(200, {"data": {}})
    assert isinstance(error, errors.BadResponseError)
    assert error.retryable
    assert answer(200, {"data": {}}, path="/generation/content") == {}


@pytest.mark.parametrize(
    ("path", "data"),
    [
        ("/generation", {"data": {"id": ID, "model": "m"}}),
        ("/generation", {"generation": {"id": ID}}),
        ("/generation", {"status": "ok"}),
        ("/generation", {"id": None, "model": None, "total_cost": None}),
        ("/generation", {"label": "sk-or-v1-…", "usage": 3.5, "limit": None}),
        ("/generation/content", {"data": {"input": {}, "output": {}}}),
        ("/key", {"message": "ok"}),
        ("/key", {}),
        ("/credits", {}),
        ("/credits", {"data": {"total_credits": 5}}),
        ("/analytics/meta", {"ok": True}),
    ],
)
def test_success_without_any_known_field_is_a_bad_response(path, data):
    error = failure(200, {"data": data}, path=path)
    assert type(error) is errors.BadResponseError
    assert not error.retryable


def test_record_without_an_id_is_kept_and_one_of_another_id_is_not():
    assert answer(200, {"data": {"model": "m"}}) == {"model": "m"}
    error = failure(200, {"data": {"id": 7, "model": "m"}})
    assert "an id that is not text" in str(error)
    error = failure(200, {"data": {"id": "gen-other"}})
    assert isinstance(error, errors.BadResponseError)
    assert "gen-other" in str(error)
    assert ID in str(error)


CLASSES = {
    400: errors.BadRequestError,
    401: errors.AuthenticationError,
    402: errors.PaymentRequiredError,
    403: errors.ForbiddenError,
    404: errors.NotFoundError,
    405: errors.BadResponseError,
    408: errors.RequestTimeoutError,
    409: errors.ConflictError,
    418: errors.BadResponseError,
    420: errors.RateLimitError,
    425: errors.ServerError,
    429: errors.RateLimitError,
    500: errors.InternalServerError,
    501: errors.ServerError,
    502: errors.BadGatewayError,
    503: errors.ServiceUnavailableError,
    504: errors.GatewayTimeoutError,
    505: errors.ServerError,
    509: errors.RateLimitError,
    **dict.fromkeys((507, 520, 521, 522, 523, 525, 526, 527, 530, 598, 599), errors.ServerError),
    524: errors.EdgeNetworkTimeoutError,
    529: errors.ProviderOverloadedError,
}
TRANSIENT = CLASSES.keys() & {408, 420, 425, 429, *range(500, 600)} - {501, 505}
PAGE = b"<!DOCTYPE html>\n<html><head><title>Web &amp; filter: <b>blocked</b></title></head></html>"


def check(error, status, kind):
    assert type(error) is kind
    assert (error.status, error.retryable, error.generation_id) == (status, status in TRANSIENT, ID)
    assert ID in str(error)
    assert str(status) in str(error)


@pytest.mark.parametrize("status", CLASSES)
@pytest.mark.parametrize("body", [said(0), b'{"error":"text"}', b'{"error":{"code":404,"mess'])
def test_each_documented_error_has_its_class(status, body):
    check(failure(status, body), status, CLASSES[status])
    assert {status for status in CLASSES if status in RETRYABLE} == TRANSIENT


@pytest.mark.parametrize("status", sorted(TRANSIENT | {401, 402, 501}))
@pytest.mark.parametrize("body", [b"", b"plain", b"[1]", b'{"message": "no"}'])
def test_statuses_that_gateways_send_need_no_error_body(status, body):
    check(failure(status, body), status, CLASSES[status])


@pytest.mark.parametrize("status", sorted(TRANSIENT))
def test_transient_status_with_a_page_stays_transient(status):
    check(failure(status, PAGE), status, CLASSES[status])


SPRING = b'{"timestamp": "2026-01-01", "status": 404, "error": "Not Found", "path": "/api/v1/generation"}'
OPENAI = b'{"error": {"message": "Invalid URL", "type": "invalid_request_error", "param": null, "code": null}}'
S3 = b'<?xml version="1.0"?><Error><Code>AccessDenied</Code><Message>Access Denied</Message></Error>'


@pytest.mark.parametrize("status", [204, 400, 403, 404, 405, 407, 410, 421, 451, 511])
@pytest.mark.parametrize(
    ("body", "told"),
    [
        (PAGE, "a page titled 'Web & filter: blocked'"),
        (b"\xef\xbb\xbf\n <html><h1>Sign in</h1>", "a page titled 'Sign in'"),
        (b"<html>", "a page without a title"),
        (
            b"<title></title><script><h1>x</h1></script><svg><title>Logo</title></svg><h1>Blocked</h1>",
            "a page titled 'Blocked'",
        ),
        (b"<h2>Web Page Blocked</h2>", "a page titled 'Web Page Blocked'"),
        (b"<!DOCTYPE html><body><pre>Cannot GET /api/v1/generation</pre>", "a page: 'Cannot GET /api/v1/generation'"),
        ("<meta charset=shift_jis><title>アクセス拒否</title>".encode("shift_jis"), "a page titled 'アクセス拒否'"),
        ("<title>访问被拒绝</title>".encode("utf-16"), "a page titled '访问被拒绝'"),
        (S3, "a page titled 'Access Denied'"),
        (b'{"detail": "Not Found"}', 'JSON: \'{"detail": "Not Found"}\''),
        (SPRING, "JSON: "),
        (OPENAI, "JSON: "),
        (b"[]", "JSON: '[]'"),
        (b"404 page not found", "text: '404 page not found'"),
        (b"", "an empty body"),
    ],
)
def test_response_of_something_else_blames_neither_key_nor_id(status, body, told):
    error = failure(status, body, {"Server": "nginx/1.22"})
    check(error, status, errors.NotApiResponseError)
    assert f"is not a response of the API but of nginx/1.22: {told}" in str(error)
    assert "Check the base URL and the network" in str(error)


@pytest.mark.parametrize("status", [401, 402])
def test_login_page_does_not_blame_the_key(status):
    check(failure(status, PAGE), status, errors.NotApiResponseError)


@pytest.mark.parametrize("body", [PAGE, b"[]", b"{}", b"null", b'"x"', b'{"ok": true}'])
def test_success_of_something_else_is_not_the_apis(body):
    error = failure(200, body)
    assert type(error) is errors.NotApiResponseError
    assert error.retryable is (body == PAGE)


@pytest.mark.parametrize(
    "body",
    [
        b"<html><head><title>400 The plain HTTP request was sent to HTTPS port</title></head></html>",
        b"Client sent an HTTP request to an HTTPS server.\n",
        b"<html><p>Reason: You're speaking plain HTTP to an SSL-enabled server port.<br /></p></html>",
        b"Bad Request\r\nThis combination of host and port requires TLS.\r\n",
    ],
)
def test_http_at_an_https_port_names_the_setting(body):
    error = failure(400, body)
    assert type(error) is errors.NetworkSetupError
    assert error.stops_batch
    assert "https:// in the base URL" in str(error)


@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_redirect_is_named_and_not_retryable(status):
    error = failure(status, b"", {"Location": "https://elsewhere.example/x"})
    assert isinstance(error, errors.BadResponseError)
    assert not error.retryable
    assert "elsewhere.example" in str(error)


@pytest.mark.parametrize(
    ("code", "kind", "retryable"),
    [
        (502, errors.BadGatewayError, True),
        (429, errors.RateLimitError, True),
        ("429", errors.RateLimitError, True),
        (404, errors.NotFoundError, False),
        (401, errors.AuthenticationError, False),
        (None, errors.BadResponseError, False),
        (True, errors.BadResponseError, False),
    ],
)
def test_success_that_carries_an_error_is_that_error(code, kind, retryable):
    error = failure(200, said(code, "Provider returned error"))
    assert type(error) is kind
    assert error.retryable is retryable
    assert "Provider returned error" in str(error)


@pytest.mark.parametrize("body", [b"", b"<html>", b'{"data": {"id', b"\xff\xfe", b'{"data": 00}'])
def test_success_that_is_no_json_may_be_tried_again(body):
    error = failure(200, body)
    assert isinstance(error, errors.BadResponseError)
    assert error.retryable


@pytest.mark.parametrize("body", [b"[]", b"null", b"{}", b'{"data": null}', b'{"data": []}', b'"x"'])
def test_success_without_data_is_a_bad_response(body):
    assert isinstance(failure(200, body), errors.BadResponseError)


def test_waits_are_read_from_every_documented_header():
    assert retry_after(HTTPHeaderDict({"retry-after": "7"}), NOW) == 7
    assert retry_after(HTTPHeaderDict({"Retry-After": "0.25"}), NOW) == 0.25
    assert retry_after(HTTPHeaderDict({"Retry-After": "Mon, 21 Sep 2026 15:13:25 GMT"}), 1_790_003_600.0) == 5
    assert retry_after(HTTPHeaderDict({"X-RateLimit-Reset": "1790000002500"}), NOW) == 2.5
    assert retry_after(HTTPHeaderDict({"X-RateLimit-Reset": "1790000003"}), NOW) == 3
    assert retry_after(HTTPHeaderDict({"Retry-After-Ms": "1500", "Retry-After": "7"}), NOW) == 1.5
    assert retry_after(HTTPHeaderDict({"retry-after-ms": "soon", "Retry-After": "7"}), NOW) == 7
    assert retry_after(HTTPHeaderDict(), NOW) is None


def test_waits_that_make_no_sense_are_no_answer_or_none_at_all():
    assert retry_after({"Retry-After": "soon"}, NOW) is None
    assert retry_after({"Retry-After": "1_0"}, NOW) is None
    assert retry_after({"Retry-After": "2, 5"}, NOW) == 5
    assert retry_after({"Retry-After": "nan"}, NOW) is None
    assert retry_after({"Retry-After": "inf"}, NOW) is None
    assert retry_after({"Retry-After": "-3"}, NOW) == 0
    assert retry_after({"X-RateLimit-Reset": "1789999999000"}, NOW) == 0
    assert retry_after({"Retry-After": "soon", "X-RateLimit-Reset": "1790000001000"}, NOW) == 1


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({"Retry-After": "1790000030"}, 30),  # a moment where seconds are expected
        ({"Retry-After": "1790000030500"}, 30.5),
        ({"Retry-After": "2026-09-21T14:13:50Z"}, 30),
        ({"Retry-After": "Mon Sep 21 14:13:50 2026"}, 30),  # C's asctime, which has no zone
        ({"Retry-After": "Monday, 21-Sep-26 14:13:50 GMT"}, 30),
        ({"Retry-After": "Mon, 21 Sep 2026 16:13:50 +0200"}, 30),
        ({"Retry-After": "Mon, 21 Sep 2026 14:13:50 -0000"}, 30),
        ({"Retry-After": "1" + "0" * 20}, 1e20),
        ({"Retry-After": "1m30s"}, 90),
        ({"Retry-After": "250ms"}, 0.25),
        ({"X-RateLimit-Reset": "30"}, 30),
        ({"X-RateLimit-Reset": "1790000030000000"}, 30),
        ({"RateLimit-Reset": "30"}, 30),
        ({"X-RateLimit-Reset-After": "2.5"}, 2.5),
        ({"X-RateLimit-Remaining": "57", "X-RateLimit-Reset": "1790000030000"}, None),  # sent with every response
        ({"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": "1790000030000"}, 30),
    ],
)
def test_waits_in_the_spellings_of_other_gateways(headers, expected, monkeypatch):
    monkeypatch.setenv("TZ", "America/New_York")
    time.tzset()
    try:
        assert retry_after(HTTPHeaderDict(headers), NOW) == expected
    finally:
        monkeypatch.undo()
        time.tzset()


def test_wait_of_a_rate_limit_that_is_only_in_the_body():
    headers = {"X-RateLimit-Limit": "20", "X-RateLimit-Remaining": "0", "X-RateLimit-Reset": "1790000042000"}
    body = {"error": {"code": 429, "message": "free-models-per-min", "metadata": {"headers": headers}}}
    assert failure(429, body).retry_after == 42


def test_conflict_of_a_record_has_no_advice_about_feedback():
    assert str(failure(409, said(409))).endswith(": Said.")


def test_skewed_clock_here_does_not_turn_into_a_wait_of_hours():
    headers = {"X-RateLimit-Reset": "1790000001000", "Date": "Mon, 21 Sep 2026 14:13:20 GMT"}
    assert retry_after(headers, NOW - 7200) == 1.0
    headers = {"Retry-After": "Mon, 21 Sep 2026 14:13:22 GMT", "Date": "Mon, 21 Sep 2026 14:13:20 GMT"}
    assert retry_after(headers, NOW - 7200) == 2.0


def test_only_retryable_errors_carry_a_wait():
    assert failure(429, said(429), {"Retry-After": "3"}).retry_after == 3
    assert not failure(418, said(418), {"X-RateLimit-Reset": "1790000002500"}).retryable
    assert failure(403, said(403), {"Retry-After": "3"}).retry_after is None


def test_echoed_key_is_cut_out():
    key = "a-key-of-another-gateway"
    error = failure(401, said(401, f"bad key {key} or sk-or-v1-abcdef, Authorization: Bearer abc.def"), secret=key)
    for secret in (key, "sk-or-v1-abcdef", "abc.def"):
        assert secret not in str(error)


KEY = "a/key-of-another_gateway"


@pytest.mark.parametrize(
    "body",
    [
        orjson.dumps({"error": {"code": 400, "message": KEY, "metadata": {KEY: [{"raw": f"Bearer {KEY}"}]}}}),
        b'{"error": {"code": 400, "message": "a\\/key-of\\u002danother_gateway"}, "openrouter_metadata": {"k": 1}}',
        b"<html><title>%s</title>" % KEY.encode(),
        b"x" * ((1 << 16) - 9) + KEY.encode(),
        b" " * 795 + KEY.encode(),
        KEY.encode(),
    ],
)
def test_body_metadata_and_headers_are_carried_without_the_key(body):
    error = failure(400, body, {"X-Echo": f"Bearer {KEY}", "CF-Ray": "8f", "X-Other": KEY}, secret=KEY)
    assert error.headers["cf-ray"] == "8f"
    shown = f"{error.body} {error.metadata} {dict(error.headers)} {error} {error!r}"
    assert KEY not in shown
    assert KEY[:6] not in shown
    again = pickle.loads(pickle.dumps(error))
    assert (again.body, again.metadata, again.headers) == (error.body, error.metadata, error.headers)


def test_body_is_the_parsed_json_else_bounded_text():
    error = failure(
        429, {"error": {"code": 429, "message": "slow", "metadata": {"provider_name": "X"}}, "user_id": "u"}
    )
    assert error.body["user_id"] == "u"
    assert error.metadata == {"provider_name": "X"}
    assert failure(500, {"error": {"code": 500}, "openrouter_metadata": {"region": "eu"}}).metadata == {"region": "eu"}
    assert failure(502, b"<h1>" + b"x" * (1 << 20)).body == "<h1>" + "x" * ((1 << 16) - 4)
    assert failure(200, b"").body == ""


@pytest.mark.parametrize("status", [201, 203, 206])
def test_other_successes_with_a_complete_record_are_successes(status):
    record = {"id": ID, "total_cost": 0.5}
    assert answer(status, {"data": record}) == record
    assert failure(status, orjson.dumps({"data": record})[:-9]).retryable
    assert "secret words" not in str(failure(202, {"x": "secret words"}, path="/generation/content"))


@pytest.mark.parametrize("status", [403, 404, 418, 501])
def test_retry_after_makes_only_undocumented_statuses_transient(status):
    error = failure(status, said(status), {"Retry-After": "7"})
    assert error.retryable is (status not in (403, 404))
    assert error.retry_after == (7 if error.retryable else None)
    assert isinstance(error, errors.RateLimitError) is (status == 418)


def test_status_without_a_redirect_is_not_called_one():
    assert "an empty body" in str(failure(304))
    assert "redirect" not in str(failure(304))


def test_request_without_an_id_is_named_by_its_path():
    with pytest.raises(errors.NotApiResponseError, match="HTTP 403 for /credits is not"):
        decode(403, HTTPHeaderDict(), PAGE, path="/credits", now=NOW)


def test_code_written_as_a_float_counts():
    assert isinstance(failure(200, said(502.0)), errors.BadGatewayError)


def test_key_in_the_name_of_a_header_is_cut_out():
    assert "sk-secret" not in repr(failure(500, b"", {"sk-secret-1": "x"}, secret="sk-secret-1").headers)


def test_stored_conversation_is_in_no_message():
    for body in (b'{"data": {"input": "a secret pl', b'{"input": "a secret plan"}', b'["a secret plan"]'):
        error = failure(200, body, path="/generation/content")
        assert "secret" not in str(error)


def test_message_names_the_wait_that_the_server_asked_for():
    assert str(failure(429, said(429), {"Retry-After": "1200"})).endswith("Said. Try again in 1,200 s.")


def test_quoted_text_stays_on_one_short_line():
    text = quote("a\r\nb\x1b[31m\u202ec" + "x" * 1000)
    assert len(text) <= 200
    assert text.isprintable()


def test_quotes_find_keys_that_invisible_characters_split():
    assert quote("bad sk-or-\u200bv1-abcdef and sk-\x00or-v1-abcdef") == "bad [key] and [key]"


@pytest.mark.parametrize(
    ("sent", "read"),
    [
        (r"\ud83d", "\ufffd"),
        (r"cut \uD83D", "cut \ufffd"),
        (r"\ude00 first", "\ufffd first"),
        (r"\ud83d\ud83d\ude00", "\ufffd\U0001f600"),
        (r"\ud83d\u0041", "\ufffdA"),
        (r"\ud83d\ude00 and \\ud83d", "\U0001f600 and \\ud83d"),
        (r"\\\ud83d \\\\ud83d", "\\\ufffd \\\\ud83d"),
    ],
)
def test_half_a_character_costs_that_character_and_not_the_record(sent, read):
    body = f'{{"data": {{"id": "{ID}", "model": "{sent}", "half": "\\ud83d"}}}}'.encode()
    assert decode(200, {}, body, generation_id=ID, now=NOW) == {"id": ID, "model": read, "half": "\ufffd"}


@pytest.mark.parametrize("depth", [200, 900, 1020, 5000])
def test_error_whose_message_is_no_text_is_quoted_as_it_is(depth):
    body = b'{"error": {"code": 500, "message": ' + b"[" * depth + b"]" * depth + b"}}"
    error = failure(500, body)
    assert isinstance(error, errors.ServerError)
    assert "[[[" in str(error)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


@given(
    status=st.integers(100, 599),
    body=st.binary(max_size=300) | json_values.map(lambda v: repr(v).encode("utf-8", "replace")),
    headers=st.dictionaries(
        st.sampled_from(["Retry-After", "X-RateLimit-Reset", "Date", "Location"]), st.text(max_size=40)
    ),
)
def test_nothing_but_typed_errors_leaves_the_decoder(status, body, headers):
    try:
        data = decode(status, headers, body, generation_id=ID, now=NOW, secret="k")
    except errors.ApiError:
        return
    assert isinstance(data, dict)


@given(value=json_values)
def test_nothing_but_typed_errors_leaves_the_decoder_for_json(value):
    try:
        raw = orjson.dumps({"data": value, "error": value}, option=orjson.OPT_NON_STR_KEYS)
    except (TypeError, orjson.JSONEncodeError):
        return
    for status in (200, 400, 429):
        try:
            data = decode(status, {}, raw, generation_id=ID, now=NOW)
        except errors.ApiError:
            continue
        assert isinstance(data, dict)
