"""Which messages a turn may see: whole turns, so that a tool call never loses its result."""

from __future__ import annotations

from collections.abc import Sequence

from langchain_core.messages import BaseMessage, HumanMessage

from antiphon.tools.tokens import TokenCounter


def turns(messages: Sequence[BaseMessage]) -> list[list[BaseMessage]]:
    """Split at the user's messages; what comes before the first is a turn of its own."""
    groups: list[list[BaseMessage]] = []
    for message in messages:
        if isinstance(message, HumanMessage) or not groups:
            groups.append([])
        groups[-1].append(message)
    return groups


def latest(
    messages: Sequence[BaseMessage], tokens: TokenCounter, budget: int
) -> tuple[BaseMessage, ...]:
    """Return the latest whole turns within the budget; the last turn always, whatever it costs."""
    kept, taken = 0, 0
    for turn in reversed(turns(messages)):
        taken += tokens.count_messages(turn)
        if kept and taken > budget:
            break
        kept += len(turn)
    return tuple(messages[len(messages) - kept :])


def split(
    messages: Sequence[BaseMessage], keep_last: int
) -> tuple[list[BaseMessage], list[BaseMessage]]:
    """Return the old messages, and at least the last `keep_last`, cut where a turn begins."""
    kept: list[BaseMessage] = []
    old = turns(messages)
    while old and len(kept) < keep_last:
        kept = [*old.pop(), *kept]
    return [message for turn in old for message in turn], kept
