"""What a thread takes on disk: flat, however long it goes on."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest
from fakes import FakeMemory, Opened, fake_services
from langchain_core.messages import BaseMessage
from langgraph.store.base import BaseStore

from antiphon.graphs.threads import Conversations
from antiphon.nodes.state import Context
from antiphon.tools.memory import Digest

ME = Context(tenant="acme", user="alice")
LAST = 20


@dataclass
class Archiving(FakeMemory):
    """Keeps the last messages in the conversation, as the real memory does."""

    async def digest(
        self,
        messages: Sequence[BaseMessage],
        summary: str,
        *,
        store: BaseStore | None,
        tenant: str,
        user: str,
        thread: str,
    ) -> Digest:
        return Digest(summary=summary, archived=tuple(str(one.id) for one in messages[:-LAST]))


def weight(folder: Path) -> int:
    """Return the bytes in use, apart from pages that are free to be used again."""
    with sqlite3.connect(folder / "threads.db") as file:
        pages, free, size = (
            file.execute(f"PRAGMA {name}").fetchone()[0]
            for name in ("page_count", "freelist_count", "page_size")
        )
    return int((pages - free) * size)


async def ask(talk: Conversations, count: int) -> None:
    for number in range(count):
        await talk.ask(f"How long can I take to return lamp {number}?", context=ME, thread="t")


@pytest.mark.slow
async def test_a_long_thread_stays_small(tmp_path: Path) -> None:
    """Forty turns take less than 3 MB on disk, and forty more next to nothing."""
    async with Opened(tmp_path, fake_services(memory=Archiving())) as talk:
        await ask(talk, 40)
        forty, file = weight(tmp_path), (tmp_path / "threads.db").stat().st_size
        await ask(talk, 40)
        eighty = weight(tmp_path)
    assert file < 3_000_000
    assert eighty < 1.1 * forty
