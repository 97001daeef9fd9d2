"""Whose a thread is, who may run it, in which order, and what becomes of those who die."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

import pytest
from turn_stores import TTL, Open, let_in

from antiphon.tools.errors import Forbidden, LeaseLost, RequestKeyReused, TurnStopped
from antiphon.tools.turns.database import Transaction
from antiphon.tools.turns.records import Call, Effect, Lease, Opened
from antiphon.tools.turns.retention import DAY_S, Keep, Retention
from antiphon.tools.turns.store import SqlTurns


class Clock:
    """A clock that is moved by hand."""

    def __init__(self) -> None:
        self.now = 1_700_000_000.0

    def __call__(self) -> float:
        return self.now


async def settled(store: SqlTurns, opened: Opened, **given: Any) -> None:
    assert opened.lease is not None
    end = {"state": "done", "outcome": "answered", "result": {"answer": "yes"}, **given}
    await store.settle(opened.turn, opened.lease, **end)


async def test_a_thread_is_its_first_callers_however_many_come_at_once(opening: Open) -> None:
    """Of twenty users at two processes one becomes the owner; the others are turned away."""
    stores = [SqlTurns(await opening()) for _ in range(2)]
    tries = [let_in(stores[n % 2], owner=f"user{n}") for n in range(20)]
    came = await asyncio.gather(*tries, return_exceptions=True)
    inside = [one for one in came if isinstance(one, Opened)]
    assert len(inside) == 1
    assert sum(isinstance(one, Forbidden) for one in came) == 19
    record = await stores[0].thread("acme", "t")
    assert record is not None
    assert record.owner == inside[0].turn.owner
    assert await stores[1].turns("acme", "t") == [inside[0].turn]


async def test_one_of_many_openers_gets_the_lease(opening: Open) -> None:
    """Ten messages at two processes: one runs, nine wait, each in a place of its own."""
    stores = [SqlTurns(await opening()) for _ in range(2)]
    came = await asyncio.gather(*(let_in(stores[n % 2]) for n in range(10)))
    assert sum(one.lease is not None for one in came) == 1
    assert sorted(one.turn.seq for one in came) == list(range(1, 11))


async def test_what_came_in_before_the_last_end_is_late(opening: Open) -> None:
    """However the message was held up, it was sent before that turn's words were there."""
    clock = Clock()
    store = SqlTurns(await opening(), clock=clock)
    first = await let_in(store, waited=lambda: 5.0)
    clock.now += 10
    await settled(store, first)
    clock.now += 1
    early = await let_in(store, waited=lambda: 1.5)
    later = await let_in(store, waited=lambda: 0.5)
    assert [one.late for one in (first, early, later)] == [False, True, False]


async def test_a_request_key_gives_the_same_turn(opening: Open) -> None:
    """A retry is the turn it retries, with what came of it; another request is refused."""
    store = SqlTurns(await opening())
    first = await let_in(store, request_key="k", digest="a")
    await settled(store, first)
    again = await let_in(store, request_key="k", digest="a")
    assert (again.repeated, again.turn.id, again.lease) == (True, first.turn.id, None)
    assert again.turn.result == {"answer": "yes"}
    with pytest.raises(RequestKeyReused):
        await let_in(store, request_key="k", digest="b")
    other = await let_in(store, "another", request_key="k", digest="b", owner="bob")
    assert not other.repeated


async def test_a_request_key_used_at_once_in_two_processes_is_one_turn(opening: Open) -> None:
    """Nine copies of one request, each with a new thread of its own: one turn, one thread."""
    stores = [SqlTurns(await opening()) for _ in range(3)]
    came = await asyncio.gather(
        *(let_in(stores[n % 3], f"t{n}", request_key="k", digest="a") for n in range(9))
    )
    assert len({one.turn.id for one in came}) == 1
    assert sum(not one.repeated for one in came) == 1
    assert len(await stores[0].threads("acme", "alice", limit=50)) == 1


async def test_waiting_turns_keep_their_order(opening: Open) -> None:
    """Who came later is not let past who came earlier, whoever asks first."""
    store, other = SqlTurns(await opening()), SqlTurns(await opening())
    first, second, third = [await let_in(store) for _ in range(3)]
    await settled(store, first)
    assert await other.acquire(third.turn, ttl_s=TTL) is None
    lease = await store.acquire(second.turn, ttl_s=TTL)
    assert lease is not None
    assert await other.acquire(third.turn, ttl_s=TTL) is None
    await settled(store, replace(second, lease=lease))
    assert await other.acquire(third.turn, ttl_s=TTL) is not None


async def test_a_new_message_does_not_pass_those_who_wait(opening: Open) -> None:
    """The lease is free for a moment between two turns; a newcomer does not snatch it."""
    store = SqlTurns(await opening())
    first, second = await let_in(store), await let_in(store)
    await settled(store, first)
    third = await let_in(store)
    assert third.lease is None
    assert await store.acquire(second.turn, ttl_s=TTL) is not None


