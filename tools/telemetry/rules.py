"""The alert rules as a table: what a single turn says of a matter, and how much is too much.

A rule never fires on one turn or one caller. What is no fault of ours says nothing either way:
refusals, mistakes of the caller, a provider's content filter, pages that are still being read.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Literal

from antiphon.tools.errors import (
    AssistantError,
    Forbidden,
    InputError,
    KeyMissing,
    KnowledgeLoading,
    KnowledgeMissing,
    KnowledgeUnavailable,
    MessageError,
    ModelError,
    ModelRejected,
    ModelUnavailable,
    SettingsError,
    UnknownModel,
    UnknownThread,
)
from antiphon.tools.telemetry.turn import AlertSeverity, IncidentType, TurnRecord

SLOW_S = 10.0
DEAR_USD = 0.10
SHARE = 0.05
"""The guide's limits: 10 s, $0.10 and 5 % of the turns."""
MOSTLY = 0.5
"""A tool or a model is held to be down when it fails more often than it works."""
RATE_TURNS = 20
"""Below so many turns there is no error rate to speak of."""
FEWEST_CALLERS = 3
COOLDOWN_S = 300.0
FLAPPING_S = 30.0
"""A knowledge that comes and goes is told of no more often than this; while an outage lasts, its
incident stays open and no second one is opened."""

UNFINISHED = frozenset({"cancelled", "awaiting_approval"})
"""Outcomes of turns that neither worked nor failed."""
NOT_OURS = frozenset(
    kind.code
    for kind in (
        InputError, MessageError, SettingsError, AssistantError, UnknownThread, UnknownModel,
        Forbidden, ModelRejected, KnowledgeLoading, KnowledgeMissing,
    )
)  # fmt: skip
"""Failures that no mitigation could mend: the caller's, the operator's, or over in a moment."""
DOWN = frozenset(kind.code for kind in (ModelUnavailable, KeyMissing, ModelError))
"""Codes of a model that does not answer, whatever it is asked."""
_CRITICAL = ("critical", "blocked")
_NO_DANGER = frozenset({"size"})
"""A message that is too long is refused, but harms nobody."""

Findings = Mapping[str, str]
"""Per item (a tool, a model, or empty for the turn as such) why it went wrong; empty: it went well.
An item that is not in it was not tried."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """One line of the table."""

    name: str
    incident: IncidentType
    severity: AlertSeverity
    judge: Callable[[TurnRecord], Findings]
    share: float
    """More than this share of the turns must have gone wrong, also without the busiest caller's."""
    message: str
    """With places for `item`, `bad`, `turns` and `share`."""
    items: bool = False
    """Whether it is about tools or models, rather than about turns as such."""
    bad: int = 3
    """How many turns must have gone wrong at least."""
    turns: int = 3
    """How many turns there must be at least."""
    callers: int = FEWEST_CALLERS
    """Of how many callers the turns that went wrong must be."""
    provoked: bool = True
    """Whether a caller can bring it about by what they write."""
    scope: Literal["tenant", "assistant"] = "tenant"
    """How far it reaches while one tenant is hit."""
    passes: int = 5
    """How many turns must go well before the normal way is trusted again."""
    notice: bool = False
    """Whether a single turn is worth a line in the log."""
    cooldown_s: float = COOLDOWN_S
    """How long it stays quiet after it fired."""


def looked_at(turn: TurnRecord) -> bool:
    """Return whether the rules may look at a turn at all."""
    return not turn.replay and turn.outcome not in UNFINISHED


def failure(turn: TurnRecord) -> str:
    """Return the failure that is ours, as `node: code`; empty when there is none."""
    if turn.outcome == "failed":
        return turn.failure or "unknown"
    ours = turn.failed and code_of(turn.failure) not in NOT_OURS
    return (turn.failure or "unknown") if ours else ""


def code_of(failure: str) -> str:
    """Return the code of a `node: code`."""
    return failure.rpartition(": ")[2]


def _worked(turn: TurnRecord) -> bool:
    """Return whether work was done for an answer: a kept or refused one took none."""
    return not turn.failed and not turn.cached and turn.outcome not in ("refused", "failed")


