"""What every `Knowledge` must do, run against each backend."""

from __future__ import annotations

import asyncio
import json
import uuid
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from knowledge_backends import Closable, Counting, in_file, on_server, passage
from weaviate_process import Server

from antiphon.graphs.ingest import ingest_paths
from antiphon.nodes.ingest import IngestContext
from antiphon.tools.errors import InputError, KnowledgeError, KnowledgeMissing
from antiphon.tools.models.embeddings import MiniLM
from antiphon.tools.retrieval.local import SqliteKnowledge
from antiphon.tools.retrieval.passages import Knowledge, Passage, Where
from antiphon.tools.retrieval.visibility import OPEN, visible
from antiphon.tools.tokens import ApproximateCounter

SHOP = {
    "returns.md": "You may return any unworn item within 30 days. Return postage is free.",
    "shipping.md": "Parcels to Canada cost 12 dollars and take five working days.",
    "warranty.md": "Every lamp has a warranty of two years against faults of manufacture.",
    "hours.md": "Our staff answer the telephone from nine to five on weekdays.",
}


LIBRARY = (
    ("guides/lamps.md", {"language": "en", "updated": "2026-01-15"}),
    ("guides/de/lampen.md", {"language": "de-AT", "updated": "2026-02-01T09:30:00Z"}),
    ("guides.md", {"language": "en", "updated": "2025"}),
    ("guides/staff.md", {"labels": ("staff", "audit *"), "updated": "2026-01-31"}),
    ("news/lamps?.md", {"labels": ("press",), "language": "de"}),
    ("plain.md", {"labels": ("everyone",), "updated": "soon"}),
)
"""Pages that differ in nothing but what they may be filtered by."""


async def stock(knowledge: Knowledge, tenant: str) -> None:
    """Store the shop's pages."""
    for source, text in SHOP.items():
        await knowledge.upsert(source, [passage(source, text)], tenant=tenant)


@pytest.fixture(scope="module")
def minilm() -> MiniLM:
    """One loaded model for the module."""
    return MiniLM()


@pytest.fixture
def embedder(minilm: MiniLM) -> Counting:
    """A fresh count for each test."""
    return Counting(minilm)


@pytest.fixture(params=["sqlite", pytest.param("weaviate", marks=pytest.mark.weaviate)])
async def knowledge(
    request: pytest.FixtureRequest, tmp_path: Path, embedder: Counting
) -> AsyncIterator[Closable]:
    """Each backend in turn, empty."""
    made: Closable
    if request.param == "sqlite":
        made = in_file(tmp_path, embedder)
    else:
        server = request.getfixturevalue("weaviate_server")
        made = on_server(server, embedder, f"Test{uuid.uuid4().hex}")
    yield made
    await made.close()


@pytest.mark.parametrize(
    ("query", "source"),
    [
        ("return policy", "returns.md"),
        ("shipping cost to Canada", "shipping.md"),
        ("my lamp broke after a year", "warranty.md"),
        ("when can I call you?", "hours.md"),
    ],
)
async def test_best_hit(knowledge: Closable, query: str, source: str) -> None:
    """The page that answers comes first, whole, with a cosine and a score between 0 and 1."""
    await stock(knowledge, "acme")
    hits = await knowledge.search(query, tenant="acme", limit=3)
    assert hits[0].passage == passage(source, SHOP[source])
    assert len(hits) == 3
    assert all(0.0 <= hit.score <= 1.0 for hit in hits)
    assert [hit.score for hit in hits] == sorted((hit.score for hit in hits), reverse=True)
    assert all(hit.cosine is not None and -1.0 <= hit.cosine <= 1.0 for hit in hits)


async def test_tenants_are_apart(knowledge: Closable) -> None:
    """A tenant never sees, counts or removes another's passages, whatever their names."""
    await stock(knowledge, "acme")
    other = "acme/../β 'x' " + "n" * 80
    assert await knowledge.search("return policy", tenant=other) == ()
    await knowledge.upsert("secret.md", [passage("secret.md", "The vault code.")], tenant=other)
    found = await knowledge.search("vault code", tenant="acme", limit=10)
    assert {hit.passage.source for hit in found} == set(SHOP)
    assert await knowledge.remove(["returns.md"], tenant=other) == 0
    assert (await knowledge.inventory(tenant=other)).sources == {"secret.md": 1}
    assert (await knowledge.inventory(tenant="acme")).sources == dict.fromkeys(sorted(SHOP), 1)


