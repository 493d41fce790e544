"""The archive: fetched records are kept in Parquet files, so that no record is fetched twice."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import date, datetime
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from orstats._atomic_write import FULL
from orstats._warn import warn_caller
from orstats.archive import sql_engines as engines
from orstats.archive.compaction import Compaction, compact
from orstats.archive.dataset import (
    CONTENTS,
    GENERATIONS,
    Dataset,
    part_name,
)
from orstats.archive.directories import host_directory, misplaced_parts, stored_hosts
from orstats.archive.location import Location, redact, without_records
from orstats.archive.part import PartSpec, write_part
from orstats.archive.storage import Store, check_writable, retry_vanished
from orstats.archive.verified_parts import VerifiedParts
from orstats.errors import ArchiveError, ConfigError
from orstats.text.fact_sheet import fact_sheet
from orstats.text.format import byte_size, plural

if TYPE_CHECKING:
    import pandas as pd
    from duckdb import DuckDBPyConnection, DuckDBPyRelation
    from pyspark.sql import DataFrame, SparkSession

    from orstats.archive.forget import Forgotten


class Archive:
    """Settled records in Parquet files, which any Parquet reader can open.

    Several threads and processes may use one archive concurrently, even while it is compacted: each file appears
    complete or not at all, and records survive a crash once :meth:`append` has returned. Creating the object accesses
    neither disk nor network. Methods raise :class:`~orstats.errors.ArchiveError` when the archive cannot be read or
    written, e.g. because the disk is full. Existing data stays intact.

    New directories are readable by their owner only (mode 0700, files 0600), because costs are private. Anyone with
    write access to the directory can forge records, so keep it private.

    Parameters
    ----------
    path : str or os.PathLike, optional
        A directory, created when first needed, or the URL of one: ``file://``, ``s3://``, ``gs://`` or ``abfs://``
        with the options of :meth:`pyarrow.fs.FileSystem.from_uri`. By default, the environment variable
        ``ORSTATS_ARCHIVE``, or else ``orstats`` in the platform's user data directory.

    Raises
    ------
    ConfigError
        The path or URL is invalid.

    Examples
    --------
    >>> Archive("/data/orstats")
    Archive('/data/orstats')
    """

    def __init__(self, path: str | os.PathLike[str] | None = None) -> None:
        self._location = Location.of(path)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.path!r})"

    def _repr_html_(self) -> str:
        """Describe local files by their names and sizes only; an object store is not accessed."""
        if self._location.scheme:
            return fact_sheet("Archive", self.path, {})
        try:
            listings = [(one.host, one.list_parts().entries.values()) for one in self._datasets(GENERATIONS, None)]
        except OSError as error:
            return fact_sheet("Archive", self.path, {"cannot be read": [error.strerror or str(error)]})
        facts = {
            host: [f"{plural(len(files), 'file')} of records, {byte_size(sum(file.size for file in files))}"]
            for host, files in listings
            if files
        }
        return fact_sheet("Archive", self.path, facts or {"records": ["none yet"]})

    @property
    def path(self) -> str:
        """Absolute path, or URL without credentials."""
        return self._location.shown

    def append(self, host: str, table: pa.Table) -> None:
        """Store records as one new part: all of them are on disk when this returns, and none if it raises.

        Parameters
        ----------
        host : str
            Host of the API, e.g. ``openrouter.ai``.
        table : pyarrow.Table
            The columns of :data:`orstats.frame.record_table.RECORD_SCHEMA`. Nothing is stored for an empty table.

        Raises
        ------
        ValueError
            Other columns, or a missing id.
        """
        self._append(GENERATIONS, host, table)

    def read(
        self,
        host: str,
        ids: Sequence[str] | pa.StringArray | None = None,
        *,
        settled_only: bool = True,
        columns: Collection[str] | None = None,
        encoded: bool = False,
    ) -> pa.Table:
        """Return the newest record of each id.

        Parameters
        ----------
        host : str
            Host of the API.
        ids : sequence of str or pyarrow.StringArray, optional
            Ids to read; all by default. Ids that are not stored are skipped.
        settled_only : bool
            Skip ids whose newest record was fetched less than 60 seconds after the end of its call (``created_at`` plus
            ``generation_time``), or has no creation time: it may have changed since.
        columns : collection of str, optional
            Columns to read besides ``id``; all by default. Fewer take less time and memory.
        encoded : bool
            Return text that repeats, such as models, as Arrow dictionaries. It is stored so, and read faster.

        Returns
        -------
        pyarrow.Table
            The columns of :data:`orstats.frame.record_table.RECORD_SCHEMA`, one row per id, in any order. Columns that
            an older part does not have are null. Damaged files are skipped with a logged warning.
        """
        dataset = self._dataset(GENERATIONS, host)
        wanted = None if columns is None else {"id", *columns}
        with self._translate_os_errors("read", dataset.directory):
            return dataset.read_newest(ids, settled_only=settled_only, columns=wanted, encoded=encoded)

    def read_record(self, host: str, generation_id: str) -> dict[str, Any] | None:
        """Return the newest record of one generation, faster than :meth:`read` and without importing pandas.

        Parameters
        ----------
        host : str
            Host of the API.
        generation_id : str
            The generation's id.

        Returns
        -------
        dict or None
            The columns of :data:`orstats.frame.record_table.RECORD_SCHEMA` as Python values. None when the record is
            not stored or not settled (see :meth:`read`).
        """
        dataset = self._dataset(GENERATIONS, host)
        with self._translate_os_errors("read", dataset.directory):
            return dataset.read_record(generation_id, settled_only=True)

    def check_writable(self, host: str) -> None:
        """Check that records of a host can be stored, before requests are spent on them.

        Parameters
        ----------
        host : str
            Host of the API.
        """
        directory = host_directory(GENERATIONS, host)
        with self._translate_os_errors("write", directory):
            check_writable(self._store, directory)

    def append_contents(
        self, host: str, ids: Sequence[str], bodies: Sequence[bytes], fetched_at: Sequence[float]
    ) -> None:
        """Store prompts and completions, apart from the records. Only call it when the user requested that.

        Parameters
        ----------
        host : str
            Host of the API.
        ids, bodies, fetched_at : sequence
            Of equal length: the ids, the JSON of ``data`` as received, and the unix seconds of receipt.

        Raises
        ------
        ValueError
            Different lengths.
        """
        times = [round(second * 1_000_000) for second in fetched_at]
        columns = [pa.array(v, t) for v, t in zip((ids, bodies, times), CONTENTS.schema.types, strict=True)]
        self._append(CONTENTS, host, pa.table(columns, schema=CONTENTS.schema))

    def read_contents(self, host: str, ids: Sequence[str]) -> dict[str, bytes]:
        """Return the stored contents of generations.

        Parameters
        ----------
        host : str
            Host of the API.
        ids : sequence of str
            Ids to read.

        Returns
        -------
        dict
            For each id with stored content, the newest JSON of ``data`` as received
            (see :meth:`orstats.Content.from_json`).
        """
        dataset = self._dataset(CONTENTS, host)
        with self._translate_os_errors("read", dataset.directory):
            if len(ids) == 1:  # without importing pandas
                row = dataset.read_record(ids[0], settled_only=False)
                return {} if row is None else {row["id"]: row["body"]}
            table = dataset.read_newest(ids, settled_only=False)
        return dict(zip(table["id"].to_pylist(), table["body"].to_pylist(), strict=True))

    def forget_contents(self, host: str | None = None) -> None:
        """Delete the stored prompts and completions of one host, or of all; records stay.

        Renamed, damaged and unfinished files are deleted too, including those that another process is writing: its
        :meth:`append_contents` raises.

        Parameters
        ----------
        host : str, optional
            Host of the API; all hosts by default.

        Raises
        ------
        ArchiveError
            They cannot be deleted, or files remain that do not belong to the archive.
        """
        from orstats.archive.forget import forget_all  # noqa: PLC0415 - imports pandas

        with self._translate_os_errors("write", CONTENTS.folder):
            left = [self._store.full(path) for one in self._datasets(CONTENTS, host) for path in forget_all(one)]
            left += self._misplaced(CONTENTS)
        if left:
            raise ArchiveError(
                "Prompts and completions were deleted, except for files that do not belong to the archive: "
                f"{', '.join(left)}. Delete them if they contain any.",
                path=left[0],
            )

    def forget(
        self,
        *,
        ids: str | Iterable[str] | None = None,
        user: str | Iterable[str] | None = None,
        model: str | Iterable[str] | None = None,
        before: datetime | date | str | None = None,
        after: datetime | date | str | None = None,
        host: str | None = None,
        contents_only: bool = False,
        dry_run: bool = False,
    ) -> Forgotten:
        """Delete generations, with every copy of their records, prompts and completions.

        For privacy requests and retention. A generation is deleted when any stored copy of its record meets all given
        criteria. This cannot be undone, and a later :func:`orstats.fetch` of the same ids stores them again. Lists of
        ids that :func:`orstats.list_ids` caches are not searched.

        Safe at any time, also while other processes read, write or compact. After a crash, the same call finishes.

        Parameters
        ----------
        ids : str or iterable of str, optional
            Generation ids. A single string may have several, separated by commas, semicolons or spaces.
        user : str or iterable of str, optional
            Values of ``external_user``.
        model : str or iterable of str, optional
            Values of ``model``.
        before, after : datetime, date or str, optional
            Created before, or at or after this time (UTC unless it has an offset). Without a creation time in the
            record, the time in the id counts, and for ``before`` the time of fetching.
        host : str, optional
            Only generations that were fetched from this API host.
        contents_only : bool
            Delete prompts and completions, and keep the records.
        dry_run : bool
            Only count; delete nothing.

        Returns
        -------
        Forgotten
            The numbers of ``generations``, ``records``, ``contents`` and ``files``; ``unattributed``: generations whose
            contents were kept, as no record has their user or model; ``unsearched``: files that cannot be read.

        Raises
        ------
        ArchiveError
            The archive cannot be read or written, or a file could not be searched: the rest is deleted.
        ConfigError
            No criterion, or an invalid time.

        Examples
        --------
        >>> import orstats, tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     orstats.Archive(folder).forget(user="alice", before="2026-01-01", dry_run=True).records
        0
        """
        from orstats.archive.criteria import Criteria  # noqa: PLC0415 - imports pandas
        from orstats.archive.forget import forget  # noqa: PLC0415 - same

        criteria = Criteria.of(ids=ids, user=user, model=model, before=before, after=after)
        if criteria == Criteria() and not contents_only:
            raise ConfigError("Pass what to forget: ids=, user=, model=, before= or after=.")
        if not self._location.may_exist:
            warn_caller(f"{without_records(self.path)} There is nothing to delete.")
        with self._translate_os_errors("read" if dry_run else "write", ""):
            records, contents = (self._datasets(spec, host) for spec in (GENERATIONS, CONTENTS))
            misplaced = [*self._misplaced(GENERATIONS), *self._misplaced(CONTENTS)]
            done = forget(
                records, contents, criteria, misplaced=misplaced, contents_only=contents_only, dry_run=dry_run
            )
        if done.unsearched and not dry_run:
            raise ArchiveError(
                f"Deleted {plural(done.records, 'record')} and {done.contents:,} contents, but some files "
                f"cannot be searched: {' '.join(done.unsearched)} Restore, move or delete them, then re-run.",
                path=done.unsearched[0].partition(": ")[0],
            )
        return done

    def hosts(self) -> list[str]:
        """Return the hosts that have stored records or contents.

        Returns
        -------
        list of str
            Sorted, such as ``openrouter.ai``; empty for an empty archive.
        """
        with self._translate_os_errors("read", GENERATIONS.folder):
            datasets = [*self._datasets(GENERATIONS, None), *self._datasets(CONTENTS, None)]
            return sorted({one.host for one in datasets if one.list_parts().has_records})

    def info(self) -> pd.DataFrame:
        """Describe the archive, one row per host.

        Returns
        -------
        pandas.DataFrame
            Indexed by ``host``. ``parts``: readable files of records; ``damaged``: files that cannot be read;
            ``ignored``: files that do not belong to the archive; ``rows``: stored records; ``ids``: distinct ids;
            ``bytes``: on disk; ``oldest``, ``newest``: first and last ``created_at`` (UTC); ``contents``: generations
            with a stored prompt and completion, in ``contents_bytes``.
        """
        from orstats.archive.info import info_frame  # noqa: PLC0415 - imports pandas

        hosts = self.hosts()
        with self._translate_os_errors("read", ""):
            return info_frame(hosts, self._dataset, self._verified)

    def compact(self, host: str | None = None, *, min_files: int = 1) -> list[Compaction]:
        """Merge many small files into few large ones, with only the newest record of each id.

        Reading hundreds of files becomes much faster. Safe at any time, also while other processes read, write or
        compact, and when the process is killed. Large parts without old records stay as they are, so that a second call
        costs little. Leftovers of crashed processes are deleted, and damaged files are kept.

        Parameters
        ----------
        host : str, optional
            Host of the API; all hosts by default.
        min_files : int
            Skip datasets with fewer files.

        Returns
        -------
        list of Compaction
            One for each dataset of each host that was not skipped, with its files, rows and bytes before and after.
        """
        done: list[Compaction] = []
        for spec in (GENERATIONS, CONTENTS):
            with self._translate_os_errors("write", spec.folder):
                for dataset in self._datasets(spec, host):
                    if len(self._store.files(dataset.directory)) >= max(1, min_files):
                        done += [dataset.retry_on_compaction(partial(compact, dataset, self._verified))]
        return done

    def relation(self, host: str | None = None, *, connection: DuckDBPyConnection | None = None) -> DuckDBPyRelation:
        """Return the newest record of each id as a DuckDB relation, for reports on more than fits into memory.

        It is a snapshot: records that are stored later are not included, and after a :meth:`compact` its files may be
        gone; then create it again. Records that are not settled are included.

        Parameters
        ----------
        host : str, optional
            Host of the API. By default all hosts; an id that several hosts have is included once, the newest.
        connection : duckdb.DuckDBPyConnection, optional
            Connection to use, to join with other tables; by default a new one, in memory.

        Returns
        -------
        duckdb.DuckDBPyRelation
            ``host``, and the columns of :data:`orstats.frame.record_table.RECORD_SCHEMA`. Damaged files are excluded
            with a logged warning: each file is read to its end once, because DuckDB and Spark do not compare checksums.

        Raises
        ------
        MissingExtraError
            DuckDB is not installed: ``pip install 'orstats[sql]'``.

        Examples
        --------
        >>> import orstats, tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     orstats.Archive(folder).relation().columns[:3]
        ['host', 'id', 'created_at']
        """
        connection = connection or engines.connect()

        def build() -> DuckDBPyRelation:
            return engines.relation(connection, self._store, GENERATIONS, self._host_parts(host))

        with self._translate_os_errors("read", GENERATIONS.folder):
            return retry_vanished(build)

    def sql(self, query: str, *, host: str | None = None) -> DuckDBPyRelation:
        """Query all archived records in DuckDB's SQL.

        Parameters
        ----------
        query : str
            A ``SELECT``. The table is ``generations``, with the columns of :meth:`relation`.
        host : str, optional
            Host of the API; all hosts by default.

        Returns
        -------
        duckdb.DuckDBPyRelation
            Print it, or convert it: ``.df()`` for pandas, ``.pl()`` for Polars, ``.to_arrow_table()``.

        Raises
        ------
        ConfigError
            The query is invalid.
        MissingExtraError
            As for :meth:`relation`.

        Examples
        --------
        >>> import orstats, tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     orstats.Archive(folder).sql("SELECT count(*) FROM generations").fetchall()
        [(0,)]
        """
        connection = engines.connect()
        return engines.query(connection, self.relation(host, connection=connection), query)

    def spark(self, session: SparkSession, host: str | None = None) -> DataFrame:
        """Return the newest record of each id as a Spark DataFrame.

        Parameters
        ----------
        session : pyspark.sql.SparkSession
            Its executors must be able to read the archive: a path must be the same on all machines, and ``s3://`` is
            read as ``s3a://``, with the credentials and endpoint of the session.
        host : str, optional
            Host of the API; all hosts by default.

        Returns
        -------
        pyspark.sql.DataFrame
            The columns of :meth:`relation`, and a snapshot as well.

        Raises
        ------
        ConfigError
            Spark does not support the scheme of the archive's URL.
        """
        with self._translate_os_errors("read", GENERATIONS.folder):
            return engines.spark_frame(session, self._store, self._location.scheme, GENERATIONS, self._host_parts(host))

    @cached_property
    def _store(self) -> Store:
        return self._location.open()

    @cached_property
    def _verified(self) -> VerifiedParts:
        return VerifiedParts(self._location.shown)

    def _dataset(self, spec: PartSpec, host: str) -> Dataset:
        return Dataset(self._store, spec, host)

    def _datasets(self, spec: PartSpec, host: str | None) -> list[Dataset]:
        hosts = stored_hosts(self._store, spec) if host is None else [host]
        return [self._dataset(spec, one) for one in hosts]

    def _misplaced(self, spec: PartSpec) -> list[str]:
        return [self._store.full(path) for path in misplaced_parts(self._store, spec)]

    def _append(self, spec: PartSpec, host: str, table: pa.Table) -> None:
        if sorted(table.column_names) != sorted(spec.schema.names):
            raise ValueError(f"cannot store these columns as {spec.folder}: {table.column_names}")
        if not table.num_rows:
            return
        table = table.select(spec.schema.names).cast(spec.schema)
        if table["id"].null_count:
            raise ValueError("cannot store a record without an id")
        directory = host_directory(spec, host)
        with self._translate_os_errors("write", directory):
            write_part(self._store, spec, f"{directory}/{part_name()}", [table])

    def _host_parts(self, host: str | None) -> list[engines.HostParts]:
        try:
            self.path.encode()
        except UnicodeEncodeError as error:
            raise ArchiveError(f"DuckDB and Spark need a path in UTF-8, got {self.path!r}.", path=self.path) from error
        return [engines.host_parts(dataset, self._verified) for dataset in self._datasets(GENERATIONS, host)]

    @contextmanager
    def _translate_os_errors(self, action: str, directory: str) -> Iterator[None]:
        """Raise errors of the operating system or the object store as ArchiveError, with the path and advice."""
        try:
            yield
        except OSError as error:
            where = f"{self.path}/{directory}".rstrip("/")
            if error.filename is not None and os.path.isdir(error.filename):  # noqa: PTH112 - of any type
                where = os.fsdecode(error.filename)
            reason = (error.strerror or redact(str(error))).rstrip(".")
            advice = "Free up disk space" if error.errno in FULL else "Make it accessible"
            without = ", or fetch without an archive (archive=False)" if action == "write" else ""
            raise ArchiveError(
                f"Cannot {action} the archive {where}: {reason}. Existing data is intact. "
                f"{advice}, or set archive= or ORSTATS_ARCHIVE to another location{without}.",
                path=where,
            ) from error
