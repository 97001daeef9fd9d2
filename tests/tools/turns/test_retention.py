"""Thinning out, with the real checkpointers: what is kept can be read, what is not is gone."""

from __future__ import annotations

import operator
import uuid
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Annotated, Any, TypedDict

import pytest
from langgraph.graph import START, StateGraph
from turn_stores import Open, close, let_in, open_saver

from antiphon.tools.turns.database import Row, SqliteDatabase, Transaction
from antiphon.tools.turns.records import Call, Decided, Effect, EffectState, TurnEntry
from antiphon.tools.turns.retention import DAY_S, Keep, Retention
from antiphon.tools.turns.schema import fence
from antiphon.tools.turns.store import SqlTurns

KEEP = Keep(full_steps_turns=2, last_step_turns=4, turns=6, thread_days=30)


class Talk(TypedDict, total=False):
    said: Annotated[list[str], operator.add]
    draft: list[str]
    rare: list[str]


class Threads:
    """Turns of a small graph, over the real checkpointer."""

    def __init__(self, store: SqlTurns, saver: Any) -> None:
        self.store = store
        self.saver = saver
        table = StateGraph(Talk)
        table.add_node("think", lambda state: {"draft": [f"about {state['said'][-1]}"]})
        table.add_node("say", lambda state: {"said": state["draft"]})
        table.add_edge(START, "think")
        table.add_edge("think", "say")
        self.graph = table.compile(checkpointer=saver)

    async def turn(self, said: str, *, thread: str = "t", **given: Any) -> TurnEntry:
        opened = await let_in(self.store, thread)
        entry, lease = opened.turn, opened.lease
        assert lease is not None
        config: Any = {
            "configurable": {"thread_id": f"acme/{thread}"},
            "metadata": {"turn": entry.id, "lease": lease.token},
        }
        asked: Any = {"said": [said], **given}
        await self.graph.ainvoke(asked, config)
        snapshot = await self.graph.aget_state(config)
        effect = Effect(
            tenant="acme", key=entry.id, thread=thread, turn=entry.id, tool="pay", arguments={}
        )  # fmt: skip
        await self.store.plan(effect)
        await self.store.decided(
            Decided(
                tenant="acme", thread=thread, interrupt_id="i", turn=entry.id, tool="pay",
                arguments={}, approved=True, by="alice", reason="",
            )
        )  # fmt: skip
        await self.store.settle(
            entry, lease, state="done", outcome="answered", result={"answer": said}, title=said,
            checkpoint=snapshot.config["configurable"]["checkpoint_id"],
            calls=(Call(purpose="answer", model="m"),),
        )  # fmt: skip
        return entry

    async def steps(self, thread: str = "t") -> list[Any]:
        config: Any = {"configurable": {"thread_id": f"acme/{thread}"}}
        return [one async for one in self.graph.aget_state_history(config)]

    async def count(self, table: str) -> int:
        def work() -> Transaction[Sequence[Row]]:
            return (yield f"SELECT COUNT(*) AS n FROM {table}", ())  # noqa: S608 - our own names

        return int((await self.store.database.run(work()))[0]["n"])


@asynccontextmanager
async def threads(opening: Open, now: list[float]) -> AsyncIterator[tuple[Threads, Retention]]:
    database = await opening()
    saver = await open_saver(database)
    store = SqlTurns(database, clock=lambda: now[0])
    await store.ping()
    await fence(database)
    try:
        yield Threads(store, saver), Retention(database, KEEP)
    finally:
        await close(saver)


async def test_old_turns_keep_a_step_then_a_record_then_nothing(opening: Open) -> None:
    """The latest can be stepped through; every step that is left can still be read whole."""
    async with threads(opening, [1000.0]) as (talk, retention):
        await talk.turn("turn 0", rare=["set once"])
        for number in range(1, 9):
            entry = await talk.turn(f"turn {number}")
            await retention.trim(entry)
        left = await talk.steps()
        for snapshot in left:
            assert snapshot.values["rare"] == ["set once"]
            assert len(snapshot.values["said"]) >= 2
        kept = [dict(one.metadata or {}).get("turn") for one in left]
        entries = await talk.store.turns("acme", "t")
        assert [one.seq for one in entries] == [4, 5, 6, 7, 8, 9]
        # Four steps a turn: before its message, and after each of start, think and say.
        assert [kept.count(one.id) for one in entries] == [0, 0, 1, 1, 4, 4]
        assert len(left[0].values["said"]) == 18
        assert await talk.count("antiphon_calls") == 6
        assert len(await talk.store.effects("acme", "t")) == 6
        assert len(await talk.store.decisions("acme", "t")) == 6
        if not isinstance(talk.store.database, SqliteDatabase):
            # Nothing is left that no checkpoint has: three channels, few versions each.
            assert await talk.count("checkpoint_blobs") <= 3 * len(left)


async def test_steps_are_kept_for_hours_too(opening: Open) -> None:
    """A turn that is young keeps all its steps, however many came after it."""
    async with threads(opening, [1000.0]) as (talk, _):
        database = talk.store.database
        for number in range(6):
            await talk.turn(f"turn {number}")
        hours = Retention(database, replace(KEEP, full_steps_hours=2))
        await database.run(_young())
        await hours.trim_all()
        assert len(await talk.steps()) == 6 * 4
        await database.run(_older(4))
        await hours.trim_all()
        entries = await talk.store.turns("acme", "t")
        kept = [dict(one.metadata or {}).get("turn") for one in await talk.steps()]
        assert [kept.count(one.id) for one in entries] == [0, 0, 1, 1, 4, 4]


def _young() -> Transaction[None]:
    yield "UPDATE antiphon_turns SET created = 9e9", ()


