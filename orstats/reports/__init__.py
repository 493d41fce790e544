"""Grouped reports: cost, tokens, latency, failures and what-if, for pandas, Polars, DuckDB and Spark."""
