"""How sure a difference between two runs over the same examples is: the paired bootstrap."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

ROUNDS = 10_000
AT_ONCE = 500
"""Rounds drawn together: bounds the memory that many examples take."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Interval:
    """A mean difference, and the range it is in with the confidence asked for."""

    mean: float
    low: float
    high: float


def paired_interval(
    ours: Sequence[float],
    theirs: Sequence[float],
    *,
    level: float = 0.95,
    rounds: int = ROUNDS,
    seed: int = 1,
) -> Interval:
    """Return the mean of `ours` less `theirs`, example by example, by the percentile bootstrap.

    The examples are drawn anew with replacement, both scores of one together, so that what makes
    an example hard for both does not widen the interval (Efron, Tibshirani 1993). Average the
    repeats of an example first. The same numbers give the same interval.

    Raises:
        ValueError: there is no example, or not the same number on both sides.
    """
    differences = np.subtract(ours, theirs) if len(ours) == len(theirs) else np.array([])
    if not differences.size:
        raise ValueError(f"{len(ours)} and {len(theirs)} scores cannot be paired")
    random = np.random.default_rng(seed)
    size = differences.size
    means = np.concatenate(
        [
            differences[random.integers(0, size, (min(AT_ONCE, rounds - start), size))].mean(axis=1)
            for start in range(0, rounds, AT_ONCE)
        ]
    )
    low, high = np.quantile(means, [(1 - level) / 2, (1 + level) / 2])
    return Interval(mean=float(differences.mean()), low=float(low), high=float(high))
