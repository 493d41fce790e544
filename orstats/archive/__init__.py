"""What was fetched is kept: Parquet files that several processes may write and any reader may open."""
