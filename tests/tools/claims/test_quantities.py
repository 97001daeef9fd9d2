"""Figures with units: the same in other words, and what is not the same."""

from __future__ import annotations

import pytest

from antiphon.tools.claims.quantities import quantities


def alike(one: str, other: str) -> bool:
    """Say whether some figure of one text meets one of the other."""
    return any(a.meets(b) for a in quantities(one) for b in quantities(other))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("within 30 days", "a month"),
        ("within 30 days", "four weeks and two days"),
        ("innerhalb von 30 Tagen", "30 days"),
        ("at 14:00", "2 pm"),
        ("12:00", "noon"),
        ("14 Uhr", "2 p.m."),
        ("1,000.50 EUR", "1.000,50 Euro"),
        ("€20", "20 euros"),
        ("2 to 3 working days", "3 business days"),
        ("between 2 and 4 weeks", "21 days"),
        ("July 15, 1873", "15 July"),
        ("8 %", "eight percent"),
        ("1.5 km", "1500 m"),
        ("3 parcels", "three parcels"),
        ("a year", "365 days"),
        ("twenty-five days", "25 days"),
        ("twenty five days", "25 days"),
        ("thirty-six months", "3 years"),
        ("two hundred euros", "200 EUR"),
        ("one hundred and fifty euros", "150 EUR"),
        ("two thousand five hundred euros", "2,500 EUR"),
        ("between one hundred and two hundred euros", "150 EUR"),
        ("fünfundzwanzig Tage", "25 days"),
        ("zweihundertfünfzig Euro", "250 EUR"),
        ("half an hour", "30 minutes"),
        ("half a year", "6 months"),
        ("eine halbe Stunde", "30 minutes"),
        ("a quarter of an hour", "15 minutes"),
        ("three quarters of an hour", "45 minutes"),
        ("an hour and a half", "90 minutes"),
        ("two and a half hours", "150 minutes"),
        ("a one-and-a-half-hour tour", "90 minutes"),
        ("125 g", "0.125 kg"),
        ("0,125 kg", "125 g"),
        ("1.1 km", "1100 m"),
        ("1.25 kg", "1.250 kg"),
        ("1250 m", "1.250 m"),
        ("1.5 l", "1.500 l"),
        ("between 60 EUR and 1,500 EUR", "600 EUR"),
        ("8:00 to 20:00", "10 am"),
        ("from 8 am to 8 pm", "10 am"),
        ("9 to 5 pm", "noon"),
        ("von 8 bis 20 Uhr", "10 am"),
        ("between 8 and 10 am", "9 am"),
        ("from 50 cm to 300 cm", "90 cm"),
        ("2026-11-25", "25 November"),
        ("2026-11-25", "in 2026"),
        ("2026-11-25T10:00:00Z", "November 25"),
        ("€150", "150 EUR"),
        ("six days a week", "6 days per week"),
        ("sechs Tage pro Woche", "six days a week"),
    ],
)
def test_the_same_in_other_words(one: str, other: str) -> None:
    """Units are brought to one measure, words are read as figures."""
    assert alike(one, other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("within 30 days", "within 31 days"),
        ("30 working days", "30 days"),
        ("a month", "six weeks"),
        ("2 pm", "2 am"),
        ("20 EUR", "20 USD"),
        ("20 percent", "20 EUR"),
        ("3 parcels", "3 letters"),
        ("May 6", "May 7"),
        ("2 to 3 weeks", "4 weeks"),
        ("1,000 EUR", "1 EUR"),
        ("twenty-five days", "20 days"),
        ("twenty-five days", "5 days"),
        ("two hundred euros", "100 EUR"),
        ("fünfundzwanzig Tage", "26 days"),
        ("half an hour", "an hour"),
        ("half a year", "5 months"),
        ("an hour and a half", "60 minutes"),
        ("125 g", "0.126 kg"),
        ("0.125 kg", "125 kg"),
        ("1.25 kg", "1.260 kg"),
        ("1.250 EUR", "1.25 EUR"),
        ("12345.678 kg", "12345678 kg"),
        ("between 60 EUR and 1,500 EUR", "1,600 EUR"),
        ("between 60 EUR and 1,500 EUR", "between 60 EUR and 1,400 EUR"),
        ("60 EUR and 1,500 EUR", "600 EUR"),
        ("8:00 to 20:00", "9 pm"),
        ("from 8 am to 8 pm", "from 9 am to 8 pm"),
        ("from 8 pm to 2 am", "10 am"),
        ("8 am and 10 am", "9 am"),
        ("von 8 bis 20 Uhr", "21 Uhr"),
        ("from 50 cm to 300 cm", "40 cm"),
        ("2026-11-25", "27 November"),
        ("2026-11-25T10:00:00+01:00", "November 27"),
        ("six days a week", "five days a week"),
        ("six days a week", "6 days"),
        ("six days a week", "7 days"),
    ],
)
def test_near_misses_are_not_the_same(one: str, other: str) -> None:
    """A digit, a unit, a currency, half a day: each is another value."""
    assert quantities(one)
    assert quantities(other)
    assert not alike(one, other)


@pytest.mark.parametrize(
    "text", ["", "no figures here", "items[0]", "version 2.1.3", "A4 paper", "4711"]
)
def test_a_bare_figure_is_no_quantity(text: str) -> None:
    """What it is a figure of is not said."""
    assert not [one for one in quantities(text) if not one.kind.startswith("count of")]


@pytest.mark.parametrize(
    ("text", "bound"),
    [
        ("free from 150 EUR", "least"), ("more than 30 days", "least"), ("ab 50 Euro", "least"),
        ("before 14:00", "most"), ("up to 3 weeks", "most"), ("within 30 days", ""),
    ],
)  # fmt: skip
def test_a_bound_is_told_from_a_value(text: str, bound: str) -> None:
    """Words such as `from` and `before` name where something begins or ends."""
    assert [one.bound for one in quantities(text)] == [bound]


@pytest.mark.parametrize("text", ["between 60 EUR and 1,500 EUR", "from 8 am to 8 pm", "8–20 Uhr"])
def test_a_range_is_one_value_and_no_bound(text: str) -> None:
    """Its unit may stand at both ends; `from` begins it and bounds nothing."""
    (one,) = quantities(text)
    assert one.bound == ""
    assert one.low < one.high


def test_a_day_of_another_date_differs_though_the_year_is_the_same() -> None:
    """A date in digits is a day and a year, as one in words is."""
    (year, day), (other, same) = quantities("2026-11-25"), quantities("27 November 2026")[::-1]
    assert year.meets(other)
    assert day.kind == same.kind == "date"
    assert not day.meets(same)


@pytest.mark.parametrize("text", ["six days a week", "twice a week", "24 hours a day"])
def test_how_often_is_no_duration(text: str) -> None:
    """It is not held against how long something takes."""
    assert "duration" not in {one.kind for one in quantities(text)}


def test_a_price_keeps_the_duration_behind_it() -> None:
    """Only days and hours can be so many a week."""
    assert alike("It costs 20 EUR a week before arrival", "7 days")


def test_a_currency_may_stand_before_its_figure() -> None:
    """By its sign or its code; after a figure the code is that figure's."""
    (first,) = quantities("Delivery costs EUR 12.50.")
    (sign,) = quantities("Delivery costs €12.50.")
    (code,) = quantities("Delivery costs 12.50 EUR.")
    assert first.meets(code)
    assert sign.meets(code)
    money = [one for one in quantities("12.50 EUR 3 days") if one.kind == "money EUR"]
    assert [one.low for one in money] == [12.5]
