"""The parts of retrieval side by side: each leg alone, two fusions of them, and what is added."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping, Sequence

from antiphon.evals.bench.collection import Query
from antiphon.evals.bench.fusions import min_max, rrf
from antiphon.evals.bench.measures import averages
from antiphon.evals.bench.store import TENANT
from antiphon.tools.retrieval.fusion import zmuv
from antiphon.tools.retrieval.passages import Hit, Knowledge
from antiphon.tools.retrieval.search import Retriever

JUDGED = 10
CANDIDATES = 100
"""Taken from each leg for the fusions."""

Ranking = tuple[str, ...]


async def legs(
    keyword: Knowledge, dense: Knowledge, queries: Sequence[Query]
) -> dict[str, list[Ranking]]:
    """Return rankings by method; `keyword` and `dense` are one store with all weight on one leg."""
    found: dict[str, list[Ranking]] = {}
    for query in queries:
        worded, near = await _deep(keyword, query.text), await _deep(dense, query.text)
        bm25 = _raw(worded, lambda hit: hit.bm25)
        cosine = _raw(near, lambda hit: hit.cosine)
        for method, ranking in {
            "BM25 leg": tuple(bm25),
            "dense leg": tuple(cosine),
            "RRF of the legs": tuple(rrf(list(bm25), list(cosine))),
            "min-max of the legs": tuple(min_max(bm25, cosine)),
            "ZMUV of the legs": _zmuv((*worded, *near)),
        }.items():
            found.setdefault(method, []).append(ranking[:JUDGED])
    return found


async def searched(
    retriever: Retriever, wordings: Sequence[tuple[str, ...]]
) -> tuple[list[Ranking], list[float]]:
    """Search for each question in its wordings; return rankings and milliseconds."""
    rankings, times = [], []
    for said in wordings:
        began = time.perf_counter()
        found = await retriever.search(*said, tenant=TENANT, limit=JUDGED)
        times.append(1000 * (time.perf_counter() - began))
        rankings.append(ids(found.hits))
    return rankings, times


def ids(hits: Sequence[Hit]) -> Ranking:
    """Return the documents of the hits: each document is one source."""
    return tuple(dict.fromkeys(hit.passage.source for hit in hits))


def row(
    method: str,
    rankings: Sequence[Sequence[str]],
    queries: Sequence[Query],
    *,
    times_ms: Sequence[float] = (),
    note: str = "",
) -> dict[str, object]:
    """Return a line of the table; without rankings, only the note."""
    scores = averages(rankings, [query.relevant for query in queries]) if rankings else {}
    speed = {"p50_ms": round(statistics.median(times_ms), 2)} if times_ms else {}
    shown = {name: round(value, 2) for name, value in scores.items()}
    return {"method": method, **shown, **speed, **({"note": note} if note else {})}


async def _deep(knowledge: Knowledge, text: str) -> Sequence[Hit]:
    return await knowledge.search(text, tenant=TENANT, limit=CANDIDATES)


def _zmuv(hits: Sequence[Hit]) -> Ranking:
    found = list({hit.passage.source: hit for hit in hits}.values())
    scores = zmuv([hit.bm25 or 0.0 for hit in found], [hit.cosine or 0.0 for hit in found])
    order = sorted(range(len(found)), key=lambda at: (-scores[at], found[at].passage.source))
    return tuple(found[at].passage.source for at in order)


def _raw(hits: Sequence[Hit], score: Callable[[Hit], float | None]) -> Mapping[str, float]:
    """Return the leg's own scores by document, best first."""
    scores = {hit.passage.source: score(hit) for hit in hits}
    known = {key: mark for key, mark in scores.items() if mark is not None}
    return dict(sorted(known.items(), key=lambda item: (-item[1], item[0])))
