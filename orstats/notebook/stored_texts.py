"""The stored prompts and completions of many generations, to search in."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from orstats.archive.archive import Archive
from orstats.content.archived_contents import archived_contents
from orstats.content.content import Content, turns
from orstats.content.messages import all_text
from orstats.notebook.table_model import Mask

#: Texts are searched in memory; the rest of a larger archive is not searched, which is reported.
_MOST_BYTES: Final = 256_000_000
_BATCH: Final = 2_000


class StoredTexts:
    """The texts of those generations whose content is in the archive. Creating it reads them.

    Parameters
    ----------
    archive
        Where contents are kept.
    host
        The API host they are from.
    ids
        The rows' ids, in order.

    Attributes
    ----------
    stored
        The number of rows with a text.
    complete
        Whether all stored texts are searched.
    """

    def __init__(self, archive: Archive, host: str, ids: Sequence[str]) -> None:
        texts: dict[str, str] = {}
        size = 0
        for start in range(0, len(ids), _BATCH):
            for one, content in archived_contents(archive, host, ids[start : start + _BATCH]).items():
                texts[one] = _text(content)
                size += len(texts[one])
            if size > _MOST_BYTES:
                break
        self.complete = size <= _MOST_BYTES
        self.stored = len(texts)
        self._texts = pa.array([texts.get(one) for one in ids], pa.large_string())

    def contain(self, text: str) -> Mask:
        """Return which rows have a text in their prompt, completion or reasoning, ignoring case."""
        found = pc.match_substring(self._texts, text, ignore_case=True)
        return np.asarray(pc.fill_null(found, fill_value=False), dtype=np.bool_)


def _text(content: Content) -> str:
    parts = [all_text(turn.message) for turn in turns(content)]
    return "\n".join([*parts, content.reasoning or "", content.error.message or "" if content.error else ""])
