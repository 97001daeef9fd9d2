"""The memory manager: a window by tokens, a summary beyond it, facts for later."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime

from langchain_core.messages import BaseMessage, HumanMessage
from langgraph.store.base import BaseStore

from antiphon.tools.errors import AntiphonError
from antiphon.tools.memory.extract import facts
from antiphon.tools.memory.items import Digest, Recollection
from antiphon.tools.memory.longterm import LongTerm, Note
from antiphon.tools.memory.summary import summarise
from antiphon.tools.memory.window import latest, split
from antiphon.tools.retrieval import Embedder
from antiphon.tools.tokens import TokenCounter

Summariser = Callable[[Sequence[BaseMessage], str], Awaitable[str]]
"""From the messages that leave the window and the summary so far to the new summary."""

_SUMMARY_SHARE = 8
"""The summary may take an eighth of the window."""


def _now() -> datetime:
    return datetime.now(UTC)


class ConversationMemory:
    """Short memory by window and summary, long memory in the store; see `MemoryManager`."""

    def __init__(
        self,
        *,
        embedder: Embedder,
        tokens: TokenCounter,
        window_tokens: int = 4000,
        keep_last: int = 10,
        long_term_items: int = 100,
        recalled: int = 5,
        summariser: Summariser | None = None,
        clock: Callable[[], datetime] = _now,
    ) -> None:
        self._embedder = embedder
        self._tokens = tokens
        self._window_tokens = window_tokens
        self._keep_last = keep_last
        self._long_term_items = long_term_items
        self._recalled = recalled
        self._summariser = summariser
        self._clock = clock

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
        window = latest(messages, self._tokens, self._window_tokens)
        memories = self._memories(store, tenant, user)
        if memories is None or not question.strip():
            return Recollection(window=window)
        return Recollection(window=window, memories=await memories.find(question, self._recalled))

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
        notes = [
            Note(text=fact.text, kind="fact", thread=thread, slot=fact.slot)
            for fact in facts(_last_words(messages))
        ]
        archived: tuple[str, ...] = ()
        old, _ = split(messages, self._keep_last)
        if old and self._tokens.count_messages(messages) > self._window_tokens:
            summary = await self._summarise(old, summary)
            archived = tuple(message.id for message in old if message.id)
            # A thread has one summary: the newer holds what mattered in the older.
            notes.append(Note(text=summary, kind="summary", thread=thread, slot=thread))
        memories = self._memories(store, tenant, user)
        if memories is None:
            return Digest(summary=summary, archived=archived)
        learnt = await memories.write(notes, created=self._clock().isoformat())
        return Digest(summary=summary, archived=archived, learnt=learnt)

    async def forget(self, *, store: BaseStore | None, tenant: str, user: str) -> int:
        """Delete every long-term item of a person; return how many."""
        memories = self._memories(store, tenant, user)
        return 0 if memories is None else await memories.clear()

    def _memories(self, store: BaseStore | None, tenant: str, user: str) -> LongTerm | None:
        if store is None or not user:
            return None
        return LongTerm(
            store,
            tenant=tenant,
            user=user,
            embedder=self._embedder,
            limit=self._long_term_items,
        )

    async def _summarise(self, old: Sequence[BaseMessage], summary: str) -> str:
        if self._summariser is not None:
            try:
                if written := (await self._summariser(old, summary)).strip():
                    return written
            except AntiphonError:
                # A model that is down must not cost the history: the extract needs none.
                pass
        return await summarise(
            old,
            summary,
            embedder=self._embedder,
            tokens=self._tokens,
            budget=max(1, self._window_tokens // _SUMMARY_SHARE),
        )


def _last_words(messages: Sequence[BaseMessage]) -> str:
    return next((m.text for m in reversed(messages) if isinstance(m, HumanMessage)), "")
