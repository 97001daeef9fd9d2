"""A model's answer held against its evidence, once: what of it may be said, cited by what decided.

The same judgements tell which claims stay, which passage each is cited to, how far the answer is
borne out, and what the output rail makes of it.
"""

from __future__ import annotations

import asyncio
import operator
import re
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from antiphon.tools.claims.polarity import opposed
from antiphon.tools.claims.split import claims_of, read_as
from antiphon.tools.claims.verdict import KEPT, Judgement, Verifier
from antiphon.tools.guards.pace import paced
from antiphon.tools.retrieval.analysis import terms
from antiphon.tools.retrieval.citations import (
    FIGURE,
    STRONG,
    Backing,
    by_words,
    cited,
    quote_for,
    units,
)
from antiphon.tools.retrieval.context import Card, Citation
from antiphon.tools.retrieval.language import detect
from antiphon.tools.retrieval.marks import Marked, read
from antiphon.tools.retrieval.passages import Embedder
from antiphon.tools.retrieval.sentences import Span

Contradicted = Literal["remove", "regenerate", "block"]
NotFound = Literal["drop", "flag", "ask"]
Fault = Literal["", "unanswered", "blocked", "failed"]
"""Why an answer may not be given: what is left is none, policy forbids it, it was not judged."""

JUDGED_S = 30.0
"""How long the verifier may take for an answer."""
MOST_HEARD = 2000
"""Characters by which the language of an answer is told."""
LIKELY = 0.6
"""Probability of support from which an answer without marks is cited."""
ABOUT, AS_NEAR = 0.3, 0.8
"""How near a removed claim must be to the question to have been its answer, and how near the
nearest that is left must be beside it, as a share."""
ADDED = 2
"""Content words that the first quote lacks from which another passage may bring the rest."""
_BARE = re.compile(
    r"\W*(?:yes|no|correct|right|exactly|ja|nein|doch|genau|richtig|oui|non|sí|si|sì|tak|nie|да|нет)"
    r"\W*",
    re.IGNORECASE,
)
"""A sentence that means nothing without the next."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """What becomes of claims that the evidence denies or does not know."""

    contradicted: Contradicted = "remove"
    not_found: NotFound = "drop"
    critical: bool = False
    """Whether an answer that could not be judged is refused; else it is an "I don't know"."""
    unconfirmed: str = "(I could not confirm this.)"
    """Said behind a claim that is flagged."""
    unsure: str = "I am not sure about this: {claims}"
    """Said of claims that are asked about."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Examined:
    """What is left of an answer."""

    answer: str = ""
    citations: tuple[Citation, ...] = ()
    judgements: tuple[Judgement, ...] | None = None
    """Of the claims that the answer still makes as its own; None where nothing was judged."""
    removed: tuple[Judgement, ...] = ()
    flagged: tuple[Judgement, ...] = ()
    support: float | None = None
    """0..1: the share of its claims that are supported; one that may be counts by how likely."""
    fault: Fault = ""
    reason: str = ""

    @property
    def contradicted(self) -> tuple[Judgement, ...]:
        """The claims that the evidence denies."""
        return tuple(one for one in self.removed if one.verdict == "contradicted")


