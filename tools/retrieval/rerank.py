"""A second look at the first passages: what may put them into a better order.

A reranker reads query and passage together, which is dearer than comparing their vectors, so it
sees few passages and works against the clock (search.py).
"""

from __future__ import annotations

import asyncio
import math
from collections import Counter
from collections.abc import Hashable, Sequence
from itertools import chain, pairwise
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from antiphon.tools.retrieval.analysis import beginnings
from antiphon.tools.retrieval.fusion import standardised
from antiphon.tools.retrieval.passages import Passage

K1 = 1.2
B = 0.75


class Reranker(Protocol):
    """Judges how well passages answer a query."""

    name: str
    weight: float
    """The share of its marks in the new order, 0..1; the search's own scores keep the rest."""

    async def marks(self, query: str, passages: Sequence[Passage]) -> Sequence[float]:
        """Return one mark per passage, higher is better, on any scale."""
        ...


class Wording:
    """Marks by two looks at the wording that the search's own keywords do not take.

    Pairs of neighbouring words match phrases, and the title says what a passage is about. Each is
    BM25 among the candidates alone, so that what all of them hold counts for little. No model, and
    a few milliseconds.
    """

    name = "wording"

    def __init__(self, *, weight: float = 0.25) -> None:
        """Leave most of the weight to the search: the looks tell its near-ties apart."""
        self.weight = weight

    async def marks(self, query: str, passages: Sequence[Passage]) -> Sequence[float]:
        """Return the sum of both looks' standardised scores of each passage."""
        return await asyncio.to_thread(wording_marks, query, passages)


WORDING = Wording()
"""The default reranker; it keeps nothing between calls."""


def wording_marks(query: str, passages: Sequence[Passage]) -> list[float]:
    """Return how like a query each passage is worded, compared with the others."""
    if not passages:
        return []
    asked = [beginnings(query, tag) for tag in sorted({p.language for p in passages})]
    titles = [beginnings(p.title, p.language) for p in passages]
    texts = [_pairs(beginnings(p.searchable, p.language)) for p in passages]
    marks = standardised(_bm25([_pairs(one) for one in asked], texts))
    marks += standardised(_bm25(asked, titles))
    return [float(mark) for mark in marks]


def _pairs(found: Sequence[str]) -> list[Hashable]:
    return list(pairwise(found))


def _bm25(
    asked: Sequence[Sequence[Hashable]], held: Sequence[Sequence[Hashable]]
) -> NDArray[np.float64]:
    """Return the BM25 of each list of terms, with rarity and length as among these lists."""
    wanted: Counter[Hashable] = Counter()
    for one in asked:
        wanted |= Counter(one)
    marks = np.zeros(len(held))
    counts = [Counter(filter(wanted.__contains__, found)) for found in held]
    lengths = np.array([max(len(found), 1) for found in held], dtype=np.float64)
    damping = K1 * (1 - B + B * lengths / lengths.mean())
    holders = Counter(chain.from_iterable(counts))
    for at, count in enumerate(counts):
        for term, times in count.items():
            rarity = math.log(1 + (len(held) - holders[term] + 0.5) / (holders[term] + 0.5))
            marks[at] += wanted[term] * rarity * times * (K1 + 1) / (times + damping[at])
    return marks
