"""What is kept of threads, model calls, effects and decisions, and how it is found again."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

import pytest
from turn_stores import Open, let_in

from antiphon.tools.errors import LeaseLost, TurnStopped
from antiphon.tools.toolbox import Caller, ToolCall, ToolResult, ToolSpec
from antiphon.tools.turns.current import CURRENT, Running
from antiphon.tools.turns.database import Transaction
from antiphon.tools.turns.effects import NOT_IN_A_REPLAY, KeptEffects
from antiphon.tools.turns.records import Call, Decided, Effect
from antiphon.tools.turns.store import SqlTurns

ALICE = Caller(tenant="acme", user="alice", thread="t")


def an_effect(**given: Any) -> Effect:
    plain = {"tenant": "acme", "key": "k", "thread": "t", "turn": "1", "tool": "pay"}
    return Effect(**{**plain, "arguments": {"euro": 5}, **given})


async def test_threads_are_paged_even_when_all_were_used_at_once(opening: Open) -> None:
    """Every thread is on one page and on one only; others' threads are on none."""
    now = [1000.0]
    store = SqlTurns(await opening(), clock=lambda: now[0])
    for number in range(23):
        now[0] = 1000.0 + number // 10
        await let_in(store, f"t{number:02}")
    await let_in(store, "foreign", owner="bob")
    await let_in(store, "rival", tenant="rival")
    seen: list[str] = []
    before: tuple[float, str] | None = None
    while page := await store.threads("acme", "alice", limit=4, before=before):
        seen += [one.id for one in page]
        before = (page[-1].updated, page[-1].id)
    assert sorted(seen) == [f"t{number:02}" for number in range(23)]
    assert seen[:3] == ["t22", "t21", "t20"]


async def test_a_thread_is_found_by_what_a_client_calls_it(opening: Open) -> None:
    """By its owner, under its latest name, and not when it is deleted."""
    store = SqlTurns(await opening())
    await let_in(store)
    await store.note_head("acme", "t", "one")
    await store.note_head("acme", "t", "two")
    assert await store.claim_head("acme", "alice", "two") == "t"
    for owner, head in (("alice", "one"), ("bob", "two"), ("alice", "")):
        assert await store.claim_head("acme", owner, head) == ""
    await store.delete("acme", "t")
    assert await store.claim_head("acme", "alice", "two") == ""


async def test_a_call_is_completed_and_summed(opening: Open) -> None:
    """Its estimate is replaced by what it came to; a turn costs the sum of its calls."""
    store = SqlTurns(await opening())
    opened = await let_in(store)
    assert opened.lease is not None
    token = opened.lease.token
    first = Call(purpose="tools", model="m", cost_usd=1.0)
    await store.note_call(opened.turn.id, token, 0, first)
    await store.note_call(opened.turn.id, token, 1, replace(first, purpose="answer"))
    done = replace(first, input_tokens=7, output_tokens=3, cost_usd=0.25, ok=True)
    await store.note_call(opened.turn.id, token, 0, done)
    entry = await store.turn("acme", "t", opened.turn.id)
    assert entry is not None
    assert entry.calls == (done, replace(first, purpose="answer"))
    assert entry.cost_usd == 1.25
    assert (await store.turns("acme", "t"))[0].calls == entry.calls


async def test_an_effect_is_begun_by_one(opening: Open) -> None:
    """Of two processes that would make a call at once one may; the other sees it started."""
    stores = [SqlTurns(await opening()) for _ in range(2)]
    tries = (stores[n % 2].begin(an_effect(), token=0) for n in range(10))
    states = [one.state for one in await asyncio.gather(*tries)]
    assert sorted(states) == ["planned", *["started"] * 9]


