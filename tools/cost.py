"""What a model call costs: the one place that knows a price.

A card's own price wins; otherwise it is looked up by name in the genai-prices list, which ships
with the package and needs no network. What nobody knows stays unknown rather than becoming free.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from antiphon.tools.models.catalog import ModelCard, Usage

_LISTED_AS: Mapping[str, str] = {
    "azure_ai": "azure",
    "azure_openai": "azure",
    "bedrock": "aws",
    "bedrock_converse": "aws",
    "google_anthropic_vertex": "google",
    "google_genai": "google",
    "google_vertexai": "google",
    "mistralai": "mistral",
    "xai": "x-ai",
}
"""LangChain's provider names, where the price list has another."""

_SAMPLE_TOKENS = 1000
"""Small enough to be priced at the first tier of models that charge more for long prompts."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Price:
    """Dollars per million tokens."""

    input_usd_per_mtok: float
    output_usd_per_mtok: float


@dataclass(slots=True)
class Prices:
    """List prices by model name, read when first asked for."""

    _known: dict[str, Price | None] = field(default_factory=dict)

    def of(self, name: str) -> Price | None:
        """Return the list price of a `provider:model` name, None when the list has none."""
        if name not in self._known:
            self._known[name] = _listed(name)
        return self._known[name]

    def fill(self, card: ModelCard) -> ModelCard:
        """Return the card with the prices it leaves out taken from the list, where it has them."""
        if card.priced or (price := self.of(card.name)) is None:
            return card
        given_in, given_out = card.input_usd_per_mtok, card.output_usd_per_mtok
        return replace(
            card,
            input_usd_per_mtok=price.input_usd_per_mtok if given_in is None else given_in,
            output_usd_per_mtok=price.output_usd_per_mtok if given_out is None else given_out,
        )


def cost_usd(card: ModelCard, usage: Usage) -> float:
    """Return what the usage costs; a price the card leaves out counts as nothing."""
    paid_in = usage.input_tokens * (card.input_usd_per_mtok or 0.0)
    paid_out = usage.output_tokens * (card.output_usd_per_mtok or 0.0)
    return (paid_in + paid_out) / 1_000_000


def _listed(name: str) -> Price | None:
    provider, colon, model = name.partition(":")
    if not colon:
        return None
    # Half a second to import, and only paid models need it.
    from genai_prices import Usage as Sample
    from genai_prices import calc_price

    sample = Sample(input_tokens=_SAMPLE_TOKENS, output_tokens=_SAMPLE_TOKENS)
    try:
        found = calc_price(sample, model, provider_id=_LISTED_AS.get(provider, provider))
    except LookupError:
        return None
    scale = 1_000_000 / _SAMPLE_TOKENS
    return Price(
        input_usd_per_mtok=round(float(found.input_price) * scale, 6),
        output_usd_per_mtok=round(float(found.output_price) * scale, 6),
    )
