"""Prices: the card's own, then the list's, and nothing invented."""

from __future__ import annotations

from dataclasses import replace

import pytest

from antiphon.tools.cost import Price, Prices, cost_usd
from antiphon.tools.models import ModelCard, Usage
from antiphon.tools.models.catalog import KNOWN

CARD = ModelCard(
    name="openai:gpt-5-mini",
    context_tokens=8192,
    input_usd_per_mtok=2.0,
    output_usd_per_mtok=10.0,
    first_token_s=1.0,
    tokens_per_s=100.0,
    quality=0.5,
)


def test_cost_is_tokens_times_price_per_million() -> None:
    """3000 tokens in at $2 and 500 out at $10 a million cost 1.1 cents."""
    assert cost_usd(CARD, Usage(input_tokens=3000, output_tokens=500)) == pytest.approx(0.011)


def test_no_tokens_cost_nothing() -> None:
    """An empty usage is free at any price."""
    assert cost_usd(CARD, Usage()) == 0.0


def test_list_price_is_found_by_the_name_users_write() -> None:
    """A `provider:model` name is looked up, LangChain's provider names included."""
    prices = Prices()

    assert prices.of("openai:gpt-4o-mini") == Price(
        input_usd_per_mtok=0.15, output_usd_per_mtok=0.6
    )
    assert prices.of("google_genai:gemini-2.5-flash") is not None


@pytest.mark.parametrize("name", ["openai:no-such-model", "nobody:gpt-4o-mini", "local", ""])
def test_an_unknown_model_has_no_price(name: str) -> None:
    """What the list does not have is None, not free."""
    assert Prices().of(name) is None


def test_fill_takes_only_what_the_card_leaves_out() -> None:
    """A stated price stands; the missing one comes from the list."""
    card = replace(CARD, name="openai:gpt-4o-mini", output_usd_per_mtok=None)

    filled = Prices().fill(card)

    assert (filled.input_usd_per_mtok, filled.output_usd_per_mtok) == (2.0, 0.6)


def test_fill_leaves_a_card_of_unknown_price_unpriced() -> None:
    """A model in no list stays unpriced, so that the router can tell it from a free one."""
    card = replace(CARD, name="openai:no-such-model", input_usd_per_mtok=None)

    assert not Prices().fill(card).priced


@pytest.mark.parametrize("card", KNOWN.values(), ids=KNOWN)
def test_every_model_of_the_built_in_catalogue_has_a_price(card: ModelCard) -> None:
    """Each hosted model's name is one the price list knows."""
    assert Prices().fill(card).priced
