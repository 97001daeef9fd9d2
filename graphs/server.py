"""What the LangGraph server loads (langgraph.json): the graphs, built once a process.

The server brings its own checkpointer and store; services are ours. The module form of the path
matters: a file path would load a second copy of the types under other names.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import replace
from typing import Any, Self

from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.base import BaseCheckpointSaver
from langgraph.types import Command

from antiphon.graphs.assembly import build_services
from antiphon.graphs.compiled import Ready, compile_conversation
from antiphon.graphs.declared import PATIENCE_S, prepared
from antiphon.graphs.folders import chosen_assistant, data_folder
from antiphon.graphs.oncall import OnCall
from antiphon.graphs.persistence import STORED
from antiphon.graphs.runner import Graph
from antiphon.graphs.services import Services
from antiphon.graphs.settings import read_settings
from antiphon.graphs.traced import Traced
from antiphon.nodes.state import Context, Input, Output, State
from antiphon.tools.errors import AntiphonError, InputError
from antiphon.tools.telemetry.tracing import open_tracing

_built: dict[str, Graph] = {}
_parts: list[tuple[Services, OnCall, Graph]] = []
_building = threading.Lock()


class Served(Traced[State, Context, Input, Output]):
    """The conversation, with our types allowed in whatever checkpointer the server gives it.

    With LANGGRAPH_STRICT_MSGPACK a checkpointer brings back listed types only. Compiling lists
    them, but the server works on a copy, and `copy` of langgraph 1.2 forgets that list.
    """

    def copy(self, update: dict[str, Any] | None = None) -> Self:
        """Return a copy; the server makes one for every run."""
        given = dict(update or {})
        saver = given.get("checkpointer")
        if isinstance(saver, BaseCheckpointSaver):
            kinds = [(kind.__module__, kind.__name__) for kind in STORED]
            given["checkpointer"] = saver.with_allowlist(kinds)
        return super().copy(given)

    async def astream(
        self,
        input: Any,  # noqa: A002 - LangGraph's own name for it
        config: RunnableConfig | None = None,
        **options: Any,
    ) -> AsyncIterator[Any]:
        """Stream a run of messages or of a decision: no client writes the state or jumps."""
        if isinstance(input, Command) and (input.update or input.goto):
            raise InputError("a command may only resume", hint="Send messages, or a decision.")
        async for item in super().astream(input, config, **options):
            yield item


async def conversation() -> Graph:
    """Return the compiled conversation; the first call builds it.

    The server calls its graph factories for every run, so the result is kept.
    """
    if "conversation" not in _built:
        services, on_call, graph = await asyncio.to_thread(_build_once)
        await Ready(services)()
        # Embedding the declared files takes longer than a first turn may; what fails here fails
        # again inside the turn, where recovery answers for it.
        with suppress(AntiphonError):
            await prepared(services.knowledge, "default")
        await on_call.take_up()
        _built["conversation"] = graph
    return _built["conversation"]


def _build_once() -> tuple[Services, OnCall, Graph]:
    """Build, or wait for the build of another thread: the server may run one loop a job."""
    with _building:
        if not _parts:
            _parts.append(_build())
        return _parts[0]


def _build() -> tuple[Services, OnCall, Graph]:
    settings = read_settings()
    assistant = chosen_assistant(settings)
    services = build_services(settings, assistant, PATIENCE_S)
    on_call = OnCall(settings, services, data_folder(settings, assistant))
    tracing = open_tracing(enabled=settings.langsmith)
    graph = compile_conversation(replace(services, respond_to=on_call), tracing=tracing)
    return services, on_call, Served(**vars(graph))
