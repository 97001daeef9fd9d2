"""What three of the metrics ask of an answer, found out once: how it reads, what its claims are."""

from __future__ import annotations

import asyncio
import operator
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from antiphon.evals.reading import ALIKE, UNLIKE, Comparer, Reading, graded, plain
from antiphon.evals.sample import Sample
from antiphon.tools.claims import Judgement, Verdict, Verifier, claims_of
from antiphon.tools.retrieval import Embedder
from antiphon.tools.retrieval.language import detect
from antiphon.tools.retrieval.sentences import sentences

Found = TypeVar("Found")

WORTH: dict[Verdict, float] = {"supported": 1.0, "unverified": 0.95, "unsure": 0.9}
"""What a verdict is worth as support; of the others how likely the verifier finds it."""
DOUBT, SURE = 0.35, 0.9
"""Chances of a contradiction that count as none and as one."""
KEPT = 64
"""Answers whose findings are remembered: the metrics of one ask for them at the same time."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """One claim of an answer: how far it is borne out and denied, by evidence or reference."""

    text: str
    support: float
    contradiction: float
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Findings:
    """What an answer claims."""

    claims: tuple[Claim, ...]
    missed: tuple[Claim, ...]
    """The reference's claims, held against the answer."""

    @property
    def support(self) -> float:
        """How far its claims are borne out; what claims nothing rests on nothing."""
        return sum(one.support for one in self.claims) / (len(self.claims) or 1)

    @property
    def denied(self) -> tuple[float, str]:
        """How surely something it says is denied, and why."""
        marks = [(one.contradiction, one.reason) for one in (*self.claims, *self.missed)]
        return max(marks, default=(0.0, ""))


class Examiner:
    """Reads an answer and has its claims judged, each once however many metrics ask."""

    def __init__(self, embedder: Embedder, verifier: Verifier, *, reads: str = "en") -> None:
        """`reads`: the language of the embedder, `*` for all."""
        self._embedder = embedder
        self._verifier = verifier
        self._comparer = Comparer(embedder, reads=reads)
        self._readings: _Once[Reading] = _Once(self._read)
        self._findings: _Once[Findings] = _Once(self._find)

    async def reading(self, sample: Sample) -> Reading:
        """Return how the answer reads beside question and reference."""
        return await self._readings.of(sample)

    async def findings(self, sample: Sample) -> Findings:
        """Return what the answer's claims come to."""
        return await self._findings.of(sample)

    async def _read(self, sample: Sample) -> Reading:
        return await self._comparer.read(
            sample.answer,
            question=sample.question,
            reference=sample.reference,
            evidence=sample.evidence,
        )

    async def _find(self, sample: Sample) -> Findings:
        answer = plain(sample.answer)
        claims = claims_in(answer)
        evidence = [plain(text) for text in sample.evidence]
        reference = [plain(sample.reference)] if claims_of(sample.reference) else []
        language = detect(answer, otherwise="en")
        grounds = await self._judged(claims, evidence, language)
        wanted = await self._judged(claims, reference, language)
        back: Sequence[Judgement] = ()
        if reference and answer.strip():
            back = await self._judged(claims_in(reference[0]), [answer], "en")
        near = await self._near(claims, reference)
        return Findings(
            claims=tuple(
                _claim(text, *both, alike)
                for text, both, alike in zip(
                    claims, zip(grounds, wanted, strict=True), near, strict=True
                )
            ),
            missed=tuple(
                Claim(
                    text=one.claim,
                    support=_worth(one),
                    contradiction=graded(one.contradicted, DOUBT, SURE),
                    reason=_why(one),
                )
                for one in back
                if one is not None
            ),
        )

    async def _judged(
        self, claims: Sequence[str], texts: Sequence[str], language: str
    ) -> Sequence[Judgement | None]:
        if not texts or not claims:
            return [None] * len(claims)
        return await self._verifier.judge(claims, texts, language=language)

    async def _near(self, claims: Sequence[str], reference: Sequence[str]) -> Sequence[float]:
        """Return how near each claim's meaning is to the nearest sentence of the reference."""
        parts = [text[slice(*span)] for text in reference for span in sentences(text)]
        if not parts or not claims:
            return [0.0] * len(claims)
        vectors = await self._embedder.embed([*claims, *parts, *reference])
        mine, theirs = vectors[: len(claims)], vectors[len(claims) :]
        return [
            graded(max(sum(map(operator.mul, one, each)) for each in theirs), UNLIKE, ALIKE)
            for one in mine
        ]


def claims_in(text: str) -> list[str]:
    """Return what a text claims; where that is nothing, its sentences that do not ask."""
    found = [text[slice(*span)] for span in claims_of(text)]
    every = (text[slice(*span)] for span in sentences(text))
    return found or [one for one in every if not one.endswith("?")]


def _claim(text: str, grounds: Judgement | None, wanted: Judgement | None, alike: float) -> Claim:
    known = [one for one in (grounds, wanted) if one is not None]
    support = max((_worth(one) for one in known), default=0.0)
    # What says the same as the reference in other words is borne out by it.
    if wanted is not None and wanted.verdict != "contradicted":
        support = max(support, alike)
    denials = []
    if wanted is not None:
        denials.append((graded(wanted.contradicted, DOUBT, SURE), _why(wanted)))
    if grounds is not None:
        excused = _worth(wanted) if wanted is not None else 0.0
        denials.append((graded(grounds.contradicted, DOUBT, SURE) * (1 - excused), _why(grounds)))
    contradiction, reason = max(denials, default=(0.0, ""))
    return Claim(text=text, support=support, contradiction=contradiction, reason=reason)


def _worth(one: Judgement) -> float:
    if one.verdict == "contradicted":
        return 0.0
    return max(WORTH.get(one.verdict, 0.0), one.supported)


def _why(one: Judgement) -> str:
    return f"{one.claim!r}: {one.reason}"


class _Once(Generic[Found]):
    """Finds out about a sample once, however many ask at the same time."""

    def __init__(self, find: Callable[[Sample], Awaitable[Found]]) -> None:
        self._find = find
        self._known: OrderedDict[tuple[object, ...], asyncio.Future[Found]] = OrderedDict()

    async def of(self, sample: Sample) -> Found:
        key = (
            sample.question, sample.answer, sample.reference, sample.evidence,
            asyncio.get_running_loop(),
        )  # fmt: skip
        if key not in self._known:
            self._known[key] = asyncio.ensure_future(self._find(sample))
            while len(self._known) > KEPT:
                self._known.popitem(last=False)
        return await asyncio.shield(self._known[key])
