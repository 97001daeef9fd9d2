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
