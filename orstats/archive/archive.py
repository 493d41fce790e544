"""The archive: what was fetched once is kept, so that it is never fetched again.

A directory (or object store) of Parquet files that any Parquet reader can open::

    <path>/generations/host=<host>/part-<utc time>-<process>-<random>.parquet   one row per record
    <path>/contents/host=<host>/part-….parquet                                  prompts and completions, if asked for
"""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable, Sequence
from datetime import date, datetime
from functools import partial
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from orstats.archive.compaction import Compaction, compact
from orstats.archive.dataset import Dataset, part_name, parts_of, producer
from orstats.archive.forget import Criteria, Forgotten, forget, forget_all
from orstats.archive.layout import CONTENTS, GENERATIONS
from orstats.archive.layout import directory as directory_of
from orstats.archive.layout import hosts as hosts_of
from orstats.archive.location import Location
from orstats.archive.newest import newest, newest_row, until_stable
from orstats.archive.relations import Relations
from orstats.errors import ArchiveError, ConfigError

if TYPE_CHECKING:
    import pandas as pd


class Archive(Relations):
    """Settled records, kept for ever in Parquet files.

    Several threads and processes may use one archive at once, also while it is compacted: files appear whole or not
    at all, and what :meth:`append` returned for survives a crash. Making the object touches neither disk nor network.

    Directories that it makes are readable by their owner only (mode 0700, files 0600): costs are private. Anyone who
    can write into the directory can make the archive say what he likes, so keep it that way.

    Parameters
    ----------
    path
        A directory (made when first needed), or the URL of one: ``file://``, ``s3://``, ``gs://`` or ``abfs://``
        with the options that :meth:`pyarrow.fs.FileSystem.from_uri` understands. None takes the environment variable
        ``ORSTATS_ARCHIVE``, else ``orstats`` in the platform's user data directory.

    Raises
    ------
    ConfigError
        A URL of another kind.

    Examples
    --------
    >>> Archive("/data/orstats")
    Archive('/data/orstats')
    """

    def __init__(self, path: str | os.PathLike[str] | None = None) -> None:
        self._location = Location.of(path)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.path!r})"

    @property
    def path(self) -> str:
        """Absolute path or URL, without the credentials that a URL may have."""
        return self._location.shown

    def append(self, host: str, table: pa.Table) -> None:
        """Store records as one new part. When this returns they are on disk; if it raises, none of them is.

        Parameters
        ----------
        host
            Host of the API, e.g. ``openrouter.ai``.
        table
            With the columns of :data:`orstats.frame.arrow.RECORD_SCHEMA`; an empty one stores nothing.

        Raises
        ------
        ArchiveError
            The disk is full, or the place cannot be written. What was stored before is intact.
        ValueError
            Other columns, or a missing id.
        """
        self._append(GENERATIONS, host, table)

    def read(
        self,
        host: str,
        ids: Sequence[str] | None = None,
        *,
        settled_only: bool = True,
        columns: Collection[str] | None = None,
        encoded: bool = False,
    ) -> pa.Table:
        """Return the newest record of each id.

        Parameters
        ----------
        host
            Host of the API.
        ids
            Those wanted; all when None. Ids that are not stored are simply not in the result.
        settled_only
            Leave out ids whose newest record was fetched less than 60 seconds after the end of its call,
            ``created_at`` plus ``generation_time`` (or whose creation time is missing): it may have changed since.
        columns
            Those wanted, beside ``id``; all when None. Few are read in a fraction of the time and memory.
        encoded
            Text that repeats, such as models, as Arrow dictionaries: it is stored so, and is read faster.

        Returns
        -------
        pyarrow.Table
            With :data:`orstats.frame.arrow.RECORD_SCHEMA`, one row per id, in any order. Columns that an older
            part does not have are null. A damaged file is logged as a warning and left out.

        Raises
        ------
        ArchiveError
            The place cannot be read.
        """
        directory = directory_of(GENERATIONS, host)
        with self._location.explained("read", directory):
            wanted = None if columns is None else {"id", *columns}
            return newest(
                self._store,
                GENERATIONS,
                directory,
                ids,
                settled_only=settled_only,
                columns=wanted,
                encoded=encoded,
            )

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
            The columns of :data:`orstats.frame.arrow.RECORD_SCHEMA` as Python values. None when the record is not
            stored or not settled (see :meth:`read`).

        Raises
        ------
        ArchiveError
            The archive cannot be read.
        """
        directory = directory_of(GENERATIONS, host)
        with self._location.explained("read", directory):
            return newest_row(self._store, GENERATIONS, directory, generation_id, settled_only=True)

    def check_writable(self, host: str) -> None:
        """Prove that records of this host can be stored, before requests are spent on them.

        Parameters
        ----------
        host
            Host of the API.

        Raises
        ------
        ArchiveError
            They cannot.
        """
        directory = directory_of(GENERATIONS, host)
        with self._location.explained("write", directory):
            self._store.prove(directory)

    def append_contents(
        self, host: str, ids: Sequence[str], bodies: Sequence[bytes], fetched_at: Sequence[float]
    ) -> None:
        """Store prompts and completions, apart from the records. Only call it when the user asked for that.

        Parameters
        ----------
        host
            Host of the API.
        ids, bodies, fetched_at
            Of equal length: the id, the JSON of ``data`` as sent, and the unix second it was received.

        Raises
        ------
        ArchiveError
            The disk is full, or the place cannot be written. What was stored before is intact.
        ValueError
            Lengths that differ.
        """
        times = [round(second * 1_000_000) for second in fetched_at]
        columns = [pa.array(v, t) for v, t in zip((ids, bodies, times), CONTENTS.schema.types, strict=True)]
        self._append(CONTENTS, host, pa.table(columns, schema=CONTENTS.schema))

    def read_contents(self, host: str, ids: Sequence[str]) -> dict[str, bytes]:
        """Return what is stored of the contents of these generations.

        Parameters
        ----------
        host
            Host of the API.
        ids
            Those wanted.

        Returns
        -------
        dict
            By id, the newest JSON of ``data`` as it was sent (see :meth:`orstats.Content.from_json`). Ids of which
            nothing is stored are not in it.

        Raises
        ------
        ArchiveError
            The place cannot be read.
        """
        directory = directory_of(CONTENTS, host)
        with self._location.explained("read", directory):
            if len(ids) == 1:  # without importing pandas
                row = newest_row(self._store, CONTENTS, directory, ids[0], settled_only=False)
                return {} if row is None else {row["id"]: row["body"]}
            table = newest(self._store, CONTENTS, directory, ids, settled_only=False)
        return dict(zip(table["id"].to_pylist(), table["body"].to_pylist(), strict=True))

    def forget_contents(self, host: str | None = None) -> None:
        """Delete the stored prompts and completions of one host, or of all; the records stay.

        Renamed, damaged and half-written files are deleted too, also those that another process is writing: its
        :meth:`append_contents` raises.

        Parameters
        ----------
        host
            Host of the API; all of them when None.

        Raises
        ------
        ArchiveError
            They cannot be deleted, or files are left that are not the archive's own.
        """
        with self._location.explained("write", CONTENTS.folder):
            left = [
                self._store.full(path)
                for name in self._hosts(CONTENTS, host)
                for path in forget_all(self._store, CONTENTS, directory_of(CONTENTS, name))
            ]
        if left:
            raise ArchiveError(
                "Prompts and completions were deleted, but not these files, which are not the archive's own: "
                f"{', '.join(left)}. Delete them if they hold any.",
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

        For privacy requests and retention. What is deleted meets all of the given criteria in any stored copy of its
        record. It cannot be undone, and a later :func:`orstats.fetch` of the same ids stores them again. Lists of ids
        that :func:`orstats.list_ids` caches are not searched.

        Safe at any time, also when others read, write or compact; after a crash, the same call finishes the work.

        Parameters
        ----------
        ids : str or iterable of str, optional
            Generation ids.
        user : str or iterable of str, optional
            Values of ``external_user``.
        model : str or iterable of str, optional
            Values of ``model``.
        before, after : datetime, date or str, optional
            Created before, or at or after this time (UTC unless it says otherwise). Where no record says when, the
            time in the id counts, and for ``before`` the time of fetching.
        host : str, optional
            Only what was fetched from this API host.
        contents_only : bool
            Delete prompts and completions, and keep the records.
        dry_run : bool
            Delete nothing, only count.

        Returns
        -------
        Forgotten
            How many ``generations``, ``records``, ``contents`` and ``files``; ``unattributed``: generations whose
            contents were kept, as no record tells their user or model; ``unsearched``: files that cannot be read.

        Raises
        ------
        ArchiveError
            The place cannot be read or written, or some file could not be searched: the rest is deleted.
        ConfigError
            No criterion, or a time that cannot be read.

        Examples
        --------
        >>> import orstats, tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     orstats.Archive(folder).forget(user="alice", before="2026-01-01", dry_run=True).records
        0
        """
        criteria = Criteria.of(ids=ids, user=user, model=model, before=before, after=after)
        if criteria == Criteria() and not contents_only:
            raise ConfigError("Pass what to forget: ids=, user=, model=, before= or after=.")
        with self._location.explained("read" if dry_run else "write", ""):
            done = forget(
                self._store,
                lambda dataset: self._hosts(dataset, host),
                criteria,
                contents_only=contents_only,
                dry_run=dry_run,
            )
        if done.unsearched and not dry_run:
            raise ArchiveError(
                f"{done.records} records and {done.contents} contents were deleted, but some files cannot be searched: "
                f"{' '.join(done.unsearched)} Restore or delete them, then run this again.",
                path=done.unsearched[0].partition(": ")[0],
            )
        return done

    def hosts(self) -> list[str]:
        """Return the hosts that something is stored of.

        Returns
        -------
        list of str
            Sorted, such as ``openrouter.ai``; empty when nothing is stored.

        Raises
        ------
        ArchiveError
            The place cannot be read.
        """
        with self._location.explained("read", GENERATIONS.folder):
            found = {
                host
                for dataset in (GENERATIONS, CONTENTS)
                for host in hosts_of(self._store, dataset)
                if parts_of(self._store, directory_of(dataset, host))
            }
        return sorted(found)

    def info(self) -> pd.DataFrame:
        """Tell what is stored, one row per host.

        Returns
        -------
        pandas.DataFrame
            Indexed by ``host``. ``parts``: whole files of records; ``damaged``: files that cannot be read; ``rows``:
            stored records, ``ids``: different ones among them; ``bytes``: on disk; ``oldest``, ``newest``: first and
            last ``created_at`` (UTC); ``contents``: generations whose prompt and completion are stored, in
            ``contents_bytes``.

        Raises
        ------
        ArchiveError
            The place cannot be read.
        """
        from orstats.archive.info import info_frame  # noqa: PLC0415 - reading and storing records needs no pandas

        hosts = self.hosts()
        with self._location.explained("read", ""):
            return info_frame(
                self._store,
                self._checked,
                hosts,
                [(dataset, partial(directory_of, dataset)) for dataset in (GENERATIONS, CONTENTS)],
            )

    def compact(self, host: str | None = None, *, min_files: int = 1) -> list[Compaction]:
        """Merge the many small files of one host, or of all, into few big ones, only the newest record of an id kept.

        Worth it when there are hundreds of files: reading gets faster by far. Safe at any time, also when others
        read, write or compact, and when it is killed. Big parts without old records are left as they are, so that
        calling it again costs little. Leftovers of crashed processes are removed; damaged files are not.

        Parameters
        ----------
        host
            Host of the API; all of them when None.
        min_files
            Leave datasets with fewer files alone.

        Returns
        -------
        list of Compaction
            One for each dataset of each host that was not left alone, with what was before and after.

        Raises
        ------
        ArchiveError
            The place cannot be read or written, or there is no room for the merged file beside the old ones. Nothing
            is lost.
        """
        done: list[Compaction] = []
        for dataset in (GENERATIONS, CONTENTS):
            with self._location.explained("write", dataset.folder):
                for name in self._hosts(dataset, host):
                    directory = directory_of(dataset, name)
                    if len(self._store.files(directory)) >= max(1, min_files):
                        done.append(
                            until_stable(partial(compact, self._store, self._checked, dataset, directory, name))
                        )
        return done

    def _hosts(self, dataset: Dataset, host: str | None) -> list[str]:
        return hosts_of(self._store, dataset) if host is None else [host]

    def _append(self, dataset: Dataset, host: str, table: pa.Table) -> None:
        if sorted(table.column_names) != sorted(dataset.schema.names):
            raise ValueError(f"cannot store these columns as {dataset.folder}: {table.column_names}")
        if not table.num_rows:
            return
        table = table.select(dataset.schema.names).cast(dataset.schema)
        if table["id"].null_count:
            raise ValueError("cannot store a record without an id")
        directory = directory_of(dataset, host)
        with self._location.explained("write", directory):
            self._store.write(directory, part_name(), producer(dataset, [table]))
