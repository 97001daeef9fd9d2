"""Runs turns: each in a task of its own, alone on its thread, on record from start to end.

A turn is let in by the store, waits for its thread's lease, runs the graph under it, and is
settled whatever happens. Whoever follows it reads numbered events; a follower that is slow, leaves
or comes back changes nothing. Turns of processes that died are run on by whoever comes next.
"""

from __future__ import annotations

import asyncio
import re
import time
import uuid
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Any, Literal, cast

from langchain_core.messages import HumanMessage
from langchain_core.runnables import RunnableConfig
from langgraph.errors import GraphRecursionError
from langgraph.graph.state import CompiledStateGraph
from langgraph.types import Command, StateSnapshot
from pydantic import JsonValue

from antiphon.graphs.persistence import storage_errors
from antiphon.graphs.turns import Turn, turn_of
from antiphon.nodes.account import Ended, account_for
from antiphon.nodes.guard import WITHHELD
from antiphon.nodes.recover import Aftermath
from antiphon.nodes.state import Context, Input, Output, Said, State, unread
from antiphon.tools.errors import AntiphonError, LeaseLost, StorageError, ThreadBusy
from antiphon.tools.telemetry import Telemetry
from antiphon.tools.turns.current import CURRENT, Running
from antiphon.tools.turns.records import Lease, TurnEntry, Turns, TurnState
from antiphon.tools.turns.schema import FENCED

Graph = CompiledStateGraph[State, Context, Input, Output]
Given = Input | Command[str] | None
"""What the graph is started with: a message, a decision, or nothing to go on from a checkpoint."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """How long a runner waits for what, in seconds."""

    lease: float = 15.0
    """How long a thread stays its runner's without a sign of life."""
    beat: float = 3.0
    """How often a runner gives one, and looks whether it is asked to stop."""
    patience: float = 30.0
    """How long a message waits for its thread before it is told that the thread is busy."""


DEFAULT_PACE = Pace()
POLL_S = 0.05
FOLLOW_S = 0.25
"""How often a turn that another process runs is looked at."""
MOST_EVENTS = 2000
"""Events of a turn that are kept for followers; of more, the earliest go."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """Something that happened while a turn ran."""

    kind: Literal["node", "resumed", "answer", "turn"]
    """node: a node finished; resumed: a turn whose process had died was run on first; answer: a
    piece of the checked answer; turn: the end."""
    id: int = 0
    """Counts within the turn, from 1."""
    node: str = ""
    ms: float = 0.0
    text: str = ""
    turn: Turn | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What is asked of a thread."""

    context: Context
    thread: str
    kind: Literal["message", "decision", "replay"]
    prepare: Callable[[RunnableConfig], Awaitable[Given]]
    """Called once the thread is ours: returns what to start the graph with, or raises."""
    key: str = ""
    """The caller's own name for the request: the same again is the same turn."""
    digest: str = ""
    """Of what is asked, to tell a retry from another request under the same key."""
    origin: str = ""
    """The thread that is replayed."""
    live: bool = False


@dataclass(slots=True, kw_only=True)
class Turning:
    """A turn that runs in this process, and what it has told so far."""

    entry: TurnEntry
    told: deque[Event] = field(default_factory=lambda: deque(maxlen=MOST_EVENTS))
    task: asyncio.Task[None] | None = None
    error: AntiphonError | None = None
    ended: bool = False
    cancelled: bool = False
    """Whether somebody asked it to stop."""
    lost: bool = False
    """Whether the lease was lost under it."""
    _count: int = 0
    _news: asyncio.Event = field(default_factory=asyncio.Event)

    def tell(self, event: Event) -> None:
        """Add an event for whoever follows."""
        self._count += 1
        self.told.append(replace(event, id=self._count))
        self._wake()

    def end(self, error: AntiphonError | None = None) -> None:
        """Say that nothing more comes."""
        self.ended, self.error = True, error
        self._wake()

    async def follow(self, after: int = 0) -> AsyncIterator[Event]:
        """Yield the events after number `after`, those to come too; raise what ended the turn."""
        while True:
            news = self._news
            for event in [one for one in self.told if one.id > after]:
                after = event.id
                yield event
            if self.ended and after >= self._count:
                break
            if self._news is news and not self.ended:
                await news.wait()
        if self.error is not None:
            raise self.error

    def _wake(self) -> None:
        news, self._news = self._news, asyncio.Event()
        news.set()


