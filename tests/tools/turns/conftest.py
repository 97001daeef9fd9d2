"""Both databases for the store of turns: a SQLite file, and a PostgreSQL server of our own."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from antiphon.tools.turns.database import Database, PostgresDatabase, SqliteDatabase

BINARIES = Path("/usr/lib/postgresql/15/bin")
AS_POSTGRES = ["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups"]
"""PostgreSQL refuses to run as root."""

Open = Callable[[], Awaitable[Database]]


@pytest.fixture(scope="session")
def postgres_url() -> Iterator[str]:
    """Start a server in a folder and on a port of its own; skip where there is none."""
    if not (BINARIES / "initdb").exists():
        pytest.skip(f"no PostgreSQL in {BINARIES}")
    pytest.importorskip("psycopg_pool", reason="the PostgreSQL driver is not installed")
    prefix = AS_POSTGRES if os.geteuid() == 0 else []
    folder = Path(tempfile.mkdtemp(prefix="antiphon-postgres-"))
    if prefix:
        shutil.chown(folder, "postgres", "postgres")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]

    def run(*command: str) -> None:
        subprocess.run([*prefix, *command], check=True, stdout=subprocess.DEVNULL, cwd=folder)

    data, control = str(folder / "data"), str(BINARIES / "pg_ctl")
    run(str(BINARIES / "initdb"), "-D", data, "-A", "trust", "-U", "postgres", "-E", "UTF8", "-N")
    options = f"-p {port} -c listen_addresses=127.0.0.1 -k {folder} -c fsync=off"
    run(control, "-D", data, "-o", options, "-l", str(folder / "log"), "-w", "start")
    try:
        yield f"postgresql://postgres@127.0.0.1:{port}/postgres"
    finally:
        run(control, "-D", data, "-m", "immediate", "-w", "stop")
        shutil.rmtree(folder, ignore_errors=True)


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
        import psycopg
        from psycopg.rows import dict_row
        from psycopg_pool import AsyncConnectionPool

        url = request.getfixturevalue("postgres_url")
        async with await psycopg.AsyncConnection.connect(url, autocommit=True) as connection:
            await connection.execute("DROP SCHEMA public CASCADE")
            await connection.execute("CREATE SCHEMA public")

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
