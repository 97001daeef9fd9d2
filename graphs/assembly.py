"""The composition root: settings and an assistant in, services and compiled graphs out."""

from __future__ import annotations

import asyncio
import hashlib
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, replace
from functools import partial
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING

from langgraph.checkpoint.base import BaseCheckpointSaver
from langgraph.store.base import BaseStore

from antiphon.graphs.answers import open_cache
from antiphon.graphs.assistant import FILE, Assistant, GuardForm, ToolForm, load_assistant
from antiphon.graphs.conversation import aftermath, build_conversation
from antiphon.graphs.declared import DeclaredKnowledge, rebuildable
from antiphon.graphs.oncall import OnCall
from antiphon.graphs.persistence import (
    Persistence,
    make_folder,
    open_persistence,
    open_turns,
)
from antiphon.graphs.runner import DEFAULT_PACE, Graph, Pace, Runner
from antiphon.graphs.services import Services, unattended
from antiphon.graphs.settings import Settings
from antiphon.graphs.settling import Settlement
from antiphon.graphs.threads import Conversations
from antiphon.graphs.traced import traced
from antiphon.prompts.library import PromptError, PromptFiles
from antiphon.tools.errors import AntiphonError, AssistantError
from antiphon.tools.guards.build import build_guard
from antiphon.tools.guards.pipeline import GuardRail
from antiphon.tools.intent import DeclaredIntent, EmbeddingClassifier
from antiphon.tools.memory.conversation import ConversationMemory
from antiphon.tools.models import LAST_RESORT, ModelCard
from antiphon.tools.models.catalog import KNOWN
from antiphon.tools.models.embeddings import dense_share, make_embedder, make_reranker
from antiphon.tools.models.extractive import Extractive
from antiphon.tools.models.kept import KeptVectors
from antiphon.tools.models.providers import check_name, connect
from antiphon.tools.models.router import ModelRouter
from antiphon.tools.models.scoring import Weights
from antiphon.tools.privacy import PatternDetector
from antiphon.tools.resilience import Breaker, Switches
from antiphon.tools.retrieval import Embedder, Knowledge, Migration, Reindexed
from antiphon.tools.retrieval.analysis import primary
from antiphon.tools.retrieval.local import SqliteKnowledge
from antiphon.tools.telemetry.logs import build_log
from antiphon.tools.telemetry.record import TurnTelemetry, build_telemetry, load_hash_key
from antiphon.tools.telemetry.retention import Keep as KeptLogs
from antiphon.tools.telemetry.tracing import OFF, Tracing, open_tracing
from antiphon.tools.tokens import ApproximateCounter
from antiphon.tools.toolbox import ToolSpec
from antiphon.tools.toolbox.executor import AssistantToolbox
from antiphon.tools.toolbox.likeness import described
from antiphon.tools.toolbox.registry import load_tool
from antiphon.tools.turns.effects import KeptEffects
from antiphon.tools.turns.retention import Keep, Retention
from antiphon.tools.turns.store import SqlTurns

if TYPE_CHECKING:
    from antiphon.graphs.ingest import Progress
    from antiphon.nodes.ingest import IngestContext


LEFT_ALONE_S = 10.0
"""How long a Weaviate that failed is left alone. An open incident makes the next trial, so that
hardly any turn pays for one."""
MOST_STEPS = 120
"""Node runs within one turn; every loop in the table is bounded well below it."""


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


def sample_folder() -> Path:
    """Return the folder of the sample assistant."""
    return Path(str(files("antiphon.examples"))) / "help_centre"


def data_folder(settings: Settings, assistant: Assistant) -> Path:
    """Return where an assistant's data lies: two assistants never share anything."""
    if assistant.id:
        return settings.data_dir / assistant.id
    slug = re.sub(r"[^a-z0-9]+", "-", assistant.folder.name.lower()).strip("-") or "assistant"
    place = hashlib.sha256(str(assistant.folder).encode()).hexdigest()[:8]
    return settings.data_dir / f"{slug}-{place}"


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
    form = load_assistant(assistant or settings.assistant or sample_folder())
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
        last_step_turns=form.last_step_turns,
        turns=form.turns,
        thread_days=form.thread_days,
    )
    return Retention(turns.database, keep)


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