async def test_upsert_is_idempotent(knowledge: Closable, embedder: Counting) -> None:
    """Storing the same again embeds nothing and leaves the version."""
    pages = [passage("a.md", text) for text in SHOP.values()]
    first = await knowledge.upsert("a.md", pages, tenant="acme")
    before = await knowledge.inventory(tenant="acme")
    embedder.calls.clear()
    second = await knowledge.upsert("a.md", pages, tenant="acme")
    assert (first.added, first.unchanged, first.removed) == (4, 0, 0)
    assert (second.added, second.unchanged, second.removed) == (0, 4, 0)
    assert embedder.calls == []
    assert await knowledge.inventory(tenant="acme") == before


async def test_what_only_moved_is_not_embedded_again(
    knowledge: Closable, embedder: Counting
) -> None:
    """A line put in at the top gives every passage another place, and keeps every vector."""
    pages = [passage("a.md", text) for text in SHOP.values()]
    await knowledge.upsert("a.md", pages, tenant="acme")
    before = await knowledge.search("lamp warranty", tenant="acme", limit=1)
    embedder.calls.clear()
    moved = [
        replace(one, id=f"moved-{one.id}", start=one.start + 9, end=one.end + 9) for one in pages
    ]
    new = passage("a.md", "New here.")
    change = await knowledge.upsert("a.md", [new, *moved], tenant="acme")
    assert (change.added, change.removed) == (5, 4)
    assert embedder.calls == [1]
    after = await knowledge.search("lamp warranty", tenant="acme", limit=1)
    assert after[0].passage in moved
    assert after[0].cosine == pytest.approx(before[0].cosine, abs=1e-5)


async def test_upsert_replaces_what_changed(knowledge: Closable, embedder: Counting) -> None:
    """Only new passages are embedded, in one call; passages no longer given are gone."""
    pages = [passage("a.md", text) for text in SHOP.values()]
    await knowledge.upsert("a.md", pages, tenant="acme")
    embedder.calls.clear()
    new = [passage("a.md", "Gift cards never expire."), passage("a.md", "Gift wrap is free.")]
    change = await knowledge.upsert("a.md", [*pages[:2], *new], tenant="acme")
    assert (change.added, change.unchanged, change.removed) == (2, 2, 2)
    assert embedder.calls == [2]
    found = await knowledge.search("lamp warranty", tenant="acme", limit=10)
    assert {hit.passage for hit in found} == {*pages[:2], *new}


async def test_changed_labels_are_stored(knowledge: Closable) -> None:
    """An edit that leaves text and id alone, such as an access label, still takes effect."""
    page = passage("a.md", SHOP["returns.md"])
    await knowledge.upsert("a.md", [page], tenant="acme")
    before = await knowledge.inventory(tenant="acme")
    closed = replace(page, labels=("staff",))
    await knowledge.upsert("a.md", [closed], tenant="acme")
    assert await knowledge.search("return", tenant="acme") == ()
    seen = await knowledge.search("return", tenant="acme", where=Where(labels=("staff",)))
    assert [hit.passage for hit in seen] == [closed]
    assert (await knowledge.inventory(tenant="acme")).version != before.version


async def test_version_changes(knowledge: Closable) -> None:
    """The version is empty at first, new after each change, and empty when all is gone."""
    versions = [(await knowledge.inventory(tenant="acme")).version]
    for source, text in SHOP.items():
        await knowledge.upsert(source, [passage(source, text)], tenant="acme")
        versions.append((await knowledge.inventory(tenant="acme")).version)
    assert await knowledge.remove(["returns.md", "unknown.md"], tenant="acme") == 1
    versions.append((await knowledge.inventory(tenant="acme")).version)
    assert versions[0] == ""
    assert len(set(versions)) == len(versions)
    await knowledge.remove(list(SHOP), tenant="acme")
    assert (await knowledge.inventory(tenant="acme")).version == ""
    assert await knowledge.search("return policy", tenant="acme") == ()


async def test_nothing_ingested(knowledge: Closable) -> None:
    """Searching before anything was ingested says so and says what to do."""
    with pytest.raises(KnowledgeMissing) as caught:
        await knowledge.search("return policy", tenant="acme")
    assert "antiphon ingest" in caught.value.hint
    assert await knowledge.remove(["a.md"], tenant="acme") == 0


async def test_queries_without_terms(knowledge: Closable) -> None:
    """Stop words, punctuation and search operators are searched by meaning, not parsed."""
    await stock(knowledge, "acme")
    for query in ("what is it?", "???", '"NEAR(" OR *', "terms:x AND NOT y", "🙂"):
        assert len(await knowledge.search(query, tenant="acme", limit=2)) == 2


async def test_other_languages(knowledge: Closable) -> None:
    """A page is found by words of its own language, inflected and without accents."""
    await stock(knowledge, "acme")
    text = "Los envíos a Canadá cuestan doce dólares."
    page = passage("envios.md", text, language="es", title="Envíos")
    await knowledge.upsert("envios.md", [page], tenant="acme")
    hits = await knowledge.search("cuanto cuesta el envio?", tenant="acme")
    assert hits[0].passage == page


