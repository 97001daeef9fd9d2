"""How much of a claim a text speaks of, word piece by word piece, in whatever words.

Each piece of the claim takes the piece of the text that it is most like; the mean of these
likenesses is the coverage (the recall of BERTScore, Zhang et al. 2020, with one model's last
layer). It says nothing about whether the text agrees.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Pieces = tuple[tuple[str, ...], NDArray[np.float32]]
    """The word pieces of a text and a unit vector for each."""

_LIGHT = frozenset(
    re.findall(
        r"\S+",
        """
        the a an of to in on at is are was were be been and or for with by as it its this that
        these those from . , ; : ! ? ' " ( ) - s [ ]
        """,
    )
)
"""Pieces that say nothing of what is spoken about."""


@dataclass(frozen=True, slots=True)
class Alignment:
    """How a claim is covered, 0..1."""

    each: tuple[float, ...]
    """By each of the texts alone."""
    together: float
    """By all of them, each piece by the text that has it best."""


class Aligner(Protocol):
    """Aligns claims with texts."""

    async def align(self, cases: Sequence[tuple[str, Sequence[str]]]) -> list[Alignment]:
        """Return for each claim how the texts beside it cover it."""
        ...


def aligned(claim: Pieces, texts: Sequence[Pieces]) -> Alignment:
    """Return how texts cover a claim."""
    import numpy as np

    pieces, vectors = claim
    if not pieces or not texts:
        return Alignment(tuple(0.0 for _ in texts), 0.0)
    weights = np.array([piece not in _LIGHT for piece in pieces], dtype=np.float32)
    if not weights.any():
        weights[:] = 1.0
    weights /= weights.sum()
    best = [
        (vectors @ theirs.T).max(axis=1) if len(theirs) else np.zeros(len(pieces), np.float32)
        for _, theirs in texts
    ]
    return Alignment(
        each=tuple(float(one @ weights) for one in best),
        together=float(np.max(best, axis=0) @ weights),
    )
