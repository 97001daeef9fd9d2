"""Knowledge in one SQLite file: BM25 and cosines by numpy, fused. No server, no download."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import islice
from pathlib import Path

import numpy as np

from antiphon.tools.retrieval.analysis import query_terms
from antiphon.tools.retrieval.context import Citation
from antiphon.tools.retrieval.fusion import DEPTH, FEEDBACK, FEEDBACK_FROM, zmuv
from antiphon.tools.retrieval.index import Index, Rows, Vectors, best, ranks
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
from antiphon.tools.retrieval.records import digest
from antiphon.tools.retrieval.sqlite_file import PassageFile
from antiphon.tools.retrieval.sqlite_reindex import Reindexing
from antiphon.tools.retrieval.visibility import OPEN, days

POOL = 1000
"""Where a moved query looks again: its nearest are among the nearest of the first look."""
BATCH = 128


class SqliteKnowledge:
    """The default `Knowledge`: exact vector search, fine to some hundred thousand passages."""

    def __init__(self, path: Path, embedder: Embedder, *, alpha: float = 0.5) -> None:
        """Open nothing yet; `alpha` is the vectors' share of a score."""
        self._file = PassageFile(path, embedder=embedder)
        self._embedder = embedder
        self._alpha = alpha

    async def search(
        self, query: str, *, tenant: str, limit: int = 10, where: Where | None = None
    ) -> tuple[Hit, ...]:
        """Return the best hits, best first, by hybrid search of what `where` lets be seen."""
        seen = where or OPEN
        days(seen)
        vector = np.asarray((await self._embedder.embed([query]))[0], dtype=np.float32)
        return await asyncio.to_thread(self._search, query, vector, tenant, limit, seen)

    async def upsert(self, source: str, passages: Sequence[Passage], *, tenant: str) -> Change:
        """Make `source` consist of exactly these passages; embed only texts that are new."""
        wanted = {passage.id: passage for passage in passages}
        stored = await asyncio.to_thread(self._file.digests, source, tenant=tenant)
        fresh = [p for p in wanted.values() if stored.get(p.id) != digest(p)]
        gone = [key for key in stored if key not in wanted]
        known: dict[str, Vectors] = {}
        if fresh and gone:
            # An edit above a passage moves it: another passage, the same vector.
            known = await asyncio.to_thread(self._file.vectors, gone, tenant=tenant)
        texts = [text for p in fresh if (text := p.searchable) not in known]
        made = await self._embedder.embed(texts) if texts else []
        known |= {
            text: np.asarray(vector, dtype=np.float32)
            for text, vector in zip(texts, made, strict=True)
        }
        vectors = {p.id: known[p.searchable] for p in fresh}
        return await asyncio.to_thread(self._file.replace, source, wanted, vectors, tenant)

    async def remove(self, sources: Sequence[str], *, tenant: str) -> int:
        """Forget whole sources; return how many passages went."""
        return await asyncio.to_thread(self._file.remove, sources, tenant=tenant)

    async def inventory(self, *, tenant: str) -> Inventory:
        """Say what is stored, and under which version."""
        sources, version = await asyncio.to_thread(self._file.sources, tenant=tenant)
        return Inventory(sources=sources, version=version, backend="sqlite")

    async def stand(self, citations: Sequence[Citation], *, tenant: str) -> bool:
        """Say whether each quote stands at its place, where everyone of the tenant may see it."""
        places = [(one.source, one.start, one.end) for one in citations]
        return standing(
            citations, await asyncio.to_thread(self._file.covering, places, tenant=tenant)
        )

    async def migrate(self, *, progress: Progress | None = None) -> Migration:
        """Bring an older release's file up to this one's schema, and to this embedder."""
        done = await asyncio.to_thread(self._file.migrate)
        if done.before == 0:
            return done
        again = await self._rebuild(None, stale=True, progress=progress)
        return replace(done, embedded=again.passages)

    async def reindex(
        self, *, tenant: str | None = None, progress: Progress | None = None
    ) -> Reindexed:
        """Embed all passages anew beside the vectors in use, then switch; resumes if killed."""
        return await self._rebuild(tenant, stale=False, progress=progress)

    async def close(self) -> None:
        """Close the file; the next call opens it again."""
        await asyncio.to_thread(self._file.close)

    async def _rebuild(
        self, tenant: str | None, *, stale: bool, progress: Progress | None
    ) -> Reindexed:
        name = self._embedder.name
        work = Reindexing(self._file, embedder=name, tenant=tenant, stale=stale)
        passages = await asyncio.to_thread(work.begin)
        switched = not passages
        while not switched:
            done = 0
            while batch := await asyncio.to_thread(work.waiting, after=done, limit=BATCH):
                vectors = await self._embedder.embed([one.text for one in batch])
                await asyncio.to_thread(work.set_aside, batch, vectors)
                done = batch[-1].row
                if progress is not None:
                    progress(*await asyncio.to_thread(work.made))
            switched = await asyncio.to_thread(work.switch)
        return Reindexed(tenants=work.tenants, passages=passages, embedder=name)

    def _search(
        self, query: str, vector: Vectors, tenant: str, limit: int, where: Where
    ) -> tuple[Hit, ...]:
        index = self._file.index(tenant=tenant)
        if index is None:
            return ()
        seen, depth = index.visible(where), max(DEPTH, 2 * limit)
        words = index.postings.scores(query_terms(query, index.languages.values))
        found = seen[words[seen] > 0]
        bm25 = best(found, words[found], depth)
        cosines = index.vectors @ vector
        near = best(seen, cosines[seen], POOL)
        first = self._fused(bm25, dict(islice(near.items(), depth)), words, cosines)
        moved = self._moved(index, list(first), vector, np.array([*near, *bm25], dtype=np.intp))
        dense = best(seen, moved[seen], depth)
        fused = self._fused(bm25, dense, words, moved)
        chosen = {index.ids[at]: at for at in list(fused)[:limit]}
        passages = self._file.passages(list(chosen), tenant=tenant)
        by_keyword, by_vector = ranks(bm25), ranks(dense)
        return tuple(
            Hit(
                passage=passages[key],
                score=fused[at],
                bm25=float(words[at]) or None,
                cosine=float(cosines[at]),
                keyword_rank=by_keyword.get(at),
                dense_rank=by_vector.get(at),
            )
            for key, at in chosen.items()
            if key in passages
        )

    def _fused(
        self, bm25: Mapping[int, float], dense: Mapping[int, float], words: Vectors, near: Vectors
    ) -> dict[int, float]:
        """Judge the candidates of either leg by what both legs say of them, best first."""
        rows = np.array(sorted({*bm25, *dense}), dtype=np.intp)
        scores = zmuv(words[rows].tolist(), near[rows].tolist(), self._alpha)
        return best(rows, scores, len(rows))

    def _moved(self, index: Index, first: Sequence[int], vector: Vectors, rows: Rows) -> Vectors:
        """Move the query towards what was found first; return the cosines of `rows` to it.

        The others are too far off to matter, and get the least there is.
        """
        near = np.full(len(index.ids), -np.inf, dtype=np.float32)
        if first:
            towards = index.vectors[list(first)[:FEEDBACK_FROM]].mean(axis=0)
            near[rows] = index.vectors[rows] @ (vector + FEEDBACK * towards)
        return near