async def test_a_waiter_that_died_holds_nobody_up(opening: Open) -> None:
    """A place in the line lapses when nobody renews it."""
    clock = Clock()
    store = SqlTurns(await opening(), clock=clock)
    first, dead = await let_in(store), await let_in(store)
    await settled(store, first)
    clock.now += TTL + 1
    third = await let_in(store)
    assert third.lease is not None
    with pytest.raises(LeaseLost):
        await store.acquire(dead.turn, ttl_s=TTL)


async def test_a_retry_inherits_the_place_of_a_dead_waiter(opening: Open) -> None:
    """While its process lives the place stays its own; afterwards one retry has it."""
    clock = Clock()
    store = SqlTurns(await opening(), clock=clock)
    first, waiting = await let_in(store), await let_in(store)
    assert not await store.inherit(waiting.turn, ttl_s=TTL)
    clock.now += TTL + 1
    assert await store.inherit(waiting.turn, ttl_s=TTL)
    assert not await store.inherit(waiting.turn, ttl_s=TTL)
    lease = await store.acquire(waiting.turn, ttl_s=TTL)
    assert lease is not None
    assert [one.id for one in lease.died] == [first.turn.id]
    # The process that had queued it comes back and gives up: the turn that runs now stays.
    await store.leave(waiting.turn)
    kept = await store.turn("acme", "t", waiting.turn.id)
    assert kept is not None
    assert kept.state == "running"


async def test_the_lease_is_one_runners(opening: Open) -> None:
    """Of many who try at once for a free or lapsed lease one gets it."""
    clock = Clock()
    stores = [SqlTurns(await opening(), clock=clock) for _ in range(2)]
    await let_in(stores[0])
    dead = (await stores[0].turns("acme", "t"))[0]
    tries = [stores[n % 2].take_over(dead, ttl_s=TTL) for n in range(8)]
    assert await asyncio.gather(*tries) == [None] * 8
    clock.now += TTL + 1
    tries = [stores[n % 2].take_over(dead, ttl_s=TTL) for n in range(8)]
    taken = [one for one in await asyncio.gather(*tries) if one is not None]
    assert len(taken) == 1
    assert taken[0].token > dead.token


async def test_a_renewed_lease_does_not_lapse(opening: Open) -> None:
    """A sign of life keeps the thread; without one the next to come gets it and hears who died."""
    clock = Clock()
    store = SqlTurns(await opening(), clock=clock)
    first = await let_in(store)
    assert first.lease is not None
    for _ in range(4):
        clock.now += TTL - 1
        assert await store.renew(first.turn, first.lease, ttl_s=TTL) is False
    waiting = await let_in(store)
    assert waiting.lease is None
    clock.now += TTL + 1
    died = [first.turn.id, waiting.turn.id]
    assert [one.id for one in await store.dead()] == died
    late = await let_in(store)
    assert late.lease is not None
    assert [one.id for one in late.lease.died] == died


async def test_an_old_token_changes_nothing(opening: Open) -> None:
    """A runner that was taken for dead is refused whatever it tries, and all stays as it was."""
    clock = Clock()
    store = SqlTurns(await opening(), clock=clock)
    first = await let_in(store)
    assert first.lease is not None
    clock.now += TTL + 1
    second = await let_in(store)
    before = (await store.turns("acme", "t"), await store.thread("acme", "t"))
    effect = Effect(tenant="acme", key="e", thread="t", turn="x", tool="pay", arguments={})
    with pytest.raises(LeaseLost):
        await settled(store, first, title="stale", calls=(Call(purpose="answer", model="m"),))
    with pytest.raises(LeaseLost):
        await store.renew(first.turn, first.lease, ttl_s=TTL)
    with pytest.raises(LeaseLost):
        await store.begin(effect, token=first.lease.token)
    await store.leave(first.turn, first.lease)
    assert (await store.turns("acme", "t"), await store.thread("acme", "t")) == before
    assert await store.effects("acme", "t") == []
    assert second.lease is not None
    assert await store.renew(second.turn, second.lease, ttl_s=TTL) is False


async def test_a_clock_that_is_put_back_does_not_hold_a_thread_for_hours(opening: Open) -> None:
    """A lease that seems to last far longer than any was given for is over."""
    clock = Clock()
    store = SqlTurns(await opening(), clock=clock)
    dead, waiter = await let_in(store), await let_in(store)
    clock.now -= 7200
    assert [one.id for one in await store.dead()] == [dead.turn.id, waiter.turn.id]
    third = await let_in(store)
    assert third.lease is not None
    assert third.turn.seq > waiter.turn.seq


