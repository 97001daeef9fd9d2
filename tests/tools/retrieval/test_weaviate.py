"""What is particular to the Weaviate backend: a server that fails, and what older ones hold."""

from __future__ import annotations

import asyncio
import socket
import time
import uuid
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace

import pytest
from fakes import FakeTelemetry, Opening, fake_services
from weaviate_process import Server

from antiphon.graphs.services import Deadlines
from antiphon.nodes.state import Context
from antiphon.tools.errors import (
    KnowledgeError,
    KnowledgeMissing,
    KnowledgeUnavailable,
    SettingsError,
)
from antiphon.tools.resilience import Breaker
from antiphon.tools.retrieval.ledger import (
    CHANGING,
    fields_of,
    ledger_key,
    passage_key,
    tenant_name,
)
from antiphon.tools.retrieval.passages import Passage, Where
from antiphon.tools.retrieval.weaviate import WeaviateKnowledge
from antiphon.tools.retrieval.weaviate_server import address
from antiphon.tools.retrieval.weaviate_session import Row
from antiphon.tools.retrieval.weaviate_tenants import PATIENCE_S

CLUSTER = "a1b2c3.c0.europe-west3.gcp.weaviate.cloud"
EXAMPLE = "weaviate.example.com"


class Constant:
    """One vector for every text."""

    name = "constant"
    dimensions = 2

    async def embed(self, texts: Sequence[str]) -> list[list[float]]:
        """Point the same way each time."""
        return [[1.0, 0.0] for _ in texts]


def connect(url: str, breaker: Breaker | None = None) -> WeaviateKnowledge:
    """Return a backend that is impatient."""
    return WeaviateKnowledge(
        url, grpc_port=1, key="", embedder=Constant(), deadline_s=0.3, breaker=breaker
    )


async def test_absent_server_opens_the_breaker() -> None:
    """A server that refuses is reported as unavailable, and soon not even asked."""
    knowledge = connect("http://127.0.0.1:9", Breaker(failures=2))
    for _ in range(2):
        with pytest.raises(KnowledgeUnavailable, match="did not answer"):
            await knowledge.search("lamps", tenant="t")
    with pytest.raises(KnowledgeUnavailable, match="left alone"):
        await knowledge.search("lamps", tenant="t")
    await knowledge.close()


async def test_silent_server_meets_the_deadline() -> None:
    """A server that accepts and says nothing costs the deadline and no more."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        knowledge = connect(f"http://127.0.0.1:{silent.getsockname()[1]}")
        with pytest.raises(KnowledgeUnavailable):
            await knowledge.search("lamps", tenant="t")
        started = time.monotonic()
        with pytest.raises(KnowledgeUnavailable):
            await knowledge.search("lamps", tenant="t")
        assert time.monotonic() - started < 3.0
        await knowledge.close()


@pytest.mark.parametrize(
    "url", ["", "localhost:8080", "ftp://host", "http://", "http://host:port", "http://[::1"]
)
def test_wrong_address(url: str) -> None:
    """An address that is none is refused at once."""
    with pytest.raises(SettingsError, match="Weaviate"):
        connect(url)


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("http://localhost", ("localhost", 8080, False, "localhost", 50051)),
        ("http://10.0.0.7:8081/", ("10.0.0.7", 8081, False, "10.0.0.7", 50051)),
        ("https://weaviate.example.com", (EXAMPLE, 443, True, EXAMPLE, 50051)),
        ("https://weaviate.example.com:8443", (EXAMPLE, 8443, True, EXAMPLE, 50051)),
        (f"https://{CLUSTER}", (CLUSTER, 443, True, f"grpc-{CLUSTER}", 443)),
        (f"https://{CLUSTER}:443/v1", (CLUSTER, 443, True, f"grpc-{CLUSTER}", 443)),
        (f"{CLUSTER}", (CLUSTER, 443, True, f"grpc-{CLUSTER}", 443)),
        (f"http://{CLUSTER}/", (CLUSTER, 443, True, f"grpc-{CLUSTER}", 443)),
        (
            "https://abc.weaviate.network",
            ("abc.weaviate.network", 443, True, "abc.grpc.weaviate.network", 443),
        ),
    ],
)
def test_address(url: str, expected: tuple[str, int, bool, str, int]) -> None:
    """A server answers gRPC on its own host, a cluster in Weaviate Cloud on one derived from it."""
    found = address(url, grpc_port=50051)
    assert (found.host, found.port, found.secure, found.grpc_host, found.grpc_port) == expected


@pytest.mark.parametrize("host", [CLUSTER, "abc.weaviate.network"])
def test_cloud_addresses_are_the_clients(host: str) -> None:
    """What is derived for Weaviate Cloud is what the vendor's own client derives."""
    weaviate = pytest.importorskip("weaviate")
    theirs = weaviate.use_async_with_weaviate_cloud(host, None)._connection._connection_params
    ours = address(host, grpc_port=50051)
    assert (ours.host, ours.port, ours.secure) == (
        theirs.http.host, theirs.http.port, theirs.http.secure,
    )  # fmt: skip
    assert (ours.grpc_host, ours.grpc_port) == (theirs.grpc.host, theirs.grpc.port)


