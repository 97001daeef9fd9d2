"""How likely it is that the answer is among the passages found."""

from __future__ import annotations

import math
from collections.abc import Sequence

from antiphon.tools.retrieval.analysis import terms
from antiphon.tools.retrieval.passages import Hit

def retrieval_confidence(query: str, hits: Sequence[Hit]) -> float:
    """Return the probability, 0 to 1, that the hits answer the query."""
    return features(query, hits)["best"] if hits else 0.0


def features(query: str, hits: Sequence[Hit]) -> dict[str, float]:
    cos = sorted((h.cosine for h in hits if h.cosine is not None), reverse=True)
    asked = set(terms(query, hits[0].passage.language))
    texts = [set(terms(h.passage.searchable, h.passage.language)) for h in hits[:3]]
    titles = [set(terms(h.passage.title + " " + h.passage.heading, h.passage.language)) for h in hits[:3]]
    n = len(asked)
    cov = lambda sets: (len(asked & set().union(*sets)) / n) if n else 0.0
    chars = sum(len(t) for t in asked)
    wcov = sum(len(t) for t in asked & set().union(*texts)) / chars if chars else 0.0
    return {
        "best": cos[0], "top": hits[0].cosine or 0.0,
        "gap": cos[0] - sum(cos[1:]) / max(1, len(cos) - 1) if len(cos) > 1 else 0.0,
        "second": cos[1] if len(cos) > 1 else cos[0],
        "mean": sum(cos)/len(cos), 
        "cov1": max((len(asked & t) / n for t in texts), default=0.0) if n else 0.0,
        "covtop": len(asked & texts[0]) / n if n else 0.0,
        "cov3": cov(texts), "wcov3": wcov, "title": cov(titles), "titletop": cov(titles[:1]),
        "n": math.log1p(n), "short": 1.0 if n <= 2 else 0.0, "chars": math.log1p(len(query)),
        "covn": cov(texts)*n, "missing": n*(1-cov(texts)),
    }
