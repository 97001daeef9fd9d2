"""Turns are run one at a time over all processes, settled however they end, and never twice."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
import uuid
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import mortal
import pytest
from fakes import (
    ACTION,
    FakeIntents,
    FakeKnowledge,
    FakeTelemetry,
    FakeToolbox,
    Opened,
    PaidModels,
    fake_services,
)
from langchain_core.messages import BaseMessage
from langchain_core.tools import BaseTool
from mortal import ME, PACE, QUESTION

from antiphon.graphs.runner import NOT_BEGUN, Event, Pace, Turning
from antiphon.graphs.services import Services
from antiphon.graphs.threads import Conversations
from antiphon.graphs.turns import Turn
from antiphon.tools.errors import (
    LeaseLost,
    RequestKeyReused,
    StorageError,
    ThreadBusy,
)
from antiphon.tools.intent import Intent
from antiphon.tools.models import Reply, Selection
from antiphon.tools.retrieval import Hit, Where
from antiphon.tools.turns.records import TurnEntry


async def until(true: Callable[[], bool]) -> None:
    """Wait until something outside this task is so."""
    async with asyncio.timeout(30):
        while not true():  # noqa: ASYNC110 - other processes set no event
            await asyncio.sleep(0.01)


@dataclass
class SlowKnowledge(FakeKnowledge):
    """Searches until it is let go, and knows how many searches there were at once."""

    go: asyncio.Event = field(default_factory=asyncio.Event)
    busy: list[str] = field(default_factory=list)
    most: int = 0

    async def search(
        self, query: str, *, tenant: str, limit: int = 10, where: Where | None = None
    ) -> tuple[Hit, ...]:
        self.busy.append(query)
        self.most = max(self.most, len(self.busy))
        try:
            await self.go.wait()
            return await super().search(query, tenant=tenant, limit=limit, where=where)
        finally:
            self.busy.remove(query)

    async def searching(self) -> None:
        await until(lambda: bool(self.busy))


@dataclass
class SlowIntents(FakeIntents):
    """Reads a message once it is let go."""

    begun: asyncio.Event = field(default_factory=asyncio.Event)
    go: asyncio.Event = field(default_factory=asyncio.Event)

    async def classify(self, text: str, *, among: Sequence[str] = ()) -> Intent:
        self.begun.set()
        await self.go.wait()
        return await super().classify(text, among=among)


@dataclass
class PonderingModels(PaidModels):
    """Thinks until it is stopped."""

    thinking: asyncio.Event = field(default_factory=asyncio.Event)

    async def reply(
        self,
        selection: Selection,
        messages: Sequence[BaseMessage],
        *,
        tools: Sequence[BaseTool] = (),
    ) -> Reply:
        self.thinking.set()
        await asyncio.Event().wait()
        raise AssertionError


@asynccontextmanager
async def two(
    folder: Path, services: Services, pace: Pace = PACE
) -> AsyncIterator[tuple[Conversations, Conversations]]:
    """Open the same data folder as two processes would."""
    async with Opened(folder, services, pace) as one, Opened(folder, services, pace) as other:
        yield one, other


async def entries(talk: Conversations, thread: str = "t") -> list[TurnEntry]:
    return await talk.turns.turns("acme", thread)


async def events(turning: Turning) -> list[Event]:
    return [event async for event in turning.follow()]


def last(told: list[Event]) -> Turn:
    assert told[-1].turn is not None
    return told[-1].turn


async def test_one_turn_at_a_time_over_all_processes_and_in_order(tmp_path: Path) -> None:
    """Six messages at two processes run one after the other, as they came."""
    knowledge = SlowKnowledge()
    knowledge.go.set()
    async with two(tmp_path, fake_services(knowledge=knowledge)) as talks:
        turnings = [
            await talks[number % 2].start(f"Question {number} of many?", context=ME, thread="t")
            for number in range(6)
        ]
        await asyncio.gather(*(events(one) for one in turnings))
        said = await talks[0].messages(context=ME, thread="t")
        states = [one.state for one in await entries(talks[1])]
    assert knowledge.most == 1
    asked = [one["content"] for one in said if one["role"] == "user"]
    assert asked == [f"Question {number} of many?" for number in range(6)]
    assert states == ["done"] * 6


async def test_a_busy_thread_says_so_after_a_while_and_forgets_the_message(tmp_path: Path) -> None:
    """The message that waited in vain ran nowhere and stands nowhere."""
    knowledge = SlowKnowledge()
    pace = Pace(lease=5, beat=0.1, patience=0.3)
    async with two(tmp_path, fake_services(knowledge=knowledge), pace) as (one, other):
        running = await one.start(QUESTION, context=ME, thread="t")
        await knowledge.searching()
        with pytest.raises(ThreadBusy):
            await other.ask("And a rug?", context=ME, thread="t")
        knowledge.go.set()
        await events(running)
        assert len(await entries(one)) == 1
        assert (await other.ask("And a rug?", context=ME, thread="t")).outcome == "answered"


async def test_followers_change_nothing(tmp_path: Path) -> None:
    """One is slow, one leaves, one comes back, one is in another process: all see the same end."""
    knowledge = SlowKnowledge()
    async with two(tmp_path, fake_services(knowledge=knowledge)) as (one, other):
        turning = await one.start(QUESTION, context=ME, thread="t")
        async for event in turning.follow():
            assert event.kind == "node"
            break
        far = await other.follow(context=ME, thread="t", turn=turning.entry.id)
        knowledge.go.set()
        slow: list[Event] = []
        async for event in turning.follow():
            await asyncio.sleep(0.005)
            slow.append(event)
        again = [event async for event in turning.follow(after=3)]
        elsewhere = await events(far)
    assert [event.id for event in slow] == list(range(1, len(slow) + 1))
    assert again == slow[3:]
    assert last(elsewhere) == last(slow)
    assert last(slow).outcome == "answered"


@pytest.mark.parametrize("far", [False, True], ids=["here", "from another process"])
async def test_a_cancelled_turn_is_settled_with_what_it_spent(tmp_path: Path, far: bool) -> None:
    """The call in flight is on its account, telemetry hears of it once, the thread goes on."""
    models, telemetry = PonderingModels(), FakeTelemetry()
    services = fake_services(models=models, telemetry=telemetry)
    async with two(tmp_path, services) as (one, other):
        turning = await one.start(QUESTION, context=ME, thread="t")
        await models.thinking.wait()
        await (other if far else one).cancel(context=ME, thread="t")
        turn = last(await events(turning))
        entry = (await entries(other))[0]
        assert await one.last(context=ME, thread="t") == turn
    assert turn.outcome == "cancelled"
    assert (entry.state, entry.cost_usd) == ("cancelled", 0.5)
    assert [(one.outcome, one.cost_usd) for one in telemetry.turns] == [("cancelled", 0.5)]


async def test_a_waiting_message_is_cancelled_from_another_process(tmp_path: Path) -> None:
    """It never runs."""
    knowledge = SlowKnowledge()
    async with two(tmp_path, fake_services(knowledge=knowledge)) as (one, other):
        running = await one.start(QUESTION, context=ME, thread="t")
        waiting = await one.start("And a rug?", context=ME, thread="t")
        await knowledge.searching()
        await other.cancel(context=ME, thread="t", turn=waiting.entry.id)
        assert last(await events(waiting)).outcome == "cancelled"
        knowledge.go.set()
        await events(running)
        assert [one.state for one in await entries(one)] == ["done", "cancelled"]


@pytest.mark.parametrize("place", ["running", "in the line"])
async def test_a_cancelled_request_is_not_run_by_a_retry(tmp_path: Path, place: str) -> None:
    """The same key again is told that it was stopped."""
    knowledge = SlowKnowledge()
    async with Opened(tmp_path, fake_services(knowledge=knowledge), PACE) as talk:
        ahead = await talk.start("First!", context=ME, thread="t") if place != "running" else None
        mine = await talk.start(QUESTION, context=ME, thread="t", request_key="k")
        await knowledge.searching()
        await talk.cancel(context=ME, thread="t", turn=mine.entry.id)
        knowledge.go.set()
        if ahead is not None:
            await events(ahead)
        again = await talk.ask(QUESTION, context=ME, thread="t", request_key="k")
    assert (again.outcome, again.turn_id) == ("cancelled", mine.entry.id)


async def test_a_turn_that_was_stopped_elsewhere_calls_nothing(tmp_path: Path) -> None:
    """The call is not made although its runner has not heard of it yet."""
    box, intents = FakeToolbox(), SlowIntents([ACTION])
    calm = replace(PACE, lease=30.0, beat=20.0)
    services = fake_services(toolbox=box, intents=intents)
    async with two(tmp_path, services, calm) as (one, other):
        turning = await one.start("send it back", context=ME, thread="t")
        await intents.begun.wait()
        await other.cancel(context=ME, thread="t", turn=turning.entry.id)
        intents.go.set()
        assert last(await events(turning)).outcome == "cancelled"
        assert [each.state for each in await entries(one)] == ["cancelled"]
        assert await one.turns.effects("acme", "t") == []
    assert box.ran == []


async def test_a_turn_that_kills_its_process_is_closed(tmp_path: Path) -> None:
    """It is run on twice; then it has failed, and the thread goes on without it."""
    for _ in range(3):
        await killed(tmp_path, "node", "key")
    async with Opened(tmp_path, fake_services(), PACE) as talk:
        assert await talk.runner.take_up() == 1
        dead = await talk.last(context=ME, thread="t")
        states = [one.state for one in await entries(talk)]
        turn = await talk.ask("And a rug?", context=ME, thread="t")
    assert (states, dead.degraded_because) == (
        ["failed"],
        "its process ended each time it was run",
    )
    assert turn.outcome == "answered"


async def test_a_caller_that_gives_up_while_it_is_let_in_leaves_nothing(tmp_path: Path) -> None:
    """Neither a turn that nobody runs nor a lease that nobody holds."""
    async with Opened(tmp_path, pace=PACE) as talk:
        store: Any = talk.turns
        really = store.open

        async def slowly(**given: object) -> object:
            opened = await really(**given)
            await asyncio.sleep(0.2)
            return opened

        store.open = slowly
        asking = asyncio.create_task(talk.ask(QUESTION, context=ME, thread="t"))
        await asyncio.sleep(0.1)
        asking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asking
        store.open = really
        assert await entries(talk) == []
        began = time.perf_counter()
        await talk.ask(QUESTION, context=ME, thread="t")
    assert time.perf_counter() - began < PACE.lease


async def test_a_retry_keeps_the_turn_that_its_first_asker_left(tmp_path: Path) -> None:
    """A client that timed out and asks again under the same key gets its answer."""
    knowledge = SlowKnowledge()
    async with Opened(tmp_path, fake_services(knowledge=knowledge), PACE) as talk:
        first = asyncio.create_task(talk.ask(QUESTION, context=ME, thread="t", request_key="k"))
        await knowledge.searching()
        retry = asyncio.create_task(talk.ask(QUESTION, context=ME, thread="t", request_key="k"))
        await asyncio.sleep(0.1)
        first.cancel()
        await asyncio.sleep(0.1)
        knowledge.go.set()
        assert (await retry).outcome == "answered"
        with pytest.raises(RequestKeyReused):
            await talk.ask("Something else?", context=ME, thread="t", request_key="k")
        assert len(await entries(talk)) == 1


async def test_a_turn_out_of_steps_is_settled_as_failed(tmp_path: Path) -> None:
    """It is recorded once, and the thread goes on."""
    telemetry = FakeTelemetry()
    async with Opened(tmp_path, fake_services(telemetry=telemetry), PACE) as talk:
        graph: Any = talk.runner.graph
        graph.config["recursion_limit"] = 3
        turn = await talk.ask(QUESTION, context=ME, thread="t")
        graph.config["recursion_limit"] = 50
        assert (await talk.ask(QUESTION, context=ME, thread="t")).outcome == "answered"
        states = [one.state for one in await entries(talk)]
    assert turn.outcome == "degraded"
    assert "steps" in (turn.degraded_because or "")
    assert states == ["failed", "done"]
    assert [one.failed for one in telemetry.turns] == [True, False]


async def test_a_turn_that_waits_for_a_person_is_settled_and_decided_once(tmp_path: Path) -> None:
    """Two yes at once, in two processes: one call, and the late one hears that nothing waits."""
    box, telemetry = FakeToolbox(approval=True), FakeTelemetry()
    services = fake_services(intents=FakeIntents([ACTION]), toolbox=box, telemetry=telemetry)
    async with two(tmp_path, services) as talks:
        asked = await talks[0].ask("send it back", context=ME, thread="t")
        assert asked.interrupt is not None
        name = str(asked.interrupt["interrupt_id"])
        assert [one.state for one in await entries(talks[1])] == ["awaiting"]
        came = await asyncio.gather(
            *(talk.decide(True, context=ME, thread="t", interrupt_id=name) for talk in talks),
            return_exceptions=True,
        )
        assert sorted(type(one).__name__ for one in came) == ["NotPending", "Turn"]
        assert [one.state for one in await entries(talks[1])] == ["done", "done"]
    assert len(box.ran) == 1
    assert [one.outcome for one in telemetry.turns] == ["awaiting_approval", "answered"]


async def test_a_stopping_process_hands_its_turns_over(tmp_path: Path) -> None:
    """The one that runs is run on by the next process, at once; the thread is free after it."""
    knowledge = SlowKnowledge()
    async with Opened(tmp_path, fake_services(knowledge=knowledge), PACE) as talk:
        await talk.start(QUESTION, context=ME, thread="t")
        await talk.start("And a rug?", context=ME, thread="t")
        await knowledge.searching()
    async with Opened(tmp_path, pace=PACE) as talk:
        assert [one.state for one in await entries(talk)] == ["running"]
        began = time.perf_counter()
        assert await talk.runner.take_up() == 1
        assert [one.state for one in await entries(talk)] == ["done"]
        await talk.ask(QUESTION, context=ME, thread="t")
    assert time.perf_counter() - began < PACE.lease


async def test_deleting_while_a_turn_runs_ends_it_for_good(tmp_path: Path) -> None:
    """Here or in another process: what was said is not readable again, and nothing comes back."""
    for far in (False, True):
        knowledge, telemetry = SlowKnowledge(), FakeTelemetry()
        services = fake_services(knowledge=knowledge, telemetry=telemetry)
        async with two(tmp_path, services) as (one, other):
            turning = await one.start("erase me please", context=ME, thread="t")
            await knowledge.searching()
            await (other if far else one).delete(context=ME, thread="t")
            knowledge.go.set()
            try:
                assert last(await events(turning)).outcome == "cancelled"
            except LeaseLost:
                assert far
            assert await one.turns.thread("acme", "t") is None
        assert len(telemetry.turns) == 1
        with sqlite3.connect(tmp_path / "threads.db") as file:
            for table in ("checkpoints", "writes", "antiphon_turns", "antiphon_effects"):
                assert file.execute(f"SELECT COUNT(*) FROM {table}").fetchone() == (0,)  # noqa: S608


async def test_a_store_that_goes_away_loses_nothing(tmp_path: Path) -> None:
    """The turn cannot be settled, so it is run on once the store is back, and answered once."""
    telemetry = FakeTelemetry()
    async with Opened(tmp_path, fake_services(telemetry=telemetry), PACE) as talk:
        store: Any = talk.turns.database  # type: ignore[attr-defined]
        really, away = store.run, asyncio.Event()

        async def run(transaction: object, *, write: bool = True, durable: bool = False) -> object:
            if away.is_set():
                raise sqlite3.OperationalError("disk I/O error")
            return await really(transaction, write=write, durable=durable)

        store.run = run
        turning = await talk.start(QUESTION, context=ME, thread="t")

        async def watch() -> None:
            async for event in turning.follow():
                if event.node == "respond":
                    away.set()

        with pytest.raises(StorageError):
            await watch()
        with pytest.raises(StorageError):
            await talk.ask("And a rug?", context=ME, thread="t")
        away.clear()
        await asyncio.sleep(PACE.lease + 0.2)
        assert await talk.runner.take_up() == 1
        said = await talk.messages(context=ME, thread="t")
        assert [one.state for one in await entries(talk)] == ["done"]
    assert [one["role"] for one in said] == ["user", "assistant"]
    assert [one.outcome for one in telemetry.turns] == ["answered"]


def child(folder: Path, place: str, *more: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, mortal.__file__, str(folder), place, *more],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(Path(mortal.__file__).parent)},
    )


async def killed(folder: Path, place: str, *more: str) -> None:
    """Run a process that dies at a place, and wait until its lease has run out."""
    process = child(folder, place, *more)
    assert await asyncio.to_thread(process.wait) == 9
    process.stdout.close()  # type: ignore[union-attr]
    await asyncio.sleep(PACE.lease + 0.2)


def ran(folder: Path) -> list[str]:
    file = folder / "ran.txt"
    return file.read_text().split() if file.exists() else []


@pytest.mark.parametrize(
    ("place", "comer"),
    [
        ("node", "take_up"),
        ("node", "message"),
        ("model", "take_up"),
        ("model", "retry"),
        ("settle", "message"),
        ("settle", "retry"),
    ],
)
async def test_a_killed_turn_is_run_on_and_answered_once(
    tmp_path: Path, place: str, comer: str
) -> None:
    """By whoever comes next, who says so; what it spent before is on its account."""
    await killed(tmp_path, place, "key")
    telemetry = FakeTelemetry()
    async with Opened(tmp_path, mortal.services(tmp_path, telemetry=telemetry), PACE) as talk:
        dead = (await entries(talk))[0]
        assert dead.state == "running"
        told: list[Event] = []
        if comer == "take_up":
            assert await talk.runner.take_up() == 1
            assert await talk.runner.take_up() == 0
        elif comer == "message":
            told = await events(await talk.start("And a rug?", context=ME, thread="t"))
        else:
            retry = talk.start(QUESTION, context=ME, thread="t", request_key="key")
            told = await events(await retry)
            assert last(told).turn_id == dead.id
        if told:
            assert next(event for event in told if event.kind == "resumed").text == dead.id
        first = (await entries(talk))[0]
        again = await talk.ask(QUESTION, context=ME, thread="t", request_key="key")
        said = await talk.messages(context=ME, thread="t")
    assert again.turn_id == dead.id
    assert again.outcome == "answered"
    assert first.state == "done"
    assert first.cost_usd == pytest.approx(0.501 if place == "model" else 0.001)
    asked = [one["content"] for one in said if one["role"] == "user"]
    assert asked == [QUESTION, "And a rug?"][: 2 if comer == "message" else 1]
    assert len(said) == 2 * len(asked)
    assert [one.turn for one in telemetry.turns].count(dead.id) == 1


@pytest.mark.parametrize("place", ["before the tool", "tool", "after the tool"])
async def test_a_killed_call_is_made_again_under_the_same_key(tmp_path: Path, place: str) -> None:
    """For a tool that takes a key; nobody is asked anything."""
    await killed(tmp_path, place)
    before = ran(tmp_path)
    async with Opened(tmp_path, mortal.services(tmp_path, acts=True), PACE) as talk:
        assert await talk.runner.take_up() == 1
        turn = await talk.last(context=ME, thread="t")
    after = ran(tmp_path)
    assert turn.outcome == "answered"
    assert len(after) == len(before) + 1
    assert len(set(after)) == 1


@pytest.mark.parametrize("place", ["before the tool", "tool", "after the tool"])
async def test_a_killed_call_without_a_key_is_asked_about(tmp_path: Path, place: str) -> None:
    """It is not made again unless a person says so."""
    await killed(tmp_path, place, "", "once")
    before = ran(tmp_path)
    parts = mortal.services(tmp_path, acts=True, idempotent=False)
    async with Opened(tmp_path, parts, PACE) as talk:
        assert await talk.runner.take_up() == 1
        turn = await talk.last(context=ME, thread="t")
        assert turn.interrupt is not None
        assert (await entries(talk))[0].state == "awaiting"
        assert ran(tmp_path) == before
        name = str(turn.interrupt["interrupt_id"])
        assert name.endswith("-again-1")
        await talk.decide(True, context=ME, thread="t", interrupt_id=name)
    assert len(ran(tmp_path)) == len(before) + 1


async def test_a_done_call_is_not_made_again(tmp_path: Path) -> None:
    """Killed after the result was noted: the turn goes on with that result."""
    await killed(tmp_path, "settle after the tool")
    assert len(ran(tmp_path)) == 1
    async with Opened(tmp_path, mortal.services(tmp_path, acts=True), PACE) as talk:
        assert await talk.runner.take_up() == 1
        turn = await talk.last(context=ME, thread="t")
        assert (await talk.turns.effects("acme", "t"))[0].state == "done"
    assert turn.outcome == "answered"
    assert len(ran(tmp_path)) == 1


async def died_in_line(talk: Conversations, folder: Path) -> str:
    """Have a process die whose message waited for the thread; return its turn."""
    held = await talk.turns.open(
        turn=uuid.uuid4().hex, tenant="acme", thread="t", owner="alice", kind="message", ttl_s=60
    )
    process = child(folder, "never", "key")
    async with asyncio.timeout(30):
        while len(known := await entries(talk)) < 2:  # noqa: ASYNC110 - another process makes it so
            await asyncio.sleep(0.05)
    process.kill()
    await asyncio.to_thread(process.communicate)
    await talk.turns.leave(held.turn, held.lease)
    return known[1].id


async def test_a_killed_waiter_is_not_stuck(tmp_path: Path) -> None:
    """Its message is sent again under the same key, and runs."""
    async with Opened(tmp_path, fake_services(), PACE) as talk:
        dead = await died_in_line(talk, tmp_path)
        turn = await talk.ask(QUESTION, context=ME, thread="t", request_key="key")
        states = [one.state for one in await entries(talk)]
    assert (turn.outcome, turn.turn_id) == ("answered", dead)
    assert states == ["done"]


@pytest.mark.parametrize("comer", ["take_up", "message", "retry", "cancel"])
async def test_a_message_that_died_in_the_line_is_closed(tmp_path: Path, comer: str) -> None:
    """It was never begun: closed as failed, or as stopped, and a retry is told so."""
    async with Opened(tmp_path, fake_services(), PACE) as talk:
        dead = await died_in_line(talk, tmp_path)
        await asyncio.sleep(PACE.lease + 0.2)
        if comer == "message":
            told = await events(await talk.start("And a rug?", context=ME, thread="t"))
            assert [event.text for event in told if event.kind == "resumed"] == [dead]
        else:
            if comer == "cancel":
                await talk.cancel(context=ME, thread="t", turn=dead)
            assert await talk.runner.take_up() == 1
        closed = (await entries(talk))[0]
        said = await events(await talk.follow(context=ME, thread="t", turn=dead))
        if comer == "retry":
            again = await talk.ask(QUESTION, context=ME, thread="t", request_key="key")
            assert (again.degraded_because, again.turn_id) == (NOT_BEGUN, dead)
        assert await talk.runner.take_up() == 0
    state = "cancelled" if comer == "cancel" else "failed"
    assert (closed.id, closed.state) == (dead, state)
    assert (
        closed.outcome == last(said).outcome == ("cancelled" if comer == "cancel" else "degraded")
    )


async def paused(process: int, path: Path) -> None:
    """Pause a process, but not in the middle of a write: a SQLite file would stay locked."""
    while True:
        os.kill(process, signal.SIGSTOP)
        with closing(sqlite3.connect(path, timeout=0)) as file:
            try:
                file.execute("BEGIN IMMEDIATE")
            except sqlite3.OperationalError:
                os.kill(process, signal.SIGCONT)
                await asyncio.sleep(0.05)
            else:
                return


async def test_a_paused_process_is_fenced(tmp_path: Path) -> None:
    """Its turn is run on elsewhere; when it wakes it writes nothing and tells that turn's end."""
    process = child(tmp_path, "hang", "key")
    await until((tmp_path / "hangs").exists)
    await paused(process.pid, tmp_path / "threads.db")
    await asyncio.sleep(PACE.lease + 0.3)
    telemetry = FakeTelemetry()
    async with Opened(tmp_path, mortal.services(tmp_path, telemetry=telemetry), PACE) as talk:
        assert await talk.runner.take_up() == 1
        settled = await entries(talk)
        (tmp_path / "go").touch()
        os.kill(process.pid, signal.SIGCONT)
        out, _ = await asyncio.to_thread(process.communicate)
        assert await entries(talk) == settled
        said = await talk.messages(context=ME, thread="t")
    assert json.loads(out) == {"outcome": "answered", "turn": settled[0].id, "recorded": 0}
    assert [one["role"] for one in said] == ["user", "assistant"]
    assert len(telemetry.turns) == 1


