"""A finished turn, and a clock, for the tests of what watches turns."""

from __future__ import annotations

from antiphon.tools.telemetry import TurnRecord

TURN = TurnRecord(
    turn="t1",
    tenant="acme",
    thread_hash="a",
    user_hash="b",
    question_hash="c",
    answer_hash="d",
    intent="shipping",
    outcome="answered",
    model="extractive",
    path=("guard_input", "respond"),
    node_ms={"guard_input": 2.0, "respond": 40.0},
    duration_ms=50.0,
    input_tokens=120,
    output_tokens=30,
    cost_usd=0.002,
    violations=(("pii", "warning", "masked"),),
    tools=(("order_status", True), ("order_status", False)),
    failed=False,
)


class Clock:
    """Seconds since the epoch that a test moves by hand."""

    def __init__(self) -> None:
        self.now = 1_800_000_000.0

    def __call__(self) -> float:
        return self.now
