import pickle

import pytest

from orstats.api import errors

EACH = [
    errors.MissingKeyError("no key"),
    errors.RateLimitError("slow", status=429, generation_id="gen-1", retryable=True, retry_after=2.5),
    errors.PaymentRequiredError("empty", status=402),
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