async def test_stop_reaches_a_turn_whose_process_died(tmp_path: Path) -> None:
    """It is closed as cancelled instead of being run on."""
    await killed(tmp_path, "before the tool")
    async with Opened(tmp_path, mortal.services(tmp_path, acts=True), PACE) as talk:
        await talk.cancel(context=ME, thread="t")
        assert await talk.runner.take_up() == 1
        assert [one.state for one in await entries(talk)] == ["cancelled"]
    assert ran(tmp_path) == []


@pytest.mark.parametrize("place", ["renew", "tried"])
async def test_a_turn_is_stopped_while_it_is_taken_up(tmp_path: Path, place: str) -> None:
    """It is closed at once, and nobody runs it on later."""
    await killed(tmp_path, "before the tool")
    async with Opened(tmp_path, mortal.services(tmp_path, acts=True), PACE) as talk:
        store: Any = talk.turns
        really, there = getattr(store, place), asyncio.Event()

        async def slowly(*given: object, **named: object) -> object:
            there.set()
            await asyncio.sleep(0.2)
            return await really(*given, **named)

        setattr(store, place, slowly)
        assert await talk.runner.take_up(wait=False) == 1
        await there.wait()
        await talk.cancel(context=ME, thread="t")
        setattr(store, place, really)
        assert [one.state for one in await entries(talk)] == ["cancelled"]
        await asyncio.sleep(PACE.lease + 0.2)
        assert await talk.runner.take_up() == 0
    assert ran(tmp_path) == []


