"""Each tenant's ledger and passages on a Weaviate server, every call under its own deadline.

The ledger names the collection that holds the passages: to reindex is to fill another beside and
then rewrite the ledger. It also carries the mark of a change under way, since there is no
transaction: a writer that finds its mark replaced knows that another came in between.
"""

from __future__ import annotations

import asyncio
import re
import time
import uuid
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import suppress
from dataclasses import replace

from antiphon.tools.errors import KnowledgeError, KnowledgeMissing
from antiphon.tools.retrieval.ledger import (
    FIELDS,
    NOTED,
    PASSAGE,
    SCHEMA,
    Ledger,
    fields_of,
    ledger_key,
    ledger_of,
    passage_key,
    passage_of,
    tenant_name,
)
from antiphon.tools.retrieval.passages import Embedder, Passage
from antiphon.tools.retrieval.weaviate_server import WRITE_DEADLINES, Server
from antiphon.tools.retrieval.weaviate_session import MOST, Row, Session, Vanished

STORED = ("source", "passage_id", "digest")
BATCH = 200
PATIENCE_S = 3.0
"""A mark of another's that stands longer is taken for one of a writer that was killed."""
GLANCE_S = 0.05


class Tenants:
    """What one collection name holds on one server, embedded by one embedder."""

    def __init__(self, server: Server, *, collection: str, embedder: Embedder) -> None:
        """Ask nothing yet."""
        self.writer = uuid.uuid4().hex
        """Begins the marks of this client."""
        self._server = server
        self._embedder = embedder
        self._name = collection
        self._ledgers = f"{collection}Ledger"
        self._ready = False

    async def any(self, session: Session) -> bool:
        """Whether something was ever stored."""
        self._ready = self._ready or await session.schema.exists(self._ledgers)
        return self._ready

    async def require(self, session: Session) -> None:
        """Raise KnowledgeMissing unless something was ever stored."""
        if not await self.any(session):
            raise KnowledgeMissing(
                f"no knowledge on Weaviate at {self._server.url}",
                hint="run `antiphon ingest PATH` first",
            )

    async def ledger(self, session: Session, tenant: str) -> Ledger | None:
        """Return what is noted for a tenant, None when it has stored nothing."""
        try:
            noted = await session.noted(self._ledgers, ledger_key(tenant))
        except Vanished:
            # The whole database was replaced: what was known of it is void.
            self._ready = False
            await self.require(session)
            raise
        return None if noted is None else ledger_of(noted, tenant)

    async def ledgers(self, session: Session) -> list[Ledger]:
        """Return the ledgers that say whose they are."""
        noted = await session.all_noted(self._ledgers)
        return [ledger_of(one, str(one["tenant"])) for one in noted if one.get("collection")]

    async def oldest(self, session: Session) -> list[str]:
        """Return the partitions of version 1 of the schema."""
        return await session.schema.tenants(self._name)

    async def settled(self, tenant: str) -> Ledger | None:
        """Return a tenant's ledger once no other writer is at work."""
        until, seen = 0.0, ""
        while True:
            found = await self._opened(tenant)
            if found is None or not found.changing or found.is_by(self.writer):
                return found
            if found.version != seen:
                until, seen = time.monotonic() + PATIENCE_S, found.version
            elif time.monotonic() > until:
                return found
            await asyncio.sleep(GLANCE_S)

    async def make(self, ledger: Ledger) -> None:
        """Have the collection that a ledger names, and the tenant's partition in it."""
        async with self._server.call(WRITE_DEADLINES) as session:
            await session.schema.make_passages(ledger.collection, FIELDS)
            await session.schema.make_tenant(ledger.collection, tenant_name(ledger.tenant))

    async def drop(self, ledger: Ledger) -> None:
        """Forget a tenant's partition in the collection that a ledger names."""
        async with self._server.call(WRITE_DEADLINES) as session:
            await self._drop(session, self.home(ledger), ledger.tenant)

    async def drop_others(self, ledger: Ledger) -> None:
        """Forget a tenant's partitions in all other collections: replaced, or never finished."""
        async with self._server.call(WRITE_DEADLINES) as session:
            family = await session.schema.named(f"{self._name}V{SCHEMA}G")
            for name in {self._name, *family} - {ledger.collection}:
                await self._drop(session, name, ledger.tenant)

    async def move(self, ledger: Ledger, to: Ledger) -> bool:
        """Note `to`, unless the tenant's ledger is no more as it was read."""
        async with self._server.call(WRITE_DEADLINES) as session:
            if (await self.ledger(session, to.tenant) or self.new(to.tenant)) != ledger:
                return False
            await session.note(self._ledgers, ledger_key(to.tenant), to.fields)
        return True

    async def digests(self, ledger: Ledger, sources: Sequence[str]) -> dict[str, dict[str, str]]:
        """Return the content digest of each passage stored, by source and id."""
        async with self._server.call(WRITE_DEADLINES) as session:
            rows = await session.of_sources(
                ledger.collection, tenant_name(ledger.tenant), list(sources)
            )
        if len(rows) >= MOST:
            rows = [row async for page in self.pages(ledger, STORED) for row in page]
        found: dict[str, dict[str, str]] = {source: {} for source in sources}
        for source, key, made in ([str(row.fields[one]) for one in STORED] for row in rows):
            # The filter knows no space around a name, and other names differ in nothing else.
            if source in found:
                found[source][key] = made
        return found

    async def vectors(self, ledger: Ledger, ids: Sequence[str]) -> dict[str, Sequence[float]]:
        """Return the vectors of these passages by what was embedded."""
        found: dict[str, Sequence[float]] = {}
        keys = [passage_key(ledger.tenant, one) for one in ids]
        for start in range(0, len(keys), BATCH):
            async with self._server.call(WRITE_DEADLINES) as session:
                rows = await session.of_keys(
                    ledger.collection,
                    tenant_name(ledger.tenant),
                    keys[start : start + BATCH],
                    PASSAGE,
                )
            found |= {passage_of(row.fields).searchable: row.vector for row in rows.values()}
        return found

    async def all_digests(self, ledger: Ledger) -> list[str]:
        """Return the content digest of each passage stored."""
        pages = self.pages(ledger, ("digest",))
        return [str(row.fields["digest"]) async for page in pages for row in page]

    async def counts(self, ledger: Ledger) -> dict[str, int]:
        """Return passages per source."""
        async with self._server.call() as session:
            found = await session.counts(self.home(ledger), tenant_name(ledger.tenant))
        if len(found) < MOST:
            return found
        pages = self.pages(ledger, ("source",))
        counted = Counter([str(row.fields["source"]) async for page in pages for row in page])
        return dict(sorted(counted.items()))

    async def pages(
        self, ledger: Ledger, fields: Sequence[str], *, vectors: bool = False
    ) -> AsyncIterator[list[Row]]:
        """Go through a tenant's passages, each page under a deadline of its own."""
        after: uuid.UUID | None = None
        while True:
            async with self._server.call(WRITE_DEADLINES) as session:
                page = await session.page(
                    self.home(ledger),
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

    async def store(
        self, ledger: Ledger, passages: Sequence[Passage], vectors: Sequence[Sequence[float]]
    ) -> None:
        """Write passages, batch by batch. Raises KnowledgeError for those refused."""
        rows = [
            Row(key=passage_key(ledger.tenant, p.id), fields=fields_of(p), vector=vector)
            for p, vector in zip(passages, vectors, strict=True)
        ]
        for start in range(0, len(rows), BATCH):
            async with self._server.call(WRITE_DEADLINES) as session:
                await session.insert(
                    ledger.collection, tenant_name(ledger.tenant), rows[start : start + BATCH]
                )

    async def forget(self, ledger: Ledger, ids: Sequence[str]) -> None:
        """Delete passages, batch by batch."""
        keys = [passage_key(ledger.tenant, one) for one in ids]
        for start in range(0, len(keys), BATCH):
            async with self._server.call(WRITE_DEADLINES) as session:
                await session.delete(
                    ledger.collection, tenant_name(ledger.tenant), keys[start : start + BATCH]
                )

    def new(self, tenant: str) -> Ledger:
        """Return the ledger of a tenant that has none."""
        return Ledger(
            tenant=tenant,
            version="",
            embedder=self._embedder.name,
            languages=(),
            collection=f"{self._name}V{SCHEMA}G1",
        )

    def next(self, ledger: Ledger) -> Ledger:
        """Return the ledger with a collection of the next generation, which only this client has.

        Two that rebuild one tenant at once must not write into, or drop, the same.
        """
        known = re.search(r"G(\d+)(W[0-9a-f]+)?$", ledger.collection)
        generation = int(known.group(1)) if known else 0
        name = f"{self._name}V{SCHEMA}G{generation + 1}W{self.writer[:12]}"
        return replace(ledger, collection=name, embedder=self._embedder.name)

    def home(self, ledger: Ledger) -> str:
        """Return the collection of a tenant's passages."""
        return ledger.collection or self._name

    def check_embedder(self, ledger: Ledger) -> None:
        """Refuse to compare vectors of two models."""
        if ledger.version and ledger.embedder != self._embedder.name:
            raise KnowledgeError(
                f"the knowledge was embedded by {ledger.embedder!r}, not {self._embedder.name!r}",
                hint="run `antiphon ingest --migrate`, or set the embedder back",
            )

    async def _opened(self, tenant: str) -> Ledger | None:
        """Return a tenant's ledger, to be written: the ledgers are made where there are none."""
        with suppress(KnowledgeMissing):
            return await self._made(tenant)
        # The whole database was replaced since it was last seen.
        return await self._made(tenant)

    async def _made(self, tenant: str) -> Ledger | None:
        async with self._server.call(WRITE_DEADLINES) as session:
            if not self._ready:
                await session.schema.make_ledgers(self._ledgers, NOTED)
                self._ready = True
            return await self.ledger(session, tenant)

    async def _drop(self, session: Session, name: str, tenant: str) -> None:
        partitions = await session.schema.tenants(name)
        if tenant_name(tenant) not in partitions:
            return
        await session.schema.drop_tenant(name, tenant_name(tenant))
        # New tenants of any process go into the first: it must not go while they come.
        if len(partitions) == 1 and name != self.new(tenant).collection:
            await session.schema.drop(name)
