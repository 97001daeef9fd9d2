"""Where threads and memory live: SQLite files, or PostgreSQL by a setting."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from langgraph.checkpoint.base import BaseCheckpointSaver
from langgraph.checkpoint.serde.jsonplus import JsonPlusSerializer
from langgraph.store.base import BaseStore

from antiphon.graphs import postgres
from antiphon.graphs.settings import Settings
from antiphon.nodes.state import Approval, Failure, Judged, Pending, Ruling, Said
from antiphon.tools.cache import CachedAnswer
from antiphon.tools.errors import LeaseLost, StorageBusy, StorageCorrupt, StorageUnwritable
from antiphon.tools.guards import Violation
from antiphon.tools.intent import Intent
from antiphon.tools.memory import Memory
from antiphon.tools.models import Scored, Selection, Usage
from antiphon.tools.private import private_file, private_folder, tighten
from antiphon.tools.retrieval.context import Card, Citation
from antiphon.tools.toolbox import Missing, ToolCall, ToolResult
from antiphon.tools.turns.database import (
    BUSY_S,
    PAUSES,
    Database,
    PostgresDatabase,
    SqliteDatabase,
)
from antiphon.tools.turns.schema import FENCED, fence
from antiphon.tools.turns.store import SqlTurns

if TYPE_CHECKING:
    from psycopg_pool import AsyncConnectionPool

STORED = (
    Approval,
    CachedAnswer,
    Card,
    Citation,
    Failure,
    Intent,
    Judged,
    Memory,
    Missing,
    Pending,
    Ruling,
    Said,
    Scored,
    Selection,
    ToolCall,
    ToolResult,
    Usage,
    Violation,
)
"""The only types of ours that a checkpoint may bring back to life."""

THREADS, MEMORY = "threads.db", "memory.db"
ROOM = "Free some space or set ANTIPHON_DATA_DIR to a folder that can be written."


@dataclass(frozen=True, slots=True, kw_only=True)
class Persistence:
    """An open checkpointer and store, and what they stand on."""

    saver: BaseCheckpointSaver[str]
    store: BaseStore
    turns: SqlTurns
    together: bool = False
    """Whether turns and checkpoints lie in one database, so that old steps can be removed."""

    pool: AsyncConnectionPool[Any] | None = None
    """Connections to PostgreSQL (autocommit, rows as dicts); None where SQLite holds the files."""

    async def ping(self) -> None:
        """Ask the database for next to nothing. Raises StorageError when it does not answer."""
        await self.turns.ping()


def serializer() -> JsonPlusSerializer:
    """Return the strict serializer: nothing but the listed types is ever constructed."""
    return JsonPlusSerializer(
        allowed_msgpack_modules=[(kind.__module__, kind.__name__) for kind in STORED]
    )


@asynccontextmanager
async def open_persistence(settings: Settings, folder: Path) -> AsyncIterator[Persistence]:
    """Open the checkpointer and the store; SQLite files lie in `folder`.

    Raises StorageError.
    """
    url = settings.postgres_url.get_secret_value()
    async with AsyncExitStack() as stack:
        yield await (_postgres(url, stack) if url else _sqlite(folder, stack))


async def _postgres(url: str, stack: AsyncExitStack) -> Persistence:
    with storage_errors():
        pool, saver, store = await postgres.open_postgres(url, stack, serializer())
        turns = await _fenced(PostgresDatabase(pool), stack)
    return Persistence(saver=saver, store=store, turns=turns, together=True, pool=pool)


async def _sqlite(folder: Path, stack: AsyncExitStack) -> Persistence:
    import aiosqlite
    from langgraph.checkpoint.sqlite.aio import AsyncSqliteSaver
    from langgraph.store.sqlite.aio import AsyncSqliteStore

    await asyncio.to_thread(make_folder, folder)
    for name in (THREADS, MEMORY):
        make_file(folder / name)
    with storage_errors():
        threads = await stack.enter_async_context(
            aiosqlite.connect(folder / THREADS, timeout=BUSY_S)
        )
        # As for the records of turns: no commit dies with the process, and none waits for the disk.
        await threads.execute("PRAGMA synchronous=NORMAL")
        saver = AsyncSqliteSaver(threads, serde=serializer())
        await _until_free(saver.setup)
        # Two processes must not migrate the store at once: who may write threads.db goes first.
        await threads.execute("BEGIN IMMEDIATE")
        with storage_errors(MEMORY):
            memory = await stack.enter_async_context(
                aiosqlite.connect(folder / MEMORY, timeout=BUSY_S, isolation_level=None)
            )
            store = await stack.enter_async_context(AsyncSqliteStore(memory))
            await _until_free(store.setup)
        await threads.rollback()
        turns = await _fenced(SqliteDatabase(folder / THREADS), stack)
    return Persistence(saver=saver, store=store, turns=turns, together=True)


async def _fenced(database: Database, stack: AsyncExitStack) -> SqlTurns:
    """Return the store of turns, with the checkpointer's tables held to its leases."""
    stack.push_async_callback(database.close)
    turns = SqlTurns(database, errors=storage_errors)
    await turns.ping()
    await fence(database)
    return turns


