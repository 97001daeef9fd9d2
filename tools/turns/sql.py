"""What all parts of the store share: its database, its clock, and how rows become records."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext

from pydantic import JsonValue

from antiphon.tools.errors import Forbidden, LeaseLost
from antiphon.tools.turns.database import Database, Result, Row, Transaction
from antiphon.tools.turns.records import Call, Effect, ThreadRecord, TurnEntry
from antiphon.tools.turns.schema import migrate


class Sql:
    """A database whose tables are brought up to date before its first transaction."""

    def __init__(
        self,
        database: Database,
        *,
        clock: Callable[[], float] | None = None,
        errors: Callable[[], AbstractContextManager[None]] = nullcontext,
    ) -> None:
        """Use the database's own clock, the same for all processes, or the one given (tests).

        `errors` turns what the driver raises into StorageError and its kinds.
        """
        self.database = database
        self._clock = clock
        self._errors = errors
        self._migrated = False

    async def ping(self) -> None:
        """Ask the database for next to nothing that it has to read."""

        def work() -> Transaction[None]:
            yield "SELECT version FROM antiphon_migrations LIMIT 1", ()

        await self._read(work())

    def _sql(self, sql: str) -> str:
        now = self.database.now if self._clock is None else repr(float(self._clock()))
        return sql.replace("{now}", now)

    async def _run(self, work: Transaction[Result], *, durable: bool = False) -> Result:
        """Run a transaction; a `durable` one is on disk when this returns."""
        with self._errors():
            await self._ready()
            return await self.database.run(work, durable=durable)

    async def _read(self, work: Transaction[Result]) -> Result:
        """Run a transaction that changes nothing; it waits for no writer."""
        with self._errors():
            await self._ready()
            return await self.database.run(work, write=False)

    async def _ready(self) -> None:
        if not self._migrated:
            await migrate(self.database)
            self._migrated = True


def key_of(tenant: str, thread: str) -> str:
    """Return the checkpointer's name of a thread; neither part may hold a slash."""
    return f"{tenant}/{thread}"


def lost() -> LeaseLost:
    """Return the error of a runner that comes too late."""
    return LeaseLost("the thread was deleted, or taken over by another process")


def not_yours(thread: str) -> Forbidden:
    """Return the error of a caller whose thread it is not."""
    return Forbidden(
        f"thread {thread!r} belongs to another user",
        hint="Name its user with --user, or start a thread of your own.",
    )


def dumped(value: Mapping[str, JsonValue]) -> str:
    """Return an object as the text of its column."""
    return json.dumps(value, ensure_ascii=False)


def entry_by_id(turn: str) -> Transaction[TurnEntry]:
    """Return a turn that is known to be there, with its calls."""
    rows = yield "SELECT * FROM antiphon_turns WHERE id = ?", (turn,)
    return (yield from entry_from(rows[0]))


def entry_from(row: Row) -> Transaction[TurnEntry]:
    """Return the turn of a whole row, with its calls."""
    calls = yield "SELECT * FROM antiphon_calls WHERE turn = ? ORDER BY token, number", (row["id"],)
    return entry_of(row, calls)


def entries_by_id(rows: Sequence[Row]) -> Transaction[list[TurnEntry]]:
    """Return the turns whose ids are the rows' `id`."""
    found: list[TurnEntry] = []
    for row in rows:
        entry = yield from entry_by_id(row["id"])
        found.append(entry)
    return found


def thread_of(row: Row) -> ThreadRecord:
    """Read a thread."""
    return ThreadRecord(
        tenant=row["tenant"],
        id=row["id"],
        owner=row["owner"],
        title=row["title"],
        created=float(row["created"]),
        updated=float(row["updated"]),
        waiting=row["state"] == "awaiting",
    )


def entry_of(row: Row, calls: Sequence[Row]) -> TurnEntry:
    """Read a turn, given the rows of its calls in order."""
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
        knobs=json.loads(row["knobs"]),
        state=row["state"],
        token=int(row["token"]),
        outcome=row["outcome"],
        result=None if row["result"] is None else json.loads(row["result"]),
        checkpoint=row["checkpoint"],
        calls=spent,
        cost_usd=sum(call.cost_usd for call in spent),
        created=float(row["created"]),
        ended=float(row["ended"]),
    )


def effect_of(row: Row) -> Effect:
    """Read an effect."""
    return Effect(
        tenant=row["tenant"],
        key=row["key"],
        thread=row["thread"],
        turn=row["turn"],
        tool=row["tool"],
        arguments=json.loads(row["arguments"]),
        state=row["state"],
        result=None if row["result"] is None else json.loads(row["result"]),
        attempts=int(row["attempts"]),
    )
