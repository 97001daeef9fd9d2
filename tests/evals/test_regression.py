"""The gate: five percent per example and overall."""

from __future__ import annotations

import pytest

from antiphon.evals.regression import gate
from antiphon.tools.errors import InputError


def a_run(**overall: float) -> dict[str, object]:
    """Return a report in JSON form with these overall scores by example."""
    mean = sum(overall.values()) / len(overall)
    return {
        "overall": mean,
        "metrics": {"relevance": mean, "safety": 1.0},
        "seconds": 1.0,
        "rows": [
            {"id": name, "overall": value, "metrics": {"relevance": value, "safety": 1.0}}
            for name, value in overall.items()
        ],
    }


def test_the_same_run_passes() -> None:
    """Nothing changed, nothing regressed."""
    result = gate(a_run(a=0.9, b=0.8), a_run(a=0.9, b=0.8))
    assert result.passed
    assert result.difference == 0.0


@pytest.mark.parametrize(
    ("now", "regressed"), [(0.85, False), (0.849, True), (1.0, False)], ids=["5", "5.1", "up"]
)
def test_more_than_five_percent_down_is_a_regression(now: float, regressed: bool) -> None:
    """Exactly five is not, better never is."""
    result = gate(a_run(a=0.9, b=0.8), a_run(a=now, b=0.8))
    assert [each.id for each in result.regressions] == (["a"] if regressed else [])
    assert result.passed is not regressed


def test_a_regression_says_which_metrics_fell_and_how_badly() -> None:
    """Worst first, with severity."""
    result = gate(a_run(a=0.9, b=0.9, c=0.9), a_run(a=0.8, b=0.7, c=0.2))
    assert [(each.id, each.severity) for each in result.regressions] == [
        ("c", "severe"),
        ("b", "major"),
        ("a", "minor"),
    ]
    assert {each.affected for each in result.regressions} == {("relevance",)}


def test_a_fall_of_the_mean_is_detected_though_no_example_fell_far() -> None:
    """Many small losses do not hide behind the threshold of one."""
    before, now = a_run(a=0.9, b=0.9), a_run(a=0.9, b=0.9)
    now["overall"] = 0.84
    now["metrics"] = {"relevance": 0.9, "safety": 0.7}
    result = gate(before, now)
    assert result.detected
    assert result.affected == ("safety",)
    assert not result.passed


def test_an_example_left_out_does_not_pass() -> None:
    """Dropping the failing example is no repair; adding one is welcome."""
    result = gate(a_run(a=0.9, b=0.9), a_run(a=0.9, c=0.1))
    assert (result.missing, result.new) == (("b",), ("c",))
    assert not result.passed


def test_a_metric_that_cannot_be_computed_any_more_has_fallen() -> None:
    """Silence is not a pass mark."""
    now = a_run(a=0.5)
    now["rows"] = [{"id": "a", "overall": 0.5, "metrics": {"relevance": 0.9}}]
    (regression,) = gate(a_run(a=0.9), now).regressions
    assert regression.affected == ("safety",)


def test_another_threshold_may_be_given() -> None:
    """A stricter team gets a stricter gate."""
    assert not gate(a_run(a=0.9), a_run(a=0.88), threshold=0.01).passed


def test_something_that_is_no_report_is_named() -> None:
    """The message says which of the two, and what is missing."""
    with pytest.raises(InputError, match=r"the baseline is not a report.*overall"):
        gate({"rows": []}, a_run(a=1.0))


def test_the_verdict_is_plain_json() -> None:
    """What `eval gate --json` prints begins with the verdict."""
    plain = gate(a_run(a=0.9), a_run(a=0.5)).as_json()
    assert plain["passed"] is False
    assert next(iter(plain)) == "passed"