class Lengths:
    """A direction by the length of a text; two numbers, or one where a text says `wrong`."""

    name = "lengths"
    dimensions = 2

    def __init__(self) -> None:
        self.embedded = 0

    async def embed(self, texts: Sequence[str]) -> list[list[float]]:
        """Return unit vectors but for the wrong ones."""
        self.embedded += len(texts)
        made = []
        for text in texts:
            part = 1.0 / (1.0 + len(text))
            made.append([1.0] if "wrong" in text else [part, (1.0 - part * part) ** 0.5])
        return made


def page(source: str, text: str, labels: tuple[str, ...] = ()) -> Passage:
    """Return a passage that is a whole file."""
    return Passage(
        id=f"{source}-{len(text)}",
        source=source,
        title="",
        heading="",
        text=text,
        start=0,
        end=len(text),
        labels=labels,
    )


def at(
    server: Server,
    *,
    deadline_s: float = 5.0,
    breaker: Breaker | None = None,
    collection: str = "",
) -> WeaviateKnowledge:
    """Return a collection of its own on the server."""
    return WeaviateKnowledge(
        server.url,
        grpc_port=server.grpc_port,
        key="",
        embedder=Lengths(),
        collection=collection or f"Test{uuid.uuid4().hex}",
        deadline_s=deadline_s,
        breaker=breaker,
    )


@pytest.fixture
async def frail(frail_server: Server) -> AsyncIterator[WeaviateKnowledge]:
    """Knowledge of one page on a server that is about to fail, at the deadline of production."""
    knowledge = at(frail_server, deadline_s=2.0, breaker=Breaker(failures=2, cooldown_s=0.5))
    await knowledge.upsert("returns.md", [page("returns.md", RETURNS)], tenant="t")
    yield knowledge
    await knowledge.close()


RETURNS = "You can return an item within 30 days of delivery."


@pytest.mark.weaviate
async def test_frozen_server(frail: WeaviateKnowledge, frail_server: Server) -> None:
    """A server that hangs costs the deadline; once it goes on, the next search is answered."""
    assert await frail.search("return", tenant="t")
    frail_server.freeze()
    try:
        started = time.monotonic()
        with pytest.raises(KnowledgeUnavailable, match="did not answer"):
            await frail.search("return", tenant="t")
        assert time.monotonic() - started < 2.6
        with pytest.raises(KnowledgeUnavailable):
            await frail.upsert("returns.md", [page("returns.md", RETURNS)], tenant="t")
    finally:
        frail_server.thaw()
    assert await recovered(frail, within_s=3.0)


