"""A day named in English: as ISO, as `3 May 2026` or `May 3rd`, or relative to today."""

from __future__ import annotations

import re
from contextlib import suppress
from dataclasses import dataclass
from datetime import date, timedelta

_MONTHS = (
    *("jan", "feb", "mar", "apr", "may", "jun"),
    *("jul", "aug", "sep", "oct", "nov", "dec"),
)
_DAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
_MONTH = (
    r"(?P<month>jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)"
    r"(?:uary|ruary|ch|il|e|y|ust|t(?:ember)?|ober|ember)?\.?"
)
_YEAR = r"(?:,?\s+(?P<year>\d{4}))?"
_ISO = re.compile(r"\b(?P<year>\d{4})-(?P<month>\d{2})-(?P<day>\d{2})\b")
_DAY_FIRST = re.compile(
    rf"\b(?P<day>\d{{1,2}})(?:st|nd|rd|th)?\s+(?:of\s+)?{_MONTH}{_YEAR}\b", re.IGNORECASE
)
_MONTH_FIRST = re.compile(
    rf"\b{_MONTH}\s+(?P<day>\d{{1,2}})(?:st|nd|rd|th)?{_YEAR}\b", re.IGNORECASE
)
_RELATIVE = re.compile(
    r"\b(?P<word>day after tomorrow|today|tonight|tomorrow|yesterday)\b", re.IGNORECASE
)
_IN_DAYS = re.compile(r"\bin (?P<count>\d{1,3}) (?P<unit>day|week)s?\b", re.IGNORECASE)
_WEEKDAY = re.compile(rf"\b(?:next |on |this )(?P<weekday>{'|'.join(_DAYS)})\b", re.IGNORECASE)
_OFFSETS = {"today": 0, "tonight": 0, "tomorrow": 1, "yesterday": -1, "day after tomorrow": 2}


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundDate:
    """A day, and where the text names it."""

    value: date
    where: tuple[int, int]


def find_date(text: str, *, today: date) -> FoundDate | None:
    """Return the first day that `text` names; one without a year is the next to come."""
    for pattern in (_ISO, _DAY_FIRST, _MONTH_FIRST, _RELATIVE, _IN_DAYS, _WEEKDAY):
        for match in pattern.finditer(text):
            # There is no such day, or it is past the year 9999.
            with suppress(ValueError, OverflowError):
                return FoundDate(value=_value(match, today), where=match.span())
    return None


def _value(match: re.Match[str], today: date) -> date:
    parts = match.groupdict()
    if "word" in parts:
        return today + timedelta(days=_OFFSETS[match["word"].lower()])
    if "unit" in parts:
        days = int(match["count"]) * (7 if match["unit"].lower() == "week" else 1)
        return today + timedelta(days=days)
    if "weekday" in parts:
        ahead = (_DAYS.index(match["weekday"].lower()) - today.weekday()) % 7
        return today + timedelta(days=ahead or 7)
    named = match["month"].lower()
    month = _MONTHS.index(named) + 1 if named in _MONTHS else int(named)
    if parts["year"]:
        return date(int(match["year"]), month, int(match["day"]))
    this_year = date(today.year, month, int(match["day"]))
    return this_year if this_year >= today else this_year.replace(year=today.year + 1)
