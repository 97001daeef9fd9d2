"""A folder becomes knowledge: each file alone, each failure told, nothing else disturbed."""

from __future__ import annotations

import asyncio
import shutil
import subprocess
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from antiphon.graphs.ingest import build_ingest, ingest_paths, redactor
from antiphon.nodes.ingest import IngestContext
from antiphon.tools.errors import GuardBroken, InputError, KnowledgeCorrupt, KnowledgeUnavailable
from antiphon.tools.privacy import PatternDetector
from antiphon.tools.retrieval import Change, Hit, Inventory, Passage, Where
from antiphon.tools.retrieval.loaders import discover
from antiphon.tools.retrieval.local import SqliteKnowledge
from antiphon.tools.retrieval.origins import Origins
from antiphon.tools.tokens import ApproximateCounter

TOKENS = ApproximateCounter()


class Shelf:
    """Knowledge in a dictionary."""

    def __init__(self) -> None:
        self.kept: dict[str, dict[str, tuple[Passage, ...]]] = {}
        self.broken: list[Exception] = []

    async def search(
        self, query: str, *, tenant: str, limit: int = 10, where: Where | None = None
    ) -> tuple[Hit, ...]:
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
    report = await ingest_paths(shelf, TOKENS, [folder], context=IngestContext())

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
    first = await ingest_paths(shelf, TOKENS, [folder], context=IngestContext())
    again = await ingest_paths(shelf, TOKENS, [folder], context=IngestContext())
    (folder / "sub/ship.txt").write_text("Four days.")
    edited = await ingest_paths(shelf, TOKENS, [folder], context=IngestContext())

    assert (0, 3, 0) == (again["added"], again["unchanged"], again["removed"])
    assert (1, 2, 1) == (edited["added"], edited["unchanged"], edited["removed"])
    assert first["knowledge_version"] == again["knowledge_version"] != edited["knowledge_version"]


async def test_a_bad_file_is_told_and_the_rest_goes_on(shelf: Shelf, folder: Path) -> None:
    """First, middle or last: a failure names its file and reason."""
    (folder / "a.md").write_bytes(b"")
    (folder / "m.md").write_bytes(b"\xff\xfe")
    (folder / "rules.md").write_text("---\n\n***\n")
    (folder / "z.pdf").write_bytes(b"%PDF")

    report = await ingest_paths(shelf, TOKENS, [folder], context=IngestContext())

    failed = report["failed"]
    assert isinstance(failed, list)
    assert ["a.md", "m.md", "rules.md", "z.pdf"] == [entry["path"] for entry in failed]
    assert all(entry["reason"] for entry in failed)
    assert 2 == report["files"]
    assert {"returns.md", "sub/ship.txt"} == set(shelf.texts())


async def test_only_replace_forgets_what_vanished(shelf: Shelf, folder: Path) -> None:
    """Without notes, a file that is gone stays until the knowledge is to be exactly these paths."""
    await ingest_paths(shelf, TOKENS, [folder], context=IngestContext())
    (folder / "returns.md").unlink()

    kept = await ingest_paths(shelf, TOKENS, [folder], context=IngestContext())
    assert (0, {"returns.md", "sub/ship.txt"}) == (kept["removed"], set(shelf.texts()))

    replaced = await ingest_paths(shelf, TOKENS, [folder], context=IngestContext(replace=True))
    assert (2, {"sub/ship.txt"}) == (replaced["removed"], set(shelf.texts()))
    assert replaced["knowledge_version"] != kept["knowledge_version"]


async def test_a_folder_read_again_forgets_what_vanished_from_it(
    shelf: Shelf, folder: Path, tmp_path: Path
) -> None:
    """Only what this folder gave is forgotten, for this tenant, and only by a run that is real."""
    origins = Origins(tmp_path / "notes" / "origins.json")
    other = tmp_path / "other"
    other.mkdir()
    (other / "hours.md").write_text("Open on weekdays.")

    async def run(path: Path, **turned: bool) -> object:
        context = IngestContext(**turned)  # type: ignore[arg-type]
        report = await ingest_paths(shelf, TOKENS, [path], context=context, origins=origins)
        return report["removed"]

    await run(folder)
    await run(other)
    (folder / "returns.md").unlink()

    assert await run(folder, dry_run=True) == 2
    assert set(shelf.texts()) == {"hours.md", "returns.md", "sub/ship.txt"}
    assert await run(other) == 0
    assert await run(folder) == 2
    assert set(shelf.texts()) == {"hours.md", "sub/ship.txt"}
    assert await run(folder) == 0


