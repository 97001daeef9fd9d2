"""Knowledge on a Weaviate server: one multi-tenant collection, the vectors and terms our own.

Every call has a deadline and passes a breaker, because the client alone may wait a minute for a
server that is down. The keyword leg searches the same analysed terms as the SQLite backend.
"""

from __future__ import annotations

import asyncio
import json
import re
import uuid
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from hashlib import blake2b
from typing import TYPE_CHECKING, cast
from urllib.parse import urlsplit

import numpy as np

from antiphon.tools.errors import (
    KnowledgeError,
    KnowledgeMissing,
    KnowledgeUnavailable,
    SettingsError,
)
from antiphon.tools.resilience import Breaker
from antiphon.tools.retrieval.analysis import query_terms, terms
from antiphon.tools.retrieval.passages import Change, Embedder, Hit, Inventory, Passage
from antiphon.tools.retrieval.records import FIELDS, Record, digest, record, restore

if TYPE_CHECKING:
    from weaviate import WeaviateAsyncClient
    from weaviate.collections import CollectionAsync
    from weaviate.collections.classes.internal import Object

    Properties = Mapping[str, "str | int"]
    Collection = CollectionAsync[Properties, None]
    Found = Object[Properties, None]

VECTOR = "dense"
BATCH = 200
WRITE_DEADLINES = 10
"""A batch of passages may take this many search deadlines."""
MAX_PER_SOURCE = 10_000
NAMESPACE = uuid.UUID("5a6f7b0e-7f0c-5a53-9a86-6f6a1f0f1b52")
# `id` is reserved by the server.
LEDGER = ("version", "embedder", "languages")
STORED = ("passage_id", *FIELDS[1:])


@dataclass(frozen=True, slots=True, kw_only=True)
class Ledger:
    """What is noted per tenant beside the passages."""

    version: str
    embedder: str
    languages: tuple[str, ...]


