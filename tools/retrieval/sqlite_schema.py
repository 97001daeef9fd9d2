"""The tables of the SQLite file, their version, and how an older file is brought up to it."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager

from antiphon.tools.errors import KnowledgeError
from antiphon.tools.retrieval.passages import Migration
from antiphon.tools.retrieval.postings import pack

VERSION = 2
"""1 had its keywords in SQLite's full-text tables, and one embedder for the whole file."""
COLUMNS = 'id, source, title, heading, text, "start", "end", language, updated, labels'
TABLES = (
    """CREATE TABLE tenants (
        id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, stamp TEXT NOT NULL,
        embedder TEXT NOT NULL DEFAULT '', generation INTEGER NOT NULL DEFAULT 0
    )""",
    """CREATE TABLE passages (
        row INTEGER PRIMARY KEY, tenant INTEGER NOT NULL REFERENCES tenants, id TEXT NOT NULL,
        source TEXT NOT NULL, title TEXT NOT NULL, heading TEXT NOT NULL, text TEXT NOT NULL,
        "start" INTEGER NOT NULL, "end" INTEGER NOT NULL, language TEXT NOT NULL,
        updated TEXT NOT NULL, labels TEXT NOT NULL, digest TEXT NOT NULL, vector BLOB NOT NULL,
        terms BLOB NOT NULL DEFAULT x'', UNIQUE (tenant, id)
    )""",
    "CREATE INDEX passages_by_source ON passages (tenant, source)",
)
ASIDE = """CREATE TABLE IF NOT EXISTS vectors_aside (
    row INTEGER PRIMARY KEY, digest TEXT NOT NULL, embedder TEXT NOT NULL, vector BLOB NOT NULL
)"""
"""Where vectors wait, during a reindex, until every passage has its new one."""


@contextmanager
def transaction(db: sqlite3.Connection, begin: str) -> Iterator[None]:
    """Commit what happens inside, or nothing of it."""
    db.execute(begin)
    try:
        yield
    except BaseException:
        if db.in_transaction:
            db.execute("ROLLBACK")
        raise
    db.execute("COMMIT")


def prepare(db: sqlite3.Connection) -> Migration:
    """Make the tables of a new file, or bring an older one's up to date, in one transaction."""
    if _version(db) == VERSION:
        return Migration(before=VERSION, after=VERSION, passages=0)
    with transaction(db, "BEGIN IMMEDIATE"):
        # Another process may have done it while this one waited.
        before = _version(db)
        if before > VERSION:
            raise KnowledgeError(
                f"the knowledge was stored by a newer release (schema {before}, known: {VERSION})",
                hint="upgrade Antiphon, or ingest into another ANTIPHON_DATA_DIR",
            )
        rewritten = 0
        if before == 0:
            for table in TABLES:
                db.execute(table)
        elif before == 1:
            rewritten = _from_1(db)
        db.execute(f"PRAGMA user_version = {VERSION}")
    return Migration(before=before, after=VERSION, passages=rewritten)


def _version(db: sqlite3.Connection) -> int:
    """Return the schema's version: files of version 1 do not carry a number."""
    noted = int(db.execute("PRAGMA user_version").fetchone()[0])
    if noted:
        return noted
    found = db.execute("SELECT 1 FROM sqlite_master WHERE name = 'tenants'").fetchone()
    return 0 if found is None else 1


def _from_1(db: sqlite3.Connection) -> int:
    db.execute("ALTER TABLE tenants ADD COLUMN embedder TEXT NOT NULL DEFAULT ''")
    db.execute("ALTER TABLE tenants ADD COLUMN generation INTEGER NOT NULL DEFAULT 0")
    db.execute("ALTER TABLE passages ADD COLUMN terms BLOB NOT NULL DEFAULT x''")
    db.execute(
        "UPDATE tenants SET embedder = "
        "coalesce((SELECT value FROM meta WHERE key = 'embedder'), '')"
    )
    rewritten = 0
    for (tenant,) in db.execute("SELECT id FROM tenants").fetchall():
        for row, words in db.execute(f"SELECT rowid, terms FROM terms_{tenant}"):  # noqa: S608
            db.execute("UPDATE passages SET terms = ? WHERE row = ?", (pack(words.split()), row))
            rewritten += 1
        db.execute(f"DROP TABLE terms_{tenant}")
    db.execute("DROP TABLE meta")
    return rewritten
