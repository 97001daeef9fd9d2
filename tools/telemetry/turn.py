"""The record of one turn, and what watches it: the facts that metrics, logs, alerts share."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal, Protocol

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
    """Whether error recovery ran."""
    failure: str = ""
    """`node: code`, or empty."""
    model_failures: tuple[str, ...] = ()
    cached: bool = False
    retrieval_confidence: float | None = None
    support: float | None = None
    replay: bool = False
    """Whether the turn repeats one that was: counted apart, and no rule looks at it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Alert:
    """A rule that fired."""

    rule: str
    incident: IncidentType
    severity: AlertSeverity
    message: str
    value: float
    threshold: float
    details: dict[str, str] = field(default_factory=dict)
    """For example the model that is out: `{"model": name}`."""


class Telemetry(Protocol):
    """Where a finished turn is reported."""

    def hash(self, text: str) -> str:
        """Return a keyed hash of a text: equal texts can be told equal, none can be read."""
        ...

    async def record(self, turn: TurnRecord) -> Sequence[Alert]:
        """Update metrics, write log line and turn record, and return the alerts that fire."""
        ...
