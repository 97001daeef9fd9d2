"""The identity of an answer: two turns share one only when nothing that shaped it differs."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass

from antiphon.tools.retrieval.context import Citation


@dataclass(frozen=True, slots=True, kw_only=True)
class CachedAnswer:
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
    assistant: str,
    prompts: str,
    models: str,
    knowledge: str,
    history: str,
) -> str:
    """Return the exact-match key: a hash over all that may shape an answer.

    Args:
        question: the sanitised question; case and runs of white space do not matter.
        tenant: hard partition.
        user: who asks where answers are personal, else empty.
        locale: language asked for.
        assistant: fingerprint of the assistant's folder.
        prompts: fingerprint of the prompt set.
        models: fingerprint of the model policy.
        knowledge: version of the tenant's knowledge.
        history: digest of what was said before in the thread; empty on its first turn.
    """
    folded = " ".join(question.casefold().split())
    parts = [folded, tenant, user, locale, assistant, prompts, models, knowledge, history]
    return hashlib.sha256(json.dumps(parts, ensure_ascii=False).encode()).hexdigest()
