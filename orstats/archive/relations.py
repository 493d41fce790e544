"""The archive as a table of DuckDB or Spark: for reports and questions on more than fits into memory."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

from orstats.archive import sql as engines
from orstats.archive.checked import Checked
from orstats.archive.layout import GENERATIONS
from orstats.archive.layout import directory as directory_of
from orstats.archive.layout import hosts as hosts_of
from orstats.archive.location import Location
from orstats.archive.storage import Store
from orstats.errors import ArchiveError

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection, DuckDBPyRelation
    from pyspark.sql import DataFrame, SparkSession


class Relations:
    """The part of :class:`orstats.Archive` that hands its records to engines, which read the files themselves."""

    _location: Location

    def relation(self, host: str | None = None, *, connection: DuckDBPyConnection | None = None) -> DuckDBPyRelation:
        """Return the newest record of each id as a DuckDB relation: for reports on more than fits into memory.

        It is of this moment: what is stored later is not in it, and after a :meth:`compact` it may miss its files;
        then make it again. Records of the last minute are in it, too.

        Parameters
        ----------
        host
            Host of the API; all of them when None: then an id that several hosts have is there once, the newest.
        connection
            Of DuckDB, to join with other tables; a new one in memory when None.

        Returns
        -------
        duckdb.DuckDBPyRelation
            ``host``, and the columns of :data:`orstats.frame.arrow.RECORD_SCHEMA`. Damaged files are logged as a
            warning and excluded: each file is read to its end once, since DuckDB and Spark do not compare checksums.

        Raises
        ------
        ArchiveError
            The place cannot be read.
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
        with self._location.explained("read", GENERATIONS.folder):
            return engines.relation(connection, self._store, GENERATIONS, self._parts(host))

    def sql(self, query: str, *, host: str | None = None) -> DuckDBPyRelation:
        """Ask a question of everything ever fetched, in DuckDB's SQL.

        Parameters
        ----------
        query
            A ``SELECT``; the table is ``generations``, with the columns of :meth:`relation`.
        host
            Host of the API; all of them when None.

        Returns
        -------
        duckdb.DuckDBPyRelation
            Print it, or turn it into a frame: ``.df()`` for pandas, ``.pl()`` for Polars, ``.to_arrow_table()``.

        Raises
        ------
        ConfigError
            DuckDB does not understand the query.
        ArchiveError, MissingExtraError
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
        session
            Of Spark. Its executors must reach the archive: a path must be the same on all machines, and ``s3://`` is
            read as ``s3a://``, with the credentials and the endpoint that the session is configured with.
        host
            Host of the API; all of them when None.

        Returns
        -------
        pyspark.sql.DataFrame
            With the columns of :meth:`relation`, and like it of this moment.

        Raises
        ------
        ArchiveError
            The place cannot be read.
        ConfigError
            The archive's URL is of a kind that Spark has other names for.
        """
        with self._location.explained("read", GENERATIONS.folder):
            return engines.frame(session, self._store, self._location.scheme, GENERATIONS, self._parts(host))

    def _parts(self, host: str | None) -> list[engines.HostParts]:
        path = self._location.shown
        try:
            path.encode()
        except UnicodeEncodeError as error:
            raise ArchiveError(f"DuckDB and Spark need a path in UTF-8, got {path!r}.", path=path) from error
        hosts = hosts_of(self._store, GENERATIONS) if host is None else [host]
        directories = {one: directory_of(GENERATIONS, one) for one in hosts}
        return engines.parts(self._store, self._checked, GENERATIONS, directories)

    @cached_property
    def _store(self) -> Store:
        return self._location.open()

    @cached_property
    def _checked(self) -> Checked:
        return Checked(self._location.shown)
