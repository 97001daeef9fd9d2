"""One way to run a transaction, over SQLite and PostgreSQL.

A transaction is a generator: it yields a statement with its values and is sent the rows. So each
is written once, in SQL that both understand; SQLite runs it whole in one hop to its thread, and
PostgreSQL statement by statement. What a transaction raises rolls it back.
"""

from __future__ import annotations

import asyncio
import sqlite3
import time
from collections.abc import Generator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Protocol, TypeVar

Result = TypeVar("Result")
Value = str | int | float | None
Row = Mapping[str, Any]
Statement = tuple[str, tuple[Value, ...]]
Transaction = Generator[Statement, Sequence[Row], Result]
"""Yields `(sql, values)` with `?` places; is sent the rows that came back."""

BUSY_S = 10.0
PAUSES = (0.01, 0.05, 0.2, 0.5, 1.0, 2.0)
"""Seconds between tries: SQLite does not wait by itself when a file is switched to WAL."""


class Database(Protocol):
    """Runs transactions."""

    dialect: str
    """`sqlite` or `postgres`."""
    now: str
    """The database's own clock as an expression: seconds since the epoch."""

    async def run(
        self, transaction: Transaction[Result], *, write: bool = True, durable: bool = False
    ) -> Result:
        """Run a transaction to its end; one that only reads waits for no writer.

        A `durable` one outlives a power cut, any other the end of the process. Raises what the
        driver raises.
        """
        ...

    async def compact(self) -> None:
        """Give space that is free back to the disk, where that is not done anyway."""
        ...

    async def close(self) -> None:
        """Give the connection back."""
        ...


class SqliteDatabase:
    """One connection in a thread of its own: transactions stand in line, whatever their loop."""

    dialect = "sqlite"
    now = "((julianday('now') - 2440587.5) * 86400.0)"

    def __init__(self, path: Path | str) -> None:
        """Open the file at the first transaction."""
        self._path = path
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="antiphon-turns")
        self._connection: sqlite3.Connection | None = None

    async def run(
        self, transaction: Transaction[Result], *, write: bool = True, durable: bool = False
    ) -> Result:
        """Run a transaction to its end. Raises sqlite3.Error."""
        # Immediate: two processes that read before they write would both be refused otherwise.
        begin = "BEGIN IMMEDIATE" if write else "BEGIN"
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._thread, self._whole, transaction, begin, durable)

    async def compact(self) -> None:
        """Rewrite the file without its free pages. Raises sqlite3.Error when it is in use."""
        loop = asyncio.get_running_loop()
        await loop.run_in_executor(self._thread, lambda: self._opened().execute("VACUUM"))

    async def close(self) -> None:
        """Close the file."""
        loop = asyncio.get_running_loop()
        await loop.run_in_executor(self._thread, self._shut)
        self._thread.shutdown(wait=False)

    def _whole(self, transaction: Transaction[Result], begin: str, durable: bool) -> Result:
        connection = self._opened()
        # What must outlive a power cut waits for the disk; the rest outlives the process.
        connection.execute(f"PRAGMA synchronous={'FULL' if durable else 'NORMAL'}")
        connection.execute(begin)
        try:
            try:
                sql, values = next(transaction)
                while True:
                    sql, values = transaction.send(connection.execute(sql, values).fetchall())
            except StopIteration as stop:
                connection.execute("COMMIT")
                result: Result = stop.value
                return result
        finally:
            transaction.close()
            if connection.in_transaction:
                connection.execute("ROLLBACK")

    def _opened(self) -> sqlite3.Connection:
        if self._connection is None:
            connection = sqlite3.connect(self._path, timeout=BUSY_S, isolation_level=None)
            connection.row_factory = sqlite3.Row
            try:
                _write_ahead(connection)
            except sqlite3.Error:
                connection.close()
                raise
            self._connection = connection
        return self._connection

    def _shut(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None


def _write_ahead(connection: sqlite3.Connection) -> None:
    """Have readers not wait for writers; processes that switch a new file at once wait here."""
    for pause in PAUSES:
        try:
            connection.execute("PRAGMA journal_mode=WAL")
            break
        except sqlite3.OperationalError as error:
            if "locked" not in str(error):
                raise
            time.sleep(pause)


class PostgresDatabase:
    """Transactions over a pool of connections whose rows are mappings."""

    dialect = "postgres"
    now = "extract(epoch from clock_timestamp())::double precision"

    def __init__(self, pool: Any) -> None:
        """Take an open psycopg pool, closed by whoever opened it, or what opens one when asked."""
        self._pool = pool

    async def run(
        self, transaction: Transaction[Result], *, write: bool = True, durable: bool = False
    ) -> Result:
        """Run a transaction to its end. Raises psycopg.Error."""
        del write, durable  # here readers never wait for writers, and every commit for the disk
        if callable(self._pool):
            self._pool = await self._pool()
        async with self._pool.connection() as connection, connection.transaction():
            try:
                sql, values = next(transaction)
                while True:
                    cursor = await connection.execute(sql.replace("?", "%s"), values)
                    rows = await cursor.fetchall() if cursor.description else ()
                    sql, values = transaction.send(rows)
            except StopIteration as stop:
                result: Result = stop.value
                return result
            finally:
                transaction.close()

    async def compact(self) -> None:
        """Do nothing: PostgreSQL vacuums by itself."""

    async def close(self) -> None:
        """Leave the pool to its owner."""
