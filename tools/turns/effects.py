"""Effects: a tool that changes something is noted before it is called, and never called twice.

What is guaranteed: exactly once for a tool that takes an idempotency key and honours it, since a
call whose end nobody saw is made again under the same key; at most once for any other, since such
a call is left as it is and a person is asked.
"""

from __future__ import annotations

import hashlib
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import asdict, replace
from typing import Protocol

from pydantic import TypeAdapter

from antiphon.tools.errors import StorageError
from antiphon.tools.toolbox.calls import Caller, ToolCall, ToolResult, ToolSpec
from antiphon.tools.turns.current import CURRENT, Running, replaying
from antiphon.tools.turns.records import Decided, Effect, EffectState, Turns

Execute = Callable[[ToolCall], Awaitable[ToolResult]]
_RESULT = TypeAdapter(ToolResult)
NOT_IN_A_REPLAY = "not_replayed"
"""Failure code of a call that a replay does not make."""


def changes_things(spec: ToolSpec) -> bool:
    """Say whether a call of the tool is an effect: declared so, or too grave to go unasked."""
    return spec.side_effects or spec.approval


class Effects(Protocol):
    """Runs calls that change something, each once."""

    async def plan(self, call: ToolCall, *, caller: Caller, turn: str) -> None:
        """Note a call that waits for a person."""
        ...

    async def run(
        self,
        spec: ToolSpec,
        call: ToolCall,
        execute: Execute,
        *,
        caller: Caller,
        turn: str,
        again: int = 0,
    ) -> ToolResult | None:
        """Run a call, or return what it came to before; None: it went out and nobody knows.

        `again`: a person who knew that it had gone out so often said to make it once more.

        Raises LeaseLost: another process runs this thread, or the turn was stopped; nothing was
        called.
        """
        ...

    async def look(self, call: ToolCall, *, caller: Caller) -> Effect | None:
        """Return what is on record of a call; None before it was ever planned."""
        ...

    async def decided(self, decision: Decided) -> None:
        """Keep who decided what about a call."""
        ...


class KeptEffects:
    """Effects as rows of the store."""

    def __init__(self, turns: Turns) -> None:
        self._turns = turns

    async def plan(self, call: ToolCall, *, caller: Caller, turn: str) -> None:
        """Note a call that waits for a person."""
        if not replaying():
            await self._turns.plan(_effect(call, caller, turn))

    async def run(
        self,
        spec: ToolSpec,
        call: ToolCall,
        execute: Execute,
        *,
        caller: Caller,
        turn: str,
        again: int = 0,
    ) -> ToolResult | None:
        """Run a call, or return what it came to before; None: it went out and nobody knows."""
        running = CURRENT.get()
        if running is not None and running.replay:
            if not running.live:
                return await self._recorded(call, caller, running)
            # A live replay is an action of its own: it shares no key with what it repeats.
            call = replace(call, idempotency_key=_rekeyed(call, running))
        effect = _effect(call, caller, turn)
        token = running.token if running else 0
        turn = running.turn.id if running else ""
        before = await self._turns.begin(effect, token=token, again=again, turn=turn)
        if before.state == "done" and before.result is not None:
            return _RESULT.validate_python(before.result)
        if before.out:
            if not spec.idempotent:
                await self._turns.finish(replace(before, state="unknown"), token=token)
                return None
            effect = replace(effect, arguments=before.arguments)
            call = replace(call, arguments=before.arguments)
            await self._turns.begin(effect, token=token, again=before.attempts, turn=turn)
        result = await execute(call)
        after = replace(effect, state=_state_after(spec, result), result=asdict(result))
        # What was done is told even when it cannot be noted now; the row still says `started`.
        with suppress(StorageError):
            await self._turns.finish(after, token=token)
        return result

    async def look(self, call: ToolCall, *, caller: Caller) -> Effect | None:
        """Return what is on record of a call; None before it was ever planned."""
        if replaying():
            return None
        return await self._turns.effect(caller.tenant, call.idempotency_key)

    async def decided(self, decision: Decided) -> None:
        """Keep who decided what about a call."""
        await self._turns.decided(decision)

    async def _recorded(self, call: ToolCall, caller: Caller, running: Running) -> ToolResult:
        """Return what the same call came to in the thread that is replayed."""
        for effect in await self._turns.effects(caller.tenant, running.origin):
            same = effect.tool == call.name and effect.arguments == call.arguments
            if same and effect.result is not None:
                found = _RESULT.validate_python(effect.result)
                return replace(found, call_id=call.id)
        return ToolResult(
            call_id=call.id,
            name=call.name,
            ok=False,
            content="A replay does not change anything, and no such call is on record.",
            error=NOT_IN_A_REPLAY,
        )


def _state_after(spec: ToolSpec, result: ToolResult) -> EffectState:
    if result.ok or not result.doubtful:
        # A refusal in the tool's own words, or a call that never went out, is an end too.
        return "planned" if result.error == "unavailable" else "done"
    return "started" if spec.idempotent else "unknown"


def _effect(call: ToolCall, caller: Caller, turn: str) -> Effect:
    return Effect(
        tenant=caller.tenant,
        key=call.idempotency_key,
        thread=caller.thread,
        turn=turn,
        tool=call.name,
        arguments=call.arguments,
    )


def _rekeyed(call: ToolCall, running: Running) -> str:
    return hashlib.sha256(f"{running.turn.id}\x1f{call.idempotency_key}".encode()).hexdigest()
