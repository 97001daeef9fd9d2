"""A Weaviate server as this package needs it: one connection, one deadline, one breaker.

The only file that knows the vendor's client. A `call` bounds a whole conversation with the server,
because the client alone may wait a minute for one that is down.
"""

from __future__ import annotations

import asyncio
import re
import uuid
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast
from urllib.parse import urlsplit

from antiphon.tools.errors import KnowledgeError, KnowledgeUnavailable, SettingsError
from antiphon.tools.resilience import Breaker

if TYPE_CHECKING:
    from weaviate import WeaviateAsyncClient
    from weaviate.classes.config import Property
    from weaviate.collections import CollectionAsync
    from weaviate.collections.classes.filters import _Filters as Condition
    from weaviate.collections.classes.internal import Object

    Collection = CollectionAsync[Mapping[str, "Value"], None]
    Found = Object[Mapping[str, "Value"], None]

Value = str | int | list[str]
VECTOR = "dense"
WRITE_DEADLINES = 10
"""A batch of passages may take this many search deadlines."""
MOST = 10_000
"""As many as the server returns at once."""
NUMBERS = frozenset({"start", "end", "day"})
LISTS = frozenset({"places", "access"})
FILTERED = frozenset({"source", "passage_id", "tongue", *LISTS, "day"})


