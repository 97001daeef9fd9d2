"""The response cache: an answer given before to the same question under the same conditions."""

from __future__ import annotations

import hashlib

from langgraph.cache.base import BaseCache
from langgraph.runtime import Runtime

from antiphon.nodes.state import Context, Node, State, Update, knobs, step
from antiphon.tools.cache import CachedAnswer, answer_key
from antiphon.tools.errors import KnowledgeError
from antiphon.tools.retrieval import Knowledge
from antiphon.tools.retrieval.quotes import stand


def look_up_answer(
    cache: BaseCache[CachedAnswer],
    knowledge: Knowledge,
    *,
    enabled: bool,
    personal: bool,
    shaped_by: tuple[str, ...],
) -> Node:
    """Look the question up; the key holds everything that may shape an answer.

    What is found is given only while every span it cites stands in the knowledge. A knowledge that
    does not answer costs the cache, not the turn. `shaped_by`: fingerprints of the assistant, its
    prompts and its model policy.
    """

    @step
    async def look_up_answer(state: State, *, runtime: Runtime[Context]) -> Update:
        if not enabled or state.get("pending"):
            return {}
        context = knobs(runtime)
        try:
            stored = await knowledge.inventory(tenant=context.tenant)
        except KnowledgeError:
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
        found = (await cache.aget([((context.tenant,), key)])).get(((context.tenant,), key))
        if found is None or not await _stands(found, knowledge, context.tenant):
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
        if not _worth_keeping(state):
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
        await cache.aset({key: (kept, ttl_s)})
        return {}

    return keep_answer


async def _stands(found: CachedAnswer, knowledge: Knowledge, tenant: str) -> bool:
    """Check the citations anew: the version in the key may be of a change that was under way."""
    try:
        return await stand(knowledge, found.citations, tenant=tenant)
    except KnowledgeError:
        return False


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
