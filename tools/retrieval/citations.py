"""What an answer rests on: each [n] becomes a verbatim quote with its place in the source.

Support is lexical: the share of an answer's content words that its evidence has. On the human
ratings of MT-RAG that precision agrees better with people than the judging models published
beside them, and it takes no model.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from dataclasses import replace

from antiphon.tools.retrieval.analysis import terms
from antiphon.tools.retrieval.context import Card, Citation
from antiphon.tools.retrieval.sentences import Span, sentences

MARKERS = re.compile(r"(?:[ \t]*\[\d{1,3}(?:[ \t]*,[ \t]*\d{1,3})*\])+(?!\()")
"""A run of markers: ` [1]`, `[1][2]`, `[1, 2]`; not the text of a link."""
CODE = re.compile(r"```.*?(?:```|\Z)|`[^`\n]+`", re.DOTALL)
LONGEST_QUOTE = 3
"""Sentences in one quote, at most."""
EXTRA_SENTENCE = 1.5
"""Content words that one more sentence must add to be quoted too."""


def cite(
    answer: str, cards: Sequence[Card], *, language: str = "en"
) -> tuple[str, tuple[Citation, ...]]:
    """Return the answer with its markers checked and renumbered, and the quotes they stand for.

    A marker goes where no card has its number or the card shares no content word with the
    sentence. Ids count from 1 in order of first appearance; one quote has one id.
    """
    book = {card.number: card for card in cards}
    claims = _claims(answer)
    code = [match.span() for match in CODE.finditer(answer)]
    found: dict[tuple[str, int, int], Citation] = {}

    def renumbered(run: re.Match[str]) -> str:
        if any(start <= run.start() < end for start, end in code):
            return run.group()
        wanted = frozenset(terms(_claim_before(run.end(), answer, claims), language))
        named = [book[n] for n in map(int, re.findall(r"\d+", run.group())) if n in book]
        quotes = [quote for card in named if (quote := _quote(wanted, card, language))]
        for quote in quotes:
            found.setdefault(_place(quote), replace(quote, id=len(found) + 1))
        ids = dict.fromkeys(found[_place(quote)].id for quote in quotes)
        space = run.group()[: run.group().index("[")] if ids else ""
        return space + "".join(f"[{id_}]" for id_ in ids)

    return MARKERS.sub(renumbered, answer).strip(), tuple(found.values())


def support(answer: str, evidence: Sequence[str], *, language: str = "en") -> float | None:
    """Return the share of the answer's content words that the evidence has, None without any."""
    words = terms(MARKERS.sub("", answer), language)
    if not words:
        return None
    known = {word for text in evidence for word in terms(text, language)}
    return sum(word in known for word in words) / len(words)


def _claims(answer: str) -> list[Span]:
    """Return the sentences of the answer that say something beside their markers."""
    spans = sentences(answer)
    return [span for span in spans if MARKERS.sub("", answer[slice(*span)]).strip(" \t.,;:")]


def _claim_before(position: int, answer: str, claims: Sequence[Span]) -> str:
    """Return the sentence that a marker ending at the position belongs to, without markers."""
    begun = [span for span in claims if span[0] < position]
    return MARKERS.sub("", answer[slice(*begun[-1])]) if begun else ""


def _quote(wanted: AbstractSet[str], card: Card, language: str) -> Citation | None:
    """Return the run of sentences in the card that shares most content words with a claim."""
    spans = sentences(card.text)
    words = [frozenset(terms(card.text[slice(*span)], language)) for span in spans]
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
    return Citation(
        id=0, source=card.source, title=card.title, quote=card.text[start:end],
        start=card.start + start, end=card.start + end,
    )  # fmt: skip


def _place(citation: Citation) -> tuple[str, int, int]:
    return citation.source, citation.start, citation.end
