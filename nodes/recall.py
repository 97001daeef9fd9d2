"""What the conversation already holds: the window, the memories, and the question made whole."""

from __future__ import annotations

from langgraph.runtime import Runtime

from antiphon.nodes.guard import WITHHELD
from antiphon.nodes.state import Context, Node, State, Update, knobs, step
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


def rewrite_query(rewriter: Rewriter) -> Node:
    """Make the question independent of the history, and say what to search for."""

    @step
    async def rewrite_query(state: State, *, runtime: Runtime[Context]) -> Update:
        question, pending = state["question"], state.get("pending")
        if pending is not None:
            joined = f"{pending.question} {question}"
            return {"standalone": joined, "queries": (joined,)}
        said = [
            message
            for message in state["messages"][:-1][-2 * max(state["window"], 1) :]
            if message.text != WITHHELD
        ]
        found = await rewriter.rewrite(question, said, prefer=knobs(runtime).model)
        update: Update = {"standalone": found.standalone, "queries": found.queries}
        if found.reply is not None:
            update["usage"] = state["usage"] + found.reply.usage
            update["cost_usd"] = state["cost_usd"] + found.reply.cost_usd
        return update

    return rewrite_query
