"""How a command gets at the runtime: read the settings, open everything, close it again."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from antiphon.graphs.runtime import Runtime

Result = TypeVar("Result")


def run(work: Coroutine[object, None, Result]) -> Result:
    """Run `work` to its end in an event loop of its own."""
    import asyncio

    return asyncio.run(work)


def known_model(runtime: Runtime, name: str) -> None:
    """Raise UnknownModel when a model is asked for by a name that is not on offer."""
    from antiphon.graphs.models import model_cards
    from antiphon.tools.errors import UnknownModel
    from antiphon.tools.models import LAST_RESORT

    cards = model_cards(runtime.settings, runtime.services.assistant)
    known = dict.fromkeys([*(card.name for card in cards), LAST_RESORT])
    if name and name not in known:
        raise UnknownModel(
            f"there is no model {name!r} to choose",
            hint=f"On offer: {', '.join(known)}. ANTIPHON_MODEL and the assistant's "
            "models.catalogue add others.",
        )


@asynccontextmanager
async def opened(assistant: Path | None) -> AsyncIterator[Runtime]:
    """Open the runtime that the environment and `--assistant` describe."""
    from antiphon.graphs.declared import DeclaredKnowledge
    from antiphon.graphs.runtime import open_runtime
    from antiphon.graphs.settings import read_settings

    async with open_runtime(read_settings(), assistant=assistant) as runtime:
        knowledge = runtime.services.knowledge
        if sys.stderr.isatty() and isinstance(knowledge, DeclaredKnowledge):
            knowledge.tell = _reading
        yield runtime


def _reading() -> None:
    print("Reading the assistant's pages; the next time this is quick ...", file=sys.stderr)