def _older(turns: int) -> Transaction[None]:
    yield "UPDATE antiphon_turns SET created = 0 WHERE seq <= ?", (turns,)


async def test_what_is_not_over_is_not_forgotten(opening: Open) -> None:
    """Neither a turn that runs or waits, nor a call whose end nobody saw, however much follows."""
    async with threads(opening, [1000.0]) as (talk, retention):
        states: tuple[EffectState, ...] = ("done", "started", "unknown")
        entry = await talk.turn("first")
        for state in states:
            effect = Effect(
                tenant="acme", key=state, thread="t", turn=entry.id, tool="pay", arguments={}
            )
            await talk.store.begin(effect, token=0)
            await talk.store.finish(replace(effect, state=state), token=0)
        waiting = await let_in(talk.store)
        assert waiting.lease is not None
        await talk.store.settle(
            waiting.turn, waiting.lease, state="awaiting", outcome="", result={}, waiting=True
        )
        for _ in range(50):
            refused = await let_in(talk.store)
            await talk.store.leave(refused.turn, refused.lease)
        runs = await let_in(talk.store)
        await retention.trim_all()
        assert len(await talk.store.turns("acme", "t")) == 3
        assert runs.lease is not None
        await talk.store.settle(
            runs.turn, runs.lease, state="failed", outcome="", result={}, waiting=True
        )
        for number in range(9):
            await talk.turn(f"turn {number}")
            await talk.store.database.run(_awaiting(waiting.turn.id))
        await retention.trim_all()
        kept = [one.id for one in await talk.store.turns("acme", "t")]
        assert (entry.id in kept, waiting.turn.id in kept, len(kept)) == (False, True, 7)
        named = {one.key for one in await talk.store.effects("acme", "t")}
        assert (named & {"done"}, {"started", "unknown"} <= named) == (set(), True)


async def test_no_doubt_is_buried_while_its_thread_stands(opening: Open) -> None:
    """However old: whoever forgot that the call went out would make it again."""
    now = [1000.0]
    async with threads(opening, now) as (talk, retention):
        entry = await talk.turn("first")
        for key, thread in (("doubt", "t"), ("gone", "elsewhere")):
            effect = Effect(
                tenant="acme", key=key, thread=thread, turn=entry.id, tool="pay", arguments={}
            )
            await talk.store.begin(effect, token=0)
        await talk.store.database.run(_aged())
        await retention.bury()
        left = await talk.store.effect("acme", "doubt"), await talk.store.effect("acme", "gone")
        assert [one is not None for one in left] == [True, False]


def _aged() -> Transaction[None]:
    yield "UPDATE antiphon_effects SET updated = 0", ()


def _awaiting(turn: str) -> Transaction[None]:
    yield "UPDATE antiphon_turns SET state = 'awaiting' WHERE id = ?", (turn,)


async def test_each_turn_leaves_as_much_as_the_one_before(opening: Open) -> None:
    """From some turn on the number of rows is the same for ever, in every table."""
    tables = ["checkpoints", "writes", "antiphon_turns", "antiphon_calls", "antiphon_effects"]
    async with threads(opening, [1000.0]) as (talk, retention):
        if not isinstance(talk.store.database, SqliteDatabase):
            tables = [*tables[:1], "checkpoint_writes", "checkpoint_blobs", *tables[2:]]
        counts: list[list[int]] = []
        for number in range(14):
            await retention.trim(await talk.turn(f"turn {number}"))
            counts.append([await talk.count(table) for table in tables])
    assert counts[-1] == counts[-2] == counts[8]


async def test_a_dry_run_says_what_would_go_and_leaves_it(opening: Open) -> None:
    """What the real run removes is what the dry one said; a second one finds nothing."""
    async with threads(opening, [1000.0]) as (talk, retention):
        for number in range(8):
            await talk.turn(f"turn {number}")
            await talk.turn(f"turn {number}", thread="other")
        steps = len(await talk.steps())
        said = await retention.trim_all(dry_run=True)
        assert len(await talk.steps()) == steps
        assert len(await talk.store.turns("acme", "t")) == 8
        assert said > 0
        assert await retention.trim_all() == said
        assert len(await talk.steps("other")) < steps
        assert await retention.trim_all() == 0


async def test_old_threads_are_told_weighed_and_buried(opening: Open) -> None:
    """By the time since their last turn; a running one is not old; a name is kept for a while."""
    import time

    now = [time.time() - 31 * DAY_S]
    async with threads(opening, now) as (talk, retention):
        await talk.turn("old")
        await talk.turn("old", thread="runs")
        await talk.store.open(
            turn=uuid.uuid4().hex, tenant="acme", thread="runs", owner="alice",
            kind="message", ttl_s=15,
        )  # fmt: skip
        now[0] = time.time()
        await talk.turn("new", thread="new")
        assert await retention.old() == [("acme", "t")]
        assert await retention.weigh("acme", "t") > 0
        await talk.store.delete("acme", "t")
        assert await retention.weigh("acme", "t") == 0
        assert await retention.bury() == 0
        now[0] = time.time() - 2 * DAY_S
        await talk.store.delete("acme", "t")
        assert await retention.bury() == 1
        await retention.compact()
        assert await talk.store.thread("acme", "new") is not None


@pytest.mark.parametrize("seq", [1, 2])
async def test_a_young_thread_is_left_alone(opening: Open, seq: int) -> None:
    """Nothing is removed before there is more than may be kept in full."""
    async with threads(opening, [1000.0]) as (talk, retention):
        entries = [await talk.turn(f"turn {number}") for number in range(seq)]
        assert await retention.trim(entries[-1]) == 0
        assert len(await talk.steps()) == 4 * seq
