"""Two runs over the same examples: what fell, by how much, and whether that can be chance.

Chance is asked of the runs themselves: were they of the same assistant, any of an example's scores
might as well have come from the other run. So the scores of each example are dealt to the two runs
anew, thousands of times, and a fall counts that hardly ever comes about this way. That is exact for
bounded, lumpy scores and for small slices, where an interval alone is too sure of itself.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

from antiphon.evals.intervals import paired_interval

if TYPE_CHECKING:
    from numpy.typing import NDArray

THRESHOLD = 0.05
"""The guide's five percent."""
CHANCE = 0.0025
"""How often the mean may seem to fall by chance alone, and as often all other figures together."""
SMALLEST = 3
"""Examples that make a slice; fewer are looked at one by one."""
ROUNDS = 8000
AT_ONCE = 500
"""Rounds dealt together: bounds the memory that many examples take."""
ROUNDING = 1e-9
"""A drop of exactly the threshold, written in binary fractions, is none."""
OVERALL = "overall"

Verdict = Literal["fell", "unproven", "held"]
"""`unproven`: beyond the threshold, but it may be chance, or the doing of one example."""
Scores = Mapping[str, float]
"""One answer's marks by name, the overall score among them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """One example in both runs, each time it was asked."""

    before: Sequence[Scores]
    now: Sequence[Scores]
    slices: tuple[str, ...] = ()
    """Groups it belongs to."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """One figure in both runs: a metric's mean, or the overall score of a slice."""

    of: str
    examples: int
    previous: float
    current: float
    difference: float
    low: float
    high: float
    """The difference is between these in 95 of 100 such sets of examples."""
    chance: float
    """How often a fall like this comes about where nothing changed, all that is looked at counted;
    0 where nothing varies."""
    verdict: Verdict


def compare(
    pairs: Sequence[Pair],
    *,
    threshold: float = THRESHOLD,
    varies: bool = True,
    rounds: int = ROUNDS,
    seed: int = 1,
) -> tuple[Comparison, ...]:
    """Hold the overall mean, each metric and each slice of one run against those of another.

    A figure fell when its interval lies below 0 and reaches beyond the threshold, and chance is
    ruled out. Figures that share examples are judged together, so that looking at many slices finds
    no more than looking at one (Westfall, Young 1993).

    In a setup that does not vary there is no chance, and the drop itself must be beyond the
    threshold: the overall mean is then what it is, and the interval only tells a slice that fell
    from one example of it that did.
    """
    table = _Table.of(pairs)
    chances = table.chances(rounds, seed) if varies else [0.0] * len(table.names)
    return tuple(
        _compared(name, *table.means(place), chance, threshold, varies=varies, rounds=rounds)
        for place, (name, chance) in enumerate(zip(table.names, chances, strict=True))
    )


def _compared(
    name: str,
    before: Sequence[float],
    now: Sequence[float],
    chance: float,
    threshold: float,
    *,
    varies: bool,
    rounds: int,
) -> Comparison:
    interval = paired_interval(now, before, rounds=rounds)
    drop = -interval.mean
    reached = -interval.low if varies else drop
    broad = interval.high < -ROUNDING or (name == OVERALL and not varies)
    verdict: Verdict = "held"
    if reached > threshold + ROUNDING and broad and chance <= CHANCE:
        verdict = "fell"
    elif drop > threshold + ROUNDING:
        verdict = "unproven"
    return Comparison(
        of=name,
        examples=len(now),
        previous=round(float(np.mean(before)), 4),
        current=round(float(np.mean(now)), 4),
        difference=round(interval.mean, 4),
        low=round(interval.low, 4),
        high=round(interval.high, 4),
        chance=round(chance, 5),
        verdict=verdict,
    )


