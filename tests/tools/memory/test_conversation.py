"""The memory manager on real stores: whole turns, summaries, facts, partitions, forgetting."""

from __future__ import annotations

import hashlib
import re
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from langchain_core.messages import AIMessage, BaseMessage, HumanMessage, ToolMessage
from langgraph.store.base import BaseStore
from langgraph.store.memory import InMemoryStore
from langgraph.store.sqlite.aio import AsyncSqliteStore

from antiphon.tools.errors import ModelUnavailable
from antiphon.tools.memory import Memory, MemoryManager
from antiphon.tools.memory.conversation import ConversationMemory, Summariser
from antiphon.tools.models.embeddings import make_embedder
from antiphon.tools.tokens import ApproximateCounter


class WordEmbedder:
    """Unit vectors of hashed words: texts that share words are near."""

    name = "words"
    dimensions = 256

    async def embed(self, texts: Sequence[str]) -> list[list[float]]:
        return [self._one(text) for text in texts]

    def _one(self, text: str) -> list[float]:
        vector = [0.0] * self.dimensions
        for word in re.findall(r"\w+", text.lower()) or [""]:
            place = int(hashlib.sha256(word.encode()).hexdigest(), 16) % self.dimensions
            vector[place] += 1.0
        norm = sum(value * value for value in vector) ** 0.5
        return [value / norm for value in vector]


class Clock:
    """A second passes with every look."""

    def __init__(self) -> None:
        self.now = datetime(2030, 1, 1, tzinfo=UTC)

    def __call__(self) -> datetime:
        self.now += timedelta(seconds=1)
        return self.now


def manager(
    *,
    window_tokens: int = 4000,
    keep_last: int = 10,
    long_term_items: int = 100,
    summariser: Summariser | None = None,
) -> MemoryManager:
    """Build one with a tiny embedder and a clock of its own."""
    return ConversationMemory(
        embedder=WordEmbedder(),
        tokens=ApproximateCounter(),
        window_tokens=window_tokens,
        keep_last=keep_last,
        long_term_items=long_term_items,
        summariser=summariser,
        clock=Clock(),
    )


@pytest.fixture(params=["memory", "sqlite"])
async def store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[BaseStore]:
    """Both stores that need no server, without an index."""
    if request.param == "memory":
        yield InMemoryStore()
        return
    async with AsyncSqliteStore.from_conn_string(str(tmp_path / "store.sqlite")) as opened:
        await opened.setup()
        yield opened


async def learn(
    memory: MemoryManager,
    store: BaseStore | None,
    text: str,
    *,
    user: str = "ana",
    tenant: str = "acme",
) -> int:
    """Say one thing; return how many items were written."""
    said = [HumanMessage(text, id="1"), AIMessage("Noted.", id="2")]
    digest = await memory.digest(said, "", store=store, tenant=tenant, user=user, thread="t1")
    return digest.learnt


async def about(
    memory: MemoryManager,
    store: BaseStore,
    question: str,
    *,
    user: str = "ana",
    tenant: str = "acme",
) -> tuple[Memory, ...]:
    """Recall for a question."""
    found = await memory.recall(question, [], store=store, tenant=tenant, user=user)
    return found.memories


def talk(turns: int) -> list[BaseMessage]:
    """Turns with a tool call each: four messages a turn."""
    messages: list[BaseMessage] = []
    for turn in range(turns):
        call = {"name": "order", "args": {"id": turn}, "id": f"c{turn}", "type": "tool_call"}
        messages += [
            HumanMessage(f"Where is order LL-{turn:03} that I placed last week?", id=f"h{turn}"),
            AIMessage("", tool_calls=[call], id=f"a{turn}"),
            ToolMessage(f"order {turn} is packed", tool_call_id=f"c{turn}", id=f"t{turn}"),
            AIMessage(f"Order LL-{turn:03} is packed and leaves on day {turn}.", id=f"r{turn}"),
        ]
    return messages


async def test_the_window_holds_whole_turns_within_the_budget() -> None:
    """The latest turns, never half of one."""
    messages = talk(5)
    two = ApproximateCounter().count_messages(messages[-8:])
    memory = manager(window_tokens=two + 5)
    window = (await memory.recall("", messages, store=None, tenant="acme", user="")).window
    assert list(window) == messages[-8:]


async def test_the_last_turn_is_always_in_the_window() -> None:
    """A turn beyond the budget is still whole."""
    memory = manager(window_tokens=1)
    window = (await memory.recall("", talk(3), store=None, tenant="acme", user="")).window
    assert [message.id for message in window] == ["h2", "a2", "t2", "r2"]


async def test_a_short_thread_is_left_alone() -> None:
    """Within the budget nothing is summarised."""
    digest = await manager().digest(
        talk(3), "before", store=None, tenant="acme", user="", thread="t1"
    )
    assert (digest.summary, digest.archived, digest.learnt) == ("before", (), 0)


async def test_a_long_thread_is_summarised_up_to_a_turn_border(store: BaseStore) -> None:
    """At least the last messages stay, calls keep their results, and the summary is archived."""
    memory = manager(window_tokens=200, keep_last=6)
    digest = await memory.digest(
        talk(6), "User: My parcel was wet.", store=store, tenant="acme", user="ana", thread="t1"
    )
    assert digest.archived == tuple(f"{kind}{turn}" for turn in range(4) for kind in "hatr")
    assert 0 < ApproximateCounter().count(digest.summary) <= 200 // 8
    assert digest.learnt == 1
    (item,) = await about(memory, store, digest.summary)
    assert (item.kind, item.text, item.thread) == ("summary", digest.summary, "t1")


