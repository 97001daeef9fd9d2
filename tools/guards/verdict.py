"""What a guard sees, what it finds, and the verdict of a whole pipeline."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, Protocol

from antiphon.tools.stored import Stored

if TYPE_CHECKING:
    from antiphon.tools.claims.verdict import Judgement

Severity = Literal["info", "warning", "high", "critical"]
Action = Literal["noted", "masked", "removed", "blocked", "failed"]
"""`failed`: the guard itself broke; a critical guard then blocks."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """What a text is about, for guards that need more than the text."""

    tenant: str = ""
    evidence: tuple[str, ...] = ()
    """Passages and tool results that the text may rest on (output rail)."""
    language: str = "en"
    """Of the evidence: what makes two forms one word differs from language to language."""
    expects_evidence: bool = False
    """Whether an answer that rests on nothing is a fault."""
    judgements: tuple[Judgement, ...] | None = None
    """Of the text's claims by the evidence, where they were judged already."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One guard's opinion of a text."""

    ok: bool
    text: str
    """The text to go on with: unchanged, masked or cleaned."""
    severity: Severity = "info"
    reason: str = ""
    """What was found, never the found value itself."""
    entities: dict[str, int] = field(default_factory=dict)
    """Kinds of personal data found and how many of each."""
    action: Literal["noted", "masked", "removed"] | None = None
    """What was done to the text; None reads it off the text: changed means removed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Violation(Stored):
    """One line of the record: which guard objected, how gravely, and what was done."""

    guard: str
    severity: Severity
    action: Action
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What a pipeline decides."""

    allowed: bool
    text: str
    violations: tuple[Violation, ...] = ()


class Guard(Protocol):
    """One check."""

    name: str
    critical: bool
    """Fail closed: when this guard breaks, the text is blocked."""

    async def check(self, text: str, subject: Subject) -> Finding:
        """Judge `text`; may return it cleaned."""
        ...


class Rail(Protocol):
    """A sequence of guards, each seeing what the one before left."""

    async def judge(self, text: str, subject: Subject) -> Verdict:
        """Run every guard in order; stop at the first critical violation. Never raises."""
        ...