@pytest.mark.weaviate
async def test_restarted_server(frail: WeaviateKnowledge, frail_server: Server) -> None:
    """A server that is gone is reported in time, left alone, and used again when it is back."""
    frail_server.stop()
    try:
        for why in ("did not answer", "did not answer", "left alone"):
            started = time.monotonic()
            with pytest.raises(KnowledgeUnavailable, match=why):
                await frail.search("return", tenant="t")
            assert time.monotonic() - started < 2.6
    finally:
        frail_server.start()
    assert await recovered(frail, within_s=10.0)
    assert (await frail.inventory(tenant="t")).sources == {"returns.md": 1}


@pytest.mark.weaviate
async def test_outage_in_a_conversation(
    opening: Opening, frail: WeaviateKnowledge, frail_server: Server
) -> None:
    """While the server is away a turn says so and is recorded as failed; afterwards all is well."""
    telemetry = FakeTelemetry()
    services = fake_services(
        knowledge=frail, telemetry=telemetry, deadlines=Deadlines(default=9, retrieve=9)
    )
    talk, context = await opening(services), Context(tenant="t")
    first = await talk.ask("How long can I take to return a lamp?", context=context)
    assert (first.outcome, first.citations[0]["source"]) == ("answered", "returns.md")
    frail_server.stop()
    try:
        during = await talk.ask("And to return a rug?", thread=first.thread_id, context=context)
    finally:
        frail_server.start()
    assert during.outcome == "degraded"
    assert during.degraded_because is not None
    assert "Weaviate" in during.degraded_because
    assert during.citations == ()
    assert telemetry.turns[-1].failure == "retrieve_context: knowledge_unavailable"
    assert await recovered(frail, within_s=10.0)
    after = await talk.ask("And to return a clock?", thread=first.thread_id, context=context)
    assert (after.outcome, after.citations[0]["source"]) == ("answered", "returns.md")


async def recovered(knowledge: WeaviateKnowledge, *, within_s: float) -> bool:
    """Whether a search is answered before the time is up."""
    until = time.monotonic() + within_s
    while time.monotonic() < until:
        try:
            return bool(await knowledge.search("return", tenant="t"))
        except KnowledgeUnavailable:
            await asyncio.sleep(0.1)
    return False


@pytest.mark.weaviate
async def test_refused_passages_are_named(
    weaviate_server: Server, caplog: pytest.LogCaptureFixture
) -> None:
    """A passage the server refuses fails the upsert; the next one repairs count and version."""
    knowledge = at(weaviate_server)
    good = [page("a.md", "Lamps."), page("a.md", "Many rugs.")]
    # The first vector of a collection sets its length: without one, the wrong one might.
    await knowledge.upsert("first.md", [page("first.md", "A sofa.")], tenant="t")
    with pytest.raises(KnowledgeError, match="refused 1 of 3 passages"):
        await knowledge.upsert("a.md", [*good, page("a.md", "Its vector is wrong.")], tenant="t")
    broken = await knowledge.inventory(tenant="t")
    assert broken.sources == {"a.md": 2, "first.md": 1}
    change = await knowledge.upsert("a.md", good, tenant="t")
    assert (change.added, change.unchanged) == (0, 2)
    repaired = await knowledge.inventory(tenant="t")
    await knowledge.upsert("b.md", [page("b.md", "A clock.")], tenant="t")
    await knowledge.remove(["b.md"], tenant="t")
    assert await knowledge.inventory(tenant="t") == repaired != broken
    with pytest.raises(KnowledgeError, match="refused 1 of 1"):
        await knowledge.upsert("c.md", [page("c.md", "All wrong.")], tenant="t")
    assert "wrong" not in caplog.text
    await knowledge.close()


