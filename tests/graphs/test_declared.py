"""Declared knowledge follows its files, and leaves alone what was ingested by hand."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from pathlib import Path

import pytest
from fakes import ACTION, KNOWLEDGE, FakeIntents, FakeKnowledge, Opening, fake_services

from antiphon.graphs.declared import BY_HAND, DeclaredKnowledge
from antiphon.graphs.ingest import ingest_paths
from antiphon.nodes.ingest import IngestContext
from antiphon.nodes.state import Context
from antiphon.tools.errors import (
    KnowledgeError,
    KnowledgeLoading,
    KnowledgeUnavailable,
    SettingsError,
)
from antiphon.tools.intent import Intent
from antiphon.tools.retrieval import Embedder, Inventory
from antiphon.tools.retrieval.local import SqliteKnowledge
from antiphon.tools.tokens import ApproximateCounter


class Constant:
    name = "constant"
    dimensions = 2

    async def embed(self, texts: Sequence[str]) -> list[list[float]]:
        return [[1.0, 0.0] for _ in texts]


async def sources(folder: Path, policy: str = "") -> tuple[set[str], int]:
    """Open the knowledge as a new start would; return what it holds and how often it ingested."""
    stored = SqliteKnowledge(folder / "knowledge.db", Constant())
    declared = DeclaredKnowledge(
        stored, [folder / "kb"], notes=folder / "declared.json", policy=policy
    )
    runs = 0

    async def ingest(paths: Sequence[Path], tenant: str) -> object:
        nonlocal runs
        runs += 1
        context = IngestContext(tenant=tenant)
        return await ingest_paths(stored, ApproximateCounter(), paths, context=context)

    declared.bind(ingest)
    held = set((await declared.inventory(tenant="t")).sources)
    await stored.close()
    return held, runs


async def test_a_file_that_vanished_is_forgotten_and_others_stay(tmp_path: Path) -> None:
    """Only what the declared folder once held goes with it."""
    for name in ("kb/a.md", "kb/b.md", "other/hand.md"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("Text.")
    assert ({"a.md", "b.md"}, 1) == await sources(tmp_path)
    stored = SqliteKnowledge(tmp_path / "knowledge.db", Constant())
    context = IngestContext(tenant="t")
    await ingest_paths(stored, ApproximateCounter(), [tmp_path / "other"], context=context)
    await stored.close()

    (tmp_path / "kb/a.md").unlink()

    assert ({"b.md", "hand.md"}, 1) == await sources(tmp_path)
    assert ({"b.md", "hand.md"}, 0) == await sources(tmp_path)


async def test_another_policy_brings_everything_in_again(tmp_path: Path) -> None:
    """What was stored unmasked does not stay so."""
    (tmp_path / "kb").mkdir()
    (tmp_path / "kb/a.md").write_text("Text.")

    assert 1 == (await sources(tmp_path))[1]
    assert 1 == (await sources(tmp_path, "redacted "))[1]


class Other(Constant):
    """Another embedder of the same kind."""

    name = "other"


def declared_on(folder: Path, embedder: Embedder) -> DeclaredKnowledge:
    """Return declared knowledge of `kb` in a SQLite file, brought in by the ingest graph."""
    stored = SqliteKnowledge(folder / "knowledge.db", embedder)
    made = DeclaredKnowledge(stored, [folder / "kb"], notes=folder / "declared.json")

    async def ingest(paths: Sequence[Path], tenant: str) -> object:
        context = IngestContext(tenant=tenant)
        return await ingest_paths(stored, ApproximateCounter(), paths, context=context)

    made.bind(ingest)
    return made


async def test_what_is_declared_can_be_migrated_and_reindexed(tmp_path: Path) -> None:
    """It stands wherever its store does: another embedder is refused until the store is moved."""
    (tmp_path / "kb").mkdir()
    (tmp_path / "kb/a.md").write_text("Text.")
    before = declared_on(tmp_path, Constant())
    assert await before.search("text", tenant="t")
    await before.close()

    # What stands around a declared knowledge may be another.
    inner = declared_on(tmp_path, Other())
    after = DeclaredKnowledge(inner, [], notes=tmp_path / "none.json")
    with pytest.raises(KnowledgeError, match="embedded by 'constant'"):
        await after.search("text", tenant="t")
    seen: list[tuple[int, int]] = []
    moved = await after.migrate(progress=lambda done, total: seen.append((done, total)))
    assert (moved.embedded, seen) == (1, [(1, 1)])
    again = await after.reindex(tenant="t")
    assert (again.tenants, again.passages, again.embedder) == (("t",), 1, "other")
    assert await after.search("text", tenant="t")
    await after.close()


async def test_what_cannot_be_rebuilt_says_so(tmp_path: Path) -> None:
    """A store of someone's own may lack it."""
    made = DeclaredKnowledge(FakeKnowledge(), [], notes=tmp_path / "declared.json")
    with pytest.raises(SettingsError, match="cannot be rebuilt"):
        await made.migrate()
    with pytest.raises(SettingsError, match="cannot be rebuilt"):
        await made.reindex(tenant="t")
    await made.close()