async def test_an_effect_goes_from_planned_to_its_end(opening: Open) -> None:
    """An end is kept; what is unknown is begun once more only when that is asked for."""
    store = SqlTurns(await opening())
    await store.plan(an_effect())
    await store.plan(an_effect(arguments={"euro": 6}))
    assert (await store.effects("acme", "t"))[0] == an_effect()
    assert (await store.begin(an_effect(arguments={"euro": 7}), token=0)).state == "planned"
    assert (await store.begin(an_effect(), token=0)).state == "started"
    await store.finish(an_effect(state="unknown"), token=0)
    assert (await store.begin(an_effect(), token=0)).state == "unknown"
    assert (await store.begin(an_effect(), token=0, again=1)).state == "planned"
    await store.finish(an_effect(state="done", result={"ok": True}), token=0)
    for late in ("unknown", "planned", "started"):
        await store.finish(an_effect(state=late), token=0)
    done = await store.begin(an_effect(), token=0, again=1)
    assert (done.state, done.result) == ("done", {"ok": True})
    assert (await store.effects("acme", "t", turn="1"))[0] == done
    assert await store.effects("acme", "t", turn="2") == []


async def test_who_began_last_says_what_is_not_done(opening: Open) -> None:
    """A runner taken for dead cannot unsay the newer call; that its own was done is believed."""
    store = SqlTurns(await opening())
    lease = (await let_in(store)).lease
    assert lease is not None
    await store.begin(an_effect(), token=lease.token)
    await store.begin(an_effect(), token=0, again=1)
    await store.database.run(_set_token(lease.token + 1))
    await store.finish(an_effect(state="planned"), token=lease.token)
    assert (await store.effects("acme", "t"))[0].state == "started"
    await store.finish(an_effect(state="done", result={"ok": True}), token=lease.token)
    assert (await store.effects("acme", "t"))[0].state == "done"


def _set_token(token: int) -> Transaction[None]:
    yield "UPDATE antiphon_effects SET token = ?", (token,)


async def test_an_effect_needs_the_lease(opening: Open) -> None:
    """A token that is not the thread's begins nothing."""
    store = SqlTurns(await opening())
    lease = (await let_in(store)).lease
    assert lease is not None
    with pytest.raises(LeaseLost):
        await store.begin(an_effect(), token=lease.token - 1)
    assert await store.effects("acme", "t") == []
    assert (await store.begin(an_effect(), token=lease.token)).state == "planned"


async def test_a_stopped_turn_begins_no_effect(opening: Open) -> None:
    """What was asked to stop before a call went out does not make it."""
    store = SqlTurns(await opening())
    opened = await let_in(store)
    assert opened.lease is not None
    token, turn = opened.lease.token, opened.turn
    await store.ask_to_stop(turn)
    with pytest.raises(TurnStopped):
        await store.begin(an_effect(), token=token, turn=turn.id)
    assert await store.effects("acme", "t") == []


async def test_nothing_is_begun_for_a_thread_that_was_deleted(opening: Open) -> None:
    """Also by a runner of a host, which has no lease of ours."""
    store = SqlTurns(await opening())
    await let_in(store)
    await store.delete("acme", "t")
    with pytest.raises(LeaseLost):
        await store.begin(an_effect(), token=0)


async def test_the_first_word_on_a_call_stands(opening: Open) -> None:
    """A decision is kept with who, why and about what, and is not written over."""
    clock = iter([10.0, 11.0, 12.0, 13.0, 14.0])
    store = SqlTurns(await opening(), clock=lambda: next(clock))
    yes = Decided(
        tenant="acme", thread="t", interrupt_id="i", turn="1", tool="pay",
        arguments={"euro": 5}, approved=True, by="alice", reason="mine",
    )  # fmt: skip
    await store.decided(yes)
    await store.decided(replace(yes, approved=False, by="bob"))
    await store.decided(replace(yes, interrupt_id="j", approved=False))
    kept = list(await store.decisions("acme", "t"))
    assert [(one.interrupt_id, one.approved, one.by) for one in kept] == [
        ("i", True, "alice"), ("j", False, "alice"),
    ]  # fmt: skip
    assert kept[0].at < kept[1].at
    assert await store.decisions("rival", "t") == []


