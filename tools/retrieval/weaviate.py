"""Knowledge on a Weaviate server, for more than one process or machine.

Each tenant has a ledger that names the collection its passages are in: to reindex is to fill
another collection beside and then rewrite the ledger, so that searches go on all the while.
"""

from __future__ import annotations

import asyncio
import re
import uuid
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace

import numpy as np

from antiphon.tools.errors import KnowledgeError, KnowledgeMissing
from antiphon.tools.resilience import Breaker
from antiphon.tools.retrieval.analysis import query_terms
from antiphon.tools.retrieval.ledger import (
    CHANGING,
    FIELDS,
    NOTED,
    PASSAGE,
    SCHEMA,
    Ledger,
    conditions,
    fields_of,
    ledger_key,
    ledger_of,
    passage_key,
    passage_of,
    tenant_name,
    version_of,
)
from antiphon.tools.retrieval.local import DEPTH, FEEDBACK, FEEDBACK_FROM
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
from antiphon.tools.retrieval.postings import K1
from antiphon.tools.retrieval.records import digest
from antiphon.tools.retrieval.visibility import OPEN, days, visible
from antiphon.tools.retrieval.weaviate_server import (
    MOST,
    WRITE_DEADLINES,
    Look,
    Row,
    Server,
    Session,
    Vanished,
)