async def test_two_folders_with_files_of_one_name_keep_both(shelf: Shelf, tmp_path: Path) -> None:
    """What another folder gave is never overwritten, in whatever order they are read."""
    origins = Origins(tmp_path / "origins.json")
    for name, text in (("a", "Alpha is open."), ("b", "Beta is shut.")):
        (tmp_path / name / "docs").mkdir(parents=True)
        (tmp_path / name / "docs" / "index.md").write_text(text)
    a, b = tmp_path / "a" / "docs", tmp_path / "b" / "docs"

    async def run(*paths: Path) -> dict[str, object]:
        context = IngestContext()
        return await ingest_paths(shelf, TOKENS, paths, context=context, origins=origins)

    await run(a)
    both = await run(b)
    assert (both["added"], both["removed"]) == (1, 0)
    assert set(shelf.texts()) == {"index.md", "docs/index.md"}
    for again in ((a,), (b,), (a, b), (b, a), (b / "index.md",)):
        report = await run(*again)
        assert (report["added"], report["removed"]) == (0, 0)


async def test_damaged_notes_forget_nothing(shelf: Shelf, folder: Path, tmp_path: Path) -> None:
    """Without a readable note of what a folder gave, everything stays, and is noted anew."""
    notes = tmp_path / "origins.json"
    origins = Origins(notes)
    await ingest_paths(shelf, TOKENS, [folder], context=IngestContext(), origins=origins)
    (folder / "returns.md").unlink()
    for damage in ("{", "[]", '{"default": 3}', '{"default": {"x": 1}}'):
        notes.write_text(damage)
        kept = await ingest_paths(shelf, TOKENS, [folder], context=IngestContext(), origins=origins)
        assert kept["removed"] == 0
    assert "sub/ship.txt" in notes.read_text()


async def test_replace_keeps_a_file_that_fails_this_time(shelf: Shelf, folder: Path) -> None:
    """A half-written file does not take its last good text with it, nor do all of them."""
    await ingest_paths(shelf, TOKENS, [folder], context=IngestContext())
    (folder / "returns.md").write_bytes(b"\xff")
    await ingest_paths(shelf, TOKENS, [folder], context=IngestContext(replace=True))
    assert {"returns.md", "sub/ship.txt"} == set(shelf.texts())

    await ingest_paths(shelf, TOKENS, [folder / "returns.md"], context=IngestContext(replace=True))
    assert {"returns.md", "sub/ship.txt"} == set(shelf.texts())


async def test_a_dry_run_changes_nothing_and_tells_what_would(shelf: Shelf, folder: Path) -> None:
    """Failures, counts and removals are those of the real run."""
    await ingest_paths(shelf, TOKENS, [folder], context=IngestContext())
    before = shelf.texts()
    (folder / "returns.md").unlink()
    (folder / "new.md").write_text("New.")

    report = await ingest_paths(
        shelf, TOKENS, [folder], context=IngestContext(replace=True, dry_run=True)
    )

    assert (2, 1, 1, 2) == tuple(report[k] for k in ("files", "added", "unchanged", "removed"))
    assert before == shelf.texts()


async def test_tenants_are_apart(shelf: Shelf, folder: Path) -> None:
    """One tenant's replacement leaves another's knowledge alone."""
    await ingest_paths(shelf, TOKENS, [folder], context=IngestContext(tenant="one"))
    await ingest_paths(
        shelf, TOKENS, [folder / "sub"], context=IngestContext(tenant="two", replace=True)
    )

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

    await ingest_paths(shelf, TOKENS, [folder / "sub"], context=IngestContext(), redactor=find)

    (passage,) = shelf.kept["default"]["ship.txt"]
    assert "Intro.\n\nAsk ******\n***. Then wait." == passage.text
    assert len(raw[passage.start : passage.end]) == len(passage.text)


