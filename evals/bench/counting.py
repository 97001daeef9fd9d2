"""Tokens as a language model counts them, to hold budgets against that were set by an estimate."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

PACKAGE = "litellm"
FILE = "litellm/litellm_core_utils/tokenizers/anthropic_tokenizer.json"
"""Claude's, of 65,000 pieces; of the public ones that come with our dependencies it counts most."""
WHOLE = 10_000_000
"""Tokens at which a text would be cut."""

Count = Callable[[str], int]


def model_count() -> Count:
    """Return the count of a real model's tokenizer. Raises SettingsError when it is missing."""
    from antiphon.tools.models.embeddings import packaged
    from antiphon.tools.models.onnx_encoders import load_tokenizer

    tokenizer = load_tokenizer(packaged(PACKAGE, FILE), tokens=WHOLE)
    return lambda text: len(tokenizer.encode(text, add_special_tokens=False).ids)


def against_budgets(prompts: Mapping[int, Sequence[str]], count: Count) -> dict[str, float]:
    """Return how many of the texts, by their budget, are over it, and the fullest, all in %."""
    filled = [count(text) / budget for budget, texts in prompts.items() for text in texts]
    return {
        "budget_overruns": 100 * sum(share > 1 for share in filled) / len(filled),
        "budget_fullest": 100 * max(filled),
    }
