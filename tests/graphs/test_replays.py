"""A turn gone through again: the same way, or another; always apart from what it repeats."""

from __future__ import annotations

import asyncio
import sqlite3
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
        turn = await History(talk).replay(context=ME, thread="t", step=starts(steps)[1])
        assert await said(talk, turn.thread_id) == before
        assert await said(talk, "t") == before
    assert turn.thread_id.startswith("t-fork-")
    assert turn.outcome == "answered"
    assert knowledge.queries == [*asked, *asked[len(asked) // 2 :]]


async def test_a_question_or_a_summary_is_set_at_the_start(tmp_path: Path) -> None:
    """The question is asked instead, the summary is known; what the start empties is refused."""
    async with Opened(tmp_path) as talk:
        step = starts(await told(talk, FIRST, SECOND))[1]
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
        assert asked[2] == ("user", "And for a chair?")
        assert len(asked) == 4
        await fork(summary="They want to return a lamp.")
        assert "They want to return a lamp." in summaries[-1]
        with pytest.raises(InputError, match="draft"):
            await fork(draft="No.")


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


@pytest.mark.parametrize("changes", [{}, {"confidence": 1}], ids=["as it was", "changed"])
async def test_a_step_before_recovery_goes_through_recovery(
    tmp_path: Path, changes: dict[str, Any]
) -> None:
    """A node that failed is not taken for one that did its work."""
    if changes:
        changes = {"retrieval_confidence": 0.9}
    async with Opened(tmp_path, fake_services(knowledge=BrokenOnce())) as talk:
        steps = await told(talk, FIRST)
        first = await talk.last(context=ME, thread="t")
        assert "recover" in first.path
        step = next(one.step for one in steps if one.next == ("recover",))
        turn = await History(talk).fork(context=ME, thread="t", step=step, changes=changes)
    assert turn.path == first.path
    assert turn.outcome == first.outcome


async def test_a_replay_is_recorded_as_one_and_under_its_own_name(tmp_path: Path) -> None:
    """Its clock starts with it: an old turn is not a slow one."""
    telemetry = FakeTelemetry()
    async with Opened(tmp_path, fake_services(telemetry=telemetry)) as talk:
        steps = await told(talk, FIRST)
        await asyncio.sleep(0.6)
        history = History(talk)
        middle = next(one.step for one in steps if one.next == ("respond",))
        for step in (starts(steps)[0], middle):
            turn = await history.replay(context=ME, thread="t", step=step)
            assert turn.outcome == "answered"
            assert telemetry.turns[-1].turn == turn.turn_id
    assert [one.replay for one in telemetry.turns] == [False, True, True]
    assert len({one.turn for one in telemetry.turns}) == 3
    assert all(one.duration_ms < 500 for one in telemetry.turns[1:])


@pytest.mark.parametrize("live", [False, True], ids=["from the record", "live"])
async def test_a_replay_repeats_no_effect_unless_it_is_live(tmp_path: Path, live: bool) -> None:
    """Its call is answered from the record, or made under a key of its own."""
    box = FakeToolbox()
    services = fake_services(intents=FakeIntents([ACTION]), toolbox=box)
    async with Opened(tmp_path, services) as talk:
        steps = await told(talk, "send it back")
        step = next(one.step for one in steps if one.next == ("call_tools",))
        turn = await History(talk).replay(context=ME, thread="t", step=step, live=live)
        kept = await talk.turns.effects("acme", turn.thread_id)
    assert "call_tools" in turn.path
    assert turn.outcome == "answered"
    assert len(box.ran) == (2 if live else 1)
    assert len({one.idempotency_key for one in box.ran}) == len(box.ran)
    assert len(kept) == (1 if live else 0)


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