async def test_leaving_gives_the_lease_to_what_died(opening: Open) -> None:
    """A newcomer that leaves before it ran on what died leaves it to be found."""
    clock = Clock()
    store = SqlTurns(await opening(), clock=clock)
    dead = await let_in(store)
    clock.now += TTL + 1
    newcomer = await let_in(store)
    await store.leave(newcomer.turn, newcomer.lease)
    assert [one.id for one in await store.dead()] == [dead.turn.id]
    assert await store.take_over(dead.turn, ttl_s=TTL) is not None


async def test_a_turn_that_never_ran_leaves_no_trace(opening: Open) -> None:
    """Nor does its thread when it was to be the first."""
    store = SqlTurns(await opening())
    opened = await let_in(store, request_key="k", digest="a")
    await store.leave(opened.turn, opened.lease)
    assert await store.thread("acme", "t") is None
    assert await store.turns("acme", "t") == []
    assert not (await let_in(store, request_key="k", digest="b")).repeated


async def test_a_turn_is_asked_to_stop(opening: Open) -> None:
    """Its runner hears of it with its next sign of life; one that waits never starts."""
    store = SqlTurns(await opening())
    running, waiting = await let_in(store), await let_in(store)
    for one in (running, waiting):
        await store.ask_to_stop(one.turn)
    assert running.lease is not None
    assert await store.renew(running.turn, running.lease, ttl_s=TTL) is True
    await settled(store, running, state="cancelled")
    with pytest.raises(TurnStopped):
        await store.acquire(waiting.turn, ttl_s=TTL)


async def test_a_stopped_turn_that_never_ran_keeps_its_name(opening: Open) -> None:
    """Whoever sends the request again is told so; one that was merely left is let in anew."""
    store = SqlTurns(await opening())
    first = await let_in(store)
    stopped, left = [await let_in(store, request_key=key) for key in "ab"]
    await store.leave(stopped.turn, stopped=({"answer": ""}))
    await store.leave(left.turn)
    again, anew = [await let_in(store, request_key=key) for key in "ab"]
    assert (again.repeated, again.turn.state, again.turn.result) == (
        True,
        "cancelled",
        {"answer": ""},
    )
    assert (anew.repeated, anew.turn.id == left.turn.id) == (False, False)
    await store.leave(first.turn, first.lease, stopped={"answer": "none"})
    states = {one.id: one.state for one in await store.turns("acme", "t")}
    assert states[first.turn.id] == "cancelled"


async def test_a_turn_that_is_off_the_record_cannot_be_settled(opening: Open) -> None:
    """Nobody is told of a turn that nobody could look up."""
    store = SqlTurns(await opening())
    opened = await let_in(store)
    await store.database.run(_without(opened.turn.id))
    with pytest.raises(LeaseLost):
        await settled(store, opened)


def _without(turn: str) -> Transaction[None]:
    yield "DELETE FROM antiphon_turns WHERE id = ?", (turn,)


async def test_no_token_is_used_again_under_the_same_name(opening: Open) -> None:
    """Also long after the thread was deleted, when its name is free for anyone."""
    clock = Clock()
    store = SqlTurns(await opening(), clock=clock)
    first = await let_in(store)
    assert first.lease is not None
    assert await store.delete("acme", "t")
    clock.now += 1.1 * DAY_S
    assert await Retention(store.database, Keep()).bury() == 1
    other = await let_in(store, owner="bob")
    assert other.lease is not None
    assert other.lease.token > first.lease.token + 1000
    with pytest.raises(LeaseLost):
        await store.renew(first.turn, first.lease, ttl_s=TTL)


async def test_what_waits_for_a_person_is_said_of_the_thread(opening: Open) -> None:
    """Until a later turn settles it; a turn that fails meanwhile changes nothing about it."""
    store = SqlTurns(await opening())

    async def states() -> tuple[bool, list[str]]:
        record = await store.thread("acme", "t")
        assert record is not None
        return record.waiting, [one.state for one in await store.turns("acme", "t")]

    await settled(store, await let_in(store), state="awaiting")
    assert await states() == (True, ["awaiting"])
    await settled(store, await let_in(store), state="failed", waiting=True)
    assert await states() == (True, ["awaiting", "failed"])
    await settled(store, await let_in(store))
    assert await states() == (False, ["done", "failed", "done"])


