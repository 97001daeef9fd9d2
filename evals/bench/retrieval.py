"""Search quality and speed on a BEIR folder, through the code that answers customers.

Rows put that path beside its own parts and beside what others would do with the same vectors.
"""

from __future__ import annotations

import resource
import statistics
import sys
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from antiphon.evals.bench.answers import Asked, containment, plain_containment
from antiphon.evals.bench.collection import Collection, Query, read
from antiphon.evals.bench.counting import against_budgets, model_count
from antiphon.evals.bench.legs import JUDGED, ids, legs, row, searched
from antiphon.evals.bench.measures import auroc, averages, each_ndcg, quantile
from antiphon.evals.bench.pages import as_pages
from antiphon.evals.bench.peers import Peer, peers
from antiphon.evals.bench.report import report
from antiphon.evals.bench.store import TENANT, Store, shelved
from antiphon.evals.bench.vectors import BenchVectors
from antiphon.evals.intervals import paired_interval
from antiphon.graphs.assistant import KnowledgeForm
from antiphon.graphs.settings import read_settings
from antiphon.tools.retrieval.confidence import retrieval_confidence
from antiphon.tools.retrieval.context import fence, pack
from antiphon.tools.retrieval.passages import Hit, Knowledge
from antiphon.tools.retrieval.rerank import WORDING
from antiphon.tools.retrieval.rewrite import queries as wordings
from antiphon.tools.retrieval.rewrite import standalone
from antiphon.tools.retrieval.search import Retriever
from antiphon.tools.tokens import ApproximateCounter

