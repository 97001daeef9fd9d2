"""Which of the quotable units answer a question: scored, chosen, shown in the source's order.

A unit counts by its nearness in meaning, the question's words it has and its passage's place.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate, groupby

import numpy as np
from numpy.typing import NDArray

from antiphon.tools.models.quotes import Quote
from antiphon.tools.retrieval.context import Card

MOST_QUOTES = 3
RANK_WEIGHT = 0.1
"""What the first passage's place is worth; the second's is half of it."""
HEADING_WORD = 0.5
"""What a word of the question counts that stands above a sentence, not in it."""
WORTH_ADDING = 0.3
"""A further quote must have this share of the best one's lead over the mean."""
LIST_WORTH_ADDING = 2 / 3
"""As above for what takes more than a line or tells of another case: procedures, lists, rows."""
IN_PROSE = 0.6
"""A sentence stands for a row of a table when it scores this share of it."""
SAME_CLAIM = 0.9
"""Cosine from which two sentences speak of the same thing: the newer source's then stands."""
SAME_CLAIM_BY_TITLE = 0.7
"""The same where the sources have one title: most likely two versions of a document."""
REPEATED = 0.92
"""Cosine from which a further quote only repeats one already chosen."""
SAME_FACT = 0.65
"""The same where its figures were all said before: one fact in other words."""

FORMS = {"prose": "prose", "code": "code"}
"""How a kind of unit is shown; the others as lists."""
POINTS_BACK = re.compile(
    r"(?:this|that|these|those|it|its|they|their|he|his|she|her|such|otherwise|then"
    r"|dies(?:e[rs]?)?|es|er|sie|dann|sonst|il|elle|ils|elles|cela|ceci|ces|cette"
    r"|est[aeo]s?|es[ao]s?|él|ellos|ellas|questo|questa|questi|queste|egli|essa|ele|ela|eles|elas"
    r"|deze|dit|zij|hij|acesta|aceasta|aceștia|acestea|bunlar|onlar|nó|họ|điều này"
    r"|он|она|оно|они|это|этот|эта|эти|αυτός|αυτή|αυτό|αυτοί|αυτά|यह|ये|वह|वे|इसके|इसकी|इसका"
    r"|هو|هي|هذا|هذه|وهو|وهي|وكان|وكانت)\b(?!\w)"
    r"|[他她它]们?|这|該|该|其|これ|それ|彼|เขา|เธอ|มัน|ซึ่ง",
    re.IGNORECASE,
)
"""How a sentence begins that cannot be read without the one before."""
SUPERSEDED = re.compile(
    r"\b(?:superseded|outdated|obsolete|archived|deprecated|withdrawn|no longer valid"
    r"|veraltet|überholt|ersetzt|obsolet[oa]|derogad[oa]|périmée?|remplacée?)\b",
    re.IGNORECASE,
)
"""How a title says that another document took its place."""
NUMBER = re.compile(r"\d+(?:\.\d+)*")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Candidate:
    """A quotable unit with how well it answers."""

    quote: Quote
    score: float
    words: Mapping[str, float]
    """The question's words it has, with the share of the question each is worth."""
    vector: NDArray[np.float64]


def standing(question: str, cards: Sequence[Card]) -> list[Card]:
    """Return the cards in their order, those that say they were superseded last.

    They keep their place where the question names their year or version.
    """
    asked = frozenset(NUMBER.findall(question))

    def outdated(card: Card) -> bool:
        return bool(SUPERSEDED.search(card.title)) and not asked & {*NUMBER.findall(card.title)}

    return sorted(cards, key=lambda card: (outdated(card), card.number))


def overlaps(
    asked: Collection[str], said: Sequence[frozenset[str]], about: Sequence[frozenset[str]]
) -> list[dict[str, float]]:
    """Return, per unit, the question's words it has and their share of it: rare ones weigh more.

    A word that only its title or heading has counts by `HEADING_WORD`.
    """
    found = Counter(term for unit in said for term in unit)
    weight = {
        term: math.log(1 + (len(said) - found[term] + 0.5) / (found[term] + 0.5))
        for term in set(asked)
    }
    total = sum(weight.values()) or 1.0
    return [
        {
            term: worth / total * (1.0 if term in own else HEADING_WORD)
            for term, worth in weight.items()
            if term in own or term in over
        }
        for own, over in zip(said, about, strict=True)
    ]


def scored(
    units: Sequence[Quote],
    vectors: NDArray[np.float64],
    nearness: Sequence[float],
    words: Sequence[Mapping[str, float]],
    best: Sequence[Card],
) -> list[Candidate]:
    """Return the units best first, without those that a newer source contradicts or repeats."""
    place = {card.number: RANK_WEIGHT / rank for rank, card in enumerate(best, start=1)}
    candidates = [
        Candidate(
            quote=unit, score=float(near) + sum(held.values()) + place[unit.card.number],
            words=held, vector=vector,
        )
        for unit, vector, near, held in zip(units, vectors, nearness, words, strict=True)
    ]  # fmt: skip
    current = [one for one in candidates if not any(_replaces(two, one) for two in candidates)]
    return sorted(current, key=lambda one: -one.score)


def _replaces(newer: Candidate, older: Candidate) -> bool:
    """Tell whether a later source says something on the same matter."""
    new, old = newer.quote.card, older.quote.card
    if new.source == old.source or not old.updated or new.updated <= old.updated:
        return False
    one_title = new.title.casefold() == old.title.casefold()
    alike = SAME_CLAIM_BY_TITLE if one_title else SAME_CLAIM
    return float(newer.vector @ older.vector) >= alike


