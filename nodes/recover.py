"""Error recovery: any raise or timeout in any node arrives here and still ends in an answer.

Recovery never calls a model. It only decides the way on: back to the knowledge, back to the last
resort model, or to an apology in fixed words.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Literal

from langchain_core.messages import AIMessage, HumanMessage
from langgraph.errors import NodeError, NodeTimeoutError
from langgraph.runtime import Runtime
from langgraph.types import Command

from antiphon.nodes.guard import WITHHELD
from antiphon.nodes.state import (
    Context,
    Failure,
    Node,
    Said,
    State,
    Step,
    Update,
    fresh_turn,
    step,
    unread,
)
from antiphon.tools.errors import AntiphonError, LeaseLost
from antiphon.tools.toolbox.schema import spoken
from antiphon.tools.turns.current import CURRENT

ErrorHandler = Callable[[State, NodeError], Awaitable[Command[Literal["__end__"]]]]

BEFORE_RETRIEVAL = ("look_up_answer", "recall", "rewrite_query", "classify_intent")
"""A fault in these leaves the knowledge to answer from."""
AROUND_THE_MODEL = ("select_model", "respond", "abstain")
"""A fault in these leaves the last resort model to answer with."""
AROUND_THE_TOOLS = ("choose_tools", "call_tools", "ask_approval")
"""After a fault in these, the last resort model says what has been done, if anything has."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Aftermath:
    """How a turn that failed is closed: an apology, or what was done before it failed."""

    effectful: frozenset[str]
    """Tools that change something."""
    apology: str
    done_words: str
    """With a place for `what`."""
    doubt_words: str
    """With a place for `what`: it may have been done."""
    broken: str
    """Instead of the apology where something was done: it asks nobody to try again."""

    def done(self, state: State) -> tuple[str, ...]:
        """Return a sentence for what was done, and one for what may have been."""
        results = [one for one in state.get("results", ()) if one.name in self.effectful]
        return self.sentences(
            [one.name for one in results if one.ok], [one.name for one in results if one.doubtful]
        )

    def sentences(self, done: Sequence[str], doubtful: Sequence[str]) -> tuple[str, ...]:
        """Return a sentence that names the tools that did their work, one for the doubtful."""
        said = [(self.done_words, done), (self.doubt_words, doubtful)]
        return tuple(
            words.format(what=", ".join(dict.fromkeys(map(spoken, tools))))
            for words, tools in said
            if tools
        )

    def words(self, state: State, instead: str | None = None) -> str:
        """Return the whole answer of a turn that failed; `instead` of the apology where given."""
        return self.closing(self.done(state), instead)

    def closing(self, done: Sequence[str], instead: str | None = None) -> str:
        """Return what was done and that the rest failed, or an apology where nothing was done."""
        return " ".join((*done, self.broken)) if done else instead or self.apology


async def to_recovery(state: State, error: NodeError) -> Command[Literal["recover"]]:
    """Note the fault and go to `recover`: the error handler of every node but that one.

    A lost lease is nothing to recover from: another process runs the thread.
    """
    if isinstance(error.error, LeaseLost):
        raise error.error
    update: Update = {}
    running = CURRENT.get()
    if error.node == "guard_input":
        # Nothing was checked: the turn starts empty and the message is not kept.
        update = fresh_turn(running.turn.id if running else uuid.uuid4().hex, time.time())
        update["messages"] = Said(  # type: ignore[typeddict-item]
            messages=tuple(HumanMessage(content=WITHHELD, id=one.id) for one in unread(state))
        )
    trail = update["trail"] if "trail" in update else state.get("trail", ())
    noted: Update = {
        **update,
        "failure": _failure(error),
        "trail": (*trail, Step(node=error.node, ms=0.0)),
    }
    return Command(update=noted, goto="recover")


def to_apology(aftermath: Aftermath) -> ErrorHandler:
    """Return the error handler of `recover` itself: the turn ends with fixed words."""

    async def to_apology(state: State, error: NodeError) -> Command[Literal["__end__"]]:
        answer = state.get("answer")
        said = answer or aftermath.words(state)
        messages = () if answer else (AIMessage(content=said),)
        update: Update = {
            "answer": said,
            "messages": Said(messages=messages),  # type: ignore[typeddict-item]
            "outcome": "degraded",
            "failure": _failure(error),
            "phase": "completed",
        }
        return Command(update=update, goto="__end__")

    return to_apology


def recover(*, aftermath: Aftermath) -> Node:
    """Choose the way on after a fault; the draft, if any, is dropped."""

    @step
    async def recover(state: State, *, runtime: Runtime[Context]) -> Update:
        failure = state["failure"]
        update: Update = {
            "phase": "error_recovery",
            "outcome": state["outcome"] if state["answer"] else "degraded",
            "draft": "",
            "judged": None,
            "cached": False,
            "selection": None,
            "calls": (),
            "doubt": False,
        }
        if failure is not None and failure.node in ("refuse", "ask_clarification"):
            said = aftermath.words(state)
            update["answer"] = said
            update["messages"] = Said(  # type: ignore[typeddict-item]
                messages=(AIMessage(content=said, id=f"{state['turn']}-answer"),)
            )
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
