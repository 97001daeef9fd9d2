"""After something was done, no failure asks the user to try again: it says what was done."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import pytest
from fakes import (
    ACTION,
    FakeIntents,
    FakeModels,
    FakeRail,
    FakeTelemetry,
    FakeToolbox,
    Opening,
    break_node,
    fake_services,
)
from langchain_core.messages import BaseMessage
from langchain_core.tools import BaseTool

from antiphon.graphs.threads import Conversations
from antiphon.nodes.state import Context
from antiphon.tools.errors import ModelUnavailable
from antiphon.tools.guards import Subject, Verdict, Violation
from antiphon.tools.models import Reply, Selection
from antiphon.tools.toolbox import Caller, ToolCall, ToolResult

ME = Context(tenant="acme", user="alice")
DONE = "This was done: note return."
BROKEN = f"{DONE} Something went wrong after that, so I could not finish my answer."
MAYBE = "This may or may not have taken effect: note return."


async def raises(*_: object, **__: object) -> dict[str, object]:
    raise RuntimeError("4711")


@dataclass
class Dead(FakeModels):
    """Neither a model nor its stand-in answers."""

    async def reply(
        self,
        selection: Selection,
        messages: Sequence[BaseMessage],
        *,
        tools: Sequence[BaseTool] = (),
    ) -> Reply:
        raise ModelUnavailable("down")

    async def last_resort(self, messages: Sequence[BaseMessage]) -> Reply:
        raise ModelUnavailable("down")


class Blocking(FakeRail):
    """Lets no draft through."""

    async def judge(self, text: str, subject: Subject) -> Verdict:
        no = Violation(guard="links", severity="critical", action="blocked", reason="a link")
        return Verdict(allowed=False, text=text, violations=(no,))


Fault = Callable[[Conversations], None]


def breaking(*nodes: str) -> Fault:
    def fault(talk: Conversations) -> None:
        for node in nodes:
            break_node(talk, node, raises)

    return fault


def after_the_call(node: str) -> Fault:
    """Break a node once a call has run, and let it work before."""

    def fault(talk: Conversations) -> None:
        body = talk.graph.nodes[node].bound

        async def second(state: dict[str, object], runtime: object) -> object:
            if state["results"]:
                raise RuntimeError("4711")
            return await body.afunc(state, runtime=runtime)  # type: ignore[attr-defined]

        break_node(talk, node, second)  # type: ignore[arg-type]

    return fault


def short_of_steps(talk: Conversations) -> None:
    """Let the turn run out of steps just after its call."""
    talk.runner.graph = talk.graph.with_config(recursion_limit=8)


@pytest.mark.parametrize(
    ("given", "fault", "answer"),
    [
        ({}, after_the_call("choose_tools"), "Noted."),
        ({"models": Dead}, after_the_call("choose_tools"), BROKEN),
        ({"models": Dead}, breaking(), BROKEN),
        ({}, breaking("select_model"), "Noted."),
        ({}, breaking("select_model", "respond"), BROKEN),
        ({}, breaking("guard_output"), BROKEN),
        ({}, breaking("guard_output", "refuse"), BROKEN),
        ({}, breaking("respond", "recover"), BROKEN),
        ({"output_rail": Blocking}, breaking(), f"{DONE} I can't help with that request (a link)."),
        ({}, breaking("keep_answer"), "Noted."),
        ({}, breaking("remember"), "Noted."),
        ({}, breaking("account"), "Noted."),
        ({}, short_of_steps, BROKEN),
    ],
    ids=[
        "choose again", "choose again and respond", "respond twice", "select", "select and respond",
        "guard_output", "guard_output and refuse", "respond and recover", "blocked", "keep_answer",
        "remember", "account", "steps",
    ],
)  # fmt: skip
async def test_whatever_fails_after_a_call_says_what_was_done(
    opening: Opening, given: dict[str, Callable[[], object]], fault: Fault, answer: str
) -> None:
    """The tool ran once; the answer tells of it and asks nobody to do it again."""
    box = FakeToolbox()
    parts = {"models": FakeModels(says="Noted."), **{name: make() for name, make in given.items()}}
    talk = await opening(fake_services(intents=FakeIntents([ACTION]), toolbox=box, **parts))
    fault(talk)
    turn = await talk.ask("send it back", context=ME, thread="t")
    assert turn.answer == answer
    assert len(box.ran) == 1
    assert [one.state for one in await talk.turns.effects("acme", "t")] == ["done"]


@dataclass
class Slow(FakeToolbox):
    """A call that goes out and is cut off before it comes back."""

    idempotent: bool = False
    called: asyncio.Event = field(default_factory=asyncio.Event)

    async def execute(self, call: ToolCall, *, caller: Caller) -> ToolResult:
        self.ran.append(call)
        self.called.set()
        await asyncio.sleep(60)
        raise AssertionError("nobody stopped the call")


async def test_a_turn_stopped_while_its_tool_runs_says_that_it_may_have_been_done(
    opening: Opening,
) -> None:
    """The effect stays on record as begun, the turn as cancelled, and both are accounted."""
    box, telemetry = Slow(), FakeTelemetry()
    talk = await opening(
        fake_services(intents=FakeIntents([ACTION]), toolbox=box, telemetry=telemetry)
    )
    turning = await talk.start("send it back", context=ME, thread="t")
    await box.called.wait()
    await talk.cancel(context=ME, thread="t")
    turn = await talk.last(context=ME, thread="t")
    assert turning.ended
    assert (turn.outcome, turn.answer) == ("cancelled", MAYBE)
    assert [one.state for one in await talk.turns.effects("acme", "t")] == ["started"]
    assert [record.outcome for record in telemetry.turns] == ["cancelled"]
    assert len(box.ran) == 1


async def test_a_fault_before_anything_was_done_may_ask_to_try_again(opening: Opening) -> None:
    """Where nothing happened, sending the message again is the right thing to do."""
    box = FakeToolbox()
    talk = await opening(fake_services(intents=FakeIntents([ACTION]), toolbox=box, models=Dead()))
    break_node(talk, "choose_tools", raises)
    turn = await talk.ask("send it back", context=ME, thread="t")
    assert turn.answer.endswith("Please try again.")
    assert box.ran == []
