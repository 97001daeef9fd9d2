"""The response cache: an answer given before to the same question under the same conditions."""

from __future__ import annotations

import hashlib

from langgraph.cache.base import BaseCache
from langgraph.runtime import Runtime

from antiphon.nodes.state import Context, Node, State, Update, knobs, step
from antiphon.tools.cache import CachedAnswer, answer_key, or_miss
from antiphon.tools.retrieval import Knowledge
from antiphon.tools.retrieval.quotes import stand
from antiphon.tools.turns.current import replaying

CACHE_S = 0.5
"""How long the cache may take: an answer that is kept is worth no longer wait."""
KNOWLEDGE_S = 2.5
"""How long the knowledge may take to say its version, and whether quotes still stand."""


def look_up_answer(
    cache: BaseCache[CachedAnswer],
    knowledge: Knowledge,
    *,
    enabled: bool,
    personal: bool,
    shaped_by: tuple[str, ...],
) -> Node:
    """Look the question up; the key holds everything that may shape an answer.

    What is found is given only while every span it cites stands in the knowledge. A cache or a
    knowledge that fails or hangs costs the shortcut, not the turn. `shaped_by`: the release, the
    fingerprints of the assistant, its prompts and its model policy, the embedder, the reranker.
    """

    @step
    async def look_up_answer(state: State, *, runtime: Runtime[Context]) -> Update:
        if not enabled or state.get("pending") or replaying():
            return {}
        context = knobs(runtime)
        held = knowledge.inventory(tenant=context.tenant)
        stored = await or_miss(held, "version", within_s=KNOWLEDGE_S)
        if stored is None:
            return {}
        key = answer_key(
            state["question"],
            tenant=context.tenant,
            user=context.user if personal else "",
            locale=context.locale,
            knowledge=stored.version,
            history=_history(state),
            shaped_by=(
                *shaped_by,
                context.model,
                f"{context.min_quality}",
                f"{context.max_cost_usd}",
            ),
        )
        place = ((context.tenant,), key)
        found = (await or_miss(cache.aget([place]), "look_up", within_s=CACHE_S) or {}).get(place)
        if found is None:
            return {"cache_key": key}
        # Anew, for the version in the key may be of a change that was under way.
        stands = stand(knowledge, found.citations, tenant=context.tenant)
        if not await or_miss(stands, "check", within_s=KNOWLEDGE_S):
            return {"cache_key": key}
        return {
            "cache_key": key,
            "cached": True,
            "draft": found.answer,
            "citations": found.citations,
            "model": found.model,
            "retrieval_confidence": found.retrieval_confidence,
            "support": found.support,
        }

    return look_up_answer


def keep_answer(cache: BaseCache[CachedAnswer], *, ttl_s: int) -> Node:
    """Keep a clean, grounded, non-personal answer for the next who asks."""

    @step
    async def keep_answer(state: State, *, runtime: Runtime[Context]) -> Update:
        if replaying() or not _worth_keeping(state):
            return {}
        kept = CachedAnswer(
            answer=state["answer"],
            citations=state["citations"],
            model=state["model"],
            retrieval_confidence=state["retrieval_confidence"],
            support=state["support"],
            intent=state["intent"].name if state["intent"] else "",
        )
        key = ((knobs(runtime).tenant,), state["cache_key"])
        await or_miss(cache.aset({key: (kept, ttl_s)}), "keep", within_s=CACHE_S)
        return {}

    return keep_answer


def _history(state: State) -> str:
    """Digest what was said before this message; empty on a thread's first turn."""
    earlier = [message.text for message in state["messages"][:-1]]
    if not earlier and not state.get("summary"):
        return ""
    said = "\x1f".join([state.get("summary", ""), *earlier])
    return hashlib.sha256(said.encode()).hexdigest()


def _worth_keeping(state: State) -> bool:
    return (
        bool(state["cache_key"])
        and not state["cached"]
        and state["outcome"] == "answered"
        and bool(state["citations"])
        and not state["violations"]
        and not state["results"]
        and not state["memories"]
        and state["failure"] is None
        and not state["model_failures"]
    )
