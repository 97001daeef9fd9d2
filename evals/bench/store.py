"""The knowledge that a bench fills and searches: one store, opened with any weight of its legs."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Protocol

from antiphon.evals.bench.collection import Collection
from antiphon.evals.bench.vectors import BATCH, BenchVectors
from antiphon.graphs.settings import Settings
from antiphon.tools.errors import InputError
from antiphon.tools.models.embeddings import dense_share, make_embedder
from antiphon.tools.retrieval.local import SqliteKnowledge
from antiphon.tools.retrieval.passages import Embedder, Knowledge, Passage

TENANT = "bench"
WRITERS = {"local": 1, "weaviate": BATCH}
"""Documents stored side by side: a server takes them as one, a file in order, so that ties of two
runs fall alike."""
SPEED_SAMPLE = 128
"""Documents embedded again where the vectors of all were kept."""


class Closable(Knowledge, Protocol):
    """A backend that holds a file or a connection."""

    async def close(self) -> None:
        """Let go of it."""
        ...


class Store:
    """Opens the same passages more than once, each time with another weight."""

    def __init__(
        self, backend: str, settings: Settings, folder: Path, *, alpha: float = 0.5
    ) -> None:
        """Raise InputError for a backend that is not there; `alpha` is the vectors' share."""
        if backend not in ("local", "weaviate"):
            raise InputError(f"there is no backend {backend!r}", hint="local or weaviate")
        if backend == "weaviate" and not settings.weaviate_url:
            raise InputError(
                "the backend 'weaviate' needs a server",
                hint="Set ANTIPHON_WEAVIATE_URL and ANTIPHON_WEAVIATE_GRPC_PORT.",
            )
        self._backend = backend
        self._settings = settings
        self._folder = folder
        self._alpha = alpha

    @asynccontextmanager
    async def opened(
        self, embedder: Embedder, alpha: float | None = None
    ) -> AsyncIterator[Closable]:
        """Open it, `alpha` in place of the share it was made with."""
        knowledge = self._made(embedder, self._alpha if alpha is None else alpha)
        try:
            yield knowledge
        finally:
            await knowledge.close()

    @asynccontextmanager
    async def filled(
        self, documents: Sequence[Passage], vectors: BenchVectors
    ) -> AsyncIterator[tuple[Closable, float]]:
        """Fill it, yield it with the passages it took per second, and leave nothing behind."""
        async with self.opened(vectors) as knowledge:
            try:
                speed = await _fill(knowledge, documents, vectors, WRITERS[self._backend])
                yield knowledge, speed
            finally:
                if self._backend == "weaviate":
                    await knowledge.remove([d.source for d in documents], tenant=TENANT)

    def _made(self, embedder: Embedder, alpha: float) -> Closable:
        if self._backend == "local":
            return SqliteKnowledge(self._folder / "bench.db", embedder, alpha=alpha)
        from antiphon.tools.retrieval.weaviate import WeaviateKnowledge

        return WeaviateKnowledge(
            self._settings.weaviate_url,
            grpc_port=self._settings.weaviate_grpc_port,
            key=self._settings.weaviate_key.get_secret_value(),
            embedder=embedder,
            alpha=alpha,
            collection="AntiphonBench",
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Shelf:
    """A collection in a store, ready to be asked."""

    knowledge: Closable
    store: Store
    vectors: BenchVectors
    passages_per_s: float


@asynccontextmanager
async def shelved(
    data: Path, collection: Collection, settings: Settings, *, backend: str, cache: bool
) -> AsyncIterator[Shelf]:
    """Fill a store as an assistant in the collection's language would; keep vectors by `cache`."""
    vectors = bench_vectors(data, collection, settings, cache=cache)
    share = dense_share(vectors, (collection.language,))
    with TemporaryDirectory() as folder:
        store = Store(backend, settings, Path(folder), alpha=share)
        try:
            async with store.filled(collection.documents, vectors) as (knowledge, speed):
                yield Shelf(knowledge=knowledge, store=store, vectors=vectors, passages_per_s=speed)
        finally:
            vectors.save()


def bench_vectors(
    data: Path, collection: Collection, settings: Settings, *, cache: bool
) -> BenchVectors:
    """Return the vectors of the embedder for the collection's language."""
    kept = settings.data_dir / "bench" / f"{data.name}.npz" if cache else None
    return BenchVectors(make_embedder(settings.embedder, (collection.language,)), kept)


async def _fill(
    knowledge: Knowledge, documents: Sequence[Passage], vectors: BenchVectors, writers: int
) -> float:
    """Embed in batches, store document by document; return passages per second.

    Where vectors were kept, a sample says what embedding them would have taken.
    """
    began, spent, made = time.perf_counter(), vectors.spent_s, vectors.made
    for start in range(0, len(documents), BATCH):
        batch = documents[start : start + BATCH]
        await vectors.embed([document.searchable for document in batch])
        for at in range(0, len(batch), writers):
            side_by_side = batch[at : at + writers]
            await asyncio.gather(
                *(knowledge.upsert(one.source, [one], tenant=TENANT) for one in side_by_side)
            )
    embedding, embedded = vectors.spent_s - spent, vectors.made - made
    storing = time.perf_counter() - began - embedding
    if embedded < len(documents):
        unread = vectors.unread()
        await unread.embed(
            [one.searchable for one in documents[:: max(1, len(documents) // SPEED_SAMPLE)]]
        )
        embedding, embedded = unread.spent_s, unread.made
    return 1 / (embedding / embedded + storing / len(documents))
