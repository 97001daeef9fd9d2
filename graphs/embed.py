"""The conversation inside another agent: as a node of a host graph, or as a tool of its model.

Both give the conversation its own Context, so that a host's context of another shape never reaches
our nodes, and keep the host's state apart: only the text goes in and the answer comes out.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Protocol

from langchain_core.messages import AIMessage, HumanMessage, convert_to_messages
from langchain_core.runnables import RunnableConfig
from langchain_core.tools import BaseTool, StructuredTool

from antiphon.graphs.compiled import MOST_STEPS, Ready, compile_conversation
from antiphon.graphs.services import Services
from antiphon.nodes.act import RESUMED
from antiphon.nodes.state import Context, Input
from antiphon.tools.telemetry.tracing import OFF, Tracing

RESUMING = "__pregel_resuming"
"""Where LangGraph says that a run goes on from an interrupt."""
HostState = Mapping[str, object]
"""Whatever the host keeps; read by `question` and `context` only."""


class HostNode(Protocol):
    """A node of a host graph."""

    def __call__(self, state: HostState, config: RunnableConfig) -> Awaitable[dict[str, object]]:
        """Return the host's update."""
        ...


def as_node(
    services: Services,
    *,
    context: Context | Callable[[HostState], Context] | None = None,
    question: Callable[[HostState], str] | None = None,
    answer: Callable[[str, Mapping[str, object]], dict[str, object]] | None = None,
    tracing: Tracing = OFF,
) -> HostNode:
    """Return a node that runs one turn of the conversation inside a host graph.

    The host's checkpointer keeps the conversation's thread beside the host's own, and an approval
    inside the conversation interrupts the host: resume the host to answer it, or let the user's
    next message through, where a plain yes or no decides and anything else is answered while the
    call goes on waiting.

    Args:
        services: as `build_services` returns, or your own.
        context: whose turn it is; fixed, or read from the host's state.
        question: the text in the host's state, taken for the person's own words; by default its
            last message, which must be a person's.
        answer: the host's update, from the answer and the whole result; by default an AI message.
        tracing: where the conversation's own steps are traced, as `open_tracing` returns it. A
            host's tracer sees the node's state and never what happens inside.
    """
    graph = compile_conversation(services, tracing=tracing)
    # True: the conversation keeps its own history over the host's turns.
    graph.checkpointer = True
    ready = Ready(services)
    ask, tell = question or _last_message, answer or _as_message

    async def converse(state: HostState, config: RunnableConfig) -> dict[str, object]:
        knobs = context(state) if callable(context) else context or Context()
        given: Input = {"messages": [HumanMessage(content=ask(state))]}
        await ready()
        result = await graph.ainvoke(given, _own(config), context=knobs)
        return tell(str(result.get("answer", "")), result)

    return converse


def as_tool(
    services: Services,
    *,
    context: Context | None = None,
    name: str = "ask_help_desk",
    description: str = "",
    tracing: Tracing = OFF,
) -> BaseTool:
    """Return a tool that puts one self-contained question to the conversation.

    Each call is a thread of its own; an action that needs approval interrupts the agent that
    called the tool. A host's tracer sees question and answer, `tracing` the steps between.
    """
    graph = compile_conversation(services, tracing=tracing)
    knobs, ready = context or Context(), Ready(services)

    async def run(question: str, config: RunnableConfig) -> str:
        given: Input = {"messages": [HumanMessage(content=question)]}
        await ready()
        result = await graph.ainvoke(given, _own(config), context=knobs)
        return str(result.get("answer", ""))

    return StructuredTool.from_function(
        coroutine=run,
        name=name,
        description=description
        or services.assistant.description
        or f"Ask {services.assistant.name}.",
    )


def _own(config: RunnableConfig) -> RunnableConfig:
    """Return the host's config under our own bound: a host may allow far more steps, or fewer."""
    resumed = bool(config.get("configurable", {}).get(RESUMING))
    noted = {**config.get("metadata", {}), RESUMED: resumed}
    return {**config, "metadata": noted, "recursion_limit": MOST_STEPS}


def _last_message(state: HostState) -> str:
    messages = state.get("messages")
    if not isinstance(messages, list) or not messages:
        raise ValueError(
            "the host's state has no messages: give as_node(question=...) to say where the text is"
        )
    (last,) = convert_to_messages(messages[-1:])
    if last.type != "human":
        raise ValueError(
            f"the host's last message is of the role {last.type!r}: only a person asks, and says"
            " yes; give as_node(question=...) to say where their words are"
        )
    return str(last.text)


def _as_message(answer: str, _: Mapping[str, object]) -> dict[str, object]:
    return {"messages": [AIMessage(content=answer)]}
