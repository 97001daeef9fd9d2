"""The reader of both texts, and what of a page it gets to read."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from antiphon.tools.retrieval.analysis import terms
from antiphon.tools.retrieval.sentences import sentences

SENTENCES, SHORT = 3, 400
"""Sentences that a claim is held against, and characters up to which a text is read whole."""
Reading = tuple[float, float, float]
"""How likely the evidence supports a claim, contradicts it, does neither: they sum to one."""


class Reader(Protocol):
    """Reads claims beside their evidence."""

    async def read(self, pairs: Sequence[tuple[str, str]]) -> list[Reading]:
        """Return a reading for each pair of evidence and claim.

        Raises:
            SettingsError: its weights cannot be read.
        """
        ...


def excerpt(claim: str, evidence: str, *, language: str = "en") -> str:
    """Return the sentences of the evidence that a claim is held against, in their order."""
    if len(evidence) <= SHORT:
        return " ".join(evidence.split())
    parts = [evidence[slice(*span)] for span in sentences(evidence)]
    wanted = set(terms(claim, language))
    shared = [len(wanted.intersection(terms(part, language))) for part in parts]
    best = sorted(range(len(parts)), key=lambda at: -shared[at])[:SENTENCES]
    return " ".join(" ".join(parts[at].split()) for at in sorted(best))
