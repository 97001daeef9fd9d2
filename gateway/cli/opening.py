"""How a command gets at the runtime: read the settings, open everything, close it again."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from antiphon.graphs.assembly import Runtime


@asynccontextmanager
async def opened(assistant: Path | None) -> AsyncIterator[Runtime]:
    """Open the runtime that the environment and `--assistant` describe."""
    from antiphon.graphs.assembly import open_runtime
    from antiphon.graphs.settings import read_settings

    async with open_runtime(read_settings(), assistant=assistant) as runtime:
        yield runtime
