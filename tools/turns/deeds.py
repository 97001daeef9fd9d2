"""What a turn did: model calls, effects, and what people decided about them."""

from __future__ import annotations

import json
from collections.abc import Sequence

from antiphon.tools.errors import TurnStopped
from antiphon.tools.turns.database import Row, Statement, Transaction
from antiphon.tools.turns.records import Call, Decided, Effect
from antiphon.tools.turns.sql import Sql, dumped, effect_of, key_of, lost

_KEPT = "WHERE NOT EXISTS (SELECT 1 FROM antiphon_threads WHERE key = ? AND state = 'deleted')"
"""Nothing is written for a thread that was deleted meanwhile."""


class Deeds(Sql):
    """Calls, effects and decisions."""

    async def note_call(self, turn: str, token: int, number: int, call: Call) -> None:
        """Write a model call down, or complete it."""

        def work() -> Transaction[None]:
            yield written_call(turn, token, number, call)

        await self._run(work())

    async def plan(self, effect: Effect) -> None:
        """Note an effect that waits for a person."""
        await self._run(self._plan(effect))

    async def begin(self, effect: Effect, *, token: int, again: int = 0, turn: str = "") -> Effect:
        """Claim an effect before its call: return it as it stood before."""

        def work() -> Transaction[Effect]:
            if token:
                # An update, so that no other runner takes the lease before this is written.
                held = yield (
                    "UPDATE antiphon_threads SET token = token WHERE key = ? AND token = ?"
                    " AND state <> 'deleted' RETURNING token",
                    (key_of(effect.tenant, effect.thread), token),
                )
                if not held:
                    raise lost()
                stop = yield "SELECT id FROM antiphon_turns WHERE id = ? AND stop = 1", (turn,)
                if stop:
                    raise TurnStopped("the turn was stopped before the call went out")
            yield from self._plan(effect)
            # What it was called with is never written over: another call is another effect.
            claimed = yield self._sql(
                "UPDATE antiphon_effects SET arguments = CASE WHEN state = 'planned' THEN ?"
                " ELSE arguments END, state = 'started', turn = ?, token = ?,"
                " attempts = attempts + 1, updated = {now} WHERE tenant = ? AND key = ?"
                " AND (state = 'planned' OR (state IN ('started', 'unknown') AND attempts = ?"
                " AND ? > 0)) RETURNING key"
            ), (
                dumped(effect.arguments), effect.turn, token, effect.tenant, effect.key,
                again, again,
            )  # fmt: skip
            if claimed:
                return effect
            found = yield from self._effect_row(effect.tenant, effect.key)
            if not found:
                raise lost()
            return effect_of(found[0])

        return await self._run(work(), durable=True)

    async def effect(self, tenant: str, key: str) -> Effect | None:
        """Return an effect as it stands."""

        def work() -> Transaction[Effect | None]:
            rows = yield from self._effect_row(tenant, key)
            return effect_of(rows[0]) if rows else None

        return await self._read(work())

    def _effect_row(self, tenant: str, key: str) -> Transaction[Sequence[Row]]:
        return (
            yield (
                "SELECT * FROM antiphon_effects WHERE tenant = ? AND key = ?",
                (tenant, key),
            )
        )

    async def finish(self, effect: Effect, *, token: int) -> None:
        """Note what came of an effect; that it is done is believed of whoever called it."""

        def work() -> Transaction[None]:
            yield self._sql(
                "UPDATE antiphon_effects SET state = ?, result = ?, updated = {now}"
                " WHERE tenant = ? AND key = ? AND state <> 'done' AND (? = 'done' OR token <= ?)"
            ), (
                effect.state, None if effect.result is None else dumped(effect.result),
                effect.tenant, effect.key, effect.state, token,
            )  # fmt: skip

        await self._run(work())

    async def effects(self, tenant: str, thread: str, *, turn: str = "") -> list[Effect]:
        """Return a thread's effects, or one turn's, oldest first."""

        def work() -> Transaction[list[Effect]]:
            rows = yield (
                "SELECT * FROM antiphon_effects WHERE tenant = ? AND thread = ?"
                " AND (? = '' OR turn = ?) ORDER BY created, key"
            ), (tenant, thread, turn, turn)  # fmt: skip
            return [effect_of(row) for row in rows]

        return await self._read(work())

    async def decided(self, decision: Decided) -> None:
        """Keep who decided what; the first word on a call stands."""

        def work() -> Transaction[None]:
            yield self._sql(
                f"INSERT INTO antiphon_decisions SELECT ?, ?, ?, ?, ?, ?, ?, ?, ?, {{now}} {_KEPT}"
                " ON CONFLICT DO NOTHING"
            ), (
                decision.tenant, decision.thread, decision.interrupt_id, decision.turn,
                decision.tool, dumped(decision.arguments), int(decision.approved), decision.by,
                decision.reason, key_of(decision.tenant, decision.thread),
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

        return await self._read(work())

    def _plan(self, effect: Effect) -> Transaction[None]:
        yield self._sql(
            "INSERT INTO antiphon_effects"
            " (tenant, key, thread, turn, tool, arguments, state, token,"
            f" created, updated) SELECT ?, ?, ?, ?, ?, ?, 'planned', 0, {{now}}, {{now}} {_KEPT}"
            " ON CONFLICT DO NOTHING"
        ), (
            effect.tenant, effect.key, effect.thread, effect.turn, effect.tool,
            dumped(effect.arguments), key_of(effect.tenant, effect.thread),
        )  # fmt: skip


def written_call(turn: str, token: int, number: int, call: Call) -> Statement:
    """Return what writes a call down; runners of different leases never share a row."""
    return (
        "INSERT INTO antiphon_calls SELECT id, ?, ?, ?, ?, ?, ?, ?, ?"
        " FROM antiphon_turns WHERE id = ?"
        " ON CONFLICT (turn, token, number) DO UPDATE SET input_tokens = excluded.input_tokens,"
        " output_tokens = excluded.output_tokens, cost_usd = excluded.cost_usd,"
        " ok = excluded.ok, model = excluded.model"
    ), (
        token, number, call.purpose, call.model, call.input_tokens, call.output_tokens,
        call.cost_usd, int(call.ok), turn,
    )  # fmt: skip
