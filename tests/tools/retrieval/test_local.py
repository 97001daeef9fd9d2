"""What is particular to the SQLite backend: its file, its faults, other processes."""

from __future__ import annotations

import asyncio
import sqlite3
import subprocess
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import closing
from hashlib import blake2b
from pathlib import Path

import numpy as np
import pytest

from antiphon.tools.errors import (
    KnowledgeCorrupt,
    KnowledgeError,
    KnowledgeMissing,
    StorageBusy,
    StorageUnwritable,
)
from antiphon.tools.retrieval.analysis import terms
from antiphon.tools.retrieval.local import SqliteKnowledge
from antiphon.tools.retrieval.passages import Passage
from antiphon.tools.retrieval.records import digest, record
from antiphon.tools.retrieval.sqlite_file import PassageFile


class Hashing:
    """Vectors from words' hashes: texts that share words are near."""

    name = "hashing"
    dimensions = 32

    async def embed(self, texts: Sequence[str]) -> list[list[float]]:
        """Sum a random direction per word."""
        return [self.one(text) for text in texts]

    def one(self, text: str) -> list[float]:
        """Return a unit vector."""
        seeds = [blake2b(w.encode(), digest_size=4).digest() for w in text.lower().split()]
        total = np.sum(
            [np.random.default_rng(int.from_bytes(s)).standard_normal(32) for s in seeds], axis=0
        )
        return [float(x) for x in total / np.linalg.norm(total)]


