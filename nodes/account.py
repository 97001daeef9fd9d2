"""The end of every turn: what it took, told to telemetry; alerts start the incident graph."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace

from langgraph.runtime import Runtime

from antiphon.nodes.state import Context, Node, State, Update, caller, fresh_turn, step
from antiphon.tools.telemetry import Alert, Telemetry, TurnRecord
from antiphon.tools.toolbox import Caller
from antiphon.tools.turns.current import CURRENT, Running
from antiphon.tools.turns.records import TurnState

BROKEN = frozenset({"timeout", "raised"})
"""How a tool fails; what it refuses in its own words is no failure of its."""


def account(
    telemetry: Telemetry,
    respond_to: Callable[[Sequence[Alert]], Awaitable[None]],
    *,
    clock: Callable[[], float] = time.time,
) -> Node:
    """Record the turn and close it."""

    @step
    async def account(state: State, *, runtime: Runtime[Context]) -> Update:
        # Under a runner of ours the turn is told of once it is settled: then it is told of once.
        if CURRENT.get() is None:
            alerts = await telemetry.record(record_of(state, caller(runtime), telemetry, clock()))
            if alerts:
                await respond_to(alerts)
        if state["outcome"] in ("clarifying", "awaiting_approval"):
            return {}
        return {"phase": "completed", "pending": None}

    return account


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """How a turn ended."""

    state: TurnState
    why: str = ""


async def account_for(
    telemetry: Telemetry, ended: Ended, state: State, running: Running, *, now: float
) -> Sequence[Alert]:
    """Record a turn however it ended, with all it spent; return the alerts that fire."""
    entry = running.turn
    who = Caller(tenant=entry.tenant, user=entry.owner, thread=entry.thread)
    whole: State = {**fresh_turn(entry.id, entry.created), **state}
    record = replace(record_of(whole, who, telemetry, now), replay=running.replay)
    if running.spent:
        record = replace(
            record,
            input_tokens=sum(call.input_tokens for call in running.spent),
            output_tokens=sum(call.output_tokens for call in running.spent),
            cost_usd=sum(call.cost_usd for call in running.spent),
        )
    if ended.state == "cancelled":
        record = replace(record, outcome="cancelled", failed=False)
    if ended.state == "failed":
        record = replace(record, outcome="failed", failed=True, failure=f"run: {ended.why}")
    return await telemetry.record(record)


def record_of(state: State, who: Caller, telemetry: Telemetry, now: float) -> TurnRecord:
    """Return the record of a turn as it stands in the state."""
    intent, failure = state["intent"], state["failure"]
    times: dict[str, float] = {}
    for done in state["trail"]:
        times[done["node"]] = times.get(done["node"], 0.0) + done["ms"]
    return TurnRecord(
        turn=state["turn"],
        tenant=who.tenant,
        thread_hash=telemetry.hash(who.thread),
        user_hash=telemetry.hash(who.user) if who.user else "",
        question_hash=telemetry.hash(state["question"]),
        answer_hash=telemetry.hash(state["answer"]),
        intent=intent.name if intent else "",
        outcome=state["outcome"],
        model=state["model"],
        path=tuple(done["node"] for done in state["trail"]),
        node_ms=times,
        duration_ms=(now - state["started"]) * 1000,
        input_tokens=state["usage"].input_tokens,
        output_tokens=state["usage"].output_tokens,
        cost_usd=state["cost_usd"],
        violations=tuple((item.guard, item.severity, item.action) for item in state["violations"]),
        tools=tuple((result.name, result.ok) for result in state["results"]),
        failed=failure is not None,
        failure=f"{failure.node}: {failure.code}" if failure else "",
        model_failures=state["model_failures"],
        cached=state["cached"],
        retrieval_confidence=state["retrieval_confidence"],
        support=state["support"],
        calls=_calls(state),
        broken_tools=tuple(one.name for one in state["results"] if one.error in BROKEN),
    )


def _calls(state: State) -> tuple[tuple[str, str], ...]:
    """Return each model that was asked, and the code of why it did not answer."""
    calls: list[tuple[str, str]] = []
    for failure in state["model_failures"]:
        # `provider:name: code (message)`: the name itself may hold colons, but none with a space.
        model, _, why = failure.partition(": ")
        calls.append((model, why.partition(" ")[0]))
    if state["model"] and not state["cached"]:
        calls.append((state["model"], ""))
    return tuple(calls)
