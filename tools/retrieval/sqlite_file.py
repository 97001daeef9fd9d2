"""The SQLite file that passages, their keyword index and their vectors live in.

Synchronous and deliberately dull: `local.py` calls it from worker threads. Each tenant has its own
FTS5 table, so that neither words nor their statistics cross from one tenant to another.
"""

from __future__ import annotations

import sqlite3
import threading
from collections import OrderedDict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from antiphon.tools.errors import (
    KnowledgeCorrupt,
    KnowledgeError,
    KnowledgeMissing,
    StorageBusy,
    StorageUnwritable,
)
from antiphon.tools.retrieval.analysis import query_terms, terms
from antiphon.tools.retrieval.passages import Change, Embedder, Passage
from antiphon.tools.retrieval.records import digest, record, restore

Vectors = NDArray[np.float32]

SCHEMA = """
    CREATE TABLE IF NOT EXISTS meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
    CREATE TABLE IF NOT EXISTS tenants (
        id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, stamp TEXT NOT NULL
    );
    CREATE TABLE IF NOT EXISTS passages (
        row INTEGER PRIMARY KEY, tenant INTEGER NOT NULL REFERENCES tenants, id TEXT NOT NULL,
        source TEXT NOT NULL, title TEXT NOT NULL, heading TEXT NOT NULL, text TEXT NOT NULL,
        "start" INTEGER NOT NULL, "end" INTEGER NOT NULL, language TEXT NOT NULL,
        updated TEXT NOT NULL, labels TEXT NOT NULL, digest TEXT NOT NULL, vector BLOB NOT NULL,
        UNIQUE (tenant, id)
    );
    CREATE INDEX IF NOT EXISTS passages_by_source ON passages (tenant, source);
"""
COLUMNS = 'id, source, title, heading, text, "start", "end", language, updated, labels'
# Every character that analysis leaves in a term is a token character here.
TOKENIZER = "unicode61 remove_diacritics 0 categories 'L* N* M* Co'"
KEPT_TENANTS = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class Index:
    """A tenant's vectors in memory, as of one version."""

    version: str
    ids: tuple[str, ...]
    position: Mapping[int, int]
    """Where a row of the file stands in `ids` and `vectors`."""
    vectors: Vectors
    languages: tuple[str, ...]


