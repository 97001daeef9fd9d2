"""What the conversation already holds: the window, the memories, and the question made whole."""

from __future__ import annotations

from collections.abc import Sequence

from langchain_core.messages import AnyMessage
from langgraph.runtime import Runtime

from antiphon.nodes.guard import SMALL_TALK, WITHHELD
from antiphon.nodes.state import Context, Node, State, Update, knobs, step
from antiphon.tools.guards import Rail, Subject
from antiphon.tools.memory import MemoryManager
from antiphon.tools.retrieval.rewrite import Rewriter


def recall(memory: MemoryManager) -> Node:
    """Bring the latest turns and the relevant long-term memories to mind."""

    @step
    async def recall(state: State, *, runtime: Runtime[Context]) -> Update:
        context = knobs(runtime)
        found = await memory.recall(
            state["question"],
            state["messages"][:-1],
            store=runtime.store,
            tenant=context.tenant,
            user=context.user,
        )
        return {"window": len(found.window), "memories": found.memories}

    return recall


def rewrite_query(rewriter: Rewriter, rail: Rail) -> Node:
    """Make the question independent of the history, and say what to search for.

    A model's wording is judged like any other words of its: what the output rail would change is
    not taken.
    """

    @step
    async def rewrite_query(state: State, *, runtime: Runtime[Context]) -> Update:
        question, pending = state["question"], state.get("pending")
        if pending is not None:
            joined = f"{pending.question} {question}"
            return {"standalone": joined, "queries": (joined,)}
        said = _to_the_point(state["messages"][:-1][-2 * max(state["window"], 1) :])
        context = knobs(runtime)
        found = await rewriter.rewrite(question, said, prefer=context.model, tenant=context.tenant)
        update: Update = {"standalone": found.standalone, "queries": found.queries}
        if found.reply is not None:
            evidence = tuple(message.text for message in state["messages"])
            subject = Subject(tenant=context.tenant, evidence=evidence)
            verdict = await rail.judge(found.standalone, subject)
            if not verdict.allowed or verdict.text != found.standalone:
                update = {"standalone": question, "queries": (question,)}
            update["usage"] = state["usage"] + found.reply.usage
            update["cost_usd"] = state["cost_usd"] + found.reply.cost_usd
        return update

    return rewrite_query


def _to_the_point(messages: Sequence[AnyMessage]) -> list[AnyMessage]:
    """Leave out what a guard withheld, and small talk with what it answered."""
    left: list[AnyMessage] = []
    for message in messages:
        if message.response_metadata.get(SMALL_TALK):
            while left and left[-1].type == "human":
                left.pop()
        elif message.text != WITHHELD:
            left.append(message)
    return left
