"""Requests to the store of turns, and the real checkpointers over its databases."""

from __future__ import annotations

import uuid
from collections.abc import Awaitable, Callable
from typing import Any

from antiphon.tools.turns.database import Database, SqliteDatabase
from antiphon.tools.turns.records import Opened
from antiphon.tools.turns.store import SqlTurns

Open = Callable[[], Awaitable[Database]]
"""Opens the same database again and again, as more processes would."""
TTL = 15.0


async def let_in(store: SqlTurns, thread: str = "t", **given: Any) -> Opened:
    """Let a request in, Alice's unless another is given."""
    request = {"tenant": "acme", "owner": "alice", "kind": "message", "ttl_s": TTL, **given}
    return await store.open(turn=uuid.uuid4().hex, thread=thread, **request)


async def open_saver(database: Database) -> Any:
    """Return the checkpointer over the same file or pool, with its tables made."""
    saver: Any
    if isinstance(database, SqliteDatabase):
        import aiosqlite
        from langgraph.checkpoint.sqlite.aio import AsyncSqliteSaver

        saver = AsyncSqliteSaver(await aiosqlite.connect(database._path, timeout=10))
    else:
        from langgraph.checkpoint.postgres.aio import AsyncPostgresSaver

        saver = AsyncPostgresSaver(database._pool)  # type: ignore[attr-defined]
    await saver.setup()
    return saver


async def close(saver: Any) -> None:
    """Close what was opened for it; the pool is its database's."""
    if hasattr(saver.conn, "_thread"):
        await saver.conn.close()