async def test_another_embedder_is_refused(knowledge: Closable, embedder: Counting) -> None:
    """Vectors of two models are never compared."""
    await stock(knowledge, "acme")
    embedder.name = "another"
    with pytest.raises(KnowledgeError, match="another"):
        await knowledge.search("return policy", tenant="acme")
    with pytest.raises(KnowledgeError, match="another"):
        await knowledge.upsert("b.md", [passage("b.md", "New.")], tenant="acme")


async def shelve(knowledge: Knowledge, tenant: str) -> list[Passage]:
    """Store the library and return it."""
    pages = [passage(source, "Lamps have bulbs.", **facts) for source, facts in LIBRARY]
    for page in pages:
        await knowledge.upsert(page.source, [page], tenant=tenant)
    return pages


WHERES = {
    "nothing": OPEN,
    "a source": Where(sources=("guides.md",)),
    "a folder": Where(sources=("guides/",)),
    "a folder below": Where(sources=("guides/de/", "plain.md")),
    "no such folder": Where(sources=("guides",)),
    "no pattern": Where(sources=("guides/*", "news/lamps*.md"), labels=("press",)),
    "a language": Where(languages=("de",), labels=("press",)),
    "a region": Where(languages=("de-CH",)),
    "since": Where(updated_from="2026-01-15"),
    "until a month": Where(updated_to="2026-01"),
    "between": Where(updated_from="2026-01-16", updated_to="2026-02-01"),
    "a label": Where(labels=("staff",)),
    "another label": Where(labels=("audit *", "unknown")),
    "no pattern of labels": Where(labels=("*", "st*", "staff ", "STAFF")),
    "a label named like the mark": Where(labels=("everyone",)),
    "all at once": Where(
        sources=("guides/",), languages=("en",), updated_from="2026", labels=("staff",)
    ),
}


async def test_where(knowledge: Closable) -> None:
    """A search returns exactly the passages that meet every condition."""
    pages = await shelve(knowledge, "acme")
    for name, where in WHERES.items():
        hits = await knowledge.search("lamps", tenant="acme", where=where)
        expected = {page.source for page in pages if visible(page, where)}
        assert {hit.passage.source for hit in hits} == expected, name
    found = await knowledge.search("lamps", tenant="acme")
    assert {hit.passage.source for hit in found} == {
        "guides/lamps.md", "guides/de/lampen.md", "guides.md",
    }  # fmt: skip


async def test_filters_come_before_ranking(knowledge: Closable) -> None:
    """Passages that may not be seen take no place from those that may, in either leg."""
    secret = [
        passage("s.md", f"Lamp warranty lamp warranty, case {i}.", labels=("staff",))
        for i in range(150)
    ]
    await knowledge.upsert("s.md", secret, tenant="acme")
    await stock(knowledge, "acme")
    hits = await knowledge.search("lamp warranty", tenant="acme", limit=1)
    assert [hit.passage.source for hit in hits] == ["warranty.md"]
    assert hits[0].score > 0.9
    assert hits[0].bm25 is not None
    seen = await knowledge.search(
        "lamp warranty", tenant="acme", limit=5, where=Where(labels=("staff",))
    )
    assert {hit.passage.source for hit in seen} == {"s.md"}


async def test_a_wrong_date_is_refused(knowledge: Closable) -> None:
    """A filter that cannot be meant is an error of the caller's, not an empty result."""
    await stock(knowledge, "acme")
    with pytest.raises(InputError, match="yesterday"):
        await knowledge.search("lamp", tenant="acme", where=Where(updated_from="yesterday"))


async def test_the_version_is_the_content(knowledge: Closable, tmp_path: Path) -> None:
    """The same passages have the same version in every backend, whatever came before them."""
    await knowledge.upsert("b.md", [passage("b.md", "Soon gone.")], tenant="acme")
    for source in reversed(SHOP):
        await knowledge.upsert(source, [passage(source, SHOP[source])], tenant="acme")
    await knowledge.remove(["b.md"], tenant="acme")
    other = SqliteKnowledge(tmp_path / "other.sqlite", Constant())
    await stock(other, "elsewhere")
    expected = (await other.inventory(tenant="elsewhere")).version
    assert expected == (await knowledge.inventory(tenant="acme")).version
    await other.close()


class Constant:
    """One vector for every text."""

    name = "constant"
    dimensions = 2

    async def embed(self, texts: Sequence[str]) -> list[list[float]]:
        """Point the same way each time."""
        return [[1.0, 0.0] for _ in texts]


