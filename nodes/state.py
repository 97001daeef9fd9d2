"""The contract between nodes: what a turn knows, what a node may change, what a caller may turn."""

from __future__ import annotations

import time
from collections.abc import Awaitable
from dataclasses import dataclass, replace
from functools import wraps
from typing import Annotated, Literal, Protocol, TypedDict

from langchain_core.messages import AnyMessage
from langgraph.graph.message import add_messages
from langgraph.runtime import Runtime

from antiphon.tools.guards import Violation
from antiphon.tools.intent import Intent
from antiphon.tools.memory import Memory
from antiphon.tools.models import Selection, Usage
from antiphon.tools.retrieval.context import Card, Citation
from antiphon.tools.stored import Stored
from antiphon.tools.toolbox import Caller, Missing, ToolCall, ToolResult

Phase = Literal[
    "initial",
    "intent_clarification",
    "information_gathering",
    "processing",
    "tool_execution",
    "response_generation",
    "error_recovery",
    "completed",
]
"""The guide's eight conversation states."""

Outcome = Literal["answered", "abstained", "clarifying", "refused", "awaiting_approval", "degraded"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Context:
    """What a caller may turn, per run: plain values, so that a server can show a form."""

    tenant: str = "default"
    """Hard partition of threads, knowledge, memory and cache."""
    user: str = ""
    """Empty: anonymous, so nothing is remembered beyond the thread."""
    locale: str = "en"
    model: str = ""
    """A model's name to prefer; empty lets the router choose."""
    min_quality: float = 0.0
    """Leave out models below this quality, 0..1."""
    max_cost_usd: float = 0.10
    """Per answer; a model estimated above it is not chosen."""


class Step(TypedDict):
    """One node's run within a turn; a plain mapping, since each checkpoint holds all of them."""

    node: str
    ms: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure(Stored):
    """Why error recovery ran."""

    node: str
    code: str
    """An AntiphonError's code, `timeout`, or the exception's class name."""
    message: str
    """For the operator's log and `degraded_because`; holds no user text."""
    retryable: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Pending(Stored):
    """What the last turn asked, so that the next message can be read as its answer."""

    question: str
    """The message that led to the question."""
    among: tuple[str, ...] = ()
    """Intents offered."""
    missing: Missing | None = None
    """Argument asked for."""


class Input(TypedDict):
    """What a caller sends: the new message(s) of the user."""

    messages: Annotated[list[AnyMessage], add_messages]


class Output(TypedDict, total=False):
    """What a caller gets: the conversation, and the turn's result."""

    messages: Annotated[list[AnyMessage], add_messages]
    answer: str
    outcome: Outcome
    citations: tuple[Citation, ...]
    phase: Phase


class State(TypedDict, total=False):
    """All that is known of a thread and of its current turn.

    The graph runs one node at a time, so plain replacement is enough everywhere but in `messages`.
    Fields under "thread" live on; `fresh_turn` empties the others when a message arrives.
    """

    # thread
    messages: Annotated[list[AnyMessage], add_messages]
    summary: str
    """Running summary of what left the window."""
    pending: Pending | None

    # turn
    turn: str
    started: float
    """Seconds since the epoch."""
    phase: Phase
    trail: tuple[Step, ...]
    """Nodes in the order they ran."""
    question: str
    """The user's message, sanitised."""
    standalone: str
    """The question made independent of the history."""
    queries: tuple[str, ...]
    """What to search for: the question in one or more wordings."""
    window: int
    """How many of the latest messages the model may see."""
    memories: tuple[Memory, ...]
    cache_key: str
    cached: bool
    intent: Intent | None
    cards: tuple[Card, ...]
    """Passages for the prompt."""
    retrieval_confidence: float | None
    """0..1: whether the answer is likely in the passages."""
    calls: tuple[ToolCall, ...]
    """Still to run; the first is next."""
    results: tuple[ToolResult, ...]
    missing: Missing | None
    """An argument to ask the user for."""
    selection: Selection | None
    draft: str
    """A model's words before guard_output: never shown."""
    citations: tuple[Citation, ...]
    support: float | None
    """0..1: how far the answer rests on its evidence."""
    answer: str
    outcome: Outcome
    model: str
    usage: Usage
    cost_usd: float
    model_failures: tuple[str, ...]
    violations: tuple[Violation, ...]
    failure: Failure | None
    """The latest fault; the turn is degraded once there was one."""


Update = State
"""What a node returns: the fields it changes."""


class Node(Protocol):
    """An async step of the turn."""

    def __call__(self, state: State, *, runtime: Runtime[Context]) -> Awaitable[Update]:
        """Return what to change."""
        ...


def knobs(runtime: Runtime[Context]) -> Context:
    """Return this run's Context; where a credential was verified, it names the caller."""
    context = runtime.context or Context()
    user = runtime.server_info.user if runtime.server_info else None
    if user is None or not user.is_authenticated or "tenant" not in user:
        return context
    return replace(context, tenant=str(user["tenant"]), user=str(user["user"]))


def caller(runtime: Runtime[Context]) -> Caller:
    """Return on whose behalf this run acts."""
    context = knobs(runtime)
    info = runtime.execution_info
    thread = (info.thread_id if info else None) or ""
    return Caller(tenant=context.tenant, user=context.user, thread=thread)


def times_run(state: State, node: str) -> int:
    """Return how often a node has run this turn: what bounds every loop."""
    return sum(done["node"] == node for done in state["trail"])


def fresh_turn(turn: str, started: float) -> Update:
    """Return the update that empties everything that belongs to one turn."""
    return State(
        turn=turn,
        started=started,
        phase="initial",
        trail=(),
        question="",
        standalone="",
        queries=(),
        window=0,
        memories=(),
        cache_key="",
        cached=False,
        intent=None,
        cards=(),
        retrieval_confidence=None,
        calls=(),
        results=(),
        missing=None,
        selection=None,
        draft="",
        citations=(),
        support=None,
        answer="",
        outcome="answered",
        model="",
        usage=Usage(),
        cost_usd=0.0,
        model_failures=(),
        violations=(),
        failure=None,
    )


def step(node: Node) -> Node:
    """Add the node's name and time to the trail of what it returns."""
    name = getattr(node, "__name__", type(node).__name__)

    @wraps(node)
    async def timed(state: State, *, runtime: Runtime[Context]) -> Update:
        began = time.perf_counter()
        update = await node(state, runtime=runtime)
        took = Step(node=name, ms=round((time.perf_counter() - began) * 1000, 3))
        before = update.get("trail", state.get("trail", ()))
        return {**update, "trail": (*before, took)}

    return timed
