"""The record of one turn, and what watches it: the facts that metrics, logs, alerts share."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Literal, Protocol, runtime_checkable

AlertSeverity = Literal["warning", "high", "critical"]
IncidentType = Literal[
    "high_latency",
    "high_error_rate",
    "cost_spike",
    "safety_violation",
    "model_outage",
    "knowledge_outage",
]
"""The guide's five incident types, and the outage of the knowledge."""


def utc_now() -> datetime:
    """Return the present moment in UTC."""
    return datetime.now(UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class TurnRecord:
    """What one turn took and how it ended. Texts appear only as keyed hashes."""

    turn: str
    tenant: str
    thread_hash: str
    user_hash: str
    question_hash: str
    answer_hash: str
    intent: str
    outcome: str
    model: str
    path: tuple[str, ...]
    node_ms: dict[str, float]
    duration_ms: float
    input_tokens: int
    output_tokens: int
    cost_usd: float
    violations: tuple[tuple[str, str, str], ...]
    """(guard, severity, action)."""
    tools: tuple[tuple[str, bool], ...]
    """(tool, succeeded)."""
    failed: bool
    """Whether error recovery ran, or the turn ended without an answer."""
    failure: str = ""
    """`node: code`, or empty."""
    model_failures: tuple[str, ...] = ()
    cached: bool = False
    retrieval_confidence: float | None = None
    support: float | None = None
    calls: tuple[tuple[str, str], ...] = ()
    """(model, code): each model that was asked; the code is empty when it answered."""
    broken_tools: tuple[str, ...] = ()
    """Tools that raised or hung; one that refused in its own words is not among them."""
    replay: bool = False
    """Whether an old turn was run again: counted apart, and held against nobody."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Alert:
    """A rule that fired."""

    rule: str
    incident: IncidentType
    severity: AlertSeverity
    message: str
    value: float
    """The share of the turns that went wrong."""
    threshold: float
    tenant: str = ""
    """Whose turns it is about; empty: those of several tenants."""
    item: str = ""
    """The tool or the model that it is about, if it is about one."""
    apart: bool = True
    """Whether it takes several people to bring this about. Where not, it is never acted on."""
    details: dict[str, str] = field(default_factory=dict)


Response = Literal["off", "advised", "automatic"]
"""What an alert leads to: a log line; an incident that says what to do; or one that does it."""
Trial = Literal["passed", "failed", "undecided"]
"""What the turns since the normal way was allowed again say of it."""


class Telemetry(Protocol):
    """Where a finished turn is reported."""

    def hash(self, text: str) -> str:
        """Return a keyed hash of a text: equal texts can be told equal, none can be read."""
        ...

    async def record(self, turn: TurnRecord) -> Sequence[Alert]:
        """Update metrics, write log line and turn record, and return the alerts that fire."""
        ...


@runtime_checkable
class Evidence(Protocol):
    """Telemetry that remembers the latest turns."""

    def trial(self, incident: str, *, item: str, tenant: str, since: datetime) -> Trial:
        """Return how the turns since then went, in what an incident is about."""
        ...
