"""Both databases for the store of turns: a SQLite file, and a PostgreSQL server."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from postgres_process import Postgres
from turn_stores import Open

from antiphon.tools.turns.database import Database, PostgresDatabase, SqliteDatabase


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
async def opening(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Open]:
    """Return what opens the same empty database again and again, as more processes would."""
    opened: list[Database] = []
    pools: list[Any] = []
    if request.param == "sqlite":

        async def open_database() -> Database:
            opened.append(SqliteDatabase(tmp_path / "turns.db"))
            return opened[-1]

    else:
        pytest.importorskip("psycopg_pool", reason="the PostgreSQL driver is not installed")
        from psycopg.rows import dict_row
        from psycopg_pool import AsyncConnectionPool

        server: Postgres = request.getfixturevalue("postgres")
        url = server.database()

        async def open_database() -> Database:
            kwargs = {"autocommit": True, "prepare_threshold": 0, "row_factory": dict_row}
            pool: Any = AsyncConnectionPool(url, kwargs=kwargs, min_size=1, max_size=8, open=False)
            await pool.open()
            pools.append(pool)
            return PostgresDatabase(pool)

    yield open_database
    for database in opened:
        await database.close()
    for pool in pools:
        await pool.close()