async def test_a_file_that_cannot_be_checked_is_not_stored(shelf: Shelf, folder: Path) -> None:
    """A broken redactor fails closed, file by file."""

    async def broken(text: str) -> list[tuple[int, int]]:
        if "Three" in text:
            raise GuardBroken("detector is down")
        return []

    report = await ingest_paths(shelf, TOKENS, [folder], context=IngestContext(), redactor=broken)

    failed = report["failed"]
    assert isinstance(failed, list)
    assert ["sub/ship.txt"] == [entry["path"] for entry in failed]
    assert {"returns.md"} == set(shelf.texts())


async def test_progress_is_told_per_file(shelf: Shelf, folder: Path) -> None:
    """Failed files count too."""
    (folder / "a.md").write_bytes(b"")
    seen: list[tuple[int, int, int]] = []

    await ingest_paths(
        shelf, TOKENS, [folder], context=IngestContext(),
        progress=lambda *counts: seen.append(counts),
    )  # fmt: skip

    assert [(1, 3, 0), (3, 3, 3)] == seen


async def test_a_short_outage_is_waited_out_and_a_broken_store_ends_the_run(
    shelf: Shelf, folder: Path
) -> None:
    """What is wrong with the knowledge is no file's fault."""
    shelf.broken = [KnowledgeUnavailable("restarting")]
    assert 2 == (await ingest_paths(shelf, TOKENS, [folder], context=IngestContext()))["files"]

    shelf.broken = [KnowledgeCorrupt("damaged")]
    with pytest.raises(KnowledgeCorrupt):
        await ingest_paths(shelf, TOKENS, [folder], context=IngestContext())


async def test_a_missing_path_and_an_empty_folder_are_bad_input(
    shelf: Shelf, tmp_path: Path
) -> None:
    """Nothing is touched, the hint says what to do."""
    for path in (tmp_path / "none", tmp_path):
        with pytest.raises(InputError) as caught:
            await ingest_paths(shelf, TOKENS, [path], context=IngestContext(replace=True))
        assert caught.value.hint


async def test_many_files_fit_in_one_run(shelf: Shelf, tmp_path: Path) -> None:
    """The step limit grows with the number of files."""
    for n in range(120):
        (tmp_path / f"{n}.md").write_text(f"Text {n}.")

    assert 120 == (await ingest_paths(shelf, TOKENS, [tmp_path], context=IngestContext()))["files"]


async def test_each_file_walks_the_declared_path(shelf: Shelf, folder: Path) -> None:
    """load, redact and chunk each file, then store the batch; a failed load goes to the next."""
    (folder / "a.md").write_bytes(b"")
    graph = build_ingest(shelf, TOKENS).compile()

    path = [
        node
        async for update in graph.astream(
            {"sources": discover([folder])}, context=IngestContext(), stream_mode="updates"
        )
        for node in update
    ]

    once = ["load", "redact", "chunk"]
    assert ["load", *once, *once, "embed_and_upsert", "conclude"] == path


@pytest.fixture
async def sqlite(tmp_path: Path) -> AsyncIterator[SqliteKnowledge]:
    knowledge = SqliteKnowledge(tmp_path / "data" / "knowledge.db", LetterEmbedder())
    yield knowledge
    await knowledge.close()


async def test_the_real_store_takes_replaces_and_finds(
    sqlite: SqliteKnowledge, folder: Path
) -> None:
    """The same walk with the default knowledge, from a folder to a hit that is in its file."""
    first = await ingest_paths(sqlite, TOKENS, [folder], context=IngestContext())
    again = await ingest_paths(sqlite, TOKENS, [folder], context=IngestContext())
    assert (3, 3, 0) == (first["added"], again["unchanged"], again["added"])
    assert first["knowledge_version"] == again["knowledge_version"] != ""

    best = (await sqlite.search("returns within 30 days", tenant="default"))[0].passage
    raw = (folder / best.source).read_text()
    assert "Within 30 days." == best.text == raw[best.start : best.end]

    shutil.rmtree(folder / "sub")
    replaced = await ingest_paths(sqlite, TOKENS, [folder], context=IngestContext(replace=True))
    assert 1 == replaced["removed"]
    assert {"returns.md"} == set((await sqlite.inventory(tenant="default")).sources)


