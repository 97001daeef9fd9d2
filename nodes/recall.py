"""What the conversation already holds: the window, the memories, and the question made whole."""

from __future__ import annotations

from langchain_core.messages import HumanMessage
from langgraph.runtime import Runtime

from antiphon.nodes.guard import WITHHELD
from antiphon.nodes.state import Context, Node, State, Update, knobs, step
from antiphon.tools.memory import MemoryManager
from antiphon.tools.retrieval.rewrite import standalone


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


def rewrite_query() -> Node:
    """Make the question independent of the history when it leans on it."""

    @step
    async def rewrite_query(state: State, *, runtime: Runtime[Context]) -> Update:
        pending = state.get("pending")
        if pending is not None:
            return {"standalone": f"{pending.question} {state['question']}"}
        earlier = [
            message.text
            for message in state["messages"][:-1][-2 * max(state["window"], 1) :]
            if isinstance(message, HumanMessage) and message.text != WITHHELD
        ]
        return {"standalone": standalone(state["question"], earlier)}

    return rewrite_query
