"""The models on offer, by what settings and the assistant say."""

from __future__ import annotations

from antiphon.graphs.assistant import FILE, Assistant
from antiphon.graphs.settings import Settings
from antiphon.tools.errors import AssistantError
from antiphon.tools.models import LAST_RESORT, ModelCard
from antiphon.tools.models.catalog import KNOWN
from antiphon.tools.models.providers import check_name


def model_cards(settings: Settings, assistant: Assistant) -> tuple[ModelCard, ...]:
    """Return the models on offer: what settings and the assistant name, else the extractive one.

    Raises UnknownModel for a name that could never be opened.
    """
    cards = {
        form.name: ModelCard(
            name=form.name,
            context_tokens=form.context_tokens,
            input_usd_per_mtok=form.input_usd_per_mtok,
            output_usd_per_mtok=form.output_usd_per_mtok,
            first_token_s=form.first_token_s,
            tokens_per_s=form.tokens_per_s,
            quality=form.quality,
            capabilities=frozenset({"chat", "tools"} if form.tools else {"chat"}),
        )
        for form in assistant.models.catalogue
    }
    for name in cards:
        check_name(name, url=settings.model_url, where=f"{FILE}: models.catalogue: ")
    named = settings.model or LAST_RESORT
    if named not in cards and (settings.model or not cards):
        check_name(named, url=settings.model_url, where="ANTIPHON_MODEL: ")
        unknown = ModelCard(
            name=named,
            context_tokens=8192,
            first_token_s=1.0,
            tokens_per_s=50.0,
            quality=0.6,
            capabilities=frozenset({"chat", "tools"}),
        )
        cards = {named: KNOWN.get(named, unknown), **cards}
    return tuple(cards.values())


def check_offered(name: str, settings: Settings, assistant: Assistant, *, key: str) -> None:
    """Raise AssistantError where no language model of the name that a key states is on offer."""
    names = [card.name for card in model_cards(settings, assistant) if card.name != LAST_RESORT]
    if name not in names:
        raise AssistantError(
            f"{FILE}: {key}: there is no model {name!r}",
            hint=f"On offer: {', '.join(names) or 'none'}. `models.catalogue` and ANTIPHON_MODEL "
            "name others.",
        )
