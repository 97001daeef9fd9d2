"""What of an answer is a claim: sentences that say something which evidence could bear out."""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Sequence
from itertools import islice

from antiphon.tools.retrieval.analysis import terms
from antiphon.tools.retrieval.citations import units
from antiphon.tools.retrieval.marks import CODE, MARKERS
from antiphon.tools.retrieval.sentences import HEADING, MARKER, Span

ASKS = ("?", "？", "؟")
"""How a question ends."""
FEWEST = 2
"""Content words from which a sentence says something: "Delivery is free"."""
_OPENER = re.compile(
    r"\W*(?:(?:hello|hi|dear|thanks?|thank you|sorry|apologies|hallo|danke|great question"
    r"|good question|i(?:'m| am) (?:happy|glad|sorry|afraid))\b[^,.;:!?–—]{0,60}"
    r"(?:[,;:!–—]\s*|\b(?:but|aber)\s+|$))+",
    re.IGNORECASE,
)
"""Courtesies before what is said, up to the next stop."""
_OFFER = re.compile(
    r"\W*(?:please (?:let|feel)|let me know|feel free|i hope|is there anything|bitte melden|gern\b"
    r"|if you (?:need|have|would like) (?:any|more|further|other|help|anything))\b",
    re.IGNORECASE,
)
_TAG = re.compile(
    r",\s*(?:ok|okay|right|correct|isn['’]t it|ja|oder|nicht wahr)\s*\?$", re.IGNORECASE
)
"""What makes a question of a claim."""


def claims_of(answer: str) -> tuple[Span, ...]:
    """Return the spans of an answer's claims, in order: no questions, greetings, offers or code.

    Code is what is fenced: a word in backticks makes no claim less of one. A heading or a line that
    introduces others claims something where it names a figure.
    """
    code = [match.span() for match in CODE.finditer(answer) if match.group().startswith("```")]
    return tuple(
        span
        for span in units(answer)
        if not _within(span, code)
        and _claims(
            MARKERS.sub("", answer[slice(*span)]).strip(),
            heading=HEADING.match(answer, answer.rfind("\n", 0, span[0]) + 1) is not None,
        )
    )


def read_as(answer: str, spans: Sequence[Span]) -> tuple[str, ...]:
    """Return what each of the spans says: an item of a list, with the line that introduces it."""
    wanted = set(spans)
    found: dict[Span, str] = {}
    lead = ""
    for span in units(answer):
        said = answer[slice(*span)]
        item = MARKER.match(answer, answer.rfind("\n", 0, span[0]) + 1) is not None
        if span in wanted:
            found[span] = f"{lead} {said}" if item and lead else said
        if not item:
            introduces = said.rstrip().endswith((":", "："))
            lead = said if introduces and len(set(terms(said))) >= FEWEST else ""
    return tuple(found.get(span, answer[slice(*span)]) for span in spans)


def _within(span: Span, code: Sequence[Span]) -> bool:
    before = bisect_left(code, (span[1],))
    return before > 0 and code[before - 1][1] > span[0]


_JOINT = re.compile(
    r"(?:; |, (?:and|but|while|whereas|yet|so|und|aber|während|sondern) | (?:but|aber) )"
    r"(?=(?:we|you|it|they|he|she|i|this|that|these|those|there|the|a|an|your|our|their|its|his|her"
    r"|wir|sie|ihr|es|er|ich|das|die|der|dies|diese|ein|eine|unser|unsere|ihre)\b)",
    re.IGNORECASE,
)
"""Where a second thing is said: the next words begin a sentence of their own."""
LONGEST, MOST = 1000, 8
"""Characters of a sentence that is taken apart, and things it may say."""


def parts(claim: str) -> tuple[str, ...]:
    """Return the things that one sentence says, each enough to be held against evidence."""
    claim = " ".join(claim.split())
    if len(claim) > LONGEST:
        return (claim,)
    found: list[str] = []
    at = 0
    for match in islice(_JOINT.finditer(claim), MOST):
        said, rest = claim[at : match.start()], claim[match.end() :]
        if min(len(set(terms(said))), len(set(terms(rest)))) >= FEWEST:
            found.append(said)
            at = match.end()
    return (*found, claim[at:])


def _claims(said: str, *, heading: bool) -> bool:
    opener = _OPENER.match(said)
    rest = said[opener.end() :] if opener else said
    if _OFFER.match(rest):
        return False
    figure = any(char.isdigit() for char in rest)
    if said.endswith(ASKS) and not (_TAG.search(said) and figure):
        return False
    if heading or said.endswith((":", "：")):
        return figure
    return figure or len(set(terms(rest))) >= FEWEST
