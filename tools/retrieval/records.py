"""Passages as flat records, the way both backends store them."""

from __future__ import annotations

import json
from hashlib import blake2b

from antiphon.tools.retrieval.passages import Passage

Record = tuple[str, str, str, str, str, int, int, str, str, str]
FIELDS = (
    "id",
    "source",
    "title",
    "heading",
    "text",
    "start",
    "end",
    "language",
    "updated",
    "labels",
)


def digest(passage: Passage) -> str:
    """Hash all of a passage: an edit to its labels or title counts as a change too."""
    content = json.dumps(record(passage), ensure_ascii=False)
    return blake2b(content.encode(), digest_size=16).hexdigest()


def record(passage: Passage) -> Record:
    """Flatten in the order of `FIELDS`."""
    return (
        passage.id,
        passage.source,
        passage.title,
        passage.heading,
        passage.text,
        passage.start,
        passage.end,
        passage.language,
        passage.updated,
        json.dumps(passage.labels),
    )


def restore(row: Record) -> Passage:
    """Return the passage of a record."""
    return Passage(
        id=row[0],
        source=row[1],
        title=row[2],
        heading=row[3],
        text=row[4],
        start=row[5],
        end=row[6],
        language=row[7],
        updated=row[8],
        labels=tuple(json.loads(row[9])),
    )
