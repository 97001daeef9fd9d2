"""The identity of an answer: two turns share one only when nothing that shaped it differs."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass

from antiphon.tools.retrieval.context import Citation
from antiphon.tools.stored import Stored


@dataclass(frozen=True, slots=True, kw_only=True)
class CachedAnswer(Stored):
    """A clean, grounded, non-personal answer, ready to be given again."""

    answer: str
    citations: tuple[Citation, ...]
    model: str
    retrieval_confidence: float | None
    support: float | None
    intent: str


def answer_key(
    question: str,
    *,
    tenant: str,
    user: str,
    locale: str,
    knowledge: str,
    history: str,
    shaped_by: Sequence[str],
) -> str:
    """Return the exact-match key: a hash over all that may shape an answer.

    Args:
        question: the sanitised question; case and runs of white space do not matter.
        tenant: hard partition.
        user: who asks where answers are personal, else empty.
        locale: language asked for.
        knowledge: version of the tenant's knowledge.
        history: digest of what was said before in the thread; empty on its first turn.
        shaped_by: fingerprints of the assistant, the prompts, the model policy and its knobs.
    """
    folded = " ".join(question.casefold().split())
    parts = [folded, tenant, user, locale, knowledge, history, *shaped_by]
    return hashlib.sha256(json.dumps(parts, ensure_ascii=False).encode()).hexdigest()
