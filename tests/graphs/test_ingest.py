"""A folder becomes knowledge: each file alone, each failure told, nothing else disturbed."""

from __future__ import annotations

import shutil
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import pytest

from antiphon.graphs.ingest import build_ingest, ingest_paths
from antiphon.nodes.ingest import IngestContext
from antiphon.tools.errors import GuardBroken, InputError, KnowledgeCorrupt, KnowledgeUnavailable
from antiphon.tools.retrieval import Change, Hit, Inventory, Passage
from antiphon.tools.retrieval.loaders import discover
from antiphon.tools.retrieval.local import SqliteKnowledge
from antiphon.tools.tokens import ApproximateCounter

TOKENS = ApproximateCounter()


class Shelf:
    """Knowledge in a dictionary."""

    def __init__(self) -> None:
        self.kept: dict[str, dict[str, tuple[Passage, ...]]] = {}
        self.broken: list[Exception] = []

    async def search(self, query: str, *, tenant: str, limit: int = 10) -> tuple[Hit, ...]:
        return ()

    async def upsert(self, source: str, passages: Sequence[Passage], *, tenant: str) -> Change:
        if self.broken:
            raise self.broken.pop()
        old = {p.id for p in self.kept.get(tenant, {}).get(source, ())}
        new = {p.id for p in passages}
        self.kept.setdefault(tenant, {})[source] = tuple(passages)
        return Change(added=len(new - old), unchanged=len(new & old), removed=len(old - new))

    async def remove(self, sources: Sequence[str], *, tenant: str) -> int:
        return sum(len(self.kept[tenant].pop(source)) for source in sources)

    async def inventory(self, *, tenant: str) -> Inventory:
        kept = self.kept.get(tenant, {})
        version = ",".join(sorted(p.id for passages in kept.values() for p in passages))
        return Inventory(
            sources={source: len(found) for source, found in kept.items()},
            version=version,
            backend="sqlite",
        )

    def texts(self, tenant: str = "default") -> dict[str, list[str]]:
        return {s: [p.text for p in found] for s, found in self.kept.get(tenant, {}).items()}


class LetterEmbedder:
    """Vectors of letter frequencies: real enough to be stored and searched."""

    name = "letters"
    dimensions = 26

    async def embed(self, texts: Sequence[str]) -> list[list[float]]:
        counts = [[text.lower().count(chr(97 + n)) + 0.01 for n in range(26)] for text in texts]
        return [[c / sum(x * x for x in row) ** 0.5 for c in row] for row in counts]


@pytest.fixture
def shelf() -> Shelf:
    return Shelf()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    root = tmp_path / "kb"
    (root / "sub").mkdir(parents=True)
    (root / "returns.md").write_text("# Returns\n\nWithin 30 days.\n\n## Sale\n\nNo returns.\n")
    (root / "sub" / "ship.txt").write_text("Three days.")
    return root


async def test_the_report_is_the_contract(shelf: Shelf, folder: Path) -> None:
    """Exactly the fields of `antiphon ingest --json`, and the passages under their names."""
    report = await ingest_paths(shelf, TOKENS, [folder], tenant="default")

    seconds = report.pop("seconds")
    assert isinstance(seconds, float)
    assert {
        "files": 2, "passages": 3, "added": 3, "unchanged": 0, "removed": 0, "failed": [],
        "knowledge_version": (await shelf.inventory(tenant="default")).version,
    } == report  # fmt: skip
    assert {"returns.md": ["Within 30 days.", "No returns."], "sub/ship.txt": ["Three days."]} == (
        shelf.texts()
    )


async def test_a_second_time_changes_nothing_and_an_edit_only_its_passage(
    shelf: Shelf, folder: Path
) -> None:
    """The version follows the content."""
    first = await ingest_paths(shelf, TOKENS, [folder], tenant="default")
    again = await ingest_paths(shelf, TOKENS, [folder], tenant="default")
    (folder / "sub/ship.txt").write_text("Four days.")
    edited = await ingest_paths(shelf, TOKENS, [folder], tenant="default")

    assert (0, 3, 0) == (again["added"], again["unchanged"], again["removed"])
    assert (1, 2, 1) == (edited["added"], edited["unchanged"], edited["removed"])
    assert first["knowledge_version"] == again["knowledge_version"] != edited["knowledge_version"]