def build_services(
    settings: Settings, assistant: Assistant, patience_s: float | None = None
) -> Services:
    """Build every service. Blocking, and quick: models and databases open at their first use.

    `patience_s`: how long a search waits for pages that are being read.

    Raises AssistantError, SettingsError, StorageError.
    """
    folder = data_folder(settings, assistant)
    make_folder(folder)
    embedder = make_embedder(settings.embedder, assistant.languages)
    switches, tokens = Switches(), ApproximateCounter()
    intents, memory = assistant.intents, assistant.memory
    knowledge = _knowledge(settings, assistant, embedder, folder, patience_s)
    specs = [_spec(form, assistant.folder) for form in assistant.tools]
    wording = KeptVectors(embedder, _wording(assistant, specs), folder / "wording.npz")

    async def bring_in(paths: Sequence[Path], tenant: str) -> object:
        from antiphon.graphs.ingest import ingest_paths, redactor
        from antiphon.nodes.ingest import IngestContext

        return await ingest_paths(
            knowledge.stored,
            tokens,
            paths,
            context=IngestContext(tenant=tenant, fallback=primary(assistant.languages[0])),
            redactor=redactor(PatternDetector()) if assistant.knowledge.redact else None,
        )

    knowledge.bind(bring_in)
    return Services(
        assistant=assistant,
        input_rail=_rail(assistant, "input", switches),
        output_rail=_rail(assistant, "output", switches),
        cache=open_cache(settings, folder),
        memory=ConversationMemory(
            embedder=embedder,
            tokens=tokens,
            window_tokens=memory.window_tokens,
            keep_last=memory.keep_last,
            long_term_items=memory.long_term_items,
            recalled=memory.recalled,
        ),
        intents=EmbeddingClassifier(
            [
                DeclaredIntent(**form.model_dump(exclude_defaults=False))
                for form in intents.declared
            ],
            wording,
            threshold=intents.threshold,
            margin=intents.margin,
        ),
        knowledge=knowledge,
        embedder=embedder,
        effects=KeptEffects(open_turns(settings, folder)),
        toolbox=AssistantToolbox(
            specs,
            embedder=wording,
            switches=switches,
            data_dir=folder,
        ),
        models=_models(settings, assistant, embedder, switches),
        prompts=_prompts(assistant.folder / "prompts"),
        tokens=tokens,
        telemetry=_telemetry(settings, assistant, folder),
        reranker=make_reranker(settings.reranker),
        switches=switches,
    )


def model_cards(settings: Settings, assistant: Assistant) -> tuple[ModelCard, ...]:
    """Return the models on offer: what settings and the assistant name, else the extractive one.

    Raises UnknownModel for a name that could never be opened.
    """
    cards = {
        form.name: ModelCard(
            name=form.name,
            context_tokens=form.context_tokens,
            input_usd_per_mtok=form.input_usd_per_mtok,
            output_usd_per_mtok=form.output_usd_per_mtok,
            first_token_s=form.first_token_s,
            tokens_per_s=form.tokens_per_s,
            quality=form.quality,
            capabilities=frozenset({"chat", "tools"} if form.tools else {"chat"}),
        )
        for form in assistant.models.catalogue
    }
    for name in cards:
        check_name(name, url=settings.model_url, where=f"{FILE}: models.catalogue: ")
    named = settings.model or LAST_RESORT
    if named not in cards and (settings.model or not cards):
        check_name(named, url=settings.model_url, where="ANTIPHON_MODEL: ")
        unknown = ModelCard(
            name=named,
            context_tokens=8192,
            first_token_s=1.0,
            tokens_per_s=50.0,
            quality=0.6,
            capabilities=frozenset({"chat", "tools"}),
        )
        cards = {named: KNOWN.get(named, unknown), **cards}
    return tuple(cards.values())


async def ingest(
    runtime: Runtime,
    paths: Sequence[Path],
    *,
    context: IngestContext,
    urls: Sequence[str] = (),
    redact: bool | None = None,
    allow_private: bool = False,
    progress: Progress | None = None,
) -> dict[str, object]:
    """Run the ingest graph; return the report of `antiphon ingest --json`.

    `redact` overrules the assistant's own `knowledge.redact`; `allow_private` lets pages come
    from this machine and its network.
    """
    from antiphon.graphs.ingest import ingest_paths, redactor
    from antiphon.tools.retrieval.fetching import Fetcher
    from antiphon.tools.retrieval.origins import Origins

    services = runtime.services
    knowledge, assistant = services.knowledge, services.assistant
    declared = knowledge if isinstance(knowledge, DeclaredKnowledge) else None
    wanted = assistant.knowledge.redact if redact is None else redact
    report = await ingest_paths(
        declared.stored if declared else knowledge,
        services.tokens,
        paths,
        context=replace(context, fallback=primary(assistant.languages[0])),
        urls=urls,
        progress=progress,
        redactor=redactor(PatternDetector()) if wanted else None,
        fetch=Fetcher(allow_private=allow_private).fetched,
        origins=Origins(
            runtime.folder / "origins.json",
            always=await asyncio.to_thread(declared.gives) if declared else None,
        ),
    )
    if context.replace and not context.dry_run and declared:
        await declared.by_hand(context.tenant)
    return report


