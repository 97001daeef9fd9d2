"""Replay and fork: what ran comes again the same way, apart, and changes nothing twice."""

from __future__ import annotations

import time
from typing import Any

import pytest
from fakes import (
    ACTION,
    KNOWLEDGE,
    FakeIntents,
    FakeKnowledge,
    FakeTelemetry,
    FakeToolbox,
    Opening,
    fake_assistant,
    fake_services,
)

from antiphon.graphs.assistant import CacheForm
from antiphon.graphs.history import History, StepRecord
from antiphon.graphs.threads import Conversations
from antiphon.graphs.turns import Turn
from antiphon.nodes.state import Context
from antiphon.tools.errors import InputError, KnowledgeUnavailable
from antiphon.tools.retrieval import Where

ME = Context(tenant="acme", user="alice")
FIRST, SECOND = "How long can I take to return a lamp?", "And how long for a rug?"


async def steps(talk: Conversations, thread: str = "t") -> list[StepRecord]:
    return await History(talk).steps(context=ME, thread=thread)


async def replay(talk: Conversations, step: int, **given: Any) -> Turn:
    return await History(talk).replay(context=ME, thread="t", step=step, **given)


async def fork(talk: Conversations, step: int, **changes: Any) -> Turn:
    return await History(talk).fork(context=ME, thread="t", step=step, changes=changes)


async def starts(talk: Conversations) -> list[int]:
    """Return the steps at which a turn's message came in."""
    return [one.step for one in await steps(talk) if "__start__" in one.next]


async def test_the_first_step_of_a_later_turn_asks_that_turns_message(opening: Opening) -> None:
    """With the conversation before it, and neither its answer nor the one before as a question."""
    forgetful = fake_assistant().model_copy(update={"cache": CacheForm(enabled=False)})
    talk = await opening(fake_services(assistant=forgetful))
    await talk.ask(FIRST, context=ME, thread="t")
    second = await talk.ask(SECOND, context=ME, thread="t")
    again = await replay(talk, (await starts(talk))[1])
    assert again.path == second.path
    said = await talk.messages(context=ME, thread=again.thread_id)
    assert [one["content"] for one in said if one["role"] == "user"] == [FIRST, SECOND]
    assert len(said) == 4


async def test_a_first_step_takes_another_question(opening: Opening) -> None:
    """The message is the question there; what the turn would empty again is refused."""
    talk = await opening()
    await talk.ask(FIRST, context=ME, thread="t")
    at = (await starts(talk))[0]
    turn = await fork(talk, at, question="And a clock?")
    said = await talk.messages(context=ME, thread=turn.thread_id)
    assert said[0]["content"] == "And a clock?"
    with pytest.raises(InputError, match="empties retrieval_confidence"):
        await fork(talk, at, retrieval_confidence=0.0)


async def test_a_fault_comes_again_where_it_came(opening: Opening) -> None:
    """The step before recovery leads to recovery again, not on as if nothing had failed."""

    class Down(FakeKnowledge):
        async def search(
            self, query: str, *, tenant: str, limit: int = 10, where: Where | None = None
        ) -> tuple[()]:
            raise KnowledgeUnavailable("down")

    talk = await opening(fake_services(knowledge=Down()))
    first = await talk.ask(FIRST, context=ME, thread="t")
    at = next(one.step for one in await steps(talk) if one.next == ("recover",))
    again = await replay(talk, at)
    assert again.path == first.path
    assert (again.answer, again.outcome) == (first.answer, "degraded")


async def test_a_replay_is_recorded_as_one_and_takes_its_own_time(opening: Opening) -> None:
    """Under a turn's id of its own, marked so that no rule takes an old turn for a slow one."""
    telemetry = FakeTelemetry()
    talk = await opening(fake_services(telemetry=telemetry))
    await talk.ask(FIRST, context=ME, thread="t")
    at = next(one.step for one in await steps(talk) if one.next == ("respond",))
    past = History(talk, clock=lambda: time.time() - 100)
    await past.replay(context=ME, thread="t", step=at)
    first, again = telemetry.turns
    assert (first.replay, again.replay) == (False, True)
    assert first.turn != again.turn
    # Since the replay began by the clock it was given, not since the turn that it repeats.
    assert 100_000 <= again.duration_ms < 105_000


@pytest.mark.parametrize("live", [False, True], ids=["from the record", "live"])
async def test_a_replayed_call_is_answered_from_the_record(opening: Opening, *, live: bool) -> None:
    """What it came to is told again without doing it again, unless that is asked for."""
    box = FakeToolbox()
    talk = await opening(fake_services(intents=FakeIntents([ACTION]), toolbox=box))
    first = await talk.ask("send it back", context=ME, thread="t")
    again = await replay(talk, (await starts(talk))[0], live=live)
    assert again.path == first.path
    assert len(box.ran) == (2 if live else 1)
    assert len({call.idempotency_key for call in box.ran}) == len(box.ran)
    assert len(await talk.turns.effects("acme", "t")) == 1


async def test_a_replayed_question_to_a_person_can_be_decided_apart(opening: Opening) -> None:
    """Neither thread's call is touched by what is decided in the other."""
    box = FakeToolbox(approval=True)
    talk = await opening(fake_services(intents=FakeIntents([ACTION, KNOWLEDGE]), toolbox=box))
    first = await talk.ask("send it back", context=ME, thread="t")
    again = await fork(talk, (await starts(talk))[0], question="send it back")
    assert first.interrupt is not None
    still = await talk.last(context=ME, thread="t")
    assert still.interrupt == first.interrupt
    assert again.thread_id != "t"
    await talk.ask("yes", context=ME, thread="t")
    assert len(box.ran) == 1


async def test_the_end_of_a_turn_is_no_step_to_run_on_from(opening: Opening) -> None:
    """Nothing runs from there, and it is said."""
    talk = await opening()
    await talk.ask(FIRST, context=ME, thread="t")
    last = (await steps(talk))[-1].step
    with pytest.raises(InputError, match="the end of a turn"):
        await replay(talk, last)