def choose(candidates: Sequence[Candidate], max_words: int) -> list[Quote]:
    """Return the best quote and those worth adding under the budget, best first.

    In the best one's passage, what the question asks and no quote has said yet counts twice: the
    sentence that names a thing is often followed by the one that tells of it.
    """
    if not candidates:
        return []
    first = _in_prose(candidates)
    shown = _whole(first.quote, candidates, max_words)
    if not shown:
        # It introduces what is too long to be shown.
        return choose([one for one in candidates if one is not first], max_words)
    chosen = [first]
    usual = sum(one.score for one in candidates) / (1 + len(candidates))
    ahead = first.score - usual
    waiting = [one for one in candidates if one is not first]
    while waiting and len(chosen) < MOST_QUOTES:
        worths = [_worth(one, chosen) for one in waiting]
        worth = max(worths)
        one = waiting.pop(worths.index(worth))
        if worth < usual + WORTH_ADDING * ahead:
            break
        alone = one.quote.kind in ("prose", "item") and not one.quote.introduces
        if not alone and worth < usual + LIST_WORTH_ADDING * ahead:
            continue
        if one.quote in shown or any(_repeats(one, two) for two in chosen):
            continue
        more = [unit for unit in _whole(one.quote, candidates, max_words) if unit not in shown]
        if more and sum(unit.words for unit in (*shown, *more)) <= max_words:
            chosen.append(one)
            shown += more
    return shown


def _worth(one: Candidate, chosen: Sequence[Candidate]) -> float:
    """Return a further quote's score, with what it has of the question and the chosen have not."""
    if one.quote.card is not chosen[0].quote.card or one.quote.kind == "row":
        return one.score
    said = {word for two in chosen for word in two.words}
    return one.score + sum(worth for word, worth in one.words.items() if word not in said)


def _in_prose(candidates: Sequence[Candidate]) -> Candidate:
    """Return the best unit, or the sentence that tells what it tells as a row of a table."""
    first = candidates[0]
    if first.quote.kind != "row":
        return first
    told = (
        one
        for one in candidates
        if one.quote.kind == "prose"
        and one.score >= IN_PROSE * first.score
        and _repeats(first, one)
    )
    return next(told, first)


def _repeats(one: Candidate, other: Candidate) -> bool:
    """Tell whether one unit adds nothing to another: as good as its words, or the same figures."""
    alike = float(one.vector @ other.vector)
    figures = set(NUMBER.findall(one.quote.text))
    same = bool(figures) and figures <= set(NUMBER.findall(other.quote.text))
    return alike >= (SAME_FACT if same else REPEATED)


def _whole(quote: Quote, candidates: Sequence[Candidate], max_words: int) -> list[Quote]:
    """Return the quote with what it is useless without, nothing where that is too long.

    That is the sentence it points back to, the other steps of a procedure, the list, table or code
    of an intro.
    """
    if quote.kind != "step" and not quote.introduces:
        return [*_before(quote, candidates, max_words), quote]
    items = sorted(
        (
            two.quote
            for two in candidates
            if two.quote.card is quote.card
            and two.quote.group == quote.group
            and not two.quote.introduces
        ),
        key=lambda unit: unit.index,
    )
    limit = 2 * max_words if any(unit.kind in ("step", "code") for unit in items) else max_words
    fitting = [
        unit
        for unit, total in zip(items, accumulate(unit.words for unit in items), strict=True)
        if total <= limit
    ]
    if quote.introduces:
        # Items carry the line that introduces them; code does not.
        return [quote, *fitting] if any(unit.kind == "code" for unit in fitting) else fitting
    return items if len(fitting) == len(items) else [quote]


def _before(quote: Quote, candidates: Sequence[Candidate], max_words: int) -> list[Quote]:
    """Return the sentence that a quote points back to or is introduced by, when both fit."""
    introduced = quote.kind == "code" and quote.group
    if not introduced and (quote.kind != "prose" or not POINTS_BACK.match(quote.text)):
        return []
    return [
        two.quote
        for two in candidates
        if two.quote.card is quote.card
        and two.quote.index == quote.index - 1
        and two.quote.kind == "prose"
        and (introduced or two.quote.words + quote.words <= max_words)
    ]


def render(shown: Sequence[Quote]) -> str:
    """Return the quotes with their markers: by passage, best first, in the source's order."""
    order = {number: n for n, number in enumerate(dict.fromkeys(q.card.number for q in shown))}
    placed = sorted(shown, key=lambda unit: (order[unit.card.number], unit.index))
    pieces: list[str] = []
    for form, run in groupby(placed, key=lambda unit: FORMS.get(unit.kind, "list")):
        if form == "list":
            pieces.append("\n".join(_listed(list(run))))
        elif form == "prose":
            pieces.append(" ".join(f"{unit.text} {unit.card.mark}" for unit in run))
        else:
            pieces.extend(_block(unit, placed) for unit in run)
    return "\n".join(pieces)


def _block(unit: Quote, placed: Sequence[Quote]) -> str:
    """Return code in its fence, with a marker of its own where no line introduces it."""
    fence = "~~~" if "```" in unit.text else "```"
    introduced = any(two.introduces and two.group == unit.group for two in placed)
    marker = "" if introduced and unit.group else f"\n{unit.card.mark}"
    return f"{fence}\n{unit.text}\n{fence}{marker}"


def _listed(run: Sequence[Quote]) -> Iterator[str]:
    if len(run) == 1:
        unit = run[0]
        text = f"{unit.lead} {unit.text}" if unit.lead else unit.text
        yield f"{text} {unit.card.mark}"
        return
    lead, step = "", 0
    for unit in run:
        if unit.lead and unit.lead != lead:
            yield unit.lead
            lead, step = unit.lead, 0
        step += 1
        mark = f"{step}." if unit.kind == "step" else "-"
        yield f"{mark} {unit.text} {unit.card.mark}"
