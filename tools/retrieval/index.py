"""A tenant's passages in memory, as the SQLite backend searches them: vectors, terms, facets."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

from antiphon.tools.retrieval.passages import Where
from antiphon.tools.retrieval.postings import Postings
from antiphon.tools.retrieval.visibility import days, is_dated, is_open, is_spoken, is_within

Vectors = NDArray[np.float32]
Scores = NDArray[np.float32] | NDArray[np.float64]
Mask = NDArray[np.bool_]
Rows = NDArray[np.intp]
Value = TypeVar("Value", str, tuple[str, ...])


class Column(Generic[Value]):
    """One field of all passages, its distinct values kept once."""

    def __init__(self, values: Iterable[Value]) -> None:
        codes: dict[Value, int] = {}
        each = [codes.setdefault(value, len(codes)) for value in values]
        self.values: tuple[Value, ...] = tuple(codes)
        self._codes = np.array(each, dtype=np.int32)

    def holds(self, test: Callable[[Value], bool]) -> Mask:
        """Return for each passage whether its value passes."""
        passed = np.fromiter(map(test, self.values), np.bool_, len(self.values))
        return passed[self._codes]


@dataclass(frozen=True, slots=True, kw_only=True)
class Index:
    """What one version of a tenant's knowledge is searched by; rows are in one order throughout."""

    version: str
    """Moves with the passages and with their vectors."""
    ids: tuple[str, ...]
    vectors: Vectors
    postings: Postings
    sources: Column[str]
    languages: Column[str]
    updated: Column[str]
    labels: Column[tuple[str, ...]]

    def visible(self, where: Where) -> Rows:
        """Return the rows that may be seen."""
        mask = self.labels.holds(lambda labels: is_open(labels, where.labels))
        if where.sources:
            mask &= self.sources.holds(lambda source: is_within(source, where.sources))
        if where.languages:
            mask &= self.languages.holds(lambda tag: is_spoken(tag, where.languages))
        between = days(where)
        if between is not None:
            mask &= self.updated.holds(lambda date: is_dated(date, between))
        return np.flatnonzero(mask)


def best(rows: Rows, scores: Scores, depth: int) -> dict[int, float]:
    """Pick the rows of the highest scores, best first, ties in the order of the rows."""
    if len(rows) > depth:
        top = np.argpartition(-scores, depth - 1)[:depth]
        rows, scores = rows[top], scores[top]
    order = np.lexsort((rows, -scores))
    return dict(zip(rows[order].tolist(), scores[order].tolist(), strict=True))


def ranks(leg: Iterable[int]) -> dict[int, int]:
    """Return the place of each row of an ordered leg, from 1."""
    return {row: rank for rank, row in enumerate(leg, start=1)}
