"""Conversations as the doors see them: ask, resume, look back, replay, fork, each for one caller."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from typing import Literal

from pydantic import JsonValue

from antiphon.nodes.state import Context


@dataclass(frozen=True, slots=True, kw_only=True)
class Turn:
    """The result of one message, in the shape that `antiphon ask --json` prints."""

    answer: str
    outcome: str
    citations: tuple[dict[str, JsonValue], ...]
    """id, source, title, quote, start, end."""
    confidence: dict[str, float | None]
    """retrieval, support."""
    phase: str
    path: tuple[str, ...]
    model: str
    usage: dict[str, int]
    """input_tokens, output_tokens."""
    cost_usd: float
    latency_ms: float
    violations: tuple[dict[str, str], ...]
    """guard, severity, action."""
    interrupt: dict[str, JsonValue] | None
    """id, tool, arguments, question."""
    thread_id: str
    degraded_because: str | None
    intent: str = ""
    steps_ms: dict[str, float] | None = None

    def as_json(self) -> dict[str, JsonValue]:
        """Return plain JSON."""
        raise NotImplementedError


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """Something that happened while a turn ran."""

    kind: Literal["node", "answer", "interrupt", "turn"]
    """node: a node finished; answer: a piece of the guarded answer; turn: the end."""
    node: str = ""
    text: str = ""
    turn: Turn | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class StepRecord:
    """One checkpoint of a thread."""

    step: int
    checkpoint_id: str
    node: str
    """The node that ran to reach it."""
    next: tuple[str, ...]
    changed: dict[str, tuple[JsonValue, JsonValue]]
    """Per field: before and after."""
    ms: float


class Conversations:
    """The compiled conversation with its checkpointer, partitioned by tenant.

    Open one with `antiphon.graphs.assembly.open_conversations`.
    """

    async def ask(self, text: str, *, context: Context, thread: str = "") -> Turn:
        """Run one message; a new thread is started when none is named.

        A message to a thread that waits for an approval is read as the decision (yes/no words)
        or else declines it and asks.

        Raises MessageError, Forbidden (the thread is another user's), StorageError.
        """
        raise NotImplementedError

    def stream(
        self, text: str, *, context: Context, thread: str = ""
    ) -> AsyncIterator[Event]:
        """As `ask`, telling of each node as it finishes; the answer comes after its guards."""
        raise NotImplementedError

    def stream_decision(
        self, approved: bool, *, context: Context, thread: str, reason: str = ""
    ) -> AsyncIterator[Event]:
        """Answer what waits for approval and run on, as a stream."""
        raise NotImplementedError

    async def decide(
        self, approved: bool, *, context: Context, thread: str, reason: str = ""
    ) -> Turn:
        """Answer what waits for approval and run on. Raises UnknownThread."""
        raise NotImplementedError

    async def last(self, *, context: Context, thread: str) -> Turn:
        """Return the latest turn of a thread. Raises UnknownThread."""
        raise NotImplementedError

    async def messages(self, *, context: Context, thread: str) -> list[dict[str, str]]:
        """Return the thread's messages as role and content. Raises UnknownThread."""
        raise NotImplementedError

    async def steps(self, *, context: Context, thread: str) -> list[StepRecord]:
        """Return every checkpoint, oldest first. Raises UnknownThread."""
        raise NotImplementedError

    async def replay(self, *, context: Context, thread: str, step: int) -> Turn:
        """Run on from a step, in a new thread. Raises UnknownThread, InputError for a bad step."""
        raise NotImplementedError

    async def fork(
        self, *, context: Context, thread: str, step: int, changes: Mapping[str, JsonValue]
    ) -> Turn:
        """As `replay`, with fields of the state changed first. Raises InputError for bad fields."""
        raise NotImplementedError

    async def threads(self, *, context: Context) -> list[str]:
        """Return the caller's thread ids, latest first."""
        raise NotImplementedError

    async def delete(self, *, context: Context, thread: str) -> None:
        """Delete a thread and its checkpoints. Raises UnknownThread."""
        raise NotImplementedError