@pytest.mark.weaviate
async def test_scores_are_explained(weaviate_server: Server) -> None:
    """A hit carries the server's account of it, and the keyword score told there."""
    knowledge = at(weaviate_server)
    await knowledge.upsert("a.md", [page("a.md", "Lamps."), page("a.md", "Rugs.")], tenant="t")
    best, other = await knowledge.search("lamps!", tenant="t")
    assert best.passage.text == "Lamps."
    assert best.bm25 is not None
    assert best.bm25 > 0
    assert "keyword,bm25" in best.explained
    assert other.bm25 is None
    await knowledge.close()


@pytest.mark.weaviate
@pytest.mark.parametrize("tenant", ["acme", "a name / with what must be hashed"])
async def test_an_older_schema(weaviate_server: Server, tenant: str) -> None:
    """What an older release stored is served with its labels kept, and moved without embedding."""
    knowledge = at(weaviate_server)
    name = knowledge._tenants._name
    pages = [page("guides/a.md", "Lamps."), page("b.md", "Secret lamps.", labels=("staff",))]
    vectors = await Lengths().embed([one.searchable for one in pages])
    newer = {"tongue", "day", "places", "access"}
    rows = [
        Row(
            key=passage_key(tenant, one.id),
            fields={key: value for key, value in fields_of(one).items() if key not in newer},
            vector=vector,
        )
        for one, vector in zip(pages, vectors, strict=True)
    ]
    noted = {"version": "0123", "embedder": "lengths", "languages": '["en"]'}
    async with knowledge._server.call(10) as session:
        await session.schema.make_ledgers(f"{name}Ledger", tuple(noted))
        await session.schema.make_passages(name, [f for f in rows[0].fields if f != "terms"])
        await session.insert(name, tenant_name(tenant), rows)
        await session.note(f"{name}Ledger", ledger_key(tenant), noted)

    async def found(where: Where | None = None) -> list[str]:
        hits = await knowledge.search("lamps", tenant=tenant, where=where)
        return [hit.passage.source for hit in hits]

    assert await found() == ["guides/a.md"]
    assert await found(Where(sources=("guides/",))) == ["guides/a.md"]
    done = await knowledge.migrate()
    assert (done.before, done.embedded) == (1, 0)
    if tenant == "acme":
        assert done.passages == 2
    else:
        # Its name cannot be read back from the server: the first upsert that says it moves it.
        assert done.passages == 0
        assert (await knowledge.upsert("b.md", pages[1:], tenant=tenant)).unchanged == 1
    assert await found() == ["guides/a.md"]
    assert sorted(await found(Where(labels=("staff",)))) == ["b.md", "guides/a.md"]
    assert (await knowledge.migrate()).before == 2
    async with knowledge._server.call() as session:
        assert not await session.schema.exists(name)
    await knowledge.close()


@pytest.mark.weaviate
async def test_a_database_that_was_emptied(weaviate_server: Server) -> None:
    """When all was deleted under a running process it says so, and can be filled again."""
    knowledge = at(weaviate_server)
    lamps = [page("a.md", "Lamps.")]
    await knowledge.upsert("a.md", lamps, tenant="t")
    home = f"{knowledge._tenants._name}V2G1"
    async with knowledge._server.call(5) as session:
        await session.schema.drop_tenant(home, "t-t")
        await session._client.collections.delete(f"{knowledge._tenants._name}Ledger")
    with pytest.raises(KnowledgeMissing):
        await knowledge.search("lamps", tenant="t")
    assert (await knowledge.inventory(tenant="t")).sources == {}
    assert await knowledge.remove(["a.md"], tenant="t") == 0
    assert (await knowledge.upsert("a.md", lamps, tenant="t")).added == 1
    assert await knowledge.search("lamps", tenant="t")
    await knowledge.close()


