"""The router's arithmetic as pure functions: three marks, three weights, one order.

The marks and weights are the guide's: cost 0.4, latency 0.3, quality 0.3; an answer dearer than
the task's limit ($0.10) earns nothing for cost, one slower than 10 s nothing for latency.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from antiphon.tools.cost import cost_usd
from antiphon.tools.models.catalog import ModelCard, Scored, Task, Usage

MAX_LATENCY_S = 10.0
"""The guide's alert threshold for latency: an estimate at or above it scores 0."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Weights:
    """How much each mark counts."""

    cost: float = 0.4
    latency: float = 0.3
    quality: float = 0.3


CHEAPEST = Weights(cost=1.0, latency=0.0, quality=0.0)
FASTEST = Weights(cost=0.0, latency=1.0, quality=0.0)


def rank(
    cards: Sequence[ModelCard], task: Task, weights: Weights
) -> tuple[tuple[Scored, ...], tuple[str, ...]]:
    """Return the suitable models, best first, and `name: why` of each that is not suitable.

    Equal scores keep the catalogue's order.
    """
    reasons = {card.name: unsuitable(card, task) for card in cards}
    scored = [score(card, task, weights) for card in cards if not reasons[card.name]]
    excluded = tuple(f"{name}: {why}" for name, why in reasons.items() if why)
    return tuple(sorted(scored, key=lambda mark: -mark.score)), excluded


def unsuitable(card: ModelCard, task: Task) -> str:
    """Return why the model cannot take the task, or an empty string."""
    if lacking := task.needs - card.capabilities:
        return f"cannot do {', '.join(sorted(lacking))}"
    needed = task.input_tokens + task.output_tokens
    if needed > card.context_tokens:
        return f"needs {needed} tokens of context, has {card.context_tokens}"
    if card.quality < task.min_quality:
        return f"quality {card.quality:.2f} is below {task.min_quality:.2f}"
    return ""


def score(card: ModelCard, task: Task, weights: Weights) -> Scored:
    """Return the model's marks for the task and their weighted mean."""
    dollars = estimated_cost_usd(card, task)
    seconds = estimated_latency_s(card, task)
    # A price nobody knows may be any price: it earns no mark rather than the best one.
    cost = cost_mark(dollars, task.max_cost_usd) if card.priced else 0.0
    latency = latency_mark(seconds)
    total = weights.cost + weights.latency + weights.quality
    summed = weights.cost * cost + weights.latency * latency + weights.quality * card.quality
    return Scored(
        model=card.name,
        score=summed / total if total else 0.0,
        cost=cost,
        latency=latency,
        quality=card.quality,
        cost_usd=dollars,
        latency_s=seconds,
    )


def cost_mark(dollars: float, max_dollars: float) -> float:
    """Return 1 for a free answer, falling to 0 at the limit and above it."""
    return 0.0 if dollars > max_dollars else 1 - dollars / max_dollars


def latency_mark(seconds: float) -> float:
    """Return 1 for an instant answer, falling to 0 at the alert threshold and above it."""
    return max(0.0, 1 - seconds / MAX_LATENCY_S)


def estimated_cost_usd(card: ModelCard, task: Task) -> float:
    """Return the price of the task's tokens."""
    usage = Usage(input_tokens=task.input_tokens, output_tokens=task.output_tokens)
    return cost_usd(card, usage)


def estimated_latency_s(card: ModelCard, task: Task) -> float:
    """Return the seconds until the last token."""
    return card.first_token_s + task.output_tokens / card.tokens_per_s
