"""What an answer rests on: each [n] becomes a verbatim quote with its place in the source.

Support is lexical: the share of an answer's content words that its evidence has. On the human
ratings of MT-RAG that precision agrees better with people than the judging models published
beside them, and it takes no model.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from dataclasses import replace
from functools import cache, lru_cache

from antiphon.tools.retrieval.analysis import terms
from antiphon.tools.retrieval.context import Card, Citation
from antiphon.tools.retrieval.sentences import HEADING, MARKER, Span, sentences

MARKERS = re.compile(r"(?:(?:(?<![ \t])[ \t]+)?\[\d{1,3}(?:[ \t]*,[ \t]*\d{1,3})*\])+(?!\()")
"""A run of markers: ` [1]`, `[1][2]`, `[1, 2]`; not the text of a link."""
CODE = re.compile(r"```.*?(?:```|\Z)|`[^`\n]+`", re.DOTALL)
CONTEXT = 12
"""Letters before a bracketed number by which a card's own is recognised."""
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


def cite(
    answer: str, cards: Sequence[Card], *, language: str = "en"
) -> tuple[str, tuple[Citation, ...]]:
    """Return the answer with its markers checked and renumbered, and the quotes they stand for.

    A marker goes where no card has its number or the card shares no content word with the
    sentence. An answer without any gets one where a card strongly supports a sentence. Ids count
    from 1 in order of first appearance; one quote has one id. A bracketed number that a card's own
    text has there (`items[0]`, a footnote) is no marker and stays.
    """
    if not any(not _own(run, cards) for run in MARKERS.finditer(answer)):
        answer = _marked(answer, cards, language)
    book = {card.number: card for card in cards}
    claims = _claims(answer)
    code = [match.span() for match in CODE.finditer(answer)]
    found: dict[tuple[str, int, int], Citation] = {}

    @cache
    def wanted(claim: Span) -> frozenset[str]:
        return frozenset(terms(MARKERS.sub("", answer[slice(*claim)]), language))

    @cache
    def quoted(claim: Span, number: int) -> Citation | None:
        return _quote(wanted(claim), book[number], language)

    def renumbered(run: re.Match[str]) -> str:
        if _within((run.start(), run.end()), code) or _own(run, cards):
            return run.group()
        claim = _claim_before(run.end(), claims)
        named = dict.fromkeys(map(int, re.findall(r"\d+", run.group())))
        quotes = [quote for n in named if n in book and (quote := quoted(claim, n))]
        for quote in quotes:
            found.setdefault(_place(quote), replace(quote, id=len(found) + 1))
        ids = dict.fromkeys(found[_place(quote)].id for quote in quotes)
        space = run.group()[: run.group().index("[")] if ids else ""
        return space + "".join(f"[{id_}]" for id_ in ids)

    return MARKERS.sub(renumbered, answer).strip(), tuple(found.values())


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


def _own(run: re.Match[str], cards: Sequence[Card]) -> bool:
    """Say whether brackets are the text's own: a card has them after the same letters."""
    before = run.string[max(0, run.start() - CONTEXT) : run.start()]
    before = before.rpartition("]")[2].lstrip()
    return bool(before) and any(before + run.group() in card.text for card in cards)


def without(text: str, span: Span) -> str:
    """Return the text without a sentence, and without its line where that leaves a marker only."""
    line = text.rfind("\n", 0, span[0]) + 1
    before, after = text[line : span[0]], text[span[1] :]
    if after[:1] in ("", "\n") and (not before.strip() or MARKER.fullmatch(before)):
        return text[:line] + after[1:]
    return text[: span[0]].rstrip(" ") + after


def _marked(answer: str, cards: Sequence[Card], language: str) -> str:
    """Return an unmarked answer with the number of the best card after what one supports."""
    code = [match.span() for match in CODE.finditer(answer)]
    for span in reversed(sentences(answer)):
        line = answer.rfind("\n", 0, span[0]) + 1
        if _within(span, code) or HEADING.match(answer, line):
            continue
        card = _backing(answer[slice(*span)], cards, language)
        if card is not None:
            answer = f"{answer[: span[1]]} [{card.number}]{answer[span[1] :]}"
    return answer


def _backing(claim: str, cards: Sequence[Card], language: str) -> Card | None:
    """Return the card whose quote holds most of a claim and all its figures, if it is enough."""
    wanted = frozenset(terms(claim, language))
    if len(wanted) < FEWEST_WORDS:
        return None
    best, best_share = None, STRONG
    for card in cards:
        quote = _quote(wanted, card, language)
        if quote is None or not set(FIGURE.findall(claim)) <= set(FIGURE.findall(quote.quote)):
            continue
        share = len(wanted.intersection(terms(quote.quote, language))) / len(wanted)
        if share > best_share or (best is None and share == best_share):
            best, best_share = card, share
    return best


def _within(span: Span, code: Sequence[Span]) -> bool:
    before = bisect_left(code, (span[1],))
    return before > 0 and code[before - 1][1] > span[0]


def _claims(answer: str) -> list[Span]:
    """Return the sentences of the answer that say something beside their markers."""
    spans = sentences(answer)
    return [span for span in spans if MARKERS.sub("", answer[slice(*span)]).strip(" \t.,;:")]


def _claim_before(position: int, claims: Sequence[Span]) -> Span:
    """Return the sentence that a marker ending at the position belongs to, empty without one."""
    begun = bisect_left(claims, (position,))
    return claims[begun - 1] if begun else (0, 0)


def _quote(wanted: AbstractSet[str], card: Card, language: str) -> Citation | None:
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
