"""Declared knowledge follows its files, and leaves alone what was ingested by hand."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from antiphon.graphs.declared import DeclaredKnowledge
from antiphon.graphs.ingest import ingest_paths
from antiphon.nodes.ingest import IngestContext
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
