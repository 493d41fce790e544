"""The same reports from Polars, DuckDB and a local Spark: the same columns, groups, order and numbers as pandas."""

import logging
import math
import os
import shutil
import subprocess
import sys
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace
from unittest.mock import MagicMock

import duckdb
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pyarrow import fs
from recomputed import cost, frame_of, simulated, total

import orstats
from orstats.archive.duckdb_filesystem import _File
from orstats.errors import ArchiveError, ConfigError, MissingExtraError
from orstats.frame.record_table import to_table
from orstats.reports.cost_tokens_latency import cost_by, latency_by, tokens_by
from orstats.reports.coverage import coverage
from orstats.reports.failures import failures_by

HOST = "openrouter.ai"
REPORTS = (cost_by, tokens_by, latency_by, failures_by)
GROUPS = (
    ("model", None, "UTC"),
    (["provider_name", "app_id"], None, "UTC"),
    (["cost_basis", "is_byok", "external_user"], "day", "America/Los_Angeles"),
    ("provider_name", "hour", "Asia/Kolkata"),
    (None, "week", "Europe/Berlin"),
    ("workspace_id", "month", "Pacific/Auckland"),
)


@pytest.fixture(scope="module")
def spark():
    if shutil.which("java") is None and "CI" not in os.environ:
        pytest.skip("Spark needs Java")
    sql = pytest.importorskip("pyspark.sql")
    os.environ.setdefault("PYSPARK_PYTHON", sys.executable)  # else its workers are whatever python3 the PATH has
    session = (
        sql.SparkSession.builder.master("local[2]")
        .config("spark.ui.enabled", "false")
        .config("spark.driver.host", "127.0.0.1")
        .config("spark.driver.bindAddress", "127.0.0.1")
        .config("spark.sql.shuffle.partitions", "1")
        .config("spark.sql.codegen.wholeStage", "false")  # slower to compile than these few rows are to read
        .config("spark.sql.codegen.factoryMode", "NO_CODEGEN")  # same
        .config("spark.driver.extraJavaOptions", "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC")  # same
        .config("spark.sql.adaptive.enabled", "false")
        .config("spark.sql.session.timeZone", "America/New_York")  # of no influence, that is to say
        .getOrCreate()
    )
    session.sparkContext.setLogLevel("ERROR")
    yield session
    session.stop()


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """Records as pandas has them, and an archive with older records and parts that lack a column beside them."""
    records = simulated()
    ids = list(records)
    df = frame_of(records)
    archive = orstats.Archive(tmp_path_factory.mktemp("an archive's [1] place"))
    stale = [record | {"total_cost": 99.0} for record in records.values()]
    half = len(ids) // 2
    archive.append(HOST, to_table(ids[:half], list(records.values())[:half], [2e9] * half))
    archive.append(HOST, to_table(ids, stale, [1e9] * len(ids)))
    archive.append(HOST, to_table(ids[half:], list(records.values())[half:], [2e9] * (len(ids) - half)))
    return SimpleNamespace(records=records, df=df, plain=df.reset_index(), archive=archive)


@pytest.fixture(scope="module")
def archived(data, spark):
    return data.archive.spark(spark).cache()


@pytest.fixture(scope="module", params=["polars", "polars lazy", "duckdb", "duckdb archive"])
def frame(request, data):
    if request.param.startswith("polars"):
        eager = pl.from_pandas(data.plain)
        return eager if request.param == "polars" else eager.lazy()
    if request.param == "duckdb archive":
        return data.archive.relation()
    connection = duckdb.connect()
    connection.execute("SET TimeZone = 'Asia/Tokyo'")
    connection.register("frame", data.plain)
    return connection.sql("FROM frame")


def table(report):
    """Names and rows of a report of any engine: values as plain Python, missing as None, moments as seconds."""
    if isinstance(report, pd.DataFrame):
        names, rows = [*report.index.names, *report.columns], report.reset_index().astype(object).to_numpy()
    elif isinstance(report, pl.LazyFrame | pl.DataFrame):
        names, rows = report.lazy().collect().columns, report.lazy().collect().rows()
    elif isinstance(report, duckdb.DuckDBPyRelation):
        names, rows = report.columns, report.fetchall()
    else:
        names, rows = report.columns, report.collect()
    return list(names), [[plain(value) for value in row] for row in rows]


def plain(value):
    if pd.isna(value):
        return None
    return value.timestamp() if hasattr(value, "timestamp") else value


def agree(one, other):
    if isinstance(one, float) and isinstance(other, float):
        return math.isclose(one, other, rel_tol=1e-9)
    return one == other