async def test_a_search_waits_as_long_as_it_may_and_the_reading_goes_on(tmp_path: Path) -> None:
    """A tenant's first search may come too early; one that comes later finds the pages."""
    (tmp_path / "kb").mkdir()
    (tmp_path / "kb/a.md").write_text("Text.")
    knowledge = FakeKnowledge()
    made = DeclaredKnowledge(
        knowledge, [tmp_path / "kb"], notes=tmp_path / "declared.json", patience_s=0.05
    )
    read, runs = asyncio.Event(), 0

    async def ingest(paths: Sequence[Path], tenant: str) -> object:
        nonlocal runs
        runs += 1
        await read.wait()
        return None

    made.bind(ingest)
    for look in (made.search("text", tenant="t"), made.inventory(tenant="t")):
        with pytest.raises(KnowledgeLoading, match="being read for tenant 't'"):
            await look
    assert (runs, knowledge.queries) == (1, [])
    read.set()
    assert await made.search("text", tenant="t")
    assert runs == 1


@pytest.mark.parametrize(("policy", "served"), [("", True), ("redacted ", False)])
async def test_while_changed_pages_are_read_the_earlier_ones_serve(
    tmp_path: Path, policy: str, served: bool
) -> None:
    """Not where the policy is another: what was stored unmasked must not be shown."""
    (tmp_path / "kb").mkdir()
    (tmp_path / "kb/a.md").write_text("Text.")
    assert ({"a.md"}, 1) == await sources(tmp_path)
    (tmp_path / "kb/a.md").write_text("Other text.")
    read = asyncio.Event()

    async def ingest(paths: Sequence[Path], tenant: str) -> object:
        await read.wait()
        return None

    made = DeclaredKnowledge(
        SqliteKnowledge(tmp_path / "knowledge.db", Constant()),
        [tmp_path / "kb"],
        notes=tmp_path / "declared.json",
        policy=policy,
        patience_s=0.05,
    )
    made.bind(ingest)
    if served:
        assert [hit.passage.text for hit in await made.search("text", tenant="t")] == ["Text."]
    else:
        with pytest.raises(KnowledgeLoading):
            await made.search("text", tenant="t")
    with pytest.raises(KnowledgeLoading):
        await made.search("text", tenant="new")
    read.set()
    await made.ready("t")
    await made.close()