class Vanished(KnowledgeError):
    """The collection or the tenant in it is gone: a reindex switched to another."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """A passage as the server keeps it."""

    key: uuid.UUID
    fields: Mapping[str, Value]
    vector: Sequence[float] = ()
    score: float = 0.0
    explained: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """One hybrid query."""

    words: Sequence[str]
    vector: Sequence[float]
    alpha: float
    limit: int
    must: Mapping[str, Sequence[str] | tuple[int, int]]
    """Per field: any of these values, or between these two numbers."""


class Server:
    """Where the knowledge lives; connects on first use."""

    def __init__(
        self, url: str, *, grpc_port: int, key: str, deadline_s: float, breaker: Breaker | None
    ) -> None:
        """Connect to nothing yet."""
        parts = urlsplit(url)
        if parts.scheme not in {"http", "https"} or not parts.hostname:
            raise SettingsError(f"not a Weaviate address: {url!r}", hint="http(s)://host:port")
        self.url = url
        self._host = parts.hostname
        self._secure = parts.scheme == "https"
        self._port = parts.port or (443 if self._secure else 8080)
        self._grpc_port = grpc_port
        self._key = key
        self._deadline_s = deadline_s
        self._breaker = breaker or Breaker()
        self._opening = asyncio.Lock()
        self._client: WeaviateAsyncClient | None = None
        self._connected = False

    @asynccontextmanager
    async def call(self, deadlines: float = 1) -> AsyncIterator[Session]:
        """Hold every conversation with the server to a deadline, and count how it went."""
        from grpc.aio import AioRpcError  # type: ignore[import-untyped]
        from weaviate.exceptions import WeaviateBaseError

        if not self._breaker.admit():
            raise KnowledgeUnavailable(
                f"Weaviate at {self.url} failed repeatedly and is left alone for a while",
                hint="check that the server runs",
            )
        try:
            client = await self._built()
            async with asyncio.timeout(self._deadline_s * deadlines):
                yield Session(await self._connect(client))
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

    async def close(self) -> None:
        """Close the connection; the next call opens it again."""
        client, self._client, self._connected = self._client, None, False
        if client is not None:
            await client.close()

    def _judged(self, error: Exception) -> KnowledgeError:
        text = f"{type(error).__name__}: {error}"
        if re.search(r"\b(401|403)\b|UNAUTHENTICATED|PERMISSION_DENIED", text):
            self._breaker.succeed()
            return KnowledgeError(
                f"Weaviate at {self.url} refused the key", hint="set ANTIPHON_WEAVIATE_KEY"
            )
        self._breaker.fail()
        return KnowledgeUnavailable(
            f"Weaviate at {self.url} did not answer within {self._deadline_s} s: {text[:300]}",
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


class Session:
    """What can be asked within one call."""

    def __init__(self, client: WeaviateAsyncClient) -> None:
        """Ask through this client."""
        self._client = client

    async def exists(self, name: str) -> bool:
        """Whether there is such a collection."""
        return bool(await self._client.collections.exists(name))

    async def make_ledgers(self, name: str, fields: Sequence[str]) -> None:
        """Make the collection of ledgers, or give it the fields it lacks."""
        from weaviate.classes.config import Configure, DataType, Property

        if not await self.exists(name):
            with self._raced():
                await self._client.collections.create(
                    name,
                    properties=[Property(name=n, data_type=DataType.TEXT) for n in fields],
                    vector_config=Configure.Vectors.self_provided(),
                )
        config = self._client.collections.use(name).config
        known = {one.name for one in (await config.get()).properties}
        for field in fields:
            if field not in known:
                await config.add_property(Property(name=field, data_type=DataType.TEXT))

    async def make_passages(self, name: str, fields: Sequence[str]) -> None:
        """Make a collection of passages: our vectors, our terms, one partition a tenant."""
        from weaviate.classes.config import (
            Configure,
            DataType,
            Property,
            StopwordsPreset,
            Tokenization,
        )

        if await self.exists(name):
            return
        searched = Property(
            name="terms",
            data_type=DataType.TEXT,
            tokenization=Tokenization.WHITESPACE,
            index_filterable=False,
            index_searchable=True,
        )
        with self._raced():
            await self._client.collections.create(
                name,
                properties=[*(_property(field) for field in fields), searched],
                vector_config=Configure.Vectors.self_provided(name=VECTOR),
                multi_tenancy_config=Configure.multi_tenancy(
                    enabled=True, auto_tenant_creation=True, auto_tenant_activation=True
                ),
                inverted_index_config=Configure.inverted_index(
                    bm25_k1=1.2, bm25_b=0.75, stopwords_preset=StopwordsPreset.NONE
                ),
            )

    async def noted(self, ledgers: str, key: uuid.UUID) -> Mapping[str, Value] | None:
        """Return one ledger's fields. Raises Vanished."""
        with _there(ledgers):
            found = await self._client.collections.use(ledgers).query.fetch_object_by_id(key)
        return None if found is None else cast("Mapping[str, Value]", found.properties)

    async def all_noted(self, ledgers: str) -> list[Mapping[str, Value]]:
        """Return every ledger's fields."""
        found = await self._client.collections.use(ledgers).query.fetch_objects(limit=MOST)
        return [cast("Mapping[str, Value]", one.properties) for one in found.objects]

    async def note(self, ledgers: str, key: uuid.UUID, fields: Mapping[str, str]) -> None:
        """Write one ledger."""
        data = self._client.collections.use(ledgers).data
        if await data.exists(key):
            await data.replace(key, dict(fields))
        else:
            await data.insert(dict(fields), uuid=key)

    async def tenants(self, name: str) -> list[str]:
        """Return the tenants of a collection, none when there is no such collection."""
        if not await self.exists(name):
            return []
        return list(await self._client.collections.use(name).tenants.get())

    async def drop_tenant(self, name: str, tenant: str) -> None:
        """Forget a tenant's partition, and the collection when it was the last."""
        if tenant not in await self.tenants(name):
            return
        await self._client.collections.use(name).tenants.remove([tenant])
        if not await self.tenants(name):
            await self._client.collections.delete(name)

    async def of_source(self, name: str, tenant: str, source: str) -> dict[str, str]:
        """Return the content digest of each passage stored for a source."""
        from weaviate.classes.query import Filter

        try:
            with _there(name):
                found = await self._partition(name, tenant).query.fetch_objects(
                    filters=Filter.by_property("source").equal(source),
                    return_properties=["passage_id", "digest"],
                    limit=MOST,
                )
        except Vanished:
            return {}
        return {str(o.properties["passage_id"]): str(o.properties["digest"]) for o in found.objects}

    async def page(
        self,
        name: str,
        tenant: str,
        *,
        after: uuid.UUID | None,
        limit: int,
        fields: Sequence[str],
        vectors: bool = False,
    ) -> list[Row]:
        """Return the next passages in the order of their keys."""
        found = await self._partition(name, tenant).query.fetch_objects(
            limit=limit,
            after=after,
            return_properties=list(fields),
            include_vector=[VECTOR] if vectors else False,
        )
        return [_row(one) for one in found.objects]

    async def insert(self, name: str, tenant: str, rows: Sequence[Row]) -> None:
        """Store passages; those refused are reported, the others stay."""
        from weaviate.classes.data import DataObject
        from weaviate.exceptions import WeaviateInsertManyAllFailedError

        objects = [
            DataObject(properties=dict(row.fields), vector={VECTOR: list(row.vector)}, uuid=row.key)
            for row in rows
        ]
        try:
            done = await self._partition(name, tenant).data.insert_many(objects)
        except WeaviateInsertManyAllFailedError as error:
            refused, why = list(range(len(rows))), str(error)
        else:
            if not done.has_errors:
                return
            refused, why = list(done.errors), next(iter(done.errors.values())).message
        # One refused for its vector is stored without it, and would pass for unchanged next time.
        await self.delete(name, tenant, [rows[at].key for at in refused])
        raise KnowledgeError(
            f"Weaviate refused {len(refused)} of {len(rows)} passages: {why[:300]}",
            hint="ingest again; what was stored is kept",
        )

    async def delete(self, name: str, tenant: str, keys: Sequence[uuid.UUID]) -> None:
        """Forget passages."""
        from weaviate.classes.query import Filter

        await self._partition(name, tenant).data.delete_many(
            where=Filter.by_id().contains_any(list(keys))
        )

    async def counts(self, name: str, tenant: str) -> dict[str, int]:
        """Return passages per source. Raises Vanished."""
        from weaviate.classes.aggregate import GroupByAggregate

        with _there(name):
            found = await self._partition(name, tenant).aggregate.over_all(
                group_by=GroupByAggregate(prop="source", limit=MOST), total_count=True
            )
        counts = {str(g.grouped_by.value): g.total_count or 0 for g in found.groups}
        return dict(sorted((source, n) for source, n in counts.items() if n))

    async def hybrid(
        self, name: str, tenant: str, look: Look, *, fields: Sequence[str] = ()
    ) -> list[Row]:
        """Return the best rows by relative-score fusion. Raises Vanished."""
        from weaviate.classes.query import HybridFusion, MetadataQuery

        with _there(name):
            found = await self._partition(name, tenant).query.hybrid(
                " ".join(look.words),
                # With no word to search for, a keyword leg would only scale the scores down.
                alpha=look.alpha if look.words else 1.0,
                vector={VECTOR: list(look.vector)},
                target_vector=VECTOR,
                query_properties=["terms"],
                fusion_type=HybridFusion.RELATIVE_SCORE,
                limit=look.limit,
                filters=_condition(look.must),
                include_vector=[VECTOR],
                return_properties=list(fields) or False,
                return_metadata=MetadataQuery(score=True, explain_score=bool(fields)),
            )
        return [_row(one) for one in found.objects]

    def _partition(self, name: str, tenant: str) -> Collection:
        return cast("Collection", self._client.collections.use(name).with_tenant(tenant))

    def _raced(self) -> suppress:
        """Let another process have been quicker: using what it made shows any real fault."""
        from weaviate.exceptions import UnexpectedStatusCodeError

        return suppress(UnexpectedStatusCodeError)