def _slow(turn: TurnRecord) -> Findings:
    if not _worked(turn):
        return {}
    slowest = max(turn.node_ms, key=turn.node_ms.__getitem__, default="unknown")
    return {"": slowest if turn.duration_ms > SLOW_S * 1000 else ""}


def _dear(turn: TurnRecord) -> Findings:
    if not _worked(turn):
        return {}
    return {"": (turn.model or "unknown") if turn.cost_usd > DEAR_USD else ""}


def _failed(turn: TurnRecord) -> Findings:
    why = failure(turn)
    if code_of(why) == KnowledgeUnavailable.code:
        return {}  # It has a rule of its own.
    return {"": why} if why or _worked(turn) else {}


def _tools(turn: TurnRecord) -> Findings:
    return _each(
        [(name, "") for name, ok in turn.tools if ok],
        [(name, "failed") for name in turn.broken_tools],
    )


def _blocked(turn: TurnRecord) -> Findings:
    guards = [
        guard
        for guard, severity, action in turn.violations
        if (severity, action) == _CRITICAL and guard not in _NO_DANGER
    ]
    return {"": ", ".join(guards)}


def _models(turn: TurnRecord) -> Findings:
    return _each(
        [(model, code) for model, code in turn.calls if not code],
        [(model, code) for model, code in turn.calls if code in DOWN],
    )


def _knowledge(turn: TurnRecord) -> Findings:
    why = failure(turn)
    return {"": why} if code_of(why) == KnowledgeUnavailable.code else {}


def _each(well: Iterable[tuple[str, str]], wrong: Iterable[tuple[str, str]]) -> Findings:
    """Return one finding an item; what failed once in a turn has failed in it."""
    return {**dict(well), **dict(wrong)}


RULES: tuple[Rule, ...] = (
    Rule(
        name="high_latency",
        incident="high_latency",
        severity="warning",
        judge=_slow,
        share=SHARE,
        message=f"{{bad}} of {{turns}} turns took more than {SLOW_S:g} s.",
        notice=True,
    ),
    Rule(
        name="high_cost",
        incident="cost_spike",
        severity="warning",
        judge=_dear,
        share=SHARE,
        message=f"{{bad}} of {{turns}} turns cost more than ${DEAR_USD:.2f}.",
        notice=True,
    ),
    Rule(
        name="high_error_rate",
        incident="high_error_rate",
        severity="critical",
        judge=_failed,
        share=SHARE,
        turns=RATE_TURNS,
        message=f"{{share:.1%}} of the latest turns failed (limit {SHARE:.0%}).",
    ),
    Rule(
        name="failing_tool",
        incident="high_error_rate",
        severity="high",
        judge=_tools,
        share=MOSTLY,
        passes=1,
        items=True,
        message="Tool {item!r} failed in {bad} of {turns} turns.",
    ),
    Rule(
        name="safety_violation",
        incident="safety_violation",
        severity="high",
        judge=_blocked,
        share=SHARE,
        message="A critical violation was blocked in {bad} of {turns} turns.",
    ),
    Rule(
        name="model_outage",
        incident="model_outage",
        severity="critical",
        judge=_models,
        share=MOSTLY,
        provoked=False,
        passes=1,
        items=True,
        message="Model {item!r} failed in {bad} of {turns} turns within ten minutes.",
    ),
    Rule(
        name="knowledge_outage",
        incident="knowledge_outage",
        severity="critical",
        judge=_knowledge,
        share=0.0,
        bad=1,
        turns=1,
        # One turn is enough: nothing is thrown for it, and a search is not brought down by words.
        callers=1,
        provoked=False,
        scope="assistant",
        message="The knowledge could not be searched.",
        cooldown_s=FLAPPING_S,
    ),
)


def notices(turn: TurnRecord) -> tuple[str, ...]:
    """Return the rules by which this turn alone is worth a line in the log."""
    return tuple(rule.name for rule in RULES if rule.notice and any(rule.judge(turn).values()))
