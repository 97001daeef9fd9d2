"""The result of a turn as the doors hand it out: one plain record, the same everywhere."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, is_dataclass, replace
from typing import Any, cast

from langchain_core.messages import BaseMessage, HumanMessage
from langgraph.types import StateSnapshot
from pydantic import JsonValue

from antiphon.nodes.act import request
from antiphon.nodes.state import State
from antiphon.tools.turns.records import TurnEntry


@dataclass(frozen=True, slots=True, kw_only=True)
class Turn:
    """The result of one message, in the shape that `antiphon ask --json` prints."""

    answer: str
    outcome: str
    citations: tuple[dict[str, JsonValue], ...]
    """id, source, title, quote, start, end, heading.

    A bracketed number in the answer is a marker exactly where it is one of the ids.
    """
    confidence: dict[str, float | None]
    """retrieval; support: the share of the answer's claims that its evidence supports."""
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
    """interrupt_id, tool, arguments, question, expires."""
    thread_id: str
    degraded_because: str | None
    turn_id: str = ""
    intent: str = ""
    cached: bool = False
    steps_ms: dict[str, float] | None = None

    def as_json(self) -> dict[str, JsonValue]:
        """Return plain JSON."""
        plain = asdict(self)
        return {name: as_json(value) for name, value in plain.items()}

    @classmethod
    def from_json(cls, plain: Mapping[str, JsonValue]) -> Turn:
        """Return the turn that `as_json` wrote."""
        tuples = {
            name: tuple(cast("list[Any]", plain[name]))
            for name in ("citations", "path", "violations")
        }
        return cls(**{**cast("dict[str, Any]", plain), **tuples})


def turn_of(snapshot: StateSnapshot, *, entry: TurnEntry, own: bool = True) -> Turn:
    """Read a turn from its thread's state, with its times from the record.

    `own`: whether the state is this turn's; else only what waits for a person is read from it.
    """
    whole = cast("State", snapshot.values)
    state: State = whole if own else {}
    approval = whole.get("awaiting")
    usage, intent = state.get("usage"), state.get("intent")
    trail = state.get("trail", ())
    return Turn(
        turn_id=entry.id,
        answer=state.get("answer", ""),
        outcome="awaiting_approval" if approval else state.get("outcome", "answered"),
        citations=tuple(asdict(citation) for citation in state.get("citations", ())),
        confidence={
            "retrieval": _rounded(state.get("retrieval_confidence")),
            "support": _rounded(state.get("support")),
        },
        phase=state.get("phase", "initial"),
        path=tuple(step["node"] for step in trail),
        model=state.get("model", ""),
        usage={
            "input_tokens": usage.input_tokens if usage else 0,
            "output_tokens": usage.output_tokens if usage else 0,
        },
        cost_usd=round(state.get("cost_usd", 0.0), 8),
        latency_ms=round(max(0.0, entry.ended - entry.created) * 1000, 1),
        violations=tuple(
            {"guard": item.guard, "severity": item.severity, "action": item.action}
            for item in state.get("violations", ())
        ),
        interrupt=request(approval) if approval else None,
        thread_id=entry.thread,
        degraded_because=_because(state),
        intent=intent.name if intent else "",
        cached=state.get("cached", False),
        steps_ms={step["node"]: step["ms"] for step in trail},
    )


def never_ran(entry: TurnEntry) -> Turn:
    """Return a turn that was stopped before it ran."""
    nothing = StateSnapshot({}, (), {}, None, None, None, (), ())
    return replace(turn_of(nothing, entry=entry), outcome="cancelled")


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
