"""What an answer rests on: each mark becomes a verbatim quote with its place in the source.

What backs a sentence is told by words here; where its claims were judged, the judgements tell.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Callable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import replace
from functools import cache, lru_cache
from itertools import count

from antiphon.tools.retrieval.analysis import terms
from antiphon.tools.retrieval.context import Card, Citation
from antiphon.tools.retrieval.marks import CODE, MARKERS, Mark, Marked, bracketed, read, write
from antiphon.tools.retrieval.sentences import HEADING, Span, sentences

__all__ = [
    "CODE", "FEWEST_WORDS", "FIGURE", "MARKERS", "NO_CLAIM", "STRONG", "Backing", "by_words",
    "cite", "cited", "quote_for", "support", "units", "verbatim",
]  # fmt: skip

LONGEST_QUOTE = 3
"""Sentences in one quote, at most."""
EXTRA_SENTENCE = 1.5
"""Content words that one more sentence must add to be quoted too."""
FEWEST_WORDS = 3
"""Content words from which a sentence says enough to be judged."""
NO_CLAIM = ("?", "？", "؟", ":", "：")
"""How a sentence ends that asks or introduces."""
STRONG = 0.6
"""Share of a claim's content words from which an unmarked answer is cited on its own.

Four in five sentences of MTRAG's reference answers reach it in their own passages, one in a hundred
in those of another question.
"""
FIGURE = re.compile(r"\d+(?:[.,]\d+)*")


Backing = Callable[[Span, Sequence[int]], Mapping[int, Citation]]
"""Which quotes back what a span of the answer says, by the number of their card.

It is given the numbers that the answer names there; none where an answer names nowhere any.
"""


def cite(
    answer: str, cards: Sequence[Card], *, language: str = "en", tag: str = ""
) -> tuple[str, tuple[Citation, ...]]:
    """Return a model's answer with its citations, and the quotes they stand for, told by words.

    A mark goes where no card has its number or the card shares no content word with the sentence.
    An answer without any gets one where a card strongly supports a sentence. `tag`: of the marks.
    """
    marked = read(answer, tag=tag, texts=[card.text for card in cards])
    return cited(marked, by_words(marked.text, cards, language))


def cited(marked: Marked, backing: Backing) -> tuple[str, tuple[Citation, ...]]:
    """Return the answer with the ids of its citations, and the quotes they stand for.

    Ids count up from 1 in order of first appearance, without the numbers that the answer's own text
    has in brackets; one quote has one id, and stands once in a sentence. Where no mark is at all,
    each sentence is marked that something backs.
    """
    spans = units(marked.text)
    if not marked.marks:
        marked = _marked(marked, spans, backing)
    taken = bracketed(marked.text).union(*(bracketed(mark.shown) for mark in marked.marks))
    free = (number for number in count(1) if number not in taken)
    found: dict[tuple[str, int, int], Citation] = {}
    said: dict[Span, set[int]] = {}
    shown: list[list[int]] = []
    for mark in marked.marks:
        span = _unit_before(mark.at, spans)
        backs = backing(span, mark.numbers)
        doubtful = mark.shown and backs.keys().isdisjoint(mark.numbers)
        ids: list[int] = []
        for quote in () if doubtful else backs.values():
            if _place(quote) not in found:
                found[_place(quote)] = replace(quote, id=next(free))
            ids.append(found[_place(quote)].id)
        once = said.setdefault(span, set())
        shown.append([number for number in dict.fromkeys(ids) if number not in once])
        once.update(ids)
    return write(marked, shown), tuple(found.values())


def by_words(text: str, cards: Sequence[Card], language: str) -> Backing:
    """Return what backs the sentences of a text by the content words that they share."""
    book = {card.number: card for card in cards}

    @cache
    def wanted(span: Span) -> frozenset[str]:
        return frozenset(terms(text[slice(*span)], language))

    @cache
    def quoted(span: Span, number: int) -> Citation | None:
        return quote_for(wanted(span), book[number], language)

    def backing(span: Span, named: Sequence[int]) -> Mapping[int, Citation]:
        if not named:
            card = _backing(text[slice(*span)], cards, language)
            named = () if card is None else (card.number,)
        return {n: quote for n in named if n in book and (quote := quoted(span, n))}

    return backing


def units(text: str) -> tuple[Span, ...]:
    """Return the sentences that say something; one over several lines is one a line."""
    return tuple(
        (start, end) for start, end in _lines(text) if text[start:end].strip(" \t.,;:|*_-")
    )


def verbatim(citation: Citation, text: str, *, start: int = 0) -> bool:
    """Tell whether the quote stands at its place in a text that begins at `start` of the source."""
    at, end = citation.start - start, citation.end - start
    return bool(citation.quote) and at >= 0 and text[at:end] == citation.quote


def support(answer: str, evidence: Sequence[str], *, language: str = "en") -> float | None:
    """Return the share of the answer's content words that the evidence has, None without any."""
    words = terms(MARKERS.sub("", answer), language)
    if not words:
        return None
    known = {word for text in evidence for word in terms(text, language)}
    return sum(word in known for word in words) / len(words)


