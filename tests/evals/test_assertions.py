"""Hard expectations: each holds or says why not, and none of them is in a score."""

from __future__ import annotations

from dataclasses import replace

import pytest

from antiphon.evals.assertions import check
from antiphon.evals.golden import Example, Expected
from antiphon.evals.report import Row, summarise
from antiphon.evals.sample import Deed, Sample, Score
from antiphon.evals.score import evaluate

RETURN = {"tool": "open_return", "arguments": {"order": "LL-10482"}}
SAMPLE = Sample(
    question="Please return LL-10482",
    answer="Return RT-1 is open; you have 30 days.",
    outcome="answered",
    expected=Expected.model_validate(
        {
            "outcome": "answered",
            "facts": ["RT-1", ["30 days", "a month"]],
            "absent": ["LL-20003"],
            "path": ["guard_input", "call_tools"],
            "sources": ["returns.md", "returns-us.md"],
            "effects": [RETURN],
        }
    ),
    sources=("returns-us.md",),
    path=("guard_input", "choose_tools", "call_tools", "respond"),
    effects=(Deed(tool="open_return", arguments={"order": "LL-10482", "reason": "damaged"}),),
)


def test_all_that_is_stated_is_checked() -> None:
    """Six names, all ok; arguments that are not named may be any."""
    assert check(SAMPLE) == dict.fromkeys(
        ("outcome", "facts", "absent", "path", "sources", "effects"), "ok"
    )


def test_what_is_not_stated_is_no_assertion() -> None:
    """An example that expects an outcome only asserts that one."""
    assert check(replace(SAMPLE, expected=Expected(outcome=("answered",)))) == {"outcome": "ok"}


@pytest.mark.parametrize(
    ("name", "change", "reason"),
    [
        ("outcome", {"outcome": "abstained"}, "outcome is abstained, expected answered"),
        ("facts", {"answer": "RT-1: you have 130 days."}, "does not say '30 days'"),
        ("absent", {"answer": "RT-1, 30 days, as LL-20003."}, "says 'LL-20003'"),
        ("path", {"path": ("call_tools", "guard_input")}, "did not go guard_input > call_tools"),
        ("sources", {"sources": ("returns-eu.md",)}, "does not cite returns.md or returns-us.md"),
        ("effects", {"effects": ()}, "did not do open_return(order='LL-10482')"),
        (
            "effects",
            {"effects": (Deed(tool="open_return", arguments={"order": "LL-10483"}),)},
            "did not do open_return(order='LL-10482')",
        ),
    ],
    ids=["outcome", "fact", "absent", "path", "source", "nothing done", "another order"],
)
def test_a_near_miss_fails_and_says_why(name: str, change: dict[str, object], reason: str) -> None:
    """One digit of a fact, the order of a path, another order's return: only that one fails."""
    found = check(replace(SAMPLE, **change))  # type: ignore[arg-type]
    assert found.pop(name) == reason
    assert set(found.values()) == {"ok"}


def test_a_call_that_is_wanted_twice_must_be_made_twice() -> None:
    """One call does not stand for two."""
    expected = SAMPLE.expected.model_copy(update={"effects": SAMPLE.expected.effects * 2})
    assert check(replace(SAMPLE, expected=expected))["effects"].startswith("did not do")


def test_an_effect_may_be_a_tools_name() -> None:
    """As other lists of names are written."""
    expected = Expected.model_validate({"outcome": "answered", "effects": ["open_return"]})
    assert check(replace(SAMPLE, expected=expected))["effects"] == "ok"


class Pleased:
    """An evaluator that likes everything."""

    name = "safety"

    async def evaluate(self, sample: Sample) -> Score:
        """Give full marks."""
        del sample
        return Score(value=1.0)


async def test_assertions_are_beside_the_scores() -> None:
    """What fails costs no mark, and is counted in the report."""
    missed = replace(SAMPLE, sources=(), effects=())
    evaluation = await evaluate(missed, [Pleased()])
    assert evaluation.overall == 1.0
    assert evaluation.assertions["sources"] != "ok"
    row = Row(id="a", kind="tool", question="q", assertions=dict(evaluation.assertions))
    report = summarise([replace(row, expected=("",))], seconds=0.1)
    assert (report.assertions_passed, report.assertions) == (4, 6)
    assert "Expected sources not met: a." in report.recommendations
    assert "Expected effects not met: a." in report.recommendations


def test_an_example_without_an_answer_holds_nothing() -> None:
    """Each of its assertions fails, so that a crash is no way to have fewer."""
    example = Example.model_validate(
        {"id": "a", "kind": "k", "messages": ["hi"], "expected": SAMPLE.expected.model_dump()}
    )
    row = Row.failed(example, "model_unavailable: down")
    assert len(row.assertions) == 6
    assert summarise([row], seconds=0.1).assertions_passed == 0
