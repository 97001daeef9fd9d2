"""The end of every turn: what it took, told to telemetry; alerts start the incident graph."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Sequence

from langgraph.runtime import Runtime

from antiphon.nodes.state import Context, Node, State, Update, caller, step
from antiphon.tools.telemetry import Alert, Telemetry, TurnRecord
from antiphon.tools.toolbox import Caller


def account(
    telemetry: Telemetry,
    respond_to: Callable[[Sequence[Alert]], Awaitable[None]],
    *,
    clock: Callable[[], float] = time.time,
) -> Node:
    """Record the turn and close it."""

    @step
    async def account(state: State, *, runtime: Runtime[Context]) -> Update:
        record = _record(state, caller(runtime), telemetry, clock())
        alerts = await telemetry.record(record)
        if alerts:
            await respond_to(alerts)
        if state["outcome"] == "clarifying":
            return {}
        return {"phase": "completed", "pending": None}

    return account


def _record(state: State, who: Caller, telemetry: Telemetry, now: float) -> TurnRecord:
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
    )
