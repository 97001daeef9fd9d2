"""The verifier that ships: figures, conditions, names, negations, and a reader of both texts.

Each sign has a verdict of its own and they are not added up: how much of a claim is covered says
whether the evidence speaks of it, and nothing about whether it says the opposite. What is covered
and shows no contradicting sign is `supported` where nearly every word is there, and `unsure` below.
"""

from __future__ import annotations

import math
import operator
import re
from collections.abc import Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import islice

from antiphon.tools.claims.alignment import Aligner
from antiphon.tools.claims.conditions import dropped
from antiphon.tools.claims.polarity import opposed, turned
from antiphon.tools.claims.quantities import Quantity, quantities
from antiphon.tools.claims.reader import Reader, Reading
from antiphon.tools.claims.split import parts
from antiphon.tools.claims.structured import spoken
from antiphon.tools.claims.verdict import Judgement, Verdict
from antiphon.tools.guards.pace import paced
from antiphon.tools.retrieval.analysis import primary, terms
from antiphon.tools.retrieval.citations import MARKERS
from antiphon.tools.retrieval.language import detect
from antiphon.tools.retrieval.passages import Embedder
from antiphon.tools.retrieval.sentences import HEADING, MARKER, sentences

SURE = 0.8
"""Cover from which a claim without any other sign is supported."""
FOUND = 0.45
"""Cover below which the evidence does not speak of a claim."""
HINTED = 0.25
"""The same where a figure of the claim agrees with a sentence that is like it."""
SHARED, HEARD = 0.5, 4000
"""Share of words that no other language has, and characters by which a language is told."""
ABOUT = 0.4
"""Share of a claim's words that a sentence must hold for its figures to be about the same."""
READ = 12
"""Sentences of the evidence that are embedded for a claim that words do not settle."""
CLOSE = 0.9
"""Aligned cover from which nothing of a claim is missing."""
SPOKEN_OF = 0.38
"""Aligned cover below which the evidence does not speak of a claim."""
ALIKE = 0.65
"""Cover by one sentence from which it says the same of another name."""
RATHER = 0.75
"""Probability of denial from which a claim is not taken to be there."""
BORNE, LIKELY = 0.7, 0.5
"""Likelihoods of support, as read, that make sure of it, and that outweigh a weak sign."""
DENIED, DOUBTED, DISMISSED = 0.8, 0.5, 0.1
"""Likelihoods of denial, as read, that decide, that let a negation or an opposite decide, and up to
which a figure that differs is of something else. Chosen on fourteen public files of labelled claims
(evals/bench/RESULTS.md), for one supported claim in twenty called contradicted."""
MOST_CLAIMS, MOST_SENTENCES = 100, 400
"""Of an answer and of its evidence that are read: each claim is held against each sentence."""
BEST = 3
"""Sentences whose figures and negations count."""
_NAME = re.compile(r"(?<![.!?:]\s)(?<!\A)(?<=\s)(?:[A-ZÄÖÜ][\w'’-]+|[A-Z]{2,}\d*)")
_CALENDAR = frozenset(
    f"{day}day" for day in ("mon", "tues", "wednes", "thurs", "fri", "satur", "sun")
)
"""Written like names and none: what holds on working days holds on a Tuesday."""
NOUNS_LIKE_NAMES = frozenset({"de", "lb"})
"""Languages that write every noun as others write names."""
WORST: tuple[Verdict, ...] = ("contradicted", "not found", "unverified", "unsure", "supported")
_SIGNED = re.compile(r"([€$£])\s?(\d+(?:[.,]\d+)*)")
_CODES = {"€": "EUR", "$": "USD", "£": "GBP"}
FEWEST_TOLD = 3
"""Content words from which a claim can be a sentence cut short."""
SHORTEST_PART = 3
"""Letters up to which a part of a word is no sign of a name."""
_WORD = re.compile(r"\w+(?:['’-]\w+)*")
LONGEST_LEAD = 200
"""Characters of a line that introduces items."""
_STOPS = frozenset(("", ".", "!", ";", "…", "。"))
READS = "en"
"""The language of the reader."""
_STEEP, _MIDDLE = 8.0, 0.55
"""Of the logistic curve from cover to the probability of support."""
_READ_STEEP, _READ_MIDDLE, _READ_SHARE, _READ_LOSS = 4.6, 0.69, 0.1, 0.5
"""The same where claims are read too; what is read for and against counts so much of itself."""
_DENIED_STEEP, _DENIED_MIDDLE = 4.5, 0.44
"""Of the curve from what is read against a claim to the probability that it is contradicted."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Sentence:
    text: str
    """As it stands there."""
    read: str
    """With what introduces it: an item of a list says nothing without the line above."""
    terms: frozenset[str]
    quantities: tuple[Quantity, ...]


@dataclass(frozen=True, slots=True)
class _Likeness:
    """How alike a claim is to sentences of the evidence, by place, and to all of them together."""

    each: Mapping[int, float]
    together: float


@dataclass(frozen=True, slots=True, kw_only=True)
class _Case:
    """A claim and where the evidence speaks of it."""

    claim: str
    wanted: frozenset[str]
    beside: str
    """What else the answer says."""
    verbatim: str
    """The sentence that holds it word for word."""
    covers: Mapping[int, float]
    """How much of it each sentence of the evidence covers."""
    order: tuple[int, ...]
    """The sentences that cover most of it, best first."""
    together: float
    """How much of it all of them cover."""
    excerpt: str
    """What of the evidence is read beside it; and beside it the best sentence alone."""


class SignsVerifier:
    """Judges claims by signs that can be named."""

    def __init__(
        self,
        embedder: Embedder | None = None,
        *,
        aligner: Aligner | None = None,
        reader: Reader | None = None,
        reads: str = "en",
    ) -> None:
        """`embedder` finds what is said in other words; `reads`: its language, `*` for all.

        `aligner` does so word by word, and is asked instead where it is given; `reader` tells what
        two texts say of each other, in English.
        """
        self._embedder = embedder
        self._aligner = aligner
        self._reader = reader
        self._reads = reads

    async def judge(
        self, claims: Sequence[str], evidence: Sequence[str], *, language: str = "en"
    ) -> tuple[Judgement, ...]:
        """Return a judgement for each claim, in order."""
        said = [" ".join(MARKERS.sub("", claim).split()) for claim in claims]
        size = sum(map(len, said)) + sum(map(len, evidence))
        theirs = primary(_heard(" ".join(evidence)[:HEARD], otherwise=language))
        known = await paced(size, _read, evidence, theirs)
        beyond = said[MOST_CLAIMS:]
        del said[MOST_CLAIMS:]
        foreign = primary(language) != theirs and self._reads != "*"
        whole = await paced(size, _in_parts, said, known)
        things = [thing for things in whole for thing in things]
        likeness = await self._likeness(things, known, theirs)
        cases = await paced(size, _cases, things, known, theirs, likeness)
        read = await self._readings(cases, known, heard=theirs, spoken=language)

        def judged() -> Iterator[Judgement]:
            found = [
                _judged(case, known, theirs, foreign=foreign, reading=reading)
                for case, reading in zip(cases, read, strict=True)
            ]
            for claim, things in zip(said, whole, strict=True):
                yield _together(claim, found[: len(things)])
                del found[: len(things)]

        return (
            *await paced(size, lambda: tuple(judged())),
            *(
                Judgement(claim=claim, verdict="not found", reason="too many claims at once")
                for claim in beyond
            ),
        )

    async def _readings(
        self, cases: Sequence[_Case], known: Sequence[_Sentence], *, heard: str, spoken: str
    ) -> list[Reading | None]:
        """Return what the reader says of each claim, None of those that it need not or cannot."""
        if self._reader is None or heard != READS or primary(spoken) != READS:
            return [None] * len(cases)
        asked = [
            _looked_at(case, known) if case.excerpt and not case.verbatim else () for case in cases
        ]
        pairs = list(dict.fromkeys(pair for those in asked for pair in those))
        found = dict(zip(pairs, await self._reader.read(pairs), strict=True))
        return [_agreed([found[pair] for pair in those]) if those else None for those in asked]

    async def _likeness(
        self, claims: Sequence[str], known: Sequence[_Sentence], language: str
    ) -> list[_Likeness]:
        """Return how alike each claim is to sentences, for claims that words do not settle."""
        nothing = [_Likeness({}, 0.0) for _ in claims]
        if (self._embedder is None and self._aligner is None) or not known:
            return nothing
        open_claims = {
            place: _nearest(set(terms(claim, language)), known)[:READ]
            for place, claim in enumerate(claims)
            if not (
                _standing(claim, known)
                if self._aligner is not None
                else _settled(set(terms(claim, language)), known)
            )
        }
        if not open_claims:
            return nothing
        if self._aligner is not None:
            cases = [
                (claims[at], [known[one].read for one in on]) for at, on in open_claims.items()
            ]
            made = await self._aligner.align(cases)
            found = {
                place: _Likeness(dict(zip(on, one.each, strict=True)), one.together)
                for (place, on), one in zip(open_claims.items(), made, strict=True)
            }
        else:
            found = await self._cosines(claims, known, open_claims)
        return [found.get(place, nothing[place]) for place in range(len(claims))]

    async def _cosines(
        self,
        claims: Sequence[str],
        known: Sequence[_Sentence],
        places: Mapping[int, Sequence[int]],
    ) -> dict[int, _Likeness]:
        texts = dict.fromkeys(claims[place] for place in places)
        texts |= dict.fromkeys(known[at].read for on in places.values() for at in on)
        made = await self._embedder.embed(list(texts)) if self._embedder is not None else []
        vectors = dict(zip(texts, made, strict=True))
        return {
            place: _Likeness(
                {
                    at: sum(map(operator.mul, vectors[claims[place]], vectors[known[at].read]))
                    for at in on
                },
                0.0,
            )
            for place, on in places.items()
        }


def _looked_at(case: _Case, known: Sequence[_Sentence]) -> tuple[tuple[str, str], ...]:
    """Return the pairs of evidence and claim that are read; amounts are written in one way."""
    claim = _amounts(case.claim)
    return tuple((_amounts(text), claim) for text in (case.excerpt, known[case.order[0]].read))


def _amounts(text: str) -> str:
    return _SIGNED.sub(lambda match: f"{match.group(2)} {_CODES[match.group(1)]}", text)


def _agreed(readings: Sequence[Reading]) -> Reading:
    """Return what several readings leave: either text may support a claim, both must deny it."""
    return (
        max(one[0] for one in readings),
        min(one[1] for one in readings),
        min(one[2] for one in readings),
    )


def _in_parts(claims: Sequence[str], known: Sequence[_Sentence]) -> list[tuple[str, ...]]:
    """Return the things that each claim says; what stands there word for word is one."""
    return [(claim,) if _standing(claim, known) else parts(claim) for claim in claims]


def _standing(claim: str, known: Sequence[_Sentence]) -> str:
    """Return the sentence that a claim repeats word for word, whole or up to a stop."""
    bare = claim.rstrip(" .!")
    for one in known if bare else ():
        for text in (one.text, one.read):
            rest = text[len(bare) :].lstrip("*_)\"'»”")
            if text.startswith(bare) and rest[:1] in _STOPS and not rest[1:2].isdigit():
                return one.text
    return ""


def _together(claim: str, found: Sequence[Judgement]) -> Judgement:
    """Return the judgement of a claim: that of the worst of the things it says."""
    worst = min(found, key=lambda one: (WORST.index(one.verdict), one.supported))
    if len(found) == 1:
        return worst if worst.claim == claim else replace(worst, claim=claim)
    return replace(
        worst,
        claim=claim,
        reason=f'{worst.reason}: "{worst.claim}"',
        supported=min(one.supported for one in found),
        contradicted=max(one.contradicted for one in found),
    )


def _read(evidence: Sequence[str], language: str) -> list[_Sentence]:
    every = (one for text in evidence for one in _sentences(spoken(text), language))
    return list(islice(every, MOST_SENTENCES))


@lru_cache(maxsize=256)
def _sentences(text: str, language: str) -> tuple[_Sentence, ...]:
    """Read a text once: pages come back turn after turn."""
    found: list[_Sentence] = []
    lead = ""
    for start, end in islice(sentences(text), MOST_SENTENCES):
        said = text[start:end]
        line = text.rfind("\n", 0, start) + 1
        item = MARKER.match(text, line) is not None
        read = " ".join((f"{lead} {said}" if item and lead else said).split())
        if not item:
            heads = HEADING.match(text, line) is not None or said.endswith((":", "："))
            lead = said if heads and len(said) <= LONGEST_LEAD else ""
        found.append(
            _Sentence(
                text=said,
                read=read,
                terms=frozenset(terms(read, language)),
                quantities=quantities(read),
            )
        )
    return tuple(found)


_heard = lru_cache(maxsize=256)(detect)


def _share(wanted: AbstractSet[str], sentence: _Sentence) -> float:
    return len(wanted & sentence.terms) / len(wanted) if wanted else 0.0


def _nearest(wanted: set[str], known: Sequence[_Sentence]) -> list[int]:
    return sorted(range(len(known)), key=lambda at: -_share(wanted, known[at]))


def _settled(wanted: set[str], known: Sequence[_Sentence]) -> bool:
    return any(_share(wanted, one) >= SURE for one in known)


def _cases(
    claims: Sequence[str],
    known: Sequence[_Sentence],
    language: str,
    likeness: Sequence[_Likeness],
) -> list[_Case]:
    """Find where the evidence speaks of each claim."""
    return [
        _case(claim, " ".join((*claims[:at], *claims[at + 1 :])), known, language, alike)
        for at, (claim, alike) in enumerate(zip(claims, likeness, strict=True))
    ]


def _case(
    claim: str,
    beside: str,
    known: Sequence[_Sentence],
    language: str,
    alike: _Likeness,
) -> _Case:
    wanted = frozenset(terms(claim, language))
    covers = {at: max(_share(wanted, one), alike.each.get(at, 0.0)) for at, one in enumerate(known)}
    order = tuple(sorted(covers, key=lambda at: -covers[at])[:BEST])
    return _Case(
        claim=claim,
        wanted=wanted,
        beside=beside,
        verbatim=_standing(claim, known),
        covers=covers,
        order=order,
        together=alike.together or max(covers.values(), default=0.0),
        excerpt=" ".join(" ".join(known[at].read.split()) for at in sorted(order)),
    )


def _judged(
    case: _Case,
    known: Sequence[_Sentence],
    language: str,
    *,
    foreign: bool,
    reading: Reading | None,
) -> Judgement:
    claim, order = case.claim, case.order
    # A language is easily misheard in a few words: who shares most of them speaks the same.
    foreign = foreign and not any(_share(case.wanted, one) >= SHARED for one in known)
    if case.verbatim:
        return Judgement(
            claim=claim, verdict="supported", reason="it stands there word for word",
            quote=case.verbatim, supported=1.0,
        )  # fmt: skip
    where = list(case.covers) if foreign else order
    clash = _clash(claim, known, where, case.covers, foreign=foreign)
    if clash is not None and (reading is None or reading[1] > DISMISSED):
        why, quote = clash
        return Judgement(
            claim=claim, verdict="contradicted", reason=why, quote=quote, contradicted=0.9
        )
    if foreign:
        return Judgement(
            claim=claim, verdict="unverified", supported=0.5, contradicted=0.1,
            reason="the evidence is in another language, and its figures agree",
        )  # fmt: skip
    told = (
        reading is not None
        and reading[1] >= LIKELY
        and any(_shortened(claim, known[at].read, language) for at in order)
    )
    denied = _denied(case, known, language, reading, told=told)
    return denied or _found(case, known, language, reading, told=told)


def _denied(
    case: _Case,
    known: Sequence[_Sentence],
    language: str,
    reading: Reading | None,
    *,
    told: bool,
) -> Judgement | None:
    """Return what the evidence says against a claim, None where it says nothing against it.

    `told`: the claim is a sentence cut short, so that a reader's denial does not count.
    """
    for at in case.order:
        why = opposed(case.claim, known[at].read, language=language)
        if not why:
            if _share(case.wanted, known[at]) >= SURE:
                break
            continue
        sure = turned(case.claim, known[at].read, language=language)
        if reading is not None and reading[1] < (DISMISSED if sure else DOUBTED):
            continue
        return Judgement(
            claim=case.claim, verdict="contradicted", reason=why, quote=known[at].text,
            contradicted=0.75 if reading is None else max(0.75, _against(reading)),
        )  # fmt: skip
    if reading is not None and reading[1] >= DENIED and not told:
        return Judgement(
            claim=case.claim, verdict="contradicted", reason="it reads as the opposite",
            quote=known[case.order[0]].text, contradicted=_against(reading),
        )  # fmt: skip
    return None


def _shortened(claim: str, sentence: str, language: str) -> bool:
    """Say whether a claim is a sentence with words left out, and no negation among them."""
    left = iter(terms(sentence, language))
    said = terms(claim, language)
    return (
        len(set(said)) >= FEWEST_TOLD
        and all(word in left for word in said)
        and not opposed(claim, sentence, language=language)
        and not turned(claim, sentence, language=language)
    )


def _found(
    case: _Case,
    known: Sequence[_Sentence],
    language: str,
    reading: Reading | None,
    *,
    told: bool,
) -> Judgement:
    """Return how far the evidence speaks of a claim that nothing speaks against."""
    claim, order = case.claim, case.order
    best = case.covers[order[0]] if order else 0.0
    share = max((_share(case.wanted, known[at]) for at in order), default=0.0)
    quote = known[order[0]].text if order else ""
    likely = _supported(case, reading)
    against = (0.05 if share >= SURE else 0.15) if reading is None else _against(reading)
    probable = reading is not None and reading[0] >= LIKELY
    missing = "" if primary(language) in NOUNS_LIKE_NAMES else _missing(claim, known)
    other = bool(missing) and best >= ALIKE and _names_another(known[order[0]].read, claim)
    if missing and (reading is None or other or (best >= ALIKE and not probable)):
        return Judgement(
            claim=claim, verdict="not found", quote=quote, supported=likely / 3,
            contradicted=max(0.3, against), reason=f"{missing} is not in the evidence",
        )  # fmt: skip
    for at in order:
        left = dropped(claim, known[at].read, beside=case.beside, language=language)
        if left is not None:
            return Judgement(
                claim=claim, verdict="not found" if left.strict else "unsure",
                quote=known[at].text, supported=likely / 2, contradicted=max(0.3, against),
                reason=f'the evidence says so only "{left.condition}"',
            )  # fmt: skip
    least = FOUND if reading is None else SPOKEN_OF
    if case.together < (HINTED if probable or _agrees(claim, known, order) else least):
        return Judgement(
            claim=claim, verdict="not found", supported=likely, contradicted=against,
            reason="the evidence says nothing of it",
        )  # fmt: skip
    if reading is not None and against >= RATHER and likely < against and not told:
        return Judgement(
            claim=claim, verdict="not found", quote=quote, supported=likely, contradicted=against,
            reason="it reads as the opposite rather than as the same",
        )  # fmt: skip
    whole = share >= SURE or (case.together >= CLOSE and reading is not None)
    borne = reading is not None and reading[0] >= BORNE
    doubtful = reading is not None and reading[1] >= LIKELY and not told
    if borne and not whole:
        reason = "the evidence says so in other words"
    else:
        reason = "its words are there" if whole else "the evidence says something like it"
    sure = (whole or borne) and not doubtful
    return Judgement(
        claim=claim, verdict="supported" if sure else "unsure", quote=quote, supported=likely,
        contradicted=against, reason=reason,
    )  # fmt: skip


def _supported(case: _Case, reading: Reading | None) -> float:
    """Return how likely it is that the evidence supports a claim."""
    cover = case.together
    if reading is None:
        return 1 / (1 + math.exp(-_STEEP * (cover - _MIDDLE)))
    against = _READ_LOSS * max(0.0, reading[1] - LIKELY)
    sign = cover + _READ_SHARE * reading[0] - against
    return 1 / (1 + math.exp(-_READ_STEEP * (sign - _READ_MIDDLE)))


def _against(reading: Reading) -> float:
    """Return how likely it is that the evidence contradicts a claim."""
    return 1 / (1 + math.exp(-_DENIED_STEEP * (reading[1] - _DENIED_MIDDLE)))


def _clash(
    claim: str,
    known: Sequence[_Sentence],
    places: Sequence[int],
    covers: Mapping[int, float],
    *,
    foreign: bool,
) -> tuple[str, str] | None:
    """Return a figure of the claim that the evidence gives another value of, and the sentence."""
    everything = [one for sentence in known for one in sentence.quantities]
    for mine in quantities(claim):
        if any(mine.meets(theirs) for theirs in everything):
            continue
        for at in places:
            if not foreign and covers[at] < ABOUT:
                continue
            for theirs in known[at].quantities:
                if (theirs.kind, theirs.bound) == (mine.kind, mine.bound):
                    return f"{mine.said} against {theirs.said}", known[at].text
    return None


def _agrees(claim: str, known: Sequence[_Sentence], places: Sequence[int]) -> bool:
    """Say whether a figure of the claim is that of a sentence, or keeps within its bound."""
    theirs = [one for at in places for one in known[at].quantities]
    return any(
        mine.meets(one) or (one.bound != "" and not mine.bound and mine.keeps(one))
        for mine in quantities(claim)
        for one in theirs
    )


def _missing(claim: str, known: Sequence[_Sentence]) -> str:
    """Return a name of the claim that stands nowhere in the evidence."""
    written = {word for sentence in known for word in _WORD.findall(sentence.read)}
    there = {word.lower() for word in written}
    for match in _NAME.finditer(claim):
        said = match.group().removesuffix("'s").removesuffix("’s")
        name = said.lower()
        # "the US" is not in "contact us".
        if name in _CALENDAR or (said in written if said.isupper() else name in there):
            continue
        # Longer names are there in parts or in another form; two letters say too little for that.
        if len(name) <= SHORTEST_PART or not any(name in word or word in name for word in there
                                                 if len(word) > SHORTEST_PART):  # fmt: skip
            return match.group()
    return ""


def _names_another(sentence: str, claim: str) -> bool:
    """Say whether a sentence speaks of a name that the claim does not."""
    said = {word.lower() for word in _WORD.findall(claim)}
    return any(
        match.group().lower() not in said and match.group().lower() not in _CALENDAR
        for match in _NAME.finditer(sentence)
    )
