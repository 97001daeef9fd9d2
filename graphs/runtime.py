"""What is open while the assistant runs: databases, services, compiled graphs."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path

from antiphon.graphs.assembly import build_services
from antiphon.graphs.assistant import Assistant
from antiphon.graphs.compiled import Ready, compile_conversation
from antiphon.graphs.conversation import aftermath
from antiphon.graphs.declared import DeclaredKnowledge
from antiphon.graphs.folders import chosen_assistant, data_folder
from antiphon.graphs.oncall import OnCall
from antiphon.graphs.persistence import Persistence, open_persistence
from antiphon.graphs.runner import DEFAULT_PACE, Pace, Runner
from antiphon.graphs.services import Services, unattended
from antiphon.graphs.settings import Settings
from antiphon.graphs.settling import Settlement
from antiphon.graphs.threads import Conversations
from antiphon.tools.errors import AntiphonError
from antiphon.tools.retrieval import Embedder, Knowledge
from antiphon.tools.telemetry.tracing import OFF, Tracing, open_tracing
from antiphon.tools.turns.effects import KeptEffects
from antiphon.tools.turns.retention import Keep, Retention
from antiphon.tools.turns.store import SqlTurns


@dataclass(frozen=True, slots=True, kw_only=True)
class Runtime:
    """Everything that is open: what the doors work with."""

    settings: Settings
    services: Services
    conversations: Conversations
    persistence: Persistence
    folder: Path
    """Where this assistant's data lies."""
    on_call: OnCall
    """Responds to alerts."""


@asynccontextmanager
async def open_runtime(
    settings: Settings,
    *,
    assistant: Path | None = None,
    services: Services | None = None,
    patience_s: float | None = None,
) -> AsyncIterator[Runtime]:
    """Open databases, build services, compile the graphs; close all on leaving.

    `services` replaces what would be built (tests, benchmarks). A turn waits `patience_s` for
    pages that are being read for its tenant, or, like a command, as long as it takes.

    Raises AssistantError, SettingsError, StorageError.
    """
    form = chosen_assistant(settings, assistant)
    folder = data_folder(settings, form)
    if services is None:
        services = await asyncio.to_thread(build_services, settings, form, patience_s)
    on_call = OnCall(settings, services, folder)
    if services.respond_to is unattended:
        services = replace(services, respond_to=on_call)
    starting = asyncio.gather(
        _warm(services.embedder),
        *([on_call.take_up()] if services.respond_to is on_call else []),
    )
    await Ready(services)()
    tracing = await asyncio.to_thread(open_tracing, enabled=settings.langsmith)
    try:
        async with open_persistence(settings, folder) as persistence:
            conversations = converse(
                services,
                persistence,
                prepare=_prepare(services.knowledge) if patience_s is None else None,
                tracing=tracing,
            )
            try:
                yield Runtime(
                    settings=settings,
                    services=services,
                    conversations=conversations,
                    persistence=persistence,
                    folder=folder,
                    on_call=on_call,
                )
            finally:
                await conversations.runner.close()
    finally:
        await starting
        await on_call.drain()
        for part in (services.knowledge, services.cache, tracing):
            await _close(part)


def converse(
    services: Services,
    persistence: Persistence,
    *,
    prepare: Callable[[str], Awaitable[None]] | None = None,
    pace: Pace = DEFAULT_PACE,
    tracing: Tracing = OFF,
) -> Conversations:
    """Compile the table over open databases and return its conversations."""
    services = replace(services, effects=KeptEffects(persistence.turns))
    retention = retention_of(services.assistant, persistence.turns)
    settlement = Settlement(
        graph=compile_conversation(services, persistence.saver, persistence.store, tracing=tracing),
        turns=persistence.turns,
        telemetry=services.telemetry,
        aftermath=aftermath(services),
        respond_to=services.respond_to,
    )
    runner = Runner(
        settlement,
        trim=retention.trim if persistence.together else None,
        pace=pace,
    )
    return Conversations(runner, services.toolbox, prepare=prepare)


def retention_of(assistant: Assistant, turns: SqlTurns) -> Retention:
    """Return what thins out the threads of an assistant by its own policy."""
    form = assistant.retention
    keep = Keep(
        full_steps_turns=form.full_steps_turns,
        full_steps_hours=form.full_steps_hours,
        last_step_turns=form.last_step_turns,
        turns=form.turns,
        thread_days=form.thread_days,
    )
    return Retention(turns.database, keep)


async def _warm(embedder: Embedder) -> None:
    """Load the embedder while databases open and the graph compiles; the first turn needs it."""
    # A fault shows again, with its place, where the vector is needed.
    with suppress(AntiphonError):
        await embedder.embed(["warm"])


def _prepare(knowledge: Knowledge) -> Callable[[str], Awaitable[None]] | None:
    return knowledge.ready if isinstance(knowledge, DeclaredKnowledge) else None


async def _close(part: object) -> None:
    close = getattr(part, "close", None)
    if close is not None:
        await close()
