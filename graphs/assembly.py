"""The composition root: settings and an assistant in, services and compiled graphs out."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from antiphon.graphs.services import Services
from antiphon.graphs.settings import Settings
from antiphon.graphs.threads import Conversations


@dataclass(frozen=True, slots=True, kw_only=True)
class Runtime:
    """Everything that is open: what the doors work with."""

    settings: Settings
    services: Services
    conversations: Conversations


@asynccontextmanager
async def open_runtime(
    settings: Settings, *, assistant: Path | None = None, services: Services | None = None
) -> AsyncIterator[Runtime]:
    """Open databases, build services, compile the graphs; close all on leaving.

    `services` replaces what would be built (tests, benchmarks).
    """
    raise NotImplementedError
    yield


async def ingest(
    runtime: Runtime,
    paths: Sequence[Path],
    *,
    tenant: str,
    replace: bool = False,
    dry_run: bool = False,
    progress: Callable[[int, int], None] | None = None,
) -> dict[str, object]:
    """Run the ingest graph; return the report of `antiphon ingest --json`.

    `progress(done, total)` is called per file.
    """
    raise NotImplementedError
