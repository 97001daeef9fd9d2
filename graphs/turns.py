"""The result of a turn as the doors hand it out: one plain record, the same everywhere."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, is_dataclass
from typing import cast

from langchain_core.messages import BaseMessage, HumanMessage
from langgraph.types import StateSnapshot
from pydantic import JsonValue

from antiphon.nodes.state import State


@dataclass(frozen=True, slots=True, kw_only=True)
class Turn:
    """The result of one message, in the shape that `antiphon ask --json` prints."""

    answer: str
    outcome: str
    citations: tuple[dict[str, JsonValue], ...]
    """id, source, title, quote, start, end, heading."""
    confidence: dict[str, float | None]
    """retrieval, support."""
    phase: str
    path: tuple[str, ...]
    model: str
    usage: dict[str, int]
    """input_tokens, output_tokens."""
    cost_usd: float
    latency_ms: float
    violations: tuple[dict[str, str], ...]
    """guard, severity, action."""
    interrupt: dict[str, JsonValue] | None
    """id, tool, arguments, question."""
    thread_id: str
    degraded_because: str | None
    intent: str = ""
    cached: bool = False
    steps_ms: dict[str, float] | None = None

    def as_json(self) -> dict[str, JsonValue]:
        """Return plain JSON."""
        plain = asdict(self)
        return {name: as_json(value) for name, value in plain.items()}


def turn_of(snapshot: StateSnapshot, *, thread: str, latency_ms: float) -> Turn:
    """Read the thread's latest turn from its state."""
    state = cast("State", snapshot.values)
    waiting = next(iter(snapshot.interrupts), None)
    usage, intent = state.get("usage"), state.get("intent")
    trail = state.get("trail", ())
    confidence = state.get("retrieval_confidence")
    support = state.get("support")
    return Turn(
        answer=str(waiting.value["question"]) if waiting else state.get("answer", ""),
        outcome="awaiting_approval" if waiting else state.get("outcome", "answered"),
        citations=tuple(asdict(citation) for citation in state.get("citations", ())),
        confidence={"retrieval": _rounded(confidence), "support": _rounded(support)},
        phase=state.get("phase", "initial"),
        path=tuple(step["node"] for step in trail) + (("call_tools",) if waiting else ()),
        model=state.get("model", ""),
        usage={
            "input_tokens": usage.input_tokens if usage else 0,
            "output_tokens": usage.output_tokens if usage else 0,
        },
        cost_usd=round(state.get("cost_usd", 0.0), 8),
        latency_ms=latency_ms,
        violations=tuple(
            {"guard": item.guard, "severity": item.severity, "action": item.action}
            for item in state.get("violations", ())
        ),
        interrupt={**waiting.value, "interrupt_id": waiting.id} if waiting else None,
        thread_id=thread,
        degraded_because=_because(state),
        intent=intent.name if intent else "",
        cached=state.get("cached", False),
        steps_ms={step["node"]: step["ms"] for step in trail},
    )


def as_json(value: object) -> JsonValue:
    """Return any value of the state as plain JSON."""
    if isinstance(value, BaseMessage):
        role = "user" if isinstance(value, HumanMessage) else "assistant"
        return {"role": role, "content": value.text, "id": value.id}
    if is_dataclass(value) and not isinstance(value, type):
        return {item.name: as_json(getattr(value, item.name)) for item in fields(value)}
    if isinstance(value, Mapping):
        return {str(key): as_json(item) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [as_json(item) for item in value]
    if value is None or isinstance(value, bool | int | float | str):
        return value
    return str(value)


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 4)


def _because(state: State) -> str | None:
    failure = state.get("failure")
    reasons = list(state.get("model_failures", ()))
    if failure is not None:
        reasons.append(f"{failure.node}: {failure.code}: {failure.message}")
    return "; ".join(reasons) or None
