"""Embedding a SQLite file anew: vectors gather in a table beside, then one transaction switches.

Searches read the old vectors until that transaction. A file beside, moved into place, would be
simpler, but other processes that hold the old one open would share its journal with the new.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from antiphon.tools.retrieval.records import restore
from antiphon.tools.retrieval.sqlite_file import PassageFile
from antiphon.tools.retrieval.sqlite_schema import ASIDE, COLUMNS

# What a passage lacks until its vector waits beside it.
LACKING = """FROM passages LEFT JOIN vectors_aside AS aside ON aside.row = passages.row
    AND aside.digest = passages.digest AND aside.embedder = ?
    WHERE aside.row IS NULL AND tenant IN (SELECT value FROM json_each(?))"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Waiting:
    """A passage whose new vector is still to be made."""

    row: int
    digest: str
    text: str


class Reindexing:
    """One rebuild of some tenants' vectors; one that was killed is taken up where it stopped."""

    def __init__(
        self, file: PassageFile, *, embedder: str, tenant: str | None, stale: bool
    ) -> None:
        """Choose one tenant, or all; with `stale`, those that another embedder served."""
        self._file = file
        self._embedder = embedder
        self._tenant = tenant
        self._stale = stale
        self._keys = "[]"
        self.tenants: tuple[str, ...] = ()

    def begin(self) -> int:
        """Find what there is to do; return how many passages."""
        with self._file.writing() as db:
            db.execute(ASIDE)
            found = db.execute(
                "SELECT id, name FROM tenants WHERE stamp <> '' AND name = coalesce(?, name)"
                " AND (embedder <> ? OR NOT ?) ORDER BY name",
                (self._tenant, self._embedder, self._stale),
            ).fetchall()
            self.tenants = tuple(name for _, name in found)
            self._keys = json.dumps([key for key, _ in found])
            return _count(db, self._keys)

    def made(self) -> tuple[int, int]:
        """Return how many passages have their new vector, of how many."""
        with self._file.reading() as db:
            total = _count(db, self._keys)
            lacking = db.execute(f"SELECT count(*) {LACKING}", (self._embedder, self._keys))
            return total - int(lacking.fetchone()[0]), total

    def waiting(self, *, after: int, limit: int) -> list[Waiting]:
        """Return passages that still need a vector, in the order of their rows."""
        with self._file.reading() as db:
            found = db.execute(
                f"SELECT passages.row, passages.digest, {_named(COLUMNS)} {LACKING}"
                " AND passages.row > ? ORDER BY passages.row LIMIT ?",
                (self._embedder, self._keys, after, limit),
            ).fetchall()
        return [Waiting(row=r[0], digest=r[1], text=restore(r[2:]).searchable) for r in found]

    def set_aside(self, passages: Sequence[Waiting], vectors: Sequence[Sequence[float]]) -> None:
        """Keep new vectors beside the ones in use."""
        with self._file.writing() as db:
            db.executemany(
                "INSERT OR REPLACE INTO vectors_aside VALUES (?, ?, ?, ?)",
                [
                    (one.row, one.digest, self._embedder, np.asarray(v, dtype="<f4").tobytes())
                    for one, v in zip(passages, vectors, strict=True)
                ],
            )

    def switch(self) -> bool:
        """Put the new vectors in use, unless a passage came in meanwhile that lacks one."""
        with self._file.writing() as db:
            values = (self._embedder, self._keys)
            if db.execute(f"SELECT 1 {LACKING} LIMIT 1", values).fetchone():
                return False
            db.execute(
                "UPDATE passages SET vector = aside.vector FROM vectors_aside AS aside"
                " WHERE aside.row = passages.row"
                " AND tenant IN (SELECT value FROM json_each(?))",
                (self._keys,),
            )
            db.execute(
                "UPDATE tenants SET embedder = ?, generation = generation + 1"
                " WHERE id IN (SELECT value FROM json_each(?))",
                values,
            )
            db.execute("DROP TABLE vectors_aside")
        return True


def _count(db: sqlite3.Connection, keys: str) -> int:
    counted = db.execute(
        "SELECT count(*) FROM passages WHERE tenant IN (SELECT value FROM json_each(?))", (keys,)
    )
    return int(counted.fetchone()[0])


def _named(columns: str) -> str:
    return ", ".join(f"passages.{name}" for name in columns.split(", "))