async def test_a_turn_is_stopped_before_its_first_step(tmp_path: Path) -> None:
    """A click on delete right after a message: neither waits for ever."""
    async with Opened(tmp_path, fake_services(), PACE) as talk:
        turning = await talk.start(QUESTION, context=ME, thread="t")
        async with asyncio.timeout(5):
            await talk.cancel(context=ME, thread="t", turn=turning.entry.id)
            assert last(await events(turning)).outcome == "cancelled"
            again = await talk.start(QUESTION, context=ME, thread="t")
            await talk.runner._stop(again)
            await talk.delete(context=ME, thread="t")


async def test_an_early_yes_that_waited_for_the_store_is_early(tmp_path: Path) -> None:
    """It was sent before the question was shown, whoever held it up until then."""
    box = FakeToolbox(approval=True)
    async with Opened(tmp_path, fake_services(toolbox=box, intents=FakeIntents([ACTION]))) as talk:
        store: Any = talk.turns
        really, there = store.settle, asyncio.Event()

        async def slowly(*given: object, **named: object) -> object:
            there.set()
            await asyncio.sleep(0.2)
            return await really(*given, **named)

        store.settle = slowly
        asking = await talk.start("send it back", context=ME, thread="t")
        await there.wait()
        store.settle = really
        with closing(sqlite3.connect(tmp_path / "threads.db")) as other:
            other.execute("BEGIN IMMEDIATE")
            yes = asyncio.create_task(talk.start("yes", context=ME, thread="t"))
            await asyncio.sleep(0.4)
            other.rollback()
        await events(asking)
        told = last(await events(await yes))
    assert (told.outcome, box.ran) == ("awaiting_approval", [])