async def _until_free(setup: Callable[[], Awaitable[None]]) -> None:
    """Set a database up, waiting for another process that does the same."""
    for pause in PAUSES:
        try:
            return await setup()
        except sqlite3.OperationalError as error:
            if "locked" not in str(error):
                raise
            await asyncio.sleep(pause)
    return await setup()


def make_folder(folder: Path) -> None:
    """Create the data folder, or take others' rights from it and all that it holds; blocking.

    Raises StorageUnwritable.
    """
    try:
        private_folder(folder)
        tighten(folder)
    except OSError as error:
        raise StorageUnwritable(
            f"the data folder {str(folder)!r} cannot be made: {error.strerror}",
            hint="Set ANTIPHON_DATA_DIR to a folder that can be written.",
        ) from error


def make_file(path: Path) -> None:
    """Make an empty file in the data folder where there is none, for the owner alone.

    SQLite gives a database's rights to the log beside it. Raises StorageUnwritable.
    """
    try:
        private_file(path)
    except OSError as error:
        raise StorageUnwritable(
            f"{path.name} cannot be written: {error.strerror}", hint=ROOM
        ) from error


@contextmanager
def storage_errors(file: str = THREADS) -> Iterator[None]:
    """Turn what SQLite raises about a file of the data folder, or PostgreSQL, into ours."""
    try:
        yield
    except sqlite3.Error as error:
        said = str(error)
        _hold_to_the_lease(error)
        if "locked" in said or "busy" in said:
            raise StorageBusy(
                f"another process holds {file}",
                hint="Try again in a moment, or use PostgreSQL for many processes.",
            ) from error
        if any(word in said for word in ("readonly", "full", "unable to open", "disk I/O")):
            raise StorageUnwritable(
                f"{file} cannot be written: {said}",
                hint=ROOM,
            ) from error
        raise StorageCorrupt(
            f"{file} is damaged: {said}",
            hint=f"Move {file} out of the data folder (`antiphon doctor` shows where that is) and "
            f"start again; `sqlite3 {file} .recover` may save what is in it.",
        ) from error
    except Exception as error:
        _hold_to_the_lease(error)
        ours = postgres.mapped(error)
        if ours is None:
            raise
        raise ours from error


def _hold_to_the_lease(error: Exception) -> None:
    """Raise LeaseLost for what the database says to a runner that comes too late."""
    if FENCED in str(error):
        raise LeaseLost("another process runs this thread now, or it was deleted") from error


def open_turns(settings: Settings, folder: Path) -> SqlTurns:
    """Return a store of turns that opens at its first use, for hosts with a runner of their own."""
    url = settings.postgres_url.get_secret_value()
    if url:
        return SqlTurns(PostgresDatabase(lambda: postgres.open_pool(url)), errors=storage_errors)
    return SqlTurns(SqliteDatabase(folder / THREADS), errors=storage_errors)