TIMED = 200
"""Queries asked one by one of a model that has not seen them; the others use kept vectors."""
BUDGETS = (1000, 2000)
"""Tokens into which what was found is packed: fewer than ten passages take."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Looked:
    """What the product found for a query, and how sure it is."""

    question: str
    hits: tuple[Hit, ...]
    confidence: float


Look = Callable[[Query], Awaitable[Looked]]


async def run(
    data: Path,
    *,
    backend: str = "local",
    limit: int | None = None,
    language: str = "",
    cache: bool = False,
) -> dict[str, object]:
    """Ingest the corpus, ask the queries, score the order.

    `limit` asks only the first queries; `language` is the corpus's, else detected; `cache` keeps
    vectors in the data folder between runs.
    """
    began = time.perf_counter()
    settings = read_settings()
    collection = read(data, language=language, limit=limit)
    async with shelved(data, collection, settings, backend=backend, cache=cache) as shelf:
        looked, figures = await _product(collection, shelf.knowledge, shelf.vectors)
        figures |= {"passages_per_s": shelf.passages_per_s, "peak_rss_mb": _peak_rss_mb()}
        figures |= await _answered(collection, looked, shelf.vectors)
        ours = [ids(one.hits) for one in looked]
        rows = [row("default path", ours, collection.queries)]
        rows[0] |= {"p50_ms": round(figures["beyond_embed_p50_ms"], 2)}
        if backend == "local":
            paged = await as_pages(collection, shelf.vectors)
            rows.append(row("default path, as files", paged.rankings, collection.queries))
            figures |= {
                "files_passages": paged.passages,
                "files_unread": paged.unread,
                "files_outdated": paged.outdated,
            }
        rows += await _compared(collection, shelf.knowledge, shelf.store, shelf.vectors)
        beside, gains = against(await peers(collection, shelf.vectors), ours, collection.queries)
    figures |= gains
    return report("retrieval", str(data), figures, [*rows, *beside], time.perf_counter() - began)


def against(
    found: Sequence[Peer], ours: Sequence[Sequence[str]], queries: Sequence[Query]
) -> tuple[list[dict[str, object]], dict[str, float]]:
    """Return a row for each peer with what ours is better by, and that over the best of them.

    The best is chosen on the very queries it is judged on, which is to its advantage.
    """
    relevant = [query.relevant for query in queries]
    own = each_ndcg(ours, relevant)
    rows: list[dict[str, object]] = []
    best: dict[str, float] = {}
    for peer in found:
        line = row(peer.method, peer.rankings, queries, times_ms=peer.times_ms, note=peer.note)
        if peer.rankings:
            gain = paired_interval(own, each_ndcg(peer.rankings, relevant))
            figures = {"gain": gain.mean, "gain_low": gain.low, "gain_high": gain.high}
            line |= {name: round(value, 2) for name, value in figures.items()}
            if not best or gain.mean < best["gain"]:
                best = figures
        rows.append(line)
    return rows, {f"{name}_over_best_peer": value for name, value in best.items()}


def default_path(knowledge: Knowledge) -> Look:
    """Return what a turn does to find passages."""
    retriever = Retriever(knowledge, reranker=WORDING)

    async def look(query: Query) -> Looked:
        said = wordings(query.text, query.earlier)
        hits = (await retriever.search(*said, tenant=TENANT, limit=JUDGED)).hits
        question = standalone(query.text, query.earlier)
        confidence = retrieval_confidence(question, hits)
        return Looked(question=question, hits=hits, confidence=confidence)

    return look


async def _product(
    collection: Collection, knowledge: Knowledge, vectors: BenchVectors
) -> tuple[list[Looked], dict[str, float]]:
    """Ask everything on the default path; return what it found and its figures."""
    look, queries = default_path(knowledge), collection.queries
    await look(queries[0])
    speed = await _timed(look, queries, vectors)
    await vectors.embed([said for query in queries for said in wordings(query.text, query.earlier)])
    looked = [await look(query) for query in queries]
    quality = averages([ids(one.hits) for one in looked], [query.relevant for query in queries])
    return looked, quality | speed | _abstention(queries, looked) | _budgets(looked)


async def _timed(look: Look, queries: Sequence[Query], vectors: BenchVectors) -> dict[str, float]:
    """Time single questions, and apart what of it the embedding took."""
    whole, embedding = [], []
    vectors.live = True
    for query in queries[:: max(1, len(queries) // TIMED)]:
        spent, began = vectors.spent_s, time.perf_counter()
        await look(query)
        whole.append(1000 * (time.perf_counter() - began))
        embedding.append(1000 * (vectors.spent_s - spent))
    vectors.live = False
    beyond = [took - model for took, model in zip(whole, embedding, strict=True)]
    return {
        "query_p50_ms": statistics.median(whole),
        "query_p95_ms": quantile(whole, 0.95),
        "embed_p50_ms": statistics.median(embedding),
        "beyond_embed_p50_ms": statistics.median(beyond),
        "beyond_embed_p95_ms": quantile(beyond, 0.95),
    }


def _abstention(queries: Sequence[Query], looked: Sequence[Looked]) -> dict[str, float]:
    """Return how well confidence tells what can be answered; beside it the best cosine alone.

    And, in %, what an assistant refuses of the one and admits of the other by default.
    """
    figures = {}
    for name, marks in {
        "abstention_auroc": [one.confidence for one in looked],
        "abstention_auroc_cosine": [
            max((hit.cosine or 0.0 for hit in one.hits), default=0.0) for one in looked
        ],
    }.items():
        yes, no = _parted(queries, marks)
        if yes and no:
            figures[name] = auroc(yes, no)
    yes, no = _parted(queries, [one.confidence for one in looked])
    if yes and no:
        least = KnowledgeForm().min_confidence
        figures["refused_answerable"] = 100 * statistics.fmean(mark < least for mark in yes)
        figures["admitted_unanswerable"] = 100 * statistics.fmean(mark >= least for mark in no)
    return figures


def _parted(queries: Sequence[Query], marks: Sequence[float]) -> tuple[list[float], list[float]]:
    """Return the marks of what can be answered, and of what cannot."""
    pairs = list(zip(queries, marks, strict=True))
    return (
        [mark for query, mark in pairs if query.answerable],
        [mark for query, mark in pairs if not query.answerable],
    )


def _budgets(looked: Sequence[Looked]) -> dict[str, float]:
    """Return how often prompts overrun a budget that packing kept by its estimate of tokens."""
    tokens = ApproximateCounter()
    prompts = {
        budget: [
            fence(pack(one.hits, budget_tokens=budget, tokens=tokens, query=one.question))
            for one in looked
        ]
        for budget in BUDGETS
    }
    return against_budgets(prompts, model_count())


async def _answered(
    collection: Collection, looked: Sequence[Looked], vectors: BenchVectors
) -> dict[str, float]:
    """Return how often the answer without a model holds a known one, and its length."""
    asked = [
        Asked(text=query.text, answers=query.answers, hits=one.hits)
        for query, one in zip(collection.queries, looked, strict=True)
        if query.answers
    ]
    if not asked:
        return {}
    share, words = await containment(asked, vectors, language=collection.language)
    plain, plain_words = await plain_containment(asked, vectors, language=collection.language)
    return {
        "answer_containment": share,
        "answer_words": words,
        "answer_containment_plain": plain,
        "answer_words_plain": plain_words,
    }


async def _compared(
    collection: Collection, knowledge: Knowledge, store: Store, vectors: BenchVectors
) -> list[dict[str, object]]:
    """Return the rows of the parts of the default path, which is these and the reranker."""
    queries = collection.queries
    async with store.opened(vectors, 0.0) as keyword, store.opened(vectors, 1.0) as dense:
        rows = [
            row(method, rankings, queries)
            for method, rankings in (await legs(keyword, dense, queries)).items()
        ]
    for method, said in _wordings(queries).items():
        await vectors.embed([text for texts in said for text in texts])
        rankings, times = await searched(Retriever(knowledge, reranker=None), said)
        rows.append(row(method, rankings, queries, times_ms=times))
    return rows


def _wordings(queries: Sequence[Query]) -> Mapping[str, list[tuple[str, ...]]]:
    """Return what is searched for by method: as asked, and with the conversation brought in."""
    asked: dict[str, list[tuple[str, ...]]] = {"hybrid": [(query.text,) for query in queries]}
    if any(query.earlier for query in queries):
        asked["hybrid, two turns joined"] = [(query.joined,) for query in queries]
        asked["hybrid + rewrite"] = [wordings(query.text, query.earlier) for query in queries]
    return asked


def _peak_rss_mb() -> float:
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (1 << 20 if sys.platform == "darwin" else 1 << 10)
