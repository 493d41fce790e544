"""Fetched records in Parquet files, which several processes can write and any Parquet reader can open.

A read crosses four files: ``archive.py`` (public methods), ``dataset.py`` (the parts of one host, and the newest record
of each id), ``part.py`` (one Parquet file) and ``storage.py`` (local directory or object store).

Internal: import public names from :mod:`orstats`.
"""