def page(source: str, text: str) -> Passage:
    """Return a passage that is a whole file."""
    key = blake2b(f"{source}{text}".encode(), digest_size=16).hexdigest()
    return Passage(id=key, source=source, title="", heading="", text=text, start=0, end=len(text))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A file in a folder that does not exist yet."""
    return tmp_path / "new" / "knowledge.sqlite"


@pytest.fixture
async def knowledge(path: Path) -> AsyncIterator[SqliteKnowledge]:
    """Knowledge of two pages."""
    made = SqliteKnowledge(path, Hashing())
    await made.upsert("a", [page("a", "lamps have a guarantee")], tenant="t")
    await made.upsert("b", [page("b", "rugs are cleaned by hand")], tenant="t")
    yield made
    await made.close()


async def test_searching_makes_no_file(path: Path) -> None:
    """A missing file is reported, not created."""
    knowledge = SqliteKnowledge(path, Hashing())
    with pytest.raises(KnowledgeMissing):
        await knowledge.search("lamps", tenant="t")
    assert (await knowledge.inventory(tenant="t")).version == ""
    assert not path.exists()


async def test_both_legs_speak(knowledge: SqliteKnowledge) -> None:
    """A hit has its cosine, and its keyword score only when the words matched."""
    hits = await knowledge.search("guarantee lamps", tenant="t")
    assert [hit.passage.source for hit in hits] == ["a", "b"]
    assert hits[0].bm25 is not None
    assert hits[0].bm25 > 0
    assert hits[1].bm25 is None
    assert hits[1].cosine is not None
    assert [hit.keyword_rank for hit in hits] == [1, None]
    assert [hit.dense_rank for hit in hits] == [1, 2]


async def test_corrupt_file(path: Path) -> None:
    """A file that is no database is reported as damaged, with what to do."""
    path.parent.mkdir()
    path.write_bytes(b"this is not a database, whatever its name says " * 100)
    with pytest.raises(KnowledgeCorrupt) as caught:
        await SqliteKnowledge(path, Hashing()).search("lamps", tenant="t")
    assert "delete the file and ingest again" in caught.value.hint


async def test_damaged_pages(knowledge: SqliteKnowledge, path: Path) -> None:
    """Damage in the middle of the file is reported too."""
    await knowledge.upsert("c", [page("c", f"filler number {i}") for i in range(300)], tenant="t")
    await knowledge.close()
    content = bytearray(path.read_bytes())
    content[4096:] = bytes([0xA5]) * (len(content) - 4096)
    path.write_bytes(bytes(content))
    with pytest.raises(KnowledgeCorrupt):
        await knowledge.search("lamps", tenant="t")


async def test_locked_file(knowledge: SqliteKnowledge, path: Path) -> None:
    """A writer that holds the lock too long is waited for, then reported; readers go on."""
    await knowledge.close()
    file = PassageFile(path, embedder=Hashing(), busy_s=0.1)
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(StorageBusy):
            file.remove(["a"], tenant="t")
        assert await knowledge.search("lamps", tenant="t")
        other.execute("ROLLBACK")
    assert file.remove(["a"], tenant="t") == 1
    file.close()


async def test_unwritable_folder(tmp_path: Path) -> None:
    """A folder that cannot be made is reported by name."""
    (tmp_path / "file").write_text("in the way")
    knowledge = SqliteKnowledge(tmp_path / "file" / "k.sqlite", Hashing())
    with pytest.raises(StorageUnwritable, match="file"):
        await knowledge.upsert("a", [page("a", "text")], tenant="t")


async def test_full_disk(knowledge: SqliteKnowledge, path: Path) -> None:
    """A full disk is reported, and what was stored stays."""
    file = PassageFile(path, embedder=Hashing())
    with file.writing() as db:
        limit = db.execute("PRAGMA page_count").fetchone()[0]
    assert file._db is not None
    file._db.execute(f"PRAGMA max_page_count = {limit}")
    big = page("big", "word " * 100_000)
    vector = np.asarray(Hashing().one("word"), dtype=np.float32)
    with pytest.raises(StorageUnwritable):
        file.replace("big", {big.id: big}, {big.id: vector}, "t")
    file.close()
    assert set((await knowledge.inventory(tenant="t")).sources) == {"a", "b"}


async def test_another_process_writes(knowledge: SqliteKnowledge, path: Path) -> None:
    """A change by another connection is seen by the next search."""
    assert len(await knowledge.search("curtains", tenant="t")) == 2
    other = SqliteKnowledge(path, Hashing())
    await other.upsert("c", [page("c", "curtains are made to measure")], tenant="t")
    await other.close()
    hits = await knowledge.search("curtains", tenant="t")
    assert hits[0].passage.source == "c"
    assert len(hits) == 3


async def test_replaced_file(knowledge: SqliteKnowledge, path: Path) -> None:
    """A file that was deleted and made anew under a running process is opened anew."""
    for name in path.parent.iterdir():
        name.unlink()
    with pytest.raises(KnowledgeMissing):
        await knowledge.search("lamps", tenant="t")
    await knowledge.upsert("c", [page("c", "curtains")], tenant="t")
    assert [h.passage.source for h in await knowledge.search("curtains", tenant="t")] == ["c"]


async def test_emptied_file_takes_another_embedder(knowledge: SqliteKnowledge, path: Path) -> None:
    """The embedder may change once every source is removed, and not before."""

    class Other(Hashing):
        name = "other"

    other = SqliteKnowledge(path, Other())
    with pytest.raises(KnowledgeError, match="'hashing'"):
        await other.upsert("c", [page("c", "curtains")], tenant="t")
    await other.remove(["a", "b"], tenant="t")
    assert (await other.upsert("c", [page("c", "curtains")], tenant="t")).added == 1
    await other.close()


async def test_duplicate_ids_count_once(knowledge: SqliteKnowledge) -> None:
    """The same passage given twice is stored once; an id of another source is refused."""
    one = page("c", "curtains")
    assert (await knowledge.upsert("c", [one, one], tenant="t")).added == 1
    with pytest.raises(KnowledgeError, match="another source"):
        await knowledge.upsert("d", [one], tenant="t")


async def test_concurrent_use(knowledge: SqliteKnowledge) -> None:
    """Searches and ingests at once neither fail nor lose anything."""
    writes = (
        knowledge.upsert(f"s{i}", [page(f"s{i}", f"page number {i}")], tenant="t")
        for i in range(20)
    )
    reads = (knowledge.search("lamps guarantee", tenant="t", limit=3) for _ in range(40))
    found = await asyncio.gather(*reads, *writes)
    assert all(hits[0].passage.source == "a" for hits in found[:40] if isinstance(hits, tuple))
    assert len((await knowledge.inventory(tenant="t")).sources) == 22


async def test_version_ignores_order(tmp_path: Path) -> None:
    """The same passages have the same version however they came in."""
    versions = set()
    for name, order in (("x", ["a", "b"]), ("y", ["b", "a"])):
        knowledge = SqliteKnowledge(tmp_path / name, Hashing())
        for source in order:
            await knowledge.upsert(source, [page(source, "text")], tenant=name)
        versions.add((await knowledge.inventory(tenant=name)).version)
        await knowledge.close()
    assert len(versions) == 1


def test_import_is_light() -> None:
    """Importing the backend loads no model runtime."""
    code = (
        "import sys, antiphon.tools.retrieval.local, antiphon.tools.models.embeddings\n"
        "heavy = {'onnxruntime', 'tokenizers', 'sentence_transformers', 'torch', 'weaviate'}\n"
        "sys.exit(bool(heavy & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


# What version 1 wrote, as it wrote it.
OLD_TABLES = """
    CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
    CREATE TABLE tenants (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, stamp TEXT NOT NULL);
    CREATE TABLE passages (
        row INTEGER PRIMARY KEY, tenant INTEGER NOT NULL REFERENCES tenants, id TEXT NOT NULL,
        source TEXT NOT NULL, title TEXT NOT NULL, heading TEXT NOT NULL, text TEXT NOT NULL,
        "start" INTEGER NOT NULL, "end" INTEGER NOT NULL, language TEXT NOT NULL,
        updated TEXT NOT NULL, labels TEXT NOT NULL, digest TEXT NOT NULL, vector BLOB NOT NULL,
        UNIQUE (tenant, id)
    );
    CREATE INDEX passages_by_source ON passages (tenant, source);
    CREATE VIRTUAL TABLE terms_1 USING fts5(terms);
    INSERT INTO meta VALUES ('embedder', 'hashing');
