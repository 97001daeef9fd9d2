"""Conditions that a claim left out: "free from 150 EUR" is not "free".

A sign only where the claim says what the sentence says beside its condition, in its own words or
fewer, and nothing of the condition.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from antiphon.tools.retrieval.analysis import terms

LEFT = 0.34
"""Share of a condition's content words from which a claim speaks of it."""
HELD = 0.75
"""Share of a claim's content words that stand in the sentence outside of the condition."""
LONGEST = 2000
"""Characters of a sentence that is looked through."""
FEWEST = 2
"""Content words from which a claim says enough to be held against a condition."""
_AMOUNT = (
    r"(?=\s+(?:[^\w\s]\s?)?\d+(?:[.,]\d+)*(?!\d)(?!\s*[–-])(?!\s+(?:to|and|until|bis)\b)"
    r"(?!(?-i:\s+[A-Z][a-z]))(?<![12]\d{3}))"
)
"""A figure that is neither of a date nor the beginning of a range."""
_EXCEPTS = re.compile(
    r"\b(?:unless|except(?: for)?|excluding|apart from|only(?= (?:if|when|for|in|on|with|to|after"
    r"|during)\b)|es sei denn|außer|nur(?= (?:wenn|für|in|bei|mit|nach|am|an)\b)"
    rf"|(?:from|over|above|below|under|at least|ab|über|unter|mindestens){_AMOUNT})\b",
    re.IGNORECASE,
)
"""What holds for some only, and not for the others."""
_REQUIRES = re.compile(
    r"(?<!even )(?<!as )\b(?:if|provided(?: that)?|as long as|wenn|falls|sofern|solange"
    rf"|(?:within|up to|innerhalb|bis zu){_AMOUNT})\b",
    re.IGNORECASE,
)
_END = re.compile(r"[,;:.()!?–—]|\b(?:but|and|aber|und)\b")
_HEDGED = re.compile(
    r"\b(?:if|unless|provided|as long as|except|only|conditions?|depends?|depending|eligible|wenn"
    r"|falls|sofern|nur|außer|bedingung\w*)\b",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Dropped:
    """A condition that a claim left out."""

    condition: str
    """As the sentence has it."""
    strict: bool
    """Whether the sentence says that it does not hold otherwise."""


def dropped(claim: str, sentence: str, *, beside: str = "", language: str = "en") -> Dropped | None:
    """Return the condition of a sentence that a claim says nothing of.

    `beside`: what else the same answer says: a condition may stand in its next sentence.
    """
    if len(sentence) > LONGEST or _HEDGED.search(claim):
        return None
    said = set(terms(claim, language))
    if len(said) < FEWEST:
        return None
    answer = said.union(terms(beside, language))
    for start, end, strict in _conditions(sentence):
        condition = set(terms(sentence[start:end], language))
        rest = set(terms(f"{sentence[:start]} {sentence[end:]}", language))
        if not condition or len(condition & answer) >= LEFT * len(condition):
            continue
        if len(rest & said) >= HELD * len(said) and not condition <= rest:
            return Dropped(sentence[start:end].strip(), strict)
    return None


def _conditions(sentence: str) -> Iterator[tuple[int, int, bool]]:
    for pattern, strict in ((_EXCEPTS, True), (_REQUIRES, False)):
        for match in pattern.finditer(sentence):
            end = _END.search(sentence, match.end())
            yield match.start(), end.start() if end else len(sentence), strict
