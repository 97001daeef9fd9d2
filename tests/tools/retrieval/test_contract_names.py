"""What every `Knowledge` must do with names and texts that nobody would choose."""

from __future__ import annotations

import unicodedata
import uuid
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from knowledge_backends import Closable, Hashed, in_file, on_server, passage

from antiphon.tools.retrieval.passages import Where

ACCENTED = "café"
TENANTS = (
    "acme", "Acme", "ACME", " acme", "acme ", "t-acme", "acme\n", "acme*", "acme?", "%acme%",
    ACCENTED, unicodedata.normalize("NFD", ACCENTED), "日本", "\u202eacme", "a/../acme",
    "'; DROP TABLE passages; --", "n" * 60, "n" * 61, "n" * 400,
)  # fmt: skip
SOURCES = (
    "a.md", "A.md", " a.md", "a.md ", "\ta.md", "a.md\u00a0", "a\nb.md", "a*.md", "a?.md", "[a].md",
    "it's \"a\".md", "`a`.md", "a\\b.md", "a%.md", "a_.md", "null", "everyone",
    f"{ACCENTED}.md", unicodedata.normalize("NFD", f"{ACCENTED}.md"), "日本.md", "a/b c/ d.md",
    "https://example.com/a?b=c&d=[e]#f", "s" * 1000,
)  # fmt: skip
LABELS = (
    "staff", "Staff", " staff", "staff ", "staff*", "st?ff", "staff,audit", '["staff"]', '"staff"',
    "everyone", '"everyone"', "", "\\", "'", ACCENTED, unicodedata.normalize("NFD", ACCENTED),
)  # fmt: skip


@pytest.fixture(params=["sqlite", pytest.param("weaviate", marks=pytest.mark.weaviate)])
async def knowledge(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Closable]:
    """Each backend in turn, empty."""
    made: Closable
    if request.param == "sqlite":
        made = in_file(tmp_path, Hashed())
    else:
        server = request.getfixturevalue("weaviate_server")
        made = on_server(server, Hashed(), f"Test{uuid.uuid4().hex}")
    yield made
    await made.close()


async def test_tenants_that_look_alike(knowledge: Closable) -> None:
    """Names that differ in case, space, composition or a pattern's sign are different tenants."""
    for tenant in TENANTS:
        await knowledge.upsert("a.md", [passage("a.md", f"For {tenant!r}.")], tenant=tenant)
    assert set((await knowledge.reindex()).tenants) == set(TENANTS)
    for tenant in TENANTS:
        found = await knowledge.search("for", tenant=tenant)
        assert [hit.passage.text for hit in found] == [f"For {tenant!r}."]
    assert await knowledge.remove(["a.md"], tenant="acme") == 1
    left = [(await knowledge.inventory(tenant=tenant)).sources for tenant in TENANTS]
    assert left == [{}, *[{"a.md": 1}] * (len(TENANTS) - 1)]


async def test_sources_that_look_alike(knowledge: Closable) -> None:
    """A source is found, counted, replaced and removed by exactly its own name."""
    for source in SOURCES:
        await knowledge.upsert(source, [passage(source, "Lamps.")], tenant="t")
    for source in SOURCES:
        again = await knowledge.upsert(source, [passage(source, "Lamps.")], tenant="t")
        assert (again.added, again.unchanged, again.removed) == (0, 1, 0), source
        hits = await knowledge.search("lamps", tenant="t", limit=50, where=Where(sources=(source,)))
        assert [hit.passage.source for hit in hits] == [source]
    stored = (await knowledge.inventory(tenant="t")).sources
    assert stored == dict.fromkeys(sorted(SOURCES), 1)
    for count, source in enumerate(SOURCES, start=1):
        assert await knowledge.remove([source], tenant="t") == 1, source
        assert source not in (await knowledge.inventory(tenant="t")).sources
        assert len((await knowledge.inventory(tenant="t")).sources) == len(SOURCES) - count


async def test_labels_that_look_alike(knowledge: Closable) -> None:
    """A label opens what carries exactly that label, and nothing else."""
    for at, label in enumerate(LABELS):
        page = passage(f"{at}.md", "Lamps.", labels=(label,))
        await knowledge.upsert(page.source, [page], tenant="t")
    assert await knowledge.search("lamps", tenant="t", limit=50) == ()
    for label in LABELS:
        hits = await knowledge.search("lamps", tenant="t", limit=50, where=Where(labels=(label,)))
        assert [hit.passage.labels for hit in hits] == [(label,)]


@pytest.mark.parametrize(
    "query",
    ["", " \n\t", "lamp " * 2000, "x" * 10_000, " ".join(f"w{i}" for i in range(2000)), "a\x00b"],
    ids=["empty", "space", "repeated", "one word", "many words", "nul"],
)
async def test_any_query_and_limit(knowledge: Closable, query: str) -> None:
    """No text and no number is too much or too little: there are as many hits as asked for."""
    pages = [passage("a.md", f"Lamp number {i}.") for i in range(12)]
    await knowledge.upsert("a.md", pages, tenant="t")
    for limit, expected in ((0, 0), (1, 1), (5, 5), (1000, 12), (1_000_000, 12)):
        assert len(await knowledge.search(query, tenant="t", limit=limit)) == expected


async def test_a_passage_without_words(knowledge: Closable) -> None:
    """An empty passage, or one of signs alone, is stored and changes nothing for the others."""
    blank = [passage("a.md", text, title="") for text in ("", "  \n", "*** --- ***", "🙂")]
    change = await knowledge.upsert("a.md", blank, tenant="t")
    assert change.added == len(blank)
    assert {hit.passage.text for hit in await knowledge.search("lamps", tenant="t")} == {
        page.text for page in blank
    }
    await knowledge.upsert("b.md", [passage("b.md", "Lamps.")], tenant="t")
    assert (await knowledge.search("lamps", tenant="t"))[0].passage.source == "b.md"


async def test_a_source_of_many_passages(knowledge: Closable) -> None:
    """Five thousand passages of one source are kept, counted, compared and removed whole."""
    pages = [passage("many.md", f"Shelf {i} holds rug {i % 7}.") for i in range(5000)]
    await knowledge.upsert("few.md", [passage("few.md", "Lamps.")], tenant="t")
    before = await knowledge.inventory(tenant="t")
    assert (await knowledge.upsert("many.md", pages, tenant="t")).added == 5000
    assert (await knowledge.inventory(tenant="t")).sources == {"few.md": 1, "many.md": 5000}
    assert (await knowledge.upsert("many.md", pages, tenant="t")).unchanged == 5000
    half = await knowledge.upsert("many.md", pages[::2], tenant="t")
    assert (half.added, half.unchanged, half.removed) == (0, 2500, 2500)
    assert await knowledge.remove(["many.md"], tenant="t") == 2500
    assert await knowledge.inventory(tenant="t") == before