BATCH = 200
KEYWORD_SCORE = re.compile(r"keyword,bm25\).*?original score ([0-9.eE+-]+)")


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
        self._name = collection
        self._ledgers = f"{collection}Ledger"
        self._known: set[str] = set()
        self._counted: dict[str, Inventory] = {}
        self._writing: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)

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
        async with self._writing[tenant]:
            return await self._upsert(source, passages, tenant)

    async def remove(self, sources: Sequence[str], *, tenant: str) -> int:
        """Forget whole sources; return how many passages went."""
        try:
            async with self._server.call() as session:
                await self._require(session)
                if await self._ledger(session, tenant) is None:
                    return 0
        except KnowledgeMissing:
            return 0
        gone = 0
        for source in sources:
            gone += (await self.upsert(source, (), tenant=tenant)).removed
        return gone

    async def inventory(self, *, tenant: str) -> Inventory:
        """Say what is stored, and under which version."""
        try:
            return await self._inventory(tenant)
        except Vanished:
            return await self._inventory(tenant)

    async def migrate(self, *, progress: Progress | None = None) -> Migration:
        """Bring every tenant to this release's schema and to the embedder in use."""
        async with self._server.call(WRITE_DEADLINES) as session:
            if not await session.exists(self._ledgers):
                return Migration(before=0, after=SCHEMA, passages=0)
            old = await session.tenants(self._name)
            noted = await self._all_ledgers(session)
        # A name that had to be hashed is not known from the server: its next upsert moves it.
        named = [name.removeprefix("t-") for name in old if name.startswith("t-")]
        stale = [one.tenant for one in noted if one.version and one.embedder != self._embedder.name]
        rewritten = embedded = 0
        for tenant in dict.fromkeys([*named, *stale]):
            async with self._writing[tenant]:
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
            await self._require(session)
            noted = await self._all_ledgers(session)
        tenants = tuple(
            sorted(one.tenant for one in noted if one.version and tenant in {None, one.tenant})
        )
        passages = 0
        for one in tenants:
            async with self._writing[one]:
                count, _ = await self._rebuild(one, anew=True, progress=progress)
            passages += count
        return Reindexed(tenants=tenants, passages=passages, embedder=self._embedder.name)

    async def close(self) -> None:
        """Close the connection; the next call opens it again."""
        await self._server.close()

    async def _inventory(self, tenant: str) -> Inventory:
        empty = Inventory(sources={}, version="", backend="weaviate")
        async with self._server.call() as session:
            try:
                await self._require(session)
                ledger = await self._ledger(session, tenant)
            except KnowledgeMissing:
                return empty
        if ledger is None or not ledger.version:
            return empty
        known = self._counted.get(tenant)
        if known is None or known.version != ledger.version or ledger.changing:
            counts = await self._counts(ledger)
            known = replace(empty, sources=counts, version=ledger.version if counts else "")
            self._counted[tenant] = known
        return known

    async def _search(
        self, query: str, vector: list[float], tenant: str, limit: int, where: Where
    ) -> tuple[Hit, ...]:
        async with self._server.call() as session:
            await self._require(session)
            ledger = await self._ledger(session, tenant)
            if ledger is None or not ledger.version:
                return ()
            self._check_embedder(ledger)
            look = Look(
                words=query_terms(query, ledger.languages),
                vector=vector,
                alpha=self._alpha,
                limit=limit,
                must=conditions(where),
            )
            if ledger.collection:
                rows = await self._looked_twice(session, ledger, look)
            else:
                # Version 1 has no fields to filter by: look deep, then leave out.
                wide = replace(look, must={}, limit=max(DEPTH, limit))
                found = await session.hybrid(self._name, tenant_name(tenant), wide, fields=PASSAGE)
                rows = [row for row in found if visible(passage_of(row.fields), where)][:limit]
        near = np.asarray(vector, dtype=np.float32)
        return tuple(_hit(row, float(np.asarray(row.vector, np.float32) @ near)) for row in rows)

    async def _looked_twice(self, session: Session, ledger: Ledger, look: Look) -> list[Row]:
        """Move the query towards what is found first, and look again, as the SQLite backend."""
        name = tenant_name(ledger.tenant)
        first = await session.hybrid(ledger.collection, name, replace(look, limit=FEEDBACK_FROM))
        if not first:
            return []
        towards = np.mean([row.vector for row in first], axis=0)
        moved = np.asarray(look.vector) + FEEDBACK * towards
        return await session.hybrid(
            ledger.collection, name, replace(look, vector=moved.tolist()), fields=PASSAGE
        )

    async def _upsert(self, source: str, passages: Sequence[Passage], tenant: str) -> Change:
        ledger, stored = await self._opened(source, tenant)
        wanted = {passage.id: passage for passage in passages}
        fresh = [p for p in wanted.values() if stored.get(p.id) != digest(p)]
        gone = [key for key in stored if key not in wanted]
        if fresh or gone or ledger.changing:
            vectors = await self._embedder.embed([p.searchable for p in fresh]) if fresh else []
            mark = f"{CHANGING}{uuid.uuid4().hex}"
            spoken = tuple({*ledger.languages, *(p.language for p in fresh)})
            changing = replace(ledger, version=mark, embedder=self._embedder.name, languages=spoken)
            async with self._server.call(WRITE_DEADLINES) as session:
                await session.note(self._ledgers, ledger_key(tenant), changing.fields)
            await self._store(changing, fresh, vectors)
            await self._forget(changing, gone)
            left = [stored[p.id] for p in fresh if p.id in stored] + [stored[k] for k in gone]
            await self._concluded(changing, base=ledger, come=[digest(p) for p in fresh], left=left)
        return Change(added=len(fresh), unchanged=len(wanted) - len(fresh), removed=len(gone))

    async def _opened(self, source: str, tenant: str) -> tuple[Ledger, dict[str, str]]:
        """Return the tenant's ledger, brought up to date, and the digests of a source."""
        name = tenant_name(tenant)
        async with self._server.call(WRITE_DEADLINES) as session:
            if self._ledgers not in self._known:
                await session.make_ledgers(self._ledgers, NOTED)
                self._known.add(self._ledgers)
            found = await self._ledger(session, tenant)
        if found is not None and not found.collection:
            await self._rebuild(tenant, anew=False, progress=None)
        async with self._server.call(WRITE_DEADLINES) as session:
            ledger = await self._ledger(session, tenant) or self._new(tenant)
            self._check_embedder(ledger)
            if ledger.embedder != self._embedder.name:
                # An emptied tenant: its old vectors' dimensions must not bind the new ones.
                await session.drop_tenant(ledger.collection, name)
                self._known.discard(ledger.collection)
            if ledger.collection not in self._known:
                await session.make_passages(ledger.collection, FIELDS)
                self._known.add(ledger.collection)
        return ledger, await self._stored(ledger, source)

    async def _stored(self, ledger: Ledger, source: str) -> dict[str, str]:
        """Return the content digest of each passage stored for a source."""
        name = tenant_name(ledger.tenant)
        async with self._server.call(WRITE_DEADLINES) as session:
            found = await session.of_source(ledger.collection, name, source)
        if len(found) < MOST:
            return found
        return {
            str(row.fields["passage_id"]): str(row.fields["digest"])
            async for page in self._pages(ledger, ("passage_id", "digest", "source"))
            for row in page
            if row.fields["source"] == source
        }

    async def _counts(self, ledger: Ledger) -> dict[str, int]:
        """Return passages per source."""
        async with self._server.call() as session:
            found = await session.counts(self._home(ledger), tenant_name(ledger.tenant))
        if len(found) < MOST:
            return found
        counted = Counter(
            [
                str(row.fields["source"])
                async for page in self._pages(ledger, ("source",))
                for row in page
            ]
        )
        return dict(sorted(counted.items()))

    async def _store(
        self, ledger: Ledger, passages: Sequence[Passage], vectors: Sequence[Sequence[float]]
    ) -> None:
        rows = [
            Row(key=passage_key(ledger.tenant, p.id), fields=fields_of(p), vector=vector)
            for p, vector in zip(passages, vectors, strict=True)
        ]
        for start in range(0, len(rows), BATCH):
            async with self._server.call(WRITE_DEADLINES) as session:
                await session.insert(
                    ledger.collection, tenant_name(ledger.tenant), rows[start : start + BATCH]
                )

    async def _forget(self, ledger: Ledger, ids: Sequence[str]) -> None:
        keys = [passage_key(ledger.tenant, one) for one in ids]
        for start in range(0, len(keys), BATCH):
            async with self._server.call(WRITE_DEADLINES) as session:
                await session.delete(
                    ledger.collection, tenant_name(ledger.tenant), keys[start : start + BATCH]
                )

    async def _concluded(
        self, changing: Ledger, *, base: Ledger, come: Sequence[str], left: Sequence[str]
    ) -> None:
        """Note the new version: added up, or counted anew after a change that was broken off."""
        async with self._server.call() as session:
            now = await self._ledger(session, changing.tenant)
        if base.changing or now is None or now.version != changing.version:
            found = [
                str(row.fields["digest"])
                async for page in self._pages(changing, ("digest",))
                for row in page
            ]
            version = version_of(found)
        else:
            version = version_of(come, base=base.version, gone=left)
        async with self._server.call(WRITE_DEADLINES) as session:
            done = replace(changing, version=version)
            await session.note(self._ledgers, ledger_key(done.tenant), done.fields)

    async def _pages(
        self, ledger: Ledger, fields: Sequence[str], *, vectors: bool = False
    ) -> AsyncIterator[list[Row]]:
        """Go through a tenant's passages, each page under a deadline of its own."""
        after: uuid.UUID | None = None
        while True:
            async with self._server.call(WRITE_DEADLINES) as session:
                page = await session.page(
                    self._home(ledger),
                    tenant_name(ledger.tenant),
                    after=after,
                    limit=BATCH,
                    fields=fields,
                    vectors=vectors,
                )
            if not page:
                return
            yield page
            after = page[-1].key

    async def _rebuild(
        self, tenant: str, *, anew: bool, progress: Progress | None
    ) -> tuple[int, bool]:
        """Copy a tenant into a collection beside, until nothing changed meanwhile; then switch.

        Return how many passages it has, and whether they were embedded anew.
        """
        name = tenant_name(tenant)
        async with self._server.call(WRITE_DEADLINES) as session:
            await session.make_ledgers(self._ledgers, NOTED)
            old = await self._ledger(session, tenant)
            if old is None:
                return 0, False
            beside = replace(old, collection=self._next(old), embedder=self._embedder.name)
            # What a rebuild that was killed left behind may have another embedder's vectors.
            await session.drop_tenant(beside.collection, name)
            await session.make_passages(beside.collection, FIELDS)
        anew = anew or old.embedder != self._embedder.name
        copied: dict[str, str] = {}
        now, before = old, ""
        while now.version != before:
            before = now.version
            await self._copy(old, beside, copied, anew=anew, progress=progress)
            async with self._server.call() as session:
                now = await self._ledger(session, tenant) or old
        async with self._server.call(WRITE_DEADLINES) as session:
            done = replace(beside, version=version_of(copied.values()), languages=now.languages)
            await session.note(self._ledgers, ledger_key(tenant), done.fields)
            self._known.add(done.collection)
            await session.drop_tenant(self._home(old), name)
            self._known.discard(self._home(old))
        return len(copied), anew

    async def _copy(
        self,
        old: Ledger,
        beside: Ledger,
        copied: dict[str, str],
        *,
        anew: bool,
        progress: Progress | None,
    ) -> None:
        """Make `beside` hold what `old` holds now, given what it already holds."""
        total, seen = sum((await self._counts(old)).values()), set[str]()
        async for page in self._pages(old, (*PASSAGE, "digest"), vectors=not anew):
            rows = {str(row.fields["passage_id"]): row for row in page}
            seen |= set(rows)
            todo = [k for k, row in rows.items() if copied.get(k) != str(row.fields["digest"])]
            passages = [passage_of(rows[key].fields) for key in todo]
            texts = [passage.searchable for passage in passages]
            made = await self._embedder.embed(texts) if anew and texts else []
            await self._store(beside, passages, made or [rows[key].vector for key in todo])
            copied.update((key, str(rows[key].fields["digest"])) for key in todo)
            if progress is not None:
                progress(len(copied), max(total, len(copied)))
        vanished = [key for key in copied if key not in seen]
        await self._forget(beside, vanished)
        for key in vanished:
            del copied[key]

    async def _require(self, session: Session) -> None:
        if self._ledgers in self._known:
            return
        if not await session.exists(self._ledgers):
            raise KnowledgeMissing(
                f"no knowledge on Weaviate at {self._server.url}",
                hint="run `antiphon ingest PATH` first",
            )
        self._known.add(self._ledgers)

    async def _ledger(self, session: Session, tenant: str) -> Ledger | None:
        """Return what is noted for a tenant, None when it has stored nothing."""
        try:
            noted = await session.noted(self._ledgers, ledger_key(tenant))
        except Vanished:
            # The whole database was replaced: what was known of it is void.
            self._known.clear()
            await self._require(session)
            raise
        return None if noted is None else ledger_of(noted, tenant)

    async def _all_ledgers(self, session: Session) -> list[Ledger]:
        """Return the ledgers that say whose they are."""
        noted = await session.all_noted(self._ledgers)
        return [ledger_of(one, str(one["tenant"])) for one in noted if one.get("tenant")]

    def _new(self, tenant: str) -> Ledger:
        return Ledger(
            tenant=tenant,
            version="",
            embedder=self._embedder.name,
            languages=(),
            collection=f"{self._name}V{SCHEMA}G1",
        )

    def _home(self, ledger: Ledger) -> str:
        return ledger.collection or self._name

    def _next(self, ledger: Ledger) -> str:
        """Return the collection of the next generation."""
        generation = int(ledger.collection.rpartition("G")[2]) if ledger.collection else 0
        return f"{self._name}V{SCHEMA}G{generation + 1}"

    def _check_embedder(self, ledger: Ledger) -> None:
        if ledger.version and ledger.embedder != self._embedder.name:
            raise KnowledgeError(
                f"the knowledge was embedded by {ledger.embedder!r}, not {self._embedder.name!r}",
                hint="run `antiphon ingest --migrate`, or set the embedder back",
            )


def _hit(row: Row, cosine: float) -> Hit:
    keyword = KEYWORD_SCORE.search(row.explained)
    return Hit(
        passage=passage_of(row.fields),
        score=row.score,
        # The server leaves out a constant of the formula that the SQLite backend has.
        bm25=float(keyword.group(1)) * (K1 + 1) if keyword else None,
        cosine=cosine,
        explained=row.explained.strip(),
    )
