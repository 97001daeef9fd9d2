"""The input rail where a call waits: a plain word decides it, until its time is over."""

from __future__ import annotations

import pytest
from fakes import FakeEffects, FakeRail
from langchain_core.messages import HumanMessage
from langgraph.runtime import Runtime

from antiphon.nodes.act import remind
from antiphon.nodes.guard import guard_input
from antiphon.nodes.state import UNREAD, Approval, Context, Ruling, State, fresh_turn
from antiphon.tools.toolbox import ToolCall

CALL = ToolCall(id="c1", name="note_return", arguments={"order_id": "LL-1"}, idempotency_key="k1")
WAITING = Approval(
    id="k1", question="Note the return?", calls=(CALL,), results=(), message="send it back",
    standalone="send it back", intent=None, cards=(), expires=100.0,
)  # fmt: skip


def state(text: str) -> State:
    said = HumanMessage(content=text, id="m1", response_metadata={UNREAD: True})
    return {**fresh_turn("t1", 0.0), "messages": [said], "awaiting": WAITING, "answer": "It is 30."}


@pytest.mark.parametrize(
    ("said", "now", "ruling"),
    [
        ("yes", 99.0, Ruling(approved=True)),
        ("yes", 100.0, Ruling(approved=True)),
        ("yes", 100.1, Ruling(approved=True, expired=True)),
        ("no", 99.0, Ruling(approved=False)),
        ("yes, cancel it", 99.0, None),
    ],
)
async def test_a_word_decides_until_the_time_is_over(
    said: str, now: float, ruling: Ruling | None
) -> None:
    """To the second; after that the call is taken up only to be told of as expired."""
    node = guard_input(FakeRail(), clock=lambda: now)
    update = await node(state(said), runtime=Runtime(context=Context()))
    assert update["decided"] == ruling
    assert update["calls"] == ((CALL,) if ruling else ())
    assert update["question"] == (WAITING.message if ruling else said)


@pytest.mark.parametrize(
    ("now", "said", "waits"),
    [(100.0, "Still: Note the return?", True), (100.1, "Too late.", False)],
)
async def test_a_reminder_repeats_the_question_until_the_time_is_over(
    now: float, said: str, *, waits: bool
) -> None:
    """Then it says so, once, and nothing waits any more."""
    node = remind(
        FakeEffects(),
        wording="Still: {question}",
        expired="Too late.",
        doubtful="Perhaps: {what}.",
        clock=lambda: now,
    )
    update = await node(state("hello"), runtime=Runtime(context=Context()))
    assert update["answer"] == f"It is 30.\n\n{said}"
    assert ("awaiting" not in update) == waits
