"""After the answer: what is summarised, what is learnt."""

from __future__ import annotations

from langgraph.runtime import Runtime

from antiphon.nodes.state import Context, Node, Said, State, Update, caller, step
from antiphon.tools.memory import MemoryManager
from antiphon.tools.turns.current import replaying


def remember(memory: MemoryManager) -> Node:
    """Summarise what left the window and keep the facts the user told."""

    @step
    async def remember(state: State, *, runtime: Runtime[Context]) -> Update:
        if replaying():
            return {}
        who = caller(runtime)
        digest = await memory.digest(
            state["messages"],
            state.get("summary", ""),
            store=runtime.store,
            tenant=who.tenant,
            user=who.user,
            thread=who.thread,
        )
        return {
            "summary": digest.summary,
            "messages": Said(removed=digest.archived),  # type: ignore[typeddict-item]
        }

    return remember
