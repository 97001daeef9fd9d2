"""A running summary without a language model: the sentences that say most, in order.

A sentence is worth its closeness to what the conversation is about (the mean vector), more if it
names things or numbers; one that repeats a chosen sentence is worth nothing.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np
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
_REPEATS = 0.9


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
    chosen: list[int] = []
    left = budget
    for position in map(int, np.argsort(-worth, kind="stable")):
        cost = tokens.count(f"{said[position]}\n")
        repeats = chosen and float((vectors[chosen] @ vectors[position]).max()) > _REPEATS
        if cost <= left and not repeats:
            chosen.append(position)
            left -= cost
    return "\n".join(said[position] for position in sorted(chosen))