@dataclass(frozen=True, slots=True)
class _Table:
    """All scores as one array of answers: those of an example stand together, the baseline's first.

    A figure is a column: each answer's score where its example takes part in the figure, else none.
    """

    names: list[str]
    scores: NDArray[np.float64]
    """examples, answers, figures; 0 where there is none."""
    takes_part: NDArray[np.bool_]
    """examples, figures."""
    asked: NDArray[np.int64]
    """examples, 2: how many of the answers are the baseline's, and how many the present run's."""

    @classmethod
    def of(cls, pairs: Sequence[Pair]) -> _Table:
        """Lay out the pairs; a mark that one of the two runs could not give is 0 there."""
        metrics = list(dict.fromkeys(name for pair in pairs for row in pair.before for name in row))
        slices = sorted({name for pair in pairs for name in pair.slices})
        sizes = {name: sum(name in pair.slices for pair in pairs) for name in slices}
        slices = [name for name in slices if SMALLEST <= sizes[name] < len(pairs)]
        asked = np.array([(len(pair.before), len(pair.now)) for pair in pairs])
        figures = [*metrics, *slices]
        scores = np.zeros((len(pairs), int(asked.sum(axis=1).max()), len(figures)))
        takes_part = np.zeros((len(pairs), len(figures)), dtype=np.bool_)
        for place, pair in enumerate(pairs):
            rows = (*pair.before, *pair.now)
            for column, name in enumerate(metrics):
                takes_part[place, column] = any(name in row for row in rows)
                scores[place, : len(rows), column] = [row.get(name, 0.0) for row in rows]
            for column, name in enumerate(slices, start=len(metrics)):
                if name in pair.slices:
                    takes_part[place, column] = True
                    scores[place, : len(rows), column] = [row[OVERALL] for row in rows]
        return cls(figures, scores, takes_part, asked)

    def means(self, column: int) -> tuple[list[float], list[float]]:
        """Return each example's mean before and now, of those that take part."""
        rows = self.scores[:, :, column]
        place = np.arange(rows.shape[1])
        first, both = self.asked[:, :1], self.asked.sum(axis=1, keepdims=True)
        before = np.where(place < first, rows, 0.0).sum(axis=1) / self.asked[:, 0]
        now = np.where((place >= first) & (place < both), rows, 0.0).sum(axis=1) / self.asked[:, 1]
        part = self.takes_part[:, column]
        return before[part].tolist(), now[part].tolist()

    def chances(self, rounds: int, seed: int) -> list[float]:
        """Return per figure how often dealing the answers anew makes it fall as far.

        The overall mean, the first, is judged alone; each other against the worst of them all.
        """
        random = np.random.default_rng(seed)
        examples, answers, figures = self.scores.shape
        shares = self.scores / np.maximum(self.takes_part.sum(axis=0), 1)
        flat = shares.reshape(examples * answers, figures)
        place = np.broadcast_to(np.arange(answers), (1, examples, answers))
        found = (self._dealt(place) @ flat)[0]
        dealt = np.concatenate(
            [
                self._dealt(self._shuffled(random, min(AT_ONCE, rounds - start))) @ flat
                for start in range(0, rounds, AT_ONCE)
            ]
        )
        spread = dealt.std(axis=0)
        unit = np.where(spread > ROUNDING, spread, 1.0)
        found, dealt = found / unit, dealt / unit
        worst = dealt[:, 1:].min(axis=1) if figures > 1 else dealt[:, 0]
        return [
            float(1 + (against <= found[column] + ROUNDING).sum()) / (rounds + 1)
            for column, against in enumerate([dealt[:, 0], *[worst] * (figures - 1)])
        ]

    def _shuffled(self, random: np.random.Generator, rounds: int) -> NDArray[np.int64]:
        """Return each answer's new place among those of its example."""
        examples, answers, _ = self.scores.shape
        keys = random.random((rounds, examples, answers))
        keys += np.arange(answers) >= self.asked.sum(axis=1)[:, None]  # none stays behind all
        return keys.argsort(axis=2)

    def _dealt(self, place: NDArray[np.int64]) -> NDArray[np.float64]:
        """Return each answer's share in the difference when it stands at that place."""
        before, now = self.asked[:, :1], self.asked[:, 1:]
        share = np.where(place < before, -1.0 / before, 1.0 / now)
        share = np.where(place < before + now, share, 0.0)
        return share.reshape(len(place), -1)