async def test_a_bad_file_is_told_and_the_rest_goes_on(shelf: Shelf, folder: Path) -> None:
    """First, middle or last: a failure names its file and reason."""
    (folder / "a.md").write_bytes(b"")
    (folder / "m.md").write_bytes(b"\xff\xfe")
    (folder / "rules.md").write_text("---\n\n***\n")
    (folder / "z.pdf").write_bytes(b"%PDF")

    report = await ingest_paths(shelf, TOKENS, [folder], tenant="default")

    failed = report["failed"]
    assert isinstance(failed, list)
    assert ["a.md", "m.md", "rules.md", "z.pdf"] == [entry["path"] for entry in failed]
    assert all(entry["reason"] for entry in failed)
    assert 2 == report["files"]
    assert {"returns.md", "sub/ship.txt"} == set(shelf.texts())


async def test_only_replace_forgets_what_vanished(shelf: Shelf, folder: Path) -> None:
    """A file that is gone stays known until the knowledge is to be exactly these paths."""
    await ingest_paths(shelf, TOKENS, [folder], tenant="default")
    (folder / "returns.md").unlink()

    kept = await ingest_paths(shelf, TOKENS, [folder], tenant="default")
    assert (0, {"returns.md", "sub/ship.txt"}) == (kept["removed"], set(shelf.texts()))

    replaced = await ingest_paths(shelf, TOKENS, [folder], tenant="default", replace=True)
    assert (2, {"sub/ship.txt"}) == (replaced["removed"], set(shelf.texts()))
    assert replaced["knowledge_version"] != kept["knowledge_version"]


async def test_replace_keeps_a_file_that_fails_this_time(shelf: Shelf, folder: Path) -> None:
    """A half-written file does not take its last good text with it, nor do all of them."""
    await ingest_paths(shelf, TOKENS, [folder], tenant="default")
    (folder / "returns.md").write_bytes(b"\xff")
    await ingest_paths(shelf, TOKENS, [folder], tenant="default", replace=True)
    assert {"returns.md", "sub/ship.txt"} == set(shelf.texts())

    await ingest_paths(shelf, TOKENS, [folder / "returns.md"], tenant="default", replace=True)
    assert {"returns.md", "sub/ship.txt"} == set(shelf.texts())


async def test_a_dry_run_changes_nothing_and_tells_what_would(shelf: Shelf, folder: Path) -> None:
    """Failures, counts and removals are those of the real run."""
    await ingest_paths(shelf, TOKENS, [folder], tenant="default")
    before = shelf.texts()
    (folder / "returns.md").unlink()
    (folder / "new.md").write_text("New.")

    report = await ingest_paths(
        shelf, TOKENS, [folder], tenant="default", replace=True, dry_run=True
    )

    assert (2, 1, 1, 2) == tuple(report[k] for k in ("files", "added", "unchanged", "removed"))
    assert before == shelf.texts()


async def test_tenants_are_apart(shelf: Shelf, folder: Path) -> None:
    """One tenant's replacement leaves another's knowledge alone."""
    await ingest_paths(shelf, TOKENS, [folder], tenant="one")
    await ingest_paths(shelf, TOKENS, [folder / "sub"], tenant="two", replace=True)

    assert {"returns.md", "sub/ship.txt"} == set(shelf.texts("one"))
    assert {"ship.txt"} == set(shelf.texts("two"))


async def test_personal_data_is_starred_out_and_offsets_stay_true(
    shelf: Shelf, folder: Path
) -> None:
    """What the redactor finds is masked before anything is stored, letter for letter."""
    raw = "Intro.\n\nAsk Jo Doe\nnow. Then wait."
    (folder / "sub/ship.txt").write_text(raw)

    async def find(text: str) -> list[tuple[int, int]]:
        at = text.find("Jo Doe\nnow")
        return [(at, at + 10), (5000, 6000)] if at >= 0 else []

    await ingest_paths(shelf, TOKENS, [folder / "sub"], tenant="default", redactor=find)

    (passage,) = shelf.kept["default"]["ship.txt"]
    assert "Intro.\n\nAsk ******\n***. Then wait." == passage.text
    assert len(raw[passage.start : passage.end]) == len(passage.text)