class Examiner:
    """Holds answers against their evidence, by one policy."""

    def __init__(
        self, verifier: Verifier, embedder: Embedder, policy: Policy | None = None
    ) -> None:
        """`embedder` tells which claims are nearest the question."""
        self.policy = policy or Policy()
        self._verifier = verifier
        self._embedder = embedder

    async def examine(
        self,
        said: str,
        *,
        question: str,
        cards: Sequence[Card],
        evidence: Sequence[str],
        texts: Sequence[str],
        tag: str = "",
        language: str = "en",
    ) -> Examined:
        """Return what of a model's words may be said, with its citations.

        Fails closed: an answer whose claims could not be judged is none.

        Args:
            said: the answer, with the model's marks.
            question: what it answers.
            cards: the passages that marks name.
            evidence: what claims may rest on; without any nothing is judged.
            texts: what the model was given to quote: its brackets are no marks.
            tag: of the marks.
            language: of the answer where that cannot be told.
        """
        marked = await paced(len(said), read, said, tag=tag, texts=texts)
        spoken = detect(marked.text[:MOST_HEARD], otherwise=language)
        if not evidence:
            answer, citations = await _cited(marked, by_words(marked.text, cards, spoken))
            return Examined(answer=answer, citations=citations)
        try:
            async with asyncio.timeout(JUDGED_S):
                held = await self._judged(marked.text, evidence, spoken)
                left, removed, flagged = await paced(len(said), self._left, marked, held)
                if removed and len(removed) < len(held):
                    # What excused or introduced a claim may be gone: the rest is judged by itself.
                    rest = await paced(len(said), self._left, marked, held, flagging=False)
                    held = await self._judged(rest[0].text, evidence, spoken)
                    left, more, flagged = await paced(len(said), self._left, rest[0], held)
                    removed = (*removed, *more)
                kept = [one for one in held.values() if one.verdict in KEPT]
                lost = bool(held) and all(one.verdict == "not found" for one in held.values())
                if lost and self.policy.not_found == "drop" and len(removed) == len(held):
                    # Nothing would be left, and nothing is denied: that is for the rail to judge.
                    left, kept, removed = marked, list(removed), ()
                fault, reason = await self._fault(question, [*kept, *flagged], removed)
        # A verifier is other people's code and may raise anything; nothing unjudged is said.
        except Exception as error:  # noqa: BLE001
            return Examined(fault="failed", reason=f"the verifier failed: {type(error).__name__}")
        if fault:
            return Examined(removed=removed, fault=fault, reason=reason)
        backing = _by_judgements(left.text, held, cards, spoken)
        answer, citations = await _cited(left, backing)
        asked = [one for one in removed if self._asked(one)]
        if asked:
            claims = " ".join(one.claim.strip() for one in asked)
            answer = f"{answer}\n\n{self.policy.unsure.format(claims=claims)}"
        return Examined(
            answer=answer,
            citations=citations,
            judgements=tuple(kept),
            removed=removed,
            flagged=flagged,
            support=_support(kept, flagged),
        )

    async def _judged(
        self, text: str, evidence: Sequence[str], language: str
    ) -> dict[str, Judgement]:
        """Return the judgement of each claim, by its words."""
        spans = await paced(len(text), claims_of, text)
        if not spans:
            return {}
        read_so = await paced(len(text), read_as, text, spans)
        things = list(dict.fromkeys(read_so))
        found = await self._verifier.judge(things, evidence, language=language)
        judged = dict(zip(things, found, strict=True))
        held: dict[str, Judgement] = {}
        for span, thing in zip(spans, read_so, strict=True):
            said = text[slice(*span)]
            # The same item under two lines is as good as the worse of them.
            if said not in held or held[said].verdict in KEPT:
                held[said] = judged[thing]
        return held

    def _left(
        self, marked: Marked, held: Mapping[str, Judgement], *, flagging: bool = True
    ) -> tuple[Marked, tuple[Judgement, ...], tuple[Judgement, ...]]:
        """Return the text without what is removed, what that was, and what is flagged in it."""
        text, claims = marked.text, set(claims_of(marked.text))
        removed: dict[Span, Judgement] = {}
        flagged: dict[Span, Judgement] = {}
        gone: list[Span] = []
        for span in reversed(units(text)):
            said = text[slice(*span)]
            one = held[said] if span in claims else None
            if one is None:
                follows = gone and not text[span[1] : gone[-1][0]].strip()
                if follows and _BARE.fullmatch(said):
                    gone.append(span)
            elif one.verdict == "not found" and self.policy.not_found == "flag":
                if flagging:
                    flagged[span] = one
            elif one.verdict not in KEPT:
                removed[span] = one
                gone.append(span)
        left = marked.edited(gone, list(flagged), f" {self.policy.unconfirmed}")
        if gone and left.text.rstrip().endswith((":", "：")):
            # What it introduced is gone.
            left = left.edited(units(left.text)[-1:])
        return left, _once(removed), _once(flagged)

    async def _fault(
        self, question: str, kept: Sequence[Judgement], removed: Sequence[Judgement]
    ) -> tuple[Fault, str]:
        """Say whether what is left still answers the question, and if not, why."""
        wrong = [one for one in removed if one.verdict == "contradicted"]
        if wrong and self.policy.contradicted == "block":
            return "blocked", f"the evidence says otherwise: {wrong[0].reason}"
        if removed and not kept:
            worst = (*wrong, *removed)[0]
            return "unanswered", f"no claim is left: {worst.reason}"
        cut = [one for one in removed if not self._asked(one)]
        if cut and await self._was_the_answer(question, cut, kept):
            return "unanswered", f"what answered the question is gone: {cut[0].reason}"
        return "", ""

    async def _was_the_answer(
        self, question: str, cut: Sequence[Judgement], kept: Sequence[Judgement]
    ) -> bool:
        """Say whether the claim nearest the question was cut, and none near it is left."""
        made = await self._embedder.embed([question, *(one.claim for one in (*cut, *kept))])
        near = [sum(map(operator.mul, made[0], vector)) for vector in made[1:]]
        best, left = max(near[: len(cut)]), max(near[len(cut) :])
        return bool(best >= ABOUT and left < AS_NEAR * best)

    def _asked(self, one: Judgement) -> bool:
        return one.verdict == "not found" and self.policy.not_found == "ask"


