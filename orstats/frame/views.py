"""Views of a frame: its provider attempts, its failures, and the meaning of its columns."""

from __future__ import annotations

from typing import Any, Final

import pandas as pd

from orstats.frame import record_table
from orstats.frame.build import pandas_array
from orstats.frame.derive import provider_attempts, winning_attempt_index
from orstats.frame.display import ReportFrame
from orstats.frame.schema import FIELDS, ID, Field
from orstats.frame.status import advice_for
from orstats.frame.validation import equals, require

_SOURCE: Final = "API reference, ProviderResponse"

#: The columns of :func:`attempts`, in order.
ATTEMPT_FIELDS: Final[tuple[Field, ...]] = (
    Field("attempt", "count", "derived", "Number of the attempt, from 1.", "", nullable=False, source=_SOURCE),
    Field("provider_name", "text", "wire", "Provider of the attempt.", source=_SOURCE),
    Field("status", "count", "wire", "Status of the response.", "HTTP status", source=_SOURCE),
    Field("latency", "number", "wire", "Latency of the attempt.", "ms", source=_SOURCE),
    Field("is_byok", "flag", "wire", "Whether your own provider key was used.", source=_SOURCE),
    Field("model_permaslug", "text", "wire", "Exact version of the model.", source=_SOURCE),
    Field("endpoint_id", "text", "wire", "Endpoint of the provider.", source=_SOURCE),
    Field("upstream_id", "text", "wire", "The provider's own id of the attempt; `id` in the record.", source=_SOURCE),
    Field("routed_service_tier", "text", "wire", "Service tier of the attempt.", source=_SOURCE),
    Field("ok", "flag", "derived", "Whether this attempt succeeded.", "", nullable=False, source=_SOURCE),
)

_FAILURE_COLUMNS: Final = ("fetch_status", "http_status", "attempts", "error")


def attempts(df: pd.DataFrame) -> pd.DataFrame:
    """Return one row for each attempt at a provider, in order.

    Parameters
    ----------
    df : pandas.DataFrame
        From :func:`orstats.fetch`, or some of its rows.

    Returns
    -------
    pandas.DataFrame
        Indexed by ``id`` (so it joins with `df`), with the columns of :data:`ATTEMPT_FIELDS`: ``attempt`` counts from
        1, ``latency`` is in ms, ``ok`` marks the successful attempt (the first with a status of 200 to 299). Ids
        without a list of attempts have no row. A value of the wrong type is missing, and entries that are not objects
        are skipped. The dtypes are the same when empty.

    Raises
    ------
    ConfigError
        `df` has no column ``provider_responses``, or is not indexed by ``id``.

    Examples
    --------
    >>> from orstats.frame.build import build_frame
    >>> from orstats.frame.record_table import to_table
    >>> chain = [{"status": 503, "provider_name": "A", "latency": 327}, {"status": 200, "provider_name": "B"}]
    >>> frame = build_frame(["gen-1"], [to_table(["gen-1"], [{"provider_responses": chain}], [0.0])], {})
    >>> attempts(frame)[["attempt", "provider_name", "latency", "ok"]].to_dict("records")
    [{'attempt': 1, 'provider_name': 'A', 'latency': 327.0, 'ok': False},
     {'attempt': 2, 'provider_name': 'B', 'latency': nan, 'ok': True}]
    """
    df = require(df, ("provider_responses",), indexed=True)
    rows: list[tuple[str, int, bool, dict[str, Any]]] = []
    for generation_id, written in df["provider_responses"].dropna().items():
        chain = provider_attempts(str(written)) or []
        winner = winning_attempt_index(chain)
        rows += [(str(generation_id), at + 1, at == winner, entry) for at, entry in enumerate(chain)]
    computed: dict[str, list[Any]] = {
        "attempt": [number for _, number, _, _ in rows],
        "ok": [is_ok for _, _, is_ok, _ in rows],
    }
    columns: dict[str, Any] = {}
    for field in ATTEMPT_FIELDS:
        sent_as = "id" if field.name == "upstream_id" else field.name
        values = computed.get(field.name) or [entry.get(sent_as) for *_, entry in rows]
        columns[field.name] = pandas_array(field, record_table.column(values, field.kind)[0])
    ids = record_table.column([generation_id for generation_id, *_ in rows], "text")[0]
    found = ReportFrame(columns, index=pd.Index(pandas_array(ID, ids), name=ID.name))
    found.attrs = dict(df.attrs)
    return found


def failures(df: pd.DataFrame) -> pd.DataFrame:
    """Return the rows that could not be fetched, why, and what to do.

    These are failures to fetch the record. A generation that failed at its provider has a record, and is ``ok``: see
    ``finish_reason``, ``cancelled``, :func:`attempts` and :func:`orstats.failures_by`.

    Parameters
    ----------
    df : pandas.DataFrame
        From :func:`orstats.fetch`, or some of its rows.

    Returns
    -------
    pandas.DataFrame
        Indexed by ``id``, in the order of `df`: ``fetch_status``, ``http_status``, ``attempts``, ``error`` and
        ``advice``.

    Raises
    ------
    ConfigError
        `df` does not have one of those columns, or is not indexed by ``id``.

    Examples
    --------
    >>> from orstats.frame.build import FetchOutcome, build_frame
    >>> frame = build_frame(["gen-1"], [], {"gen-1": FetchOutcome("pending", 404, 3, "Not found yet.")})
    >>> failures(frame).loc["gen-1", "advice"]
    'Try again in a minute: records become available a few seconds after the generation finishes.'
    """
    df = require(df, _FAILURE_COLUMNS, indexed=True)
    failed = df.loc[~equals(df["fetch_status"], "ok"), list(_FAILURE_COLUMNS)].copy()
    advice = [advice_for(status) or None for status in failed["fetch_status"].fillna("")]
    failed["advice"] = pd.array(advice, dtype=pd.StringDtype("pyarrow"))
    report = ReportFrame(failed)
    report.attrs = failed.attrs | {"note": f"{len(failed):,} of {len(df):,} rows are not ok."}
    return report


def field_table() -> pd.DataFrame:
    """Return the data dictionary: the meaning of every column of the frame.

    Returns
    -------
    pandas.DataFrame
        Indexed by ``name``, in the frame's order with the index ``id`` first: ``dtype``, ``unit``, ``nullable``
        (whether it may be missing in an ok row), ``origin`` (``wire``, ``fetch`` or ``derived``), ``meaning`` and
        ``source``.

    Examples
    --------
    >>> field_table().loc["latency", ["dtype", "unit"]].to_list()
    ['float64', 'ms']
    """
    fields = list(FIELDS.values())
    columns = {
        name: [getattr(field, name) for field in fields]
        for name in ("dtype", "unit", "nullable", "origin", "meaning", "source")
    }
    return ReportFrame(pd.DataFrame(columns, index=pd.Index([field.name for field in fields], name="name")))
