"""Fusion of two rankings."""

from __future__ import annotations

import pytest

from antiphon.evals.bench.fusions import min_max, rrf
from antiphon.tools.retrieval.fusion import unit_range, zmuv


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


def test_zmuv_by_hand() -> None:
    """Each leg gets mean 0 and deviation 1, is weighed by alpha, and the sum runs from 0 to 1."""
    bm25, cosine = [4.0, 2.0, 0.0], [0.2, 0.2, 0.5]
    keyword = [1.5**0.5, 0.0, -(1.5**0.5)]
    dense = [-(0.5**0.5), -(0.5**0.5), 2**0.5]
    mixed = [0.75 * k + 0.25 * d for k, d in zip(keyword, dense, strict=True)]
    expected = [(m - min(mixed)) / (max(mixed) - min(mixed)) for m in mixed]
    assert zmuv(bm25, cosine, 0.25).tolist() == pytest.approx(expected)


def test_zmuv_is_not_flattened_by_an_outlier() -> None:
    """One passage far above the others leaves the other leg its say among them."""
    bm25, cosine = [1000.0, *[1.0] * 20], [0.1, 0.9, *[0.2] * 19]
    scores = zmuv(bm25, cosine)
    assert scores[1] > scores[2]
    assert zmuv([1.0, 2.0], [0.4, 0.4]).tolist() == [0.0, 1.0], "a leg that tells nothing apart"


def test_unit_range_of_few() -> None:
    """A single score is the best there is; none stays none."""
    assert unit_range(zmuv([3.0], [0.5])).tolist() == [1.0]
    assert zmuv([], []).tolist() == []
