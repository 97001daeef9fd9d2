"""From hits to what a model may read: cards packed under a token budget, fenced and numbered.

The fence escapes what it holds, so a retrieved text can neither close it nor open another, and
`unfence` gives back what was put in.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from antiphon.tools.retrieval.analysis import beginnings
from antiphon.tools.retrieval.marks import private
from antiphon.tools.retrieval.passages import Hit
from antiphon.tools.retrieval.sentences import sentences
from antiphon.tools.retrieval.versions import distinct
from antiphon.tools.stored import Stored
from antiphon.tools.tokens import TokenCounter


@dataclass(frozen=True, slots=True, kw_only=True)
class Card(Stored):
    """One numbered passage as the model sees it."""

    number: int
    """1-based; the answer cites it as [number]."""
    source: str
    title: str
    heading: str
    text: str
    """Verbatim, possibly cut at the end to fit the budget."""
    start: int
    """Offset of `text` in the source."""
    tokens: int
    """Tokens of the card in its fence."""
    score: float
    updated: str = ""
    language: str = ""
    """Of the passage; empty where it is not known, as in a card read from a prompt."""
    mark: str = ""
    """How a model names it, in a card read from a prompt; else empty."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Citation(Stored):
    """A verbatim quote that supports a sentence of the answer."""

    id: int
    source: str
    title: str
    quote: str
    start: int
    end: int
    heading: str = ""
    """The headings above the quote joined by ` > `; in a PDF they name its page."""


WORTH_CUTTING_TOKENS = 100
"""A passage is cut into what is left of the budget only when more than this is left."""
ROW = re.compile(r"^[ \t]*\|.*\|[ \t]*$", re.MULTILINE)
PASSAGE = re.compile(
    r'<passage number="(\d+)" mark="([^"<>]*)" source="([^"<>]*)" title="([^"<>]*)"'
    r' heading="([^"<>]*)" start="(\d+)" updated="([^"<>]*)">\n([^<>]*)\n</passage>'
)
RESULT = re.compile(r'<tool_result name="([^"<>]*)" ok="(true|false)">\n([^<>]*)\n</tool_result>')
ESCAPES: Mapping[str, str] = {
    "&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "\n": "&#10;", "\r": "&#13;",
}  # fmt: skip
IN_TEXT = str.maketrans({c: ESCAPES[c] for c in "&<>"})
IN_ATTRIBUTE = str.maketrans(dict(ESCAPES))
ENTITY = re.compile("|".join(ESCAPES.values()))
UNESCAPED = {entity: character for character, entity in ESCAPES.items()}


def pack(
    hits: Sequence[Hit], *, budget_tokens: int, tokens: TokenCounter, query: str = ""
) -> tuple[Card, ...]:
    """Return the most relevant passages that fit, cut to what bears on `query` where they do not.

    The first stays whole when it fits. Where not all of the rest fit, each may take half of what
    is left, so that more of them are seen. Of near-identical passages only the newest stays, in
    the place of the most relevant.
    """
    found, _ = distinct(sorted(hits, key=lambda hit: -hit.score))
    whole = [_counted(_card(hit, number), tokens) for number, hit in enumerate(found, start=1)]
    worth = _worth(query, found)
    cards: list[Card] = []
    left, waiting = budget_tokens, sum(card.tokens for card in whole)
    for card in whole:
        room = left if not cards or waiting <= left else _share(left)
        waiting -= card.tokens
        fits: Card | None = replace(card, number=len(cards) + 1)
        if card.tokens > room:
            fits = _excerpt(card, room, worth, tokens) if room > WORTH_CUTTING_TOKENS else None
        if fits is not None:
            cards.append(replace(fits, number=len(cards) + 1))
            left -= fits.tokens
    return tuple(cards)


def fence(cards: Sequence[Card], *, tag: str = "") -> str:
    """Return the cards as numbered `<passage>` elements, each with its mark, under `tag`."""
    return "\n".join(
        f'<passage number="{card.number}" mark="{private(card.number, tag)}"'
        f' source="{_attribute(card.source)}" title="{_attribute(card.title)}"'
        f' heading="{_attribute(card.heading)}"'
        f' start="{card.start}" updated="{_attribute(card.updated)}">\n'
        f"{card.text.translate(IN_TEXT)}\n</passage>"
        for card in cards
    )


def unfence(text: str) -> tuple[Card, ...]:
    """Return the cards fenced anywhere in a text; `tokens` and `score`, never fenced, are 0."""
    return tuple(
        Card(
            number=int(number), source=_plain(source), title=_plain(title),
            heading=_plain(heading), text=_plain(body), start=int(start), tokens=0, score=0.0,
            updated=_plain(updated), mark=mark,
        )
        for number, mark, source, title, heading, start, updated, body in PASSAGE.findall(text)
    )  # fmt: skip