def _lines(text: str) -> Iterator[Span]:
    for start, end in sentences(text):
        at = start
        for line in text[start:end].split("\n"):
            if line.strip():
                yield at, at + len(line)
            at += len(line) + 1


def _marked(marked: Marked, spans: Sequence[Span], backing: Backing) -> Marked:
    """Return an answer without marks with one after each sentence that something backs."""
    text = marked.text
    code = [match.span() for match in CODE.finditer(text)]
    marks = [
        Mark(at=span[1], numbers=tuple(numbers), gap=" ")
        for span in spans
        if not _within(span, code)
        and not HEADING.match(text, text.rfind("\n", 0, span[0]) + 1)
        and (numbers := backing(span, ()))
    ]
    return replace(marked, marks=tuple(marks))


def _backing(claim: str, cards: Sequence[Card], language: str) -> Card | None:
    """Return the card whose quote holds most of a claim and all its figures, if it is enough."""
    wanted = frozenset(terms(claim, language))
    if len(wanted) < FEWEST_WORDS:
        return None
    best, best_share = None, STRONG
    for card in cards:
        quote = quote_for(wanted, card, language)
        if quote is None or not set(FIGURE.findall(claim)) <= set(FIGURE.findall(quote.quote)):
            continue
        share = len(wanted.intersection(terms(quote.quote, language))) / len(wanted)
        if share > best_share or (best is None and share == best_share):
            best, best_share = card, share
    return best


def _within(span: Span, code: Sequence[Span]) -> bool:
    before = bisect_left(code, (span[1],))
    return before > 0 and code[before - 1][1] > span[0]


def _unit_before(position: int, spans: Sequence[Span]) -> Span:
    """Return the sentence that a mark at the position belongs to, empty without one."""
    begun = bisect_left(spans, (position,))
    return spans[begun - 1] if begun else (0, 0)


def quote_for(wanted: AbstractSet[str], card: Card, language: str) -> Citation | None:
    """Return the run of sentences in the card that shares most content words with a claim."""
    spans, words = _said(card.text, language)
    best, best_rank = None, (0.0, 0.0)
    for first in range(len(spans)):
        held: frozenset[str] = frozenset()
        for last in range(first, min(first + LONGEST_QUOTE, len(spans))):
            held |= words[last]
            shared = len(held & wanted)
            rank = (shared - EXTRA_SENTENCE * (last - first), shared / (len(held) or 1))
            if shared and rank > best_rank:
                best, best_rank = (spans[first][0], spans[last][1]), rank
    if best is None:
        return None
    start, end = best
    quoted = Citation(
        id=0, source=card.source, title=card.title, quote=card.text[start:end],
        start=card.start + start, end=card.start + end, heading=card.heading,
    )  # fmt: skip
    return quoted if verbatim(quoted, card.text, start=card.start) else None


@lru_cache(maxsize=256)
def _said(text: str, language: str) -> tuple[tuple[Span, ...], tuple[frozenset[str], ...]]:
    """Return the sentences of a text and the content words of each: every claim asks again."""
    spans = sentences(text)
    return spans, tuple(frozenset(terms(text[slice(*span)], language)) for span in spans)


def _place(citation: Citation) -> tuple[str, int, int]:
    return citation.source, citation.start, citation.end
