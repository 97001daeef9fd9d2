"""Runs turns: each in a task of its own, alone on its thread, on record from start to end.

A turn is let in by the store, waits for its thread's lease, runs the graph under it, and is
settled whatever happens. Whoever follows it reads numbered events; a follower that is slow, leaves
or comes back changes nothing. Turns of processes that died are run on by whoever comes next.
"""

from __future__ import annotations

import asyncio
import time
import uuid
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Any, Literal, TypeVar

from langchain_core.runnables import RunnableConfig
from langgraph.errors import GraphRecursionError
from langgraph.types import Command
from pydantic import JsonValue

from antiphon.graphs.ordered import keep_order
from antiphon.graphs.persistence import storage_errors
from antiphon.graphs.settling import Graph, Settlement
from antiphon.graphs.turning import Event, Turning
from antiphon.graphs.turns import Turn, never_ran
from antiphon.nodes.account import Ended
from antiphon.nodes.state import Context, Input
from antiphon.tools.errors import (
    AntiphonError,
    LeaseLost,
    StorageError,
    ThreadBusy,
    TurnStopped,
)
from antiphon.tools.turns.current import CURRENT, Running
from antiphon.tools.turns.records import Lease, TurnEntry
from antiphon.tools.turns.sql import key_of

__all__ = ["DEFAULT_PACE", "Event", "Given", "Graph", "Pace", "Request", "Runner", "Turning"]

Given = Input | Command[str] | None
"""What the graph is started with: a message, a decision, or nothing to go on from a checkpoint."""
Result = TypeVar("Result")
Work = Callable[[Turning], Awaitable[None]]


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
NOT_YET, MOST_TOLD = float("inf"), 4096
MOST_TRIES = 2
"""How often a turn is run on whose process died: it may be the turn that kills it."""
NOT_BEGUN = "its process ended before it began"
FOLLOW_S = 0.25
"""How often a turn that another process runs is looked at."""


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
    arrived: float = field(default_factory=time.monotonic)
    """When it came in, on the monotonic clock."""