async def test_concurrent_upserts(knowledge: Closable) -> None:
    """Sources stored at once neither get lost nor spoil the version."""
    pages = [passage(f"{i}.md", f"Page number {i}.") for i in range(12)]
    await asyncio.gather(*(knowledge.upsert(p.source, [p], tenant="acme") for p in pages))
    before = await knowledge.inventory(tenant="acme")
    assert len(before.sources) == 12
    await knowledge.remove([p.source for p in pages[6:]], tenant="acme")
    await asyncio.gather(*(knowledge.upsert(p.source, [p], tenant="acme") for p in pages))
    assert await knowledge.inventory(tenant="acme") == before


async def test_migrate_to_another_embedder(knowledge: Closable, embedder: Counting) -> None:
    """Migrating embeds anew what another model embedded, and does nothing the second time."""
    assert (await knowledge.migrate()).before == 0
    await stock(knowledge, "acme")
    await stock(knowledge, "other")
    before = await knowledge.inventory(tenant="acme")
    embedder.name = "another"
    seen: list[tuple[int, int]] = []
    done = await knowledge.migrate(progress=lambda at, of: seen.append((at, of)))
    assert (done.before, done.after, done.passages, done.embedded) == (2, 2, 0, 8)
    assert seen[-1][0] == seen[-1][1]
    assert (await knowledge.migrate()).embedded == 0
    assert await knowledge.inventory(tenant="acme") == before
    hits = await knowledge.search("return policy", tenant="acme")
    assert hits[0].passage.source == "returns.md"
    assert len(hits) == len(SHOP)


async def test_queries_are_served_during_a_reindex(knowledge: Closable, embedder: Counting) -> None:
    """Every search made while all is embedded anew finds the same, and writes are not lost."""
    pages = [passage("many.md", f"Shelf number {i} holds rugs.") for i in range(300)]
    await stock(knowledge, "acme")
    await knowledge.upsert("many.md", pages, tenant="acme")
    await stock(knowledge, "other")
    embedder.calls.clear()
    searches = 0
    rebuilt = asyncio.create_task(knowledge.reindex(tenant="acme"))
    late = asyncio.create_task(
        knowledge.upsert("late.md", [passage("late.md", "Clocks tick.")], tenant="acme")
    )
    while not rebuilt.done():
        hits = await knowledge.search("return policy", tenant="acme", limit=3)
        assert hits[0].passage.source == "returns.md"
        assert len(hits) == 3
        searches += 1
    done = await rebuilt
    await late
    assert searches > 1
    assert (done.tenants, done.embedder) == (("acme",), embedder.name)
    assert sum(size for size in embedder.calls if size > 1) >= 304
    stored = (await knowledge.inventory(tenant="acme")).sources
    assert stored == {**dict.fromkeys(SHOP, 1), "many.md": 300, "late.md": 1}
    found = await knowledge.search("clocks", tenant="acme")
    assert found[0].passage.source == "late.md"
    assert len((await knowledge.inventory(tenant="other")).sources) == len(SHOP)


@pytest.mark.weaviate
async def test_the_sample_is_answered_alike(
    weaviate_server: Server, tmp_path: Path, minilm: MiniLM
) -> None:
    """Both backends find the same first passage for each golden question that pages answer.

    A near miss may have two that are nearly even: then both backends have both first, seldom.
    """
    sample = Path(__file__).parents[3] / "examples" / "help_centre"
    local = SqliteKnowledge(tmp_path / "knowledge.sqlite", minilm)
    remote = on_server(weaviate_server, minilm, f"Test{uuid.uuid4().hex}")
    for knowledge in (local, remote):
        report = await ingest_paths(
            knowledge,
            ApproximateCounter(),
            [sample / "knowledge"],
            context=IngestContext(tenant="sample"),
        )
        assert report["failed"] == []
    assert await versions(local, "sample") == await versions(remote, "sample")
    golden = [
        json.loads(line) for line in (sample / "golden.jsonl").read_text("utf-8").splitlines()
    ]
    # Where no page answers, or in its language, two that share one word each tie, and either may
    # come first.
    asked = [
        one["messages"][-1]
        for one in golden
        if one["expected"].get("sources") and one["kind"] != "language"
    ]
    assert len(asked) > 30
    even = []
    for question in asked:
        near = await local.search(question, tenant="sample", limit=2)
        far = await remote.search(question, tenant="sample", limit=2)
        if near[0].passage != far[0].passage:
            even.append(question)
        there = {hit.passage.id: hit for hit in far}
        same = there.get(near[0].passage.id)
        assert same is not None, question
        assert (near[0].bm25 or 0.0) == pytest.approx(same.bm25 or 0.0, rel=0.01)
        assert near[0].cosine == pytest.approx(same.cosine, abs=0.001)
    assert len(even) <= len(asked) // 50, even
    await local.close()
    await remote.close()


async def versions(knowledge: Knowledge, tenant: str) -> str:
    """Return the version of what a tenant has."""
    return (await knowledge.inventory(tenant=tenant)).version
