"""What of an answer is a claim: sentences that say something which evidence could bear out."""

from __future__ import annotations

import re

from antiphon.tools.retrieval.analysis import terms
from antiphon.tools.retrieval.citations import FEWEST_WORDS, NO_CLAIM, units
from antiphon.tools.retrieval.marks import CODE, MARKERS
from antiphon.tools.retrieval.sentences import HEADING, Span

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
        for span in units(answer)
        if not any(start < span[1] and span[0] < end for start, end in code)
        and not HEADING.match(answer, answer.rfind("\n", 0, span[0]) + 1)
        and _claims(MARKERS.sub("", answer[slice(*span)]).strip())
    )


_JOINT = re.compile(
    r"(?:;\s+|,\s+(?:and|but|while|whereas|yet|so|und|aber|während|sondern)\s+|\s+(?:but|aber)\s+)"
    r"(?=(?:we|you|it|they|he|she|i|this|that|these|those|there|the|a|an|your|our|their|its|his|her"
    r"|wir|sie|ihr|es|er|ich|das|die|der|dies|diese|ein|eine|unser|unsere|ihre)\b)",
    re.IGNORECASE,
)
"""Where a second thing is said: the next words begin a sentence of their own."""


def parts(claim: str) -> tuple[str, ...]:
    """Return the things that one sentence says, each enough to be held against evidence."""
    found: list[str] = []
    at = 0
    for match in _JOINT.finditer(claim):
        said, rest = claim[at : match.start()], claim[match.end() :]
        if min(len(set(terms(said))), len(set(terms(rest)))) >= FEWEST_WORDS:
            found.append(said)
            at = match.end()
    return (*found, claim[at:])


def _claims(said: str) -> bool:
    if said.endswith(NO_CLAIM) or _OFFER.match(said):
        return False
    return len(set(terms(said))) >= FEWEST_WORDS or any(char.isdigit() for char in said)
