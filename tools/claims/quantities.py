"""Figures with their units, so that 30 days, four weeks and two days, and a month are the same.

A figure contradicts when the evidence that speaks of the same thing gives another value of the same
kind, and the claim's own value nowhere. A figure without a unit says too little for that: a
sentence may hold several. A bound ("more than 30 days") is held against bounds of its own direction
only.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Literal

from antiphon.tools.retrieval.analysis import terms


@dataclass(frozen=True, slots=True, kw_only=True)
class Quantity:
    """A value, or a range, of one kind."""

    kind: str
    """`duration`, `duration per week`, `working days`, `clock`, `date`, `year`, `percent`,
    `money EUR`, `length`, `weight`, `volume`, or `count of` what is counted."""
    low: float
    high: float
    said: str
    """As it stands in the text."""
    bound: Literal["", "least", "most"] = ""
    """Whether it is only named as a bound: "more than", "before"."""
    either: bool = False
    """Whether it may also be a thousandth: 1.250 kg."""

    @property
    def ranged(self) -> bool:
        """Whether it is said as a range; a month is one only for its own vagueness."""
        return self.kind != "duration" and self.low < self.high

    def keeps(self, bound: Quantity) -> bool:
        """Say whether it keeps within a bound: noon is before 14:00."""
        return self.kind == bound.kind and any(
            low <= most if bound.bound == "most" else high >= least
            for low, high in self._readings()
            for least, most in bound._readings()
        )

    def meets(self, other: Quantity) -> bool:
        """Say whether both can be the same value; two ranges only with the same ends."""
        both = self.ranged and other.ranged
        return self.kind == other.kind and any(
            (low, high) == (least, most) if both else low <= most and least <= high
            for low, high in self._readings()
            for least, most in other._readings()
        )

    def _readings(self) -> tuple[tuple[float, float], ...]:
        whole = (self.low, self.high)
        return (whole, (self.low / 1000, self.high / 1000)) if self.either else (whole,)


_HOUR, _DAY, _WEEK = 1.0, 24.0, 168.0
_UNITS: dict[str, tuple[str, float, float]] = {}
"""Word to kind and the least and most that one of it is, in hours, metres, grams."""
for _kind, _low, _high, _words in (
    ("duration", 1 / 60, 1 / 60, "minute minutes min mins minuten"),
    ("duration", _HOUR, _HOUR, "hour hours hr hrs stunde stunden"),
    ("duration", _DAY, _DAY, "day days tag tage tagen"),
    ("duration", 14 * _DAY, 14 * _DAY, "fortnight fortnights"),
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
    ("volume", 0.001, 0.001, "ml millilitre millilitres milliliter milliliters"),
    ("volume", 1, 1, "l litre litres liter liters"),
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
        (12, "twelve zwölf dozen"), (13, "thirteen dreizehn"), (14, "fourteen vierzehn"),
        (15, "fifteen fünfzehn"), (16, "sixteen sechzehn"), (17, "seventeen siebzehn"),
        (18, "eighteen achtzehn"), (19, "nineteen neunzehn"), (20, "twenty zwanzig"),
        (30, "thirty dreißig dreissig"), (40, "forty vierzig"), (50, "fifty fünfzig"),
        (60, "sixty sechzig"), (70, "seventy siebzig"), (80, "eighty achtzig"),
        (90, "ninety neunzig"), (100, "hundred hundert"), (1000, "thousand tausend"),
        (1.5, "anderthalb eineinhalb"), (2.5, "zweieinhalb"),
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
_GROUPED = r"[1-9]\d{0,2}(?:[,.]\d{3})+(?:[.,]\d{1,2})?(?!\d)"
_FIGURE = rf"{_GROUPED}|\d+(?:[.,]\d+)?"
_WORDS = "|".join(sorted(_NUMBERS, key=len, reverse=True))
_ONES = "|".join(word for word, value in _NUMBERS.items() if value < 10)  # noqa: PLR2004
_TENS = "|".join(word for word, value in _NUMBERS.items() if 20 <= value < 100)  # noqa: PLR2004
_SMALL = rf"(?:(?:{_TENS})[ -]?(?:{_ONES})|(?:{_ONES})und(?:{_TENS})|{_WORDS})"
_AND = r"[ -]?(?:and |und)?"
_HUNDREDS = rf"(?:{_SMALL}(?:[ -]?(?:hundred|hundert))?(?:(?<=hundred|hundert){_AND}{_SMALL})?)"
_WORDED = rf"{_HUNDREDS}(?:[ -]?(?:thousand|tausend)(?:{_AND}{_HUNDREDS})?)?"
_HALF = "[ -]and[ -]a[ -]half"
_VALUE = rf"(?:{_FIGURE}|\b(?:{_WORDED})(?:{_HALF})?\b)"
_NUMBER = re.compile(rf"{_WORDS}|{_HALF}")
_THOUSANDS = re.compile(_GROUPED)
_POINTED = re.compile(r"[1-9]\d{0,2}\.\d{3}")
_FINE = frozenset(("kg", "m", "km", "l"))
"""Units that are given to three places, so that 1.250 may be more than a thousand or little."""
_JOIN = r"\s*(?:-|–|—|to|bis|and|und)\s*"
_UNIT = "|".join(
    rf"{re.escape(word)}(?![^\W\d_])" for word in sorted(_UNITS, key=len, reverse=True)
)
_WORKING = r"(?:(?:working|business|week)[ -]?)"
_SPAN = "hour|day|week|month|year|stunde|tag|woche|monat|jahr"
_MEASURED = re.compile(
    rf"(?<![\w.,])(?P<low>{_VALUE})(?:{_JOIN}(?P<high>{_VALUE}))?[\s-]*"
    rf"(?P<work>{_WORKING})?(?P<unit>{_UNIT})(?P<half>\s+and a half\b)?"
    rf"(?:\s+(?:an?|per|each|every|pro|in der|am|im)\s+(?P<per>{_SPAN})\b)?",
    re.IGNORECASE,
)
_MONEY = re.compile(
    r"(?P<unit>[€$£]|(?<!\d )\b(?:EUR|USD|GBP)(?=\s?\d))\s*"
    rf"(?P<low>{_FIGURE})(?:{_JOIN}(?:[€$£]|(?:EUR|USD|GBP)\s)?\s*(?P<high>{_FIGURE}))?"
)
_ONE = re.compile(
    r"(?<!once )(?<!twice )(?<!times )\b(?:(?P<share>half|halbe[nrs]?|(?:three )?quarters? of)"
    r"[\s-]+(?:an?\s+)?|(?:an?|the next|einen?|einem|einer)\s+)(?P<work>(?:working|business)\s+)?"
    rf"(?P<unit>minute|fortnight|{_SPAN})\b(?P<half>\s+and a half\b)?",
    re.IGNORECASE,
)
_CLOCK = re.compile(
    r"(?:(?P<between>\b(?:between|zwischen)\s+)?(?<![\w.,:€$£])(?P<from>\d{1,2})"
    r"\s*(?:-|–|—|to|until|till|bis|(?(between)(?:and|und)|(?!)))\s*)?"
    r"(?<![\d.,])(?P<hour>\d{1,2})(?::(?P<minute>\d{2}))?\s*(?P<half>[ap]\.?m\b\.?|uhr\b|o'clock\b)"
    r"|\b(?P<hour24>\d{1,2}):(?P<minute24>\d{2})\b|\b(?P<word>noon|midday|midnight|mittag)\b",
    re.IGNORECASE,
)
_NAMED = "|".join(sorted(_MONTHS, key=len, reverse=True))
_DATE = re.compile(
    rf"\b(?P<month>{_NAMED})\.?\s+(?P<day>\d{{1,2}})(?:st|nd|rd|th)?\b(?!\s*:)"
    rf"|\b(?P<day2>\d{{1,2}})(?:st|nd|rd|th)?\.?\s+(?:of\s+)?(?P<month2>{_NAMED})\b",
    re.IGNORECASE,
)
_ISO = re.compile(
    r"(?<![\w-])(?P<year>\d{4})-(?P<month>0[1-9]|1[0-2])-(?P<day>0[1-9]|[12]\d|3[01])"
    r"(?:T[\d:.]+(?:Z|[+-]\d{2}:?\d{2})?)?(?![\w-])"
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
_RANGED = re.compile(r"\s*(?:-|–|—|to|until|till|up to|bis|bis zu)\s*\Z", re.IGNORECASE)
_BETWEEN = re.compile(r"\b(?:between|zwischen)\s*[€$£]?\s*\Z", re.IGNORECASE)
_JOINED = ("duration", "clock", "percent", "length", "volume", "weight")
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
        one = replace(quantity, said=text[start:end])
        if named is not None and not one.ranged:
            one = replace(one, bound="least" if named["least"] else "most")
        found.append((start, end, one))
    return tuple(_summed(sorted(found, key=lambda each: each[0]), text))


def _summed(found: list[tuple[int, int, Quantity]], text: str) -> Iterator[Quantity]:
    """Join what is said in two units, or from one to the other: four weeks and two days."""
    before: tuple[int, int, Quantity] | None = None
    for start, end, one in found:
        if before is not None:
            at, until, last = before
            smaller = last.kind == one.kind == "duration" and one.high < last.low
            if smaller and _SUMMED.fullmatch(text[until:start]):
                low, high = last.low + one.low, last.high + one.high
                both = replace(last, low=low, high=high, said=text[at:end])
                before = (at, end, both)
                continue
            if _is_range(last, one, text[max(0, at - 20) : at], text[until:start]):
                both = replace(last, high=one.high, said=text[at:end], bound="")
                before = (at, end, both)
                continue
            yield last
        before = (start, end, one)
    if before is not None:
        yield before[2]


def _is_range(low: Quantity, high: Quantity, before: str, between: str) -> bool:
    """Say whether two figures are the ends of one range: from 60 EUR to 1,500 EUR."""
    if low.kind != high.kind or low.high >= high.low or low.ranged or high.ranged:
        return False
    if not low.kind.startswith((*_JOINED, "money")):
        return False
    joined = _SUMMED.fullmatch(between) and _BETWEEN.search(before)
    return bool(joined or _RANGED.fullmatch(between))


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
    for match in _ISO.finditer(text):
        year = float(match["year"])
        yield *match.span("year"), Quantity(kind="year", low=year, high=year, said="")
        _, end, dated = _one(match, "date", int(match["month"]) * 31 + float(match["day"]))
        yield match.start("month"), end, dated
    for match in _DATE.finditer(text):
        month = _MONTHS[(match["month"] or match["month2"]).lower()]
        day = float(match["day"] or match["day2"])
        yield _one(match, "date", month * 31 + day)
    for match in _CLOCK.finditer(text):
        minutes = _minutes(match)
        if minutes is not None:
            start, end, clock = _one(match, "clock", minutes)
            yield start, end, replace(clock, low=_opening(match, minutes))


def _amounts(text: str) -> Iterator[tuple[int, int, Quantity]]:
    for match in _MONEY.finditer(text):
        yield _measured(match, match["unit"].lower())
    for match in _MEASURED.finditer(text):
        yield _measured(match, match["unit"].lower())
    for match in _ONE.finditer(text):
        unit = match["unit"].lower()
        kind, low, high = _UNITS["workday" if match["work"] else unit]
        share = (match["share"] or "").lower()
        times = (
            0.5 if share.startswith("hal") else 0.75 if share.startswith("three")
            else 0.25 if share else 1.5 if match["half"] else 1.0
        )  # fmt: skip
        quantity = Quantity(kind=kind, low=low * times, high=high * times, said="")
        yield match.start(), match.end(), quantity


def _one(match: re.Match[str], kind: str, value: float) -> tuple[int, int, Quantity]:
    return match.start(), match.end(), Quantity(kind=kind, low=value, high=value, said="")


def _measured(match: re.Match[str], unit: str) -> tuple[int, int, Quantity]:
    groups = match.groupdict()
    kind, least, most = _UNITS["workday" if groups.get("work") else unit]
    figures = [figure for figure in (match["low"], match["high"]) if figure]
    values = [_value(figure) + (0.5 if groups.get("half") else 0.0) for figure in figures]
    end = match.end()
    if groups.get("per"):
        if kind in ("duration", "working days"):
            kind += f" per {_UNITS[match['per'].lower()][1]:g} hours"
        else:
            end = match.end("unit")
    quantity = Quantity(
        kind=kind,
        low=round(min(values) * least, 6),
        high=round(max(values) * most, 6),
        said="",
        either=unit in _FINE and all(map(_POINTED.fullmatch, figures)),
    )
    return match.start(), end, quantity


def _value(text: str) -> float:
    """Read 1,000.50 and 1.000,50 alike: three digits after a sign are thousands, but in 0.125."""
    if text[0].isdigit():
        if _THOUSANDS.fullmatch(text):
            text = re.sub(r"[,.](?=\d{3}(?:\D|\Z))", "", text)
        return float(text.replace(",", "."))
    total = last = 0.0
    for word in _NUMBER.findall(text.lower()):
        value = _NUMBERS.get(word, 0.5)
        if value == 1000:  # noqa: PLR2004
            total, last = (last or 1) * value, 0.0
        elif value == 100:  # noqa: PLR2004
            last = (last or 1) * value
        else:
            last += value
    return total + last


def _opening(match: re.Match[str], closing: float) -> float:
    """Return when a range of hours begins: 8 to 10 am, 9 to 5 pm."""
    if not match["from"]:
        return closing
    hour = float(match["from"])
    if (match["half"] or "").lower().startswith("p") and (hour + _EVENING) * 60 < closing:
        hour += _EVENING
    return min(hour * 60, closing)


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
