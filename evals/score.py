"""The overall score: five weighted metrics, each judged on its own."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from antiphon.evals.assertions import check
from antiphon.evals.sample import Evaluator, Sample, Score

WEIGHTS: Mapping[str, float] = {
    "relevance": 0.30,
    "safety": 0.25,
    "factual_accuracy": 0.20,
    "helpfulness": 0.15,
    "coherence": 0.10,
}
"""The guide's weights."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MetricError:
    """A metric that could not be computed; it is left out of the overall score."""

    metric: str
    error: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Evaluation:
    """What every metric says of one answer."""

    overall: float
    metrics: Mapping[str, Score | MetricError]
    assertions: Mapping[str, str] = field(default_factory=dict)
    """Each hard expectation: `ok`, or why it does not hold. No part of any score."""

    @property
    def scores(self) -> dict[str, float]:
        """The marks of the metrics that could be computed."""
        return {n: score.value for n, score in self.metrics.items() if isinstance(score, Score)}


async def evaluate(sample: Sample, evaluators: Sequence[Evaluator]) -> Evaluation:
    """Run all metrics at once and weigh them; check what was asserted beside them.

    An evaluator that is none of the five weighs what its `weight` says, without one nothing.
    """
    found = await asyncio.gather(*(_judge(each, sample) for each in evaluators))
    metrics = {each.name: result for each, result in zip(evaluators, found, strict=True)}
    weights = {**{each.name: getattr(each, "weight", 0.0) for each in evaluators}, **WEIGHTS}
    return Evaluation(overall=overall(metrics, weights), metrics=metrics, assertions=check(sample))


async def _judge(evaluator: Evaluator, sample: Sample) -> Score | MetricError:
    try:
        return await evaluator.evaluate(sample)
    except Exception as error:  # noqa: BLE001 - one broken metric must not hide the others
        return MetricError(metric=evaluator.name, error=f"{type(error).__name__}: {error}")


def overall(
    metrics: Mapping[str, Score | MetricError], weights: Mapping[str, float] = WEIGHTS
) -> float:
    """Return the weighted mean of the metrics that have a score; 0 when none has."""
    scored = {n: each.value for n, each in metrics.items() if isinstance(each, Score)}
    total = sum(weights.get(name, 0.0) for name in scored)
    if not total:
        return 0.0
    return sum(weights.get(name, 0.0) * value for name, value in scored.items()) / total