class PausedShelf(Shelf):
    """A shelf that is down for some sources, once each."""

    def __init__(self, down: set[str]) -> None:
        super().__init__()
        self.down = down
        self.together = self.most_together = 0

    async def upsert(self, source: str, passages: Sequence[Passage], *, tenant: str) -> Change:
        self.together += 1
        self.most_together = max(self.most_together, self.together)
        await asyncio.sleep(0)
        self.together -= 1
        if source in self.down:
            self.down.remove(source)
            raise KnowledgeUnavailable("restarting")
        return await super().upsert(source, passages, tenant=tenant)


async def test_small_files_are_stored_side_by_side_and_late_ones_follow(tmp_path: Path) -> None:
    """A file that a short outage kept out is stored next, and each is counted once."""
    for n in range(40):
        (tmp_path / f"{n}.md").write_text(f"Text {n}.")
    shelf = PausedShelf({"7.md", "31.md"})

    report = await ingest_paths(shelf, TOKENS, [tmp_path], context=IngestContext())

    assert (40, 40, 0) == (report["files"], report["added"], report["unchanged"])
    assert 40 == len(shelf.texts())
    assert 1 < shelf.most_together <= 32


async def test_a_batch_is_stored_before_the_next_is_read(shelf: Shelf, tmp_path: Path) -> None:
    """Memory holds a batch, not the corpus: progress grows with each stored batch."""
    for n in range(30):
        (tmp_path / f"{n:02}.md").write_text("".join(f"## H{k}\n\nText.\n\n" for k in range(40)))
    seen: list[int] = []

    await ingest_paths(
        shelf, TOKENS, [tmp_path], context=IngestContext(),
        progress=lambda done, total, passages: seen.append(passages),
    )  # fmt: skip

    assert [280, 560, 840, 1120, 1200] == seen


async def test_a_long_file_grows_and_goes_on_where_it_stopped(shelf: Shelf, tmp_path: Path) -> None:
    """Its share is told while it is stored; what was stored is kept, and each row counted once."""
    rows = [f'{{"q": "Row {n}"}}\n' for n in range(2500)]
    (tmp_path / "a.jsonl").write_text("".join(rows))
    seen: list[tuple[float, int]] = []

    async def run() -> dict[str, object]:
        return await ingest_paths(
            shelf, TOKENS, [tmp_path], context=IngestContext(),
            progress=lambda done, total, passages: seen.append((round(done, 2), passages)),
        )  # fmt: skip

    assert (2500, 0) == ((first := await run())["added"], first["unchanged"])
    assert [(0.41, 1024), (0.82, 2048), (1.0, 2500), (1, 2500)] == seen
    kept = shelf.kept["default"]["a.jsonl"]
    shelf.kept["default"]["a.jsonl"] = kept[:1500]
    seen.clear()

    again = await run()

    assert (1000, 1500, 0) == (again["added"], again["unchanged"], again["removed"])
    assert [(1.0, 2500), (1, 2500)] == seen
    assert kept == shelf.kept["default"]["a.jsonl"]


async def test_what_a_file_says_of_itself_goes_before_the_options(
    shelf: Shelf, tmp_path: Path
) -> None:
    """Labels and languages given fill gaps; a label in the file is never widened."""
    (tmp_path / "own.md").write_text("---\nlabels: [hr]\nlanguage: fr\n---\nTexte.")
    (tmp_path / "none.md").write_text("Prices.")
    (tmp_path / "prose.md").write_text("Das ist nicht die Antwort, die wir von Ihnen wollten.")
    given = IngestContext(labels=("staff",), fallback="de")

    await ingest_paths(shelf, TOKENS, [tmp_path], context=given)

    found = {s: (p[0].labels, p[0].language) for s, p in shelf.kept["default"].items()}
    assert {
        "own.md": (("hr",), "fr"), "none.md": (("staff",), "de"), "prose.md": (("staff",), "de"),
    } == found  # fmt: skip
    await ingest_paths(shelf, TOKENS, [tmp_path], context=IngestContext(language="nl"))
    found = {s: (p[0].labels, p[0].language) for s, p in shelf.kept["default"].items()}
    assert {"own.md": (("hr",), "fr"), "none.md": ((), "nl"), "prose.md": ((), "nl")} == found


