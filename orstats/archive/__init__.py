"""Keep fetched records in Parquet files that several processes can write and any reader can open.

Internal: import public names from :mod:`orstats`.
"""
