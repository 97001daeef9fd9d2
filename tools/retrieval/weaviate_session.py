"""What a Weaviate server is asked: ledgers, passages, and the hybrid search of them."""

from __future__ import annotations

import re
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

from antiphon.tools.errors import KnowledgeError
from antiphon.tools.retrieval.ledger import Must, Value
from antiphon.tools.retrieval.weaviate_schema import NUMBERS, VECTOR, Schema

if TYPE_CHECKING:
    from weaviate import WeaviateAsyncClient
    from weaviate.collections import CollectionAsync
    from weaviate.collections.classes.filters import _Filters as Condition
    from weaviate.collections.classes.internal import Object

    Collection = CollectionAsync[Mapping[str, Value], None]
    Found = Object[Mapping[str, Value], None]

MOST = 10_000
"""As many as the server returns at once."""


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
    must: Must
    """Per field: any of these values, or between these two numbers."""


class Session:
    """What can be asked within one call."""

    def __init__(self, client: WeaviateAsyncClient) -> None:
        """Ask through this client."""
        self._client = client
        self.schema = Schema(client)

    async def noted(self, ledgers: str, key: uuid.UUID) -> Mapping[str, Value] | None:
        """Return one ledger's fields. Raises Vanished."""
        with _there(ledgers):
            found = await self._client.collections.use(ledgers).query.fetch_object_by_id(key)
        return None if found is None else cast("Mapping[str, Value]", found.properties)

    async def all_noted(self, ledgers: str) -> list[Mapping[str, Value]]:
        """Return every ledger's fields."""
        query = self._client.collections.use(ledgers).query
        found: list[Mapping[str, Value]] = []
        after: uuid.UUID | None = None
        while page := (await query.fetch_objects(limit=MOST, after=after)).objects:
            found += [cast("Mapping[str, Value]", one.properties) for one in page]
            after = page[-1].uuid
        return found

    async def note(self, ledgers: str, key: uuid.UUID, fields: Mapping[str, str]) -> None:
        """Write one ledger, over the one that is there."""
        from weaviate.classes.data import DataObject

        # A single insert refuses what exists; one of many does not.
        await self._client.collections.use(ledgers).data.insert_many(
            [DataObject(properties=dict(fields), uuid=key)]
        )

    async def of_sources(self, name: str, tenant: str, sources: Sequence[str]) -> list[Row]:
        """Return source, id and digest of what is stored for these sources, `MOST` at most."""
        from weaviate.classes.query import Filter

        try:
            with _there(name):
                found = await self._partition(name, tenant).query.fetch_objects(
                    filters=Filter.by_property("source").contains_any(list(sources)),
                    return_properties=["source", "passage_id", "digest"],
                    limit=MOST,
                )
        except Vanished:
            return []
        return [_row(one) for one in found.objects]

    async def matching(
        self, name: str, tenant: str, must: Must, *, fields: Sequence[str]
    ) -> list[Row]:
        """Return the passages that meet every condition, `MOST` at most. Raises Vanished."""
        with _there(name):
            found = await self._partition(name, tenant).query.fetch_objects(
                filters=_condition(must), return_properties=list(fields), limit=MOST
            )
        return [_row(one) for one in found.objects]

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
        """Return the next passages in the order of their keys. Raises Vanished."""
        with _there(name):
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

    async def hybrid(self, name: str, tenant: str, look: Look, *, explain: bool) -> list[Row]:
        """Return the best by relative-score fusion, without fields. Raises Vanished."""
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
                return_properties=False,
                return_metadata=MetadataQuery(score=True, explain_score=explain),
            )
        return [_row(one) for one in found.objects]

    async def keyword(
        self, name: str, tenant: str, words: Sequence[str], keys: Sequence[uuid.UUID]
    ) -> dict[uuid.UUID, float]:
        """Return the raw keyword scores of those of these passages that have any of the words."""
        from weaviate.classes.query import Filter, MetadataQuery

        if not words or not keys:
            return {}
        with _there(name):
            found = await self._partition(name, tenant).query.bm25(
                " ".join(words),
                query_properties=["terms"],
                limit=len(keys),
                filters=Filter.by_id().contains_any(list(keys)),
                return_properties=False,
                return_metadata=MetadataQuery(score=True),
            )
        return {one.uuid: one.metadata.score or 0.0 for one in found.objects}

    async def cosines(
        self, name: str, tenant: str, vector: Sequence[float], keys: Sequence[uuid.UUID]
    ) -> dict[uuid.UUID, float]:
        """Return how near each of these passages is to a vector."""
        from weaviate.classes.query import Filter, MetadataQuery

        with _there(name):
            found = await self._partition(name, tenant).query.near_vector(
                list(vector),
                target_vector=VECTOR,
                limit=len(keys),
                filters=Filter.by_id().contains_any(list(keys)),
                return_properties=False,
                return_metadata=MetadataQuery(distance=True),
            )
        return {one.uuid: 1.0 - (one.metadata.distance or 0.0) for one in found.objects}

    async def of_keys(
        self, name: str, tenant: str, keys: Sequence[uuid.UUID], fields: Sequence[str] = ()
    ) -> dict[uuid.UUID, Row]:
        """Return these passages with their vectors."""
        from weaviate.classes.query import Filter

        with _there(name):
            found = await self._partition(name, tenant).query.fetch_objects(
                filters=Filter.by_id().contains_any(list(keys)),
                limit=len(keys),
                include_vector=[VECTOR],
                return_properties=list(fields) or False,
            )
        return {one.uuid: _row(one) for one in found.objects}

    def _partition(self, name: str, tenant: str) -> Collection:
        return cast("Collection", self._client.collections.use(name).with_tenant(tenant))


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


def _condition(must: Must) -> Condition | None:
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