async def test_nothing_is_read_for_a_server_that_is_away(tmp_path: Path) -> None:
    """It is told at once; the next search reads what there is to read."""

    class Frail(FakeKnowledge):
        away = True

        async def inventory(self, *, tenant: str) -> Inventory:
            if self.away:
                raise KnowledgeUnavailable("away")
            return await super().inventory(tenant=tenant)

    async def ingest(paths: Sequence[Path], tenant: str) -> object:
        read.append(tenant)
        return None

    read: list[str] = []
    (tmp_path / "kb").mkdir()
    (tmp_path / "kb/a.md").write_text("Text.")
    knowledge = Frail()
    made = DeclaredKnowledge(knowledge, [tmp_path / "kb"], notes=tmp_path / "declared.json")
    made.bind(ingest)
    with pytest.raises(KnowledgeUnavailable):
        await made.search("text", tenant="t")
    assert read == []
    knowledge.away = False
    assert await made.search("text", tenant="t")
    assert read == ["t"]


async def test_a_reading_that_times_out_by_itself_is_no_haste(tmp_path: Path) -> None:
    """Only our own patience is told as such."""
    (tmp_path / "kb").mkdir()
    (tmp_path / "kb/a.md").write_text("Text.")
    made = DeclaredKnowledge(
        FakeKnowledge(), [tmp_path / "kb"], notes=tmp_path / "declared.json", patience_s=5.0
    )

    async def ingest(paths: Sequence[Path], tenant: str) -> object:
        raise TimeoutError

    made.bind(ingest)
    with pytest.raises(TimeoutError):
        await made.search("text", tenant="t")


@pytest.mark.parametrize("needs", [KNOWLEDGE, ACTION], ids=["knowledge", "tools"])
async def test_a_turn_that_comes_before_the_pages_says_so(
    opening: Opening, tmp_path: Path, needs: Intent
) -> None:
    """It is degraded and honest where it needs them; the next one is answered."""
    (tmp_path / "kb").mkdir()
    (tmp_path / "kb/a.md").write_text("Text.")
    made = DeclaredKnowledge(
        FakeKnowledge(), [tmp_path / "kb"], notes=tmp_path / "declared.json", patience_s=0.05
    )
    read = asyncio.Event()

    async def ingest(paths: Sequence[Path], tenant: str) -> object:
        await read.wait()
        return None

    made.bind(ingest)
    services = fake_services(knowledge=made, intents=FakeIntents(intents=[needs]))
    talk = await opening(services)
    first = await talk.ask("How long can I take to return a lamp?", context=Context(tenant="new"))
    if needs is ACTION:
        assert first.outcome == "answered"
        return
    assert first.outcome == "degraded"
    assert first.answer.startswith("I am still reading the pages")
    assert "knowledge_loading" in str(first.degraded_because)
    read.set()
    again = await talk.ask(
        "How long can I take to return a lamp?",
        context=Context(tenant="new"),
        thread=first.thread_id,
    )
    assert again.outcome == "answered"


async def test_an_empty_folder_leaves_what_was_ingested_by_hand(tmp_path: Path) -> None:
    """Before an assistant has pages of its own, its knowledge is what was ingested."""
    (tmp_path / "kb").mkdir()
    made = DeclaredKnowledge(FakeKnowledge(), [tmp_path / "kb"], notes=tmp_path / "declared.json")

    async def ingest(paths: Sequence[Path], tenant: str) -> object:
        raise AssertionError("there is nothing to read")

    made.bind(ingest)
    await made.ready("default")
    assert made.gives() == {}


async def test_notes_of_many_tenants_at_once_are_all_kept(tmp_path: Path) -> None:
    """Tenants that ask first at the same moment, here and in another process, lose no note."""
    (tmp_path / "kb").mkdir()
    (tmp_path / "kb/a.md").write_text("Text.")
    tenants = [f"t{number}" for number in range(12)]
    doors = [declared_on(tmp_path, Constant()) for _ in range(2)]

    await asyncio.gather(*(doors[n % 2].by_hand(tenant) for n, tenant in enumerate(tenants)))

    assert dict.fromkeys(tenants, BY_HAND) == json.loads((tmp_path / "declared.json").read_text())
    for door in doors:
        await door.close()