class PassageFile:
    """One file, one connection, one call at a time; opened on first use."""

    def __init__(self, path: Path, *, embedder: Embedder, busy_s: float = 5.0) -> None:
        """Open nothing yet; wait `busy_s` for other writers."""
        self.path = path
        self._embedder = embedder
        self._busy_s = busy_s
        self._lock = threading.Lock()
        self._db: sqlite3.Connection | None = None
        self._inode: tuple[int, int] | None = None
        self._indexes: OrderedDict[str, Index] = OrderedDict()

    def close(self) -> None:
        """Close the connection; the next call opens it again."""
        with self._lock:
            self._close()

    def matches(
        self, query: str, *, tenant: str, depth: int
    ) -> tuple[Index, dict[int, float]] | None:
        """Return the tenant's index and the keyword scores of its best passages, by position.

        None when the tenant has nothing stored.
        """
        with self._reading() as db:
            self._check_embedder(db)
            index = self._index(db, tenant)
            if index is None:
                return None
            rows = _keyword(db, _tenant(db, tenant), _match(query, index.languages), depth)
            return index, {index.position[row]: score for row, score in rows.items()}

    def passages(self, ids: Sequence[str], *, tenant: str) -> dict[str, Passage]:
        """Return the passages of these ids; one that has gone meanwhile is left out."""
        marks = ",".join("?" * len(ids))
        with self._reading() as db:
            found = db.execute(
                f"SELECT {COLUMNS} FROM passages WHERE tenant = ? AND id IN ({marks})",  # noqa: S608
                (_tenant(db, tenant), *ids),
            )
            return {row[0]: restore(row) for row in found}

    def digests(self, source: str, *, tenant: str) -> dict[str, str]:
        """Return the content digest of each passage stored for a source."""
        if not self.path.exists():
            return {}
        with self._reading() as db:
            self._check_embedder(db)
            return {i: d for _, i, d in _stored(db, _tenant(db, tenant), source)}

    def replace(
        self,
        source: str,
        passages: Mapping[str, Passage],
        vectors: Mapping[str, Vectors],
        tenant: str,
    ) -> Change:
        """Make `source` these passages, in one transaction; `vectors` has those that are new."""
        with self._writing() as db:
            key = _tenant(db, tenant) or _add_tenant(db, tenant)
            self._check_embedder(db)
            db.execute("INSERT OR REPLACE INTO meta VALUES ('embedder', ?)", (self._embedder.name,))
            stored = {i: (row, d) for row, i, d in _stored(db, key, source)}
            same = {i for i, (_, d) in stored.items() if i in passages and d == digest(passages[i])}
            fresh = [passage for i, passage in passages.items() if i not in same]
            if any(passage.id not in vectors for passage in fresh):
                raise StorageBusy(
                    f"{source!r} was changed by another process meanwhile", hint="ingest it again"
                )
            gone = [(row, d) for i, (row, d) in stored.items() if i not in same]
            stamp = _drop(db, key, gone)
            for passage in fresh:
                stamp += _insert(db, key, passage, vectors[passage.id])
            _restamp(db, key, stamp)
            removed = sum(1 for i in stored if i not in passages)
            return Change(added=len(fresh), unchanged=len(same), removed=removed)

    def remove(self, sources: Sequence[str], *, tenant: str) -> int:
        """Forget sources; return how many passages went."""
        if not self.path.exists():
            return 0
        with self._writing() as db:
            key = _tenant(db, tenant)
            gone = [(row, d) for s in sources for row, _, d in _stored(db, key, s)]
            if gone:
                _restamp(db, key, _drop(db, key, gone))
            return len(gone)

    def sources(self, *, tenant: str) -> tuple[dict[str, int], str]:
        """Return passages per source, and the version."""
        if not self.path.exists():
            return {}, ""
        with self._reading() as db:
            counts = db.execute(
                "SELECT source, count(*) FROM passages WHERE tenant = ? GROUP BY source ORDER BY 1",
                (_tenant(db, tenant),),
            ).fetchall()
            return dict(counts), _version(db, tenant)

    @contextmanager
    def _reading(self) -> Iterator[sqlite3.Connection]:
        with self._lock, mapped(self.path):
            if not self.path.exists():
                self._close()
                raise KnowledgeMissing(
                    f"no knowledge at {str(self.path)!r}", hint="run `antiphon ingest PATH` first"
                )
            db = self._open()
            # One snapshot for the whole read: another process may be writing.
            with _transaction(db, "BEGIN"):
                yield db

    @contextmanager
    def _writing(self) -> Iterator[sqlite3.Connection]:
        with self._lock, mapped(self.path):
            self.path.parent.mkdir(parents=True, exist_ok=True)
            db = self._open()
            with _transaction(db, "BEGIN IMMEDIATE"):
                yield db

    def _open(self) -> sqlite3.Connection:
        if self._db is not None and _inode(self.path) == self._inode:
            return self._db
        self._close()
        db = sqlite3.connect(
            self.path, timeout=self._busy_s, isolation_level=None, check_same_thread=False
        )
        try:
            db.execute("PRAGMA journal_mode = WAL")
            db.execute("PRAGMA synchronous = NORMAL")
            db.executescript(SCHEMA)
        except sqlite3.Error:
            db.close()
            raise
        self._db, self._inode = db, _inode(self.path)
        return db

    def _close(self) -> None:
        if self._db is not None:
            self._db.close()
        self._db = None
        self._indexes.clear()

    def _index(self, db: sqlite3.Connection, tenant: str) -> Index | None:
        version = _version(db, tenant)
        kept = self._indexes.get(tenant)
        if kept is None or kept.version != version:
            kept = _load(db, _tenant(db, tenant), version) if version else None
            self._indexes.pop(tenant, None)
        if kept is not None:
            self._indexes[tenant] = kept
            self._indexes.move_to_end(tenant)
        while len(self._indexes) > KEPT_TENANTS:
            self._indexes.popitem(last=False)
        return kept

    def _check_embedder(self, db: sqlite3.Connection) -> None:
        """Refuse to compare vectors of two models; an emptied file may change its model."""
        stored = db.execute(
            "SELECT value FROM meta WHERE key = 'embedder' AND EXISTS (SELECT 1 FROM passages)"
        ).fetchone()
        if stored is not None and stored[0] != self._embedder.name:
            raise KnowledgeError(
                f"the knowledge was embedded by {stored[0]!r}, not by {self._embedder.name!r}",
                hint=f"delete {str(self.path)!r} and ingest again, or set the embedder back",
            )


@contextmanager
def mapped(path: Path) -> Iterator[None]:
    """Turn SQLite's and the file system's errors into ours."""
    try:
        yield
    except sqlite3.IntegrityError as error:
        raise KnowledgeError(
            f"a passage id is already used by another source: {error}",
            hint="ids must be hashes of source, offsets and text",
        ) from error
    except sqlite3.Error as error:
        name = getattr(error, "sqlite_errorname", "") or ""
        if name.startswith(("SQLITE_BUSY", "SQLITE_LOCKED")):
            raise StorageBusy(
                f"{str(path)!r} is locked by another process", hint="try again shortly"
            ) from error
        if name.startswith(("SQLITE_READONLY", "SQLITE_FULL", "SQLITE_CANTOPEN", "SQLITE_IOERR")):
            raise StorageUnwritable(
                f"{str(path)!r} cannot be opened or written: {error}",
                hint="check the folder's permissions and free space",
            ) from error
        raise KnowledgeCorrupt(
            f"{str(path)!r} is damaged: {error}", hint="delete the file and ingest again"
        ) from error
    except OSError as error:
        raise StorageUnwritable(
            f"{str(path)!r} cannot be opened or written: {error}",
            hint="check the folder's permissions and free space",
        ) from error