class WeaviateKnowledge:
    """`Knowledge` for more than one process or machine; connects on first use."""

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
        parts = urlsplit(url)
        if parts.scheme not in {"http", "https"} or not parts.hostname:
            raise SettingsError(f"not a Weaviate address: {url!r}", hint="http(s)://host:port")
        self._url = url
        self._host = parts.hostname
        self._secure = parts.scheme == "https"
        self._port = parts.port or (443 if self._secure else 8080)
        self._grpc_port = grpc_port
        self._key = key
        self._embedder = embedder
        self._alpha = alpha
        self._name = collection
        self._deadline_s = deadline_s
        self._breaker = breaker or Breaker()
        self._opening = asyncio.Lock()
        self._client: WeaviateAsyncClient | None = None
        self._connected = False
        self._created = False
        self._counted: dict[str, Inventory] = {}

    async def search(self, query: str, *, tenant: str, limit: int = 10) -> tuple[Hit, ...]:
        """Return the best hits, best first, by hybrid search."""
        vector = (await self._embedder.embed([query]))[0]
        async with self._call() as client:
            ledger = await self._ledger(client, tenant)
            if ledger is None:
                return ()
            self._check_embedder(ledger)
            found = await self._hybrid(
                self._passages(client, tenant), query_terms(query, ledger.languages), vector, limit
            )
        near = np.asarray(vector, dtype=np.float32)
        return tuple(_hit(one, near) for one in found)

    async def upsert(self, source: str, passages: Sequence[Passage], *, tenant: str) -> Change:
        """Make `source` consist of exactly these passages; embed only those that are new."""
        wanted = {passage.id: passage for passage in passages}
        async with self._call(WRITE_DEADLINES) as client:
            await self._create(client)
            ledger = await self._ledger(client, tenant)
            if ledger is not None:
                self._check_embedder(ledger)
            stored = await self._stored(client, tenant, source) if ledger else {}
        fresh = [p for p in wanted.values() if stored.get(p.id) != digest(p)]
        gone = [key for key in stored if key not in wanted]
        if fresh or gone:
            vectors = await self._embedder.embed([p.searchable for p in fresh]) if fresh else []
            spoken = {p.language for p in fresh} | set(ledger.languages if ledger else ())
            await self._note(tenant, spoken)
            for start in range(0, len(fresh), BATCH):
                end = start + BATCH
                await self._insert(tenant, fresh[start:end], vectors[start:end])
            for start in range(0, len(gone), BATCH):
                await self._delete(tenant, source, gone[start : start + BATCH])
            await self._note(tenant, spoken)
        return Change(added=len(fresh), unchanged=len(wanted) - len(fresh), removed=len(gone))

    async def remove(self, sources: Sequence[str], *, tenant: str) -> int:
        """Forget whole sources; return how many passages went."""
        gone = 0
        for source in sources:
            try:
                gone += (await self.upsert(source, (), tenant=tenant)).removed
            except KnowledgeMissing:
                return gone
        return gone

    async def inventory(self, *, tenant: str) -> Inventory:
        """Say what is stored, and under which version."""
        empty = Inventory(sources={}, version="", backend="weaviate")
        async with self._call() as client:
            try:
                ledger = await self._ledger(client, tenant)
            except KnowledgeMissing:
                return empty
            if ledger is None:
                return empty
            known = self._counted.get(tenant)
            if known is None or known.version != ledger.version:
                counts = await self._counts(client, tenant)
                known = Inventory(
                    sources=counts, version=ledger.version if counts else "", backend="weaviate"
                )
                self._counted[tenant] = known
            return known

    async def close(self) -> None:
        """Close the connection; the next call opens it again."""
        client, self._client, self._connected = self._client, None, False
        if client is not None:
            await client.close()

    @asynccontextmanager
    async def _call(self, deadlines: float = 1) -> AsyncIterator[WeaviateAsyncClient]:
        """Hold every conversation with the server to a deadline, and count how it went."""
        from grpc.aio import AioRpcError  # type: ignore[import-untyped]
        from weaviate.exceptions import WeaviateBaseError

        if not self._breaker.admit():
            raise KnowledgeUnavailable(
                f"Weaviate at {self._url} failed repeatedly and is left alone for a while",
                hint="check that the server runs",
            )
        try:
            client = await self._built()
            async with asyncio.timeout(self._deadline_s * deadlines):
                yield await self._connect(client)
        except KnowledgeError:
            self._breaker.succeed()
            raise
        except (WeaviateBaseError, AioRpcError, TimeoutError, OSError) as error:
            raise self._judged(error) from error
        except BaseException:
            # Cancelled from outside: an admitted trial must not stay open.
            self._breaker.fail()
            raise
        self._breaker.succeed()

    def _judged(self, error: Exception) -> KnowledgeError:
        text = f"{type(error).__name__}: {error}"
        if re.search(r"\b(401|403)\b|UNAUTHENTICATED|PERMISSION_DENIED", text):
            self._breaker.succeed()
            return KnowledgeError(
                f"Weaviate at {self._url} refused the key", hint="set ANTIPHON_WEAVIATE_KEY"
            )
        self._breaker.fail()
        return KnowledgeUnavailable(
            f"Weaviate at {self._url} did not answer within {self._deadline_s} s: {text[:300]}",
            hint="check ANTIPHON_WEAVIATE_URL and ANTIPHON_WEAVIATE_GRPC_PORT",
        )

    async def _built(self) -> WeaviateAsyncClient:
        """Build the client outside any deadline: importing it takes seconds."""
        async with self._opening:
            if self._client is None:
                self._client = await asyncio.to_thread(self._build)
            return self._client

    async def _connect(self, client: WeaviateAsyncClient) -> WeaviateAsyncClient:
        async with self._opening:
            if not self._connected:
                await client.connect()
                self._connected = True
            return client

    def _build(self) -> WeaviateAsyncClient:
        import weaviate
        from weaviate.classes.init import AdditionalConfig, Auth, Timeout

        wait = self._deadline_s
        return weaviate.use_async_with_custom(
            http_host=self._host,
            http_port=self._port,
            http_secure=self._secure,
            grpc_host=self._host,
            grpc_port=self._grpc_port,
            grpc_secure=self._secure,
            auth_credentials=Auth.api_key(self._key) if self._key else None,
            additional_config=AdditionalConfig(
                timeout=Timeout(init=wait, query=wait, insert=wait * WRITE_DEADLINES),
                trust_env=False,
            ),
            # Its checks would call the package index.
            skip_init_checks=True,
        )

    async def _create(self, client: WeaviateAsyncClient) -> None:
        from weaviate.classes.config import (
            Configure,
            DataType,
            Property,
            StopwordsPreset,
            Tokenization,
        )
        from weaviate.exceptions import UnexpectedStatusCodeError

        if self._created or await client.collections.exists(self._name):
            self._created = True
            return
        exact = {"source", "passage_id", "digest"}
        whole_numbers = {"start", "end"}
        properties = [
            Property(
                name=name,
                data_type=DataType.INT if name in whole_numbers else DataType.TEXT,
                tokenization=None if name in whole_numbers else Tokenization.FIELD,
                index_filterable=name in exact,
                index_searchable=False,
            )
            for name in (*STORED, "digest")
        ]
        searched = Property(
            name="terms",
            data_type=DataType.TEXT,
            tokenization=Tokenization.WHITESPACE,
            index_filterable=False,
            index_searchable=True,
        )
        try:
            await client.collections.create(
                self._ledgers,
                properties=[Property(name=n, data_type=DataType.TEXT) for n in LEDGER],
                vector_config=Configure.Vectors.self_provided(),
            )
            await client.collections.create(
                self._name,
                properties=[*properties, searched],
                vector_config=Configure.Vectors.self_provided(name=VECTOR),
                multi_tenancy_config=Configure.multi_tenancy(
                    enabled=True, auto_tenant_creation=True, auto_tenant_activation=True
                ),
                inverted_index_config=Configure.inverted_index(
                    bm25_k1=1.2, bm25_b=0.75, stopwords_preset=StopwordsPreset.NONE
                ),
            )
        except UnexpectedStatusCodeError:
            # Another process may have been quicker.
            if not await client.collections.exists(self._name):
                raise

    async def _ledger(self, client: WeaviateAsyncClient, tenant: str) -> Ledger | None:
        """Return what is noted for a tenant, None when it has stored nothing."""
        if not self._created and not await client.collections.exists(self._name):
            raise KnowledgeMissing(
                f"no knowledge on Weaviate at {self._url}", hint="run `antiphon ingest PATH` first"
            )
        self._created = True
        found = await client.collections.use(self._ledgers).query.fetch_object_by_id(
            uuid.uuid5(NAMESPACE, tenant)
        )
        if found is None:
            return None
        noted = found.properties
        return Ledger(
            version=str(noted["version"]),
            embedder=str(noted["embedder"]),
            languages=tuple(json.loads(str(noted["languages"]))),
        )

    async def _note(self, tenant: str, languages: set[str]) -> None:
        """Give the tenant a new version: before a change and after it, so that none goes unseen."""
        values = {
            "version": uuid.uuid4().hex,
            "embedder": self._embedder.name,
            "languages": json.dumps(sorted(languages)),
        }
        key = uuid.uuid5(NAMESPACE, tenant)
        async with self._call(WRITE_DEADLINES) as client:
            ledgers = client.collections.use(self._ledgers).data
            if await ledgers.exists(key):
                await ledgers.replace(key, values)
            else:
                await ledgers.insert(values, uuid=key)

    async def _stored(
        self, client: WeaviateAsyncClient, tenant: str, source: str
    ) -> dict[str, str]:
        """Return the content digest of each passage stored for a source."""
        from weaviate.classes.query import Filter
        from weaviate.exceptions import WeaviateQueryError

        passages = self._passages(client, tenant)
        try:
            found = await passages.query.fetch_objects(
                filters=Filter.by_property("source").equal(source),
                return_properties=["passage_id", "digest"],
                limit=MAX_PER_SOURCE,
            )
        except WeaviateQueryError as error:
            if "tenant not found" in str(error):
                return {}
            raise
        return {
            str(one.properties["passage_id"]): str(one.properties["digest"])
            for one in found.objects
        }

    async def _insert(
        self, tenant: str, passages: Sequence[Passage], vectors: Sequence[Sequence[float]]
    ) -> None:
        from weaviate.classes.data import DataObject

        objects = [
            DataObject(
                properties=_properties(passage),
                vector={VECTOR: list(vector)},
                uuid=uuid.uuid5(NAMESPACE, f"{tenant}\n{passage.id}"),
            )
            for passage, vector in zip(passages, vectors, strict=True)
        ]
        async with self._call(WRITE_DEADLINES) as client:
            done = await self._passages(client, tenant).data.insert_many(objects)
        if done.has_errors:
            first = next(iter(done.errors.values())).message
            raise KnowledgeError(
                f"Weaviate refused {len(done.errors)} of {len(objects)} passages: {first}",
                hint="ingest again; what was stored is kept",
            )

    async def _delete(self, tenant: str, source: str, ids: Sequence[str]) -> None:
        from weaviate.classes.query import Filter

        chosen = Filter.by_property("source").equal(source) & Filter.by_property(
            "passage_id"
        ).contains_any(list(ids))
        async with self._call(WRITE_DEADLINES) as client:
            await self._passages(client, tenant).data.delete_many(where=chosen)

    async def _hybrid(
        self, passages: Collection, words: Sequence[str], vector: list[float], limit: int
    ) -> Sequence[Found]:
        from weaviate.classes.query import HybridFusion, MetadataQuery

        found = await passages.query.hybrid(
            " ".join(words),
            # With no word to search for, a keyword leg would only scale the scores down.
            alpha=self._alpha if words else 1.0,
            vector={VECTOR: vector},
            target_vector=VECTOR,
            query_properties=["terms"],
            fusion_type=HybridFusion.RELATIVE_SCORE,
            limit=limit,
            include_vector=[VECTOR],
            return_properties=list(STORED),
            return_metadata=MetadataQuery(score=True),
        )
        return cast("Sequence[Found]", found.objects)

    async def _counts(self, client: WeaviateAsyncClient, tenant: str) -> dict[str, int]:
        from weaviate.classes.aggregate import GroupByAggregate

        found = await self._passages(client, tenant).aggregate.over_all(
            group_by=GroupByAggregate(prop="source", limit=MAX_PER_SOURCE), total_count=True
        )
        counts = {str(g.grouped_by.value): g.total_count or 0 for g in found.groups}
        return dict(sorted((source, n) for source, n in counts.items() if n))

    @property
    def _ledgers(self) -> str:
        return f"{self._name}Ledger"

    def _passages(self, client: WeaviateAsyncClient, tenant: str) -> Collection:
        used = client.collections.use(self._name).with_tenant(_tenant_name(tenant))
        return cast("Collection", used)

    def _check_embedder(self, ledger: Ledger) -> None:
        if ledger.embedder != self._embedder.name:
            raise KnowledgeError(
                f"the knowledge was embedded by {ledger.embedder!r}, not {self._embedder.name!r}",
                hint=f"delete collection {self._name!r} and ingest again, or set the embedder back",
            )


def _tenant_name(tenant: str) -> str:
    """Fit any tenant into the server's alphabet; the prefixes keep two from ever meeting."""
    if re.fullmatch(r"[A-Za-z0-9_-]{1,60}", tenant):
        return f"t-{tenant}"
    return f"h-{blake2b(tenant.encode(), digest_size=24).hexdigest()}"


def _properties(passage: Passage) -> dict[str, str | int]:
    return {
        **dict(zip(STORED, record(passage), strict=True)),
        "digest": digest(passage),
        "terms": " ".join(terms(passage.searchable, passage.language)),
    }


def _hit(found: Found, near: np.ndarray[tuple[int, ...], np.dtype[np.float32]]) -> Hit:
    stored = cast("Record", tuple(found.properties[name] for name in STORED))
    vector = np.asarray(found.vector[VECTOR], dtype=np.float32)
    return Hit(
        passage=restore(stored), score=found.metadata.score or 0.0, cosine=float(vector @ near)
    )