class Runner:
    """Runs the turns of one graph against one store."""

    def __init__(
        self,
        graph: Graph,
        turns: Turns,
        *,
        telemetry: Telemetry,
        aftermath: Aftermath,
        trim: Callable[[TurnEntry], Awaitable[object]] | None = None,
        pace: Pace = DEFAULT_PACE,
        new_id: Callable[[], str] = lambda: uuid.uuid4().hex,
    ) -> None:
        """Take the graph and the store; `trim` thins a thread out after each of its turns."""
        self.graph = graph
        self.turns = turns
        self._telemetry = telemetry
        self._aftermath = aftermath
        self._trim = trim
        self._pace = pace
        self._new_id = new_id
        self._here: dict[str, Turning] = {}

    async def start(self, request: Request) -> Turning:
        """Let a request in and run it; a request key that was used before gives that turn.

        Raises Forbidden, RequestKeyReused, StorageError; what comes later reaches the followers.
        """
        context = request.context
        with storage_errors():
            opened = await asyncio.shield(
                self.turns.open(
                    turn=self._new_id(),
                    tenant=context.tenant,
                    thread=request.thread,
                    owner=context.user,
                    kind=request.kind,
                    request_key=request.key,
                    digest=request.digest,
                    knobs=_knobs(context),
                    ttl_s=self._pace.lease,
                )
            )
        if opened.repeated:
            return self._again(opened.turn, request)
        return self._launch(opened.turn, self._run(request, opened.turn, opened.lease))

    def attach(self, entry: TurnEntry) -> Turning:
        """Return a turn to follow: the running one, or what the store says of it."""
        return self._again(entry, None)

    async def cancel(self, entry: TurnEntry) -> None:
        """Stop a turn, wherever it runs; it is settled as cancelled."""
        turning = self._here.get(entry.id)
        if turning is not None and turning.task is not None and not turning.ended:
            turning.cancelled = True
            turning.task.cancel()
            await asyncio.wait([turning.task])
            return
        with storage_errors():
            await self.turns.ask_to_stop(entry)

    async def stop_thread(self, tenant: str, thread: str) -> None:
        """Stop what runs in this process on a thread that is being deleted."""
        for turning in list(self._here.values()):
            entry = turning.entry
            if (entry.tenant, entry.thread) == (tenant, thread):
                await self.cancel(entry)

    async def take_up(self) -> int:
        """Run on, or close, the turns of processes that died; return how many."""
        count = 0
        with storage_errors():
            dead = await self.turns.dead()
        for entry in dead:
            with storage_errors():
                lease = await self.turns.take_over(entry, ttl_s=self._pace.lease)
            if lease is None:
                continue
            count += 1
            turning = self._launch(entry, self._run_on(entry, lease, None))
            if turning.task is not None:
                await asyncio.wait([turning.task])
        return count

    async def close(self) -> None:
        """Stop every turn of this process, and wait until each is settled."""
        for turning in list(self._here.values()):
            await self.cancel(turning.entry)

    def config(self, entry: TurnEntry, token: int) -> RunnableConfig:
        """Return the config of a run: its checkpoints name the turn and the lease."""
        return {
            "configurable": {"thread_id": f"{entry.tenant}/{entry.thread}"},
            "metadata": {"turn": entry.id, "lease": token},
            "run_id": uuid.UUID(entry.id),
        }

    def _launch(self, entry: TurnEntry, work: Callable[[Turning], Awaitable[None]]) -> Turning:
        turning = Turning(entry=entry)
        self._here[entry.id] = turning

        async def whole() -> None:
            error: AntiphonError | None = None
            try:
                await work(turning)
            except asyncio.CancelledError:
                error = None if turning.told else ThreadBusy("the turn was stopped")
            except AntiphonError as raised:
                error = raised
            except Exception as raised:  # noqa: BLE001 - a follower must always hear of the end
                error = AntiphonError(f"an unexpected {type(raised).__name__} was raised")
                error.__cause__ = raised
            finally:
                self._here.pop(entry.id, None)
                turning.end(error)

        turning.task = asyncio.create_task(whole())
        return turning

    def _again(self, entry: TurnEntry, request: Request | None) -> Turning:
        """Follow a turn that was let in before: here, elsewhere, or settled."""
        here = self._here.get(entry.id)
        return here or self._launch(entry, self._elsewhere(entry, request))

    def _elsewhere(
        self, entry: TurnEntry, request: Request | None
    ) -> Callable[[Turning], Awaitable[None]]:
        async def work(turning: Turning) -> None:
            del self._here[entry.id]
            known: TurnEntry | None = entry
            while known is not None and not known.settled:
                with storage_errors():
                    lease = await self.turns.take_over(known, ttl_s=self._pace.lease)
                if lease is not None:
                    self._here[entry.id] = turning
                    return await self._run_on(known, lease, request)(turning)
                await asyncio.sleep(FOLLOW_S)
                with storage_errors():
                    known = await self.turns.turn(entry.tenant, entry.thread, entry.id)
            if known is None or known.result is None:
                raise ThreadBusy("the turn was given up before it ran", hint="Send it again.")
            _tell_turn(turning, Turn.from_json(known.result))
            return None

        return work

    def _run(
        self, request: Request, entry: TurnEntry, lease: Lease | None
    ) -> Callable[[Turning], Awaitable[None]]:
        async def work(turning: Turning) -> None:
            held = lease or await self._in_line(entry)
            died = [
                one
                for name in held.died
                if (one := await self.turns.turn(entry.tenant, entry.thread, name)) is not None
            ]
            for one in died:
                await self._resume(one, held, request.context, release=False)
                turning.tell(Event(kind="resumed", text=one.id))
            await self._turn(turning, entry, held, request)

        return work

    def _run_on(
        self, entry: TurnEntry, lease: Lease, request: Request | None
    ) -> Callable[[Turning], Awaitable[None]]:
        """Take a dead turn up, with any other that its thread was left with."""

        async def work(turning: Turning) -> None:
            context = Context(tenant=entry.tenant, user=entry.owner, **_turned(entry))
            for name in lease.died:
                with storage_errors():
                    other = await self.turns.turn(entry.tenant, entry.thread, name)
                if other is not None:
                    await self._resume(other, lease, context, release=False)
            began = await self._began(entry, lease)
            if not began and request is not None:
                return await self._turn(turning, entry, lease, request)
            turn = await self._resume(entry, lease, context, release=True)
            turning.tell(Event(kind="resumed", text=entry.id))
            _tell_turn(turning, turn)
            return None

        return work

    async def _in_line(self, entry: TurnEntry) -> Lease:
        """Wait for the thread. Raises ThreadBusy after the bounded wait."""
        try:
            async with asyncio.timeout(self._pace.patience):
                while True:
                    with storage_errors():
                        lease = await self.turns.acquire(entry, ttl_s=self._pace.lease)
                    if lease is not None:
                        return lease
                    await asyncio.sleep(POLL_S)
        except TimeoutError as error:
            with storage_errors():
                await self.turns.leave(entry)
            raise ThreadBusy(
                f"thread {entry.thread!r} is still answering an earlier message",
                hint="Wait for its answer, or stop it, and send the message again.",
            ) from error
        except asyncio.CancelledError:
            with suppress(StorageError):
                await asyncio.shield(self.turns.leave(entry))
            raise

    async def _turn(
        self, turning: Turning, entry: TurnEntry, lease: Lease, request: Request
    ) -> None:
        """Run one request from its beginning."""
        config = self.config(entry, lease.token)
        running = Running(
            turn=entry,
            token=lease.token,
            store=self.turns,
            origin=request.origin,
            live=request.live,
        )
        try:
            with storage_errors():
                given = await request.prepare(config)
        except BaseException:
            with suppress(StorageError), storage_errors():
                await asyncio.shield(self.turns.leave(entry, lease))
            raise
        turn = await self._graph(turning, running, given, config, request.context, release=True)
        _tell_turn(turning, turn)
        if self._trim is not None:
            with suppress(AntiphonError), storage_errors():
                await self._trim(entry)

    async def _resume(
        self, entry: TurnEntry, lease: Lease, context: Context, *, release: bool
    ) -> Turn:
        """Run a dead turn on from its last checkpoint, or close it as failed."""
        entry = replace(entry, token=lease.token)
        config = self.config(entry, lease.token)
        running = Running(turn=entry, token=lease.token, store=self.turns, calls=list(entry.calls))
        own = replace(context, user=entry.owner, **_turned(entry))
        quiet = Turning(entry=entry)
        if not await self._began(entry, lease):
            return await self._settle(
                running, config, state="failed", release=release,
                why="its process ended before it began",
            )  # fmt: skip
        return await self._graph(quiet, running, None, config, own, release=release)

    async def _began(self, entry: TurnEntry, lease: Lease) -> bool:
        with storage_errors():
            snapshot = await self.graph.aget_state(self.config(entry, lease.token))
        return dict(snapshot.metadata or {}).get("turn") == entry.id

    async def _graph(
        self,
        turning: Turning,
        running: Running,
        given: Given,
        config: RunnableConfig,
        context: Context,
        *,
        release: bool,
    ) -> Turn:
        """Run the graph under a heartbeat and settle the turn, however it ends."""
        beating = asyncio.create_task(self._beat(turning, running, asyncio.current_task()))
        mark = CURRENT.set(running)
        try:
            with storage_errors():
                await self._steps(turning, given, config, context)
        except asyncio.CancelledError:
            if turning.lost:
                raise LeaseLost("another process runs this thread now") from None
            await self._close(running, config, state="cancelled", release=release)
            if not turning.cancelled:
                raise
            return await self._result(running, config, state="cancelled")
        except GraphRecursionError:
            why = "it took more steps than a turn may"
            return await self._close(running, config, state="failed", release=release, why=why)
        except LeaseLost:
            raise
        except StorageError:
            # Nothing can be settled now; whoever comes next takes the turn up.
            raise
        except Exception as error:
            if FENCED in str(error):
                raise LeaseLost("another process runs this thread now") from error
            why = f"an unexpected {type(error).__name__} was raised"
            return await self._close(running, config, state="failed", release=release, why=why)
        finally:
            CURRENT.reset(mark)
            beating.cancel()
        return await self._close(running, config, state="done", release=release)

    async def _steps(
        self, turning: Turning, given: Given, config: RunnableConfig, context: Context
    ) -> None:
        async for update in self.graph.astream(
            given, config, context=context, stream_mode="updates"
        ):
            for node, changed in update.items():
                trail = changed.get("trail") if isinstance(changed, dict) else None
                if trail:
                    turning.tell(Event(kind="node", node=node, ms=trail[-1]["ms"]))

    async def _beat(
        self, turning: Turning, running: Running, task: asyncio.Task[object] | None
    ) -> None:
        """Keep the lease, and stop the turn when it is lost or asked to stop."""
        loop = asyncio.get_running_loop()
        lease, until = Lease(token=running.token), loop.time() + self._pace.lease
        while True:
            await asyncio.sleep(self._pace.beat)
            try:
                if await self.turns.renew(running.turn, lease, ttl_s=self._pace.lease):
                    turning.cancelled = True
                until = loop.time() + self._pace.lease
            except LeaseLost:
                turning.lost = True
            except Exception:  # noqa: BLE001 - the store may be back before the lease runs out
                turning.lost = loop.time() >= until
            if task is not None and (turning.cancelled or turning.lost):
                task.cancel()
                return

    async def _close(
        self,
        running: Running,
        config: RunnableConfig,
        *,
        state: TurnState,
        release: bool,
        why: str = "",
    ) -> Turn:
        """Settle the turn to the end: who stops it now comes too late to leave it half closed."""
        settling = asyncio.create_task(
            self._settle(running, config, state=state, release=release, why=why)
        )
        try:
            return await asyncio.shield(settling)
        except asyncio.CancelledError:
            return await settling

    async def _settle(
        self,
        running: Running,
        config: RunnableConfig,
        *,
        state: TurnState,
        release: bool,
        why: str = "",
    ) -> Turn:
        """Close the turn on record and return its result."""
        with storage_errors():
            if state in ("cancelled", "failed"):
                await self._close_thread(config)
            snapshot = await self.graph.aget_state(config)
        turn = await self._read(running, snapshot, state, why)
        if state == "done" and turn.interrupt is not None:
            state = "awaiting"
        await account_for(
            self._telemetry,
            Ended(state=state, why=why),
            cast("State", snapshot.values if _is_of(snapshot, running) else {}),
            running,
            now=time.time(),
        )
        with storage_errors():
            await self.turns.settle(
                running.turn,
                Lease(token=running.token),
                state=state,
                outcome=turn.outcome,
                result=turn.as_json(),
                checkpoint=str(snapshot.config["configurable"].get("checkpoint_id", "")),
                calls=running.calls,
                title=_title(snapshot),
                release=release,
            )
        return turn

    async def _result(self, running: Running, config: RunnableConfig, *, state: TurnState) -> Turn:
        with storage_errors():
            snapshot = await self.graph.aget_state(config)
        return await self._read(running, snapshot, state, "")

    async def _close_thread(self, config: RunnableConfig) -> None:
        """Leave the thread as after any turn: nothing unread, what waits for a person waiting."""
        snapshot = await self.graph.aget_state(config)
        if not snapshot.values and not snapshot.next:
            return
        withheld = tuple(
            HumanMessage(content=WITHHELD, id=one.id)
            for one in unread(cast("State", snapshot.values))
        )
        closed = {"messages": Said(messages=withheld), "phase": "completed", "calls": ()}
        await self.graph.aupdate_state(config, {**closed, "decided": None}, as_node="account")

    async def _read(
        self, running: Running, snapshot: StateSnapshot, state: TurnState, why: str
    ) -> Turn:
        """Return the turn as it is handed out; one that did not end well says what it did."""
        entry = running.turn
        took = (time.perf_counter() - running.began) * 1000
        turn = turn_of(snapshot, entry=entry, own=_is_of(snapshot, running))
        turn = replace(turn, latency_ms=round(took, 1))
        if state not in ("cancelled", "failed"):
            return turn
        with storage_errors():
            effects = await self.turns.effects(entry.tenant, entry.thread, turn=entry.id)
        done = self._aftermath.sentences(
            [one.tool for one in effects if one.state == "done" and (one.result or {}).get("ok")],
            [one.tool for one in effects if one.state in ("started", "unknown")],
        )
        return replace(
            turn,
            answer=" ".join(done) if state == "cancelled" else self._aftermath.closing(done),
            outcome="cancelled" if state == "cancelled" else "degraded",
            citations=(),
            degraded_because=why or turn.degraded_because,
        )


def _tell_turn(turning: Turning, turn: Turn) -> None:
    """Tell the answer, piece by piece, and the turn as a whole."""
    for piece in re.findall(r"\S+\s*", turn.answer):
        turning.tell(Event(kind="answer", text=piece))
    turning.tell(Event(kind="turn", turn=turn))


def _is_of(snapshot: StateSnapshot, running: Running) -> bool:
    """Say whether a state is this turn's: one that never reached its first node has none."""
    return dict(snapshot.metadata or {}).get("turn") == running.turn.id and bool(
        snapshot.values.get("trail") or snapshot.values.get("turn") == running.turn.id
    )


def _title(snapshot: StateSnapshot) -> str:
    """Name a thread by its first message, as the input rail left it."""
    said = snapshot.values.get("messages", [])
    return str(said[0].text) if said and not unread(cast("State", snapshot.values)) else ""


def _knobs(context: Context) -> dict[str, JsonValue]:
    return {
        "locale": context.locale,
        "model": context.model,
        "min_quality": context.min_quality,
        "max_cost_usd": context.max_cost_usd,
    }


def _turned(entry: TurnEntry) -> dict[str, Any]:
    known = _knobs(Context())
    return {name: value for name, value in entry.knobs.items() if name in known}
