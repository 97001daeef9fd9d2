"""PostgreSQL: one pool of connections for threads and memory, and its errors as ours.

No message repeats what the driver says: it quotes the connection string, password and all.
"""

from __future__ import annotations

import asyncio
import logging
import sys
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, Any

from langgraph.checkpoint.base import BaseCheckpointSaver
from langgraph.checkpoint.serde.base import SerializerProtocol
from langgraph.store.base import BaseStore

from antiphon.tools.errors import (
    SettingsError,
    StorageBusy,
    StorageError,
    StorageUnavailable,
    StorageUnwritable,
)

if TYPE_CHECKING:
    from psycopg import AsyncConnection
    from psycopg_pool import AsyncConnectionPool

VARIABLE = "ANTIPHON_POSTGRES_URL"
MOST_CONNECTIONS = 10
"""Of one process; PostgreSQL itself allows 100 unless told otherwise."""
CONNECT_S = 5.0
WAIT_S = 5.0
"""How long a caller waits for a connection: longer, and the server counts as away.

Also how long the pool doubles its pauses after a lost connection before it begins anew, so that
while the server is away it is tried every two seconds or so: who waits is there when it is back.
"""
CHECK_S = 2.0
MIGRATING_S = 60.0
LOOK_S = 0.05
LOCK = int.from_bytes(b"antiphon", "big")
"""Of the advisory lock under which one process at a time brings the tables up to date."""
UNWRITABLE = ("25006", "53100", "53200")
"""SQLSTATE of a read-only server, a full disk, and of memory that ran out."""
QUIET = logging.NullHandler()
"""Keeps the driver's own warnings off standard error where nobody set logging up."""


async def open_postgres(
    url: str, stack: AsyncExitStack, serde: SerializerProtocol
) -> tuple[AsyncConnectionPool[Any], BaseCheckpointSaver[str], BaseStore]:
    """Open the pool, with the checkpointer and the store on it and their tables up to date.

    Raises SettingsError, StorageUnavailable, StorageBusy, and what `mapped` knows.
    """
    try:
        import psycopg
        from langgraph.checkpoint.postgres.aio import AsyncPostgresSaver
        from langgraph.store.postgres.aio import AsyncPostgresStore
    except ImportError as error:
        raise SettingsError(
            f"{VARIABLE} is set but the PostgreSQL driver is not installed",
            hint="pip install 'antiphon[postgres]'",
        ) from error
    logging.getLogger("psycopg").addHandler(QUIET)
    try:
        # Tried by hand first: a pool would try again until its time is up and not say why.
        async with (
            asyncio.timeout(CONNECT_S),
            await psycopg.AsyncConnection.connect(url, autocommit=True) as first,
        ):
            await first.execute("select 1")
        pool = await stack.enter_async_context(_pool(url))
        saver = AsyncPostgresSaver(pool, serde=serde)
        # Its lock is for the case of one connection; each caller has one from the pool.
        saver.lock = asyncio.Semaphore(MOST_CONNECTIONS)
        store = await stack.enter_async_context(AsyncPostgresStore(pool))
        async with pool.connection() as connection:
            await _alone(connection)
            try:
                await saver.setup()
                await store.setup()
            finally:
                await connection.execute("select pg_advisory_unlock(%s)", (LOCK,))
    except TimeoutError as error:
        raise _away() from error
    except psycopg.ProgrammingError as error:
        if error.sqlstate is not None:
            raise
        # What was written is quoted in it.
        raise SettingsError(
            f"{VARIABLE} cannot be read", hint="postgresql://user:password@host:port/database"
        ) from None
    return pool, saver, store


async def open_pool(url: str) -> AsyncConnectionPool[Any]:
    """Open a pool by itself. Raises StorageError."""
    pool = _pool(url)
    await pool.open(wait=True, timeout=WAIT_S)
    return pool


def mapped(error: Exception) -> StorageError | None:
    """Return what the driver raised as an error of ours; None when it did not come from there."""
    psycopg = sys.modules.get("psycopg")
    # Where it was never imported nothing of it can have been raised.
    if psycopg is None or not isinstance(error, psycopg.Error):
        return None
    state = getattr(error, "sqlstate", None) or ""
    said = f"{type(error).__name__}{f' ({state})' if state else ''}"
    if state in UNWRITABLE:
        return StorageUnwritable(
            f"PostgreSQL cannot store anything: {said}",
            hint="Look at the server's disk and whether it is a read-only replica.",
        )
    if isinstance(error, psycopg.errors.DeadlockDetected | psycopg.errors.SerializationFailure):
        return StorageBusy(f"PostgreSQL was busy: {said}", hint="Try again.")
    if isinstance(error, psycopg.OperationalError | psycopg.InterfaceError):
        return _away(said)
    return StorageError(
        f"PostgreSQL refused a statement: {said}",
        hint=f"Check that {VARIABLE} names a database that this release may change.",
    )


def _away(said: str = "too slow") -> StorageUnavailable:
    return StorageUnavailable(
        f"PostgreSQL did not answer: {said}",
        hint=f"Check {VARIABLE} (host, port, user, password, database) and that the server is up.",
    )


def _pool(url: str) -> AsyncConnectionPool[Any]:
    from psycopg.rows import dict_row
    from psycopg_pool import AsyncConnectionPool

    return AsyncConnectionPool(
        url,
        min_size=1,
        max_size=MOST_CONNECTIONS,
        timeout=WAIT_S,
        # A connection that the server closed meanwhile is replaced before anyone gets it.
        check=_check,
        reconnect_timeout=WAIT_S,
        reconnect_failed=_begin_anew,
        open=False,
        name="antiphon",
        kwargs={
            "autocommit": True,
            "prepare_threshold": 0,
            "row_factory": dict_row,
            "connect_timeout": int(CONNECT_S),
            "application_name": "antiphon",
        },
    )


async def _check(connection: AsyncConnection[Any]) -> None:
    async with asyncio.timeout(CHECK_S):
        await connection.execute("")


async def _begin_anew(pool: AsyncConnectionPool[Any]) -> None:
    """Go on trying to connect: who waits already would else wait for nobody."""
    await pool.check()


async def _alone(connection: AsyncConnection[Any]) -> None:
    """Take the lock of those who change the tables.

    Asked for again and again: who waited inside the server would hold up the holder's CREATE INDEX
    CONCURRENTLY, and it would wait for them.
    """
    try:
        async with asyncio.timeout(MIGRATING_S):
            while True:
                cursor = await connection.execute(
                    "select pg_try_advisory_lock(%s) as mine", (LOCK,)
                )
                row = await cursor.fetchone()
                if row is not None and row["mine"]:
                    return
                await asyncio.sleep(LOOK_S)
    except TimeoutError as error:
        raise StorageBusy(
            "another process has been changing the tables for a long time",
            hint="See pg_locks for the holder of the advisory lock.",
        ) from error