def compare(report, frame, df, by, freq, tz):
    names, expected = table(report(df, by, freq=freq, tz=tz))
    result = report(frame, by, freq=freq, tz=tz)
    assert type(result) is type(frame)
    found_names, found = table(result)
    assert found_names == names
    assert len(found) == len(expected)
    for row, right in zip(found, expected, strict=True):
        for name, value, wanted in zip(names, row, right, strict=True):
            assert agree(value, wanted), (name, row, right)


def agree_in_total(frame, data):
    names, rows = table(cost_by(frame))
    for name, wanted in (
        ("cost_usd", total(cost(one) for one in data.records.values())),
        ("charged_usd", total(one["total_cost"] for one in data.records.values())),
    ):
        place = names.index(name)
        assert math.isclose(math.fsum(row[place] or 0.0 for row in rows), wanted, rel_tol=1e-9)
    assert coverage(frame) == coverage(data.df)
    prices = {data.df["model"].mode()[0]: (1.0, 0.1, 4.0)}
    pd.testing.assert_frame_equal(orstats.what_if(frame, prices), orstats.what_if(data.df, prices), rtol=1e-9)


@pytest.mark.parametrize("by_freq_tz", GROUPS)
def test_every_engine_gives_the_same_report(frame, data, request, by_freq_tz):
    at = GROUPS.index(by_freq_tz)
    # Each group and each report for all kinds, which take the same way; each pair of them for the fastest.
    is_fastest = request.node.callspec.params["frame"] == "polars"
    for report in REPORTS if is_fastest else (REPORTS[at % len(REPORTS)],):
        compare(report, frame, data.df, *by_freq_tz)


# Each query takes Spark seconds. Without periods it is asked for the totals.
@pytest.mark.parametrize(("report", "groups"), list(zip(REPORTS, GROUPS[2:], strict=True)))
def test_spark_gives_the_same_report(archived, data, report, groups):
    compare(report, archived, data.df, *groups)


@pytest.mark.parametrize(("freq", "tz"), [("hour", "Australia/Lord_Howe"), ("quarter", "Africa/Casablanca")])
def test_spark_has_the_periods_of_every_engine(archived, data, freq, tz):
    compare(cost_by, archived, data.df, None, freq, tz)


def test_spark_groups_by_names_with_dots(archived, data):
    dotted = archived.withColumnRenamed("provider_name", "team.name")
    names, rows = table(cost_by(dotted, "team.name", freq="month"))
    expected = table(cost_by(data.df, "provider_name", freq="month"))
    assert names == ["team.name" if name == "provider_name" else name for name in expected[0]]
    assert [row[:3] for row in rows] == [row[:3] for row in expected[1]]


def test_spark_refuses_what_cannot_be_compared(archived):
    for column in ("array(model)", "map(model, 1)", "struct(model)"):
        with pytest.raises(ConfigError, match="Cannot group by 'odd'"):
            cost_by(archived.selectExpr("*", f"{column} as odd"), "odd")
    with pytest.raises(ConfigError, match="'model' occurs more than once"):
        cost_by(archived.selectExpr("*", "model"))


def test_totals_of_every_engine(frame, data):
    agree_in_total(frame, data)


def test_totals_of_spark(archived, data):
    agree_in_total(archived, data)


def test_errors_are_the_same_in_every_engine(frame):
    with pytest.raises(ConfigError, match="Did you mean 'provider_name'"):
        cost_by(frame, "provider_nam")
    with pytest.raises(ConfigError, match="name of a time zone"):
        cost_by(frame, freq="D", tz="'; DROP TABLE x; --")


def test_empty_frames_of_every_engine(data, spark, tmp_path):
    empty = orstats.Archive(tmp_path / "empty")
    nothing = pl.from_pandas(data.plain.head(0))
    wanted = {report: table(report(data.df, freq="day"))[0] for report in REPORTS}
    for frame in (nothing, nothing.lazy(), empty.relation(), empty.spark(spark)):
        for report in REPORTS if frame is nothing else (cost_by, failures_by):
            names, rows = table(report(frame, freq="day"))
            assert names == wanted[report]
            assert rows == []
        assert coverage(frame)["asked"] == 0


