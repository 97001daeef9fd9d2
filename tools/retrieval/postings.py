"""The keyword leg in memory: BM25 over packed postings.

SQLite's own full-text search takes tens of milliseconds for a short question over 20,000 passages
and a second for a long one. Here a question costs one addition per posting of its terms, and what
the caller may not see is left out before anything is ranked.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from hashlib import blake2b

import numpy as np
from numpy.typing import NDArray

K1 = 1.2
B = 0.75
POSTING = np.dtype([("term", "<u4"), ("count", "<u2")])


def pack(terms: Iterable[str]) -> bytes:
    """Return a passage's terms as bytes: a hash of each and how often it stands there."""
    counts = Counter(terms)
    packed = np.array(
        [(_key(term), min(count, 65535)) for term, count in counts.items()], dtype=POSTING
    )
    return packed.tobytes()


class Postings:
    """Which passages hold a term, and what each is worth there."""

    def __init__(self, packed: Sequence[bytes]) -> None:
        """Turn passages with terms into terms with passages; positions follow the order given."""
        flat = np.frombuffer(b"".join(packed), dtype=POSTING)
        sizes = np.fromiter((len(one) // POSTING.itemsize for one in packed), np.int64, len(packed))
        rows = np.repeat(np.arange(len(packed), dtype=np.int32), sizes)
        counts = flat["count"].astype(np.float32)
        lengths = np.bincount(rows, weights=counts, minlength=len(packed)).astype(np.float32)
        mean = max(float(lengths.mean()), 1.0) if len(packed) else 1.0
        damping = (K1 * (1 - B + B * lengths / mean)).astype(np.float32)
        order = np.argsort(flat["term"], kind="stable")
        self._rows: NDArray[np.int32] = rows[order]
        self._worth: NDArray[np.float32] = (counts * (K1 + 1) / (counts + damping[rows]))[order]
        ordered = np.ascontiguousarray(flat["term"][order])
        starts = np.flatnonzero(np.diff(ordered, prepend=np.uint32(0)) != 0)
        if len(ordered) and ordered[0] == 0:
            starts = np.concatenate(([0], starts))
        self._terms: NDArray[np.uint32] = ordered[starts]
        self._bounds = np.append(starts, len(ordered))
        self._passages = len(packed)

    def scores(self, terms: Iterable[str]) -> NDArray[np.float32]:
        """Return each passage's BM25 for these terms; one said twice counts twice."""
        total = np.zeros(self._passages, dtype=np.float32)
        for term, times in Counter(terms).items():
            key = _key(term)
            at = int(np.searchsorted(self._terms, np.uint32(key)))
            if at < len(self._terms) and self._terms[at] == key:
                start, end = int(self._bounds[at]), int(self._bounds[at + 1])
                weight = np.float32(times * self._rarity(end - start))
                total[self._rows[start:end]] += weight * self._worth[start:end]
        return total

    def _rarity(self, holders: int) -> float:
        return math.log(1 + (self._passages - holders + 0.5) / (holders + 0.5))


def _key(term: str) -> int:
    return int.from_bytes(blake2b(term.encode(), digest_size=4).digest(), "little")
