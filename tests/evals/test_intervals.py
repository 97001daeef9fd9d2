"""The paired bootstrap: as wide as theory says, and blind to what is hard for both sides."""

from __future__ import annotations

import numpy as np
import pytest

from antiphon.evals.intervals import paired_interval


def test_the_interval_is_as_wide_as_theory_says() -> None:
    """For many examples the percentile bootstrap is the normal interval, 1.96 standard errors."""
    random = np.random.default_rng(3)
    theirs = random.normal(0.5, 0.2, 400)
    ours = theirs + random.normal(0.03, 0.1, 400)
    found = paired_interval(ours.tolist(), theirs.tolist())
    error = 1.96 * float(np.std(ours - theirs)) / 20
    assert found.mean == pytest.approx(float(np.mean(ours - theirs)))
    assert found.mean - found.low == pytest.approx(error, rel=0.06)
    assert found.high - found.mean == pytest.approx(error, rel=0.06)


def test_pairs_are_kept_together() -> None:
    """Examples that differ much from each other, but by the same between the runs, are certain."""
    theirs = [0.0, 0.25, 0.5, 1.0] * 5
    found = paired_interval([score + 0.1 for score in theirs], theirs)
    assert found.low == pytest.approx(0.1)
    assert found.high == pytest.approx(0.1)


def test_a_difference_of_chance_includes_nothing() -> None:
    """Of 100 comparisons of a run with itself plus noise, some 95 intervals hold 0."""
    random = np.random.default_rng(5)
    held = 0
    for _ in range(100):
        ours, theirs = random.normal(0.8, 0.1, (2, 60)).tolist()
        found = paired_interval(ours, theirs, rounds=1000)
        held += found.low <= 0 <= found.high
    assert 88 <= held <= 99


def test_the_same_numbers_give_the_same_interval() -> None:
    """Nothing depends on the clock; another seed moves the ends only."""
    ours, theirs = [0.9, 0.4, 0.7, 1.0], [0.8, 0.5, 0.7, 0.6]
    assert paired_interval(ours, theirs) == paired_interval(ours, theirs)
    assert paired_interval(ours, theirs).mean == paired_interval(ours, theirs, seed=2).mean


@pytest.mark.parametrize(("ours", "theirs"), [([], []), ([1.0], []), ([1.0, 0.5], [1.0])])
def test_what_cannot_be_paired_is_refused(ours: list[float], theirs: list[float]) -> None:
    """Scores of different examples are not compared by position."""
    with pytest.raises(ValueError, match="cannot be paired"):
        paired_interval(ours, theirs)
