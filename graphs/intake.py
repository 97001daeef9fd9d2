"""Knowledge brought into a running assistant by hand, and brought up to date."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from antiphon.graphs.declared import DeclaredKnowledge, rebuildable
from antiphon.graphs.ingest import Progress, ingest_paths, redactor
from antiphon.graphs.runtime import Runtime
from antiphon.nodes.ingest import IngestContext
from antiphon.tools.privacy import PatternDetector
from antiphon.tools.retrieval import Migration, Reindexed
from antiphon.tools.retrieval.analysis import primary
from antiphon.tools.retrieval.fetching import Fetcher
from antiphon.tools.retrieval.origins import Origins


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
