"""The tables: made once however many come, refused when newer, fenced, and never scanned."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Sequence
from typing import Any

import pytest
from langgraph.checkpoint.base import BaseCheckpointSaver, empty_checkpoint
from turn_stores import Open, close, open_saver

from antiphon.tools.errors import StorageError
from antiphon.tools.turns.database import Database, Row, SqliteDatabase, Transaction
from antiphon.tools.turns.records import Opened
from antiphon.tools.turns.schema import FENCED, MIGRATIONS, fence, migrate
from antiphon.tools.turns.store import SqlTurns


def _query(sql: str, *values: Any) -> Transaction[Sequence[Row]]:
    return (yield sql, values)


async def test_many_processes_may_migrate_at_once_and_again(opening: Open) -> None:
    """Each finds the tables made, and each migration is noted once."""
    databases = [await opening() for _ in range(4)]
    versions = await asyncio.gather(*(migrate(database) for database in databases))
    assert versions == [len(MIGRATIONS)] * 4
    assert await migrate(databases[0]) == len(MIGRATIONS)
    rows = await databases[0].run(_query("SELECT version FROM antiphon_migrations"))
    assert [row["version"] for row in rows] == list(range(1, len(MIGRATIONS) + 1))


async def test_the_tables_of_a_later_release_are_left_alone(opening: Open) -> None:
    """They are not understood, so nothing is written; the error says what to do."""
    database = await opening()
    await migrate(database)
    await database.run(_query("INSERT INTO antiphon_migrations VALUES (99, 0)"))
    with pytest.raises(StorageError, match="99") as caught:
        await SqlTurns(database).threads("acme", "alice", limit=1)
    assert "Update" in caught.value.hint


async def test_a_transaction_that_fails_leaves_nothing_and_the_next_one_works(
    opening: Open,
) -> None:
    """Neither rows nor an open transaction stay behind."""
    database = await opening()
    await migrate(database)

    def broken() -> Transaction[None]:
        yield "INSERT INTO antiphon_migrations VALUES (50, 0)", ()
        raise ZeroDivisionError

    for _ in range(2):
        with pytest.raises(ZeroDivisionError):
            await database.run(broken())
    assert await migrate(database) == len(MIGRATIONS)


async def _put(saver: BaseCheckpointSaver[str], token: int | None, said: str) -> Any:
    """Write a checkpoint with one value, as a runner of that lease would."""
    checkpoint = {
        **empty_checkpoint(),
        "channel_values": {"messages": [said]},
        "channel_versions": {"messages": saver.get_next_version(None, None)},
    }
    config: Any = {
        "configurable": {"thread_id": "acme/t", "checkpoint_ns": ""},
        "metadata": {} if token is None else {"lease": token},
    }
    versions: Any = checkpoint["channel_versions"]
    return await saver.aput(config, checkpoint, {"source": "loop", "step": 1}, versions)  # type: ignore[arg-type]


async def _open(store: SqlTurns, **given: Any) -> Opened:
    request = {"tenant": "acme", "thread": "t", "owner": "alice", "kind": "message", **given}
    return await store.open(turn=uuid.uuid4().hex, ttl_s=15.0, **request)


async def test_the_database_turns_a_stale_runner_away(opening: Open) -> None:
    """A checkpoint under an old lease is refused, and leaves the connection fit for use."""
    now = [1000.0]
    database = await opening()
    store = SqlTurns(database, clock=lambda: now[0])
    saver = await open_saver(database)
    await store.ping()
    await fence(database)
    await fence(database)
    try:
        first = await _open(store)
        assert first.lease is not None
        await _put(saver, first.lease.token, "mine")
        now[0] += 60
        second = await _open(store)
        assert second.lease is not None
        with pytest.raises(Exception, match=FENCED):
            await _put(saver, first.lease.token, "stale")
        await _put(saver, second.lease.token, "newer")
        found = await saver.aget_tuple({"configurable": {"thread_id": "acme/t"}})
        assert found.checkpoint["channel_values"] == {"messages": ["newer"]}
        # A host's or a server's own runs name no lease.
        await _put(saver, None, "a host's")
    finally:
        await close(saver)


async def test_nothing_is_written_for_a_deleted_thread(opening: Open) -> None:
    """Its checkpoints go in the same moment, and neither they nor writes come back."""
    database = await opening()
    store = SqlTurns(database)
    saver = await open_saver(database)
    await store.ping()
    await fence(database)
    try:
        opened = await _open(store)
        assert opened.lease is not None
        config = await _put(saver, opened.lease.token, "my card PIN is in the blue folder")
        await saver.aput_writes(config, [("messages", "PIN")], "task")
        await store.delete("acme", "t")
        for late in (
            _put(saver, opened.lease.token, "PIN"),
            saver.aput_writes(config, [("messages", "PIN")], "late"),
        ):
            with pytest.raises(Exception, match=FENCED):
                await late
        await _open(store, owner="bob")
        with pytest.raises(Exception, match=FENCED):
            await _put(saver, opened.lease.token, "PIN")
        assert await saver.aget_tuple({"configurable": {"thread_id": "acme/t"}}) is None
        tables = ["checkpoints", "writes"]
        if not isinstance(database, SqliteDatabase):
            tables = ["checkpoints", "checkpoint_writes", "checkpoint_blobs"]
        for table in tables:
            assert not await database.run(_query(f"SELECT 1 FROM {table}"))  # noqa: S608
    finally:
        await close(saver)


class Watched:
    """A database that keeps the plan of each statement before it runs it."""

    def __init__(self, database: Database) -> None:
        self.inner = database
        self.dialect, self.now = database.dialect, database.now
        self.plans: list[tuple[str, str]] = []

    async def run(
        self, transaction: Transaction[Any], *, write: bool = True, durable: bool = False
    ) -> Any:
        return await self.inner.run(self._explained(transaction), write=write, durable=durable)

    def _explained(self, transaction: Transaction[Any]) -> Transaction[Any]:
        sql, values = next(transaction)
        while True:
            if not sql.startswith(("SELECT", "UPDATE", "INSERT", "DELETE")):
                sql, values = transaction.send((yield sql, values))
                continue
            if self.dialect == "postgres":
                yield "SET LOCAL enable_seqscan = off", ()
            explain = "EXPLAIN QUERY PLAN" if self.dialect == "sqlite" else "EXPLAIN"
            rows = yield f"{explain} {sql}", values
            plan = "\n".join(str(row["detail" if self.dialect == "sqlite" else "QUERY PLAN"])
                             for row in rows)  # fmt: skip
            self.plans.append((sql, plan))
            sent = yield sql, values
            try:
                sql, values = transaction.send(sent)
            except StopIteration as stop:
                return stop.value

    async def compact(self) -> None:
        await self.inner.compact()

    async def close(self) -> None:
        await self.inner.close()


async def test_every_statement_finds_its_rows_by_an_index(opening: Open) -> None:
    """No thread's turn costs more because there are many other threads, or many turns before."""
    inner = await opening()
    await migrate(inner)
    database = Watched(inner)
    store = SqlTurns(database)
    opened = await _open(store, request_key="k", digest="d")
    assert opened.lease is not None
    waiting = await _open(store)
    await store.acquire(waiting.turn, ttl_s=15)
    await store.inherit(waiting.turn, ttl_s=15)
    await store.renew(opened.turn, opened.lease, ttl_s=15)
    await store.threads("acme", "alice", limit=10, before=(1e12, "t"))
    await store.thread("acme", "t")
    await store.claim_head("acme", "alice", "head")
    await store.turn("acme", "t")
    await store.effects("acme", "t")
    await store.decisions("acme", "t")
    await store.dead()
    await store.take_over(opened.turn, ttl_s=15)
    await store.settle(opened.turn, opened.lease, state="done", outcome="", result=None)
    await store.leave(waiting.turn)
    await store.delete("acme", "t")
    scans = {"sqlite": ("SCAN antiphon",), "postgres": ("Seq Scan on antiphon",)}
    bad = [
        (sql, plan)
        for sql, plan in database.plans
        for scan in scans[database.dialect]
        if scan in plan and "USING" not in plan.partition(scan)[2].partition("\n")[0]
        and "sqlite_master" not in sql
    ]  # fmt: skip
    assert bad == []
    listing = [plan for sql, plan in database.plans if "ORDER BY updated DESC, id DESC" in sql]
    assert listing
    assert all("antiphon_threads_" in plan for plan in listing)
    assert not any("TEMP B-TREE" in plan or "Sort" in plan for plan in listing[:1])


async def test_a_replica_that_starts_waits_for_no_turn(opening: Open) -> None:
    """The fence stands: it is looked at, and set again only where it is another or missing."""
    database = await opening()
    saver = await open_saver(database)
    try:
        await migrate(database)
        await fence(database)
        if isinstance(database, SqliteDatabase):
            return
        async with database._pool.connection() as other, other.transaction():  # type: ignore[attr-defined]
            await other.execute("LOCK TABLE checkpoints, checkpoint_writes IN ROW EXCLUSIVE MODE")
            async with asyncio.timeout(2):
                await fence(database)
        await database.run(_query("DROP TRIGGER antiphon_fence ON checkpoints"))
        await fence(database)
        await _put(saver, None, "unfenced")
        with pytest.raises(Exception, match=FENCED):
            await _put(saver, 7, "late")
    finally:
        await close(saver)
