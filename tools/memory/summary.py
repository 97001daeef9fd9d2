"""A running summary without a language model: the sentences that say most, in order.

A sentence is worth its closeness to what the conversation is about (the mean vector), more if it
names things or numbers, less the more it repeats a chosen one.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from langchain_core.messages import AIMessage, BaseMessage, HumanMessage

from antiphon.tools.memory.extract import sentences
from antiphon.tools.retrieval import Embedder
from antiphon.tools.tokens import TokenCounter

_SPECIFIC = re.compile(r"\d|(?<=\w )[A-Z]\w+|\b[A-Z]{2,}\b")
_SHORTEST = 12
_SPECIFIC_WORTH = 0.15
_USER_WORTH = 0.05
_CARRIED_WORTH = 0.05
"""What a line of the previous summary gains: it stood the test once."""
_REPEATS = 0.95
"""Cosine above which a line repeats a chosen one and is left out."""
_NOVELTY = 0.7
"""What a line loses by its likeness to a chosen one (maximal marginal relevance)."""

Vectors = npt.NDArray[np.float32]


def lines(messages: Sequence[BaseMessage], previous: str) -> list[str]:
    """Return the candidates, oldest first: the previous summary's lines, then who said what."""
    said = [line for line in previous.splitlines() if line.strip()]
    for message in messages:
        if not isinstance(message, HumanMessage | AIMessage):
            continue
        speaker = "User" if isinstance(message, HumanMessage) else "Assistant"
        said += [
            f"{speaker}: {sentence}"
            for sentence in sentences(message.text)
            if len(sentence) >= _SHORTEST
        ]
    return list(dict.fromkeys(said))


async def summarise(
    messages: Sequence[BaseMessage],
    previous: str,
    *,
    embedder: Embedder,
    tokens: TokenCounter,
    budget: int,
) -> str:
    """Return the lines that say most within `budget` tokens, in their order."""
    said = lines(messages, previous)
    if not said:
        return previous
    vectors = np.asarray(await embedder.embed(said), dtype=np.float32)
    carried = len([line for line in previous.splitlines() if line.strip()])
    worth = vectors @ vectors.mean(axis=0)
    for position, line in enumerate(said):
        worth[position] += _SPECIFIC_WORTH * bool(_SPECIFIC.search(line.partition(": ")[2]))
        worth[position] += _USER_WORTH * line.startswith("User:")
        worth[position] += _CARRIED_WORTH * (position < carried)
    chosen = _choose(worth, vectors, [tokens.count(f"{line}\n") for line in said], budget)
    return "\n".join(said[position] for position in sorted(chosen))


def _choose(worth: Vectors, vectors: Vectors, costs: Sequence[int], budget: int) -> list[int]:
    """Take the best line that still fits, then the best that says something else, and so on."""
    chosen: list[int] = []
    repeated = np.zeros(len(worth), dtype=np.float32)
    left = [position for position, cost in enumerate(costs) if cost <= budget]
    while left:
        best = max(left, key=lambda position: float(worth[position] - repeated[position]))
        chosen.append(best)
        budget -= costs[best]
        repeated = np.maximum(repeated, _NOVELTY * (vectors @ vectors[best]))
        left = [
            position
            for position in left
            if costs[position] <= budget and repeated[position] < _NOVELTY * _REPEATS
        ]
    return chosen
