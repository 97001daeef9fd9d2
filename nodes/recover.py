"""Error recovery: any raise or timeout in any node arrives here and still ends in an answer.

Recovery never calls a model. It only decides the way on: back to the knowledge, back to the last
resort model, or to an apology in fixed words.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Awaitable, Callable
from typing import Literal

from langchain_core.messages import AIMessage, AnyMessage, HumanMessage
from langgraph.errors import NodeError, NodeTimeoutError
from langgraph.runtime import Runtime
from langgraph.types import Command

from antiphon.nodes.guard import WITHHELD
from antiphon.nodes.state import Context, Failure, Node, State, Step, Update, fresh_turn, step
from antiphon.tools.errors import AntiphonError

ErrorHandler = Callable[[State, NodeError], Awaitable[Command[Literal["__end__"]]]]

BEFORE_RETRIEVAL = ("look_up_answer", "recall", "rewrite_query", "classify_intent")
"""A fault in these leaves the knowledge to answer from."""
AROUND_THE_MODEL = ("select_model", "respond", "abstain")
"""A fault in these leaves the last resort model to answer with."""


async def to_recovery(state: State, error: NodeError) -> Command[Literal["recover"]]:
    """Note the fault and go to `recover`: the error handler of every node but that one."""
    update: Update = {}
    if error.node == "guard_input":
        # Nothing was checked: the turn starts empty and the message is not kept.
        update = fresh_turn(uuid.uuid4().hex, time.time())
        if state.get("messages"):
            update["messages"] = [HumanMessage(content=WITHHELD, id=state["messages"][-1].id)]
    trail = update["trail"] if "trail" in update else state.get("trail", ())
    noted: Update = {
        **update,
        "failure": _failure(error),
        "trail": (*trail, Step(node=error.node, ms=0.0)),
    }
    return Command(update=noted, goto="recover")


def to_apology(wording: str) -> ErrorHandler:
    """Return the error handler of `recover` itself: the turn ends with fixed words."""

    async def to_apology(state: State, error: NodeError) -> Command[Literal["__end__"]]:
        said = state.get("answer") or wording
        messages: list[AnyMessage] = [] if state.get("answer") else [AIMessage(content=said)]
        update: Update = {
            "answer": said,
            "messages": messages,
            "outcome": "degraded",
            "failure": _failure(error),
            "phase": "completed",
        }
        return Command(update=update, goto="__end__")

    return to_apology


def recover(*, apology: str) -> Node:
    """Choose the way on after a fault; the draft, if any, is dropped: it was never checked."""

    @step
    async def recover(state: State, *, runtime: Runtime[Context]) -> Update:
        failure = state["failure"]
        update: Update = {
            "phase": "error_recovery",
            "outcome": state["outcome"] if state["answer"] else "degraded",
            "draft": "",
            "cached": False,
            "selection": None,
            "calls": (),
        }
        if failure is not None and failure.node in ("refuse", "ask_clarification"):
            update["answer"] = apology
            update["messages"] = [AIMessage(content=apology, id=f"{state['turn']}-answer")]
        return update

    return recover


def _failure(error: NodeError) -> Failure:
    cause = error.error
    if isinstance(cause, AntiphonError):
        return Failure(
            node=error.node, code=cause.code, message=cause.message, retryable=cause.retryable
        )
    if isinstance(cause, NodeTimeoutError | TimeoutError):
        return Failure(node=error.node, code="timeout", message="took too long", retryable=True)
    # The text of an unforeseen exception may quote user data, so only its class is kept.
    kind = type(cause).__name__
    return Failure(node=error.node, code=kind, message=f"an unexpected {kind} was raised")
