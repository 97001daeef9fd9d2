"""What there is: threads, an owner's page of them, and their turns. Nothing here waits to write."""

from __future__ import annotations

from antiphon.tools.turns.database import Transaction, Value
from antiphon.tools.turns.records import ThreadRecord, TurnEntry
from antiphon.tools.turns.sql import Sql, entry_from, entry_of, key_of, thread_of


class Listing(Sql):
    """Threads and turns as they stand."""

    async def thread(self, tenant: str, thread: str) -> ThreadRecord | None:
        """Return a thread that was not deleted."""

        def work() -> Transaction[ThreadRecord | None]:
            rows = yield (
                "SELECT * FROM antiphon_threads WHERE key = ? AND state <> 'deleted'",
                (key_of(tenant, thread),),
            )
            return thread_of(rows[0]) if rows else None

        return await self._read(work())

    async def threads(
        self,
        tenant: str,
        owner: str,
        *,
        limit: int,
        before: tuple[float, str] | None = None,
    ) -> list[ThreadRecord]:
        """Return an owner's threads, latest first, from below (`updated`, `id`) on."""

        def work() -> Transaction[list[ThreadRecord]]:
            values: tuple[Value, ...] = (tenant, owner)
            older = ""
            if before is not None:
                older = "AND (updated, id) < (?, ?)"
                values = (*values, *before)
            rows = yield (
                "SELECT * FROM antiphon_threads WHERE tenant = ? AND owner = ?"
                f" AND state <> 'deleted' {older} ORDER BY updated DESC, id DESC LIMIT ?"
            ), (*values, limit)  # fmt: skip
            return [thread_of(row) for row in rows]

        return await self._read(work())

    async def note_head(self, tenant: str, thread: str, head: str) -> None:
        """Note under which name a client will refer to the conversation as it stands now."""

        def work() -> Transaction[None]:
            yield (
                "UPDATE antiphon_threads SET head = ? WHERE key = ? AND state <> 'deleted'",
                (head, key_of(tenant, thread)),
            )

        await self._run(work())

    async def claim_head(self, tenant: str, owner: str, head: str) -> str:
        """Return a thread whose conversation a client knows as `head`, and nobody else the same.

        A head goes on one thread, once: two clients with the same words have a thread each. Empty
        when there is none (left).
        """

        def work() -> Transaction[str]:
            rows = yield (
                "SELECT key, id FROM antiphon_threads WHERE tenant = ? AND owner = ? AND head = ?"
                " AND head <> '' AND state <> 'deleted' ORDER BY updated DESC, id DESC"
            ), (tenant, owner, head)  # fmt: skip
            for row in rows:
                claimed = yield (
                    "UPDATE antiphon_threads SET head = '' WHERE key = ? AND head = ?"
                    " RETURNING key",
                    (row["key"], head),
                )
                if claimed:
                    return str(row["id"])
            return ""

        return await self._run(work())

    async def turn(self, tenant: str, thread: str, turn: str = "") -> TurnEntry | None:
        """Return a turn by id, or the latest of the thread that was not merely queued."""

        def work() -> Transaction[TurnEntry | None]:
            chosen = "id = ?" if turn else "state <> 'queued' AND ? = ''"
            rows = yield (
                f"SELECT * FROM antiphon_turns WHERE tenant = ? AND thread = ? AND {chosen}"
                # One that was stopped before it ran says little of how the thread stands.
                " ORDER BY CASE WHEN state = 'cancelled' AND started = 0 THEN 1 ELSE 0 END,"
                " seq DESC LIMIT 1"
            ), (tenant, thread, turn)  # fmt: skip
            return (yield from entry_from(rows[0])) if rows else None

        return await self._read(work())

    async def thread_of(self, tenant: str, turn: str) -> str:
        """Return the thread that a turn is of; empty when there is no such turn."""

        def work() -> Transaction[str]:
            rows = yield (
                "SELECT thread FROM antiphon_turns WHERE tenant = ? AND id = ?",
                (tenant, turn),
            )
            return str(rows[0]["thread"]) if rows else ""

        return await self._read(work())

    async def turns(self, tenant: str, thread: str) -> list[TurnEntry]:
        """Return a thread's turns in order."""

        def work() -> Transaction[list[TurnEntry]]:
            rows = yield (
                "SELECT * FROM antiphon_turns WHERE tenant = ? AND thread = ? ORDER BY seq",
                (tenant, thread),
            )
            calls = yield (
                "SELECT antiphon_calls.* FROM antiphon_calls JOIN antiphon_turns ON turn = id"
                " WHERE tenant = ? AND thread = ? ORDER BY antiphon_calls.token, number"
            ), (tenant, thread)  # fmt: skip
            return [
                entry_of(row, [one for one in calls if one["turn"] == row["id"]]) for row in rows
            ]

        return await self._read(work())