def _once(found: Mapping[Span, Judgement]) -> tuple[Judgement, ...]:
    """Return the judgements in the order of the text, each claim's once."""
    return tuple({one.claim: one for one in reversed(list(found.values()))}.values())


async def _cited(marked: Marked, backing: Backing) -> tuple[str, tuple[Citation, ...]]:
    return await paced(len(marked.text), cited, marked, backing)


def _support(kept: Sequence[Judgement], flagged: Sequence[Judgement]) -> float | None:
    shares = [1.0 if one.verdict == "supported" else one.supported for one in kept]
    shares += [0.0] * len(flagged)
    return statistics.fmean(shares) if shares else None


def _by_judgements(
    text: str, held: Mapping[str, Judgement], cards: Sequence[Card], language: str
) -> Backing:
    """Return what backs each sentence: the passage whose quote decided, whatever was named.

    Another passage that was named stays where it says the same, or brings the rest. By words alone
    go what is no claim, and claims that were kept without a quote.
    """
    words = by_words(text, cards, language)
    book = {card.number: card for card in cards}

    def backing(span: Span, named: Sequence[int]) -> Mapping[int, Citation]:
        claim = text[slice(*span)]
        one = held.get(claim)
        if one is None or (one.verdict in KEPT and not one.quote):
            return words(span, named) if named else {}
        likely = one.verdict == "supported" or one.supported >= LIKELY
        if one.verdict not in KEPT or not (named or likely):
            return {}
        first = _located(claim, one.quote, cards, named, language)
        if first is None:
            return {}
        number, quote = first
        others = {
            n: other
            for n in named
            if n != number
            and n in book
            and (other := _also(claim, quote.quote, book[n], language)) is not None
        }
        if others and number not in named:
            return others
        return {n: others.get(n, quote) for n in named if n in others or n == number} or {
            number: quote
        }

    return backing


def _located(
    claim: str, said: str, cards: Sequence[Card], named: Sequence[int], language: str
) -> tuple[int, Citation] | None:
    """Return the card that holds what decided, one that was named if it does, and the quote."""
    for card in sorted(cards, key=lambda one: one.number not in named):
        at = card.text.find(said)
        if at < 0:
            continue
        start = card.start + at
        longer = quote_for(frozenset(terms(claim, language)), card, language)
        if longer and longer.start <= start and start + len(said) <= longer.end:
            return card.number, longer
        return card.number, Citation(
            id=0, source=card.source, title=card.title, quote=said, start=start,
            end=start + len(said), heading=card.heading,
        )  # fmt: skip
    return None


def _also(claim: str, first: str, card: Card, language: str) -> Citation | None:
    """Return the quote of another card that says what the first does, or the rest of the claim."""
    wanted = frozenset(terms(claim, language))
    rest = wanted.difference(terms(first, language))
    sought = rest if len(rest) >= ADDED else wanted
    quote = quote_for(sought, card, language)
    if quote is None or len(sought.intersection(terms(quote.quote, language))) < STRONG * len(
        sought
    ):
        return None
    said = quote.quote if sought is wanted else f"{first} {quote.quote}"
    if not set(FIGURE.findall(claim)) <= set(FIGURE.findall(said)):
        return None
    return None if opposed(claim, quote.quote, language=language) else quote
