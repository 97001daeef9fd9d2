"""Hand-written stand-ins for the services, against our Protocols: quick, scripted, inspectable."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Protocol

from langchain_core.messages import AIMessage, BaseMessage
from langchain_core.tools import BaseTool, tool
from langgraph.cache.memory import InMemoryCache
from langgraph.store.base import BaseStore
from pydantic import JsonValue

from antiphon.graphs.assistant import Assistant, IntentForm, IntentsForm
from antiphon.graphs.persistence import open_persistence
from antiphon.graphs.runner import DEFAULT_PACE, Pace
from antiphon.graphs.runtime import converse
from antiphon.graphs.services import Deadlines, Services
from antiphon.graphs.settings import Settings
from antiphon.graphs.threads import Conversations
from antiphon.prompts.library import PromptFiles
from antiphon.tools.guards import Subject, Verdict, Violation
from antiphon.tools.intent import Intent
from antiphon.tools.memory import Digest, Recollection
from antiphon.tools.models import LAST_RESORT, Reply, Selection, Task, Usage
from antiphon.tools.retrieval import Change, Hit, Inventory, Passage, Where
from antiphon.tools.telemetry import Alert, TurnRecord
from antiphon.tools.tokens import ApproximateCounter
from antiphon.tools.toolbox import Caller, Missing, Plan, ToolCall, ToolResult, ToolSpec
from antiphon.tools.turns.records import Decided, Effect

RETURNS = Passage(
    id="p1",
    source="returns.md",
    title="Returns",
    heading="",
    text="You can return an item within 30 days of delivery.",
    start=0,
    end=50,
)
KNOWLEDGE = Intent(name="help", confidence=0.9, certainty="sure", needs=("knowledge",))
ACTION = Intent(
    name="act", confidence=0.9, certainty="sure", needs=("tools",), tools=("note_return",)
)
UNKNOWN = Intent(name="unknown", confidence=0.1, certainty="unknown")


class FakeEmbedder:
    """Words to a small hashed bag: equal texts are near, different ones are not."""

    name = "fake"
    dimensions = 64

    async def embed(self, texts: Sequence[str]) -> list[list[float]]:
        return [self._vector(text) for text in texts]

    def _vector(self, text: str) -> list[float]:
        vector = [0.0] * self.dimensions
        for word in text.lower().split():
            place = int(hashlib.sha256(word.strip("?.,!").encode()).hexdigest(), 16)
            vector[place % self.dimensions] += 1.0
        norm = math.sqrt(sum(x * x for x in vector)) or 1.0
        return [x / norm for x in vector]


@dataclass
class FakeRail:
    """Lets everything pass, or gives the verdict it was told to."""

    blocks: tuple[Violation, ...] = ()
    allowed: bool = True
    seen: list[str] = field(default_factory=list)

    async def judge(self, text: str, subject: Subject) -> Verdict:
        self.seen.append(text)
        return Verdict(allowed=self.allowed, text=text, violations=self.blocks)


@dataclass
class FakeKnowledge:
    """Finds the same hits for everyone of its tenant."""

    hits: tuple[Hit, ...] = (Hit(passage=RETURNS, score=1.0, bm25=5.0, cosine=0.9),)
    version: str = "v1"
    queries: list[str] = field(default_factory=list)

    async def search(
        self, query: str, *, tenant: str, limit: int = 10, where: Where | None = None
    ) -> tuple[Hit, ...]:
        self.queries.append(query)
        return self.hits[:limit]

    async def upsert(self, source: str, passages: Sequence[Passage], *, tenant: str) -> Change:
        return Change(added=len(passages), unchanged=0, removed=0)

    async def remove(self, sources: Sequence[str], *, tenant: str) -> int:
        return 0

    async def inventory(self, *, tenant: str) -> Inventory:
        return Inventory(sources={"returns.md": 1}, version=self.version, backend="sqlite")


@dataclass
class FakeIntents:
    """Gives its intents in turn; the last one stays."""

    intents: list[Intent] = field(default_factory=lambda: [KNOWLEDGE])
    asked: list[tuple[str, tuple[str, ...]]] = field(default_factory=list)

    async def classify(self, text: str, *, among: Sequence[str] = ()) -> Intent:
        self.asked.append((text, tuple(among)))
        return self.intents.pop(0) if len(self.intents) > 1 else self.intents[0]


@tool
def note_return(order_id: str) -> str:
    """Note that an order comes back."""
    return f"noted {order_id}"


@dataclass
class FakeToolbox:
    """Plans one call of one tool and counts how often it really ran."""

    approval: bool = False
    side_effects: bool = True
    idempotent: bool = True
    missing: Missing | None = None
    ran: list[ToolCall] = field(default_factory=list)
    tool: BaseTool = field(default_factory=lambda: note_return)

    def specs(self) -> Sequence[ToolSpec]:
        return [
            ToolSpec(
                tool=self.tool,
                side_effects=self.side_effects,
                approval=self.approval,
                idempotent=self.idempotent,
                confirm="Note the return of {order_id}?",
            )
        ]

    async def choose(
        self, text: str, *, turn: str, among: Sequence[str] = (), pending: Missing | None = None
    ) -> Plan:
        if self.missing is not None and pending is None:
            return Plan(missing=self.missing)
        return self.validate("note_return", {"order_id": "LL-10001"}, turn=turn)

    def validate(self, name: str, arguments: dict[str, JsonValue], *, turn: str) -> Plan:
        call = ToolCall(id=f"{turn}-1", name=name, arguments=arguments, idempotency_key=turn)
        return Plan(calls=(call,))

    def revalidate(self, call: ToolCall, arguments: dict[str, JsonValue] | None) -> Plan:
        given = call.arguments if arguments is None else arguments
        if call.name != self.tool.name or set(given) != set(self.tool.args):
            return Plan(rejected=(f"{call.name}: takes other arguments",))
        return Plan(calls=(replace(call, arguments=given),))

    async def execute(self, call: ToolCall, *, caller: Caller) -> ToolResult:
        self.ran.append(call)
        return ToolResult(call_id=call.id, name=call.name, ok=True, content="noted", said="Noted.")


@dataclass
class FakeEffects:
    """Runs each effect once per key, in memory."""

    done: dict[str, ToolResult] = field(default_factory=dict)

    async def plan(self, call: ToolCall, *, caller: Caller, turn: str) -> None:
        return None

    async def run(
        self,
        spec: ToolSpec,
        call: ToolCall,
        execute: Callable[[ToolCall], Awaitable[ToolResult]],
        *,
        caller: Caller,
        turn: str,
        again: int = 0,
    ) -> ToolResult | None:
        if call.idempotency_key not in self.done:
            self.done[call.idempotency_key] = await execute(call)
        return self.done[call.idempotency_key]

    async def look(self, call: ToolCall, *, caller: Caller) -> Effect | None:
        return None

    async def decided(self, decision: Decided) -> None:
        return None


@dataclass
class FakeModels:
    """Says the same sentence, as the extractive model by default."""

    says: str = "You can return an item within 30 days of delivery. [1]"
    name: str = LAST_RESORT
    fingerprint: str = "fake"
    prompts: list[Sequence[BaseMessage]] = field(default_factory=list)

    def select(self, task: Task) -> Selection:
        return Selection(model=self.name, reason="only one", score=1.0, cost_usd=0.0, latency_s=0.0)

    async def reply(
        self,
        selection: Selection,
        messages: Sequence[BaseMessage],
        *,
        tools: Sequence[BaseTool] = (),
    ) -> Reply:
        return await self.last_resort(messages)

    async def last_resort(self, messages: Sequence[BaseMessage]) -> Reply:
        self.prompts.append(messages)
        return Reply(
            message=AIMessage(content=self.says),
            model=self.name,
            usage=Usage(input_tokens=10, output_tokens=5),
            cost_usd=0.001,
        )


@dataclass
class PaidModels(FakeModels):
    """A call costs half a dollar by the estimate."""

    name: str = "paid"

    def select(self, task: Task) -> Selection:
        return Selection(model=self.name, reason="only one", score=1.0, cost_usd=0.5, latency_s=0.0)


@dataclass
class FakeMemory:
    """Remembers nothing."""

    async def recall(
        self,
        question: str,
        messages: Sequence[BaseMessage],
        *,
        store: BaseStore | None,
        tenant: str,
        user: str,
    ) -> Recollection:
        return Recollection(window=tuple(messages))

    async def digest(
        self,
        messages: Sequence[BaseMessage],
        summary: str,
        *,
        store: BaseStore | None,
        tenant: str,
        user: str,
        thread: str,
    ) -> Digest:
        return Digest(summary=summary)

    async def forget(self, *, store: BaseStore | None, tenant: str, user: str) -> int:
        return 0


@dataclass
class FakeTelemetry:
    """Keeps the records; fires the alerts it was given."""

    alerts: tuple[Alert, ...] = ()
    turns: list[TurnRecord] = field(default_factory=list)

    def hash(self, text: str) -> str:
        return hashlib.sha256(text.encode()).hexdigest()[:8]

    async def record(self, turn: TurnRecord) -> Sequence[Alert]:
        self.turns.append(turn)
        return self.alerts


def fake_assistant() -> Assistant:
    """Return the smallest assistant."""
    declared = (
        IntentForm(name="help", examples=("how do I", "what is"), needs=("knowledge",)),
        IntentForm(name="act", examples=("send back", "return it"), needs=("tools",)),
    )
    form = Assistant(name="Test", intents=IntentsForm(declared=declared))
    return form.model_copy(update={"folder": Path(), "fingerprint": "test"})


def fake_services(**given: object) -> Services:
    """Return services that are all fakes, but for those given."""
    parts: dict[str, object] = {
        "assistant": fake_assistant(),
        "input_rail": FakeRail(),
        "output_rail": FakeRail(),
        "cache": InMemoryCache(),
        "memory": FakeMemory(),
        "intents": FakeIntents(),
        "knowledge": FakeKnowledge(),
        "embedder": FakeEmbedder(),
        "toolbox": FakeToolbox(),
        "effects": FakeEffects(),
        "models": FakeModels(),
        "prompts": PromptFiles(),
        "tokens": ApproximateCounter(),
        "telemetry": FakeTelemetry(),
        "deadlines": Deadlines(default=2, guard=2, retrieve=2, respond=2, tools=2),
    }
    return Services(**{**parts, **given})  # type: ignore[arg-type]


class Opening(Protocol):
    """What the fixture `opening` gives: conversations that are closed when the test ends."""

    async def __call__(self, services: Services | None = None) -> Conversations:
        """Open conversations over a real SQLite file, each over one of its own."""
        ...


def break_node(
    talk: Conversations, node: str, fault: Callable[..., Awaitable[dict[str, object]]]
) -> None:
    """Put `fault` in place of a node's body, before its first run."""
    spec = talk.graph.nodes[node]
    spec.bound = type(spec.bound)(None, fault, name=node)  # type: ignore[call-arg]
    # Compiling puts the body together with what writes its update, and keeps that.
    vars(spec).pop("node", None)


class Opened:
    """Conversations over a real SQLite file, with all other services faked."""

    def __init__(
        self, folder: Path, services: Services | None = None, pace: Pace = DEFAULT_PACE
    ) -> None:
        self._opening = open_persistence(Settings(data_dir=folder), folder)
        self._services = services or fake_services()
        self._pace = pace
        self.talk: Conversations

    async def __aenter__(self) -> Conversations:
        persistence = await self._opening.__aenter__()
        self.talk = converse(self._services, persistence, pace=self._pace)
        return self.talk

    async def __aexit__(self, *error: object) -> None:
        await self.talk.runner.close()
        await self._opening.__aexit__(*error)  # type: ignore[arg-type]