class Tool:
    """Counts its calls, and breaks off in the middle of those it is told to."""

    def __init__(self, *breaks: bool) -> None:
        self.breaks = list(breaks)
        self.keys: list[str] = []

    async def __call__(self, call: ToolCall) -> ToolResult:
        self.keys.append(call.idempotency_key)
        if self.breaks and self.breaks.pop(0):
            raise ConnectionAbortedError
        return ToolResult(call_id=call.id, name=call.name, ok=True, content="paid", said="Paid.")


def a_spec(*, idempotent: bool) -> ToolSpec:
    from fakes import note_return

    return ToolSpec(tool=note_return, side_effects=True, approval=False, idempotent=idempotent)


CALL = ToolCall(id="1", name="note_return", arguments={"order_id": "7"}, idempotency_key="key")


async def test_a_call_that_broke_off_is_made_again_under_its_key(opening: Open) -> None:
    """For a tool that takes a key; the third time its result is on record."""
    effects, tool = KeptEffects(SqlTurns(await opening())), Tool(True)
    spec = a_spec(idempotent=True)
    with pytest.raises(ConnectionAbortedError):
        await effects.run(spec, CALL, tool, caller=ALICE, turn="1")
    for _ in range(2):
        done = await effects.run(spec, CALL, tool, caller=ALICE, turn="1")
        assert done is not None
        assert done.said == "Paid."
    assert tool.keys == ["key", "key"]


async def test_a_call_that_broke_off_is_not_made_again_without_a_key(opening: Open) -> None:
    """Nobody knows what came of it, until a person says to make it again."""
    store = SqlTurns(await opening())
    effects, tool = KeptEffects(store), Tool(True)
    spec = a_spec(idempotent=False)
    with pytest.raises(ConnectionAbortedError):
        await effects.run(spec, CALL, tool, caller=ALICE, turn="1")
    for _ in range(2):
        assert await effects.run(spec, CALL, tool, caller=ALICE, turn="1") is None
    assert len(tool.keys) == 1
    assert [one.state for one in await store.effects("acme", "t")] == ["unknown"]
    assert await effects.run(spec, CALL, tool, caller=ALICE, turn="1", again=1) is not None
    assert len(tool.keys) == 2


async def test_a_result_is_told_even_when_it_cannot_be_noted(opening: Open) -> None:
    """The tool did its work: the turn does not fail for a store that is away just then."""
    store = SqlTurns(await opening())

    class Away(SqlTurns):
        async def finish(self, effect: Effect, *, token: int) -> None:
            raise LeaseLost("away")

    effects, tool = KeptEffects(Away(store.database)), Tool()
    done = await effects.run(a_spec(idempotent=False), CALL, tool, caller=ALICE, turn="1")
    assert done is not None
    assert done.ok
    assert [one.state for one in await store.effects("acme", "t")] == ["started"]


@pytest.mark.parametrize("live", [False, True], ids=["from the record", "live"])
async def test_a_replay_makes_no_call_unless_it_is_live(opening: Open, live: bool) -> None:
    """It is told what the same call came to; a live one acts under a key of its own."""
    store = SqlTurns(await opening())
    effects, tool = KeptEffects(store), Tool()
    spec = a_spec(idempotent=True)
    await effects.run(spec, CALL, tool, caller=ALICE, turn="1")
    opened = await let_in(store, "fork")
    assert opened.lease is not None
    token = opened.lease.token
    running = Running(turn=opened.turn, token=token, store=store, origin="t", live=live)
    mark = CURRENT.set(running)
    try:
        fork = replace(ALICE, thread="fork")
        same = await effects.run(spec, CALL, tool, caller=fork, turn="2")
        other = replace(CALL, arguments={"order_id": "8"}, idempotency_key="other")
        unknown = await effects.run(spec, other, tool, caller=fork, turn="2")
    finally:
        CURRENT.reset(mark)
    assert same is not None
    assert unknown is not None
    assert same.said == "Paid."
    assert len(set(tool.keys)) == len(tool.keys) == (3 if live else 1)
    assert unknown.error == ("" if live else NOT_IN_A_REPLAY)
