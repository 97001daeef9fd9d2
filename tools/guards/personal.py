"""Personal data never passes in the clear, except what the knowledge itself makes public."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from antiphon.tools.guards.pace import paced
from antiphon.tools.guards.verdict import Finding, Severity, Subject
from antiphon.tools.privacy import Detector, mask

_GRAVE = frozenset({"SECRET", "URL_CREDENTIALS", "CREDIT_CARD", "IBAN", "US_SSN"})


class PersonalData:
    """Masks what the detector finds.

    On the output rail, values that stand in the evidence (a help centre's own support address)
    are not personal and stay.
    """

    name = "pii"

    def __init__(
        self,
        detector: Detector,
        *,
        rail: Literal["input", "output"] = "input",
        critical: bool = True,
    ) -> None:
        self.critical = critical
        self._detector = detector
        self._rail = rail

    async def check(self, text: str, subject: Subject) -> Finding:
        """Mask the text."""
        evidence = subject.evidence if self._rail == "output" else ()
        size = len(text) + sum(map(len, evidence))
        return await paced(size, self._masked, text, evidence)

    def _masked(self, text: str, evidence: Sequence[str]) -> Finding:
        known = "\n".join(evidence).casefold()
        spans = [
            span
            for span in self._detector.find(text)
            if not known or text[span.start : span.end].casefold() not in known
        ]
        if not spans:
            return Finding(ok=True, text=text)
        masked, entities = mask(text, spans)
        severity: Severity = "warning" if _GRAVE & set(entities) else "info"
        reason = ", ".join(f"{count} {kind}" for kind, count in sorted(entities.items()))
        return Finding(
            ok=False,
            text=masked,
            severity=severity,
            reason=reason,
            entities=entities,
            action="masked",
        )
