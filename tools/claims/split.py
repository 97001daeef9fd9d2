"""What of an answer is a claim: sentences that say something which evidence could bear out."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from antiphon.tools.claims.verdict import KEPT, Verifier
from antiphon.tools.guards.pace import paced
from antiphon.tools.retrieval.analysis import terms
from antiphon.tools.retrieval.citations import CODE, FEWEST_WORDS, MARKERS, NO_CLAIM, without
from antiphon.tools.retrieval.sentences import HEADING, Span, sentences

_OFFER = re.compile(
    r"\W*(?:hello|hi|dear|thanks?|thank you|sorry|please let|let me know|feel free|if you (?:need"
    r"|have|would like)|i(?:'m| am) (?:happy|glad|sorry)|i hope|is there anything|hallo|danke"
    r"|gern|bitte melden)\b",
    re.IGNORECASE,
)


def claims_of(answer: str) -> tuple[Span, ...]:
    """Return the spans of an answer's claims, in order: no questions, greetings, offers or code."""
    code = [match.span() for match in CODE.finditer(answer)]
    return tuple(
        span
        for span in _lines(answer)
        if not any(start < span[1] and span[0] < end for start, end in code)
        and not HEADING.match(answer, answer.rfind("\n", 0, span[0]) + 1)
        and _claims(MARKERS.sub("", answer[slice(*span)]).strip())
    )


async def borne_out(
    verifier: Verifier, answer: str, evidence: Sequence[str], *, language: str
) -> str:
    """Return the answer without the claims that the evidence denies or does not know.

    Where nothing would be left it is returned as it is, for the output rail to judge.
    """
    spans = await paced(len(answer), claims_of, answer)
    claims = [answer[slice(*span)] for span in spans]
    found = await verifier.judge(claims, evidence, language=language) if claims else ()
    cut = [span for span, one in zip(spans, found, strict=True) if one.verdict not in KEPT]
    if len(cut) == len(spans):
        return answer
    for span in reversed(cut):
        answer = without(answer, span)
    return answer.strip()


def _lines(answer: str) -> Iterator[Span]:
    """Yield the sentences; one that runs over lines without a full stop is one a line."""
    for start, end in sentences(answer):
        at = start
        for line in answer[start:end].split("\n"):
            if line.strip():
                yield at, at + len(line)
            at += len(line) + 1


def _claims(said: str) -> bool:
    if said.endswith(NO_CLAIM) or _OFFER.match(said):
        return False
    return len(set(terms(said))) >= FEWEST_WORDS or any(char.isdigit() for char in said)
