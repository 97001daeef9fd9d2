"""The gate: what may be compared, what fails, and what is shown of it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from antiphon.evals.regression import Gate, gate
from antiphon.tools.errors import InputError

MADE_WITH: Mapping[str, Any] = {
    "assistant": "Bikes",
    "declaration": "d1",
    "model": "m1",
    "prompt": "p1",
    "knowledge": "k1",
    "code": "c1",
    "evaluators": "e1",
    "libraries": {"langgraph": "1.2.0"},
    "arithmetic": "a1",
    "varies": False,
    "marks_vary": False,
    "golden": "g1",
}


def a_row(name: str, overall: float, **more: object) -> dict[str, object]:
    """Return a row of a report in JSON form; its outcome is as expected unless told otherwise."""
    return {
        "id": name,
        "kind": "knowledge",
        "question": f"What of {name}?",
        "answer": f"It is {overall}.",
        "outcome": "answered",
        "overall": overall,
        "metrics": {"relevance": overall, "safety": 1.0},
        "assertions": {"outcome": "ok", "facts": "ok"},
        **more,
    }


def a_report(*rows: Mapping[str, object], **made_with: object) -> dict[str, object]:
    """Return a report in JSON form with these rows."""
    examples = {str(row["id"]): f"hash of {row['id']}" for row in rows}
    return {
        "overall": 0.0,
        "rows": list(rows),
        "seconds": 1.0,
        "fingerprint": {**MADE_WITH, "examples": examples, **made_with},
    }


def a_run(scores: Mapping[str, float], **made_with: object) -> dict[str, object]:
    """Return a report in JSON form with these overall scores by example."""
    return a_report(*(a_row(name, overall) for name, overall in scores.items()), **made_with)


def judged(before: Mapping[str, float], now: Mapping[str, float]) -> Gate:
    """Return the verdict on a run of changed code with these scores, where nothing varies."""
    return gate(a_run(before), a_run(now, code="c2"))


def test_the_same_run_passes() -> None:
    """Nothing changed, nothing regressed."""
    run = a_run({"a": 0.9, "b": 0.8})
    result = gate(run, run)
    assert result.passed
    assert (result.difference, result.changed, result.regressions) == (0.0, (), ())


def test_a_fall_of_the_mean_fails() -> None:
    """Ten examples a tenth worse; the reason names before and now."""
    before = {str(n): 0.9 for n in range(10)}
    result = judged(before, dict.fromkeys(before, 0.8))
    assert (result.detected, result.affected, result.slices) == (True, ("relevance",), ())
    assert result.reasons[0] == "overall fell by 0.100 (0.900 -> 0.800, 10 examples)"
    assert not result.passed


def test_a_fall_of_a_kind_fails_though_the_mean_held() -> None:
    """Four of forty examples are personal data; only they fell."""
    before = [a_row(str(n), 0.9, kind="pii" if n < 4 else "tool") for n in range(40)]
    now = [a_row(str(n), 0.7 if n < 4 else 0.9, kind="pii" if n < 4 else "tool") for n in range(40)]
    result = gate(a_report(*before), a_report(*now, prompt="p2"))
    assert (result.detected, result.slices, result.passed) == (False, ("kind:pii",), False)


def test_an_intent_that_either_run_took_it_for_is_a_slice() -> None:
    """What used to be taken for a refund, and no longer is, fell for refunds."""
    before = [a_row(str(n), 0.9, intent="refund" if n < 5 else "hours") for n in range(60)]
    now = [a_row(str(n), 0.5 if n < 5 else 0.9, intent="hours") for n in range(60)]
    assert gate(a_report(*before), a_report(*now, code="c2")).slices == ("intent:refund",)


def test_single_scores_that_fell_are_shown_and_fail_nothing() -> None:
    """One answer in twenty is worse in its scores alone; both answers stand side by side."""
    before = {str(n): 0.9 for n in range(20)}
    result = judged(before, {**before, "3": 0.5})
    (worse,) = result.regressions
    assert result.passed
    assert (worse.id, worse.question, worse.severity) == ("3", "What of 3?", "severe")
    assert (worse.before.answer, worse.now.answer) == ("It is 0.9.", "It is 0.5.")
    assert (worse.affected, worse.broken) == (("relevance",), ())


def test_regressions_are_worst_first_and_what_got_better_is_named() -> None:
    """Severity follows the drop; five percent is none."""
    before = {str(n): 0.9 for n in range(30)}
    now = {**before, "0": 0.8, "1": 0.7, "2": 0.2, "3": 0.85, "4": 1.0}
    result = judged(before, now)
    assert [(each.id, each.severity) for each in result.regressions] == [
        ("2", "severe"),
        ("1", "major"),
        ("0", "minor"),
    ]
    assert result.improved == ("4",)


@pytest.mark.parametrize("expectation", ["outcome", "facts"])
def test_what_must_hold_and_no_longer_does_fails(expectation: str) -> None:
    """One of thirty, whose score did not even move."""
    rows = [a_row(str(n), 0.9) for n in range(30)]
    broken = {**rows[7], "assertions": {"outcome": "ok", "facts": "ok", expectation: "not so"}}
    result = gate(a_report(*rows), a_report(*rows[:7], broken, *rows[8:], code="c2"))
    assert result.broken == ("7",)
    assert [each.broken for each in result.regressions] == [(expectation,)]
    assert result.reasons == ("no longer what they must be: 7",)


@pytest.mark.parametrize(
    ("then", "now"),
    [("says 14 days", "says 14 days"), ("says 14 days", "ok")],
    ids=["failed before", "holds now"],
)
def test_what_did_not_hold_before_is_no_news(then: str, now: str) -> None:
    """A known mistake is not found again, and its repair is welcome."""
    rows = [a_row(str(n), 0.9) for n in range(30)]
    before = {**rows[7], "assertions": {"outcome": "ok", "facts": then}}
    after = {**rows[7], "assertions": {"outcome": "ok", "facts": now}}
    swapped = [[*rows[:7], each, *rows[8:]] for each in (before, after)]
    assert gate(a_report(*swapped[0]), a_report(*swapped[1], code="c2")).passed


def test_an_expectation_that_the_baseline_did_not_look_at_is_no_news() -> None:
    """A release that checks more fails no one for what was never checked."""
    before = [a_row(str(n), 0.9, assertions={"outcome": "ok"}) for n in range(30)]
    now = [a_row(str(n), 0.9, assertions={"outcome": "ok", "path": "astray"}) for n in range(30)]
    assert gate(a_report(*before), a_report(*now, code="c2")).passed


def test_an_example_without_any_answer_has_broken_all_it_held() -> None:
    """A crash says nothing of facts, and is no way to lose a fact unseen."""
    rows = [a_row(str(n), 0.9) for n in range(30)]
    crash = a_row("7", 0.0, outcome="", metrics={}, assertions={"outcome": "down"}, error="down")
    result = gate(a_report(*rows), a_report(*rows[:7], crash, *rows[8:], code="c2"))
    assert result.regressions[0].broken == ("facts", "outcome")
    assert result.regressions[0].now.error == "down"
    assert result.broken == ("7",)


@pytest.mark.parametrize(
    "other", [{"varies": True}, {"arithmetic": "a2"}], ids=["model varies", "another processor"]
)
def test_a_slip_that_may_be_chance_is_shown_and_fails_nothing(other: Mapping[str, object]) -> None:
    """One answer turned out otherwise where answers vary, or where vectors are not quite alike."""
    rows = [a_row(str(n), 0.9) for n in range(30)]
    slip = {**rows[7], "outcome": "abstained", "assertions": {"outcome": "no", "facts": "no"}}
    result = gate(a_report(*rows), a_report(*rows[:7], slip, *rows[8:], code="c2", **other))
    assert [each.broken for each in result.regressions] == [("facts", "outcome")]
    assert (result.passed, result.steady, result.broken) == (True, False, ())


def test_many_slips_are_no_chance() -> None:
    """Where answers vary, expectations are judged by their share like any score."""
    rows = [a_row(str(n), 0.9) for n in range(60)]
    slips = [{**row, "assertions": {"outcome": "no", "facts": "ok"}} for row in rows[:12]]
    result = gate(a_report(*rows), a_report(*slips, *rows[12:], varies=True))
    assert (result.affected, result.broken, result.passed) == (("expectations",), (), False)


def test_scores_that_differ_though_nothing_was_changed_are_noise() -> None:
    """The same assistant, by its own word steady, whose few scores moved all the same."""
    before = {str(n): 0.9 for n in range(4)}
    now = dict.fromkeys(before, 0.8)
    assert gate(a_run(before), a_run(now)).comparisons[0].verdict == "unproven"
    assert gate(a_run(before), a_run(now, model="m2")).comparisons[0].verdict == "fell"


def test_marks_that_vary_are_chance_and_expectations_are_none() -> None:
    """A model judges answers that do not vary: a few marks prove nothing, a lost fact does."""
    rows = [a_row(str(n), 0.9) for n in range(5)]
    lower = [a_row(str(n), 0.7) for n in range(5)]
    result = gate(a_report(*rows), a_report(*lower, marks_vary=True, code="c2"))
    assert (result.detected, result.passed) == (False, True)
    lost = {**lower[0], "assertions": {"outcome": "ok", "facts": "no"}}
    result = gate(a_report(*rows), a_report(lost, *lower[1:], marks_vary=True, code="c2"))
    assert (result.broken, result.passed) == (("0",), False)


def test_every_repeat_counts() -> None:
    """An expectation held when it held each time, and holds when it does each time."""
    often = [a_row("a", 0.9, repeat=n) for n in (1, 2, 3)]
    slip = {**often[1], "overall": 0.6, "answer": "No."}
    slip["assertions"] = {"outcome": "no", "facts": "ok"}
    (worse,) = gate(a_report(*often), a_report(often[0], slip, often[2], varies=True)).regressions
    assert (worse.current, worse.broken, worse.now.answer) == (0.8, ("outcome",), "No.")
    back = gate(a_report(often[0], slip, often[2], varies=True), a_report(*often, varies=True))
    assert (back.regressions, back.improved) == ((), ("a",))


def test_what_differs_is_named() -> None:
    """That is what a gate is for: the prompt, the code, a library."""
    now = a_run({"a": 0.9}, prompt="p2", code="c2", libraries={"langgraph": "1.2.1"})
    changed = gate(a_run({"a": 0.9}), now).changed
    assert changed == ("prompt", "code", "langgraph 1.2.0 -> 1.2.1")


def test_an_example_left_out_does_not_pass() -> None:
    """Dropping the failing example is no repair; adding one is welcome."""
    result = gate(a_run({"a": 0.9, "b": 0.9}), a_run({"a": 0.9, "c": 0.1}))
    assert (result.missing, result.altered, result.new) == (("b",), (), ("c",))
    assert result.reasons == ("missing from this run: b",)


def test_an_example_that_asks_something_else_is_not_compared() -> None:
    """Under the same id it would hide what became of the old question."""
    before = a_run({"a": 0.9, "b": 0.9})
    now = a_run({"a": 0.9, "b": 0.1}, examples={"a": "hash of a", "b": "hash of another b"})
    result = gate(before, now)
    assert (result.altered, result.regressions, result.previous) == (("b",), (), 0.9)
    assert result.reasons == ("not what they were in the baseline: b",)


def test_another_golden_set_is_refused() -> None:
    """The same ids with other contents, and the message says which."""
    now = a_run({"a": 0.9, "c": 0.9}, examples={"a": "x", "c": "y"})
    with pytest.raises(InputError, match=r"another golden set.*changed: a; missing: b; new: c"):
        gate(a_run({"a": 0.9, "b": 0.9}), now)


def test_another_assistant_is_refused() -> None:
    """Though it were asked the same."""
    with pytest.raises(InputError, match="the assistant 'Bikes', the run of 'Cars'"):
        gate(a_run({"a": 0.9}), a_run({"a": 0.9}, assistant="Cars"))


def test_a_baseline_of_an_earlier_release_is_refused_with_the_way_out() -> None:
    """It names nothing it was made with."""
    old = {**a_run({"a": 0.9}), "fingerprint": None}
    with pytest.raises(InputError, match="the baseline does not say what it was made with") as told:
        gate(old, a_run({"a": 0.9}))
    assert "eval run --save" in told.value.hint


@pytest.mark.parametrize(
    "broken",
    [
        {"rows": "none"},
        {"rows": [{"id": "a", "overall": float("nan")}]},
        {"rows": [{"id": "a"}]},
        {"fingerprint": {"assistant": "Bikes"}},
    ],
    ids=["no rows", "no number", "no score", "half a fingerprint"],
)
def test_something_that_is_no_report_is_named(broken: Mapping[str, object]) -> None:
    """The message says which of the two, and a score that is no number passes no gate."""
    run = a_run({"a": 1.0})
    with pytest.raises(InputError, match=r"the current run is not a report.*(rows|fingerprint)"):
        gate(run, {**run, **broken})


def test_reports_without_a_row_in_common_are_refused() -> None:
    """Rows that were taken out of a file leave nothing to compare."""
    run = a_run({"a": 1.0})
    with pytest.raises(InputError, match="no example in common"):
        gate(run, {**run, "rows": []})


@pytest.mark.parametrize("threshold", [-0.1, 1.0, 5.0, float("nan")])
def test_a_threshold_that_passes_everything_is_refused(threshold: float) -> None:
    """Five is not five percent."""
    with pytest.raises(InputError, match="is no drop of a mean"):
        gate(a_run({"a": 1.0}), a_run({"a": 0.1}), threshold)


def test_the_verdict_is_plain_json() -> None:
    """What `eval gate --json` prints begins with the verdict, and holds both answers."""
    plain = judged({"a": 0.9, "b": 0.9, "c": 0.9}, {"a": 0.9, "b": 0.4, "c": 0.5}).as_json()
    assert list(plain)[:2] == ["passed", "reasons"]
    assert plain["passed"] is False
    regressions = plain["regressions"]
    assert isinstance(regressions, tuple | list)
    assert regressions[0]["before"]["answer"] == "It is 0.9."  # type: ignore[index,call-overload]
