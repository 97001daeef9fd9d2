"""The search of a turn: several wordings, one ranking, no stale version, reranked within a time.

It stands above the `Knowledge` Protocol, so that every backend gets the same treatment, and keeps
what each stage did for `antiphon search --explain`.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace

from antiphon.tools.errors import AntiphonError
from antiphon.tools.retrieval.fusion import standardised, unit_range
from antiphon.tools.retrieval.passages import Hit, Knowledge, Where
from antiphon.tools.retrieval.rerank import WORDING, Reranker
from antiphon.tools.retrieval.versions import Dropped, distinct

SPARE = 2
"""Candidates per passage wanted: what stale versions and the reranker may use up."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """What one stage left, best first."""

    name: str
    """`search`, `join`, `newest` or `rerank`."""
    ranking: tuple[tuple[str, float], ...]
    """Passage ids with the scores they had after it."""
    ms: float
    query: str = ""
    """What was searched for, of a `search`."""
    note: str = ""
    """Why a stage did not do its work, empty when it did."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """What a search came to, and how."""

    hits: tuple[Hit, ...]
    """Best first; scores 0..1 within this search."""
    dropped: tuple[Dropped, ...] = ()
    stages: tuple[Stage, ...] = ()


class Retriever:
    """Searches a Knowledge as a conversation needs it."""

    def __init__(
        self,
        knowledge: Knowledge,
        *,
        reranker: Reranker | None = WORDING,
        rerank_s: float = 0.5,
    ) -> None:
        """Take the parts; without a reranker the fused order stands.

        Args:
            knowledge: where the passages are.
            reranker: gives the first passages a second look.
            rerank_s: how long it may take before the fused order is used instead.
        """
        self._knowledge = knowledge
        self._reranker = reranker
        self._rerank_s = rerank_s

    async def search(
        self, *queries: str, tenant: str, limit: int = 10, where: Where | None = None
    ) -> Found:
        """Return the best passages for one question in any number of wordings, the plainest first.

        Raises KnowledgeMissing, KnowledgeCorrupt or KnowledgeUnavailable.
        """
        wordings = tuple(dict.fromkeys(queries))
        lists = await asyncio.gather(
            *(self._leg(query, tenant, SPARE * limit, where) for query in wordings)
        )
        stages = [stage for _, stage in lists]
        hits = lists[0][0] if lists else ()
        if len(lists) > 1:
            began = time.perf_counter()
            hits = join([found for found, _ in lists])
            stages.append(_stage("join", hits, began))
        began = time.perf_counter()
        hits, dropped = distinct(hits, keep_repeats=True)
        stages.append(_stage("newest", hits, began))
        if self._reranker is not None and hits:
            first, stage = await self._rerank(self._reranker, wordings[-1], hits[: SPARE * limit])
            # What was not reranked stays behind, though its score is of another scale.
            hits = (*first, *hits[SPARE * limit :])
            stages.append(stage)
        beyond = tuple(Dropped(hit=hit, reason="beyond_limit") for hit in hits[limit:])
        return Found(hits=hits[:limit], dropped=(*dropped, *beyond), stages=tuple(stages))

    async def _leg(
        self, query: str, tenant: str, limit: int, where: Where | None
    ) -> tuple[tuple[Hit, ...], Stage]:
        began = time.perf_counter()
        hits = await self._knowledge.search(query, tenant=tenant, limit=limit, where=where)
        return hits, _stage("search", hits, began, query=query)

    async def _rerank(
        self, reranker: Reranker, query: str, hits: tuple[Hit, ...]
    ) -> tuple[tuple[Hit, ...], Stage]:
        """Return the hits in the reranker's order, or as they were when it fails or is late."""
        began = time.perf_counter()
        try:
            async with asyncio.timeout(self._rerank_s):
                marks = await reranker.marks(query, [hit.passage for hit in hits])
        except TimeoutError:
            note = f"{reranker.name}: not done within {self._rerank_s:g} s"
        except AntiphonError as error:
            note = f"{reranker.name}: {error.code}: {error.message}"
        else:
            hits = _reordered(hits, marks, reranker.weight)
            note = ""
        return hits, _stage("rerank", hits, began, note=note)


def join(lists: Sequence[Sequence[Hit]]) -> tuple[Hit, ...]:
    """Join the results of several wordings by the mean of their scores (CombSUM, Fox, Shaw 1994).

    A passage that one wording missed gets nothing from it. The cosine kept is the greatest: the
    passage is as near as the nearest wording.
    """
    scores: dict[str, float] = {}
    best: dict[str, Hit] = {}
    for hit in (hit for found in lists for hit in found):
        key = hit.passage.id
        scores[key] = scores.get(key, 0.0) + hit.score / len(lists)
        best[key] = _nearest(best.get(key, hit), hit)
    order = sorted(scores, key=lambda key: (-scores[key], key))
    return tuple(replace(best[key], score=scores[key]) for key in order)


def _nearest(one: Hit, other: Hit) -> Hit:
    """Return the first hit with the greatest value each leg gave to either."""
    return replace(
        one,
        bm25=max((s for s in (one.bm25, other.bm25) if s is not None), default=None),
        cosine=max((s for s in (one.cosine, other.cosine) if s is not None), default=None),
    )


def _reordered(hits: Sequence[Hit], marks: Sequence[float], weight: float) -> tuple[Hit, ...]:
    """Weigh the marks against the scores, both standardised, and scale to 0..1."""
    mixed = (1 - weight) * standardised([hit.score for hit in hits]) + weight * standardised(marks)
    scaled = unit_range(mixed)
    order = sorted(range(len(hits)), key=lambda at: (-scaled[at], at))
    return tuple(replace(hits[at], score=float(scaled[at])) for at in order)


def _stage(
    name: str, hits: Sequence[Hit], began: float, *, query: str = "", note: str = ""
) -> Stage:
    return Stage(
        name=name,
        ranking=tuple((hit.passage.id, hit.score) for hit in hits),
        ms=round(1000 * (time.perf_counter() - began), 3),
        query=query,
        note=note,
    )
