"""Conditions that a claim left out: "free from 150 EUR" is not "free".

A sign only where the claim says what the sentence says beside its condition, in its own words or
fewer, and nothing of the condition.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from antiphon.tools.retrieval.analysis import terms

LEFT = 0.34
"""Share of a condition's content words from which a claim speaks of it."""
HELD = 0.75
"""Share of a claim's content words that stand in the sentence outside of the condition."""
FEWEST = 2
"""Content words from which a claim says enough to be held against a condition."""
_STARTS = re.compile(
    r"\b(?:if|unless|provided(?: that)?|providing|as long as|except(?: for)?|excluding|apart from"
    r"|only|until|wenn|falls|sofern|außer|nur|solange|bis"
    r"|(?:from|over|above|below|under|up to|at least|within|ab|über|unter|bis zu)"
    r"(?=\s+(?:[^\w\s]\s?)?\d))\b",
    re.IGNORECASE,
)
_END = re.compile(r"[,;:.()!?–—]|\b(?:but|and|aber|und)\b")
_HEDGED = re.compile(
    r"\b(?:if|unless|when|where|provided|providing|as long as|except|only|until|certain|some"
    r"|conditions?|depends?|eligible|may|might|wenn|falls|sofern|nur|außer|sobald)\b",
    re.IGNORECASE,
)


def dropped(claim: str, sentence: str, *, language: str = "en") -> str:
    """Return the condition of the sentence that the claim says nothing of, or nothing."""
    if _HEDGED.search(claim):
        return ""
    said = set(terms(claim, language))
    if len(said) < FEWEST:
        return ""
    for start, end in _conditions(sentence):
        condition = set(terms(sentence[start:end], language))
        rest = set(terms(f"{sentence[:start]} {sentence[end:]}", language))
        if not condition or len(condition & said) >= LEFT * len(condition):
            continue
        if len(rest & said) >= HELD * len(said) and not condition <= rest:
            return sentence[start:end].strip()
    return ""


def _conditions(sentence: str) -> Iterator[tuple[int, int]]:
    for match in _STARTS.finditer(sentence):
        end = _END.search(sentence, match.end())
        yield match.start(), end.start() if end else len(sentence)
