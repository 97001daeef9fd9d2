"""Who may run a thread: turns let in, the line they wait in, the lease, and its end.

Whatever touches a thread locks its row first, so transactions of several processes stand in line
for it and never meet crosswise. A lease or a place in the line is over once its time has passed,
or when it seems to last far longer than it was given for: then the clock was put back.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence

from pydantic import JsonValue

from antiphon.tools.errors import LeaseLost, RequestKeyReused, TurnStopped
from antiphon.tools.turns.database import Row, Transaction
from antiphon.tools.turns.deeds import written_call
from antiphon.tools.turns.records import Call, Lease, Opened, TurnEntry, TurnState
from antiphon.tools.turns.schema import checkpoint_tables
from antiphon.tools.turns.sql import (
    Sql,
    dumped,
    entries_by_id,
    entry_by_id,
    key_of,
    lost,
    not_yours,
)

TITLE_CHARS = 80
COUNTED_S = 0.002
"""Databases count the time in milliseconds: what lies closer together cannot be told apart."""
_LIVE = "(until >= {now} AND until <= {now} + 2 * ttl)"
_OVER = "(until < {now} OR until > {now} + 2 * ttl)"
# A lease that is given back goes to a turn whose process died, if there is one: so it is found.
_GIVEN_BACK = (
    "holder = COALESCE((SELECT id FROM antiphon_turns WHERE tenant = ? AND thread = ?"
    " AND state = 'running' AND id <> ? ORDER BY seq LIMIT 1), ''), until = 0"
)


class Leases(Sql):
    """Turns and leases."""

    async def open(
        self,
        *,
        turn: str,
        tenant: str,
        thread: str,
        owner: str,
        kind: str,
        request_key: str = "",
        digest: str = "",
        knobs: Mapping[str, JsonValue] | None = None,
        waited: Callable[[], float] = float,
        ttl_s: float,
    ) -> Opened:
        """Let a request in: make the thread if there is none, note the turn, try for the lease."""

        def work() -> Transaction[Opened]:
            if request_key:
                known = yield from self._by_key(tenant, owner, request_key, digest)
                if known is not None:
                    return Opened(turn=known, lease=None, repeated=True)
            new, late = yield from self._own(tenant, thread, owner, waited)
            rows = yield self._sql(
                "INSERT INTO antiphon_turns (id, tenant, thread, owner, seq, kind, request_key,"
                " digest, knobs, state, until, ttl, created)"
                " SELECT ?, tenant, id, owner, turns, ?, ?, ?, ?, 'queued', {now} + ?, ?, {now}"
                " FROM antiphon_threads WHERE key = ? ON CONFLICT DO NOTHING RETURNING *"
            ), (
                turn, kind, request_key, digest, dumped(knobs or {}), ttl_s, ttl_s,
                key_of(tenant, thread),
            )  # fmt: skip
            if not rows:
                # Another process let the same request in between our look and our insert.
                known = yield from self._by_key(tenant, owner, request_key, digest)
                assert known is not None, "only a repeated request conflicts"  # noqa: S101
                if new:
                    yield from self._unless_used(tenant, thread)
                return Opened(turn=known, lease=None, repeated=True)
            yield from self._inherit_origin(rows[0])
            lease = yield from self._take(rows[0], ttl_s)
            entry = yield from entry_by_id(turn)
            return Opened(turn=entry, lease=lease, new_thread=new, late=late)

        return await self._run(work())

    async def acquire(self, turn: TurnEntry, *, ttl_s: float) -> Lease | None:
        """Try again for the lease; turns that came earlier go first."""

        def work() -> Transaction[Lease | None]:
            yield from self._lock(turn.tenant, turn.thread)
            rows = yield self._sql(
                "UPDATE antiphon_turns SET until = {now} + ?, ttl = ? WHERE id = ? RETURNING *"
            ), (ttl_s, ttl_s, turn.id)  # fmt: skip
            if not rows:
                raise LeaseLost("the thread was deleted while a message waited for it")
            if rows[0]["state"] != "queued":
                raise LeaseLost("another process runs the turn now")
            if rows[0]["stop"]:
                raise TurnStopped("the turn was stopped before it ran")
            return (yield from self._take(rows[0], ttl_s))

        return await self._run(work())

    async def inherit(self, turn: TurnEntry, *, ttl_s: float) -> bool:
        """Take the place in the line of a turn whose process died while it waited."""

        def work() -> Transaction[bool]:
            yield from self._lock(turn.tenant, turn.thread)
            rows = yield self._sql(
                "UPDATE antiphon_turns SET until = {now} + ?, ttl = ?"
                f" WHERE id = ? AND state = 'queued' AND {_OVER} RETURNING id"
            ), (ttl_s, ttl_s, turn.id)  # fmt: skip
            return bool(rows)

        return await self._run(work())

    async def renew(self, turn: TurnEntry, lease: Lease, *, ttl_s: float) -> bool:
        """Prolong the lease; say whether the turn is asked to stop."""

        def work() -> Transaction[bool]:
            held = yield self._sql(
                "UPDATE antiphon_threads SET until = {now} + ?, ttl = ?"
                " WHERE key = ? AND token = ? AND holder <> '' RETURNING token"
            ), (ttl_s, ttl_s, key_of(turn.tenant, turn.thread), lease.token)  # fmt: skip
            if not held:
                raise lost()
            rows = yield "SELECT stop FROM antiphon_turns WHERE id = ?", (turn.id,)
            return bool(rows and rows[0]["stop"])

        return await self._run(work())

    async def settle(
        self,
        turn: TurnEntry,
        lease: Lease,
        *,
        state: TurnState,
        outcome: str,
        result: Mapping[str, JsonValue] | None,
        checkpoint: str = "",
        calls: Sequence[Call] = (),
        title: str = "",
        waiting: bool = False,
        release: bool = True,
    ) -> None:
        """Close a turn and give the lease back, unless the next turn runs on under it."""
        waits = waiting or state == "awaiting"

        def work() -> Transaction[None]:
            held = yield self._sql(
                "UPDATE antiphon_threads SET updated = {now}, state = ?,"
                " title = CASE WHEN title = '' THEN ? ELSE title END"
                " WHERE key = ? AND token = ? AND state <> 'deleted' RETURNING token"
            ), (
                "awaiting" if waits else "open", title[:TITLE_CHARS],
                key_of(turn.tenant, turn.thread), lease.token,
            )  # fmt: skip
            if not held:
                raise lost()
            for number, call in enumerate(calls):
                yield written_call(turn.id, lease.token, number, call)
            written = yield self._sql(
                "UPDATE antiphon_turns SET state = ?, outcome = ?, result = ?, checkpoint = ?,"
                " ended = {now} WHERE id = ? AND token <= ? RETURNING id"
            ), (
                state, outcome, None if result is None else dumped(dict(result)), checkpoint,
                turn.id, lease.token,
            )  # fmt: skip
            if not written:
                raise lost()
            if state == "awaiting" or not waits:
                # What waited for a person was decided by now, or waits on under this turn's name.
                yield (
                    "UPDATE antiphon_turns SET state = 'done' WHERE tenant = ? AND thread = ?"
                    " AND state = 'awaiting' AND id <> ?"
                ), (turn.tenant, turn.thread, turn.id)  # fmt: skip
            if release:
                # Last of all: what came in until now was sent before any of this was shown.
                yield from self._give_back(turn, lease, settled=True)

        await self._run(work())

    async def leave(
        self,
        turn: TurnEntry,
        lease: Lease | None = None,
        *,
        stopped: Mapping[str, JsonValue] | None = None,
    ) -> None:
        """Take back a turn that never ran, with the lease it may have got."""

        def work() -> Transaction[None]:
            yield from self._lock(turn.tenant, turn.thread)
            # Another process may have inherited the place in the line, and run the turn meanwhile.
            state = "queued" if lease is None else "running"
            if lease is None or (yield from self._give_back(turn, lease)):
                if stopped is None:
                    yield "DELETE FROM antiphon_turns WHERE id = ? AND state = ?", (turn.id, state)
                else:
                    yield self._sql(
                        "UPDATE antiphon_turns SET state = 'cancelled', outcome = 'cancelled',"
                        " result = ?, started = 0, ended = {now} WHERE id = ? AND state = ?"
                    ), (dumped(dict(stopped)), turn.id, state)  # fmt: skip
            yield from self._unless_used(turn.tenant, turn.thread)

        await self._run(work())

    async def hand_over(self, turn: TurnEntry, lease: Lease, *, tried: bool = True) -> None:
        """Let go of a turn that is to be run on by whoever comes next; `tried`: it was running."""

        def work() -> Transaction[None]:
            yield (
                "UPDATE antiphon_threads SET until = 0 WHERE key = ? AND token = ?",
                (key_of(turn.tenant, turn.thread), lease.token),
            )
            if tried:
                # Running it on is no second try: nothing went wrong with it.
                yield "UPDATE antiphon_turns SET tries = tries - 1 WHERE id = ?", (turn.id,)

        await self._run(work())

    async def tried(self, turn: TurnEntry) -> int:
        """Note that a dead turn is run on; return how often it was by now."""

        def work() -> Transaction[int]:
            rows = yield (
                "UPDATE antiphon_turns SET tries = tries + 1 WHERE id = ? RETURNING tries",
                (turn.id,),
            )
            return int(rows[0]["tries"]) if rows else 0

        return await self._run(work())

    async def ask_to_stop(self, turn: TurnEntry) -> None:
        """Have whoever runs the turn stop it."""

        def work() -> Transaction[None]:
            yield "UPDATE antiphon_turns SET stop = 1 WHERE id = ?", (turn.id,)

        await self._run(work())

    async def delete(self, tenant: str, thread: str, *, idle_s: float = 0.0) -> bool:
        """Forget a thread with all that was kept of it, and fence its runner off, all at once.

        With `idle_s` only if nothing was said in it for so long; return whether it is gone.
        """
        key = key_of(tenant, thread)
        idle = "AND holder = '' AND updated < {now} - ?" if idle_s else "AND 0 = ?"

        def work() -> Transaction[bool]:
            # What stays for a while is the name, with a token that late writers do not have.
            gone = yield self._sql(
                "UPDATE antiphon_threads SET state = 'deleted', token = token + 1, owner = '',"
                " title = '', head = '', holder = '', until = 0, updated = {now} WHERE key = ?"
                f" {idle} RETURNING key"
            ), (key, idle_s)  # fmt: skip
            if not gone and idle_s:
                return False
            yield (
                "DELETE FROM antiphon_calls WHERE turn IN"
                " (SELECT id FROM antiphon_turns WHERE tenant = ? AND thread = ?)"
            ), (tenant, thread)  # fmt: skip
            for table in ("turns", "effects", "decisions", "candidates"):
                yield (
                    f"DELETE FROM antiphon_{table} WHERE tenant = ? AND thread = ?",
                    (tenant, thread),
                )
            for table in (yield from checkpoint_tables(self.database)):
                yield f"DELETE FROM {table} WHERE thread_id = ?", (key,)
            return True

        return await self._run(work())

    async def dead(self, *, limit: int = 20) -> list[TurnEntry]:
        """Return turns that ran, or waited, in processes that are gone."""

        def work() -> Transaction[list[TurnEntry]]:
            ran = yield self._sql(
                "SELECT holder AS id FROM antiphon_threads WHERE holder <> ''"
                f" AND {_OVER} AND holder IN (SELECT id FROM antiphon_turns)"
                " ORDER BY until LIMIT ?"
            ), (limit,)  # fmt: skip
            waited = yield self._sql(
                "SELECT id FROM antiphon_turns WHERE state = 'queued'"
                f" AND {_OVER} ORDER BY until LIMIT ?"
            ), (limit,)  # fmt: skip
            return (yield from entries_by_id([*ran, *waited]))

        return await self._read(work())

    async def take_over(self, turn: TurnEntry, *, ttl_s: float) -> Lease | None:
        """Take the lease for a dead turn, to run it on or close it; None: another has it."""

        def work() -> Transaction[Lease | None]:
            if turn.state == "queued":
                yield from self._lock(turn.tenant, turn.thread)
                waited = yield self._sql(
                    f"SELECT * FROM antiphon_turns WHERE id = ? AND state = 'queued' AND {_OVER}"
                ), (turn.id,)  # fmt: skip
                return (yield from self._take(waited[0], ttl_s)) if waited else None
            rows = yield self._sql(
                "UPDATE antiphon_threads SET token = token + 1, until = {now} + ?, ttl = ?"
                f" WHERE key = ? AND holder = ? AND {_OVER} AND state <> 'deleted'"
                " RETURNING token"
            ), (ttl_s, ttl_s, key_of(turn.tenant, turn.thread), turn.id)  # fmt: skip
            if not rows:
                return None
            token = int(rows[0]["token"])
            turns = yield (
                "UPDATE antiphon_turns SET token = ? WHERE id = ? RETURNING *",
                (token, turn.id),
            )
            return Lease(token=token, died=(yield from self._left_running(turns[0])))

        return await self._run(work())

    def _lock(self, tenant: str, thread: str) -> Transaction[None]:
        """Lock a thread's row; SQLite's writers are alone anyway."""
        if self.database.dialect == "postgres":
            yield (
                "SELECT key FROM antiphon_threads WHERE key = ? FOR UPDATE",
                (key_of(tenant, thread),),
            )

    def _by_key(
        self, tenant: str, owner: str, request_key: str, digest: str
    ) -> Transaction[TurnEntry | None]:
        rows = yield (
            "SELECT id, digest FROM antiphon_turns"
            " WHERE tenant = ? AND owner = ? AND request_key = ? AND request_key <> ''"
        ), (tenant, owner, request_key)  # fmt: skip
        if not rows:
            return None
        if rows[0]["digest"] != digest:
            raise RequestKeyReused(
                "this request key came with another request before",
                hint="Send a new Idempotency-Key with each new request, the same with a retry.",
            )
        return (yield from entry_by_id(rows[0]["id"]))

    def _own(
        self, tenant: str, thread: str, owner: str, waited: Callable[[], float]
    ) -> Transaction[tuple[bool, bool]]:
        """Make the thread if there is none, count the turn, and check whose it is.

        Returns whether it is new, and whether a turn of it was settled since the message came in.
        """
        key = key_of(tenant, thread)
        made = yield self._sql(
            # Tokens begin at the time: none of a thread that had the name before is used again.
            "INSERT INTO antiphon_threads (key, tenant, id, owner, created, updated, token)"
            " VALUES (?, ?, ?, ?, {now}, {now}, CAST({now} * 1000 AS BIGINT))"
            " ON CONFLICT DO NOTHING RETURNING key"
        ), (key, tenant, thread, owner)  # fmt: skip
        # Counting locks the row: whoever comes later waits, so that the order is that of arrival.
        rows = yield self._sql(
            "UPDATE antiphon_threads SET turns = turns + 1 WHERE key = ?"
            " RETURNING owner, state, updated > {now} - ? AS late"
        ), (key, waited() - COUNTED_S)  # fmt: skip
        seen = rows
        if self.database.dialect == "postgres":
            # Asked anew: until the row was ours the message waited, perhaps for that very turn.
            seen = yield self._sql(
                "SELECT updated > {now} - ? AS late FROM antiphon_threads WHERE key = ?"
            ), (waited() - COUNTED_S, key)  # fmt: skip
        if rows[0]["state"] == "deleted":
            yield self._sql(
                "UPDATE antiphon_threads SET state = 'open', owner = ?, created = {now},"
                " updated = {now} WHERE key = ?"
            ), (owner, key)  # fmt: skip
            return True, False
        if rows[0]["owner"] != owner:
            raise not_yours(thread)
        return bool(made), bool(seen[0]["late"]) and not made

    def _take(self, turn: Row, ttl_s: float) -> Transaction[Lease | None]:
        key = key_of(turn["tenant"], turn["thread"])
        rows = yield self._sql(
            "UPDATE antiphon_threads SET holder = ?, token = token + 1, until = {now} + ?, ttl = ?"
            f" WHERE key = ? AND state <> 'deleted' AND (holder = '' OR {_OVER})"
            " AND NOT EXISTS (SELECT 1 FROM antiphon_turns WHERE tenant = ? AND thread = ?"
            f" AND seq < ? AND state = 'queued' AND {_LIVE}) RETURNING token"
        ), (turn["id"], ttl_s, ttl_s, key, turn["tenant"], turn["thread"], turn["seq"])  # fmt: skip
        if not rows:
            return None
        token = int(rows[0]["token"])
        yield self._sql(
            "UPDATE antiphon_turns SET state = 'running', token = ?, started = {now} WHERE id = ?"
        ), (token, turn["id"])  # fmt: skip
        # Whoever left the line without a word died in it: closed like any turn that did.
        yield (
            "UPDATE antiphon_turns SET state = 'running', token = ?"
            " WHERE tenant = ? AND thread = ? AND seq < ? AND state = 'queued'"
        ), (token, turn["tenant"], turn["thread"], turn["seq"])  # fmt: skip
        return Lease(token=token, died=(yield from self._left_running(turn)))

    def _left_running(self, turn: Row) -> Transaction[tuple[TurnEntry, ...]]:
        rows = yield (
            "SELECT id FROM antiphon_turns WHERE tenant = ? AND thread = ? AND state = 'running'"
            " AND id <> ? ORDER BY seq"
        ), (turn["tenant"], turn["thread"], turn["id"])  # fmt: skip
        return tuple((yield from entries_by_id(rows)))

    def _inherit_origin(self, turn: Row) -> Transaction[None]:
        """Have every turn of a replayed thread be one of a replay: a decision in it is too."""
        rows = yield (
            "SELECT knobs FROM antiphon_turns WHERE tenant = ? AND thread = ? AND seq < ?"
            " ORDER BY seq LIMIT 1"
        ), (turn["tenant"], turn["thread"], turn["seq"])  # fmt: skip
        first = json.loads(rows[0]["knobs"]) if rows else {}
        if first.get("origin"):
            both = {**json.loads(turn["knobs"]), "origin": first["origin"],
                    "live": bool(first.get("live"))}  # fmt: skip
            yield "UPDATE antiphon_turns SET knobs = ? WHERE id = ?", (dumped(both), turn["id"])

    def _give_back(
        self, turn: TurnEntry, lease: Lease, *, settled: bool = False
    ) -> Transaction[bool]:
        """Give the lease back; say whether it was still ours."""
        noted = ", updated = {now}" if settled else ""
        held = yield self._sql(
            f"UPDATE antiphon_threads SET {_GIVEN_BACK}{noted} WHERE key = ? AND token = ?"
            " RETURNING key"
        ), (
            turn.tenant, turn.thread, turn.id, key_of(turn.tenant, turn.thread), lease.token,
        )  # fmt: skip
        return bool(held)

    def _unless_used(self, tenant: str, thread: str) -> Transaction[None]:
        """Drop a thread that nothing was ever said in, with what a turn had begun to write."""
        key = key_of(tenant, thread)
        dropped = yield (
            "DELETE FROM antiphon_threads WHERE key = ? AND holder = '' AND title = ''"
            " AND state = 'open'"
            " AND NOT EXISTS (SELECT 1 FROM antiphon_turns WHERE tenant = ? AND thread = ?)"
            " RETURNING key"
        ), (key, tenant, thread)  # fmt: skip
        for table in (yield from checkpoint_tables(self.database)) if dropped else ():
            yield f"DELETE FROM {table} WHERE thread_id = ?", (key,)
