"""What a judgement of a claim is, and who gives one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

Verdict = Literal["supported", "contradicted", "not found", "unsure", "unverified"]
"""unsure: it may be supported, but not for sure; unverified: nobody here can read both texts."""

KEPT: frozenset[Verdict] = frozenset({"supported", "unsure", "unverified"})
"""Verdicts under which a claim may stay in an answer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Judgement:
    """What the evidence says of one claim."""

    claim: str
    verdict: Verdict
    reason: str
    """In words, for whoever looks into a verdict."""
    quote: str = ""
    """The sentence of the evidence that decides; empty where none does."""
    supported: float = 0.0
    """How likely the evidence supports it, 0..1."""
    contradicted: float = 0.0
    """How likely the evidence contradicts it, 0..1."""


class Verifier(Protocol):
    """Judges claims against evidence; one call for all claims of an answer."""

    async def judge(
        self, claims: Sequence[str], evidence: Sequence[str], *, language: str = "en"
    ) -> tuple[Judgement, ...]:
        """Return a judgement for each claim, in order.

        Args:
            claims: sentences, or parts of one, each saying one thing.
            evidence: texts, of any length.
            language: of the claims, as a tag such as `de`.
        """
        ...