"""


def old_file(path: Path, pages: Sequence[Passage]) -> None:
    """Write pages as version 1 did, for tenant `t`."""
    path.parent.mkdir(parents=True)
    stamp = sum(int(digest(one), 16) for one in pages) % (1 << 128)
    with closing(sqlite3.connect(path)) as db:
        db.executescript(OLD_TABLES)
        db.execute("INSERT INTO tenants VALUES (1, 't', ?)", (f"{stamp:032x}",))
        for row, one in enumerate(pages, start=1):
            vector = np.asarray(Hashing().one(one.searchable), dtype="<f4").tobytes()
            db.execute(
                f"INSERT INTO passages VALUES (?, 1, {','.join('?' * 10)}, ?, ?)",  # noqa: S608
                (row, *record(one), digest(one), vector),
            )
            words = " ".join(terms(one.searchable))
            db.execute("INSERT INTO terms_1 (rowid, terms) VALUES (?, ?)", (row, words))
        db.commit()


async def test_an_older_file(path: Path, tmp_path: Path) -> None:
    """A file of version 1 is brought up to date on opening, and then searched as a new one."""
    pages = [page("a", "lamps have a guarantee"), page("b", "rugs are cleaned by hand")]
    old_file(path, pages)
    old, new = SqliteKnowledge(path, Hashing()), SqliteKnowledge(tmp_path / "new.db", Hashing())
    done = await old.migrate()
    assert (done.before, done.after, done.passages, done.embedded) == (1, 2, 2, 0)
    for one in pages:
        await new.upsert(one.source, [one], tenant="t")
    assert await old.inventory(tenant="t") == await new.inventory(tenant="t")
    query = "guarantee of lamps"
    assert await old.search(query, tenant="t") == await new.search(query, tenant="t")
    await old.close()
    again = SqliteKnowledge(path, Hashing())
    assert (await again.migrate()).before == 2
    await again.close()
    await new.close()


async def test_a_newer_file(knowledge: SqliteKnowledge, path: Path) -> None:
    """A file that a newer release wrote is left alone."""
    await knowledge.close()
    with closing(sqlite3.connect(path)) as db:
        db.execute("PRAGMA user_version = 99")
    with pytest.raises(KnowledgeError, match="newer release"):
        await knowledge.search("lamps", tenant="t")


async def test_a_reindex_that_was_killed_is_taken_up(path: Path) -> None:
    """Vectors that were made before a kill are not made again, and until the switch none counts."""
    pages = [page("a", f"lamp number {i}") for i in range(300)]
    first = SqliteKnowledge(path, Hashing())
    await first.upsert("a", pages, tenant="t")

    class Dying(Hashing):
        name = "dying"
        made = 0
        lives = 2

        async def embed(self, texts: Sequence[str]) -> list[list[float]]:
            if self.lives == 0:
                raise KeyboardInterrupt
            self.lives -= 1
            self.made += len(texts)
            return await super().embed(texts)

    other = Dying()
    second = SqliteKnowledge(path, other)
    with pytest.raises(KeyboardInterrupt):
        await second.migrate()
    assert len(await first.search("lamp", tenant="t", limit=5)) == 5
    other.lives = 99
    assert (await second.migrate()).embedded == 300
    assert other.made == 300
    with pytest.raises(KnowledgeError, match="'dying'"):
        await first.search("lamp", tenant="t")
    assert len(await second.search("lamp", tenant="t", limit=5)) == 5
    await first.close()
    await second.close()
