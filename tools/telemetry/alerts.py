"""Alert rules as a table: what is measured of the latest turns, and the value that is too much."""

from __future__ import annotations

import operator
import time
from collections import Counter, deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from antiphon.tools.errors import KnowledgeUnavailable
from antiphon.tools.telemetry.turn import Alert, AlertSeverity, IncidentType, TurnRecord

WINDOW_TURNS = 100
"""How many of the latest turns the error rate looks at."""
WINDOW_MIN_TURNS = 20
"""Below so many turns there is no rate to speak of."""
OUTAGE_WINDOW_S = 600.0
COOLDOWN_S = 300.0
FLAPPING_S = 30.0
"""A knowledge that comes and goes is told of no more often than this; while an outage lasts, its
incident stays open and no second one is opened."""
FAILING_TOOL_CALLS = 3
"""Failures in the window before a tool is named as the likely cause."""


@dataclass(slots=True, kw_only=True)
class Recent:
    """What the rules may look at: the latest turn and what came before it."""

    turns: deque[TurnRecord] = field(default_factory=lambda: deque(maxlen=WINDOW_TURNS))
    model_failures: dict[str, deque[float]] = field(default_factory=dict)
    """Per model: when it failed within the outage window."""

    def add(self, turn: TurnRecord, now: float) -> None:
        """Take in a turn that ended at `now`."""
        self.turns.append(turn)
        for failure in turn.model_failures:
            # `provider:name: why`: the name itself may hold colons, but none with a space.
            self.model_failures.setdefault(failure.partition(": ")[0], deque()).append(now)
        for times in self.model_failures.values():
            while times and now - times[0] > OUTAGE_WINDOW_S:
                times.popleft()


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """A measured value, and what it was measured of."""

    value: float
    details: dict[str, str] = field(default_factory=dict)
    subject: str = ""
    """Cooldown is kept per rule and subject: two models may fail one after the other."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """One line of the table."""

    name: str
    incident: IncidentType
    severity: AlertSeverity
    measure: Callable[[Recent], Sequence[Reading]]
    threshold: float
    message: str
    """With places for `value`, `threshold` and `subject`."""
    exceeds: Callable[[float, float], bool] = operator.gt
    cooldown_s: float = COOLDOWN_S
    """How long it stays quiet after it fired."""


def _duration(recent: Recent) -> Sequence[Reading]:
    turn = recent.turns[-1]
    slowest = max(turn.node_ms, key=turn.node_ms.__getitem__, default="")
    return [Reading(value=turn.duration_ms / 1000, details={"turn": turn.turn, "node": slowest})]


def _cost(recent: Recent) -> Sequence[Reading]:
    turn = recent.turns[-1]
    return [Reading(value=turn.cost_usd, details={"turn": turn.turn, "model": turn.model})]


def _error_rate(recent: Recent) -> Sequence[Reading]:
    if not recent.turns[-1].failed or len(recent.turns) < WINDOW_MIN_TURNS:
        return []
    failed = [turn for turn in recent.turns if turn.failed]
    details = {"failed": str(len(failed)), "turns": str(len(recent.turns))}
    details["failure"] = Counter(turn.failure for turn in failed).most_common(1)[0][0]
    tool = _failing_tool(recent)
    if tool:
        details["tool"] = tool
    return [Reading(value=len(failed) / len(recent.turns), details=details)]


def _failing_tool(recent: Recent) -> str:
    """Return the tool that fails most, when it fails more often than it works."""
    calls = Counter(call for turn in recent.turns for call in turn.tools)
    failing = [
        (count, tool)
        for (tool, ok), count in calls.items()
        if not ok and count >= FAILING_TOOL_CALLS and count > calls[tool, True]
    ]
    return max(failing)[1] if failing else ""


def _blocked(recent: Recent) -> Sequence[Reading]:
    turn = recent.turns[-1]
    guards = [
        guard
        for guard, severity, action in turn.violations
        if (severity, action) == _CRITICAL and guard not in _NO_DANGER
    ]
    return [Reading(value=len(guards), details={"turn": turn.turn, "guard": ", ".join(guards)})]


_CRITICAL = ("critical", "blocked")
_NO_DANGER = frozenset({"size"})
"""A message that is too long is refused, but harms nobody."""


def _outages(recent: Recent) -> Sequence[Reading]:
    failing = {failure.partition(": ")[0] for failure in recent.turns[-1].model_failures}
    return [
        Reading(value=len(recent.model_failures[model]), subject=model, details={"model": model})
        for model in sorted(failing)
    ]


def _knowledge(recent: Recent) -> Sequence[Reading]:
    turn = recent.turns[-1]
    node, _, code = turn.failure.partition(": ")
    if code != KnowledgeUnavailable.code:
        return []
    details = {"turn": turn.turn, "tenant": turn.tenant, "node": node, "failure": code}
    return [Reading(value=1, details=details)]


RULES: tuple[Rule, ...] = (
    Rule(
        name="high_latency",
        incident="high_latency",
        severity="warning",
        measure=_duration,
        threshold=10.0,
        message="A turn took {value:.1f} s (limit {threshold:g} s).",
    ),
    Rule(
        name="high_cost",
        incident="cost_spike",
        severity="warning",
        measure=_cost,
        threshold=0.10,
        message="A turn cost ${value:.4f} (limit ${threshold:.2f}).",
    ),
    Rule(
        name="high_error_rate",
        incident="high_error_rate",
        severity="critical",
        measure=_error_rate,
        threshold=0.05,
        message="{value:.1%} of the latest turns failed (limit {threshold:.0%}).",
    ),
    Rule(
        name="safety_violation",
        incident="safety_violation",
        severity="high",
        measure=_blocked,
        threshold=1,
        exceeds=operator.ge,
        message="{value:g} critical violation(s) blocked in one turn.",
    ),
    Rule(
        name="model_outage",
        incident="model_outage",
        severity="critical",
        measure=_outages,
        threshold=3,
        exceeds=operator.ge,
        message="Model {subject!r} failed {value:g} times within ten minutes.",
    ),
    Rule(
        name="knowledge_outage",
        incident="knowledge_outage",
        severity="critical",
        measure=_knowledge,
        threshold=1,
        exceeds=operator.ge,
        message="The knowledge could not be searched.",
        cooldown_s=FLAPPING_S,
    ),
)
"""The guide's thresholds: 10 s, $0.10, 5 %; and ours for blocked violations and outages."""


