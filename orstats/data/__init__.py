"""Turn ids into a typed frame: the field table, the archive, id sources and the fetch."""