def test_an_archive_has_the_newest_of_each_id_over_all_hosts(tmp_path, spark, caplog):
    archive = orstats.Archive(tmp_path)

    def add(host, fetched, *ids):
        records = [{"model": f"{host} {fetched}", "total_cost": fetched, "is_byok": False} for _ in ids]
        archive.append(host, to_table(ids, records, [fetched] * len(ids)))

    add("127.0.0.1:8000", 20.0, "a", "b")
    add("127.0.0.1:8000", 10.0, "b", "c")
    add("it's\\one", 5.0, "a")
    add("it's\\one", 5.0, "a")
    folder = next((tmp_path / "generations").glob("*it*"))
    (folder / "part-9.parquet").write_bytes(b"PAR1 and no more")
    wanted = [
        ("127.0.0.1:8000", "a", 20.0),
        ("127.0.0.1:8000", "b", 20.0),
        ("127.0.0.1:8000", "c", 10.0),
    ]
    with pytest.warns(UserWarning, match=r"Unreadable archive files .*part-9\.parquet") as caught:
        assert sorted(archive.relation().project("host, id, cost_usd").fetchall()) == wanted
    assert caught[0].filename == __file__
    (folder / "part-9.parquet").rename(folder / ".part-9.gone")
    rows = archive.spark(spark).select("host", "id", "cost_usd").collect()
    assert sorted(tuple(row) for row in rows) == wanted
    assert "part-9.parquet is skipped" in caplog.text
    assert archive.relation("IT'S\\ONE").project("id").fetchall() == [("a",)]
    assert archive.spark(spark, "it's\\one").count() == 1
    before = cost_by(archive.relation(), "host").fetchall()
    archive.compact()
    assert cost_by(archive.relation(), "host").fetchall() == before


def test_a_part_of_another_program_has_the_same_records_in_every_engine(tmp_path, spark):
    archive = orstats.Archive(tmp_path)
    times = {"created_at": "2025-10-09T08:53:20.5Z", "native_tokens_prompt": 7, "is_byok": True}
    archive.append(HOST, to_table(["a", "b"], [times, {}], [2e9, 2e9]))
    wanted = archive.relation().project("id, created_at, native_tokens_prompt, is_byok").order("id").fetchall()
    (part,) = tmp_path.rglob("part-*.parquet")
    frame = pl.read_parquet(part, hive_partitioning=False)
    frame.with_columns(
        pl.col("created_at", "fetched_at").dt.replace_time_zone(None).cast(pl.Datetime("ns")),
        pl.col("native_tokens_prompt").cast(pl.Float64),
    ).write_parquet(part)
    archive = orstats.Archive(tmp_path)
    assert archive.relation().project("id, created_at, native_tokens_prompt, is_byok").order("id").fetchall() == wanted
    rows = archive.spark(spark).orderBy("id").select("id", "created_at", "native_tokens_prompt", "is_byok").collect()
    assert [row[0] for row in rows] == ["a", "b"]
    assert [tuple(row)[2:] for row in rows] == [row[2:] for row in wanted]
    assert archive.spark(spark).where("created_at = timestamp'2025-10-09 08:53:20.5 UTC'").count() == 1


def test_parts_without_a_column_have_it_missing(tmp_path, spark):
    archive = orstats.Archive(tmp_path)
    archive.append(HOST, to_table(["a"], [{"model": "m", "user_agent": "u"}], [1.0]))
    (part,) = tmp_path.rglob("part-*.parquet")
    older = to_table(["old"], [{"model": "m"}], [1.0]).drop_columns(["user_agent"])
    pq.write_table(older, part.with_name("part-0.parquet"))
    assert sorted(archive.relation().project("id, user_agent").fetchall()) == [("a", "u"), ("old", None)]
    part.unlink()
    assert archive.relation().project("id, user_agent").fetchall() == [("old", None)]
    assert [tuple(row) for row in archive.spark(spark).select("id", "user_agent").collect()] == [("old", None)]


def test_sql_asks_everything_ever_fetched(data):
    (row,) = data.archive.sql("SELECT count(*), sum(total_cost) FROM generations WHERE model IS NOT NULL").fetchall()
    known = [one for one in data.records.values() if one["model"] is not None]
    assert row[0] == len(known)
    assert row[1] == pytest.approx(total(one["total_cost"] for one in known))
    assert data.archive.sql("SELECT 1 FROM generations", host="nobody.example").fetchall() == []
    report = cost_by(data.archive.sql("FROM generations WHERE streamed"), "provider_name")
    assert sum(row[1] for row in report.fetchall()) == sum(one["streamed"] is True for one in known)


@pytest.mark.parametrize("query", ["SELEC", "SELECT nope FROM generations", "", "SELECT * FROM elsewhere"])
def test_sql_that_is_none(data, query):
    with pytest.raises(ConfigError):
        data.archive.sql(query)


