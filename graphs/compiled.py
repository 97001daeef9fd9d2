"""The conversation ready to run: compiled under its public name, its guards loaded."""

from __future__ import annotations

from langgraph.checkpoint.base import BaseCheckpointSaver
from langgraph.store.base import BaseStore

from antiphon.graphs.conversation import build_conversation
from antiphon.graphs.runner import Graph
from antiphon.graphs.services import Services
from antiphon.graphs.traced import traced
from antiphon.tools.guards.pipeline import GuardRail
from antiphon.tools.telemetry.tracing import OFF, Tracing

MOST_STEPS = 120
"""Node runs within one turn; every loop in the table is bounded well below it."""


def compile_conversation(
    services: Services,
    saver: BaseCheckpointSaver[str] | None = None,
    store: BaseStore | None = None,
    *,
    tracing: Tracing = OFF,
) -> Graph:
    """Compile the table under its public name; its runs are traced as `tracing` says alone."""
    graph = (
        build_conversation(services)
        .compile(checkpointer=saver, store=store, name="conversation")
        .with_config(recursion_limit=MOST_STEPS)
    )
    return traced(graph, tracing)


class Ready:
    """Loads what is slow to load before a first turn, where no runtime has done it."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._done = False

    async def __call__(self) -> None:
        """Let the guards load, once; a guard that cannot is a failed guard later."""
        if self._done:
            return
        for rail in (self._services.input_rail, self._services.output_rail):
            if isinstance(rail, GuardRail):
                await rail.prepare()
        self._done = True
