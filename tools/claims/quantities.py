"""Figures with their units, so that 30 days, four weeks and two days, and a month are the same.

A figure contradicts when the evidence that speaks of the same thing gives another value of the same
kind, and the claim's own value nowhere. A figure without a unit says too little for that: a
sentence may hold several. A bound ("more than 30 days") is held against bounds of its own direction
only.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from antiphon.tools.retrieval.analysis import terms


@dataclass(frozen=True, slots=True, kw_only=True)
class Quantity:
    """A value, or a range, of one kind."""

    kind: str
    """`duration`, `working days`, `clock`, `date`, `year`, `percent`, `money EUR`, `length`,
    `weight`, or `count of` what is counted."""
    low: float
    high: float
    said: str
    """As it stands in the text."""
    bound: Literal["", "least", "most"] = ""
    """Whether it is only named as a bound: "more than", "before"."""

    def keeps(self, bound: Quantity) -> bool:
        """Say whether it keeps within a bound: noon is before 14:00."""
        if self.kind != bound.kind:
            return False
        return self.low <= bound.high if bound.bound == "most" else self.high >= bound.low

    def meets(self, other: Quantity) -> bool:
        """Say whether both can be the same value."""
        return self.kind == other.kind and self.low <= other.high and other.low <= self.high


_HOUR, _DAY, _WEEK = 1.0, 24.0, 168.0
_UNITS: dict[str, tuple[str, float, float]] = {}
"""Word to kind and the least and most that one of it is, in hours, metres, grams."""
for _kind, _low, _high, _words in (
    ("duration", 1 / 60, 1 / 60, "minute minutes min mins minuten"),
    ("duration", _HOUR, _HOUR, "hour hours hr hrs stunde stunden"),
    ("duration", _DAY, _DAY, "day days tag tage tagen"),
    ("duration", _WEEK, _WEEK, "week weeks woche wochen"),
    ("duration", 28 * _DAY, 31 * _DAY, "month months monat monate monaten"),
    ("duration", 360 * _DAY, 366 * _DAY, "year years jahr jahre jahren"),
    ("working days", 1, 1, "workday workdays werktag werktage werktagen arbeitstag arbeitstage"),
    ("percent", 1, 1, "percent % prozent"),
    ("money EUR", 1, 1, "€ eur euro euros"),
    ("money USD", 1, 1, "$ usd dollar dollars"),
    ("money GBP", 1, 1, "£ gbp pound pounds"),
    ("length", 0.01, 0.01, "cm centimetre centimetres centimeter centimeters zentimeter"),
    ("length", 1, 1, "m metre metres meter meters"),
    ("length", 1000, 1000, "km kilometre kilometres kilometer kilometers"),
    ("weight", 1, 1, "g gram grams gramm"),
    ("weight", 1000, 1000, "kg kilo kilos kilogram kilograms kilogramm"),
):
    _UNITS |= dict.fromkeys(_words.split(), (_kind, _low, _high))
_NUMBERS = {
    word: float(value)
    for value, words in (
        (1, "one eine einen einem einer ein"), (2, "two zwei couple"), (3, "three drei"),
        (4, "four vier"), (5, "five fünf"), (6, "six sechs"), (7, "seven sieben"),
        (8, "eight acht"), (9, "nine neun"), (10, "ten zehn"), (11, "eleven elf"),
        (12, "twelve zwölf dozen"), (14, "fourteen vierzehn fortnight"), (15, "fifteen fünfzehn"),
        (20, "twenty zwanzig"), (24, "twenty-four vierundzwanzig"), (30, "thirty dreißig"),
        (40, "forty vierzig"), (48, "forty-eight"), (50, "fifty fünfzig"), (60, "sixty sechzig"),
        (90, "ninety neunzig"), (100, "hundred hundert"),
    )
    for word in words.split()
}  # fmt: skip
_MONTHS = {
    word: number
    for number, words in enumerate(
        (
            "january jan januar", "february feb februar", "march mar märz", "april apr",
            "may mai", "june jun juni", "july jul juli", "august aug", "september sep sept",
            "october oct oktober okt", "november nov", "december dec dezember dez",
        ),
        start=1,
    )
    for word in words.split()
}  # fmt: skip
_FIGURE = r"\d{1,3}(?:[,.]\d{3})+(?:[.,]\d{1,2})?(?!\d)|\d+(?:[.,]\d+)?"
_WORDED = "|".join(sorted(map(re.escape, _NUMBERS), key=len, reverse=True))
_VALUE = rf"(?:{_FIGURE}|\b(?:{_WORDED})\b)"
_JOIN = r"\s*(?:-|–|—|to|bis|and|und)\s*"
_UNIT = "|".join(
    rf"{re.escape(word)}(?![^\W\d_])" for word in sorted(_UNITS, key=len, reverse=True)
)
_WORKING = r"(?:(?:working|business|week)[ -]?)"
_MEASURED = re.compile(
    rf"(?<![\w.,])(?P<low>{_VALUE})(?:{_JOIN}(?P<high>{_VALUE}))?[\s-]*"
    rf"(?P<work>{_WORKING})?(?P<unit>{_UNIT})",
    re.IGNORECASE,
)
_MONEY = re.compile(
    rf"(?P<unit>[€$£])\s*(?P<low>{_FIGURE})(?:{_JOIN}[€$£]?\s*(?P<high>{_FIGURE}))?"
)
_ONE = re.compile(
    r"\b(?:an?|the next|einen?|einem|einer)\s+(?P<work>(?:working|business)\s+)?"
    r"(?P<unit>hour|day|week|month|year|fortnight|stunde|tag|woche|monat|jahr)\b",
    re.IGNORECASE,
)
_CLOCK = re.compile(
    r"\b(?P<hour>\d{1,2})(?::(?P<minute>\d{2}))?\s*(?P<half>[ap]\.?m\b\.?|uhr\b|o'clock\b)"
    r"|\b(?P<hour24>\d{1,2}):(?P<minute24>\d{2})\b|\b(?P<word>noon|midday|midnight|mittag)\b",
    re.IGNORECASE,
)
_NAMED = "|".join(sorted(_MONTHS, key=len, reverse=True))
_DATE = re.compile(
    rf"\b(?P<month>{_NAMED})\.?\s+(?P<day>\d{{1,2}})(?:st|nd|rd|th)?\b(?!\s*:)"
    rf"|\b(?P<day2>\d{{1,2}})(?:st|nd|rd|th)?\.?\s+(?:of\s+)?(?P<month2>{_NAMED})\b",
    re.IGNORECASE,
)
_YEAR = re.compile(r"(?<![\w.,-])(?:1[5-9]|20)\d{2}(?![\w%€]|[.,]\d)")
_COUNTED = re.compile(rf"(?<![\w.,:])(?P<low>{_VALUE})\s+(?P<what>[^\W\d_]{{3,}})", re.IGNORECASE)
_BOUND = re.compile(
    r"\b(?:(?P<least>more than|over|above|at least|from|after|since|minimum(?: of)?|mehr als|über"
    r"|mindestens|ab|nach|seit)|(?P<most>less than|fewer than|under|below|at most|up to|before|by"
    r"|until|till|maximum(?: of)?|weniger als|unter|höchstens|bis zu|vor|bis))"
    r"\s*[€$£]?\s*\Z",
    re.IGNORECASE,
)
_EVENING = 12
_SUMMED = re.compile(r"\s*(?:and|und|,)\s*\Z", re.IGNORECASE)


def quantities(text: str) -> tuple[Quantity, ...]:
    """Return the figures of a text that say what they are figures of."""
    taken = bytearray(len(text))
    found: list[tuple[int, int, Quantity]] = []
    for start, end, quantity in _found(text):
        if any(taken[start:end]):
            continue
        taken[start:end] = b"\x01" * (end - start)
        named = _BOUND.search(text[max(0, start - 20) : start])
        one = Quantity(
            kind=quantity.kind, low=quantity.low, high=quantity.high, said=text[start:end],
            bound="" if named is None else "least" if named["least"] else "most",
        )  # fmt: skip
        found.append((start, end, one))
    return tuple(_summed(sorted(found, key=lambda each: each[0]), text))


def _summed(found: list[tuple[int, int, Quantity]], text: str) -> Iterator[Quantity]:
    """Join what is said in two units: four weeks and two days."""
    before: tuple[int, int, Quantity] | None = None
    for start, end, one in found:
        if before is not None:
            at, until, last = before
            smaller = last.kind == one.kind == "duration" and one.high < last.low
            if smaller and _SUMMED.fullmatch(text[until:start]):
                both = Quantity(
                    kind=one.kind, low=last.low + one.low, high=last.high + one.high,
                    said=text[at:end], bound=last.bound,
                )  # fmt: skip
                before = (at, end, both)
                continue
            yield last
        before = (start, end, one)
    if before is not None:
        yield before[2]


def _found(text: str) -> Iterator[tuple[int, int, Quantity]]:
    """Yield every reading with its place; of two of one place the earlier is right."""
    yield from _moments(text)
    yield from _amounts(text)
    for match in _YEAR.finditer(text):
        yield _one(match, "year", float(match.group()))
    for match in _COUNTED.finditer(text):
        counted = terms(match["what"])
        if counted:
            yield _one(match, f"count of {counted[0]}", _value(match["low"]))


def _moments(text: str) -> Iterator[tuple[int, int, Quantity]]:
    for match in _DATE.finditer(text):
        month = _MONTHS[(match["month"] or match["month2"]).lower()]
        day = float(match["day"] or match["day2"])
        yield _one(match, "date", month * 31 + day)
    for match in _CLOCK.finditer(text):
        minutes = _minutes(match)
        if minutes is not None:
            yield _one(match, "clock", minutes)


def _amounts(text: str) -> Iterator[tuple[int, int, Quantity]]:
    for match in _MONEY.finditer(text):
        yield _measured(match, match["unit"])
    for match in _MEASURED.finditer(text):
        yield _measured(match, match["unit"].lower(), working=bool(match["work"]))
    for match in _ONE.finditer(text):
        unit = match["unit"].lower()
        if unit == "fortnight":
            yield _one(match, "duration", 14 * _DAY)
        elif match["work"]:
            yield _one(match, "working days", 1)
        else:
            kind, low, high = _UNITS[unit]
            yield match.start(), match.end(), Quantity(kind=kind, low=low, high=high, said="")


def _one(match: re.Match[str], kind: str, value: float) -> tuple[int, int, Quantity]:
    return match.start(), match.end(), Quantity(kind=kind, low=value, high=value, said="")


def _measured(
    match: re.Match[str], unit: str, *, working: bool = False
) -> tuple[int, int, Quantity]:
    kind, least, most = ("working days", 1.0, 1.0) if working else _UNITS[unit]
    low = _value(match["low"])
    high = _value(match["high"]) if match["high"] else low
    low, high = min(low, high), max(low, high)
    quantity = Quantity(kind=kind, low=low * least, high=high * most, said="")
    return match.start(), match.end(), quantity


def _value(text: str) -> float:
    """Read 1,000.50 and 1.000,50 alike: three digits after a sign are thousands."""
    worded = _NUMBERS.get(text.lower())
    if worded is not None:
        return worded
    plain = re.sub(r"[,.](?=\d{3}(?:\D|\Z))", "", text)
    return float(plain.replace(",", "."))


def _minutes(match: re.Match[str]) -> float | None:
    """Return the minutes since midnight."""
    if match["word"]:
        return 0.0 if match["word"].lower() == "midnight" else 720.0
    hour = int(match["hour"] or match["hour24"])
    minute = int(match["minute"] or match["minute24"] or 0)
    half = (match["half"] or "").lower()[:1]
    if half == "p" and hour < _EVENING:
        hour += _EVENING
    if half == "a" and hour == _EVENING:
        hour = 0
    return float(hour * 60 + minute) if hour < 25 and minute < 60 else None  # noqa: PLR2004
