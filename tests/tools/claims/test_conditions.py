"""Conditions that a claim left out."""

from __future__ import annotations

import pytest

from antiphon.tools.claims.conditions import dropped


@pytest.mark.parametrize(
    ("claim", "sentence", "strict"),
    [
        ("Shipping is free.", "Shipping is free of charge for orders from 150 EUR.", True),
        ("Gift cards are refunded.", "Gift cards are refunded unless they were used.", True),
        ("Der Versand ist kostenlos.", "Der Versand ist ab 150 EUR kostenlos.", True),
        ("You can return an item.", "You can return an item if it is unused.", False),
    ],
)
def test_what_holds_for_some_is_not_said_of_all(claim: str, sentence: str, strict: bool) -> None:
    """Strict is what says that it does not hold otherwise."""
    found = dropped(claim, sentence)
    assert found is not None
    assert found.strict is strict
    assert found.condition in sentence


@pytest.mark.parametrize(
    ("claim", "sentence"),
    [
        ("Shipping is free from 150 EUR.", "Shipping is free for orders from 150 EUR."),
        ("An unused item can be returned.", "An item can be returned if it is unused."),
        ("It ran on ABC as a series.", "It ran on ABC as a series from 1968 to 1973."),
        ("He was prime minister.", "He was prime minister from 10 January 1957."),
        ("Shipping may be free.", "Shipping is free for orders from 150 EUR."),
        ("Lamps are insured.", "Parcels are insured. Returns are free unless you are late."),
    ],
)
def test_what_is_said_or_is_no_condition_counts_as_none(claim: str, sentence: str) -> None:
    """The condition in other words, a span of years, a hedge, another matter."""
    assert dropped(claim, sentence) is None


def test_a_condition_beside_the_claim_was_not_dropped() -> None:
    """It stands in another sentence of the same answer."""
    sentence = "Shipping is free for orders from 150 EUR."
    assert dropped("Shipping is free.", sentence, beside="It takes 150 EUR of orders.") is None
