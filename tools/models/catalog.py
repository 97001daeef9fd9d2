"""What is known of each model: price, speed, quality, abilities. Data, not code paths."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

from langchain_core.messages import AIMessage, BaseMessage
from langchain_core.tools import BaseTool

from antiphon.tools.stored import Stored

Capability = Literal["chat", "tools", "json"]

LAST_RESORT = "extractive"
"""The model that needs no provider: it quotes the passages it is given."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelCard:
    """A model the router may choose."""

    name: str
    """As users write it: `extractive`, `openai:gpt-5-mini`, `local`, ..."""
    context_tokens: int
    input_usd_per_mtok: float | None = None
    """None: taken from the price list (`tools/cost.py`), where it has the model."""
    output_usd_per_mtok: float | None = None
    first_token_s: float
    """Expected time to the first token, seconds."""
    tokens_per_s: float
    quality: float
    """0..1, relative; the assistant's file may override it."""
    capabilities: frozenset[Capability] = frozenset({"chat"})

    @property
    def priced(self) -> bool:
        """Whether both prices are known."""
        return self.input_usd_per_mtok is not None and self.output_usd_per_mtok is not None


_TOOL_USER: frozenset[Capability] = frozenset({"chat", "tools", "json"})

KNOWN: Mapping[str, ModelCard] = {
    card.name: card
    for card in (
        ModelCard(
            name=LAST_RESORT,
            context_tokens=1_000_000,
            input_usd_per_mtok=0.0,
            output_usd_per_mtok=0.0,
            first_token_s=0.1,
            tokens_per_s=20_000.0,
            quality=0.3,
        ),
        ModelCard(
            name="local",
            context_tokens=4096,
            input_usd_per_mtok=0.0,
            output_usd_per_mtok=0.0,
            first_token_s=3.0,
            tokens_per_s=60.0,
            quality=0.2,
        ),
        ModelCard(
            name="openai:gpt-6-luna",
            context_tokens=1_050_000,
            first_token_s=0.7,
            tokens_per_s=150.0,
            quality=0.7,
            capabilities=_TOOL_USER,
        ),
        ModelCard(
            name="openai:gpt-6.1-terra",
            context_tokens=1_050_000,
            first_token_s=1.0,
            tokens_per_s=100.0,
            quality=0.84,
            capabilities=_TOOL_USER,
        ),
        ModelCard(
            name="openai:gpt-6.1-sol",
            context_tokens=1_050_000,
            first_token_s=1.5,
            tokens_per_s=70.0,
            quality=0.92,
            capabilities=_TOOL_USER,
        ),
        ModelCard(
            name="anthropic:claude-haiku-5-5",
            context_tokens=1_000_000,
            first_token_s=0.6,
            tokens_per_s=150.0,
            quality=0.72,
            capabilities=_TOOL_USER,
        ),
        ModelCard(
            name="anthropic:claude-sonnet-5-5",
            context_tokens=1_000_000,
            first_token_s=1.1,
            tokens_per_s=80.0,
            quality=0.9,
            capabilities=_TOOL_USER,
        ),
        ModelCard(
            name="anthropic:claude-opus-5-5",
            context_tokens=1_000_000,
            first_token_s=1.6,
            tokens_per_s=60.0,
            quality=0.95,
            capabilities=_TOOL_USER,
        ),
        ModelCard(
            name="google_genai:gemini-3.5-flash-lite",
            context_tokens=1_000_000,
            first_token_s=0.5,
            tokens_per_s=200.0,
            quality=0.68,
            capabilities=_TOOL_USER,
        ),
        ModelCard(
            name="google_genai:gemini-3.8-flash",
            context_tokens=1_000_000,
            first_token_s=0.9,
            tokens_per_s=140.0,
            quality=0.85,
            capabilities=_TOOL_USER,
        ),
    )
}
"""Models by name. Speeds and qualities are our estimates, meaningful only relative to each other;
an assistant's file may state others. Hosted models carry no price here: it is looked up at use."""


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
    tenant: str = ""
    """On whose behalf; an incident may have narrowed the choice for one tenant."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Scored(Stored):
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
class Selection(Stored):
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
    tenant: str = ""
    """Whose task it is."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage(Stored):
    """Tokens of one or more model calls."""

    input_tokens: int = 0
    output_tokens: int = 0

    def __add__(self, other: Usage) -> Usage:
        """Return both usages together."""
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

    fingerprint: str
    """Hash of the model policy: part of cache keys."""

    def select(self, task: Task) -> Selection:
        """Choose by cost 0.4, latency 0.3, quality 0.3 among the suitable; never empty-handed."""
        ...

    async def reply(
        self,
        selection: Selection,
        messages: Sequence[BaseMessage],
        *,
        tools: Sequence[BaseTool] = (),
    ) -> Reply:
        """Ask the selected model, then its alternatives in order.

        Raises ModelUnavailable when the whole chain failed.
        """
        ...

    async def last_resort(self, messages: Sequence[BaseMessage]) -> Reply:
        """Answer without any provider: the extractive model, for degraded mode."""
        ...
