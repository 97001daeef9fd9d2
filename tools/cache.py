"""The identity of an answer: two turns share one only when nothing that shaped it differs."""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import Awaitable, Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from typing import TypeVar

from antiphon.tools.retrieval.context import Citation
from antiphon.tools.stored import Stored
from antiphon.tools.telemetry.metrics import CacheStep, Metrics

T = TypeVar("T")


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
        shaped_by: this release, fingerprints of the assistant, the prompts, the model policy and
            its knobs, and the names of what finds and orders passages.
    """
    folded = " ".join(question.casefold().split())
    parts = [folded, tenant, user, locale, knowledge, history, *shaped_by]
    return hashlib.sha256(json.dumps(parts, ensure_ascii=False).encode()).hexdigest()


def release() -> str:
    """Return which release is at work: the next one may answer otherwise."""
    try:
        return version("antiphon")
    except PackageNotFoundError:
        return ""


async def or_miss(work: Awaitable[T], step: CacheStep, *, within_s: float) -> T | None:
    """Return what `work` gives, or None when it raises or takes too long, and count that.

    What is kept can be made again, so that whatever is wrong with the keeping, of whichever kind,
    costs the shortcut and never the turn.
    """
    try:
        async with asyncio.timeout(within_s):
            return await work
    except Exception as error:  # noqa: BLE001 - a backend of someone else's may raise anything
        Metrics().cache_fault(step, type(error).__name__)
        return None
