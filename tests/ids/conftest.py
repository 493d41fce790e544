import warnings

import pytest

from orstats.errors import IdSourceWarning


@pytest.fixture
def warned():
    """The warnings so far, as one text."""
    with warnings.catch_warnings(record=True) as records:
        warnings.simplefilter("always", IdSourceWarning)
        yield lambda: "\n".join(str(record.message) for record in records)
