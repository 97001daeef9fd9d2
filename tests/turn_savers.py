"""The real checkpointers over the databases of the store of turns."""

from __future__ import annotations

from typing import Any

from antiphon.tools.turns.database import Database, SqliteDatabase


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
