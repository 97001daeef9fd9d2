"""What is kept of threads, turns, model calls, effects and decisions, and the store's Protocol."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

from pydantic import JsonValue

TurnState = Literal["queued", "running", "awaiting", "done", "cancelled", "failed"]
"""queued: waits for its thread; awaiting: a person has to decide; the last three are ends."""
SETTLED: tuple[TurnState, ...] = ("awaiting", "done", "cancelled", "failed")
"""A turn in one of these runs no more."""

EffectState = Literal["planned", "started", "done", "unknown"]
"""started: the call went out; unknown: it did, and nobody knows what came of it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ThreadRecord:
    """One conversation: whose it is and when it was last used."""

    tenant: str
    id: str
    owner: str
    """The user's name; empty for an anonymous caller."""
    title: str
    """The first words of the first message, as the input rail left them."""
    created: float
    updated: float
    """Seconds since the epoch."""
    waiting: bool = False
    """Whether its latest turn waits for a person."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One call of a model: written before it goes out, completed when it comes back."""

    purpose: str
    """What it was for: answer, tools, rewrite."""
    model: str
    input_tokens: int = 0
    output_tokens: int = 0
    cost_usd: float = 0.0
    ok: bool = False
    """False: it failed, or the process ended before it came back; the cost is the estimate then."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TurnEntry:
    """One turn: a message or a decision that was let in, and what came of it."""

    id: str
    tenant: str
    thread: str
    owner: str
    seq: int
    """Its place in the thread, from 1."""
    kind: Literal["message", "decision", "replay"]
    knobs: dict[str, JsonValue]
    """What the caller turned: locale, model and the like; needed to run the turn on."""
    state: TurnState
    token: int
    """The fencing token under which it ran last."""
    outcome: str
    result: dict[str, JsonValue] | None
    """The turn as it was handed out; None while there is none."""
    checkpoint: str
    """The checkpoint it ended at; empty before."""
    calls: tuple[Call, ...]
    cost_usd: float
    created: float
    ended: float

    @property
    def settled(self) -> bool:
        """Whether it runs no more."""
        return self.state in SETTLED


@dataclass(frozen=True, slots=True, kw_only=True)
class Lease:
    """The right to run a thread: one holder at a time over all processes."""

    token: int
    """Grows with each holder; whoever writes under an older one is turned away."""
    died: tuple[TurnEntry, ...] = ()
    """Turns before it that were left running, or in the line: their processes are gone."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Opened:
    """What letting a request in came to."""

    turn: TurnEntry
    lease: Lease | None
    """None: somebody else runs the thread, or the turn was let in before."""
    new_thread: bool = False
    repeated: bool = False
    """The request key was used before: `turn` is that turn."""
    late: bool = False
    """It came in before the thread's last turn was settled, and so before that was shown."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Effect:
    """A call of a tool that changes something."""

    tenant: str
    key: str
    """The idempotency key: one effect, however often it is tried."""
    thread: str
    turn: str
    tool: str
    arguments: dict[str, JsonValue]
    state: EffectState = "planned"
    result: dict[str, JsonValue] | None = None
    attempts: int = 0
    """How often the call went out."""

    @property
    def out(self) -> bool:
        """Whether the call went out, whatever came of it."""
        return self.state != "planned"


@dataclass(frozen=True, slots=True, kw_only=True)
class Decided:
    """What a person decided about a pending call."""

    tenant: str
    thread: str
    interrupt_id: str
    turn: str
    tool: str
    arguments: dict[str, JsonValue]
    """As they were approved: edited by the approver, perhaps."""
    approved: bool
    by: str
    """The user of the credential; empty for an anonymous one."""
    reason: str
    at: float = 0.0
    """Seconds since the epoch; the store sets it."""


class Turns(Protocol):
    """The store. Every method is one transaction; each raises StorageError and its kinds."""

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
        """Let a request in: make the thread if there is none, note the turn, try for the lease.

        `waited` says how many seconds ago it came in; it is asked once nobody is waited for.

        Raises:
            Forbidden: the thread is another user's.
            RequestKeyReused: the key came with another request before.
        """
        ...

    async def acquire(self, turn: TurnEntry, *, ttl_s: float) -> Lease | None:
        """Try again for the lease; turns that came earlier go first.

        Raises LeaseLost (the turn is gone, or another process runs it), TurnStopped (it was asked
        to stop before it ran).
        """
        ...

    async def inherit(self, turn: TurnEntry, *, ttl_s: float) -> bool:
        """Take the place in the line of a turn whose process died while it waited."""
        ...

    async def renew(self, turn: TurnEntry, lease: Lease, *, ttl_s: float) -> bool:
        """Prolong the lease; say whether the turn is asked to stop. Raises LeaseLost."""
        ...

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
        """Close a turn and give the lease back, unless the next turn runs on under it.

        `waiting`: something still waits for a person, however this turn ended. Raises LeaseLost.
        """
        ...

    async def leave(
        self,
        turn: TurnEntry,
        lease: Lease | None = None,
        *,
        stopped: Mapping[str, JsonValue] | None = None,
    ) -> None:
        """Take back a turn that never ran, with the lease it may have got.

        One that somebody stopped stays on record as cancelled, `stopped` being its result: a retry
        of it is not run.
        """
        ...

    async def note_head(self, tenant: str, thread: str, head: str) -> None:
        """Note under which name a client will refer to the conversation as it stands now."""
        ...

    async def tried(self, turn: TurnEntry) -> int:
        """Note that a dead turn is run on; return how often it was by now."""
        ...

    async def hand_over(self, turn: TurnEntry, lease: Lease, *, tried: bool = True) -> None:
        """Let go of a turn that is to be run on by whoever comes next; `tried`: it was running."""
        ...

    async def ask_to_stop(self, turn: TurnEntry) -> None:
        """Have whoever runs the turn stop it."""
        ...

    async def turn(self, tenant: str, thread: str, turn: str = "") -> TurnEntry | None:
        """Return a turn by id, or the latest of the thread that was not merely queued."""
        ...

    async def thread_of(self, tenant: str, turn: str) -> str:
        """Return the thread that a turn is of; empty when there is no such turn."""
        ...

    async def turns(self, tenant: str, thread: str) -> list[TurnEntry]:
        """Return a thread's turns in order."""
        ...

    async def thread(self, tenant: str, thread: str) -> ThreadRecord | None:
        """Return a thread that was not deleted."""
        ...

    async def threads(
        self,
        tenant: str,
        owner: str,
        *,
        limit: int,
        before: tuple[float, str] | None = None,
    ) -> list[ThreadRecord]:
        """Return an owner's threads, latest first, from below (`updated`, `id`) on."""
        ...

    async def claim_head(self, tenant: str, owner: str, head: str) -> str:
        """Return a thread whose conversation a client knows as `head`, and nobody else the same.

        A head goes on one thread, once. Empty when there is none (left).
        """
        ...

    async def delete(self, tenant: str, thread: str, *, idle_s: float = 0.0) -> bool:
        """Forget a thread with all that was kept of it, and fence its runner off, all at once.

        With `idle_s` only if nothing was said in it for so long; return whether it is gone. Whoever
        uses the name next finds nothing.
        """
        ...

    async def dead(self, *, limit: int = 20) -> list[TurnEntry]:
        """Return turns that ran, or waited, in processes that are gone."""
        ...

    async def take_over(self, turn: TurnEntry, *, ttl_s: float) -> Lease | None:
        """Take the lease for a dead turn, to run it on or close it; None: another has it."""
        ...

    async def note_call(self, turn: str, token: int, number: int, call: Call) -> None:
        """Write a model call down, or complete it; numbers count within a lease."""
        ...

    async def plan(self, effect: Effect) -> None:
        """Note an effect that waits for a person."""
        ...

    async def begin(self, effect: Effect, *, token: int, again: int = 0, turn: str = "") -> Effect:
        """Claim an effect before its call: return it as it stood before.

        `planned`: it is the caller's now and noted as started. Anything else: it was begun before
        and stays as it is, unless `again` names how often it had gone out when somebody said that
        it may once more: one consent is good for one attempt. A token of 0 is not checked.

        Raises LeaseLost, and TurnStopped when the `turn` that runs was asked to stop.
        """
        ...

    async def effect(self, tenant: str, key: str) -> Effect | None:
        """Return an effect as it stands."""
        ...

    async def finish(self, effect: Effect, *, token: int) -> None:
        """Note what came of an effect: its state and result.

        That it is done is believed of anyone; anything else only of who began it last.
        """
        ...

    async def effects(self, tenant: str, thread: str, *, turn: str = "") -> Sequence[Effect]:
        """Return a thread's effects, oldest first."""
        ...

    async def decided(self, decision: Decided) -> None:
        """Keep who decided what."""
        ...

    async def decisions(self, tenant: str, thread: str) -> Sequence[Decided]:
        """Return a thread's decisions, oldest first."""
        ...

    async def ping(self) -> None:
        """Raise StorageError when the store does not answer."""
        ...