async def test_what_is_settled_and_not_told_yet_was_not_seen(tmp_path: Path) -> None:
    """The question is on record, and its words are on their way: a yes now is early."""
    box = FakeToolbox(approval=True)
    async with Opened(tmp_path, fake_services(toolbox=box, intents=FakeIntents([ACTION]))) as talk:
        store: Any = talk.turns
        really, there = store.settle, asyncio.Event()

        async def slowly(*given: object, **named: object) -> object:
            done = await really(*given, **named)
            there.set()
            await asyncio.sleep(0.2)
            return done

        store.settle = slowly
        asking = await talk.start("send it back", context=ME, thread="t")
        await there.wait()
        store.settle = really
        early = last(await events(await talk.start("yes", context=ME, thread="t")))
        await events(asking)
        assert (early.outcome, box.ran) == ("awaiting_approval", [])
        assert (await talk.ask("yes", context=ME, thread="t")).outcome == "answered"
    assert len(box.ran) == 1


async def test_a_cancel_reaches_what_runs_here_without_the_store(tmp_path: Path) -> None:
    """A store that is busy keeps no turn of this process going."""
    box, intents = FakeToolbox(), SlowIntents([ACTION])
    async with Opened(tmp_path, fake_services(toolbox=box, intents=intents), PACE) as talk:
        turning = await talk.start("send it back", context=ME, thread="t")
        await intents.begun.wait()
        store: Any = talk.turns
        store.ask_to_stop = _busy
        with pytest.raises(StorageError):
            await talk.cancel(context=ME, thread="t", turn=turning.entry.id)
        assert last(await events(turning)).outcome == "cancelled"
    assert box.ran == []


