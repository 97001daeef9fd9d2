"""How far an answer rests on its evidence alone, as people rate it: offline, whatever the question.

People go by how much of an answer stands in the passages, in whatever order and mostly in their
words. So does this: it asks of each two neighbouring words that carry meaning whether the evidence
has them near each other. That they are near, and not only there, is what tells a passage put in
other words from its words put to other use. What the verifier calls contradicted counts half, and
what says that something is not known claims nothing.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from antiphon.evals.sample import Sample, Score
from antiphon.tools.claims import Judgement, Verifier
from antiphon.tools.retrieval.analysis import primary, terms
from antiphon.tools.retrieval.citations import MARKERS, units
from antiphon.tools.retrieval.language import detect

NEAR = 12
"""Words of the evidence within which two words are near each other, stop words aside."""
EXPECTED, CAUTION = 0.4, 25
"""The share that is expected of any answer, and the pairs of words that this belief is worth: a
short answer shows little, whichever way."""
DOUBT, SURE = 0.6, 0.9
"""Chances of a contradiction that count as none and as one."""
DENIED = 0.5
"""What is left of a sentence that is contradicted: a wrong figure spoils it, the rest stands."""
LOW = 0.35
"""Share below which a sentence is named as one that does not rest on the evidence."""
MOST_REASONS, LONGEST_REASON = 3, 120
_UNKNOWN = re.compile(
    r"\b(?:(?:do|does|did|is|are|was)(?: ?not|n['’]t)|unfortunately|sorry|cannot|can['’]t|unable"
    r"|no)\b[^.!?]{0,60}?\b(?:information|details?|data|mention\w*|specif\w+|provide|know(?:ledge)?"
    r"|answer|discuss|address|include|contain|documents?|find)\b"
    r"|\b(?:keine|nicht)\b[^.!?]{0,60}?\b(?:Informationen|Angaben|bekannt|erwähnt|enthalten)\b",
    re.IGNORECASE,
)
_FIGURE = re.compile(r"\d{2}")


@dataclass(frozen=True, slots=True)
class _Part:
    """A sentence of an answer: the pairs of words that it has, and that the evidence has."""

    text: str
    pairs: int
    found: float


class Faithfulness:
    """Whether the evidence says what the answer says; whether that is an answer is not asked."""

    name = "faithfulness"

    def __init__(self, verifier: Verifier) -> None:
        """`verifier` tells what the evidence contradicts, and reads what is in another language."""
        self._verifier = verifier

    async def evaluate(self, sample: Sample) -> Score:
        """Return how much of the answer rests on the evidence, and the sentences that do not."""
        if not sample.claims:
            return Score(value=1.0)
        answer = MARKERS.sub("", sample.answer)
        said = [text for span in units(answer) if not unknown(text := answer[slice(*span)])]
        parts = await self._parts(said, sample.evidence, detect(answer, otherwise="en"))
        pairs = sum(part.pairs for part in parts)
        found = sum(part.found for part in parts)
        value = (found + EXPECTED * CAUTION) / (pairs + CAUTION)
        return Score(value=value, reasons=tuple(_reasons(parts)))

    async def _parts(
        self, said: Sequence[str], evidence: Sequence[str], language: str
    ) -> list[_Part]:
        judged: Sequence[Judgement | None] = [None] * len(said)
        if said and evidence:
            judged = await self._verifier.judge(said, evidence, language=language)
        theirs = detect(" ".join(evidence), otherwise=language)
        foreign = primary(theirs) != primary(language)
        near = [] if foreign else [_places(terms(text, language)) for text in evidence]
        parts = []
        for text, one in zip(said, judged, strict=True):
            mine = terms(text, language)
            pairs = list(pairwise(mine))
            found = float(sum(any(_has(there, pair) for there in near) for pair in pairs))
            if one is not None:
                found = len(pairs) * one.supported if foreign else found
                denied = min(1.0, max(0.0, (one.contradicted - DOUBT) / (SURE - DOUBT)))
                found *= 1 - (1 - DENIED) * denied
            parts.append(_Part(text, len(pairs), found))
        return parts


def unknown(sentence: str) -> bool:
    """Tell whether a sentence only says that something is not known: one with a figure does not."""
    return _UNKNOWN.search(sentence) is not None and not _FIGURE.search(sentence)


def _places(words: Sequence[str]) -> Mapping[str, set[int]]:
    """Return where each word stands."""
    places: dict[str, set[int]] = {}
    for place, word in enumerate(words):
        places.setdefault(word, set()).add(place)
    return places


def _has(there: Mapping[str, set[int]], pair: tuple[str, str]) -> bool:
    """Tell whether two words stand near each other, in either order."""
    one, other = (there.get(word, set()) for word in pair)
    return any(at + far in other for at in one for far in range(-NEAR, NEAR + 1) if far)


def _reasons(parts: Sequence[_Part]) -> list[str]:
    if not any(part.pairs for part in parts):
        return ["claims nothing"]
    low = sorted(
        (part for part in parts if part.pairs and part.found < LOW * part.pairs),
        key=lambda part: part.found - part.pairs,
    )
    return [
        f"{part.found / part.pairs:.0%} of it is in the evidence: {part.text[:LONGEST_REASON]!r}"
        for part in low[:MOST_REASONS]
    ]
