"""What a message is after: declared intents, an embedding classifier, a rejection threshold."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

Need = Literal["knowledge", "tools"]
Certainty = Literal["sure", "ambiguous", "unknown"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Intent:
    """The reading of one message."""

    name: str
    """A declared intent's name, or `unknown`."""
    confidence: float
    """0..1, calibrated enough to compare with the rejection threshold."""
    certainty: Certainty
    """`ambiguous`: two intents that need different things are about equally likely."""
    needs: tuple[Need, ...] = ()
    candidates: tuple[str, ...] = ()
    """Best names, best first: what a clarification question offers."""
    tools: tuple[str, ...] = ()
    """Tools the intent declares; empty means all."""
    replies: tuple[str, ...] = ()
    """Declared wordings for small talk, used when no language model speaks."""


class IntentClassifier(Protocol):
    """Reads messages."""

    async def classify(self, text: str, *, among: Sequence[str] = ()) -> Intent:
        """Return the intent of `text`, restricted to the names in `among` when given."""
        ...
