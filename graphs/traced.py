"""A compiled graph whose every run is traced, or not, as one setting says, and kept step by step.

Here, and not where runs are started, because a run may be started by a door, by a host's graph or
agent, or by the LangGraph server: all of them come through `astream`.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Iterator
from contextlib import aclosing, contextmanager
from typing import Any, cast

from langchain_core.runnables import RunnableConfig
from langchain_core.runnables.config import var_child_runnable_config
from langgraph.checkpoint.base import BaseCheckpointSaver
from langgraph.graph.state import CompiledStateGraph
from langgraph.typing import ContextT, InputT, OutputT, StateT

from antiphon.tools.telemetry.tracing import OFF, Tracing

HOSTS_SAVER = "__pregel_checkpointer"
"""Where LangGraph hands a host's checkpointer on to what runs inside it."""


class Traced(CompiledStateGraph[StateT, ContextT, InputT, OutputT]):
    """A compiled graph with a `Tracing` of its own."""

    tracing: Tracing

    def __init__(self, *, tracing: Tracing = OFF, **given: Any) -> None:
        super().__init__(**given)
        self.tracing = tracing

    async def astream(
        self,
        input: Any,  # noqa: A002 - LangGraph's own name for it, which callers may use
        config: RunnableConfig | None = None,
        **options: Any,
    ) -> AsyncIterator[Any]:
        """Stream a run; `ainvoke` and `astream_events` come through here too."""
        outer = var_child_runnable_config.get() or {}
        given = {**outer.get("configurable", {}), **(config or {}).get("configurable", {})}
        if isinstance(self.checkpointer, BaseCheckpointSaver) or given.get(HOSTS_SAVER):
            # Each step is on disk before the next begins, whoever runs it: a call that went out
            # must be found again as it was planned, since a model asked anew may plan another.
            options["durability"] = "sync"
            options.pop("checkpoint_during", None)
        callbacks = (config or {}).get("callbacks") or outer.get("callbacks")
        if callbacks:
            heard = self.tracing.callbacks(callbacks)
            # In both places: LangGraph joins what it is given with what is around it.
            config, outer = {**(config or {}), "callbacks": heard}, {**outer, "callbacks": heard}
        run = cast("AsyncGenerator[Any]", super().astream(input, config, **options))
        async with aclosing(run) as stream:
            while True:
                # Step by step: what is set must not be left behind in the caller's context.
                with self.tracing.around(), _within(outer):
                    try:
                        item = await anext(stream)
                    except StopAsyncIteration:
                        return
                yield item

    async def abulk_update_state(self, config: RunnableConfig, *updates: Any) -> RunnableConfig:
        """Write into a thread, which LangGraph traces as a run; `aupdate_state` comes through."""
        with self.tracing.around():
            return await super().abulk_update_state(config, *updates)


@contextmanager
def _within(config: RunnableConfig) -> Iterator[None]:
    mark = var_child_runnable_config.set(config)
    try:
        yield
    finally:
        var_child_runnable_config.reset(mark)


def traced(
    graph: CompiledStateGraph[StateT, ContextT, InputT, OutputT], tracing: Tracing = OFF
) -> Traced[StateT, ContextT, InputT, OutputT]:
    """Return a compiled graph as one that is traced only as `tracing` says."""
    return Traced(tracing=tracing, **vars(graph))
