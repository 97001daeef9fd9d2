"""Measures of a ranking: pure functions over ids, as trec_eval and BEIR define them."""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence
from itertools import groupby

Ranking = Sequence[str]
Gains = Mapping[str, float]


def averages(rankings: Sequence[Ranking], relevant: Sequence[Gains]) -> dict[str, float]:
    """Average, in %, over the queries that have relevant documents."""
    judged = [(ids, gains) for ids, gains in zip(rankings, relevant, strict=True) if gains]
    return {
        "ndcg@10": 100 * statistics.fmean(ndcg(ids, gains) for ids, gains in judged),
        "recall@5": 100 * statistics.fmean(recall(ids[:5], gains) for ids, gains in judged),
        "recall@10": 100 * statistics.fmean(recall(ids[:10], gains) for ids, gains in judged),
        "mrr": 100 * statistics.fmean(reciprocal(ids[:10], gains) for ids, gains in judged),
    }


def each_ndcg(rankings: Sequence[Ranking], relevant: Sequence[Gains]) -> list[float]:
    """Return nDCG@10, in %, of each query that has relevant documents."""
    return [100 * ndcg(ids, gains) for ids, gains in zip(rankings, relevant, strict=True) if gains]


def ndcg(ids: Ranking, relevant: Gains) -> float:
    """Return nDCG@10 with linear gains."""
    gain = sum(relevant.get(i, 0.0) / math.log2(rank + 1) for rank, i in enumerate(ids[:10], 1))
    best = sorted(relevant.values(), reverse=True)[:10]
    return gain / sum(value / math.log2(rank + 1) for rank, value in enumerate(best, 1))


def recall(ids: Ranking, relevant: Gains) -> float:
    """Return the share of what is relevant that is there."""
    return len(set(ids) & set(relevant)) / len(relevant)


def reciprocal(ids: Ranking, relevant: Gains) -> float:
    """Return one over the rank of the first relevant document, 0 without one."""
    return next((1 / rank for rank, i in enumerate(ids, 1) if i in relevant), 0.0)


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


def quantile(values: Sequence[float], share: float) -> float:
    """Return the value that `share` of them do not exceed."""
    return sorted(values)[min(len(values) - 1, int(share * len(values)))]
