"""Whether an answer rests on the passages it was given."""

from __future__ import annotations

from antiphon.tools.guards.pace import paced
from antiphon.tools.guards.verdict import Finding, Subject
from antiphon.tools.retrieval.citations import support


class Grounding:
    """Notes an answer whose words are not in its evidence; whoever asked decides to abstain."""

    name = "grounding"

    def __init__(self, minimum: float = 0.5, *, critical: bool = False) -> None:
        self.critical = critical
        self._minimum = minimum

    async def check(self, text: str, subject: Subject) -> Finding:
        """Judge the share of the answer's content words that the evidence holds."""
        if not subject.expects_evidence:
            return Finding(ok=True, text=text)
        size = len(text) + sum(map(len, subject.evidence))
        share = await paced(size, support, text, subject.evidence, language=subject.language)
        if share is None or share >= self._minimum:
            return Finding(ok=True, text=text)
        reason = f"{share:.0%} of the answer is in the evidence, {self._minimum:.0%} is asked for"
        return Finding(ok=False, text=text, severity="high", reason=reason)