def fence_result(name: str, ok: bool, text: str) -> str:
    """Return what a tool gave as a `<tool_result>` element."""
    flag = "true" if ok else "false"
    body = text.translate(IN_TEXT)
    return f'<tool_result name="{_attribute(name)}" ok="{flag}">\n{body}\n</tool_result>'


def unfence_results(text: str) -> tuple[tuple[str, bool, str], ...]:
    """Return name, success and text of each tool result fenced anywhere in a text."""
    return tuple(
        (_plain(name), ok == "true", _plain(body)) for name, ok, body in RESULT.findall(text)
    )


def _attribute(value: str) -> str:
    return value.translate(IN_ATTRIBUTE)


def _plain(value: str) -> str:
    return ENTITY.sub(lambda match: UNESCAPED[match.group()], value)


def _card(hit: Hit, number: int) -> Card:
    passage = hit.passage
    return Card(
        number=number, source=passage.source, title=passage.title, heading=passage.heading,
        text=passage.text, start=passage.start, tokens=0, score=hit.score,
        updated=passage.updated, language=passage.language,
    )  # fmt: skip


def _counted(card: Card, tokens: TokenCounter) -> Card:
    """Return the card with its tokens: those of its fence, since the model reads that too."""
    return replace(card, tokens=tokens.count(fence((card,)) + "\n"))


def _share(left: int) -> int:
    """Return half of what is left, or all of it where the other half would not be worth a cut."""
    half = max(left // 2, WORTH_CUTTING_TOKENS + 1)
    return left if left - half <= WORTH_CUTTING_TOKENS else half


def _worth(query: str, hits: Sequence[Hit]) -> dict[str, float]:
    """Return what each term of the query is worth: the fewer of the passages hold it, the more."""
    held = [set(beginnings(hit.passage.searchable, hit.passage.language)) for hit in hits]
    languages = {hit.passage.language for hit in hits}
    asked = {term for language in languages for term in beginnings(query, language)}
    return {
        term: math.log(1 + (len(held) - among + 0.5) / (among + 0.5))
        for term in asked
        if (among := sum(term in one for one in held))
    }


def _excerpt(
    card: Card, budget: int, worth: Mapping[str, float], tokens: TokenCounter
) -> Card | None:
    """Return the card with the run of sentences that fits and bears most on the query, or None.

    Its beginning is taken where no run is better, and where a table would lose its header.
    """
    text = card.text
    spans = [] if ROW.search(text) else sentences(text)
    held = [worth.keys() & set(beginnings(text[start:end])) for start, end in spans]
    frame = _counted(replace(card, text=""), tokens).tokens
    best, chosen, last = 0.0, (0, 0), 0
    for first, (start, _) in enumerate(spans):
        last = max(last, first)
        while (
            last < len(spans)
            and frame + tokens.count(text[start : spans[last][1]].translate(IN_TEXT)) < budget
        ):
            last += 1
        value = sum(worth[term] for term in set().union(*held[first:last]))
        if value > best:
            best, chosen = value, (start, spans[last - 1][1])
    start, end = chosen
    if start:
        run = _counted(replace(card, text=text[start:end], start=card.start + start), tokens)
        if run.tokens <= budget:
            return run
    return _cut(card, budget, tokens)


def _cut(card: Card, budget: int, tokens: TokenCounter) -> Card | None:
    """Return the card with the longest beginning of its text that fits, or None.

    It ends with a sentence when that keeps at least half of what fits, else with a word.
    """
    low, high = 0, len(card.text) - 1
    while low < high:
        middle = (low + high + 1) // 2
        fits = _counted(replace(card, text=card.text[:middle]), tokens).tokens <= budget
        low, high = (middle, high) if fits else (low, middle - 1)
    for end in (_sentence_end(card.text, low), _word_end(card.text, low)):
        cut = _counted(replace(card, text=card.text[:end]), tokens)
        if end and end * 2 >= low and cut.tokens <= budget:
            return cut
    return None


def _sentence_end(text: str, limit: int) -> int:
    """Return the end of the last sentence within the limit, 0 without one."""
    return max((end for _, end in sentences(text) if end <= limit), default=0)


def _word_end(text: str, limit: int) -> int:
    """Return the end of the last whole word within the limit; the limit in unspaced text."""
    spaces = [match.start() for match in re.finditer(r"\s+", text[: limit + 1])]
    return spaces[-1] if spaces and spaces[-1] else limit
