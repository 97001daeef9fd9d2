"""Whether an answer rests on the passages it was given."""

from __future__ import annotations

from antiphon.tools.claims import KEPT, Judgement, SignsVerifier, Verifier, claims_of
from antiphon.tools.guards.pace import paced
from antiphon.tools.guards.verdict import Finding, Subject
from antiphon.tools.retrieval.language import detect

MOST_HEARD = 2000
"""Characters by which the language of an answer is told."""


class Grounding:
    """Notes an answer whose claims are not in its evidence; whoever asked decides to abstain.

    A draft of a model comes with the judgements of its claims; any other is judged here.
    """

    name = "grounding"

    def __init__(
        self,
        minimum: float = 0.5,
        *,
        critical: bool = False,
        verifier: Verifier | None = None,
    ) -> None:
        """`minimum`: the share of claims that the evidence must bear out, or may."""
        self.critical = critical
        self._minimum = minimum
        self._verifier = verifier or SignsVerifier()

    async def check(self, text: str, subject: Subject) -> Finding:
        """Look at what the evidence says of each claim: none may say the opposite."""
        if not subject.expects_evidence:
            return Finding(ok=True, text=text)
        found = subject.judgements
        if found is None:
            found = await self._judged(text, subject)
        if not found:
            return Finding(ok=True, text=text)
        wrong = next((one for one in found if one.verdict == "contradicted"), None)
        kept = sum(one.verdict in KEPT for one in found) / len(found)
        if wrong is None and kept >= self._minimum:
            return Finding(ok=True, text=text)
        reason = (
            f"the evidence says otherwise: {wrong.reason}"
            if wrong is not None
            else f"{kept:.0%} of the claims are in the evidence, {self._minimum:.0%} are asked for"
        )
        return Finding(ok=False, text=text, severity="high", reason=reason)

    async def _judged(self, text: str, subject: Subject) -> tuple[Judgement, ...]:
        claims = [text[slice(*span)] for span in await paced(len(text), claims_of, text)]
        if not claims:
            return ()
        spoken = detect(text[:MOST_HEARD], otherwise=subject.language)
        return await self._verifier.judge(claims, subject.evidence, language=spoken)