async def test_a_file_that_cannot_be_checked_is_not_stored(shelf: Shelf, folder: Path) -> None:
    """A broken redactor fails closed, file by file."""

    async def broken(text: str) -> list[tuple[int, int]]:
        if "Three" in text:
            raise GuardBroken("detector is down")
        return []

    report = await ingest_paths(shelf, TOKENS, [folder], tenant="default", redactor=broken)

    failed = report["failed"]
    assert isinstance(failed, list)
    assert ["sub/ship.txt"] == [entry["path"] for entry in failed]
    assert {"returns.md"} == set(shelf.texts())


async def test_progress_is_told_per_file(shelf: Shelf, folder: Path) -> None:
    """Failed files count too."""
    (folder / "a.md").write_bytes(b"")
    seen: list[tuple[int, int]] = []

    await ingest_paths(
        shelf, TOKENS, [folder], tenant="default", progress=lambda *counts: seen.append(counts)
    )  # fmt: skip

    assert [(1, 3), (2, 3), (3, 3)] == seen


async def test_a_short_outage_is_waited_out_and_a_broken_store_ends_the_run(
    shelf: Shelf, folder: Path
) -> None:
    """What is wrong with the knowledge is no file's fault."""
    shelf.broken = [KnowledgeUnavailable("restarting")]
    assert 2 == (await ingest_paths(shelf, TOKENS, [folder], tenant="default"))["files"]

    shelf.broken = [KnowledgeCorrupt("damaged")]
    with pytest.raises(KnowledgeCorrupt):
        await ingest_paths(shelf, TOKENS, [folder], tenant="default")


async def test_a_missing_path_and_an_empty_folder_are_bad_input(
    shelf: Shelf, tmp_path: Path
) -> None:
    """Nothing is touched, the hint says what to do."""
    for path in (tmp_path / "none", tmp_path):
        with pytest.raises(InputError) as caught:
            await ingest_paths(shelf, TOKENS, [path], tenant="default", replace=True)
        assert caught.value.hint


async def test_many_files_fit_in_one_run(shelf: Shelf, tmp_path: Path) -> None:
    """The step limit grows with the number of files."""
    for n in range(120):
        (tmp_path / f"{n}.md").write_text(f"Text {n}.")

    assert 120 == (await ingest_paths(shelf, TOKENS, [tmp_path], tenant="default"))["files"]


async def test_each_file_walks_the_declared_path(shelf: Shelf, folder: Path) -> None:
    """load, redact, chunk, embed and upsert, then the next; a failed load goes to the next."""
    (folder / "a.md").write_bytes(b"")
    graph = build_ingest(shelf, TOKENS).compile()

    path = [
        node
        async for update in graph.astream(
            {"sources": discover([folder])}, context=IngestContext(), stream_mode="updates"
        )
        for node in update
    ]

    once = ["load", "redact", "chunk", "embed_and_upsert"]
    assert ["load", *once, *once, "conclude"] == path


@pytest.fixture
async def sqlite(tmp_path: Path) -> AsyncIterator[SqliteKnowledge]:
    knowledge = SqliteKnowledge(tmp_path / "data" / "knowledge.db", LetterEmbedder())
    yield knowledge
    await knowledge.close()


async def test_the_real_store_takes_replaces_and_finds(
    sqlite: SqliteKnowledge, folder: Path
) -> None:
    """The same walk with the default knowledge, from a folder to a hit that is in its file."""
    first = await ingest_paths(sqlite, TOKENS, [folder], tenant="default")
    again = await ingest_paths(sqlite, TOKENS, [folder], tenant="default")
    assert (3, 3, 0) == (first["added"], again["unchanged"], again["added"])
    assert first["knowledge_version"] == again["knowledge_version"] != ""

    best = (await sqlite.search("returns within 30 days", tenant="default"))[0].passage
    raw = (folder / best.source).read_text()
    assert "Within 30 days." == best.text == raw[best.start : best.end]

    shutil.rmtree(folder / "sub")
    replaced = await ingest_paths(sqlite, TOKENS, [folder], tenant="default", replace=True)
    assert 1 == replaced["removed"]
    assert {"returns.md"} == set((await sqlite.inventory(tenant="default")).sources)
