"""Ids and files of recorded calls."""

import orjson

ID = "gen-1790000000-AbCdEfGhIjKlMnOpQrSt"
OTHER = "gen-1790000001-AbCdEfGhIjKlMnOpQrSt"
PROCESSING = b": OPENROUTER PROCESSING\n\n"


def rows(path):
    return [orjson.loads(line) for line in path.read_bytes().splitlines()]


def recorded(path):
    return [row["id"] for row in rows(path)]


def written(path, *lines):
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    return path
