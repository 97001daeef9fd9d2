"""The two rails: nothing goes on before guard_input, nothing is said before guard_output."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable

from langchain_core.messages import AIMessage, HumanMessage
from langgraph.runtime import Runtime

from antiphon.nodes.state import Context, Node, State, Update, fresh_turn, knobs, step
from antiphon.tools.errors import MessageError
from antiphon.tools.guards import Rail, Subject

SMALL_TALK = "small_talk"
"""Marks an answer to what asked for nothing: a follow-up does not lean on it."""
WITHHELD = "[message withheld by a guard]"
"""What stands in the thread in place of a message that was refused."""


def guard_input(
    rail: Rail,
    *,
    clock: Callable[[], float] = time.time,
    new_turn: Callable[[], str] = lambda: uuid.uuid4().hex,
) -> Node:
    """Start the turn: empty the last one's fields, sanitise the message, or refuse it."""

    @step
    async def guard_input(state: State, *, runtime: Runtime[Context]) -> Update:
        turn = fresh_turn(new_turn(), clock())
        messages = state.get("messages", [])
        if not messages:
            raise MessageError("a run needs at least one message", hint="Send a user message.")
        verdict = await rail.judge(messages[-1].text, Subject(tenant=knobs(runtime).tenant))
        said = verdict.text if verdict.allowed else WITHHELD
        return {
            **turn,
            "messages": [HumanMessage(content=said, id=messages[-1].id)],
            "question": verdict.text if verdict.allowed else "",
            "violations": verdict.violations,
            "outcome": "answered" if verdict.allowed else "refused",
        }

    return guard_input


def guard_output(rail: Rail, *, language: str) -> Node:
    """Judge the draft; only what passes becomes the answer and joins the conversation.

    `language`: of the evidence where no passage says its own.
    """

    @step
    async def guard_output(state: State, *, runtime: Runtime[Context]) -> Update:
        evidence = (
            *(card.text for card in state["cards"]),
            *(result.said or result.content for result in state["results"]),
        )
        subject = Subject(
            tenant=knobs(runtime).tenant,
            evidence=evidence,
            language=next((card.language for card in state["cards"] if card.language), language),
            expects_evidence=bool(evidence)
            and not state["cached"]
            and state["outcome"] in ("answered", "degraded"),
        )
        verdict = await rail.judge(state["draft"], subject)
        violations = (*state["violations"], *verdict.violations)
        if not verdict.allowed:
            return {"violations": violations, "outcome": "refused", "draft": "", "citations": ()}
        if any(item.guard == "grounding" for item in verdict.violations):
            return {"violations": violations, "outcome": "abstained", "draft": "", "citations": ()}
        intent = state["intent"]
        said = AIMessage(
            content=verdict.text,
            id=f"{state['turn']}-answer",
            response_metadata={SMALL_TALK: intent is not None and not intent.needs},
        )
        return {"violations": violations, "answer": verdict.text, "messages": [said]}

    return guard_output
