"""Knowledge on a Weaviate server, for more than one process or machine."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace

from antiphon.tools.errors import KnowledgeMissing
from antiphon.tools.resilience import Breaker
from antiphon.tools.retrieval.analysis import query_terms
from antiphon.tools.retrieval.context import Citation
from antiphon.tools.retrieval.fusion import DEPTH
from antiphon.tools.retrieval.ledger import (
    PASSAGE,
    SCHEMA,
    conditions,
    passage_of,
    tenant_name,
)
from antiphon.tools.retrieval.passages import (
    Change,
    Embedder,
    Hit,
    Inventory,
    Migration,
    Passage,
    Progress,
    Reindexed,
    Where,
)
from antiphon.tools.retrieval.quotes import standing
from antiphon.tools.retrieval.visibility import OPEN, days, visible
from antiphon.tools.retrieval.weaviate_rebuild import Rebuild
from antiphon.tools.retrieval.weaviate_search import Search
from antiphon.tools.retrieval.weaviate_server import WRITE_DEADLINES, Server
from antiphon.tools.retrieval.weaviate_session import MOST, Look, Vanished
from antiphon.tools.retrieval.weaviate_tenants import Tenants
from antiphon.tools.retrieval.weaviate_writing import Turns, Writing


class WeaviateKnowledge:
    """`Knowledge` on a server; connects on first use."""

    def __init__(
        self,
        url: str,
        *,
        grpc_port: int,
        key: str,
        embedder: Embedder,
        alpha: float = 0.5,
        collection: str = "AntiphonPassage",
        deadline_s: float = 2.0,
        breaker: Breaker | None = None,
    ) -> None:
        """Connect to nothing yet; `alpha` is the vectors' share of a score."""
        self._server = Server(
            url, grpc_port=grpc_port, key=key, deadline_s=deadline_s, breaker=breaker
        )
        self._embedder = embedder
        self._alpha = alpha
        self._tenants = Tenants(self._server, collection=collection, embedder=embedder)
        self._turns: Turns = defaultdict(asyncio.Lock)
        self._writing = Writing(self._tenants, embedder, self._turns)
        self._counted: dict[str, Inventory] = {}

    async def search(
        self, query: str, *, tenant: str, limit: int = 10, where: Where | None = None
    ) -> tuple[Hit, ...]:
        """Return the best hits, best first, by hybrid search of what `where` lets be seen."""
        seen = where or OPEN
        days(seen)
        vector = (await self._embedder.embed([query]))[0]
        try:
            return await self._search(query, vector, tenant, limit, seen)
        except Vanished:
            # A reindex switched between the look into the ledger and the search.
            return await self._search(query, vector, tenant, limit, seen)

    async def upsert(self, source: str, passages: Sequence[Passage], *, tenant: str) -> Change:
        """Make `source` consist of exactly these passages; embed only those that are new."""
        return await self._writing.upsert(source, passages, tenant)

    async def remove(self, sources: Sequence[str], *, tenant: str) -> int:
        """Forget whole sources; return how many passages went."""
        try:
            async with self._server.call() as session:
                await self._tenants.require(session)
                if await self._tenants.ledger(session, tenant) is None:
                    return 0
        except KnowledgeMissing:
            return 0
        return await self._writing.remove(sources, tenant)

    async def inventory(self, *, tenant: str) -> Inventory:
        """Say what is stored, and under which version."""
        try:
            return await self._inventory(tenant)
        except Vanished:
            return await self._inventory(tenant)

    async def stand(self, citations: Sequence[Citation], *, tenant: str) -> bool:
        """Say whether each quote stands at its place, where everyone of the tenant may see it."""
        within = conditions(Where(sources=tuple({one.source for one in citations})))
        async with self._server.call() as session:
            await self._tenants.require(session)
            ledger = await self._tenants.ledger(session, tenant)
            # Version 1 cannot be asked by label.
            if ledger is None or not ledger.version or not ledger.collection:
                return not citations
            name = tenant_name(tenant)
            rows = await session.matching(ledger.collection, name, within, fields=PASSAGE)
        return standing(citations, [passage_of(row.fields) for row in rows])

    async def migrate(self, *, progress: Progress | None = None) -> Migration:
        """Bring every tenant to this release's schema and to the embedder in use."""
        async with self._server.call(WRITE_DEADLINES) as session:
            if not await self._tenants.any(session):
                return Migration(before=0, after=SCHEMA, passages=0)
            old = await self._tenants.oldest(session)
            noted = await self._tenants.ledgers(session)
        # A name that had to be hashed is not known from the server: its next upsert moves it.
        named = [name.removeprefix("t-") for name in old if name.startswith("t-")]
        stale = [one.tenant for one in noted if one.version and one.embedder != self._embedder.name]
        rewritten = embedded = 0
        for tenant in dict.fromkeys([*named, *stale]):
            count, anew = await self._rebuild(tenant, anew=False, progress=progress)
            rewritten += count if tenant in named else 0
            embedded += count if anew else 0
        return Migration(
            before=1 if old else SCHEMA, after=SCHEMA, passages=rewritten, embedded=embedded
        )

    async def reindex(
        self, *, tenant: str | None = None, progress: Progress | None = None
    ) -> Reindexed:
        """Embed all passages anew into a collection beside, then switch each tenant to it."""
        async with self._server.call(WRITE_DEADLINES) as session:
            await self._tenants.require(session)
            noted = await self._tenants.ledgers(session)
        tenants = tuple(
            sorted(one.tenant for one in noted if one.version and tenant in {None, one.tenant})
        )
        passages = 0
        for one in tenants:
            passages += (await self._rebuild(one, anew=True, progress=progress))[0]
        return Reindexed(tenants=tenants, passages=passages, embedder=self._embedder.name)

    async def close(self) -> None:
        """Close the connection; the next call opens it again."""
        await self._server.close()

    async def _rebuild(
        self, tenant: str, *, anew: bool, progress: Progress | None
    ) -> tuple[int, bool]:
        work = Rebuild(self._tenants, self._embedder, tenant, progress=progress)
        async with self._turns[tenant]:
            return await work.run(anew=anew)

    async def _inventory(self, tenant: str) -> Inventory:
        empty = Inventory(sources={}, version="", backend="weaviate")
        async with self._server.call() as session:
            try:
                await self._tenants.require(session)
                ledger = await self._tenants.ledger(session, tenant)
            except KnowledgeMissing:
                return empty
        if ledger is None or not ledger.version:
            return empty
        known = self._counted.get(tenant)
        if known is None or known.version != ledger.version or ledger.changing:
            counts = await self._tenants.counts(ledger)
            known = replace(empty, sources=counts, version=ledger.version if counts else "")
            self._counted[tenant] = known
        return known

    async def _search(
        self, query: str, vector: list[float], tenant: str, limit: int, where: Where
    ) -> tuple[Hit, ...]:
        async with self._server.call() as session:
            await self._tenants.require(session)
            ledger = await self._tenants.ledger(session, tenant)
            if ledger is None or not ledger.version or limit < 1:
                return ()
            self._tenants.check_embedder(ledger)
            look = Look(
                words=query_terms(query, ledger.languages),
                vector=vector,
                alpha=self._alpha,
                limit=min(2 * max(DEPTH, 2 * limit), MOST),
                # Version 1 has no fields to filter by: look deep, then leave out.
                must=conditions(where) if ledger.collection else {},
            )
            search = Search(session, self._tenants.home(ledger), tenant_name(tenant))
            wanted = limit if ledger.collection else look.limit
            hits = await search.hits(look, limit=wanted)
        return tuple(hit for hit in hits if visible(hit.passage, where))[:limit]
