"""The collections on a Weaviate server: passages, one partition a tenant, and their ledgers.

The vectors are our own and so are the terms: stemmed as the SQLite backend stems them, so that
both rank alike.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from weaviate import WeaviateAsyncClient
    from weaviate.classes.config import Property

VECTOR = "dense"
NUMBERS = frozenset({"start", "end", "day"})
LISTS = frozenset({"places", "access"})
FILTERED = frozenset({"source", "passage_id", "tongue", *LISTS, "day"})


class Schema:
    """Makes, changes and drops collections within one call."""

    def __init__(self, client: WeaviateAsyncClient) -> None:
        """Ask through this client."""
        self._client = client

    async def exists(self, name: str) -> bool:
        """Whether there is such a collection."""
        return bool(await self._client.collections.exists(name))

    async def named(self, beginning: str) -> list[str]:
        """Return the collections whose names begin so."""
        found = await self._client.collections.list_all(simple=True)
        return [name for name in found if name.startswith(beginning)]

    async def make_ledgers(self, name: str, fields: Sequence[str]) -> None:
        """Make the collection of ledgers, or give it the fields it lacks."""
        from weaviate.classes.config import Configure, DataType, Property

        if not await self.exists(name):
            with _raced():
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
        from weaviate.classes.config import Configure, StopwordsPreset

        if await self.exists(name):
            return
        with _raced():
            await self._client.collections.create(
                name,
                properties=[*(_property(field) for field in fields), _terms()],
                vector_config=Configure.Vectors.self_provided(name=VECTOR),
                multi_tenancy_config=Configure.multi_tenancy(
                    enabled=True, auto_tenant_creation=True, auto_tenant_activation=True
                ),
                inverted_index_config=Configure.inverted_index(
                    bm25_k1=1.2, bm25_b=0.75, stopwords_preset=StopwordsPreset.NONE
                ),
            )

    async def tenants(self, name: str) -> list[str]:
        """Return the tenants of a collection, none when there is no such collection."""
        if not await self.exists(name):
            return []
        return list(await self._client.collections.use(name).tenants.get())

    async def make_tenant(self, name: str, tenant: str) -> None:
        """Make a tenant's partition, if there is none: one that is searched must be there."""
        partitions = self._client.collections.use(name).tenants
        if not await partitions.exists(tenant):
            await partitions.create(tenant)

    async def drop_tenant(self, name: str, tenant: str) -> None:
        """Forget a tenant's partition."""
        await self._client.collections.use(name).tenants.remove([tenant])

    async def drop(self, name: str) -> None:
        """Forget a collection and all that is in it."""
        await self._client.collections.delete(name)


def _raced() -> suppress:
    """Let another process have been quicker: using what it made shows any real fault."""
    from weaviate.exceptions import UnexpectedStatusCodeError

    return suppress(UnexpectedStatusCodeError)


def _terms() -> Property:
    from weaviate.classes.config import DataType, Property, Tokenization

    return Property(
        name="terms",
        data_type=DataType.TEXT,
        tokenization=Tokenization.WHITESPACE,
        index_filterable=False,
        index_searchable=True,
    )


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