@contextmanager
def _transaction(db: sqlite3.Connection, begin: str) -> Iterator[None]:
    db.execute(begin)
    try:
        yield
    except BaseException:
        if db.in_transaction:
            db.execute("ROLLBACK")
        raise
    db.execute("COMMIT")


def _inode(path: Path) -> tuple[int, int]:
    stat = path.stat()
    return stat.st_dev, stat.st_ino


def _tenant(db: sqlite3.Connection, tenant: str) -> int:
    """Return the tenant's key, 0 when it has none."""
    found = db.execute("SELECT id FROM tenants WHERE name = ?", (tenant,)).fetchone()
    return 0 if found is None else int(found[0])


def _add_tenant(db: sqlite3.Connection, tenant: str) -> int:
    added = db.execute("INSERT INTO tenants (name, stamp) VALUES (?, '')", (tenant,))
    key = int(added.lastrowid or 0)
    db.execute(f'CREATE VIRTUAL TABLE terms_{key} USING fts5(terms, tokenize="{TOKENIZER}")')
    return key


def _version(db: sqlite3.Connection, tenant: str) -> str:
    found = db.execute("SELECT stamp FROM tenants WHERE name = ?", (tenant,)).fetchone()
    return "" if found is None else str(found[0])


def _restamp(db: sqlite3.Connection, key: int, delta: int) -> None:
    """Move the version: a sum of digests, so that it costs nothing and order does not matter."""
    stamp = db.execute("SELECT stamp FROM tenants WHERE id = ?", (key,)).fetchone()[0]
    count = db.execute("SELECT 1 FROM passages WHERE tenant = ? LIMIT 1", (key,)).fetchone()
    moved = f"{(int(stamp or '0', 16) + delta) % (1 << 128):032x}" if count else ""
    db.execute("UPDATE tenants SET stamp = ? WHERE id = ?", (moved, key))


def _stored(db: sqlite3.Connection, key: int, source: str) -> list[tuple[int, str, str]]:
    return db.execute(
        "SELECT row, id, digest FROM passages WHERE tenant = ? AND source = ?", (key, source)
    ).fetchall()


def _drop(db: sqlite3.Connection, key: int, gone: Sequence[tuple[int, str]]) -> int:
    db.executemany("DELETE FROM passages WHERE row = ?", [(row,) for row, _ in gone])
    db.executemany(
        f"DELETE FROM terms_{key} WHERE rowid = ?",  # noqa: S608
        [(row,) for row, _ in gone],
    )
    return -sum(int(d, 16) for _, d in gone)


def _insert(db: sqlite3.Connection, key: int, passage: Passage, vector: Vectors) -> int:
    made = digest(passage)
    row = db.execute(
        f"INSERT INTO passages (tenant, {COLUMNS}, digest, vector) VALUES ({','.join('?' * 13)})",  # noqa: S608
        (key, *record(passage), made, vector.astype("<f4").tobytes()),
    ).lastrowid
    db.execute(
        f"INSERT INTO terms_{key} (rowid, terms) VALUES (?, ?)",  # noqa: S608
        (row, " ".join(terms(passage.searchable, passage.language))),
    )
    return int(made, 16)


def _keyword(db: sqlite3.Connection, key: int, match: str, depth: int) -> dict[int, float]:
    if not match:
        return {}
    # FTS5 gives better matches lower numbers; its BM25 has k1 = 1.2 and b = 0.75.
    found = db.execute(
        f"SELECT rowid, -rank FROM terms_{key} WHERE terms MATCH ? ORDER BY rank LIMIT ?",  # noqa: S608
        (match, depth),
    )
    return {int(row): float(score) for row, score in found}


def _match(query: str, languages: Sequence[str]) -> str:
    found = query_terms(query, languages)
    return " OR ".join(f'"{term}"' for term in found)


def _load(db: sqlite3.Connection, key: int, version: str) -> Index:
    found = db.execute(
        "SELECT row, id, vector, language FROM passages WHERE tenant = ? ORDER BY row", (key,)
    ).fetchall()
    rows = [int(row[0]) for row in found]
    flat = np.frombuffer(b"".join(row[2] for row in found), dtype="<f4").astype(np.float32)
    return Index(
        version=version,
        ids=tuple(row[1] for row in found),
        position={row: at for at, row in enumerate(rows)},
        vectors=flat.reshape(len(found), -1),
        languages=tuple(sorted({str(row[3]) for row in found})),
    )
