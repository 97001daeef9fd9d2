"""Search quality and speed on a BEIR folder, through the code that answers customers."""

from __future__ import annotations

import csv
import json
import math
import resource
import statistics
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Protocol

from antiphon.evals.bench.report import report
from antiphon.tools.errors import InputError
from antiphon.tools.models.embeddings import make_embedder
from antiphon.tools.retrieval.confidence import retrieval_confidence
from antiphon.tools.retrieval.local import SqliteKnowledge
from antiphon.tools.retrieval.passages import Embedder, Hit, Knowledge, Passage

TENANT = "bench"
SOURCE = "corpus"
DEPTH = 10
SPEED_SAMPLE = 128


class Closable(Knowledge, Protocol):
    """A backend that holds a file or a connection."""

    async def close(self) -> None:
        """Let go of it."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Query:
    """A question, what is relevant to it, and whether the corpus answers it."""

    text: str
    relevant: Mapping[str, float]
    answerable: bool


async def run(
    data: Path, *, backend: str = "local", limit: int | None = None, cache: Path | None = None
) -> dict[str, object]:
    """Ingest the corpus, ask the queries, score the order.

    `limit` asks only the first queries; `cache` keeps the ingested file between runs.
    """
    started = time.perf_counter()
    passages, queries = read(data)
    queries = queries[:limit]
    with TemporaryDirectory() as folder:
        home = cache or Path(folder)
        embedder = make_embedder("minilm")
        knowledge = _open(backend, home / f"{data.name}.sqlite", embedder)
        try:
            speed = await _ingest(knowledge, passages, embedder)
            await knowledge.search(queries[0].text, tenant=TENANT, limit=DEPTH)
            found, times = await _ask(knowledge, queries)
        finally:
            await knowledge.close()
    figures = {
        **score(queries, found),
        "query_p50_ms": statistics.median(times),
        "query_p95_ms": _quantile(times, 0.95),
        "passages_per_s": speed,
        "peak_rss_mb": _peak_rss_mb(),
        **_abstention(queries, found),
    }
    row = {"backend": backend, "passages": len(passages), "queries": len(queries), **figures}
    return report("retrieval", str(data), figures, [row], time.perf_counter() - started)


def read(data: Path) -> tuple[list[Passage], list[Query]]:
    """Read a BEIR folder: corpus.jsonl, queries.jsonl, qrels/test.tsv."""
    try:
        corpus = _lines(data / "corpus.jsonl")
        asked = _lines(data / "queries.jsonl")
        qrels = _qrels(data / "qrels" / "test.tsv")
    except (OSError, KeyError, ValueError) as error:
        raise InputError(
            f"{str(data)!r} is not a BEIR folder: {error}",
            hint="expected corpus.jsonl, queries.jsonl and qrels/test.tsv",
        ) from error
    passages = [
        Passage(
            id=str(doc["_id"]),
            source=SOURCE,
            title=str(doc.get("title") or ""),
            heading="",
            text=str(doc["text"]),
            start=0,
            end=len(str(doc["text"])),
        )
        for doc in corpus
    ]
    return passages, [_query(one, qrels.get(str(one["_id"]), {})) for one in asked]


def score(queries: Sequence[Query], found: Sequence[Sequence[Hit]]) -> dict[str, float]:
    """Average the ranking measures over the queries that have relevant passages.

    nDCG has linear gains, as in trec_eval and BEIR.
    """
    judged = [
        ([hit.passage.id for hit in hits], query.relevant)
        for query, hits in zip(queries, found, strict=True)
        if query.relevant
    ]
    if not judged:
        raise InputError("no query has a relevant passage", hint="check qrels/test.tsv")
    return {
        "ndcg@10": 100 * statistics.fmean(_ndcg(ids, rel) for ids, rel in judged),
        "recall@5": 100 * statistics.fmean(_recall(ids[:5], rel) for ids, rel in judged),
        "recall@10": 100 * statistics.fmean(_recall(ids[:10], rel) for ids, rel in judged),
        "mrr": 100 * statistics.fmean(_reciprocal(ids, rel) for ids, rel in judged),
    }


def auroc(positive: Sequence[float], negative: Sequence[float]) -> float:
    """Return the chance that a positive scores above a negative, ties counting half."""
    marked = sorted([(mark, True) for mark in positive] + [(mark, False) for mark in negative])
    wins, below = 0.0, 0
    for _, tied in groupby(marked, key=lambda pair: pair[0]):
        kinds = [kind for _, kind in tied]
        ups, downs = kinds.count(True), kinds.count(False)
        wins += ups * (below + downs / 2)
        below += downs
    return wins / (len(positive) * len(negative))


async def _ingest(knowledge: Knowledge, passages: Sequence[Passage], embedder: Embedder) -> float:
    """Return passages stored per second; with all of them cached, the speed on a sample."""
    started = time.perf_counter()
    change = await knowledge.upsert(SOURCE, passages, tenant=TENANT)
    done = change.added
    if not done:
        sample = [p.searchable for p in passages[:: max(1, len(passages) // SPEED_SAMPLE)]]
        started, done = time.perf_counter(), len(sample)
        await embedder.embed(sample)
    return done / (time.perf_counter() - started)


async def _ask(
    knowledge: Knowledge, queries: Sequence[Query]
) -> tuple[list[tuple[Hit, ...]], list[float]]:
    found, times = [], []
    for query in queries:
        started = time.perf_counter()
        found.append(await knowledge.search(query.text, tenant=TENANT, limit=DEPTH))
        times.append(1000 * (time.perf_counter() - started))
    return found, times


def _open(backend: str, path: Path, embedder: Embedder) -> Closable:
    if backend == "local":
        return SqliteKnowledge(path, embedder)
    from antiphon.graphs.settings import read_settings
    from antiphon.tools.retrieval.weaviate import WeaviateKnowledge

    settings = read_settings()
    if backend != "weaviate" or not settings.weaviate_url:
        raise InputError(
            f"no backend {backend!r} here", hint="local, or weaviate with ANTIPHON_WEAVIATE_URL set"
        )
    return WeaviateKnowledge(
        settings.weaviate_url,
        grpc_port=settings.weaviate_grpc_port,
        key=settings.weaviate_key.get_secret_value(),
        embedder=embedder,
        collection="AntiphonBench",
    )


def _abstention(queries: Sequence[Query], found: Sequence[Sequence[Hit]]) -> dict[str, float]:
    marks = [retrieval_confidence(q.text, h) for q, h in zip(queries, found, strict=True)]
    yes = [m for m, query in zip(marks, queries, strict=True) if query.answerable]
    no = [m for m, query in zip(marks, queries, strict=True) if not query.answerable]
    return {"abstention_auroc": auroc(yes, no)} if yes and no else {}


def _ndcg(ids: Sequence[str], relevant: Mapping[str, float]) -> float:
    gain = sum(relevant.get(i, 0.0) / math.log2(rank + 1) for rank, i in enumerate(ids[:10], 1))
    best = sorted(relevant.values(), reverse=True)[:10]
    return gain / sum(value / math.log2(rank + 1) for rank, value in enumerate(best, 1))


def _recall(ids: Sequence[str], relevant: Mapping[str, float]) -> float:
    return len(set(ids) & set(relevant)) / len(relevant)


def _reciprocal(ids: Sequence[str], relevant: Mapping[str, float]) -> float:
    return next((1 / rank for rank, i in enumerate(ids, 1) if i in relevant), 0.0)


def _query(record: Mapping[str, object], relevant: Mapping[str, float]) -> Query:
    metadata = record.get("metadata")
    answerable = metadata.get("answerable", True) if isinstance(metadata, dict) else True
    return Query(text=str(record["text"]), relevant=relevant, answerable=bool(answerable))


def _lines(path: Path) -> list[dict[str, object]]:
    with path.open(encoding="utf-8") as lines:
        return [json.loads(line) for line in lines if line.strip()]


def _qrels(path: Path) -> dict[str, dict[str, float]]:
    found: dict[str, dict[str, float]] = {}
    with path.open(encoding="utf-8", newline="") as lines:
        for row in csv.DictReader(lines, delimiter="\t", quoting=csv.QUOTE_NONE):
            if float(row["score"]) > 0:
                found.setdefault(row["query-id"], {})[row["corpus-id"]] = float(row["score"])
    return found


def _quantile(values: Sequence[float], share: float) -> float:
    return sorted(values)[min(len(values) - 1, int(share * len(values)))]


def _peak_rss_mb() -> float:
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (1 << 20 if sys.platform == "darwin" else 1 << 10)
