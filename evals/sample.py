"""What an evaluator sees and gives: one answer with all that is known of it, and a mark."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from pydantic import JsonValue

from antiphon.evals.golden import Expected

ANSWERS = frozenset({"answered", "degraded"})
"""Outcomes that claim something of the world; the others ask, decline or wait."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Deed:
    """A tool call that went out and did what it was to do."""

    tool: str
    arguments: Mapping[str, JsonValue]


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """What an evaluator sees: one answer, what it rests on, and what was expected."""

    question: str
    answer: str
    outcome: str
    expected: Expected
    reference: str = ""
    evidence: tuple[str, ...] = ()
    """What the answer cites, verbatim."""
    sources: tuple[str, ...] = ()
    """Files it cites."""
    markers: tuple[int, ...] = ()
    """Numbers that `[n]` may refer to."""
    path: tuple[str, ...] = ()
    effects: tuple[Deed, ...] = ()
    """What was changed on the way, in order."""

    @property
    def as_expected(self) -> bool:
        """Whether the turn ended in a way that was expected."""
        return self.outcome in self.expected.outcome

    @property
    def claims(self) -> bool:
        """Whether the answer says something that can be right or wrong."""
        return self.outcome in ANSWERS


@dataclass(frozen=True, slots=True, kw_only=True)
class Score:
    """A mark from 0 to 1, and why it is not 1."""

    value: float
    reasons: tuple[str, ...] = ()


class Evaluator(Protocol):
    """One metric."""

    @property
    def name(self) -> str:
        """What it is called in reports; the five have the guide's names."""
        ...

    async def evaluate(self, sample: Sample) -> Score:
        """Judge one answer."""
        ...
