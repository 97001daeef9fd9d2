"""The end of a turn, whatever it is: its thread left in order, its record closed, its cost told."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from typing import cast

from langchain_core.messages import HumanMessage
from langchain_core.runnables import RunnableConfig
from langgraph.graph.state import CompiledStateGraph
from langgraph.types import StateSnapshot

from antiphon.graphs.persistence import storage_errors
from antiphon.graphs.turns import Turn, turn_of
from antiphon.nodes.account import Ended, account_for
from antiphon.nodes.guard import WITHHELD
from antiphon.nodes.recover import Aftermath
from antiphon.nodes.state import Context, Input, Output, Said, State, unread
from antiphon.tools.claims.judge import PURPOSE
from antiphon.tools.telemetry import Alert, Telemetry
from antiphon.tools.turns.current import Running
from antiphon.tools.turns.records import Lease, Turns, TurnState

Graph = CompiledStateGraph[State, Context, Input, Output]


@dataclass(frozen=True, slots=True, kw_only=True)
class Settlement:
    """Closes turns of one graph on record."""

    graph: Graph
    turns: Turns
    telemetry: Telemetry
    aftermath: Aftermath
    respond_to: Callable[[Sequence[Alert]], Awaitable[None]]
    clock: Callable[[], float] = time.time

    async def settle(
        self,
        running: Running,
        config: RunnableConfig,
        *,
        state: TurnState,
        release: bool,
        why: str = "",
    ) -> tuple[Turn, Callable[[], Awaitable[None]]]:
        """Close the turn; return its result, and what tells telemetry of it.

        Raises LeaseLost, StorageError.
        """
        with storage_errors():
            if state in ("cancelled", "failed"):
                await self._close_thread(config)
            snapshot = await self.graph.aget_state(config)
        turn = await self._read(running, snapshot, state, why)
        if state == "done" and turn.interrupt is not None:
            state = "awaiting"
        await self.turns.settle(
            running.turn,
            Lease(token=running.token),
            state=state,
            outcome=turn.outcome,
            result=turn.as_json(),
            checkpoint=str(snapshot.config["configurable"].get("checkpoint_id", "")),
            calls=running.calls,
            title=_title(snapshot),
            waiting=turn.interrupt is not None,
            release=release,
        )
        own, ended = _own(snapshot, running), Ended(state=state, why=why)
        # Settling is done once over all processes, so what follows it is too.
        return turn, lambda: self.account(running, own, ended)

    async def account(self, running: Running, state: State, ended: Ended) -> None:
        """Tell telemetry of a turn."""
        alerts = await account_for(self.telemetry, ended, state, running, now=self.clock())
        if alerts:
            await self.respond_to(alerts)

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
        turn = turn_of(snapshot, entry=entry, own=bool(_own(snapshot, running)))
        turn = _with_judge(replace(turn, latency_ms=round(took, 1)), running)
        if state not in ("cancelled", "failed"):
            return turn
        effects = await self.turns.effects(entry.tenant, entry.thread, turn=entry.id)
        done = self.aftermath.sentences(
            [one.tool for one in effects if one.state == "done" and (one.result or {}).get("ok")],
            [one.tool for one in effects if one.state in ("started", "unknown")],
        )
        return replace(
            turn,
            answer=" ".join(done) if state == "cancelled" else self.aftermath.closing(done),
            outcome="cancelled" if state == "cancelled" else "degraded",
            citations=(),
            degraded_because=why or turn.degraded_because,
        )


def _with_judge(turn: Turn, running: Running) -> Turn:
    """Add what the judge of claims took: no node asks it, so it is on the turn's account alone."""
    calls = [call for call in running.spent if call.purpose == PURPOSE]
    if not calls:
        return turn
    usage = {
        "input_tokens": turn.usage["input_tokens"] + sum(call.input_tokens for call in calls),
        "output_tokens": turn.usage["output_tokens"] + sum(call.output_tokens for call in calls),
    }
    cost = turn.cost_usd + sum(call.cost_usd for call in calls)
    return replace(turn, usage=usage, cost_usd=round(cost, 8))


def _own(snapshot: StateSnapshot, running: Running) -> State:
    """Return the turn's own state; empty when it never got through its first node."""
    state = cast("State", snapshot.values)
    return state if state.get("turn") == running.turn.id else {}


def _title(snapshot: StateSnapshot) -> str:
    """Name a thread by its first message, as the input rail left it."""
    said = snapshot.values.get("messages", [])
    return str(said[0].text) if said and not unread(cast("State", snapshot.values)) else ""