@contextmanager
def _there(name: str) -> Iterator[None]:
    """Tell a collection or tenant that is gone from a query that failed."""
    from weaviate.exceptions import WeaviateQueryError

    try:
        yield
    except WeaviateQueryError as error:
        if re.search(r"tenant not found|could not find class|class .*not found", str(error)):
            raise Vanished(f"there is no such tenant in {name!r} any more") from error
        raise


def _property(name: str) -> Property:
    from weaviate.classes.config import DataType, Property, Tokenization

    if name in NUMBERS:
        return Property(
            name=name,
            data_type=DataType.INT,
            index_filterable=name in FILTERED,
            index_range_filters=name in FILTERED,
        )
    return Property(
        name=name,
        data_type=DataType.TEXT_ARRAY if name in LISTS else DataType.TEXT,
        tokenization=Tokenization.FIELD,
        index_filterable=name in FILTERED,
        index_searchable=False,
    )


def _condition(must: Mapping[str, Sequence[str] | tuple[int, int]]) -> Condition | None:
    from weaviate.classes.query import Filter

    chosen = []
    for field, wanted in must.items():
        by = Filter.by_property(field)
        if field in NUMBERS:
            low, high = cast("tuple[int, int]", wanted)
            chosen += [by.greater_or_equal(low), by.less_or_equal(high)]
        else:
            chosen.append(by.contains_any(cast("list[str]", list(wanted))))
    return Filter.all_of(chosen) if chosen else None


def _row(found: Found) -> Row:
    vector = found.vector.get(VECTOR, ()) if isinstance(found.vector, dict) else ()
    return Row(
        key=found.uuid,
        fields=found.properties or {},
        vector=cast("Sequence[float]", vector),
        score=found.metadata.score or 0.0,
        explained=found.metadata.explain_score or "",
    )
