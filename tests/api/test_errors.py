import pickle

import pytest
from urllib3 import HTTPHeaderDict

from orstats import errors

EACH = [
    errors.MissingKeyError("no key"),
    errors.RateLimitError("slow", status=429, generation_id="gen-1", retryable=True, retry_after=2.5),
    errors.PaymentRequiredError("empty", status=402),
    errors.BadGatewayError("HTTP 502", body={"a": [1]}, metadata={"b": 2}, headers=HTTPHeaderDict({"Server": "x"})),
    errors.NetworkSetupError("no CA"),
    errors.IncompleteFetchError("some", frame=[1, 2]),
    errors.ArchiveError("full", path="/a"),
    errors.IdSourceError("odd", path="x.csv", line=3),
    errors.ExportError("full", path="x.csv"),
    errors.MissingExtraError("Plots", extra="plot"),
]


@pytest.mark.parametrize("error", EACH, ids=lambda error: type(error).__name__)
def test_errors_travel_to_other_processes(error):
    again = pickle.loads(pickle.dumps(error))
    assert type(again) is type(error)
    assert str(again) == str(error)
    assert vars(again) == vars(error)


def test_errors_that_hit_every_id_stop_a_batch_and_others_do_not():
    kinds = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, errors.ApiError)]
    assert {kind.__name__ for kind in kinds if kind.stops_batch} == {
        "AccountError",
        "AuthenticationError",
        "PaymentRequiredError",
        "NetworkSetupError",
    }


def test_rewording_an_error_keeps_all_it_carries():
    error = errors.BadGatewayError("one", status=502, generation_id="gen-1", body="b", headers={"a": "b"})
    again = error.reworded("two")
    assert type(again) is errors.BadGatewayError
    assert (str(again), vars(again)) == ("two", vars(error))
