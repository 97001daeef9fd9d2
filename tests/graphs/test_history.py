"""A turn gone through again: the same way, or another; always apart from what it repeats."""

from __future__ import annotations

import asyncio
import sqlite3
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from fakes import (
    ACTION,
    KNOWLEDGE,
    FakeIntents,
    FakeKnowledge,
    FakeTelemetry,
    FakeToolbox,
    Opened,
    fake_services,
)

from antiphon.graphs.history import History, StepRecord
from antiphon.graphs.runner import Pace
from antiphon.graphs.threads import Conversations
from antiphon.nodes.state import Context
from antiphon.tools.errors import InputError, KnowledgeCorrupt, StorageError, UnknownThread
from antiphon.tools.retrieval import Hit, Where

ME = Context(tenant="acme", user="alice")
FIRST, SECOND = "How long can I take to return a lamp?", "And how long for a rug?"
PACE = Pace(lease=0.5, beat=0.1, patience=3)


async def told(talk: Conversations, *questions: str) -> list[StepRecord]:
    for question in questions:
        await talk.ask(question, context=ME, thread="t")
    return await History(talk).steps(context=ME, thread="t")


def starts(steps: list[StepRecord]) -> list[int]:
    return [one.step for one in steps if one.next == ("__start__",)]


def at(steps: list[StepRecord], node: str) -> int:
    """Return the first step after which `node` runs."""
    return next(one.step for one in steps if one.next == (node,))


async def said(talk: Conversations, thread: str) -> list[tuple[str, str]]:
    found = await talk.messages(context=ME, thread=thread)
    return [(one["role"], one["content"]) for one in found]


