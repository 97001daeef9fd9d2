"""What an example expects to have been done is looked up in the record of the rehearsal."""

from __future__ import annotations

from pathlib import Path

from antiphon.evals.golden import Example
from antiphon.evals.run import run_golden
from antiphon.graphs.runtime import open_runtime
from antiphon.graphs.settings import Settings

ORDER = "Please open a return for order LL-10482, the lamp came damaged"


def an_example(name: str, decision: str, order: str) -> Example:
    """Return an example that asks for a return, decides, and expects one of that order."""
    return Example.model_validate(
        {
            "id": name,
            "kind": "tool",
            "messages": [ORDER, decision],
            "expected": {
                "outcome": "answered",
                "effects": [{"tool": "return_request", "arguments": {"order_id": order}}],
            },
        }
    )


async def test_only_a_call_that_was_made_is_an_effect(tmp_path: Path) -> None:
    """A yes makes it; not another order's, and a no makes none, however friendly the answer."""
    examples = [
        an_example("done", "yes", "LL-10482"),
        an_example("another", "yes", "LL-10483"),
        an_example("declined", "no", "LL-10482"),
    ]
    async with open_runtime(Settings(data_dir=tmp_path)) as runtime:
        report = await run_golden(runtime, examples)
    held = {row.id: row.assertions["effects"] for row in report.rows}
    assert held["done"] == "ok"
    assert held["another"] == "did not do return_request(order_id='LL-10483')"
    assert held["declined"] == "did not do return_request(order_id='LL-10482')"
    assert (report.assertions_passed, report.assertions) == (4, 6)
