"""What is remembered of a conversation and of a person, and the Protocol of the memory manager."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from langchain_core.messages import BaseMessage
from langgraph.store.base import BaseStore

from antiphon.tools.stored import Stored


@dataclass(frozen=True, slots=True, kw_only=True)
class Memory(Stored):
    """One long-term fact or archived summary."""

    id: str
    text: str
    kind: str
    """`fact` or `summary`."""
    thread: str
    """Where it was said: provenance."""
    created: str
    """ISO time, UTC."""
    relevance: float = 0.0
    """Cosine to the question it was recalled for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Recollection:
    """What to bring to mind for one turn."""

    window: tuple[BaseMessage, ...]
    """The latest whole turns that fit the budget, oldest first."""
    memories: tuple[Memory, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Digest:
    """What to change in a thread's short-term memory after a turn."""

    summary: str
    """The running summary, or unchanged."""
    archived: tuple[str, ...] = ()
    """Ids of messages now covered by the summary, to be removed from the thread."""
    learnt: int = 0
    """Long-term items written."""


class MemoryManager(Protocol):
    """Short memory by window and summary, long memory in the LangGraph store.

    Long-term memory needs a store and a known user; without either it is silently absent.
    """

    async def recall(
        self,
        question: str,
        messages: Sequence[BaseMessage],
        *,
        store: BaseStore | None,
        tenant: str,
        user: str,
    ) -> Recollection:
        """Return the window and the memories most relevant to `question`."""
        ...

    async def digest(
        self,
        messages: Sequence[BaseMessage],
        summary: str,
        *,
        store: BaseStore | None,
        tenant: str,
        user: str,
        thread: str,
    ) -> Digest:
        """Summarise past the token budget, extract facts from the last user message."""
        ...

    async def forget(self, *, store: BaseStore | None, tenant: str, user: str) -> int:
        """Delete every long-term item of a person; return how many."""
        ...