async def test_a_deleted_thread_is_gone_and_its_name_is_anybodys(opening: Open) -> None:
    """Its runner is fenced off, its rows are gone, and the next owner sees nothing of it."""
    store = SqlTurns(await opening())
    first = await let_in(store)
    assert first.lease is not None
    effect = Effect(tenant="acme", key="e", thread="t", turn=first.turn.id, tool="p", arguments={})
    await store.begin(effect, token=first.lease.token)
    await store.note_call(first.turn.id, 1, 0, Call(purpose="answer", model="m", cost_usd=1))
    await store.delete("acme", "t")
    assert await store.thread("acme", "t") is None
    assert await store.threads("acme", "alice", limit=9) == []
    # What the runner writes late is not kept either.
    await store.note_call(first.turn.id, 1, 1, Call(purpose="answer", model="m", cost_usd=1))
    await store.plan(effect)
    with pytest.raises(LeaseLost):
        await settled(store, first)
    second = await let_in(store, owner="bob")
    assert second.new_thread
    assert second.lease is not None
    assert second.lease.token > first.lease.token
    assert second.lease.died == ()
    assert await store.effects("acme", "t") == []
    assert [one.owner for one in await store.turns("acme", "t")] == ["bob"]
    with pytest.raises(Forbidden):
        await let_in(store, owner="alice")


async def test_a_waiter_hears_that_the_thread_was_deleted(opening: Open) -> None:
    """It does not wait for ever, and does not run in the thread of whoever came next."""
    store = SqlTurns(await opening())
    await let_in(store)
    waiting = await let_in(store)
    await store.delete("acme", "t")
    await let_in(store, owner="bob")
    with pytest.raises(LeaseLost):
        await store.acquire(waiting.turn, ttl_s=TTL)


async def test_a_turn_handed_on_keeps_the_lease(opening: Open) -> None:
    """What died is settled under the newcomer's lease, which the newcomer keeps."""
    clock = Clock()
    store = SqlTurns(await opening(), clock=clock)
    dead = await let_in(store)
    clock.now += TTL + 1
    late = await let_in(store)
    assert late.lease is not None
    again = replace(dead.turn, token=late.lease.token)
    await store.settle(
        again, late.lease, state="failed", outcome="degraded", result=None, release=False
    )
    assert (await let_in(store)).lease is None
    assert await store.renew(late.turn, Lease(token=late.lease.token), ttl_s=TTL) is False
    await settled(store, late)
    assert [one.state for one in await store.turns("acme", "t")] == ["failed", "done", "queued"]


async def test_who_died_in_the_line_is_left_to_whoever_comes_next(opening: Open) -> None:
    """Nothing vanishes: the next lease brings them along, as it does those that ran."""
    clock = Clock()
    store = SqlTurns(await opening(), clock=clock)
    first, waiting = await let_in(store), await let_in(store, request_key="k")
    clock.now += TTL + 1
    later = await let_in(store)
    assert later.lease is not None
    assert [one.id for one in later.lease.died] == [first.turn.id, waiting.turn.id]
    assert [one.state for one in later.lease.died] == ["running"] * 2
    died = replace(waiting, lease=later.lease)
    await settled(store, died, state="failed", result={"answer": ""}, release=False)
    again = await let_in(store, request_key="k")
    assert (again.repeated, again.turn.id, again.turn.state) == (True, waiting.turn.id, "failed")


async def test_a_dead_line_is_found_without_a_next_message(opening: Open) -> None:
    """Its place is taken over by one process, and by none while another runs the thread."""
    clock = Clock()
    store, other = [SqlTurns(await opening(), clock=clock) for _ in range(2)]
    first, waiting = await let_in(store), await let_in(store)
    assert first.lease is not None
    clock.now += TTL + 1
    assert await store.renew(first.turn, first.lease, ttl_s=TTL) is False
    (dead,) = await store.dead()
    assert (dead.id, await store.take_over(dead, ttl_s=TTL)) == (waiting.turn.id, None)
    await settled(store, first)
    leases = [await one.take_over(dead, ttl_s=TTL) for one in (other, store)]
    assert [lease is not None for lease in leases] == [True, False]
    assert await store.dead() == []


async def test_dead_turns_come_with_what_they_spent(opening: Open) -> None:
    """Whoever runs one on adds to its account, and overwrites nothing."""
    clock = Clock()
    store = SqlTurns(await opening(), clock=clock)
    opened = await let_in(store)
    assert opened.lease is not None
    call = Call(purpose="answer", model="m", cost_usd=0.25)
    await store.note_call(opened.turn.id, opened.lease.token, 0, call)
    clock.now += TTL + 1
    dead = (await store.dead())[0]
    assert dead.calls == (call,)
    lease = await store.take_over(dead, ttl_s=TTL)
    assert lease is not None
    later = replace(call, cost_usd=0.5, ok=True)
    await store.settle(
        dead, lease, state="done", outcome="answered", result=None, calls=(later,)
    )  # fmt: skip
    # The one that was taken for dead hears back from its model at last.
    await store.note_call(opened.turn.id, opened.lease.token, 0, replace(call, ok=True))
    entry = await store.turn("acme", "t")
    assert entry is not None
    assert entry.calls == (replace(call, ok=True), later)
    assert entry.cost_usd == 0.75