class Runner:
    """Runs the turns of one graph against one store."""

    def __init__(
        self,
        settlement: Settlement,
        *,
        trim: Callable[[TurnEntry], Awaitable[object]] | None = None,
        pace: Pace = DEFAULT_PACE,
        new_id: Callable[[], str] = lambda: uuid.uuid4().hex,
    ) -> None:
        """Take what settles turns; `trim` thins a thread out after each of its turns."""
        self.graph = settlement.graph
        self.turns = settlement.turns
        self._settlement = settlement
        self._trim = trim
        self._pace = pace
        self._new_id = new_id
        self._here: dict[str, Turning] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._closing = False
        self._told: OrderedDict[str, float] = OrderedDict()
        """When the last turn of a thread was told here, on the monotonic clock."""

    async def start(self, request: Request) -> Turning:
        """Let a request in and run it; a request key that was used before gives that turn.

        Raises Forbidden, RequestKeyReused, StorageError; what comes later reaches the followers.
        """
        context = request.context
        opening = asyncio.ensure_future(
            self.turns.open(
                turn=self._new_id(),
                tenant=context.tenant,
                thread=request.thread,
                owner=context.user,
                kind=request.kind,
                request_key=request.key,
                digest=request.digest,
                knobs={**_knobs(context), "origin": request.origin, "live": request.live},
                waited=lambda: time.monotonic() - request.arrived,
                ttl_s=self._pace.lease,
            )
        )
        try:
            opened = await asyncio.shield(opening)
        except asyncio.CancelledError:
            # Whoever asked is gone, and so is what was let in meanwhile.
            with suppress(AntiphonError):
                late = await _surely(opening)
                if not late.repeated:
                    await _surely(self.turns.leave(late.turn, late.lease))
            raise
        if opened.repeated:
            return self._again(opened.turn, request)
        if self._closing:
            await _surely(self.turns.leave(opened.turn, opened.lease))
            raise ThreadBusy("the server is stopping", hint="Send it again.")
        work = self._run(request, opened.turn, opened.lease, late=opened.late)
        return self._launch(opened.turn, work)

    def attach(self, entry: TurnEntry) -> Turning:
        """Return a turn to follow: the running one, or what the store says of it."""
        return self._again(entry, None)

    async def cancel(self, entry: TurnEntry) -> None:
        """Stop a turn, wherever it runs; it is settled as cancelled."""
        # On record first: whoever runs it, here or after this process, goes no further.
        try:
            await self.turns.ask_to_stop(entry)
        finally:
            turning = self._here.get(entry.id)
            if turning is not None:
                await self._stop(turning)

    async def left(self, turning: Turning) -> None:
        """A follower left for whom the turn ran; with the last one the turn is stopped.

        A turn that another process runs is left to the followers that it has there.
        """
        if not turning.ended and not turning.followers:
            await self._stop(turning)

    async def stop_thread(self, tenant: str, thread: str) -> None:
        """Stop what runs in this process on a thread that is being deleted."""
        for turning in list(self._here.values()):
            if (turning.entry.tenant, turning.entry.thread) == (tenant, thread):
                await self._stop(turning)

    async def take_up(self, *, wait: bool = True) -> int:
        """Run on, or close, the turns of processes that died; return how many.

        Without `wait` they run on by themselves, as any turn does.
        """
        taken: list[Turning] = []
        for entry in await self.turns.dead():
            if self._closing:
                break
            lease = await self.turns.take_over(entry, ttl_s=self._pace.lease)
            if lease is not None:
                taken.append(self._launch(entry, self._run_on(entry, lease, None)))
        if taken and wait:
            await asyncio.wait([one.task for one in taken if one.task is not None])
        return len(taken)

    async def close(self) -> None:
        """Let go of every turn of this process: whoever comes next runs it on."""
        self._closing = True
        turnings = list(self._here.values())
        for turning in turnings:
            turning.handed_over = True
        await asyncio.gather(*(self._stop(turning) for turning in turnings))
        for task in list(self._tasks):
            if not task.done():
                task.cancel()
                await asyncio.wait([task])

    def config(self, entry: TurnEntry, token: int) -> RunnableConfig:
        """Return the config of a run: its checkpoints name the turn and the lease."""
        return {
            "configurable": {"thread_id": key_of(entry.tenant, entry.thread)},
            "metadata": {"turn": entry.id, "lease": token},
            "run_id": uuid.UUID(entry.id),
        }

    async def _stop(self, turning: Turning) -> None:
        if turning.task is not None and not turning.ended:
            turning.cancelled = True

            while not (turning.begun or turning.task.done()):  # noqa: ASYNC110 - one round of the loop
                # A task that is cancelled before its first step never gets to its end.
                await asyncio.sleep(0)
            turning.task.cancel()
            while not (turning.ended or turning.task.done()):
                await asyncio.wait([turning.task], timeout=POLL_S)

    def _launch(self, entry: TurnEntry, work: Work, *, here: bool = True) -> Turning:
        turning = Turning(entry=entry, here=here)
        if here:
            self._here[entry.id] = turning

        async def whole() -> None:
            error: AntiphonError | None = None
            turning.begun = True
            try:
                await self._worked(turning, work)
            except asyncio.CancelledError:
                error = None if turning.told else ThreadBusy("the turn was stopped")
            except AntiphonError as raised:
                error = raised
            except Exception as raised:  # noqa: BLE001 - a follower must always hear of the end
                error = AntiphonError(f"an unexpected {type(raised).__name__} was raised")
                error.__cause__ = raised
            finally:
                if self._here.get(entry.id) is turning:
                    del self._here[entry.id]
                turning.end(error)
            if turning.ran and self._trim is not None:
                with suppress(AntiphonError), storage_errors():
                    await self._trim(entry)

        turning.task = asyncio.create_task(whole())
        self._tasks.add(turning.task)

        def done(task: asyncio.Task[None]) -> None:
            self._tasks.discard(task)
            if not turning.ended:
                # It was cancelled before its first step: whoever follows must hear of it.
                turning.end(ThreadBusy("the turn was stopped"))

        turning.task.add_done_callback(done)
        return turning

    async def _worked(self, turning: Turning, work: Work) -> None:
        try:
            await work(turning)
        except LeaseLost as lost:
            # Another process runs the turn now, and its followers go on following it there.
            self._here.pop(turning.entry.id, None)
            turning.here = False
            await self._watch(turning, turning.entry, None, gone=lost)

    def _again(self, entry: TurnEntry, request: Request | None) -> Turning:
        """Follow a turn that was let in before: here, elsewhere, or settled."""
        here = self._here.get(entry.id)
        if here is not None:
            return here

        async def work(turning: Turning) -> None:
            await self._watch(turning, entry, request)

        return self._launch(entry, work, here=False)

    async def _watch(
        self,
        turning: Turning,
        entry: TurnEntry,
        request: Request | None,
        *,
        gone: AntiphonError | None = None,
    ) -> None:
        """Wait for a turn that another process runs; run it on here if that process died.

        Raises `gone`, or ThreadBusy, when there is no such turn any more.
        """
        loop = asyncio.get_running_loop()
        known: TurnEntry | None = entry
        until = loop.time() + self._pace.patience + self._pace.lease
        tried = 0.0
        while known is not None and not known.settled:
            if loop.time() - tried >= self._pace.beat:
                tried = loop.time()
                work = await self._inherited(known, request)
                if work is not None:
                    turning.here = True
                    self._here[entry.id] = turning
                    return await work(turning)
            if known.state == "queued" and loop.time() > until:
                break
            await asyncio.sleep(FOLLOW_S)
            known = await self.turns.turn(entry.tenant, entry.thread, entry.id)
        if known is None or not known.settled:
            raise gone or ThreadBusy("the turn was given up before it ran", hint="Send it again.")
        if known.result is None:
            raise AntiphonError(
                "what the turn came to is not kept any more",
                hint="The conversation itself may still hold the answer.",
            )
        turning.tell_turn(Turn.from_json(known.result))
        return None

    async def _inherited(self, known: TurnEntry, request: Request | None) -> Work | None:
        """Return what runs a turn here whose process died; None while that one lives."""
        if known.state == "running":
            lease = await self.turns.take_over(known, ttl_s=self._pace.lease)
            return None if lease is None else self._run_on(known, lease, request)
        if request is not None and await self.turns.inherit(known, ttl_s=self._pace.lease):
            return self._run(request, known, None)
        return None

    def _run(
        self, request: Request, entry: TurnEntry, lease: Lease | None, *, late: bool = False
    ) -> Work:
        async def work(turning: Turning) -> None:
            held = [lease] if lease is not None else []
            try:
                if not held:
                    turning.tell(Event(kind="waiting"))
                    await self._in_line(entry, held)
                config = self.config(entry, held[0].token)
                await self._run_dead(turning, held[0], request.context)
                with storage_errors():
                    given = await request.prepare(config)
            except BaseException as error:
                stopped = never_ran(entry) if _asked_to_stop(turning, error) else None
                kept = None if stopped is None else stopped.as_json()
                with suppress(StorageError):
                    await _surely(self.turns.leave(entry, *held, stopped=kept))
                if stopped is None:
                    raise
                return turning.tell_turn(stopped)
            told = self._told.get(key_of(entry.tenant, entry.thread), 0.0)
            behind = late or lease is None or bool(lease.died) or request.arrived < told
            running = self._running(entry, held[0], late=behind)
            await self._graph(turning, running, given, config, request.context)
            return None

        return work

    def _run_on(self, entry: TurnEntry, lease: Lease, request: Request | None) -> Work:
        """Take a dead turn up, with any other that its thread was left with."""

        async def work(turning: Turning) -> None:
            context = Context(tenant=entry.tenant, user=entry.owner)
            try:
                await self._run_dead(turning, lease, context)
                if request is not None and not await self._began(entry, lease):
                    alone = replace(lease, died=())
                    return await self._run(request, entry, alone, late=True)(turning)
                turning.tell(Event(kind="resumed", text=entry.id))
                await self._resume(turning, entry, lease, context, release=True)
            except asyncio.CancelledError as error:
                if turning.under_way:
                    raise
                # It was stopped before it went on: nobody else closes it or gives its lease back.
                if not _asked_to_stop(turning, error):
                    await _surely(self.turns.hand_over(entry, lease, tried=False))
                    raise
                running, config = self._running(entry, lease), self.config(entry, lease.token)
                await self._settle(turning, running, config, "cancelled", release=True)
            return None

        return work

    async def _run_dead(self, turning: Turning, lease: Lease, context: Context) -> None:
        """Run on what died on the thread before its next turn runs."""
        for one in lease.died:
            turning.tell(Event(kind="resumed", text=one.id))
            # To its end, whoever stops the turn that waits behind it meanwhile.
            await _surely(self._resume(Turning(entry=one), one, lease, context, release=False))
            if turning.cancelled or turning.handed_over:
                raise asyncio.CancelledError

    async def _in_line(self, entry: TurnEntry, held: list[Lease]) -> None:
        """Wait for the thread and put its lease into `held`, also where the waiting is cancelled.

        Raises ThreadBusy after the bounded wait, TurnStopped.
        """
        loop = asyncio.get_running_loop()
        until = loop.time() + self._pace.patience

        async def acquire() -> None:
            lease = await self.turns.acquire(entry, ttl_s=self._pace.lease)
            held.extend([lease] if lease is not None else [])

        while True:
            trying = asyncio.ensure_future(acquire())
            try:
                await asyncio.shield(trying)
            except asyncio.CancelledError:
                with suppress(AntiphonError):
                    await _surely(trying)
                raise
            if held:
                return
            if loop.time() > until:
                raise ThreadBusy(
                    f"thread {entry.thread!r} is still answering an earlier message",
                    hint="Wait for its answer, or stop it, and send the message again.",
                )
            await asyncio.sleep(POLL_S)

    async def _resume(
        self, turning: Turning, entry: TurnEntry, lease: Lease, context: Context, *, release: bool
    ) -> Turn:
        """Run a dead turn on from its last checkpoint, or close it as failed."""
        running = self._running(entry, lease)
        config = self.config(entry, lease.token)
        if await self.turns.renew(entry, lease, ttl_s=self._pace.lease):
            return await self._settle(turning, running, config, "cancelled", release=release)
        began = await self._began(entry, lease)
        if not began or await self.turns.tried(entry) > MOST_TRIES:
            why = "its process ended each time it was run" if began else NOT_BEGUN
            return await self._settle(turning, running, config, "failed", release=release, why=why)
        own = replace(context, user=entry.owner, **_turned(entry))
        return await self._graph(turning, running, None, config, own, release=release)

    async def _began(self, entry: TurnEntry, lease: Lease) -> bool:
        with storage_errors():
            snapshot = await self.graph.aget_state(self.config(entry, lease.token))
        keep_order(snapshot.config)
        return dict(snapshot.metadata or {}).get("turn") == entry.id

    def _running(self, entry: TurnEntry, lease: Lease, *, late: bool = True) -> Running:
        return Running(
            turn=entry,
            token=lease.token,
            late=late,
            store=self.turns,
            origin=str(entry.knobs.get("origin") or ""),
            live=bool(entry.knobs.get("live")),
        )

    async def _graph(
        self,
        turning: Turning,
        running: Running,
        given: Given,
        config: RunnableConfig,
        context: Context,
        *,
        release: bool = True,
    ) -> Turn:
        """Run the graph under a heartbeat and settle the turn, however it ends."""
        task = asyncio.current_task()
        turning.under_way = True
        beating = asyncio.create_task(self._beat(turning, running, task))
        mark = CURRENT.set(running)
        try:
            with storage_errors():
                await self._steps(turning, given, config, context)
        except asyncio.CancelledError:
            if turning.handed_over:
                await _surely(self.turns.hand_over(running.turn, Lease(token=running.token)))
                raise
            if turning.lost:
                await self._deleted(running)
                raise LeaseLost("another process runs this thread now") from None
            turn = await self._settle(turning, running, config, "cancelled", release=release)
            if task is None or not turning.cancelled:
                raise
            task.uncancel()
            return turn
        except GraphRecursionError:
            why = "it took more steps than a turn may"
            return await self._settle(turning, running, config, "failed", release=release, why=why)
        except TurnStopped:
            return await self._settle(turning, running, config, "cancelled", release=release)
        except LeaseLost:
            await self._deleted(running)
            raise
        except StorageError:
            # Nothing can be settled now; whoever comes next takes the turn up.
            raise
        except Exception as error:  # noqa: BLE001 - whatever it is, the turn is settled
            why = f"an unexpected {type(error).__name__} was raised"
            return await self._settle(turning, running, config, "failed", release=release, why=why)
        finally:
            CURRENT.reset(mark)
            beating.cancel()
        return await self._settle(turning, running, config, "done", release=release)

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
        self, turning: Turning, running: Running, task: asyncio.Task[Any] | None
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

    async def _settle(
        self,
        turning: Turning,
        running: Running,
        config: RunnableConfig,
        state: Literal["done", "cancelled", "failed"],
        *,
        release: bool,
        why: str = "",
    ) -> Turn:
        """Settle to the end: to stop a turn that is just ending comes too late."""
        thread = key_of(running.turn.tenant, running.turn.thread)

        async def to_the_end() -> Turn:
            # The next message may be in before the words are out, and says yes to none of them.
            self._told[thread] = NOT_YET
            try:
                turn, account = await self._settlement.settle(
                    running, config, state=state, release=release, why=why
                )
                turning.ran = True
                turning.tell_turn(turn)
            finally:
                self._told[thread] = time.monotonic()
                self._told.move_to_end(thread)
                while len(self._told) > MOST_TOLD:
                    self._told.popitem(last=False)
            await account()
            return turn

        return await _surely(to_the_end())

    async def _deleted(self, running: Running) -> None:
        """Account for a turn whose thread was deleted under it: nobody else will."""
        entry = running.turn
        with suppress(StorageError):
            if await self.turns.turn(entry.tenant, entry.thread, entry.id) is None:
                await self._settlement.account(running, {}, Ended(state="cancelled"))


def _asked_to_stop(turning: Turning, error: BaseException) -> bool:
    """Say whether a turn ends because somebody asked for it; then it is not being cancelled."""
    if isinstance(error, TurnStopped):
        return True
    task = asyncio.current_task()
    asked = turning.cancelled and not turning.handed_over
    if not asked or not isinstance(error, asyncio.CancelledError) or task is None:
        return False
    task.uncancel()
    return True


async def _surely(work: Coroutine[Any, Any, Result] | asyncio.Future[Result]) -> Result:
    """Wait for work to its end, however often the waiting is cancelled meanwhile."""
    doing = asyncio.ensure_future(work)
    task = asyncio.current_task()
    while True:
        try:
            return await asyncio.shield(doing)
        except asyncio.CancelledError:
            if doing.cancelled() or task is None:
                raise
            task.uncancel()


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
