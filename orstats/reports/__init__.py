"""Grouped reports of cost, tokens, latency and failures, for pandas, Polars, DuckDB and Spark.

Internal: import public names from :mod:`orstats`.
"""
