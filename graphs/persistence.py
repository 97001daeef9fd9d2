"""Where threads, memory and answers live: SQLite, or PostgreSQL and Redis by a setting."""

from __future__ import annotations

import asyncio
import sqlite3
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from langgraph.cache.base import BaseCache
from langgraph.checkpoint.base import BaseCheckpointSaver
from langgraph.checkpoint.serde.jsonplus import JsonPlusSerializer
from langgraph.store.base import BaseStore

from antiphon.graphs.settings import Settings
from antiphon.nodes.state import Approval, Failure, Judged, Pending, Ruling, Said
from antiphon.tools.cache import CachedAnswer
from antiphon.tools.errors import (
    LeaseLost,
    SettingsError,
    StorageBusy,
    StorageCorrupt,
    StorageError,
    StorageUnwritable,
)
from antiphon.tools.guards import Violation
from antiphon.tools.intent import Intent
from antiphon.tools.memory import Memory
from antiphon.tools.models import Scored, Selection, Usage
from antiphon.tools.retrieval.context import Card, Citation
from antiphon.tools.toolbox import Missing, ToolCall, ToolResult
from antiphon.tools.turns.database import Database, SqliteDatabase
from antiphon.tools.turns.schema import FENCED, fence
from antiphon.tools.turns.store import SqlTurns

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

BUSY_S = 10.0
THREADS, MEMORY, ANSWERS = "threads.db", "memory.db", "answers.db"
PAUSES = (0.05, 0.2, 0.5, 1.0, 2.0)
"""Seconds between tries: SQLite does not wait when two processes switch a file to WAL at once."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Persistence:
    """An open checkpointer and store."""

    saver: BaseCheckpointSaver[str]
    store: BaseStore
    turns: SqlTurns
    together: bool = False
    """Whether turns and checkpoints lie in one database, so that old steps can be removed."""


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


async def _sqlite(folder: Path, stack: AsyncExitStack) -> Persistence:
    import aiosqlite
    from langgraph.checkpoint.sqlite.aio import AsyncSqliteSaver
    from langgraph.store.sqlite.aio import AsyncSqliteStore

    make_folder(folder)
    with storage_errors():
        threads = await stack.enter_async_context(
            aiosqlite.connect(folder / THREADS, timeout=BUSY_S)
        )
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
    turns = SqlTurns(database)
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


async def _postgres(url: str, stack: AsyncExitStack) -> Persistence:
    try:
        from langgraph.checkpoint.postgres.aio import AsyncPostgresSaver
        from langgraph.store.postgres.aio import AsyncPostgresStore
    except ImportError as error:
        raise SettingsError(
            "ANTIPHON_POSTGRES_URL is set but the PostgreSQL driver is not installed",
            hint="pip install 'antiphon[postgres]'",
        ) from error
    import psycopg

    try:
        saver = await stack.enter_async_context(
            AsyncPostgresSaver.from_conn_string(url, serde=serializer())
        )
        store = await stack.enter_async_context(AsyncPostgresStore.from_conn_string(url))
        await saver.setup()
        await store.setup()
    except psycopg.Error as error:
        raise StorageError(
            f"PostgreSQL did not answer: {type(error).__name__}",
            hint="Check ANTIPHON_POSTGRES_URL and that the server is up.",
        ) from error
    return Persistence(saver=saver, store=store)


def open_cache(settings: Settings, folder: Path) -> BaseCache[CachedAnswer]:
    """Return the response cache: Redis when configured, else a SQLite file in `folder`.

    Blocking: opens a file. Raises StorageError.
    """
    url = settings.redis_url.get_secret_value()
    if url:
        try:
            import redis
            from langgraph.cache.redis import RedisCache
        except ImportError as error:
            raise SettingsError(
                "ANTIPHON_REDIS_URL is set but the Redis driver is not installed",
                hint="pip install 'antiphon[redis]'",
            ) from error
        client = redis.Redis.from_url(url, socket_timeout=2, socket_connect_timeout=2)
        return RedisCache(client, serde=serializer(), prefix="antiphon:answers:")
    from langgraph.cache.sqlite import SqliteCache

    make_folder(folder)
    path = folder / ANSWERS
    for pause in PAUSES:
        try:
            cache = SqliteCache[CachedAnswer](path=str(path), serde=serializer())
            cache.get([(("",), "")])
        except sqlite3.OperationalError as error:
            if "locked" not in str(error):
                break
            time.sleep(pause)
        except sqlite3.DatabaseError:
            # Every answer in it can be given again; the damaged file is kept for whoever wonders.
            with suppress(OSError):
                path.replace(path.with_name(f"{ANSWERS}.damaged"))
            break
        else:
            return cache
    with storage_errors(ANSWERS):
        return SqliteCache(path=str(path), serde=serializer())


def make_folder(folder: Path) -> None:
    """Create the data folder. Raises StorageUnwritable."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StorageUnwritable(
            f"the data folder {str(folder)!r} cannot be made: {error.strerror}",
            hint="Set ANTIPHON_DATA_DIR to a folder that can be written.",
        ) from error


@contextmanager
def storage_errors(file: str = THREADS) -> Iterator[None]:
    """Turn what SQLite raises about a file of the data folder into ours."""
    try:
        yield
    except sqlite3.Error as error:
        said = str(error)
        if FENCED in said:
            raise LeaseLost("another process runs this thread now, or it was deleted") from error
        if "locked" in said or "busy" in said:
            raise StorageBusy(
                f"another process holds {file}",
                hint="Try again in a moment, or use PostgreSQL for many processes.",
            ) from error
        if any(word in said for word in ("readonly", "full", "unable to open", "disk I/O")):
            raise StorageUnwritable(
                f"{file} cannot be written: {said}",
                hint="Free some space or set ANTIPHON_DATA_DIR to a folder that can be written.",
            ) from error
        raise StorageCorrupt(
            f"{file} is damaged: {said}",
            hint=f"Move {file} out of the data folder (`antiphon doctor` shows where that is) and "
            f"start again; `sqlite3 {file} .recover` may save what is in it.",
        ) from error
