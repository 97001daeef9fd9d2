"""What people think of answers, and how far an evaluator agrees with them.

Ratings are lines of {"messages": [{"role", "content"}], "passages": [text], "answer", "human":
{rating: number} (, "reference", "task", "system", "peer_scores": {metric: number})}.
"""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import numpy as np
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, FiniteFloat, ValidationError

from antiphon.evals.golden import Expected
from antiphon.evals.sample import Sample
from antiphon.tools.errors import InputError

ROUNDS = 2000
"""Of the bootstrap."""
HINT = 'Each line is {"messages", "passages", "answer", "human": {rating: number}, ...}.'


class _Message(BaseModel):
    role: str
    content: str


class Rated(BaseModel):
    """One answer, what it was given from, and how people rate it."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    messages: tuple[_Message, ...] = Field(min_length=1)
    passages: tuple[str, ...]
    answer: str
    human: dict[str, FiniteFloat]
    reference: str = ""
    task: str = ""
    """Answers to one and the same question have one."""
    system: str = ""
    peer_scores: Annotated[
        dict[str, FiniteFloat],
        BeforeValidator(lambda given: {n: x for n, x in (given or {}).items() if x is not None}),
    ] = {}
    """What other metrics say of it."""

    def sample(self, *, reference: bool = False) -> Sample:
        """Return what an evaluator sees: an answer to the last message, with or without a model."""
        return Sample(
            question=self.messages[-1].content,
            answer=self.answer,
            outcome="answered",
            expected=Expected(outcome=("answered",)),
            reference=self.reference if reference else "",
            evidence=self.passages,
        )


def load_ratings(path: Path) -> tuple[Rated, ...]:
    """Read a file of ratings. Raises InputError with the line that is none."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{str(path)!r} cannot be read: {error}", hint=HINT) from error
    found = []
    for number, line in enumerate(text.split("\n"), start=1):
        if not line.strip():
            continue
        try:
            found.append(Rated.model_validate(json.loads(line)))
        except (ValueError, RecursionError) as error:
            what = error.errors()[0] if isinstance(error, ValidationError) else None
            said = f"{'.'.join(map(str, what['loc']))}: {what['msg']}" if what else "not JSON"
            raise InputError(f"{path.name}:{number}: no rated answer: {said}", hint=HINT) from error
    if not found:
        raise InputError(f"{str(path)!r} holds no rated answers", hint=HINT)
    return tuple(found)


@dataclass(frozen=True, slots=True, kw_only=True)
class Agreement:
    """How far marks agree with people's ratings."""

    rows: int
    spearman: float
    """Of the ranks; 0 where one side never differs."""
    low: float
    high: float
    """Of the Spearman, 95 %: questions are drawn anew, with all answers to one."""
    kappa: float
    """Cohen's, weighted by squares, on the ratings' own scale of whole numbers."""


def agreement(
    marks: Sequence[float],
    ratings: Sequence[float],
    *,
    groups: Sequence[str] = (),
    seed: int = 1,
) -> Agreement:
    """Compare marks from 0 to 1 with ratings of any scale, row by row.

    Raises:
        ValueError: there are no rows, or not the same number on both sides.
    """
    if not marks or len(marks) != len(ratings):
        raise ValueError(f"{len(marks)} marks and {len(ratings)} ratings cannot be compared")
    low, high = _interval(marks, ratings, groups or [str(n) for n in range(len(marks))], seed)
    return Agreement(
        rows=len(marks),
        spearman=spearman(marks, ratings),
        low=low,
        high=high,
        kappa=_on_scale(marks, ratings),
    )


def spearman(one: Sequence[float], other: Sequence[float]) -> float:
    """Return the correlation of two sides' ranks, ties sharing theirs; 0 without any variance."""
    left, right = _ranks(one), _ranks(other)
    left, right = left - left.mean(), right - right.mean()
    spread = math.sqrt(float(left @ left) * float(right @ right))
    return float(left @ right) / spread if spread else 0.0


def kappa(
    one: Sequence[int], other: Sequence[int], distance: Callable[[int, int], float] | None = None
) -> float:
    """Return Cohen's kappa: agreement beyond chance; by `distance`, else any two labels differ.

    1 where all agree, also by chance.
    """
    far = distance or (lambda a, b: float(a != b))
    observed = sum(far(a, b) for a, b in zip(one, other, strict=True)) / len(one)
    mine, theirs = Counter(one), Counter(other)
    pairs = sum(n * m * far(a, b) for a, n in mine.items() for b, m in theirs.items())
    by_chance = pairs / len(one) ** 2
    return 1 - observed / by_chance if by_chance else 1.0


def _on_scale(marks: Sequence[float], ratings: Sequence[float]) -> float:
    """Return the quadratic-weighted kappa of whole numbers, marks stretched over the scale."""
    low, high = math.floor(min(ratings)), math.ceil(max(ratings))
    said = [round(low + (high - low) * min(1.0, max(0.0, mark))) for mark in marks]
    return kappa(said, [round(rating) for rating in ratings], lambda a, b: float((a - b) ** 2))


def _ranks(values: Sequence[float]) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    _, place, count = np.unique(np.asarray(values), return_inverse=True, return_counts=True)
    last = np.cumsum(count)
    ranks: np.ndarray[tuple[int], np.dtype[np.float64]] = (last - (count - 1) / 2.0)[place]
    return ranks


def _interval(
    marks: Sequence[float], ratings: Sequence[float], groups: Sequence[str], seed: int
) -> tuple[float, float]:
    rows: dict[str, list[int]] = {}
    for row, group in enumerate(groups):
        rows.setdefault(group, []).append(row)
    held, random = list(rows.values()), np.random.default_rng(seed)
    ours, theirs = np.asarray(marks, dtype=float), np.asarray(ratings, dtype=float)
    found = []
    for _ in range(ROUNDS):
        drawn = [row for at in random.integers(0, len(held), len(held)) for row in held[at]]
        found.append(spearman(ours[drawn].tolist(), theirs[drawn].tolist()))
    low, high = np.quantile(found, [0.025, 0.975])
    return float(low), float(high)


def rating_named(rows: Sequence[Rated], name: str) -> Mapping[int, float]:
    """Return the rating of that name by row, of the rows that have it. Raises InputError."""
    found = {place: row.human[name] for place, row in enumerate(rows) if name in row.human}
    if not found:
        known = sorted({each for row in rows for each in row.human})
        raise InputError(f"nobody rated {name!r}", hint=f"Rated: {', '.join(known) or 'nothing'}.")
    return found
