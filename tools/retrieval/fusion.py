"""How the legs of a search become one order, whatever backend they run on: pure functions."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Scores = NDArray[np.float64]

DEPTH = 100
"""Candidates per leg at least: a deep list gives fusion a steadier scale than twice the limit."""
FEEDBACK = 0.5
FEEDBACK_FROM = 2
"""The query moves towards the first passages by this weight and looks again (Rocchio, 1971)."""


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
