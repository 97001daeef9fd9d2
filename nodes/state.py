"""The contract between nodes: what a turn knows, what a node may change, what a caller may turn."""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Awaitable, Sequence
from dataclasses import dataclass, replace
from functools import wraps
from typing import Annotated, Literal, Protocol, Self, TypedDict, cast

from langchain_core.messages import (
    AIMessage,
    AnyMessage,
    BaseMessage,
    HumanMessage,
    RemoveMessage,
    convert_to_messages,
)
from langgraph.channels.binop import BinaryOperatorAggregate
from langgraph.graph.message import add_messages
from langgraph.runtime import Runtime
from pydantic import JsonValue

from antiphon.tools.errors import MessageError
from antiphon.tools.guards import Violation
from antiphon.tools.intent import Intent
from antiphon.tools.locales import language_tag_or_default
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
    """A language tag; what is none is read as English."""
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Approval(Stored):
    """A call that waits for a person, and all that is needed to go on once they decided."""

    id: str
    """The `interrupt_id` that a decision has to name; the same however often it is asked."""
    question: str
    """What the person is asked, as the output rail left it."""
    calls: tuple[ToolCall, ...]
    """The one that waits, and those planned after it."""
    results: tuple[ToolResult, ...]
    """Of the calls before it."""
    message: str
    """The user's message that led to it."""
    standalone: str
    intent: Intent | None
    cards: tuple[Card, ...]
    expires: float
    """Seconds since the epoch."""
    again: int = 0
    """How often the call went out before, with nobody knowing what came of it."""
    asked: float = 0.0
    """Seconds since the epoch."""
    problem: str = ""
    """Why the last decision was none."""
    named: bool = False
    """Whether a decision must name it also where a host may leave the name out."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ruling(Stored):
    """What a person decided about the pending call."""

    approved: bool
    arguments: dict[str, JsonValue] | None = None
    """As the approver edited them; None leaves them as they were shown."""
    reason: str = ""
    expired: bool = False
    """The decision came too late, so the call is not made."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged(Stored):
    """What the output rail said of a draft, before the draft entered the state."""

    allowed: bool
    violations: tuple[Violation, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Said(Stored):
    """Messages that our own nodes write; whatever else is written came from outside."""

    messages: tuple[AnyMessage, ...] = ()
    removed: tuple[str, ...] = ()
    """Ids of messages that leave the conversation."""


UNREAD = "unread"
"""Marks a message that the input rail has not judged yet."""


def conversation(left: list[AnyMessage], right: object) -> list[AnyMessage]:
    """Join what is written to the conversation.

    From outside only a person's words are taken: text, under an id of our own, marked as unread.
    So no caller can put words into the assistant's mouth, write a system message, or change and
    remove what stands there.
    """
    if isinstance(right, Said):
        if not right.messages and not right.removed:
            return left
        orders = [*right.messages, *(RemoveMessage(id=name) for name in right.removed)]
        return cast("list[AnyMessage]", add_messages(left, orders))  # type: ignore[arg-type]
    given = right if isinstance(right, list | tuple) else [right]
    readable = [item for item in given if isinstance(item, BaseMessage | dict | str)]
    try:
        messages = convert_to_messages(readable)
    except (ValueError, TypeError, KeyError, NotImplementedError) as error:
        raise MessageError("the messages cannot be read", hint="Send role and content.") from error
    return [
        *left,
        *(
            HumanMessage(
                content=message.text, id=uuid.uuid4().hex, response_metadata={UNREAD: True}
            )
            for message in messages
            if message.type == "human"
        ),
    ]


_ROWS: dict[str, type[HumanMessage | AIMessage]] = {"human": HumanMessage, "ai": AIMessage}
_IN_A_ROW = {"content", "id", "response_metadata", "type"}
"""Fields of a message that a row holds; one that sets any other is kept whole."""


def _row(message: AnyMessage) -> object:
    kind = _ROWS.get(message.type)
    plain = isinstance(message.content, str) and message.model_fields_set <= _IN_A_ROW
    if type(message) is not kind or not plain:
        return message
    return [message.type, message.id, message.content, message.response_metadata]


def _message(kept: object) -> AnyMessage:
    if not isinstance(kept, list | tuple):
        return cast("AnyMessage", kept)
    kind, name, content, metadata = kept
    return _ROWS[kind](content=content, id=name, response_metadata=metadata)


class Conversation(BinaryOperatorAggregate[list[AnyMessage]]):
    """The channel of the conversation: everything goes through `conversation`.

    LangGraph lets a write ask to replace a channel's value whole; here it may not. Each step's
    checkpoint holds every message, so each is kept as a short row of plain values, made once.
    """

    __slots__ = ("_kept", "_of")

    def checkpoint(self) -> list[AnyMessage]:
        """Return what is kept; most steps leave the conversation as it was."""
        if getattr(self, "_of", None) is not self.value:
            self._of, self._kept = self.value, [_row(message) for message in self.value]
        return cast("list[AnyMessage]", self._kept)

    def from_checkpoint(self, checkpoint: list[AnyMessage]) -> Self:
        """Return the channel with what was kept; an earlier release kept messages as they are."""
        channel = super().from_checkpoint(checkpoint)
        channel.value = [_message(kept) for kept in channel.value]
        return channel

    def update(self, values: Sequence[list[AnyMessage]]) -> bool:
        """Join each write."""
        for value in values:
            self.value = conversation(self.value, value)
        return bool(values)


Messages = Annotated[list[AnyMessage], Conversation(list[AnyMessage], conversation)]


class Input(TypedDict):
    """What a caller sends: the new message(s) of the user."""

    messages: Messages


class Output(TypedDict, total=False):
    """What a caller gets: the conversation, and the turn's result."""

    messages: Messages
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
    messages: Messages
    owner: str
    """Whose first message it was; nobody else's is read, nor their decision."""
    summary: str
    """Running summary of what left the window."""
    pending: Pending | None
    awaiting: Approval | None
    """A call that waits for a person: part of the conversation, whatever door it comes by."""

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
    rejected: tuple[str, ...]
    """`tool: why` of calls that a model asked for and that were not made."""
    decided: Ruling | None
    doubt: bool
    """Whether the next call went out before and nobody knows what came of it."""
    selection: Selection | None
    draft: str
    """An answer on its way to guard_output; a model's words were judged before they got here."""
    judged: Judged | None
    """What the output rail said of the draft; None when it has not seen it yet."""
    citations: tuple[Citation, ...]
    support: float | None
    """0..1: the share of its claims that are supported; one that may be counts by how likely."""
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
    context = replace(context, locale=language_tag_or_default(context.locale))
    user = runtime.server_info.user if runtime.server_info else None
    if user is None or not user.is_authenticated or "tenant" not in user:
        return context
    named = str(user["user"]) if "user" in user else ""
    return replace(context, tenant=str(user["tenant"]), user=named)


NOT_THEIRS = Violation(
    guard="owner", severity="warning", action="blocked", reason="the thread is another caller's"
)


def stranger_to(state: State, runtime: Runtime[Context]) -> bool:
    """Say whether a run is for somebody else than whose thread it is.

    Our own runner and the LangGraph server look at that before anything runs; a host may share a
    thread between its users without knowing what that means here.
    """
    return state.get("owner", owner_of(runtime)) != owner_of(runtime)


def owner_of(runtime: Runtime[Context]) -> str:
    """Name tenant and user of this run; no other pair has that name."""
    context = knobs(runtime)
    return json.dumps([context.tenant, context.user])


def caller(runtime: Runtime[Context]) -> Caller:
    """Return on whose behalf this run acts."""
    context = knobs(runtime)
    info = runtime.execution_info
    thread = (info.thread_id if info else None) or ""
    thread = thread.removeprefix(f"{context.tenant}/")
    return Caller(tenant=context.tenant, user=context.user, thread=thread)


def turn_id(runtime: Runtime[Context]) -> str:
    """Return the id of the turn: the run's own, where whoever runs it gave it one."""
    info = runtime.execution_info
    run = info.run_id if info else None
    return str(run).replace("-", "") if run else uuid.uuid4().hex


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
        rejected=(),
        decided=None,
        doubt=False,
        selection=None,
        draft="",
        judged=None,
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


def taken_up(approval: Approval) -> Update:
    """Return the update that puts a pending call back to work."""
    return State(
        calls=approval.calls,
        results=approval.results,
        question=approval.message,
        standalone=approval.standalone,
        intent=approval.intent,
        cards=approval.cards,
    )


def unread(state: State) -> list[AnyMessage]:
    """Return the messages that came in since the input rail last looked."""
    return [
        message for message in state.get("messages", []) if message.response_metadata.get(UNREAD)
    ]


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
