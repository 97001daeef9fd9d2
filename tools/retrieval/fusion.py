"""Scores of several judges into one: pure functions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

Key = TypeVar("Key", str, int)
Scores = NDArray[np.float64]


def zmuv(bm25: Sequence[float], cosine: Sequence[float], alpha: float = 0.5) -> Scores:
    """Fuse what both legs say of the same passages; return scores 0..1 within them.

    Each leg gets mean 0 and variance 1 (ZMUV: Montague, Aslam 2001), so that a leg counts by how
    far it puts a passage from its others. Against min-max one outlier does not flatten the rest,
    and a leg that hardly tells passages apart does less harm. `alpha` is the dense leg's share.
    """
    mixed = (1.0 - alpha) * standardised(bm25) + alpha * standardised(cosine)
    return unit_range(mixed)


def standardised(scores: Sequence[float] | Scores) -> Scores:
    """Return the scores with mean 0 and deviation 1; scores that are all alike become 0."""
    values = np.asarray(scores, dtype=np.float64)
    spread = float(values.std()) if len(values) else 0.0
    return (values - values.mean()) / spread if spread > 0 else np.zeros(len(values))


def unit_range(scores: Scores) -> Scores:
    """Shift and scale to 0..1; scores that are all alike become 1."""
    spread = float(np.ptp(scores)) if len(scores) else 0.0
    return np.asarray((scores - scores.min()) / spread) if spread > 0 else np.ones(len(scores))


def min_max(
    bm25: Mapping[Key, float], cosine: Mapping[Key, float], alpha: float = 0.5
) -> dict[Key, float]:
    """Fuse by scores scaled to 0..1 within each leg; `alpha` is the dense leg's share.

    An id that one leg missed gets nothing from it. This is Weaviate's relative-score fusion.
    """
    keyword: dict[Key, float] = _scaled(bm25)
    dense: dict[Key, float] = _scaled(cosine)
    fused = {
        key: (1.0 - alpha) * keyword.get(key, 0.0) + alpha * dense.get(key, 0.0)
        for key in {**keyword, **dense}
    }
    return ranked(fused)


def rrf(*rankings: Sequence[Key], k: int = 60) -> dict[Key, float]:
    """Fuse by reciprocal rank (Cormack, Clarke, Buettcher 2009), scaled so that the best is 1."""
    fused: dict[Key, float] = {}
    for ranking in rankings:
        for rank, key in enumerate(ranking, start=1):
            fused[key] = fused.get(key, 0.0) + 1.0 / (k + rank)
    top = max(fused.values(), default=1.0)
    return ranked({key: score / top for key, score in fused.items()})


def ranked(scores: Mapping[Key, float]) -> dict[Key, float]:
    """Order by score, best first; ties by id, so that the same search has the same order."""
    return dict(sorted(scores.items(), key=lambda item: (-item[1], item[0])))


def _scaled(scores: Mapping[Key, float]) -> dict[Key, float]:
    if not scores:
        return {}
    low, high = min(scores.values()), max(scores.values())
    if high <= low:
        return dict.fromkeys(scores, 1.0)
    return {key: (score - low) / (high - low) for key, score in scores.items()}
