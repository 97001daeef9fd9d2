"""The router's arithmetic, checked against sums done by hand."""

from __future__ import annotations

from dataclasses import replace

import pytest

from antiphon.tools.models import ModelCard, Task
from antiphon.tools.models.scoring import (
    CHEAPEST,
    FASTEST,
    Weights,
    cost_mark,
    latency_mark,
    rank,
    score,
)

CARD = ModelCard(
    name="middling",
    context_tokens=8192,
    input_usd_per_mtok=5.0,
    output_usd_per_mtok=25.0,
    first_token_s=1.0,
    tokens_per_s=100.0,
    quality=0.8,
)
TASK = Task(input_tokens=3000, output_tokens=400)
"""On CARD: $0.015 + $0.010 = $0.025, and 1 s + 4 s = 5 s."""


def test_score_is_the_guides_weighted_sum() -> None:
    """0.4 x 0.75 for cost, 0.3 x 0.5 for latency and 0.3 x 0.8 for quality make 0.69."""
    marks = score(CARD, TASK, Weights())

    assert marks.cost_usd == pytest.approx(0.025)
    assert marks.latency_s == pytest.approx(5.0)
    assert (marks.cost, marks.latency, marks.quality) == pytest.approx((0.75, 0.5, 0.8))
    assert marks.score == pytest.approx(0.69)


@pytest.mark.parametrize(
    ("weights", "expected"),
    [
        (CHEAPEST, 0.75),
        (FASTEST, 0.5),
        (Weights(cost=0.0, latency=0.0, quality=1.0), 0.8),
        (Weights(cost=4.0, latency=3.0, quality=3.0), 0.69),
        (Weights(cost=0.0, latency=0.0, quality=0.0), 0.0),
    ],
    ids=["cost only", "latency only", "quality only", "any scale", "no weight"],
)
def test_weights_are_relative(weights: Weights, expected: float) -> None:
    """Only the proportion of the weights counts, and no weight at all divides by nothing."""
    assert score(CARD, TASK, weights).score == pytest.approx(expected)


@pytest.mark.parametrize(
    ("dollars", "expected"), [(0.0, 1.0), (0.05, 0.5), (0.10, 0.0), (0.1001, 0.0), (7.0, 0.0)]
)
def test_cost_mark_falls_to_nothing_at_ten_cents(dollars: float, expected: float) -> None:
    """Free earns 1, the unacceptable cost and all above it 0."""
    assert cost_mark(dollars, 0.10) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("seconds", "expected"), [(0.0, 1.0), (2.5, 0.75), (10.0, 0.0), (60.0, 0.0)]
)
def test_latency_mark_falls_to_nothing_at_ten_seconds(seconds: float, expected: float) -> None:
    """Instant earns 1, the alert threshold and all above it 0."""
    assert latency_mark(seconds) == pytest.approx(expected)


def test_an_answer_above_the_limit_earns_nothing_for_cost() -> None:
    """30 000 tokens in at $5 a million are $0.15: cost scores 0, the rest still counts."""
    marks = score(
        replace(CARD, context_tokens=100_000), replace(TASK, input_tokens=30_000), Weights()
    )

    assert marks.cost == 0.0
    assert marks.score == pytest.approx(0.3 * 0.5 + 0.3 * 0.8)


def test_an_unknown_price_earns_nothing_for_cost() -> None:
    """A model nobody has a price for is not taken for a free one."""
    assert score(replace(CARD, input_usd_per_mtok=None), TASK, Weights()).cost == 0.0


def test_rank_orders_by_score_and_keeps_the_catalogues_order_for_equals() -> None:
    """Best first; of equal models the one listed first."""
    twin = replace(CARD, name="twin")
    better = replace(CARD, name="better", quality=0.9)

    ranked, excluded = rank([CARD, twin, better], TASK, Weights())

    assert [mark.model for mark in ranked] == ["better", "middling", "twin"]
    assert excluded == ()


@pytest.mark.parametrize(
    ("task", "why"),
    [
        (replace(TASK, needs=frozenset({"chat", "tools"})), "middling: cannot do tools"),
        (replace(TASK, input_tokens=8000), "middling: needs 8400 tokens of context, has 8192"),
        (replace(TASK, min_quality=0.85), "middling: quality 0.80 is below 0.85"),
    ],
    ids=["capability", "context window", "quality"],
)
def test_rank_says_why_a_model_is_left_out(task: Task, why: str) -> None:
    """Each filter names the model and what it lacks."""
    assert rank([CARD], task, Weights()) == ((), (why,))


def test_requirements_met_exactly_are_met() -> None:
    """A model of just the context and quality asked for is suitable."""
    task = Task(input_tokens=8000, output_tokens=192, min_quality=0.8)

    ranked, _ = rank([CARD], task, Weights())

    assert [mark.model for mark in ranked] == ["middling"]