@pytest.mark.weaviate
async def test_a_writer_that_was_killed(weaviate_server: Server) -> None:
    """The mark of one that will never finish holds the next up for a moment, and no search."""
    killed = at(weaviate_server)
    name = killed._tenants._name
    await killed.upsert("a.md", [page("a.md", "Lamps.")], tenant="other")
    fresh = killed._tenants.new("t")
    await killed._tenants.make(fresh)
    assert await killed._tenants.move(fresh, replace(fresh, version=f"{CHANGING}of the killed"))
    await killed.close()

    knowledge = at(weaviate_server, collection=name)
    assert await knowledge.search("lamps", tenant="t") == ()
    assert (await knowledge.inventory(tenant="t")).sources == {}
    started = time.monotonic()
    assert (await knowledge.upsert("a.md", [page("a.md", "Lamps.")], tenant="t")).added == 1
    assert PATIENCE_S <= time.monotonic() - started < PATIENCE_S + 5
    started = time.monotonic()
    await knowledge.upsert("b.md", [page("b.md", "Many rugs.")], tenant="t")
    assert time.monotonic() - started < PATIENCE_S
    alone = await knowledge.inventory(tenant="t")
    await knowledge.remove(["b.md"], tenant="t")
    same = await knowledge.inventory(tenant="other")
    assert (await knowledge.inventory(tenant="t")).version == same.version != alone.version
    await knowledge.close()


@pytest.mark.weaviate
async def test_an_abandoned_reindex_is_cleared_away(weaviate_server: Server) -> None:
    """What a reindex that was killed had copied is dropped by the next that finishes."""
    killed = at(weaviate_server)
    name = killed._tenants._name
    await killed.upsert("a.md", [page("a.md", "Lamps.")], tenant="t")
    ledger = replace(killed._tenants.new("t"), version="1")
    beside = killed._tenants.next(ledger)
    await killed._tenants.make(beside)
    await killed._tenants.store(beside, [page("b.md", "Old rugs.")], [[1.0, 0.0]])
    await killed.close()

    knowledge = at(weaviate_server, collection=name)
    await knowledge.reindex()
    assert [hit.passage.source for hit in await knowledge.search("rugs", tenant="t")] == ["a.md"]
    async with knowledge._server.call() as session:
        left = await session.schema.named(f"{name}V")
    assert set(left) == {f"{name}V2G1", knowledge._tenants.next(ledger).collection}
    await knowledge.close()


@pytest.mark.weaviate
async def test_sources_that_wait_are_written_as_one(weaviate_server: Server) -> None:
    """Of sources stored at once a refused one fails alone, and a later wish for one comes last."""
    knowledge = at(weaviate_server)
    await knowledge.upsert("first.md", [page("first.md", "A sofa.")], tenant="t")
    texts = ["Lamps.", "Many rugs.", "Its vector is wrong.", "Some tall clocks."]
    outcomes = await asyncio.gather(
        *(knowledge.upsert(f"{text}.md", [page(f"{text}.md", text)], tenant="t") for text in texts),
        knowledge.upsert("first.md", [], tenant="t"),
        knowledge.upsert("first.md", [page("first.md", "A longer sofa.")], tenant="t"),
        return_exceptions=True,
    )
    assert [isinstance(one, KnowledgeError) for one in outcomes] == [at == 2 for at in range(6)]
    stored = await knowledge.inventory(tenant="t")
    assert set(stored.sources) == {"first.md", *(f"{texts[at]}.md" for at in (0, 1, 3))}
    hits = await knowledge.search("sofa", tenant="t")
    assert "A longer sofa." in {hit.passage.text for hit in hits}
    await knowledge.close()


@pytest.mark.weaviate
async def test_a_database_that_was_emptied_is_written_to(weaviate_server: Server) -> None:
    """A writer finds out by itself that everything is gone, and begins anew."""
    knowledge = at(weaviate_server)
    await knowledge.upsert("a.md", [page("a.md", "Lamps.")], tenant="t")
    async with knowledge._server.call(5) as session:
        for name in await session.schema.named(knowledge._tenants._name):
            await session.schema.drop(name)
    assert (await knowledge.upsert("a.md", [page("a.md", "Lamps.")], tenant="t")).added == 1
    assert await knowledge.search("lamps", tenant="t")
    await knowledge.close()
