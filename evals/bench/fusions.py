"""Two fusions that others use, beside ours: pure functions over raw scores by id."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TypeVar

Key = TypeVar("Key", str, int)


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