def test_a_relation_joins_with_the_callers_tables(data):
    connection = duckdb.connect()
    connection.register("teams", pl.DataFrame({"model": [data.df["model"].mode()[0]], "team": ["red"]}))
    archived = data.archive.relation(connection=connection)
    archived.create_view("archived")
    joined = connection.sql("SELECT archived.*, team FROM archived JOIN teams USING (model)")
    ((team, generations, *_),) = cost_by(joined, "team").fetchall()
    assert (team, generations) == ("red", (data.df["model"] == data.df["model"].mode()[0]).sum())


def test_missing_extras_are_named_in_one_sentence(data, monkeypatch):
    monkeypatch.setitem(sys.modules, "duckdb", None)
    with pytest.raises(MissingExtraError, match=r"orstats\[sql\]"):
        data.archive.relation()
    with pytest.raises(MissingExtraError, match=r"orstats\[sql\]"):
        data.archive.sql("FROM generations")


def test_reports_of_pandas_need_no_extra():
    blocked = (
        "import sys; sys.modules.update(dict.fromkeys(['duckdb', 'polars', 'pyspark', 'fsspec'])); import orstats; "
    )
    work = "from orstats.frame.build import empty_frame; assert len(orstats.cost_by(empty_frame(), freq='D')) == 0"
    subprocess.run([sys.executable, "-c", blocked + work], check=True)


@pytest.fixture(scope="module")
def bucket():
    moto_server = pytest.importorskip("moto.server")
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = moto_server.ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    store = fs.S3FileSystem(
        access_key="key",
        secret_key="secret",
        endpoint_override=f"{host}:{port}",
        scheme="http",
        region="us-east-1",
        allow_bucket_creation=True,
    )
    store.create_dir("bucket")
    yield f"s3://key:secret@bucket/an/archive?scheme=http&endpoint_override={host}:{port}&region=us-east-1"
    urllib.request.urlopen(urllib.request.Request(f"http://{host}:{port}/moto-api/reset", method="POST")).close()
    server.stop()


@pytest.mark.filterwarnings(
    "ignore::ResourceWarning",  # sockets of the S3 server's own threads, noticed late on a busy machine
    "ignore::pytest.PytestUnraisableExceptionWarning",
)
def test_an_archive_in_an_object_store_gives_the_same_reports(bucket, data):
    archive = orstats.Archive(bucket)
    ids = list(data.records)
    archive.append(HOST, to_table(ids, [one | {"total_cost": 7.0} for one in data.records.values()], [1e9] * len(ids)))
    archive.append(HOST, to_table(ids, list(data.records.values()), [2e9] * len(ids)))
    for report in (cost_by, failures_by):
        names, rows = table(report(archive.relation(), "provider_name", freq="week", tz="Europe/Berlin"))
        wanted_names, wanted = table(report(data.df, "provider_name", freq="week", tz="Europe/Berlin"))
        assert names == wanted_names
        assert all(
            agree(*pair) for row, right in zip(rows, wanted, strict=True) for pair in zip(row, right, strict=True)
        )
    assert archive.sql("SELECT count(*) FROM generations").fetchall() == [(len(ids),)]
    assert orstats.Archive(bucket.replace("/an/archive", "/nothing")).relation().fetchall() == []


def test_threads_do_not_disturb_each_other_in_one_open_file(tmp_path):
    (tmp_path / "file").write_bytes(b"0123456789")
    file = _File(pa.OSFile(str(tmp_path / "file")))
    file.seek(2)
    with ThreadPoolExecutor(1) as pool:
        assert pool.submit(lambda: (file.seek(-3, 2), file.read())).result() == (7, b"789")
    assert (file.tell(), file.read(3), file.tell(), file.read()) == (2, b"234", 5, b"56789")
    file.close()


def test_spark_is_given_its_own_name_of_the_bucket(bucket):
    archive = orstats.Archive(bucket.replace("/an/archive", "/for/spark"))
    archive.append(HOST, to_table(["a"], [{"model": "m"}], [1.0]))
    session = MagicMock()
    archive.spark(session)
    (path,) = session.read.schema.return_value.parquet.call_args.args
    assert path.startswith("s3a://bucket/for/spark/generations/host=openrouter.ai/part-")
    assert "secret" not in path


def test_spark_has_no_name_for_some_places(data, monkeypatch):
    archive = orstats.Archive("abfss://container@account.dfs.core.windows.net/x")
    monkeypatch.setattr(archive, "_store", data.archive._store)
    with pytest.raises(ConfigError, match="abfss"):
        archive.spark(None)


def test_a_place_that_cannot_be_read(tmp_path):
    (tmp_path / "generations").write_text("a file where a directory should be")
    with pytest.raises(ArchiveError):
        orstats.Archive(tmp_path).relation()
