"""Thinning out: of old turns one checkpoint stays, then nothing; of old threads nothing at all."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass

from antiphon.tools.turns.database import Database, Row, Transaction
from antiphon.tools.turns.records import TurnEntry
from antiphon.tools.turns.schema import CHECKPOINTS
from antiphon.tools.turns.sql import key_of

HOUR_S, DAY_S = 3_600.0, 86_400.0
TOMBSTONE_DAYS = 1.0
"""How long a deleted thread's name still turns late writers away."""
RESULTS = 40
"""Turns of a thread whose results are kept, for retries and for whoever comes back."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Keep:
    """What is kept, and for how long."""

    full_steps_turns: int = 3
    full_steps_hours: float = 0.0
    """Turns that keep all their steps: the latest ones, and any that are younger than that."""
    last_step_turns: int = 10
    """Turns that keep at least the checkpoint they ended at; each holds the whole state."""
    turns: int = 400
    """Turns that are kept on record, with their calls, effects and decisions."""
    thread_days: float = 365.0


class Retention:
    """Removes what is past its time from the tables of turns and of the checkpointer.

    Every method raises what the driver raises.
    """

    def __init__(self, database: Database, keep: Keep) -> None:
        self._database = database
        self._keep = keep
        self.idle_s = keep.thread_days * DAY_S
        """How long a thread is kept after its last message."""

    async def trim(self, turn: TurnEntry) -> int:
        """Thin a thread out after one of its turns; return the bytes removed."""
        if turn.seq <= self._keep.full_steps_turns:
            return 0
        return await self._database.run(self._trim(turn.tenant, turn.thread))

    async def trim_all(self, *, dry_run: bool = False) -> int:
        """Thin every thread out; return the bytes removed, or that would be.

        A thread at a time: nobody waits for the whole.
        """

        def listed() -> Transaction[list[tuple[str, str]]]:
            rows = yield (
                "SELECT tenant, id FROM antiphon_threads WHERE state <> 'deleted' AND turns > ?",
                (self._keep.full_steps_turns,),
            )
            return [(row["tenant"], row["id"]) for row in rows]

        def work(tenant: str, thread: str) -> Transaction[int]:
            count = yield from self._trim(tenant, thread)
            if dry_run:
                raise _Undone(count)
            return count

        total = 0
        for thread in await self._database.run(listed(), write=False):
            try:
                total += await self._database.run(work(*thread))
            except _Undone as undone:
                total += undone.count
        return total

    async def old(self) -> list[tuple[str, str]]:
        """Return (tenant, thread) of threads past their time."""

        def work() -> Transaction[list[tuple[str, str]]]:
            rows = yield (
                "SELECT tenant, id FROM antiphon_threads WHERE state <> 'deleted'"
                f" AND holder = '' AND updated < {self._database.now} - ?"
                " ORDER BY updated LIMIT 1000",
                (self.idle_s,),
            )
            return [(row["tenant"], row["id"]) for row in rows]

        return await self._database.run(work(), write=False)

    async def weigh(self, tenant: str, thread: str) -> int:
        """Return the bytes of a thread's checkpoints."""

        def work() -> Transaction[int]:
            rows = yield (
                f"SELECT COALESCE(SUM({self._length('checkpoint')}), 0) AS bytes"
                " FROM checkpoints WHERE thread_id = ?",
                (key_of(tenant, thread),),
            )
            return int(rows[0]["bytes"])

        return await self._database.run(work(), write=False)

    async def bury(self) -> int:
        """Forget the names of threads deleted a while ago; return how many.

        Effects and decisions of threads that another runner keeps go by their own age.
        """

        def work() -> Transaction[int]:
            # A call whose end nobody saw stays while its thread does: it would be made again.
            kept = (
                " AND (state IN ('planned', 'done') OR NOT EXISTS (SELECT 1 FROM antiphon_threads t"
                " WHERE t.tenant = antiphon_effects.tenant AND t.id = antiphon_effects.thread))"
            )
            for table, age, but in (
                ("effects", "updated", kept),
                ("decisions", "decided_at", ""),
            ):
                yield (
                    f"DELETE FROM antiphon_{table} WHERE {age} < {self._database.now} - ?{but}",
                    (self.idle_s,),
                )
            rows = yield (
                "DELETE FROM antiphon_threads WHERE state = 'deleted'"
                f" AND updated < {self._database.now} - ? RETURNING key",
                (TOMBSTONE_DAYS * DAY_S,),
            )
            return len(rows)

        return await self._database.run(work())

    async def compact(self) -> None:
        """Give space that is free back to the disk, where that is not done anyway."""
        await self._database.compact()

    def _length(self, column: str) -> str:
        return f"{'length' if self._database.dialect == 'sqlite' else 'pg_column_size'}({column})"

    def _before(self, tenant: str, thread: str, keep: int) -> Transaction[int]:
        """Return the number of the latest turn but `keep`, 0 if there is none.

        Numbers also went to messages that were turned away, so they say nothing of how many are
        there.
        """
        rows = yield (
            "SELECT seq FROM antiphon_turns WHERE tenant = ? AND thread = ? AND state <> 'queued'"
            " ORDER BY seq DESC LIMIT 1 OFFSET ?"
        ), (tenant, thread, keep)  # fmt: skip
        return int(rows[0]["seq"]) if rows else 0

    def _trim(self, tenant: str, thread: str) -> Transaction[int]:
        key, writes = key_of(tenant, thread), CHECKPOINTS[self._database.dialect][1]
        removed = 0
        stepless = yield from self._before(tenant, thread, self._keep.full_steps_turns)
        if self._keep.full_steps_hours:
            rows = yield (
                "SELECT COALESCE(MAX(seq), 0) AS seq FROM antiphon_turns"
                f" WHERE tenant = ? AND thread = ? AND created < {self._database.now} - ?"
            ), (tenant, thread, self._keep.full_steps_hours * HOUR_S)  # fmt: skip
            stepless = min(stepless, int(rows[0]["seq"]))
        bare = yield from self._before(tenant, thread, self._keep.last_step_turns)
        rows = yield (
            "SELECT checkpoint FROM antiphon_turns WHERE tenant = ? AND thread = ? AND seq <= ?"
            " AND checkpoint <> '' ORDER BY seq DESC LIMIT 1"
        ), (tenant, thread, stepless)  # fmt: skip
        if rows:
            # Ids of checkpoints grow with time, so everything below this one is of earlier turns.
            edge = str(rows[0]["checkpoint"])
            apart = self._database.dialect == "postgres"
            versions = "checkpoint->'channel_versions'" if apart else "NULL"
            gone = yield (
                "DELETE FROM checkpoints WHERE thread_id = ? AND checkpoint_id < ?"
                " AND checkpoint_id NOT IN (SELECT checkpoint FROM antiphon_turns"
                " WHERE tenant = ? AND thread = ? AND seq > ?)"
                f" RETURNING checkpoint_id AS id, {versions} AS versions,"
                f" {self._length('checkpoint')} AS bytes"
            ), (key, edge, tenant, thread, bare)  # fmt: skip
            removed += sum(int(row["bytes"]) for row in gone)
            if gone and apart:
                removed += yield from self._trim_blobs(key, gone)
            gone = yield (
                f"DELETE FROM {writes} WHERE thread_id = ? AND checkpoint_id < ?"
                f" RETURNING {self._length('blob' if apart else 'value')} AS bytes"
            ), (key, edge)  # fmt: skip
            removed += sum(int(row["bytes"] or 0) for row in gone)
        if resultless := (yield from self._before(tenant, thread, RESULTS)):
            yield (
                "UPDATE antiphon_turns SET result = NULL WHERE tenant = ? AND thread = ?"
                " AND seq <= ? AND result IS NOT NULL"
            ), (tenant, thread, resultless)  # fmt: skip
        if forgotten := (yield from self._before(tenant, thread, self._keep.turns)):
            yield from self._forget(tenant, thread, forgotten)
        return removed

    def _forget(self, tenant: str, thread: str, latest: int) -> Transaction[None]:
        """Take turns that ended off the record, up to number `latest`, and what hangs on them.

        A call whose end nobody saw stays: whoever forgot it would make it again.
        """
        ended = (
            " FROM antiphon_turns WHERE tenant = ? AND thread = ? AND seq <= ?"
            " AND state IN ('done', 'cancelled', 'failed')"
        )
        of = (tenant, thread, latest)
        yield f"DELETE FROM antiphon_calls WHERE turn IN (SELECT id{ended})", of
        for table, but in (("effects", " AND state IN ('planned', 'done')"), ("decisions", "")):
            yield (
                f"DELETE FROM antiphon_{table} WHERE tenant = ? AND thread = ?"
                f" AND turn IN (SELECT id{ended}){but}"
            ), (tenant, thread, *of)  # fmt: skip
        yield f"DELETE{ended}", of

    def _trim_blobs(self, key: str, gone: Sequence[Row]) -> Transaction[int]:
        """Remove the values that only removed checkpoints had; PostgreSQL keeps them apart.

        Versions grow along a thread, so besides the later checkpoints only the last one kept
        before those removed can have one of theirs.
        """
        lowest = min(str(row["id"]) for row in gone)
        held = {pair for row in gone for pair in (row["versions"] or {}).items()}
        rows = yield (
            "SELECT COALESCE(MAX(checkpoint_id), '') AS id FROM checkpoints"
            " WHERE thread_id = ? AND checkpoint_id < ?"
        ), (key, lowest)  # fmt: skip
        removed = yield (
            "DELETE FROM checkpoint_blobs b"
            " USING jsonb_array_elements(CAST(? AS jsonb)) AS old(pair)"
            " WHERE b.thread_id = ? AND b.channel = pair->>0 AND b.version = pair->>1"
            " AND NOT EXISTS (SELECT 1 FROM checkpoints c WHERE c.thread_id = b.thread_id"
            " AND c.checkpoint_ns = b.checkpoint_ns AND c.checkpoint_id >= ?"
            " AND c.checkpoint->'channel_versions'->>b.channel = b.version)"
            " RETURNING pg_column_size(blob) AS bytes"
        ), (json.dumps(sorted(held)), key, str(rows[0]["id"]))  # fmt: skip
        return sum(int(row["bytes"] or 0) for row in removed)


class _Undone(Exception):
    """Rolls a transaction back that only wanted to know what it would remove."""

    def __init__(self, count: int) -> None:
        super().__init__()
        self.count = count
