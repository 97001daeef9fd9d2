"""The composition root: settings and an assistant in, services out."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from antiphon.graphs.answers import open_cache
from antiphon.graphs.assistant import Assistant, GuardForm, ToolForm
from antiphon.graphs.declared import DeclaredKnowledge
from antiphon.graphs.folders import data_folder
from antiphon.graphs.models import check_offered, model_cards
from antiphon.graphs.persistence import (
    make_folder,
    open_turns,
)
from antiphon.graphs.services import Services
from antiphon.graphs.settings import Settings
from antiphon.prompts.library import PromptError, PromptFiles
from antiphon.tools.claims import Verifier
from antiphon.tools.claims.judge import PURPOSE, Budget, JudgedVerifier
from antiphon.tools.errors import AssistantError
from antiphon.tools.guards.build import build_guard
from antiphon.tools.guards.pipeline import GuardRail
from antiphon.tools.intent import DeclaredIntent, EmbeddingClassifier
from antiphon.tools.memory.conversation import ConversationMemory
from antiphon.tools.models.accounted import Accounted
from antiphon.tools.models.claim_reader import make_verifier
from antiphon.tools.models.embeddings import (
    dense_share,
    make_embedder,
    make_reranker,
)
from antiphon.tools.models.extractive import Extractive
from antiphon.tools.models.kept import KeptVectors
from antiphon.tools.models.providers import connect
from antiphon.tools.models.router import ModelRouter
from antiphon.tools.models.scoring import Weights
from antiphon.tools.privacy import PatternDetector
from antiphon.tools.resilience import Breaker, Switches
from antiphon.tools.retrieval import Embedder, Knowledge
from antiphon.tools.retrieval.analysis import primary
from antiphon.tools.retrieval.local import SqliteKnowledge
from antiphon.tools.telemetry.logs import build_log
from antiphon.tools.telemetry.record import TurnTelemetry, build_telemetry, load_hash_key
from antiphon.tools.telemetry.retention import Keep as KeptLogs
from antiphon.tools.tokens import ApproximateCounter
from antiphon.tools.toolbox import ToolSpec
from antiphon.tools.toolbox.executor import AssistantToolbox
from antiphon.tools.toolbox.likeness import described
from antiphon.tools.toolbox.registry import load_tool
from antiphon.tools.turns.effects import KeptEffects

LEFT_ALONE_S = 10.0
"""How long a Weaviate that failed is left alone. An open incident makes the next trial, so that
hardly any turn pays for one."""


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
    models = _models(settings, assistant, embedder, switches)
    prompts = _prompts(assistant.folder / "prompts")
    verifier: Verifier = make_verifier(embedder)
    if (form := assistant.judge) is not None:
        check_offered(form.model, settings, assistant, key="judge.model")
        budget = Budget(**form.model_dump(exclude={"model"}))
        verifier = JudgedVerifier(
            verifier, Accounted(models, PURPOSE), prompts, tokens, model=form.model, budget=budget
        )
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
        input_rail=_rail(assistant, "input", switches, verifier),
        output_rail=_rail(assistant, "output", switches, verifier),
        verifier=verifier,
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
        models=models,
        prompts=prompts,
        tokens=tokens,
        telemetry=_telemetry(settings, assistant, folder),
        reranker=make_reranker(settings.reranker),
        switches=switches,
    )


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


def _rail(assistant: Assistant, side: str, switches: Switches, verifier: Verifier) -> GuardRail:
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
                verifier=verifier,
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
