"""The weighted mean, and what becomes of a metric that breaks."""

from __future__ import annotations

import pytest

from antiphon.evals.golden import Expected
from antiphon.evals.metrics import Sample, Score
from antiphon.evals.score import WEIGHTS, MetricError, evaluate

SAMPLE = Sample(
    question="q", answer="a", outcome="answered", expected=Expected(outcome=("answered",))
)


class Fixed:
    """An evaluator with one opinion, or none."""

    def __init__(self, name: str, value: float | None) -> None:
        self.name = name
        self._value = value

    async def evaluate(self, sample: Sample) -> Score:
        if self._value is None:
            raise ZeroDivisionError("no words")
        return Score(value=self._value)


def test_the_weights_are_the_guides() -> None:
    """.30, .25, .20, .15, .10: together one."""
    assert list(WEIGHTS.values()) == [0.30, 0.25, 0.20, 0.15, 0.10]
    assert sum(WEIGHTS.values()) == pytest.approx(1.0)


@pytest.mark.parametrize(("name", "weight"), WEIGHTS.items(), ids=list(WEIGHTS))
async def test_each_metric_counts_by_its_weight(name: str, weight: float) -> None:
    """One metric at nought costs its weight."""
    jury = [Fixed(each, 0.0 if each == name else 1.0) for each in WEIGHTS]
    assert (await evaluate(SAMPLE, jury)).overall == pytest.approx(1 - weight)


async def test_a_broken_metric_is_left_out_of_the_mean() -> None:
    """The others are weighed among themselves, and the error is kept."""
    jury = [Fixed("relevance", None), Fixed("safety", 1.0), Fixed("factual_accuracy", 0.5)]
    evaluation = await evaluate(SAMPLE, jury)
    assert evaluation.overall == pytest.approx((0.25 + 0.10) / 0.45)
    assert evaluation.metrics["relevance"] == MetricError(
        metric="relevance", error="ZeroDivisionError: no words"
    )
    assert evaluation.scores == {"safety": 1.0, "factual_accuracy": 0.5}


async def test_no_metric_at_all_is_nought() -> None:
    """As in the guide: no weight, no score."""
    assert (await evaluate(SAMPLE, [Fixed("safety", None)])).overall == 0.0
