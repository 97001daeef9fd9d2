"""Threads, turns, leases, model calls, effects and decisions in SQL."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence

from pydantic import JsonValue

from antiphon.tools.errors import Forbidden, LeaseLost, RequestKeyReused
from antiphon.tools.turns.database import Database, Result, Row, Transaction, Value
from antiphon.tools.turns.records import (
    Call,
    Decided,
    Effect,
    Lease,
    Opened,
    ThreadRecord,
    TurnEntry,
    TurnState,
)
from antiphon.tools.turns.schema import migrate

TITLE_CHARS = 80


class SqlTurns:
    """The store of turns over either database."""

    def __init__(self, database: Database, *, clock: Callable[[], float] | None = None) -> None:
        """Use the database's own clock, the same for all processes, or the one given (tests).

        The tables are made or brought up to date before the first transaction.
        """
        self.database = database
        self._clock = clock
        self._migrated = False

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
        ttl_s: float,
    ) -> Opened:
        """Let a request in: make the thread if there is none, note the turn, try for the lease."""

        def work() -> Transaction[Opened]:
            if request_key:
                known = yield from self._by_key(tenant, owner, request_key, digest)
                if known is not None:
                    return Opened(turn=known, lease=None, repeated=True)
            new = yield from self._own(tenant, thread, owner)
            rows = yield self._sql(
                "INSERT INTO antiphon_turns (id, tenant, thread, owner, seq, kind, request_key,"
                " digest, knobs, state, until, created)"
                " SELECT ?, tenant, id, owner, turns, ?, ?, ?, ?, 'queued', {now} + ?, {now}"
                " FROM antiphon_threads WHERE key = ? ON CONFLICT DO NOTHING RETURNING *"
            ), (
                turn, kind, request_key, digest, _dump(knobs or {}), ttl_s, _key(tenant, thread),
            )  # fmt: skip
            if not rows:
                # Another process let the same request in between our look and our insert.
                known = yield from self._by_key(tenant, owner, request_key, digest)
                assert known is not None, "only a repeated request conflicts"  # noqa: S101
                return Opened(turn=known, lease=None, repeated=True)
            lease = yield from self._take(rows[0], ttl_s)
            entry = yield from self._entry(turn)
            return Opened(turn=entry, lease=lease, new_thread=new)

        return await self._run(work())

    async def acquire(self, turn: TurnEntry, *, ttl_s: float) -> Lease | None:
        """Try again for the lease; turns that came earlier go first."""

        def work() -> Transaction[Lease | None]:
            rows = yield self._sql(
                "UPDATE antiphon_turns SET until = {now} + ? WHERE id = ? RETURNING *"
            ), (ttl_s, turn.id)  # fmt: skip
            if not rows:
                raise LeaseLost("the thread was deleted while a message waited for it")
            if rows[0]["state"] in ("running", "queued"):
                return (yield from self._take(rows[0], ttl_s))
            raise LeaseLost("the turn was closed while it waited")

        return await self._run(work())

    async def renew(self, turn: TurnEntry, lease: Lease, *, ttl_s: float) -> bool:
        """Prolong the lease; say whether the turn is asked to stop."""

        def work() -> Transaction[bool]:
            held = yield self._sql(
                "UPDATE antiphon_threads SET until = {now} + ?"
                " WHERE key = ? AND token = ? AND holder <> '' RETURNING token"
            ), (ttl_s, _key(turn.tenant, turn.thread), lease.token)  # fmt: skip
            if not held:
                raise _lost()
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
        release: bool = True,
    ) -> None:
        """Close a turn and give the lease back, unless the next turn runs on under it."""

        def work() -> Transaction[None]:
            held = yield self._sql(
                "UPDATE antiphon_threads SET updated = {now}, state = ?, holder = CASE WHEN ? = 1"
                " THEN '' ELSE holder END, until = CASE WHEN ? = 1 THEN 0 ELSE until END,"
                " title = CASE WHEN title = '' THEN ? ELSE title END"
                " WHERE key = ? AND token = ? AND state <> 'deleted' RETURNING token"
            ), (
                "awaiting" if state == "awaiting" else "open",
                int(release), int(release), title[:TITLE_CHARS],
                _key(turn.tenant, turn.thread), lease.token,
            )  # fmt: skip
            for number, call in enumerate(calls):
                yield from self._note_call(turn.id, number, call)
            if not held:
                raise _lost()
            yield self._sql(
                "UPDATE antiphon_turns SET state = ?, outcome = ?, result = ?, checkpoint = ?,"
                " ended = {now} WHERE id = ? AND token <= ?"
            ), (
                state, outcome, None if result is None else _dump(dict(result)), checkpoint,
                turn.id, lease.token,
            )  # fmt: skip
            # What waited for a person waits no more: this turn decided it, or asks it anew.
            yield self._sql(
                "UPDATE antiphon_turns SET state = 'done' WHERE tenant = ? AND thread = ?"
                " AND state = 'awaiting' AND id <> ?"
            ), (turn.tenant, turn.thread, turn.id)  # fmt: skip

        await self._run(work())

    async def leave(self, turn: TurnEntry, lease: Lease | None = None) -> None:
        """Take back a turn that never ran, with the lease it may have got."""

        def work() -> Transaction[None]:
            if lease is not None:
                yield (
                    "UPDATE antiphon_threads SET holder = '', until = 0"
                    " WHERE key = ? AND token = ?"
                ), (_key(turn.tenant, turn.thread), lease.token)  # fmt: skip
            yield (
                "DELETE FROM antiphon_turns WHERE id = ? AND state IN ('queued', 'running')",
                (turn.id,),
            )
            # A thread that nothing was ever said in does not stay.
            yield (
                "DELETE FROM antiphon_threads WHERE key = ? AND holder = '' AND title = ''"
                " AND NOT EXISTS (SELECT 1 FROM antiphon_turns WHERE tenant = ? AND thread = ?)"
            ), (_key(turn.tenant, turn.thread), turn.tenant, turn.thread)  # fmt: skip

        await self._run(work())

    async def note_head(self, tenant: str, thread: str, head: str) -> None:
        """Note under which name a client will refer to the conversation as it stands now."""

        def work() -> Transaction[None]:
            yield (
                "UPDATE antiphon_threads SET head = ? WHERE key = ? AND state <> 'deleted'",
                (head, _key(tenant, thread)),
            )

        await self._run(work())

    async def ask_to_stop(self, turn: TurnEntry) -> None:
        """Have whoever runs the turn stop it."""

        def work() -> Transaction[None]:
            yield "UPDATE antiphon_turns SET stop = 1 WHERE id = ?", (turn.id,)

        await self._run(work())

    async def turn(self, tenant: str, thread: str, turn: str = "") -> TurnEntry | None:
        """Return a turn by id, or the latest of the thread that was not merely queued."""

        def work() -> Transaction[TurnEntry | None]:
            chosen = "id = ?" if turn else "state <> 'queued' AND ? = ''"
            rows = yield (
                f"SELECT id FROM antiphon_turns WHERE tenant = ? AND thread = ? AND {chosen}"
                " ORDER BY seq DESC LIMIT 1"
            ), (tenant, thread, turn)  # fmt: skip
            return (yield from self._entry(rows[0]["id"])) if rows else None

        return await self._run(work())

    async def turns(self, tenant: str, thread: str) -> list[TurnEntry]:
        """Return a thread's turns in order."""

        def work() -> Transaction[list[TurnEntry]]:
            rows = yield (
                "SELECT * FROM antiphon_turns WHERE tenant = ? AND thread = ? ORDER BY seq",
                (tenant, thread),
            )
            calls = yield (
                "SELECT antiphon_calls.* FROM antiphon_calls JOIN antiphon_turns ON turn = id"
                " WHERE tenant = ? AND thread = ? ORDER BY number"
            ), (tenant, thread)  # fmt: skip
            return [_entry(row, [one for one in calls if one["turn"] == row["id"]]) for row in rows]

        return await self._run(work())

    async def thread(self, tenant: str, thread: str) -> ThreadRecord | None:
        """Return a thread that was not deleted."""

        def work() -> Transaction[ThreadRecord | None]:
            rows = yield (
                "SELECT * FROM antiphon_threads WHERE key = ? AND state <> 'deleted'",
                (_key(tenant, thread),),
            )
            return _thread(rows[0]) if rows else None

        return await self._run(work())

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
                older = "AND (updated < ? OR (updated = ? AND id > ?))"
                values = (*values, before[0], before[0], before[1])
            rows = yield (
                "SELECT * FROM antiphon_threads WHERE tenant = ? AND owner = ?"
                f" AND state <> 'deleted' {older} ORDER BY updated DESC, id LIMIT ?"
            ), (*values, limit)  # fmt: skip
            return [_thread(row) for row in rows]

        return await self._run(work())

    async def by_head(self, tenant: str, owner: str, head: str) -> str:
        """Return the thread whose conversation a client knows as `head`; empty when none."""

        def work() -> Transaction[str]:
            rows = yield (
                "SELECT id FROM antiphon_threads WHERE tenant = ? AND owner = ? AND head = ?"
                " AND head <> '' AND state <> 'deleted' ORDER BY updated DESC LIMIT 1"
            ), (tenant, owner, head)  # fmt: skip
            return str(rows[0]["id"]) if rows else ""

        return await self._run(work())

    async def delete(self, tenant: str, thread: str) -> None:
        """Mark a thread deleted and fence its runner off."""

        def work() -> Transaction[None]:
            yield (
                "UPDATE antiphon_threads SET state = 'deleted', token = token + 1, owner = '',"
                " title = '', head = '' WHERE key = ?"
            ), (_key(tenant, thread),)  # fmt: skip
            yield (
                "UPDATE antiphon_turns SET stop = 1 WHERE tenant = ? AND thread = ?",
                (tenant, thread),
            )

        await self._run(work())

    async def purge(self, tenant: str, thread: str) -> None:
        """Forget a deleted thread's turns, decisions and effects."""

        def work() -> Transaction[None]:
            yield (
                "DELETE FROM antiphon_calls WHERE turn IN"
                " (SELECT id FROM antiphon_turns WHERE tenant = ? AND thread = ?)"
            ), (tenant, thread)  # fmt: skip
            for table in ("turns", "effects", "decisions"):
                yield (
                    f"DELETE FROM antiphon_{table} WHERE tenant = ? AND thread = ?",
                    (tenant, thread),
                )
            yield self._sql(
                "UPDATE antiphon_threads SET holder = '', until = 0, updated = {now}"
                " WHERE key = ? AND state = 'deleted'"
            ), (_key(tenant, thread),)  # fmt: skip

        await self._run(work())

    async def dead(self, *, limit: int = 20) -> list[TurnEntry]:
        """Return running turns whose lease has run out: their processes are gone."""

        def work() -> Transaction[list[TurnEntry]]:
            rows = yield self._sql(
                "SELECT antiphon_turns.* FROM antiphon_threads JOIN antiphon_turns"
                " ON antiphon_turns.id = holder WHERE holder <> ''"
                " AND antiphon_threads.until < {now}"
                " AND antiphon_threads.state <> 'deleted'"
                " ORDER BY antiphon_threads.until LIMIT ?"
            ), (limit,)  # fmt: skip
            return [_entry(row, ()) for row in rows]

        return await self._run(work())

    async def take_over(self, turn: TurnEntry, *, ttl_s: float) -> Lease | None:
        """Take the lease of a dead turn, to run that turn on; None when somebody else has it."""

        def work() -> Transaction[Lease | None]:
            rows = yield self._sql(
                "UPDATE antiphon_threads SET token = token + 1, until = {now} + ?"
                " WHERE key = ? AND holder = ? AND until < {now} AND state <> 'deleted'"
                " RETURNING token"
            ), (ttl_s, _key(turn.tenant, turn.thread), turn.id)  # fmt: skip
            if not rows:
                return None
            turns = yield "SELECT * FROM antiphon_turns WHERE id = ?", (turn.id,)
            others = yield from self._left_running(turns[0])
            return Lease(token=int(rows[0]["token"]), died=others)

        return await self._run(work())

    async def note_call(self, turn: str, number: int, call: Call) -> None:
        """Write a model call down, or complete it."""
        await self._run(self._note_call(turn, number, call))

    async def plan(self, effect: Effect) -> None:
        """Note an effect that waits for a person."""
        await self._run(self._plan(effect))

    async def begin(self, effect: Effect, *, token: int, again: bool = False) -> Effect:
        """Claim an effect before its call: return it as it stood before."""

        def work() -> Transaction[Effect]:
            if token:
                # An update, so that no other runner takes the lease before this is written.
                held = yield (
                    "UPDATE antiphon_threads SET token = token WHERE key = ? AND token = ?"
                    " AND state <> 'deleted' RETURNING token",
                    (_key(effect.tenant, effect.thread), token),
                )
                if not held:
                    raise _lost()
            yield from self._plan(effect)
            states = "('planned', 'started', 'unknown')" if again else "('planned')"
            claimed = yield self._sql(
                "UPDATE antiphon_effects SET state = 'started', turn = ?, arguments = ?,"
                f" updated = {{now}} WHERE tenant = ? AND key = ? AND state IN {states}"
                " RETURNING *"
            ), (
                effect.turn, _dump(effect.arguments), effect.tenant, effect.key,
            )  # fmt: skip
            if claimed:
                return effect
            rows = yield (
                "SELECT * FROM antiphon_effects WHERE tenant = ? AND key = ?",
                (effect.tenant, effect.key),
            )
            return _effect(rows[0])

        return await self._run(work())

    async def finish(self, effect: Effect) -> None:
        """Note what came of an effect: its state and result."""

        def work() -> Transaction[None]:
            yield self._sql(
                "UPDATE antiphon_effects SET state = ?, result = ?, updated = {now}"
                " WHERE tenant = ? AND key = ? AND state <> 'done'"
            ), (
                effect.state, None if effect.result is None else _dump(effect.result),
                effect.tenant, effect.key,
            )  # fmt: skip

        await self._run(work())

    async def effects(self, tenant: str, thread: str, *, turn: str = "") -> list[Effect]:
        """Return a thread's effects, or one turn's, oldest first."""

        def work() -> Transaction[list[Effect]]:
            rows = yield (
                "SELECT * FROM antiphon_effects WHERE tenant = ? AND thread = ?"
                " AND (? = '' OR turn = ?) ORDER BY created, key"
            ), (tenant, thread, turn, turn)  # fmt: skip
            return [_effect(row) for row in rows]

        return await self._run(work())

    async def decided(self, decision: Decided) -> None:
        """Keep who decided what; the first word on a call stands."""

        def work() -> Transaction[None]:
            yield self._sql(
                "INSERT INTO antiphon_decisions VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, {now})"
                " ON CONFLICT DO NOTHING"
            ), (
                decision.tenant, decision.thread, decision.interrupt_id, decision.turn,
                decision.tool, _dump(decision.arguments), int(decision.approved), decision.by,
                decision.reason,
            )  # fmt: skip

        await self._run(work())

    async def decisions(self, tenant: str, thread: str) -> list[Decided]:
        """Return a thread's decisions, oldest first."""

        def work() -> Transaction[list[Decided]]:
            rows = yield (
                "SELECT * FROM antiphon_decisions WHERE tenant = ? AND thread = ?"
                " ORDER BY decided_at"
            ), (tenant, thread)  # fmt: skip
            return [
                Decided(
                    tenant=row["tenant"],
                    thread=row["thread"],
                    interrupt_id=row["interrupt_id"],
                    turn=row["turn"],
                    tool=row["tool"],
                    arguments=json.loads(row["arguments"]),
                    approved=bool(row["approved"]),
                    by=row["decided_by"],
                    reason=row["reason"],
                    at=float(row["decided_at"]),
                )
                for row in rows
            ]

        return await self._run(work())

    async def ping(self) -> None:
        """Ask the database for nothing."""

        def work() -> Transaction[None]:
            yield "SELECT 1", ()

        await self._run(work())

    def _sql(self, sql: str) -> str:
        now = self.database.now if self._clock is None else repr(float(self._clock()))
        return sql.replace("{now}", now)

    async def _run(self, work: Transaction[Result]) -> Result:
        if not self._migrated:
            await migrate(self.database)
            self._migrated = True
        return await self.database.run(work)

    def _by_key(
        self, tenant: str, owner: str, request_key: str, digest: str
    ) -> Transaction[TurnEntry | None]:
        rows = yield (
            "SELECT id, digest FROM antiphon_turns"
            " WHERE tenant = ? AND owner = ? AND request_key = ?"
        ), (tenant, owner, request_key)  # fmt: skip
        if not rows:
            return None
        if rows[0]["digest"] != digest:
            raise RequestKeyReused(
                "this request key came with another request before",
                hint="Send a new Idempotency-Key with each new request, the same with a retry.",
            )
        return (yield from self._entry(rows[0]["id"]))

    def _own(self, tenant: str, thread: str, owner: str) -> Transaction[bool]:
        """Make the thread if there is none, count the turn, and check whose it is."""
        key = _key(tenant, thread)
        made = yield self._sql(
            "INSERT INTO antiphon_threads (key, tenant, id, owner, created, updated)"
            " VALUES (?, ?, ?, ?, {now}, {now}) ON CONFLICT DO NOTHING RETURNING key"
        ), (key, tenant, thread, owner)  # fmt: skip
        # Counting locks the row: whoever comes later waits, so that the order is that of arrival.
        rows = yield (
            "UPDATE antiphon_threads SET turns = turns + 1 WHERE key = ? RETURNING owner, state"
        ), (key,)  # fmt: skip
        if rows[0]["state"] == "deleted":
            yield self._sql(
                "UPDATE antiphon_threads SET state = 'open', owner = ?, created = {now},"
                " updated = {now}, holder = '', until = 0 WHERE key = ?"
            ), (owner, key)  # fmt: skip
            return True
        if rows[0]["owner"] != owner:
            raise Forbidden(
                f"thread {thread!r} belongs to another user",
                hint="Name its user with --user, or start a thread of your own.",
            )
        return bool(made)

    def _take(self, turn: Row, ttl_s: float) -> Transaction[Lease | None]:
        key = _key(turn["tenant"], turn["thread"])
        rows = yield self._sql(
            "UPDATE antiphon_threads SET holder = ?, token = token + 1, until = {now} + ?"
            " WHERE key = ? AND state <> 'deleted' AND (holder = '' OR until < {now})"
            " AND NOT EXISTS (SELECT 1 FROM antiphon_turns WHERE tenant = ? AND thread = ?"
            " AND seq < ? AND state = 'queued' AND until >= {now}) RETURNING token"
        ), (turn["id"], ttl_s, key, turn["tenant"], turn["thread"], turn["seq"])  # fmt: skip
        if not rows:
            return None
        token = int(rows[0]["token"])
        yield self._sql(
            "UPDATE antiphon_turns SET state = 'running', token = ?, started = {now} WHERE id = ?"
        ), (token, turn["id"])  # fmt: skip
        # Whoever left the line without a word does not come back.
        yield self._sql(
            "DELETE FROM antiphon_turns WHERE tenant = ? AND thread = ? AND seq < ?"
            " AND state = 'queued'"
        ), (turn["tenant"], turn["thread"], turn["seq"])  # fmt: skip
        died = yield from self._left_running(turn)
        return Lease(token=token, died=died)

    def _left_running(self, turn: Row) -> Transaction[tuple[str, ...]]:
        rows = yield (
            "SELECT id FROM antiphon_turns WHERE tenant = ? AND thread = ? AND state = 'running'"
            " AND id <> ? ORDER BY seq"
        ), (turn["tenant"], turn["thread"], turn["id"])  # fmt: skip
        return tuple(str(row["id"]) for row in rows)

    def _entry(self, turn: str) -> Transaction[TurnEntry]:
        rows = yield "SELECT * FROM antiphon_turns WHERE id = ?", (turn,)
        calls = yield "SELECT * FROM antiphon_calls WHERE turn = ? ORDER BY number", (turn,)
        return _entry(rows[0], calls)

    def _note_call(self, turn: str, number: int, call: Call) -> Transaction[None]:
        yield (
            "INSERT INTO antiphon_calls VALUES (?, ?, ?, ?, ?, ?, ?, ?)"
            " ON CONFLICT (turn, number) DO UPDATE SET input_tokens = excluded.input_tokens,"
            " output_tokens = excluded.output_tokens, cost_usd = excluded.cost_usd,"
            " ok = excluded.ok, model = excluded.model"
        ), (
            turn, number, call.purpose, call.model, call.input_tokens, call.output_tokens,
            call.cost_usd, int(call.ok),
        )  # fmt: skip

    def _plan(self, effect: Effect) -> Transaction[None]:
        yield self._sql(
            "INSERT INTO antiphon_effects VALUES (?, ?, ?, ?, ?, ?, 'planned', NULL, {now}, {now})"
            " ON CONFLICT DO NOTHING"
        ), (
            effect.tenant, effect.key, effect.thread, effect.turn, effect.tool,
            _dump(effect.arguments),
        )  # fmt: skip


