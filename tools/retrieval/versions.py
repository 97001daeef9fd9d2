"""Which passages say the same, and which of them to believe: the fresher one."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

from antiphon.tools.retrieval.passages import Hit, Passage

Reason = Literal["repeated", "older", "beyond_limit"]

SAME_WORDS = 0.95
"""Word overlap (Jaccard) from which any two passages say the same."""
VERSION_WORDS = 0.75
"""The same where two sources of different dates use one title and heading: two versions."""
WORDS = re.compile(r"\w+")


@dataclass(frozen=True, slots=True, kw_only=True)
class Dropped:
    """A hit that was left out, and why."""

    hit: Hit
    reason: Reason
    kept: str = ""
    """Id of the passage that stands in its place; empty when none does."""


def distinct(
    hits: Sequence[Hit], *, keep_repeats: bool = False
) -> tuple[tuple[Hit, ...], tuple[Dropped, ...]]:
    """Return the hits without near-duplicates, and what was left out.

    Of each group the newest stays, in the place and with the score of the most relevant. With
    `keep_repeats` only what a newer text replaces is left out: two sources that say the same are
    both found, as either may be cited.
    """
    dates = {hit.passage.updated for hit in hits}
    if keep_repeats and len(dates) <= 1:
        return tuple(hits), ()
    kept: list[tuple[Hit, Counter[str]]] = []
    dropped: list[Dropped] = []
    for hit in hits:
        words = Counter(WORDS.findall(hit.passage.text.casefold()))
        twin = next(
            (
                at
                for at, (other, others) in enumerate(kept)
                if not (keep_repeats and hit.passage.updated == other.passage.updated)
                and _alike(hit, words, other, others)
            ),
            None,
        )
        if twin is None:
            kept.append((hit, words))
            continue
        other = kept[twin][0]
        if hit.passage.updated > other.passage.updated:
            kept[twin] = (replace(hit, score=other.score), words)
            dropped.append(Dropped(hit=other, reason="older", kept=hit.passage.id))
        else:
            older = hit.passage.updated < other.passage.updated
            reason: Reason = "older" if older else "repeated"
            dropped.append(Dropped(hit=hit, reason=reason, kept=other.passage.id))
    return tuple(hit for hit, _ in kept), tuple(dropped)


def _alike(hit: Hit, words: Counter[str], other: Hit, others: Counter[str]) -> bool:
    limit = VERSION_WORDS if _versions(hit.passage, other.passage) else SAME_WORDS
    few, many = sorted((words.total(), others.total()))
    # No overlap can exceed the ratio of the lengths, which spares nearly every comparison.
    return few >= limit * many and _overlap(words, others) >= limit


def _versions(one: Passage, other: Passage) -> bool:
    """Say whether two passages may be an old and a new version of one text: their dates tell."""
    named = (one.title, one.heading) == (other.title, other.heading) != ("", "")
    return named and one.source != other.source and one.updated != other.updated


def _overlap(one: Counter[str], other: Counter[str]) -> float:
    """Return the Jaccard similarity of two bags of words; texts without words are alike."""
    union = (one | other).total()
    return (one & other).total() / union if union else 1.0
