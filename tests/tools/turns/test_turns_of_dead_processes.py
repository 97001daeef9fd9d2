"""What the store says of turns whose processes died: in the middle, and while they waited."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from antiphon.tools.turns.database import SqliteDatabase
from antiphon.tools.turns.records import Call, Opened
from antiphon.tools.turns.store import SqlTurns

TTL_S = 10.0


class Clock:
    """A clock that is moved by hand."""

    now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def store(tmp_path: Path, clock: Clock) -> AsyncIterator[SqlTurns]:
    database = SqliteDatabase(tmp_path / "threads.db")
    yield SqlTurns(database, clock=clock)
    await database.close()


async def _opened(store: SqlTurns, turn: str, *, key: str = "") -> Opened:
    return await store.open(
        turn=turn, tenant="acme", thread="t", owner="ann", kind="message", request_key=key,
        digest="d", ttl_s=TTL_S,
    )  # fmt: skip


async def test_a_dead_turn_comes_with_the_calls_it_made(store: SqlTurns, clock: Clock) -> None:
    """Who runs it on counts on from them; without them the first would be written over."""
    await _opened(store, "1")
    paid = Call(purpose="answer", model="m", cost_usd=0.01)
    await store.note_call("1", 0, paid)
    clock.now += TTL_S + 1
    (dead,) = await store.dead()
    assert dead.calls == (paid,)


async def test_the_place_of_a_dead_waiter_is_taken_once(store: SqlTurns, clock: Clock) -> None:
    """Nobody stands in for one that lives; of two that would for a dead one, one may."""
    await _opened(store, "1")
    waiting = (await _opened(store, "2", key="k")).turn
    assert not await store.stand_in(waiting, ttl_s=TTL_S)
    clock.now += TTL_S + 1
    assert await store.stand_in(waiting, ttl_s=TTL_S)
    assert not await store.stand_in(waiting, ttl_s=TTL_S)


async def test_nobody_stands_in_for_a_turn_that_ran(store: SqlTurns, clock: Clock) -> None:
    """It may have done something: it is taken over with its lease, never begun anew."""
    running = (await _opened(store, "1")).turn
    clock.now += TTL_S + 1
    assert not await store.stand_in(running, ttl_s=TTL_S)
