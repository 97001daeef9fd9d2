"""What is known of each model: price, speed, quality, abilities. Data, not code paths."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

from langchain_core.messages import AIMessage, BaseMessage
from langchain_core.tools import BaseTool

Capability = Literal["chat", "tools", "json"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelCard:
    """A model the router may choose."""

    name: str
    """As users write it: `extractive`, `openai:gpt-5-mini`, `local`, ..."""
    context_tokens: int
    input_usd_per_mtok: float
    output_usd_per_mtok: float
    first_token_s: float
    """Expected time to the first token, seconds."""
    tokens_per_s: float
    quality: float
    """0..1, relative; the assistant's file may override it."""
    capabilities: frozenset[Capability] = frozenset({"chat"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """What a reply will take."""

    input_tokens: int
    output_tokens: int
    needs: frozenset[Capability] = frozenset({"chat"})
    max_cost_usd: float = 0.10
    """A model estimated above this scores 0 for cost (the guide's unacceptable cost)."""
    min_quality: float = 0.0
    prefer: str = ""
    """A model name the caller asked for; it wins when suitable."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Scored:
    """One model's marks for one task, each 0..1."""

    model: str
    score: float
    cost: float
    latency: float
    quality: float
    cost_usd: float
    """Estimated."""
    latency_s: float
    """Estimated."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """The router's choice, with its reasons kept for the trace."""

    model: str
    reason: str
    score: float
    cost_usd: float
    latency_s: float
    alternatives: tuple[Scored, ...] = ()
    """The next best, best first: also the fallback chain's order."""
    excluded: tuple[str, ...] = ()
    """`name: why` of each model that was filtered out."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """Tokens of one or more model calls."""

    input_tokens: int = 0
    output_tokens: int = 0

    def __add__(self, other: Usage) -> Usage:
        return Usage(
            input_tokens=self.input_tokens + other.input_tokens,
            output_tokens=self.output_tokens + other.output_tokens,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """What a model said, and what it took."""

    message: AIMessage
    model: str
    """Which model answered in the end."""
    usage: Usage
    cost_usd: float
    failed: tuple[str, ...] = ()
    """`model: why` of each model that was tried before and failed."""


class Models(Protocol):
    """All the language models a conversation may use, behind one choice and one call."""

    def select(self, task: Task) -> Selection:
        """Choose by cost 0.4, latency 0.3, quality 0.3 among the suitable; never empty-handed."""
        ...

    async def reply(
        self, selection: Selection, messages: Sequence[BaseMessage], *, tools: Sequence[BaseTool] = ()
    ) -> Reply:
        """Ask the selected model, then its alternatives in order.

        Raises ModelUnavailable when the whole chain failed.
        """
        ...

    async def last_resort(self, messages: Sequence[BaseMessage]) -> Reply:
        """Answer without any provider: the extractive model, for degraded mode."""
        ...
