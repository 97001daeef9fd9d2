"""The figures of two texts held against each other: what is missing, and what is another's.

`quantities` reads figures with their units; here figures that people write out are put in digits
first ("twenty-five euros", "six dollars and fifty cents", "a year and a half", "EUR 150"), and a
number without a unit counts by its value alone.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from antiphon.tools.claims.quantities import Quantity, quantities

_TENS = {
    "twenty": 20, "thirty": 30, "forty": 40, "fifty": 50, "sixty": 60, "seventy": 70,
    "eighty": 80, "ninety": 90,
}  # fmt: skip
_ONES = {
    "one": 1, "two": 2, "three": 3, "four": 4, "five": 5, "six": 6, "seven": 7, "eight": 8,
    "nine": 9,
}  # fmt: skip
_SMALL = _ONES | {
    "ten": 10, "eleven": 11, "twelve": 12, "thirteen": 13, "fourteen": 14, "fifteen": 15,
    "sixteen": 16, "seventeen": 17, "eighteen": 18, "nineteen": 19,
    "zwei": 2, "drei": 3, "vier": 4, "fünf": 5, "sechs": 6, "sieben": 7, "acht": 8, "neun": 9,
    "zehn": 10, "elf": 11, "zwölf": 12, "zwanzig": 20, "dreißig": 30, "vierzig": 40,
    "fünfzig": 50, "sechzig": 60, "neunzig": 90, "hundert": 100,
    "twice": 2, "thrice": 3, "zweimal": 2, "dreimal": 3,
} | _TENS  # fmt: skip
_TEN, _ONE = "|".join(_TENS), "|".join(_ONES)
_ANY = "|".join(sorted(_SMALL, key=len, reverse=True))
_COINS = r"cents?|pence|p"
_MONEY = r"euros?|eur|dollars?|usd|pounds?|gbp"
_AMOUNT = r"\d{1,3}(?:[.,]\d{3})+(?!\d)|\d+(?:[.,]\d+)?"
_THOUSANDS = re.compile(r"\d{1,3}(?:[.,]\d{3})+")
_PARTS_OF = {
    "hour": (60, "minutes"), "day": (24, "hours"), "week": (7, "days"), "year": (12, "months"),
    "minute": (60, "seconds"),
}  # fmt: skip
_SHARES = {"half": 0.5, "third": 1 / 3, "quarter": 0.25, "fifth": 0.2, "tenth": 0.1}
_HUNDREDS = rf"(?:(?:an?|{_ANY})[ -](?:hundred|thousand))"
_COMPOUND = rf"(?:(?:{_TEN})[- ](?:{_ONE}))"
_WORDED = re.compile(
    rf"\b(?:{_HUNDREDS}(?:,? and|,)? )+(?:{_COMPOUND}|{_HUNDREDS}|{_ANY})\b"
    rf"|\b(?:{_COMPOUND}|{_HUNDREDS})\b"
    rf"|\b(?:{_ANY})(?=[ -](?:and a half\b|{_MONEY}|{_COINS}))",
    re.IGNORECASE,
)
"""A number in words that `quantities` would not read whole."""
_REWRITTEN: tuple[tuple[re.Pattern[str], Callable[[re.Match[str]], str]], ...] = (
    (_WORDED, lambda m: str(_number(m[0]))),
    (
        re.compile(rf"\b(\d+) ({_MONEY})(?:,| and)? (\d{{1,2}})(?: (?:{_COINS}))\b", re.IGNORECASE),
        lambda m: f"{m[1]}.{int(m[3]):02d} {m[2]}",
    ),
    (
        re.compile(rf"\b(EUR|USD|GBP|CHF)\s?({_AMOUNT})\b(?! (?:{_MONEY}))"),
        lambda m: f"{m[2]} {m[1]}",
    ),
    (
        re.compile(r"\b(?:(\d+)|an?|one) (hour|day|week|year)s? and a half\b", re.IGNORECASE),
        lambda m: _part(float(m[1] or 1) + 0.5, m[2]),
    ),
    (
        re.compile(r"\b(\d+) and a half (hour|day|week|year)s\b", re.IGNORECASE),
        lambda m: _part(float(m[1]) + 0.5, m[2]),
    ),
    (
        re.compile(
            r"\b(?:half|an? (half|third|quarter)(?: of)?|(three) quarters of)"
            r"(?: an?| the)? (hour|day|week|year|minute)\b",
            re.IGNORECASE,
        ),
        lambda m: _part(0.75 if m[2] else _SHARES[(m[1] or "half").lower()], m[3]),
    ),
    (
        re.compile(
            r"\b(\d{1,2})(:\d{2})?(\s*(?:-|–|to|and|until)\s*)(\d{1,2})(:\d{2})? ?([ap]m)\b"
        ),
        lambda m: (
            f"{m[1]}{m[2] or ''} {m[6]}{m[3]}{m[4]}{m[5] or ''} {m[6]}"
            if int(m[1]) < int(m[4])
            else m[0]
        ),
    ),
    (
        re.compile(
            r"\b(\d+|another) (?:(?:more|further|additional|extra) )?"
            r"(minute|hour|day|week|month|year)(?=s?\b)"
        ),
        lambda m: f"{'1' if m[1] == 'another' else m[1]} {m[2]}",
    ),
    (
        re.compile(rf"\b(\d{{1,2}}|{_ANY}) (?:o'clock )?in the (morning|evening|afternoon)\b"),
        lambda m: f"{_value(m[1]):.0f} {'a' if m[2] == 'morning' else 'p'}m",
    ),
)
_LONE = re.compile(rf"(?<![\w.,:])(?:{_AMOUNT}|{_ANY})(?![\w]|[.,:]\d)", re.IGNORECASE)
_INSIDE = re.compile(rf"{_AMOUNT}|{_ANY}", re.IGNORECASE)
_MOST = re.compile(
    r"(?:\b(?:up to|at most|no(?:t)? more than|no longer than|as many as|at the most"
    r"|maximum(?: of)?|höchstens|bis zu|maximal))\s*\Z",
    re.IGNORECASE,
)
_LEAST = re.compile(
    r"(?:\b(?:at least|no(?:t)? less than|no fewer than|minimum(?: of)?|(?<!no )(?<!not )more than"
    r"|over|above|mindestens|mehr als))\s*\Z",
    re.IGNORECASE,
)
_BEFORE = 22
FEW = 2
"""Counts up to it are said in many ways ("a photo of each"), so that their absence says nothing."""


def _number(words: str) -> int:
    """Return the value of a number in words: one hundred and fifty-five."""
    total = last = 0
    for word in re.findall(r"\w+", words.lower()):
        if word in ("hundred", "thousand"):
            total += (last or 1) * (100 if word == "hundred" else 1000)
            last = 0
        elif word in _SMALL:
            last += _SMALL[word]
        elif word in ("a", "an"):
            last = 1
    return total + last


def _part(share: float, unit: str) -> str:
    count, smaller = _PARTS_OF[unit.lower()]
    return f"{share * count:g} {smaller}"


def _value(said: str) -> float:
    number = _SMALL.get(said.lower())
    if number is not None:
        return float(number)
    if _THOUSANDS.fullmatch(said):
        return float(re.sub(r"[.,]", "", said))
    return float(said.replace(",", "."))


def in_digits(text: str) -> str:
    """Return the text with written-out amounts in digits."""
    for pattern, rewritten in _REWRITTEN:
        text = pattern.sub(rewritten, text)
    return text


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """A figure of a text: with a unit (`quantity`), or a number alone."""

    said: str
    values: tuple[float, ...]
    quantity: Quantity | None = None
    bound: str = ""
    """`most`, `least`, or nothing."""

    @property
    def kind(self) -> str:
        """What it is a figure of; empty for a number alone or a count of things."""
        kind = self.quantity.kind if self.quantity is not None else ""
        return "" if kind.startswith("count of") else kind

    @property
    def telling(self) -> bool:
        """Whether its absence says something: a measure in digits or words, or a larger count."""
        if not self.values:
            return False
        return bool(self.kind) or max(self.values) > FEW

    def same(self, other: Figure) -> bool:
        """Tell whether both can be the same value of the same thing."""
        if self.kind and other.kind and self.quantity is not None and other.quantity is not None:
            return self.quantity.meets(other.quantity) or (
                {self.kind, other.kind} == {"duration", "working days"}
                and self.values == other.values
            )
        return bool(set(self.values) & set(other.values))


def figures(text: str) -> tuple[Figure, ...]:
    """Return the figures of a text, those of measures first."""
    text = in_digits(text)
    found: list[Figure] = []
    rest = text
    for one in quantities(text):
        at = rest.find(one.said)
        values = tuple(_value(part) for part in _INSIDE.findall(one.said))
        if one.kind == "clock" and not values:
            values = (one.low / 60,)
        bound = _bound(text, text.find(one.said))
        found.append(Figure(said=one.said, values=values, quantity=one, bound=bound))
        if at >= 0:
            rest = f"{rest[:at]}{' ' * len(one.said)}{rest[at + len(one.said) :]}"
    for match in _LONE.finditer(rest):
        if match[0].lower() != "one":
            bound = _bound(rest, match.start())
            found.append(Figure(said=match[0], values=(_value(match[0]),), bound=bound))
    return tuple(found)


def _bound(text: str, at: int) -> str:
    before = text[max(0, at - _BEFORE) : at]
    return "most" if _MOST.search(before) else "least" if _LEAST.search(before) else ""


def lacking(wanted: Sequence[Figure], said: Sequence[Figure]) -> list[Figure]:
    """Return the telling figures of `wanted` that are not among those said."""
    return [one for one in wanted if one.telling and not any(one.same(each) for each in said)]


def turned(one: Sequence[Figure], other: Sequence[Figure]) -> list[tuple[Figure, Figure]]:
    """Return figures of the same value of which one is an upper and the other a lower bound."""
    return [
        (mine, theirs)
        for mine in one
        for theirs in other
        if {mine.bound, theirs.bound} == {"most", "least"} and mine.same(theirs)
    ]