class Alerts:
    """Holds the latest turns against the rules; a rule that fired rests for a while."""

    def __init__(
        self,
        rules: Sequence[Rule] = RULES,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._rules = tuple(rules)
        self._clock = clock
        self._recent = Recent()
        self._fired: dict[tuple[str, str], float] = {}

    def check(self, turn: TurnRecord) -> tuple[Alert, ...]:
        """Take in a finished turn and return the alerts that fire now."""
        now = self._clock()
        self._recent.add(turn, now)
        return tuple(
            self._alert(rule, reading, now)
            for rule in self._rules
            for reading in rule.measure(self._recent)
            if rule.exceeds(reading.value, rule.threshold) and self._rested(rule, reading, now)
        )

    def _rested(self, rule: Rule, reading: Reading, now: float) -> bool:
        fired = self._fired.get((rule.name, reading.subject))
        return fired is None or now - fired >= rule.cooldown_s

    def _alert(self, rule: Rule, reading: Reading, now: float) -> Alert:
        self._fired[rule.name, reading.subject] = now
        return Alert(
            rule=rule.name,
            incident=rule.incident,
            severity=rule.severity,
            message=rule.message.format(
                value=reading.value, threshold=rule.threshold, subject=reading.subject
            ),
            value=reading.value,
            threshold=rule.threshold,
            details=reading.details,
        )