async def test_the_start_of_a_second_turn_asks_its_question_again(tmp_path: Path) -> None:
    """After the messages before it, and without touching the thread it comes from."""
    knowledge = FakeKnowledge()
    async with Opened(tmp_path, fake_services(knowledge=knowledge)) as talk:
        steps = await told(talk, FIRST, SECOND)
        before = await said(talk, "t")
        asked = list(knowledge.queries)
        second = await talk.last(context=ME, thread="t")
        turn = await History(talk).replay(context=ME, thread="t", step=starts(steps)[1])
        assert await said(talk, turn.thread_id) == before
        assert await said(talk, "t") == before
    assert turn.thread_id.startswith("t-fork-")
    assert (turn.path, turn.outcome) == (second.path, "answered")
    assert knowledge.queries == [*asked, *asked[len(asked) // 2 :]]


@pytest.mark.parametrize("earlier", [0, 1], ids=["of the first turn", "of a later turn"])
async def test_a_question_or_a_summary_is_set_at_the_start(tmp_path: Path, earlier: int) -> None:
    """The question is asked instead, the summary is known; what the start empties is refused."""
    async with Opened(tmp_path) as talk:
        step = starts(await told(talk, FIRST, SECOND))[earlier]
        history = History(talk)

        async def fork(**changes: Any) -> list[tuple[str, str]]:
            turn = await history.fork(context=ME, thread="t", step=step, changes=changes)
            states = await history.steps(context=ME, thread=turn.thread_id)
            summaries.append(
                [one.changed["summary"][1] for one in states if "summary" in one.changed]
            )
            return await said(talk, turn.thread_id)

        summaries: list[list[Any]] = []
        asked = await fork(question="And for a chair?")
        assert asked[2 * earlier] == ("user", "And for a chair?")
        assert len(asked) == 2 * earlier + 2
        await fork(summary="They want to return a lamp.")
        assert "They want to return a lamp." in summaries[-1]
        with pytest.raises(InputError, match="empties draft"):
            await fork(draft="No.")
        with pytest.raises(InputError, match="empties retrieval_confidence"):
            await fork(retrieval_confidence=0.0)


async def test_a_refused_fork_leaves_no_thread(tmp_path: Path) -> None:
    """A bad field or step is said before anything is written."""
    async with Opened(tmp_path) as talk:
        step = starts(await told(talk, FIRST, SECOND))[1]
        history = History(talk)
        for at, changes in (
            (step, {"draft": "No."}),
            (step, {"question": "And a chair?", "draft": "No."}),
            (step, {"nonsense": 1}),
            (99, {}),
        ):
            with pytest.raises(InputError):
                await history.fork(context=ME, thread="t", step=at, changes=changes)
        page = await talk.threads(context=ME)
    assert [one.id for one in page.threads] == ["t"]
    with sqlite3.connect(tmp_path / "threads.db") as file:
        kept = file.execute("SELECT DISTINCT thread_id FROM checkpoints").fetchall()
    assert kept == [("acme/t",)]


@dataclass
class BrokenOnce(FakeKnowledge):
    """Fails at its first search only."""

    failed: list[str] = field(default_factory=list)

    async def search(
        self, query: str, *, tenant: str, limit: int = 10, where: Where | None = None
    ) -> tuple[Hit, ...]:
        if not self.failed:
            self.failed.append(query)
            raise KnowledgeCorrupt("the file is damaged")
        return await super().search(query, tenant=tenant, limit=limit, where=where)


@pytest.mark.parametrize(
    "changes", [{}, {"retrieval_confidence": 0.9}], ids=["as it was", "changed"]
)
async def test_a_step_before_recovery_goes_through_recovery(
    tmp_path: Path, changes: dict[str, Any]
) -> None:
    """A node that failed is not taken for one that did its work."""
    async with Opened(tmp_path, fake_services(knowledge=BrokenOnce())) as talk:
        steps = await told(talk, FIRST)
        first = await talk.last(context=ME, thread="t")
        assert "recover" in first.path
        step = at(steps, "recover")
        turn = await History(talk).fork(context=ME, thread="t", step=step, changes=changes)
    assert turn.path == first.path
    assert (turn.answer, turn.outcome) == (first.answer, "degraded")


@pytest.mark.parametrize(("node", "least_ms"), [("__start__", 0), ("respond", 100_000)])
async def test_a_replay_is_recorded_as_one_and_takes_its_own_time(
    tmp_path: Path, node: str, least_ms: int
) -> None:
    """Under a turn's id of its own, marked so that no rule takes an old turn for a slow one."""
    telemetry = FakeTelemetry()
    async with Opened(tmp_path, fake_services(telemetry=telemetry)) as talk:
        step = at(await told(talk, FIRST), node)
        await asyncio.sleep(0.6)
        history = History(talk, clock=lambda: time.time() - 100)
        turn = await history.replay(context=ME, thread="t", step=step)
    first, again = telemetry.turns
    assert turn.outcome == "answered"
    assert (first.replay, again.replay) == (False, True)
    assert first.turn != again.turn == turn.turn_id
    # Since the replay began (in its middle, by the clock it was given), not since the old turn.
    assert least_ms <= again.duration_ms < least_ms + 500


@pytest.mark.parametrize("node", ["__start__", "call_tools"])
@pytest.mark.parametrize("live", [False, True], ids=["from the record", "live"])
async def test_a_replay_repeats_no_effect_unless_it_is_live(
    tmp_path: Path, node: str, *, live: bool
) -> None:
    """Its call is answered from the record, or made under a key of its own."""
    box = FakeToolbox()
    services = fake_services(intents=FakeIntents([ACTION]), toolbox=box)
    async with Opened(tmp_path, services) as talk:
        step = at(await told(talk, "send it back"), node)
        first = await talk.last(context=ME, thread="t")
        turn = await History(talk).replay(context=ME, thread="t", step=step, live=live)
        kept = [await talk.turns.effects("acme", thread) for thread in ("t", turn.thread_id)]
    assert (turn.path, turn.outcome) == (first.path, "answered")
    assert len(box.ran) == (2 if live else 1)
    assert len({one.idempotency_key for one in box.ran}) == len(box.ran)
    assert [len(effects) for effects in kept] == [1, 1 if live else 0]


async def test_a_replayed_question_to_a_person_can_be_decided_apart(tmp_path: Path) -> None:
    """Neither thread's call is touched by what is decided in the other."""
    box = FakeToolbox(approval=True)
    services = fake_services(intents=FakeIntents([ACTION, KNOWLEDGE]), toolbox=box)
    async with Opened(tmp_path, services) as talk:
        step = starts(await told(talk, "send it back"))[0]
        first = await talk.last(context=ME, thread="t")
        assert first.interrupt is not None
        again = await History(talk).fork(
            context=ME, thread="t", step=step, changes={"question": "send it back"}
        )
        still = await talk.last(context=ME, thread="t")
        assert still.interrupt == first.interrupt
        assert again.thread_id != "t"
        await talk.ask("yes", context=ME, thread="t")
    assert len(box.ran) == 1


async def test_the_end_of_a_turn_is_no_step_to_run_on_from(tmp_path: Path) -> None:
    """Nothing runs from there, and it is said."""
    async with Opened(tmp_path) as talk:
        last = (await told(talk, FIRST))[-1].step
        with pytest.raises(InputError, match="the end of a turn"):
            await History(talk).replay(context=ME, thread="t", step=last)


async def test_a_replay_of_a_replay_is_answered_from_the_same_record(tmp_path: Path) -> None:
    """Neither makes a call, and both know what came of it."""
    box = FakeToolbox()
    services = fake_services(intents=FakeIntents([ACTION]), toolbox=box)
    async with Opened(tmp_path, services) as talk:
        step = starts(await told(talk, "send it back"))[0]
        history = History(talk)
        fork = await history.replay(context=ME, thread="t", step=step)
        step = starts(await history.steps(context=ME, thread=fork.thread_id))[-1]
        again = await history.replay(context=ME, thread=fork.thread_id, step=step)
        snapshots = [
            await talk.graph.aget_state({"configurable": {"thread_id": f"acme/{one.thread_id}"}})
            for one in (fork, again)
        ]
    results = [one.values["results"] for one in snapshots]
    assert [[one.ok for one in results_] for results_ in results] == [[True], [True]]
    assert len(box.ran) == 1


async def test_a_replay_whose_process_died_is_still_one(tmp_path: Path) -> None:
    """Whoever runs it on makes no call either."""
    box, telemetry = FakeToolbox(), FakeTelemetry()
    services = fake_services(intents=FakeIntents([ACTION]), toolbox=box, telemetry=telemetry)
    async with Opened(tmp_path, services, PACE) as talk:
        steps = await told(talk, "send it back")
        store: Any = talk.turns
        really = store.settle

        async def away(*_: object, **__: object) -> None:
            raise StorageError("away")

        store.settle = away
        with pytest.raises(StorageError):
            await History(talk).replay(context=ME, thread="t", step=starts(steps)[0])
        store.settle = really
        await asyncio.sleep(PACE.lease + 0.2)
        assert (await store.dead())[0].knobs["origin"] == "t"
        assert await talk.runner.take_up() == 1
    assert len(box.ran) == 1
    assert [one.replay for one in telemetry.turns] == [False, True]


async def test_steps_tell_which_node_changed_what(tmp_path: Path) -> None:
    """Oldest first, over all turns that are kept in full; another user sees none."""
    services = fake_services(intents=FakeIntents([KNOWLEDGE]))
    async with Opened(tmp_path, services) as talk:
        steps = await told(talk, FIRST, SECOND)
        with pytest.raises(InputError):
            await History(talk).steps(context=Context(tenant="acme", user="bob"), thread="t")
        with pytest.raises(UnknownThread):
            await History(talk).steps(context=Context(tenant="rival"), thread="t")
    assert [one.step for one in steps] == sorted(one.step for one in steps)
    responds = [one for one in steps if one.node == "respond"]
    assert len(responds) == 2
    assert responds[0].changed["draft"][0] == ""
    assert len(starts(steps)) == 2