async def test_pages_are_taken_in_by_their_address(shelf: Shelf, tmp_path: Path) -> None:
    """One that cannot be fetched is told like a file, and keeps what is stored of it."""

    @asynccontextmanager
    async def fetch(url: str) -> AsyncIterator[Path]:
        if "down" in url:
            raise InputError("Not fetched: no answer")
        (tmp_path / "page.md").write_text(f"Page {url[-1]}.")
        yield tmp_path / "page.md"

    urls = ["http://e.test/1", "http://e.test/down", "http://e.test/1#x"]
    report = await ingest_paths(
        shelf, TOKENS, [], context=IngestContext(), urls=urls, fetch=fetch
    )  # fmt: skip

    assert {"http://e.test/1": ["Page 1."]} == shelf.texts()
    assert [{"path": "http://e.test/down", "reason": "Not fetched: no answer"}] == report["failed"]


async def test_the_pattern_redactor_masks_across_a_long_text(shelf: Shelf, tmp_path: Path) -> None:
    """Personal data is found wherever it stands, and the rest of the text is untouched."""
    filler = "Nothing personal here at all. " * 20 + "\n\n"
    raw = filler * 120 + "Write to jo.doe@example.org today.\n\n" + filler
    (tmp_path / "a.txt").write_text(raw)

    await ingest_paths(
        shelf, TOKENS, [tmp_path], context=IngestContext(), redactor=redactor(PatternDetector())
    )

    texts = " ".join(shelf.texts()["a.txt"])
    assert "jo.doe" not in texts
    assert f"Write to {'*' * len('jo.doe@example.org')} today." in texts
    assert texts.count("*") == len("jo.doe@example.org")


INGEST = """
import asyncio, sys
from pathlib import Path
from antiphon.graphs.ingest import ingest_paths
from antiphon.nodes.ingest import IngestContext
from antiphon.tools.retrieval.local import SqliteKnowledge
from antiphon.tools.retrieval.origins import Origins
from antiphon.tools.tokens import ApproximateCounter

class Slow:
    name, dimensions = "slow", 2
    async def embed(self, texts):
        await asyncio.sleep(0.02)
        return [[1.0, 0.0] for _ in texts]

def told(done, total, passages):
    print(done, flush=True)

knowledge = SqliteKnowledge(Path(sys.argv[1]), Slow())
asyncio.run(ingest_paths(
    knowledge, ApproximateCounter(), [Path(sys.argv[2])], context=IngestContext(), progress=told))
"""


@pytest.mark.slow
async def test_an_ingestion_that_was_killed_goes_on_where_it_stopped(tmp_path: Path) -> None:
    """SIGKILL in the middle: the next run keeps what is stored and ends where one run would."""
    root = tmp_path / "kb"
    root.mkdir()
    for n in range(60):
        (root / f"{n:03}.md").write_text("".join(f"## H{k}\n\nText {n}.\n\n" for k in range(20)))
    command = [sys.executable, "-c", INGEST, str(tmp_path / "killed.db"), str(root)]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as running:  # noqa: ASYNC220
        assert running.stdout
        assert int(running.stdout.readline()) < 60
        running.kill()
    killed, whole = (
        SqliteKnowledge(tmp_path / name, LetterEmbedder()) for name in ("killed.db", "whole.db")
    )
    stored = sum((await killed.inventory(tenant="default")).sources.values())
    assert 0 < stored < 1200
    await killed.close()

    again = await asyncio.to_thread(subprocess.run, command, check=True, capture_output=True)
    await ingest_paths(whole, TOKENS, [root], context=IngestContext())

    assert again.stdout
    assert await whole.inventory(tenant="default") == await killed.inventory(tenant="default")
    await asyncio.gather(killed.close(), whole.close())
