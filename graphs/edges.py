"""Every conditional transition of the conversation, as a pure function of the state."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from typing import Literal

from antiphon.nodes.recover import AROUND_THE_MODEL, AROUND_THE_TOOLS, BEFORE_RETRIEVAL
from antiphon.nodes.state import NOT_THEIRS, State, times_run
from antiphon.tools.retrieval.analysis import terms
from antiphon.tools.toolbox.approval import asks

SURE = 0.8
"""Retrieval confidence from which a page answers though the message could mean something else."""
VAGUE = 1
"""Content words up to which a message says too little for an "I don't know"; also characters."""


def after_guard_input(
    languages: Sequence[str],
) -> Callable[[State], Literal["refuse", "call_tools", "remind", "look_up_answer"]]:
    """Build the edge that goes on only with a message that may be read.

    One that decides goes to what it decides; one that asks for nothing while a call waits for a
    person only hears again what waits.
    """

    def after_guard_input(
        state: State,
    ) -> Literal["refuse", "call_tools", "remind", "look_up_answer"]:
        if state["outcome"] == "refused":
            return "refuse"
        if state["decided"] is not None:
            return "call_tools"
        if state.get("awaiting") is not None and not asks(state["question"], languages):
            return "remind"
        return "look_up_answer"

    return after_guard_input


def after_look_up(state: State) -> Literal["guard_output", "recall"]:
    """A kept answer needs no work, but is checked again like any other."""
    return "guard_output" if state["cached"] else "recall"


def after_intent(
    state: State,
) -> Literal["ask_clarification", "retrieve_context", "choose_tools", "select_model"]:
    """Ask when torn between two intents; a page may still answer what is torn or unknown."""
    intent = state["intent"]
    asked_already = state.get("pending") is not None
    if len(state["question"].strip()) <= VAGUE and not asked_already:
        return "ask_clarification"
    if intent is None or intent.certainty == "unknown":
        return "retrieve_context"
    if intent.certainty == "ambiguous" and not asked_already:
        return "retrieve_context" if "knowledge" in intent.needs else "ask_clarification"
    if "knowledge" in intent.needs:
        return "retrieve_context"
    return "choose_tools" if "tools" in intent.needs else "select_model"


def after_retrieval(
    min_confidence: float,
) -> Callable[
    [State], Literal["ask_clarification", "abstain", "choose_tools", "select_model", "respond"]
]:
    """Build the edge that answers, asks or abstains by retrieval confidence."""

    def after_retrieval(
        state: State,
    ) -> Literal["ask_clarification", "abstain", "choose_tools", "select_model", "respond"]:
        intent, confidence = state["intent"], state["retrieval_confidence"] or 0.0
        confident = confidence >= min_confidence
        unasked = state.get("pending") is None
        torn = intent is not None and intent.certainty == "ambiguous" and unasked
        if torn and confidence < max(SURE, min_confidence):
            return "abstain" if state["failure"] else "ask_clarification"
        wants_tools = intent is not None and "tools" in intent.needs and not torn
        if wants_tools and not times_run(state, "choose_tools"):
            return "choose_tools"
        if confident:
            return "respond" if state["failure"] else "select_model"
        unread = intent is None or intent.certainty == "unknown"
        vague = len(terms(state["question"])) <= VAGUE
        if unread and vague and unasked and state["failure"] is None:
            return "ask_clarification"
        return "abstain"

    return after_retrieval


def after_choice(
    needs_approval: Collection[str],
) -> Callable[
    [State],
    Literal[
        "ask_approval",
        "ask_clarification",
        "call_tools",
        "choose_tools",
        "retrieve_context",
        "select_model",
    ],
]:
    """Build the edge to a person, to the call, or to the words where there is nothing to call.

    A model whose calls were all refused chooses again with the reasons, as often as it may.
    """

    def after_choice(
        state: State,
    ) -> Literal[
        "ask_approval",
        "ask_clarification",
        "call_tools",
        "choose_tools",
        "retrieve_context",
        "select_model",
    ]:
        if state["calls"]:
            return "ask_approval" if state["calls"][0].name in needs_approval else "call_tools"
        if state["missing"] is not None:
            return "ask_clarification"
        if state["rejected"]:
            return "choose_tools"
        return "select_model" if state["results"] or state["cards"] else "retrieve_context"

    return after_choice


def after_asking(
    needs_approval: Collection[str],
) -> Callable[[State], Literal["account", "ask_approval", "call_tools", "choose_tools"]]:
    """Build the edge after a question to a person: the turn pauses, or its next call has a go."""
    go_on = after_call(needs_approval)

    def after_asking(
        state: State,
    ) -> Literal["account", "ask_approval", "call_tools", "choose_tools"]:
        return "account" if state["outcome"] == "awaiting_approval" else go_on(state)

    return after_asking


def after_call(
    needs_approval: Collection[str],
) -> Callable[[State], Literal["ask_approval", "call_tools", "choose_tools"]]:
    """Build the edge that finishes the planned calls, then looks whether more are asked for."""

    def after_call(state: State) -> Literal["ask_approval", "call_tools", "choose_tools"]:
        if not state["calls"]:
            return "choose_tools"
        ask = state["doubt"] or state["calls"][0].name in needs_approval
        return "ask_approval" if ask else "call_tools"

    return after_call


def before_the_end(state: State) -> Literal["remind", "account"]:
    """Repeat what waits for a person before a turn about something else ends."""
    return "remind" if _waits(state) else "account"


def after_account(state: State) -> Literal["await_decision", "__end__"]:
    """Stand still while a call waits for a person."""
    return "await_decision" if _waits(state) else "__end__"


def after_decision(state: State) -> Literal["call_tools", "await_decision"]:
    """Go on once a decision was one; else wait on, and say what was wrong with it."""
    return "await_decision" if state["decided"] is None else "call_tools"


def _waits(state: State) -> bool:
    """Say whether a call waits for this caller; another's is not shown to them."""
    return state.get("awaiting") is not None and NOT_THEIRS not in state["violations"]


def after_guard_output(state: State) -> Literal["refuse", "abstain", "keep_answer"]:
    """A blocked draft is refused, an ungrounded one becomes an "I don't know"."""
    if state["answer"]:
        return "keep_answer"
    if state["outcome"] == "abstained" and not times_run(state, "abstain"):
        return "abstain"
    return "refuse"


def after_recovery(
    state: State,
) -> Literal["retrieve_context", "respond", "refuse", "account", "await_decision", "__end__"]:
    """Take the best way that is left; a second fault gets the apology."""
    failure = state["failure"]
    node = failure.node if failure else ""
    if state["answer"]:
        if node == "await_decision":
            # The call waits in the state all the same, and the next message can decide it.
            return "__end__"
        return after_account(state) if node == "account" else "account"
    if times_run(state, "recover") == 1 and state["question"]:
        if node in AROUND_THE_TOOLS and state["results"]:
            return "respond"
        if node in BEFORE_RETRIEVAL:
            return "retrieve_context"
        if node in AROUND_THE_MODEL:
            return "respond"
    return "refuse"
