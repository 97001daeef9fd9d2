"""How much of what answers a question stays in the prompt when the budget is small.

Passages are found by the product's own search, then packed into 1k, 2k and 4k tokens by the
product and in the two plain ways: most relevant first, leaving out whole passages that do not fit,
or cutting the text off where the budget ends. All ways keep the budget by the same estimate; a
model's own tokenizer tells whether they did.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from antiphon.evals.bench.collection import Query, read
from antiphon.evals.bench.counting import Count, against_budgets, model_count
from antiphon.evals.bench.report import report
from antiphon.evals.bench.store import TENANT, shelved
from antiphon.graphs.settings import read_settings
from antiphon.tools.retrieval.context import Card, fence, pack
from antiphon.tools.retrieval.passages import Hit
from antiphon.tools.retrieval.rewrite import queries as wordings
from antiphon.tools.retrieval.search import Retriever
from antiphon.tools.tokens import ApproximateCounter, TokenCounter

BUDGETS = (1000, 2000, 4000)
FOUND = 10
"""Passages to pack."""

Packing = Callable[[Query, Sequence[Hit], int], Sequence[Card]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """What one way of packing kept at one budget, in percent of all relevant passages."""

    passages: float
    """Share of which something is in the prompt."""
    text: float
    """Share of their text in the prompt."""
    answers: float | None
    """Share of questions whose known answer is in the prompt; None without known answers."""
    prompts: tuple[str, ...]


async def run(
    data: Path, *, backend: str = "local", limit: int | None = None, cache: bool = False
) -> dict[str, object]:
    """Find passages for each query of a BEIR folder and pack them in each way."""
    began = time.perf_counter()
    settings, collection = read_settings(), read(data, limit=limit)
    asked = [query for query in collection.queries if query.relevant]
    async with shelved(data, collection, settings, backend=backend, cache=cache) as shelf:
        retriever = Retriever(shelf.knowledge)
        said = [wordings(query.text, query.earlier) for query in asked]
        await shelf.vectors.embed([text for texts in said for text in texts])
        found = [
            (await retriever.search(*texts, tenant=TENANT, limit=FOUND)).hits for texts in said
        ]
    figures, rows = compared(asked, found, ApproximateCounter(), model_count())
    return report("context", str(data), figures, rows, time.perf_counter() - began)


def compared(
    asked: Sequence[Query], found: Sequence[Sequence[Hit]], tokens: TokenCounter, count: Count
) -> tuple[dict[str, float], list[dict[str, object]]]:
    """Return the figures of each way of packing, and them as a table."""

    def packed(query: Query, hits: Sequence[Hit], budget: int) -> Sequence[Card]:
        return pack(hits, budget_tokens=budget, tokens=tokens, query=query.text)

    def greedy(_query: Query, hits: Sequence[Hit], budget: int) -> Sequence[Card]:
        return whole_ones(hits, budget_tokens=budget, tokens=tokens)

    def cut(_query: Query, hits: Sequence[Hit], budget: int) -> Sequence[Card]:
        return cut_off(hits, budget_tokens=budget, tokens=tokens)

    figures: dict[str, float] = {}
    rows: list[dict[str, object]] = []
    ways: tuple[tuple[str, str, Packing], ...] = (
        ("kept", "packed", packed),
        ("greedy", "whole passages that fit", greedy),
        ("cut", "cut off at the end", cut),
    )
    for name, method, packing in ways:
        prompts = {}
        for budget in BUDGETS:
            kept = measured(asked, found, packing, budget)
            prompts[budget] = kept.prompts
            label = f"{name}@{budget // 1000}k"
            figures[label] = kept.passages
            figures[f"{label}_text"] = kept.text
            if kept.answers is not None:
                figures[f"{label}_answers"] = kept.answers
            rows.append(
                {"method": method, "budget": budget, "passages": round(kept.passages, 2),
                 "text": round(kept.text, 2), "answers": kept.answers}
            )  # fmt: skip
        if name == "kept":
            figures |= against_budgets(prompts, count)
    return figures, rows


def whole_ones(
    hits: Sequence[Hit], *, budget_tokens: int, tokens: TokenCounter
) -> tuple[Card, ...]:
    """Return whole passages, most relevant first, without those that do not fit any more."""
    cards: list[Card] = []
    for card in _ranked(hits, tokens):
        if sum(one.tokens for one in (*cards, card)) <= budget_tokens:
            cards.append(card)
    return tuple(cards)


def cut_off(hits: Sequence[Hit], *, budget_tokens: int, tokens: TokenCounter) -> tuple[Card, ...]:
    """Return passages, most relevant first, the last one cut where the budget ends."""
    cards: list[Card] = []
    left = budget_tokens
    for card in _ranked(hits, tokens):
        over = card.tokens - left
        if over > 0:
            share = 1 - over / tokens.count(card.text)
            if share > 0:
                cards.append(replace(card, text=card.text[: int(share * len(card.text))]))
            break
        cards.append(card)
        left -= card.tokens
    return tuple(cards)


def _ranked(hits: Sequence[Hit], tokens: TokenCounter) -> list[Card]:
    return [
        card
        for hit in sorted(hits, key=lambda hit: -hit.score)
        for card in pack([hit], budget_tokens=1_000_000, tokens=tokens)
    ]


def measured(
    asked: Sequence[Query],
    found: Sequence[Sequence[Hit]],
    packing: Packing,
    budget: int,
) -> Kept:
    """Pack for every query and compare with what is relevant to it."""
    passages: list[float] = []
    text: list[float] = []
    answers: list[bool] = []
    prompts: list[str] = []
    for query, hits in zip(asked, found, strict=True):
        cards = packing(query, hits, budget)
        prompts.append(fence(cards))
        lengths = {hit.passage.source: len(hit.passage.text) for hit in hits}
        shares = {card.source: len(card.text) / lengths[card.source] for card in cards}
        passages.append(statistics.fmean(key in shares for key in query.relevant))
        text.append(statistics.fmean(shares.get(key, 0.0) for key in query.relevant))
        if query.answers:
            shown = "\n".join(card.text for card in cards).casefold()
            answers.append(any(answer.casefold() in shown for answer in query.answers))
    return Kept(
        passages=100 * statistics.fmean(passages),
        text=100 * statistics.fmean(text),
        answers=100 * statistics.fmean(answers) if answers else None,
        prompts=tuple(prompts),
    )
