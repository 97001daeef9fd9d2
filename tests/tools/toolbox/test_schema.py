"""Proposed arguments are checked: what cannot be taken is a problem, never an exception."""

from __future__ import annotations

import json
import random
from typing import Any

import pytest
from langchain_core.tools import BaseTool, StructuredTool
from pydantic import JsonValue

from antiphon.tools.toolbox.schema import arguments_of, check


def order(count: int, price: float = 1.0, sizes: list[float] | None = None) -> str:
    """Order something."""
    return f"{count} {price} {sizes}"


def limited(least: float, most: float = float("inf")) -> str:
    """Tell what there is."""
    return f"{most} {least}"


FORM = StructuredTool.from_function(order)
PLAIN = StructuredTool(
    name="order",
    description="Order something.",
    args_schema={
        "type": "object",
        "properties": {
            "count": {"type": "integer", "multipleOf": 1},
            "price": {"type": "number", "multipleOf": 0.01},
            "sizes": {"type": "array", "items": {"type": "number"}},
        },
        "required": ["count"],
    },
    func=lambda **_: None,
)
BOTH = pytest.mark.parametrize("tool", [FORM, PLAIN], ids=["pydantic", "JSON schema"])
HUGE: tuple[JsonValue, ...] = (
    10**30, -(10**310), 10**5000, "9" * 310, "9" * 4301, "9" * 100_000, "-" + "9" * 400,
    "1e999", "-1e999", "9" * 400 + ".5", float("inf"), float("nan"),
)  # fmt: skip


def problems(tool: BaseTool, **arguments: JsonValue) -> tuple[str, ...]:
    """Check the arguments; what is in order must also make an idempotency key."""
    checked = check(tool, arguments_of(tool), arguments)
    if not checked.problems:
        json.dumps(checked.arguments, allow_nan=False)
    return checked.problems


@BOTH
@pytest.mark.parametrize("huge", HUGE, ids=lambda one: type(one).__name__)
@pytest.mark.parametrize("place", ["count", "price", "sizes"])
def test_a_number_that_no_tool_takes_is_a_problem(
    tool: BaseTool, huge: JsonValue, place: str
) -> None:
    """As text or as a number, alone or in a list, it is refused in a short sentence."""
    given: dict[str, JsonValue] = {"count": 1, place: [huge] if place == "sizes" else huge}
    said = problems(tool, **given)
    assert said
    assert all(len(one) < 300 for one in said)


@BOTH
def test_numbers_of_a_usual_size_are_taken(tool: BaseTool) -> None:
    """The limit is well above what people mean."""
    assert () == problems(tool, count=10**29, price=0.5, sizes=[1, 2.5])
    assert () == problems(tool, count="123", price="2.50")
    assert problems(tool, count="9" * 31)


def test_a_limit_that_the_tool_itself_declares_stands() -> None:
    """Only what was given is judged; a default may be endless."""
    tool = StructuredTool.from_function(limited)
    assert () == check(tool, arguments_of(tool), {"least": "1.5"}).problems
    assert check(tool, arguments_of(tool), {"least": 1, "most": float("inf")}).problems


@BOTH
def test_what_is_nested_without_end_is_a_problem(tool: BaseTool) -> None:
    """Nor does a deep value reach a checker that recurses."""
    deep: JsonValue = 1
    for _ in range(5_000):
        deep = [deep]
    assert problems(tool, count=1, sizes=deep)
    deep = {}
    for _ in range(5_000):
        deep = {"a": deep}
    assert problems(tool, count=deep)


@BOTH
def test_a_long_name_or_value_is_not_repeated(tool: BaseTool) -> None:
    """A problem is a sentence for a model or a trace, whatever was sent."""
    for given in (
        {"count": "x" * 100_000},
        {"x" * 100_000: 1, "count": 1},
        {"count": ["y"] * 9_999},
    ):
        said = problems(tool, **given)
        assert said
        assert sum(map(len, said)) < 2_000


@BOTH
def test_whatever_a_model_sends_is_checked(tool: BaseTool) -> None:
    """Odd values in odd places never raise."""
    odd: list[Any] = [
        *HUGE,
        None,
        "",
        True,
        "x",
        [],
        {},
        [None],
        {"a": 10**400},
        "\ud800",
        -0.0,
        "٣",
    ]
    dice = random.Random(11)
    for _ in range(300):
        names = dice.sample(["count", "price", "sizes", "tenant", "other"], k=dice.randrange(4))
        problems(tool, **{name: dice.choice(odd) for name in names})
