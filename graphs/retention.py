"""What is removed when its time is over: swept by `serve` and by `antiphon prune`."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from antiphon.graphs.answers import prune_answers
from antiphon.graphs.persistence import storage_errors
from antiphon.graphs.runtime import Runtime, retention_of
from antiphon.tools.telemetry.retention import Keep, prune_logs


@dataclass(frozen=True, slots=True, kw_only=True)
class Swept:
    """What a sweep removed, or would."""

    threads: int
    """Whole threads past their time."""
    bytes: int
    """Of checkpoints and records."""
    dry_run: bool


async def sweep(runtime: Runtime, *, dry_run: bool = False, compact: bool = False) -> Swept:
    """Remove what is past its time; `compact` gives the space back to the disk where it can.

    Raises StorageError.
    """
    talk = runtime.conversations
    retention = retention_of(runtime.services.assistant, runtime.persistence.turns)
    with storage_errors():
        old = await retention.old()
        count = 0
        for tenant, thread in old:
            count += await retention.weigh(tenant, thread)
            if not dry_run:
                # Unless somebody came back to it meanwhile.
                await talk.turns.delete(tenant, thread, idle_s=retention.idle_s)
        count += await retention.trim_all(dry_run=dry_run)
        logs = runtime.services.assistant.logs
        keep = Keep(days=logs.days, megabytes=logs.megabytes)
        count += await asyncio.to_thread(prune_logs, runtime.folder, keep=keep, dry_run=dry_run)
        count += (await prune_answers(runtime.folder, dry_run=dry_run)).freed_bytes
        if not dry_run:
            await retention.bury()
            if compact:
                await retention.compact()
    return Swept(threads=len(old), bytes=count, dry_run=dry_run)
