"""Fusion of two rankings."""

from __future__ import annotations

import pytest

from antiphon.tools.retrieval.fusion import min_max, rrf


def test_min_max_by_hand() -> None:
    """Scores are scaled to 0..1 within each leg and weighed by alpha."""
    fused = min_max({"a": 10.0, "b": 5.0, "c": 0.0}, {"b": 0.9, "c": 0.5, "d": 0.1}, 0.25)
    assert fused == pytest.approx({"a": 0.75, "b": 0.375 + 0.25, "c": 0.125, "d": 0.0})
    assert list(fused) == ["a", "b", "c", "d"]


@pytest.mark.parametrize(("alpha", "order"), [(0.0, ["a", "b"]), (1.0, ["b", "a"])])
def test_min_max_extremes(alpha: float, order: list[str]) -> None:
    """Alpha 0 is the keyword order, alpha 1 the dense order."""
    assert list(min_max({"a": 2.0, "b": 1.0}, {"a": 0.1, "b": 0.2}, alpha)) == order


def test_min_max_single_and_empty() -> None:
    """A leg's only hit counts in full; an empty leg adds nothing."""
    assert min_max({"a": 0.001}, {}, 0.5) == {"a": 0.5}
    assert min_max({}, {"a": -0.3, "b": -0.3}, 0.5) == {"a": 0.5, "b": 0.5}
    assert min_max({}, {}, 0.5) == {}


def test_ties_are_stable() -> None:
    """Equal scores are ordered by id, whatever order they came in."""
    assert list(min_max({"b": 1.0, "a": 1.0}, {}, 0.5)) == ["a", "b"]


def test_rrf_by_hand() -> None:
    """Reciprocal ranks add up; what both rankings like wins, scaled to 1."""
    fused = rrf(["a", "b"], ["b", "c"], k=1)
    best = 1 / 3 + 1 / 2
    assert fused == pytest.approx({"b": 1.0, "a": 0.5 / best, "c": (1 / 3) / best})
    assert list(fused) == ["b", "a", "c"]
    assert rrf() == {}
