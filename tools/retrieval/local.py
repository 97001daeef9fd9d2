"""Knowledge in one SQLite file: BM25 by FTS5, cosines by numpy, fused. No server, no download."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from antiphon.tools.retrieval.fusion import min_max
from antiphon.tools.retrieval.passages import Change, Embedder, Hit, Inventory, Passage
from antiphon.tools.retrieval.records import digest
from antiphon.tools.retrieval.sqlite_file import Index, PassageFile, Vectors

DEPTH = 100
"""Candidates per leg at least: a deep list gives fusion a steadier scale than twice the limit."""


FEEDBACK = 0.4
FEEDBACK_FROM = 2
"""The query moves towards the first passages by this weight and looks again (Rocchio, 1971)."""


class SqliteKnowledge:
    """The default `Knowledge`: exact vector search, fine to some hundred thousand passages."""

    def __init__(self, path: Path, embedder: Embedder, *, alpha: float = 0.5) -> None:
        """Open nothing yet; `alpha` is the vectors' share of a score."""
        self._file = PassageFile(path, embedder=embedder)
        self._embedder = embedder
        self._alpha = alpha

    async def search(self, query: str, *, tenant: str, limit: int = 10) -> tuple[Hit, ...]:
        """Return the best hits, best first, by hybrid search."""
        vector = np.asarray((await self._embedder.embed([query]))[0], dtype=np.float32)
        return await asyncio.to_thread(self._search, query, vector, tenant, limit)

    async def upsert(self, source: str, passages: Sequence[Passage], *, tenant: str) -> Change:
        """Make `source` consist of exactly these passages; embed only those that are new."""
        wanted = {passage.id: passage for passage in passages}
        stored = await asyncio.to_thread(self._file.digests, source, tenant=tenant)
        fresh = [p for p in wanted.values() if stored.get(p.id) != digest(p)]
        made = await self._embedder.embed([p.searchable for p in fresh]) if fresh else []
        vectors = {
            p.id: np.asarray(vector, dtype=np.float32)
            for p, vector in zip(fresh, made, strict=True)
        }
        return await asyncio.to_thread(self._file.replace, source, wanted, vectors, tenant)

    async def remove(self, sources: Sequence[str], *, tenant: str) -> int:
        """Forget whole sources; return how many passages went."""
        return await asyncio.to_thread(self._file.remove, sources, tenant=tenant)

    async def inventory(self, *, tenant: str) -> Inventory:
        """Say what is stored, and under which version."""
        sources, version = await asyncio.to_thread(self._file.sources, tenant=tenant)
        return Inventory(sources=sources, version=version, backend="sqlite")

    async def close(self) -> None:
        """Close the file; the next call opens it again."""
        await asyncio.to_thread(self._file.close)

    def _search(self, query: str, vector: Vectors, tenant: str, limit: int) -> tuple[Hit, ...]:
        depth = max(DEPTH, 2 * limit)
        matches = self._file.matches(query, tenant=tenant, depth=depth)
        if matches is None:
            return ()
        index, bm25 = matches
        cosines = index.vectors @ vector
        first = self._fused(index, bm25, cosines, depth)
        closer = vector + FEEDBACK * index.vectors[list(first)[:FEEDBACK_FROM]].mean(axis=0)
        fused = self._fused(index, bm25, index.vectors @ closer, depth)
        best = {index.ids[at]: at for at in list(fused)[:limit]}
        found = self._file.passages(list(best), tenant=tenant)
        return tuple(
            Hit(passage=found[key], score=fused[at], bm25=bm25.get(at), cosine=float(cosines[at]))
            for key, at in best.items()
            if key in found
        )

    def _fused(
        self, index: Index, bm25: Mapping[int, float], cosines: Vectors, depth: int
    ) -> dict[int, float]:
        count = min(depth, len(index.ids))
        nearest = np.argpartition(-cosines, count - 1)[:count].tolist()
        return min_max(bm25, {at: float(cosines[at]) for at in nearest}, self._alpha)
