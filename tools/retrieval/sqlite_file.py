"""The SQLite file that passages, their keyword index and their vectors live in.

Synchronous and deliberately dull: `local.py` calls it from worker threads. Each tenant is searched
through an index of its own, so neither words nor their statistics cross from one to another.
"""

from __future__ import annotations

import json
import sqlite3
import threading
from collections import OrderedDict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from antiphon.tools.errors import (
    KnowledgeCorrupt,
    KnowledgeError,
    KnowledgeMissing,
    StorageBusy,
    StorageUnwritable,
)
from antiphon.tools.private import private_file, private_folder
from antiphon.tools.retrieval.analysis import terms
from antiphon.tools.retrieval.index import Column, Index, Vectors
from antiphon.tools.retrieval.passages import Change, Embedder, Migration, Passage
from antiphon.tools.retrieval.postings import Postings, pack
from antiphon.tools.retrieval.records import digest, record, restore
from antiphon.tools.retrieval.sqlite_schema import COLUMNS, VERSION, prepare, transaction

KEPT_TENANTS = 16


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
        self._migration: Migration | None = None
        self._indexes: OrderedDict[str, Index] = OrderedDict()

    def close(self) -> None:
        """Close the connection; the next call opens it again."""
        with self._lock:
            self._close()

    def index(self, *, tenant: str) -> Index | None:
        """Return what the tenant is searched by, None when it has nothing stored."""
        with self.reading() as db:
            self._check_embedder(db, tenant)
            return self._index(db, tenant)

    def passages(self, ids: Sequence[str], *, tenant: str) -> dict[str, Passage]:
        """Return the passages of these ids; one that has gone meanwhile is left out."""
        marks = ",".join("?" * len(ids))
        with self.reading() as db:
            found = db.execute(
                f"SELECT {COLUMNS} FROM passages WHERE tenant = ? AND id IN ({marks})",  # noqa: S608
                (_tenant(db, tenant), *ids),
            )
            return {row[0]: restore(row) for row in found}

    def covering(
        self, places: Sequence[tuple[str, int, int]], *, tenant: str
    ) -> tuple[Passage, ...]:
        """Return the passages that hold any of these stretches: source, start, end."""
        if not self.path.exists():
            return ()
        with self.reading() as db:
            key = _tenant(db, tenant)
            return tuple(
                restore(row)
                for source, start, end in places
                for row in db.execute(
                    f"SELECT {COLUMNS} FROM passages WHERE tenant = ? AND source = ?"  # noqa: S608
                    ' AND "start" <= ? AND "end" >= ?',
                    (key, source, start, end),
                )
            )

    def digests(self, source: str, *, tenant: str) -> dict[str, str]:
        """Return the content digest of each passage stored for a source."""
        if not self.path.exists():
            return {}
        with self.reading() as db:
            self._check_embedder(db, tenant)
            return {i: d for _, i, d in _stored(db, _tenant(db, tenant), source)}

    def vectors(self, ids: Sequence[str], *, tenant: str) -> dict[str, Vectors]:
        """Return the vectors of these passages by what was embedded."""
        with self.reading() as db:
            key = _tenant(db, tenant)
            found = (
                db.execute(
                    f"SELECT {COLUMNS}, vector FROM passages WHERE tenant = ? AND id = ?",  # noqa: S608
                    (key, one),
                ).fetchone()
                for one in ids
            )
            return {
                restore(row[:-1]).searchable: np.frombuffer(row[-1], dtype="<f4")
                for row in found
                if row is not None
            }

    def replace(
        self,
        source: str,
        passages: Mapping[str, Passage],
        vectors: Mapping[str, Vectors],
        tenant: str,
    ) -> Change:
        """Make `source` these passages, in one transaction; `vectors` has those that are new."""
        with self.writing() as db:
            key = _tenant(db, tenant) or _add_tenant(db, tenant)
            self._check_embedder(db, tenant)
            db.execute("UPDATE tenants SET embedder = ? WHERE id = ?", (self._embedder.name, key))
            stored = {i: (row, d) for row, i, d in _stored(db, key, source)}
            same = {i for i, (_, d) in stored.items() if i in passages and d == digest(passages[i])}
            fresh = [passage for i, passage in passages.items() if i not in same]
            if any(passage.id not in vectors for passage in fresh):
                raise StorageBusy(
                    f"{source!r} was changed by another process meanwhile", hint="ingest it again"
                )
            gone = [(row, d) for i, (row, d) in stored.items() if i not in same]
            stamp = _drop(db, gone)
            for passage in fresh:
                stamp += _insert(db, key, passage, vectors[passage.id])
            _restamp(db, key, stamp)
            removed = sum(1 for i in stored if i not in passages)
            return Change(added=len(fresh), unchanged=len(same), removed=removed)

    def remove(self, sources: Sequence[str], *, tenant: str) -> int:
        """Forget sources; return how many passages went."""
        if not self.path.exists():
            return 0
        with self.writing() as db:
            key = _tenant(db, tenant)
            gone = [(row, d) for s in sources for row, _, d in _stored(db, key, s)]
            if gone:
                _restamp(db, key, _drop(db, gone))
            return len(gone)

    def migrate(self) -> Migration:
        """Say what opening the file brought up to date: that happens of itself."""
        if not self.path.exists():
            return Migration(before=0, after=VERSION, passages=0)
        with self.reading():
            found = self._migration
            if found is None or found.before == 0:
                return Migration(before=VERSION, after=VERSION, passages=0)
            return found

    def sources(self, *, tenant: str) -> tuple[dict[str, int], str]:
        """Return passages per source, and the version."""
        if not self.path.exists():
            return {}, ""
        with self.reading() as db:
            counts = db.execute(
                "SELECT source, count(*) FROM passages WHERE tenant = ? GROUP BY source ORDER BY 1",
                (_tenant(db, tenant),),
            ).fetchall()
            return dict(counts), _version(db, tenant)

    @contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        """Give one snapshot of the file. Raises KnowledgeMissing when there is none."""
        with self._lock, mapped(self.path):
            if not self.path.exists():
                self._close()
                raise KnowledgeMissing(
                    f"no knowledge at {str(self.path)!r}", hint="run `antiphon ingest PATH` first"
                )
            db = self._open()
            # One snapshot for the whole read: another process may be writing.
            with transaction(db, "BEGIN"):
                yield db

    @contextmanager
    def writing(self) -> Iterator[sqlite3.Connection]:
        """Give the file for one transaction, made if need be."""
        with self._lock, mapped(self.path):
            private_folder(self.path.parent)
            private_file(self.path)
            db = self._open()
            with transaction(db, "BEGIN IMMEDIATE"):
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
            done = prepare(db)
        except (sqlite3.Error, KnowledgeError):
            db.close()
            raise
        self._db, self._inode = db, _inode(self.path)
        self._migration = self._migration or done
        return db

    def _close(self) -> None:
        if self._db is not None:
            self._db.close()
        self._db = None
        self._indexes.clear()

    def _index(self, db: sqlite3.Connection, tenant: str) -> Index | None:
        found = db.execute(
            "SELECT id, stamp || '/' || generation FROM tenants WHERE name = ? AND stamp <> ''",
            (tenant,),
        ).fetchone()
        kept = self._indexes.get(tenant)
        if found is None or kept is None or kept.version != found[1]:
            kept = _load(db, *found) if found is not None else None
            self._indexes.pop(tenant, None)
        if kept is not None:
            self._indexes[tenant] = kept
            self._indexes.move_to_end(tenant)
        while len(self._indexes) > KEPT_TENANTS:
            self._indexes.popitem(last=False)
        return kept

    def _check_embedder(self, db: sqlite3.Connection, tenant: str) -> None:
        """Refuse to compare vectors of two models; an emptied tenant may change its model."""
        stored = db.execute(
            "SELECT embedder FROM tenants WHERE name = ? AND stamp <> ''", (tenant,)
        ).fetchone()
        if stored is not None and stored[0] != self._embedder.name:
            raise KnowledgeError(
                f"the knowledge was embedded by {stored[0]!r}, not by {self._embedder.name!r}",
                hint="run `antiphon ingest --migrate`, or set the embedder back",
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


def _inode(path: Path) -> tuple[int, int]:
    stat = path.stat()
    return stat.st_dev, stat.st_ino


def _tenant(db: sqlite3.Connection, tenant: str) -> int:
    """Return the tenant's key, 0 when it has none."""
    found = db.execute("SELECT id FROM tenants WHERE name = ?", (tenant,)).fetchone()
    return 0 if found is None else int(found[0])


def _add_tenant(db: sqlite3.Connection, tenant: str) -> int:
    added = db.execute("INSERT INTO tenants (name, stamp) VALUES (?, '')", (tenant,))
    return int(added.lastrowid or 0)


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


def _drop(db: sqlite3.Connection, gone: Sequence[tuple[int, str]]) -> int:
    db.executemany("DELETE FROM passages WHERE row = ?", [(row,) for row, _ in gone])
    return -sum(int(d, 16) for _, d in gone)


def _insert(db: sqlite3.Connection, key: int, passage: Passage, vector: Vectors) -> int:
    made = digest(passage)
    packed = pack(terms(passage.searchable, passage.language))
    db.execute(
        f"INSERT INTO passages (tenant, {COLUMNS}, digest, vector, terms)"  # noqa: S608
        f" VALUES ({','.join('?' * 14)})",
        (key, *record(passage), made, vector.astype("<f4").tobytes(), packed),
    )
    return int(made, 16)


def _load(db: sqlite3.Connection, key: int, version: str) -> Index:
    found = db.execute(
        "SELECT id, vector, terms, source, language, updated, labels FROM passages"
        " WHERE tenant = ? ORDER BY row",
        (key,),
    ).fetchall()
    flat = np.frombuffer(b"".join(row[1] for row in found), dtype="<f4")
    return Index(
        version=version,
        ids=tuple(row[0] for row in found),
        vectors=flat.reshape(len(found), -1).astype(np.float32, copy=False),
        postings=Postings([row[2] for row in found]),
        sources=Column(str(row[3]) for row in found),
        languages=Column(str(row[4]) for row in found),
        updated=Column(str(row[5]) for row in found),
        labels=Column(tuple(json.loads(row[6])) for row in found),
    )
