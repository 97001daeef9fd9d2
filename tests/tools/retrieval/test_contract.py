"""What every `Knowledge` must do, run against each backend."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from hashlib import blake2b
from pathlib import Path
from typing import Protocol

import pytest

from antiphon.tools.errors import KnowledgeError, KnowledgeMissing
from antiphon.tools.models.embeddings import MiniLM
from antiphon.tools.retrieval.local import SqliteKnowledge
from antiphon.tools.retrieval.passages import Embedder, Knowledge, Passage
from antiphon.tools.retrieval.weaviate import WeaviateKnowledge

SHOP = {
    "returns.md": "You may return any unworn item within 30 days. Return postage is free.",
    "shipping.md": "Parcels to Canada cost 12 dollars and take five working days.",
    "warranty.md": "Every lamp has a warranty of two years against faults of manufacture.",
    "hours.md": "Our staff answer the telephone from nine to five on weekdays.",
}


class Closable(Knowledge, Protocol):
    """A backend that holds something open."""

    async def close(self) -> None:
        """Let go of it."""
        ...


class Counting:
    """The real embedder, counting what it is asked for."""

    def __init__(self, inner: Embedder, name: str = "") -> None:
        self.inner = inner
        self.name = name or inner.name
        self.dimensions = inner.dimensions
        self.calls: list[int] = []

    async def embed(self, texts: Sequence[str]) -> list[list[float]]:
        """Embed and note how many."""
        self.calls.append(len(texts))
        return await self.inner.embed(texts)


def passage(source: str, text: str, **changes: object) -> Passage:
    """Return a passage that is a whole file."""
    key = blake2b(f"{source}\n{text}".encode(), digest_size=16).hexdigest()
    title = source.removesuffix(".md").title()
    made = Passage(
        id=key, source=source, title=title, heading="", text=text, start=0, end=len(text)
    )
    return replace(made, **changes)  # type: ignore[arg-type]


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
    made = make(request, tmp_path, embedder, f"Test{uuid.uuid4().hex}")
    yield made
    await made.close()


def make(
    request: pytest.FixtureRequest, tmp_path: Path, embedder: Counting, collection: str
) -> Closable:
    """Build the backend the test is parametrised with."""
    if request.param == "sqlite":
        return SqliteKnowledge(tmp_path / "knowledge.sqlite", embedder)
    server = request.getfixturevalue("weaviate_server")
    return WeaviateKnowledge(
        server.url,
        grpc_port=server.grpc_port,
        key="",
        embedder=embedder,
        collection=collection,
        deadline_s=10.0,
    )


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
    assert [h.passage for h in await knowledge.search("return", tenant="acme")] == [closed]
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
