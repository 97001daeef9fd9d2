"""How many tokens a text takes: the one place that counts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from langchain_core.messages import BaseMessage


class TokenCounter(Protocol):
    """Counts tokens."""

    def count(self, text: str) -> int:
        """Return the tokens of a text."""
        ...

    def count_messages(self, messages: Sequence[BaseMessage]) -> int:
        """Return the tokens of a message list, with the overhead of each message."""
        ...


class ApproximateCounter:
    """Four characters a token, three tokens a message: errs on the high side for English prose.

    Source: `langchain_core.messages.utils.count_tokens_approximately`, same constants; kept apart
    from it so that counting a plain string needs no message object.
    """

    def count(self, text: str) -> int:
        """Return the tokens of a text."""
        return -(-len(text) // 4)

    def count_messages(self, messages: Sequence[BaseMessage]) -> int:
        """Return the tokens of a message list, three for each message's frame."""
        return sum(3 + self.count(message.text) for message in messages)
