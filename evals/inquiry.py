"""What three of the metrics ask of an answer, found out once: how it reads, what its claims are."""

from __future__ import annotations

import asyncio
import hashlib
import sys
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, TypeVar

from antiphon.evals.figures import Figure
from antiphon.evals.reading import OPENLY, Comparer, Reading, dot, graded, plain
from antiphon.evals.sample import Sample
from antiphon.tools.claims import Judgement, Verdict, Verifier, claims_of
from antiphon.tools.retrieval import Embedder
from antiphon.tools.retrieval.analysis import terms
from antiphon.tools.retrieval.language import detect
from antiphon.tools.retrieval.sentences import sentences

Found = TypeVar("Found")

WORTH: dict[Verdict, float] = {"supported": 1.0, "unverified": 0.95, "unsure": 0.9}
"""What a verdict is worth as support; of the others how likely the verifier finds it."""
DOUBT, SURE = 0.35, 0.9
"""Chances of a contradiction that count as none and as one."""
DISPUTED, TURNED = 0.8, 0.6
"""What a denial by the evidence counts, and one of the reference by the answer."""
SUSPECTED = 0.03
"""What is left of the chance of a contradiction that the verifier does not call one."""
APART = 0.3
"""What a denial counts, at the least, of a claim that is nothing like the reference."""
NEARLY = 0.8
"""Share of a claim's words from which it is said nearly word for word."""
LIKELY, SAME = 0.25, 0.55
"""Cosines of a claim and the reference that count as nothing and as the same in other words."""
Sign = tuple[float, str]
"""How strong a sign is that something else is said, and why."""
KEPT = 64
"""Answers whose findings are remembered: the metrics of one ask for them at the same time."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """One claim of an answer, and how far evidence or reference bear it out."""

    text: str
    support: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Findings:
    """What an answer claims."""

    claims: tuple[Claim, ...]
    borne: float
    """How far the reference's claims are said, 0..1; 0 without any."""
    denials: tuple[Sign, ...]
    """The strongest denial by the reference, by the evidence, and of the reference by the answer.

    The last two count less: evidence speaks of other things too, and an answer in other words is
    read less surely than a reference."""

    @property
    def support(self) -> float:
        """How far its claims are borne out; what claims nothing rests on nothing."""
        return sum(one.support for one in self.claims) / (len(self.claims) or 1)


class Inquiry:
    """Reads an answer and has its claims judged, each once however many metrics ask."""

    def __init__(self, embedder: Embedder, verifier: Verifier, *, reads: str = "en") -> None:
        """`reads`: the language of the embedder, `*` for all."""
        self._embedder = embedder
        self._verifier = verifier
        self._comparer = Comparer(embedder, reads=reads)
        self._readings: _Once[Reading] = _Once(self._read)
        self._findings: _Once[Findings] = _Once(self._find)

    @property
    def fingerprint(self) -> str:
        """Hash of the code that finds out, the verifier's with it: another one judges otherwise."""
        modules = {
            each.__module__ for each in (Inquiry, Comparer, Figure, type(self._verifier))
        } & sys.modules.keys()
        files = (getattr(sys.modules[name], "__file__", None) for name in sorted(modules))
        made_of = b"".join(Path(file).read_bytes() for file in files if file)
        return hashlib.sha256(made_of).hexdigest()

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
        # Yes and no are compared on their own, and are no negation of the sentence after them.
        answer = OPENLY.sub("", plain(sample.answer))
        claims = claims_in(answer)
        evidence = [plain(text) for text in sample.evidence]
        reference = [OPENLY.sub("", plain(sample.reference))] if claims_of(sample.reference) else []
        language = detect(answer, otherwise="en")
        grounds = await self._judged(claims, evidence, language)
        wanted = await self._judged(claims, reference, language)
        back: Sequence[Judgement | None] = ()
        if reference and answer.strip():
            back = await self._judged(claims_in(reference[0]), [answer], "en")
        near = await self._near(claims, reference)
        both = tuple(zip(grounds, wanted, strict=True))
        # Who says all that the reference says may say more that is true, and of other things.
        whole = _all_said(reference, claims)
        same = language == detect(" ".join(reference), otherwise="en")
        denied = [
            _denial(
                theirs, (1 - _worth(own) if whole else 1.0) * (max(alike, APART) if same else 1)
            )
            for (own, theirs), alike in zip(both, near, strict=True)
        ]
        return Findings(
            claims=tuple(
                Claim(text=text, support=_support(pair, alike))
                for text, pair, alike in zip(claims, both, near, strict=True)
            ),
            borne=sum(_worth(one) for one in back) / (len(back) or 1),
            denials=tuple(
                max(signs, default=(0.0, ""))
                for signs in (
                    denied,
                    [_denial(own, (1 - _worth(theirs)) * DISPUTED) for own, theirs in both],
                    [_denial(one, TURNED) for one in back],
                )
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
        return [graded(max(dot(one, each) for each in theirs), LIKELY, SAME) for one in mine]


def claims_in(text: str) -> list[str]:
    """Return what a text claims; where that is nothing, its sentences that do not ask."""
    found = [text[slice(*span)] for span in claims_of(text)]
    every = (text[slice(*span)] for span in sentences(text))
    return found or [one for one in every if not one.endswith("?")]


def _support(pair: tuple[Judgement | None, Judgement | None], alike: float) -> float:
    """Return how far a claim is borne out; what says the same in other words is, by meaning."""
    grounds, wanted = pair
    return max(_worth(grounds), _worth(wanted), alike)


def _denial(one: Judgement | None, times: float = 1.0) -> Sign:
    if one is None:
        return 0.0, ""
    sure = one.verdict == "contradicted"
    strength = graded(one.contradicted, DOUBT, SURE) if sure else SUSPECTED * one.contradicted
    return times * strength, f"{one.claim!r}: {one.reason}"


def _all_said(reference: Sequence[str], claims: Sequence[str]) -> bool:
    """Tell whether each claim of the reference stands, nearly word for word, in one of these."""
    said = [set(terms(claim)) for claim in claims]
    wanted = [set(terms(claim)) for text in reference for claim in claims_in(text)]
    return bool(wanted) and all(
        any(len(one & each) >= NEARLY * len(one) for each in said) for one in wanted
    )


def _worth(one: Judgement | None) -> float:
    if one is None or one.verdict == "contradicted":
        return 0.0
    return max(WORTH.get(one.verdict, 0.0), one.supported)


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