async def _busy(*_: object) -> None:
    raise StorageError("busy")


async def test_nothing_is_launched_by_a_process_that_ends(tmp_path: Path) -> None:
    """A message that is let in while it closes is turned away, and may be sent again."""
    box = FakeToolbox()
    async with Opened(tmp_path, fake_services(toolbox=box, intents=FakeIntents([ACTION]))) as talk:
        store: Any = talk.turns
        really, there = store.open, asyncio.Event()

        async def slowly(**given: object) -> object:
            there.set()
            await asyncio.sleep(0.2)
            return await really(**given)

        store.open = slowly
        late = asyncio.create_task(talk.start("send it back", context=ME, thread="t"))
        await there.wait()
        await talk.runner.close()
        with pytest.raises(ThreadBusy):
            await late
        assert await entries(talk) == []
    assert box.ran == []


async def test_a_message_that_was_stopped_in_line_hides_nothing(tmp_path: Path) -> None:
    """The turn before it is the thread's latest: what it asks is still there to be seen."""
    box, intents = FakeToolbox(approval=True), SlowIntents([ACTION])
    async with Opened(tmp_path, fake_services(toolbox=box, intents=intents), PACE) as talk:
        asking = await talk.start("send it back", context=ME, thread="t")
        await intents.begun.wait()
        waiting = await talk.start("And a rug?", context=ME, thread="t")
        await talk.cancel(context=ME, thread="t", turn=waiting.entry.id)
        intents.go.set()
        await events(asking)
        shown = await talk.last(context=ME, thread="t")
    assert (shown.turn_id, shown.outcome) == (asking.entry.id, "awaiting_approval")
    assert shown.interrupt is not None


async def test_cancelling_while_what_died_is_run_on_spares_what_died(tmp_path: Path) -> None:
    """The dead turn is run to its end, the new one never ran, and the thread is free at once."""
    await killed(tmp_path, "node")
    knowledge = SlowKnowledge()
    async with Opened(tmp_path, fake_services(knowledge=knowledge), PACE) as talk:
        turning = await talk.start("And a rug?", context=ME, thread="t")
        await knowledge.searching()
        stopping = asyncio.create_task(talk.cancel(context=ME, thread="t", turn=turning.entry.id))
        await asyncio.sleep(0.1)
        knowledge.go.set()
        await stopping
        told = await events(turning)
        assert told[0].kind == "resumed"
        assert last(told).outcome == "cancelled"
        assert [one.state for one in await entries(talk)] == ["done", "cancelled"]
        began = time.perf_counter()
        await talk.ask("And a rug?", context=ME, thread="t")
    assert time.perf_counter() - began < PACE.lease
