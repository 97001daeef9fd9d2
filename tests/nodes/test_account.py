"""What the record of a turn says of models and tools: who failed, and who only said no."""

from __future__ import annotations

import pytest
from fakes import FakeTelemetry
from langgraph.runtime import Runtime

from antiphon.nodes.account import account
from antiphon.nodes.state import Context, State, fresh_turn
from antiphon.tools.telemetry import Alert, TurnRecord
from antiphon.tools.toolbox import ToolResult


async def recorded(**changes: object) -> TurnRecord:
    """Return the record of a turn that ended in this state."""
    telemetry = FakeTelemetry()

    async def ignore(alerts: object) -> None:
        del alerts

    node = account(telemetry, ignore, clock=lambda: 2.0)
    state: State = {**fresh_turn("t", 1.0), **changes}  # type: ignore[typeddict-item]
    await node(state, runtime=Runtime(context=Context(tenant="acme")))
    (record,) = telemetry.turns
    return record


async def test_each_model_that_was_asked_is_in_it_with_how_it_failed() -> None:
    """A name may hold colons; a message in brackets is no part of the code."""
    record = await recorded(
        model="openai:good",
        model_failures=(
            "openai:gpt:x: model_unavailable (timed out: 30 s)",
            "b: model_rejected (content filter)",
            "c: circuit open",
        ),
    )
    assert record.calls == (
        ("openai:gpt:x", "model_unavailable"),
        ("b", "model_rejected"),
        ("c", "circuit"),
        ("openai:good", ""),
    )


async def test_a_kept_answers_model_was_not_asked() -> None:
    """Its name is in the record, its health is not."""
    record = await recorded(model="openai:good", cached=True)
    assert (record.model, record.calls) == ("openai:good", ())


@pytest.mark.parametrize(
    ("error", "broken"),
    [
        ("timeout", True),
        ("raised", True),
        ("said_no", False),
        ("declined", False),
        ("invalid", False),
        ("unavailable", False),
    ],
)
async def test_a_tool_that_says_no_is_not_broken(error: str, broken: bool) -> None:
    """An order that does not exist is the caller's mistake, however often it is asked for."""
    result = ToolResult(call_id="c", name="weather", ok=False, content="no", error=error)
    record = await recorded(results=(result,))
    assert record.tools == (("weather", False),)
    assert bool(record.broken_tools) is broken


async def test_alerts_start_incidents() -> None:
    """Whoever responds gets what fired."""
    alert = Alert(
        rule="r",
        incident="cost_spike",
        severity="warning",
        message="m",
        value=1.0,
        threshold=0.5,
    )
    seen: list[object] = []

    async def respond(alerts: object) -> None:
        seen.append(alerts)

    node = account(FakeTelemetry(alerts=(alert,)), respond)
    await node(fresh_turn("t", 1.0), runtime=Runtime(context=Context()))
    assert seen == [(alert,)]
