"""Evaluators that tests name by dotted path."""

from __future__ import annotations

from antiphon.evals.sample import Sample, Score

asked: list[dict[str, str]] = []
"""What `openly` was given."""


class Brief:
    """Likes answers of at most so many words."""

    name = "whatever"

    def __init__(self, words: int) -> None:
        self.words = words

    async def evaluate(self, sample: Sample) -> Score:
        """Return 1 for a brief answer, else 0."""
        return Score(value=float(len(sample.answer.split()) <= self.words))


def brief(*, words: int = 10) -> Brief:
    """Make an evaluator."""
    return Brief(words)


def openly() -> object:
    """Make an evaluator in the shape of openevals."""

    def judged(*, outputs: str, context: str) -> dict[str, object]:
        asked.append({"outputs": outputs, "context": context})
        return {"key": "openly", "score": outputs in context, "comment": "as it says"}

    return judged


def far() -> object:
    """Make an evaluator whose mark is none."""
    return lambda *, outputs: {"score": len(outputs)}


def nothing() -> object:
    """Make none."""
    return 7