async def test_the_previous_summary_is_folded_in() -> None:
    """What was worth a line before competes again, ahead of what is new."""
    memory = manager(window_tokens=400, keep_last=2)
    previous = "User: Order LL-777 arrived broken and I want 59 euros back."
    digest = await memory.digest(
        talk(20), previous, store=None, tenant="acme", user="", thread="t1"
    )
    assert digest.summary.splitlines()[0] == previous
    assert len(digest.summary.splitlines()) > 1


async def test_a_thread_keeps_one_archived_summary(store: BaseStore) -> None:
    """The newer summary replaces the older of the same thread."""
    memory = manager(window_tokens=200, keep_last=2)
    for turns in (6, 7):
        await memory.digest(talk(turns), "", store=store, tenant="acme", user="ana", thread="t1")
    assert await memory.forget(store=store, tenant="acme", user="ana") == 1


async def test_a_summariser_is_used_and_may_fail() -> None:
    """A model's summary wins; when the model is down the extract stands in."""

    async def writes(messages: Sequence[BaseMessage], summary: str) -> str:
        return f"{len(messages)} messages"

    async def down(messages: Sequence[BaseMessage], summary: str) -> str:
        raise ModelUnavailable("down")

    for summariser, expected in ((writes, "20 messages"), (down, "User: ")):
        memory = manager(window_tokens=200, keep_last=4, summariser=summariser)
        digest = await memory.digest(talk(6), "", store=None, tenant="acme", user="", thread="t1")
        assert digest.summary.startswith(expected)
        assert len(digest.archived) == 20


async def test_a_fact_is_recalled_where_it_matters(store: BaseStore) -> None:
    """What was said comes back for a related question, with its origin, and not for another."""
    memory = manager()
    assert await learn(memory, store, "Hi, I am allergic to peanuts. Where is my order?") == 1
    (fact,) = await about(memory, store, "Which snacks are safe, am I allergic to peanuts?")
    assert (fact.text, fact.kind, fact.thread) == ("Hi, I am allergic to peanuts.", "fact", "t1")
    assert fact.created.startswith("2030-01-01")
    assert 0.2 <= fact.relevance <= 1.0
    assert await about(memory, store, "opening hours") == ()


async def test_a_newer_fact_replaces_the_older(store: BaseStore) -> None:
    """The same fact again, and a new value of what there is only one of."""
    memory = manager()
    for text in (
        "I live in Lyon.",
        "I live in Oslo.",
        "I prefer tea in the morning.",
        "I prefer tea in the morning!",
    ):
        await learn(memory, store, text)
    texts = {item.text for item in await about(memory, store, "I live in prefer tea the morning")}
    assert texts == {"I live in Oslo.", "I prefer tea in the morning!"}


async def test_the_oldest_go_beyond_the_limit(store: BaseStore) -> None:
    """No more than the limit is kept."""
    memory = manager(long_term_items=2)
    for drink in ("tea", "milk", "water"):
        await learn(memory, store, f"I like {drink}.")
    texts = {item.text for item in await about(memory, store, "I like tea milk water")}
    assert texts == {"I like milk.", "I like water."}


@pytest.mark.parametrize(
    ("tenant", "user"),
    [("acme", "bob"), ("other", "ana"), ("acme", "Ana"), ("acme", "an_"), ("acme", "a%")],
)
async def test_memories_are_partitioned(store: BaseStore, tenant: str, user: str) -> None:
    """Nobody else recalls or deletes them, not even by wildcard or case."""
    memory = manager()
    await learn(memory, store, "I live in Lyon.")
    assert await about(memory, store, "I live in Lyon", tenant=tenant, user=user) == ()
    assert await memory.forget(store=store, tenant=tenant, user=user) == 0
    assert len(await about(memory, store, "I live in Lyon")) == 1


async def test_an_address_can_name_a_user(store: BaseStore) -> None:
    """Dots and upper case in an id are no obstacle to the store."""
    memory = manager()
    await learn(memory, store, "I live in Lyon.", user="Ana.B@example.org")
    assert len(await about(memory, store, "I live in Lyon", user="Ana.B@example.org")) == 1


async def test_forgetting_leaves_nothing(store: BaseStore) -> None:
    """Everything of the person goes, and its number is told."""
    memory = manager()
    await learn(memory, store, "I live in Lyon. I like tea. My name is Ana.")
    assert await memory.forget(store=store, tenant="acme", user="ana") == 3
    assert await about(memory, store, "I live in Lyon") == ()


async def test_nothing_is_remembered_of_the_unknown(store: BaseStore) -> None:
    """No user or no store: no long-term memory, and no error."""
    memory = manager()
    assert await learn(memory, store, "I live in Lyon.", user="") == 0
    assert await learn(memory, None, "I live in Lyon.") == 0
    assert await store.asearch(()) == []


async def test_with_the_real_embedder(store: BaseStore) -> None:
    """Paraphrases find each other with the packaged model."""
    memory = ConversationMemory(embedder=make_embedder("minilm"), tokens=ApproximateCounter())
    await learn(memory, store, "I'm allergic to peanuts. I live in Lyon. I work as a nurse.")
    best, *_ = await about(memory, store, "Can I eat the nut bar with my allergy?")
    assert best.text == "I'm allergic to peanuts."