async def rebuild(
    runtime: Runtime, *, tenant: str | None, progress: Callable[[int, int], None]
) -> Migration | Reindexed:
    """Embed a tenant's passages anew; without a tenant, bring all up to this release.

    Raises:
        SettingsError: the knowledge in use can do neither.
    """
    knowledge = rebuildable(runtime.services.knowledge)
    if tenant is None:
        return await knowledge.migrate(progress=progress)
    return await knowledge.reindex(tenant=tenant, progress=progress)


def _knowledge(
    settings: Settings,
    assistant: Assistant,
    embedder: Embedder,
    folder: Path,
    patience_s: float | None,
) -> DeclaredKnowledge:
    alpha = assistant.knowledge.alpha
    if alpha is None:
        alpha = dense_share(embedder, assistant.languages)
    stored: Knowledge
    if settings.weaviate_url:
        from antiphon.tools.retrieval.weaviate import WeaviateKnowledge

        stored = WeaviateKnowledge(
            settings.weaviate_url,
            grpc_port=settings.weaviate_grpc_port,
            key=settings.weaviate_key.get_secret_value(),
            embedder=embedder,
            alpha=alpha,
            collection=_collection(folder.name),
            breaker=Breaker(cooldown_s=LEFT_ALONE_S),
        )
    else:
        stored = SqliteKnowledge(folder / "knowledge.db", embedder, alpha=alpha)
    paths = [assistant.folder / path for path in assistant.knowledge.paths]
    policy = "redacted " if assistant.knowledge.redact else ""
    notes = folder / "declared.json"
    return DeclaredKnowledge(stored, paths, notes=notes, policy=policy, patience_s=patience_s)


def _collection(name: str) -> str:
    """Return a Weaviate collection name: letters and digits, beginning with a capital."""
    return "Antiphon" + "".join(part.capitalize() for part in re.split(r"[^A-Za-z0-9]+", name))


def _rail(assistant: Assistant, side: str, switches: Switches) -> GuardRail:
    entries: tuple[GuardForm, ...] = getattr(assistant.guards, side)
    detector = PatternDetector()
    return GuardRail(
        [
            build_guard(
                entry.use,
                entry.options,
                critical=entry.critical,
                allowed_links=assistant.guards.allowed_links,
                max_chars=assistant.guards.max_chars,
                detector=detector,
                rail="input" if side == "input" else "output",
            )
            for entry in entries
        ],
        switches=switches,
    )


def _wording(assistant: Assistant, specs: Sequence[ToolSpec]) -> set[str]:
    """Return the texts that an assistant declares and that messages are compared with."""
    utterances = {text for form in assistant.intents.declared for text in form.examples}
    return utterances | {text for spec in specs for text in described(spec)}


def _prompts(overrides: Path) -> PromptFiles:
    """Read the prompts, with the assistant's own in place of ours. Raises AssistantError."""
    try:
        return PromptFiles(overrides if overrides.is_dir() else None)
    except PromptError as error:
        raise AssistantError(
            str(error), hint=f"Mend or remove the file in {str(overrides)!r}."
        ) from error


def _spec(form: ToolForm, folder: Path) -> ToolSpec:
    policy = form.model_dump(exclude={"path"})
    return ToolSpec(tool=load_tool(form.path, folder), **policy)


def _models(
    settings: Settings, assistant: Assistant, embedder: Embedder, switches: Switches
) -> ModelRouter:
    weights = assistant.models.weights
    return ModelRouter(
        model_cards(settings, assistant),
        weights=Weights(cost=weights.cost, latency=weights.latency, quality=weights.quality),
        connect=partial(
            connect,
            url=settings.model_url,
            key=settings.model_key.get_secret_value(),
            gguf=settings.gguf,
            max_tokens=assistant.models.output_tokens,
        ),
        last_resort=Extractive(embedder=embedder, language=assistant.languages[0]),
        switches=switches,
        served_by=(settings.model_url, str(settings.gguf or "")),
    )


def _telemetry(settings: Settings, assistant: Assistant, folder: Path) -> TurnTelemetry:
    log = build_log(level=settings.log_level, form=settings.log_format)
    given = settings.hash_key.get_secret_value().encode()
    return build_telemetry(
        data_dir=folder,
        log=log,
        hash_key=given or load_hash_key(folder),
        keep=KeptLogs(days=assistant.logs.days, megabytes=assistant.logs.megabytes),
    )


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
