"""The turn that this task runs: what every node and service below the runner may account to."""

from __future__ import annotations

import contextvars
import time
from contextlib import suppress
from dataclasses import dataclass, field

from antiphon.tools.errors import StorageError
from antiphon.tools.models.catalog import LAST_RESORT
from antiphon.tools.turns.records import Call, TurnEntry, Turns


@dataclass(slots=True, kw_only=True)
class Running:
    """One turn under way in this process."""

    turn: TurnEntry
    token: int
    """The fencing token it runs under."""
    store: Turns
    began: float = field(default_factory=time.perf_counter)
    calls: list[Call] = field(default_factory=list)
    """Every model call of this run so far, in order."""
    origin: str = ""
    """The thread that this one replays; empty for a turn of its own."""
    live: bool = False
    """Whether a replay may really change things."""
    late: bool = True
    """Whether the message may have been sent before what stands in the thread now was shown."""

    @property
    def replay(self) -> bool:
        """Whether this turn repeats one that was."""
        return bool(self.origin)

    @property
    def spent(self) -> tuple[Call, ...]:
        """Every model call of the turn, those of a run that died included."""
        return (*self.turn.calls, *self.calls)

    async def call_out(self, call: Call) -> int:
        """Note a call before it goes out, under its estimate; return its number."""
        self.calls.append(call)
        number = len(self.calls) - 1
        if call.model != LAST_RESORT:
            await self.store.note_call(self.turn.id, self.token, number, call)
        return number

    async def call_back(self, number: int, call: Call) -> None:
        """Complete a call; one that left no process is written down when the turn is settled."""
        before, self.calls[number] = self.calls[number], call
        if LAST_RESORT not in (call.model, before.model):
            # The answer is paid for: it is not thrown away because the store is busy now.
            with suppress(StorageError):
                await self.store.note_call(self.turn.id, self.token, number, call)


CURRENT: contextvars.ContextVar[Running | None] = contextvars.ContextVar(
    "antiphon_turn", default=None
)
"""Set by the runner around a run of the graph; None under a host's or a server's own runner."""


def replaying() -> bool:
    """Whether what runs repeats a turn that was: then nothing of it is kept for others."""
    running = CURRENT.get()
    return running is not None and running.replay