def _key(tenant: str, thread: str) -> str:
    """Return the checkpointer's name of a thread; neither part may hold a slash."""
    return f"{tenant}/{thread}"


def _lost() -> LeaseLost:
    return LeaseLost("the thread was deleted, or taken over by another process")


def _dump(value: Mapping[str, JsonValue]) -> str:
    return json.dumps(value, ensure_ascii=False)


def _load(text: str | None) -> dict[str, JsonValue] | None:
    return None if text is None else json.loads(text)


def _thread(row: Row) -> ThreadRecord:
    return ThreadRecord(
        tenant=row["tenant"],
        id=row["id"],
        owner=row["owner"],
        title=row["title"],
        created=float(row["created"]),
        updated=float(row["updated"]),
        waiting=row["state"] == "awaiting",
    )


def _entry(row: Row, calls: Sequence[Row]) -> TurnEntry:
    spent = tuple(
        Call(
            purpose=call["purpose"],
            model=call["model"],
            input_tokens=int(call["input_tokens"]),
            output_tokens=int(call["output_tokens"]),
            cost_usd=float(call["cost_usd"]),
            ok=bool(call["ok"]),
        )
        for call in calls
    )
    return TurnEntry(
        id=row["id"],
        tenant=row["tenant"],
        thread=row["thread"],
        owner=row["owner"],
        seq=int(row["seq"]),
        kind=row["kind"],
        request_key=row["request_key"],
        knobs=json.loads(row["knobs"]),
        state=row["state"],
        token=int(row["token"]),
        outcome=row["outcome"],
        result=_load(row["result"]),
        checkpoint=row["checkpoint"],
        calls=spent,
        cost_usd=sum(call.cost_usd for call in spent),
        created=float(row["created"]),
        started=float(row["started"]),
        ended=float(row["ended"]),
    )


def _effect(row: Row) -> Effect:
    return Effect(
        tenant=row["tenant"],
        key=row["key"],
        thread=row["thread"],
        turn=row["turn"],
        tool=row["tool"],
        arguments=json.loads(row["arguments"]),
        state=row["state"],
        result=_load(row["result"]),
    )
