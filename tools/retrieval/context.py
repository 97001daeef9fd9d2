"""From hits to what a model may read: cards packed under a token budget, fenced and numbered.

The fence escapes what it holds, so a retrieved text can neither close it nor open another, and
`unfence` gives back what was put in.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from antiphon.tools.retrieval.passages import Hit, Passage
from antiphon.tools.retrieval.sentences import sentences
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Citation(Stored):
    """A verbatim quote that supports a sentence of the answer."""

    id: int
    source: str
    title: str
    quote: str
    start: int
    end: int


WORTH_CUTTING_TOKENS = 100
"""A passage is cut into what is left of the budget only when more than this is left."""
SAME_WORDS = 0.95
"""Word overlap (Jaccard) from which any two passages say the same."""
VERSION_WORDS = 0.75
"""The same where two sources use one title and heading: an old and a new version of a text."""

WORDS = re.compile(r"\w+")
PASSAGE = re.compile(
    r'<passage number="(\d+)" source="([^"<>]*)" title="([^"<>]*)" heading="([^"<>]*)"'
    r' start="(\d+)" updated="([^"<>]*)">\n([^<>]*)\n</passage>'
)
RESULT = re.compile(r'<tool_result name="([^"<>]*)" ok="(true|false)">\n([^<>]*)\n</tool_result>')
ESCAPES: Mapping[str, str] = {
    "&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "\n": "&#10;", "\r": "&#13;",
}  # fmt: skip
IN_TEXT = str.maketrans({c: ESCAPES[c] for c in "&<>"})
IN_ATTRIBUTE = str.maketrans(dict(ESCAPES))
ENTITY = re.compile("|".join(ESCAPES.values()))
UNESCAPED = {entity: character for character, entity in ESCAPES.items()}


def pack(hits: Sequence[Hit], *, budget_tokens: int, tokens: TokenCounter) -> tuple[Card, ...]:
    """Return the most relevant passages that fit, the last one cut when that is worth it.

    Of near-identical passages only the newest stays, in the place of the most relevant.
    """
    cards: list[Card] = []
    left = budget_tokens
    for hit in _distinct(sorted(hits, key=lambda hit: -hit.score)):
        card = _counted(_card(hit, len(cards) + 1), tokens)
        if card.tokens > left:
            cut = _cut(card, left, tokens) if left > WORTH_CUTTING_TOKENS else None
            return (*cards, cut) if cut else tuple(cards)
        cards.append(card)
        left -= card.tokens
    return tuple(cards)


def fence(cards: Sequence[Card]) -> str:
    """Return the cards as numbered `<passage>` elements, one after another."""
    return "\n".join(
        f'<passage number="{card.number}" source="{_attribute(card.source)}"'
        f' title="{_attribute(card.title)}" heading="{_attribute(card.heading)}"'
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
            updated=_plain(updated),
        )
        for number, source, title, heading, start, updated, body in PASSAGE.findall(text)
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
        updated=passage.updated,
    )  # fmt: skip


def _counted(card: Card, tokens: TokenCounter) -> Card:
    """Return the card with its tokens: those of its fence, since the model reads that too."""
    return replace(card, tokens=tokens.count(fence((card,)) + "\n"))


def _distinct(hits: Sequence[Hit]) -> list[Hit]:
    """Return the hits without near-duplicates, each group as its newest at its best score."""
    kept: list[tuple[Hit, Counter[str]]] = []
    for hit in hits:
        words = Counter(WORDS.findall(hit.passage.text.casefold()))
        for index, (other, others) in enumerate(kept):
            if _overlap(words, others) >= _limit(hit.passage, other.passage):
                if hit.passage.updated > other.passage.updated:
                    kept[index] = (replace(hit, score=other.score), words)
                break
        else:
            kept.append((hit, words))
    return [hit for hit, _ in kept]


def _limit(one: Passage, other: Passage) -> float:
    """Return how alike two passages must be to count as one."""
    versions = one.source != other.source and (one.title, one.heading) == (
        other.title,
        other.heading,
    )
    return VERSION_WORDS if versions else SAME_WORDS


def _overlap(one: Counter[str], other: Counter[str]) -> float:
    """Return the Jaccard similarity of two bags of words; texts without words are alike."""
    union = (one | other).total()
    return (one & other).total() / union if union else 1.0


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
