"""The bench of the metrics: pairs in the right order, ties, kinds, and the project's own data."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from antiphon.evals.bench import metrics
from antiphon.evals.bench.metrics import Answer, told
from antiphon.tools.errors import InputError

ROW = {
    "id": "ferry",
    "question": "When does the first ferry leave?",
    "reference": "The first ferry leaves at 7:30 on weekdays.",
    "evidence": ["The first ferry leaves at 7:30 on weekdays and at 9:00 on Sundays."],
    "answers": [
        {"kind": "reference", "good": True, "text": "The first ferry leaves at 7:30 on weekdays."},
        {
            "kind": "paraphrase",
            "good": True,
            "text": "From Monday to Friday, half past seven: 7:30.",
        },
        {"kind": "numbers_changed", "good": False, "text": "The first ferry leaves at 7:20."},
        {"kind": "empty_promise", "good": False, "text": "We will find out for you right away."},
    ],
}


def an_answer(row: str, kind: str, overall: float) -> Answer:
    """Return an answer that scored so much; a reference or a paraphrase is good."""
    good = kind in {"reference", "paraphrase"}
    return Answer(row=row, kind=kind, good=good, scores={"overall": overall})


def test_a_tie_is_not_told() -> None:
    """Two of four pairs are in order, one is a tie, one is wrong; rows are not mixed."""
    answers = [
        an_answer("a", "reference", 0.9),
        an_answer("a", "paraphrase", 0.7),
        an_answer("a", "opposite", 0.7),
        an_answer("a", "echo", 0.8),
        an_answer("b", "echo", 0.99),
    ]
    assert told(answers) == 0.5
    assert told(answers, kind="opposite") == 0.5
    assert told(answers, kind="echo") == 0.5
    assert told(answers, kind="cut") is None


async def test_the_bench_reports_kinds_and_metrics(tmp_path: Path) -> None:
    """Figures by their contract's names, a row a kind with means."""
    data = tmp_path / "ferry.jsonl"
    data.write_text(json.dumps(ROW) + "\n", "utf-8")
    report: Any = await metrics.run(data)
    figures = report["figures"]
    assert figures["questions"] == 1
    assert figures["answers"] == 4
    assert figures["errors"] == 0
    assert figures["told"] == 1.0
    assert figures["told:numbers_changed"] == figures["told:empty_promise"] == 1.0
    assert -0.01 <= figures["paraphrase_gap"] < 0.2
    assert [row["kind"] for row in report["rows"]] == [
        "paraphrase", "reference", "empty_promise", "numbers_changed",
    ]  # fmt: skip
    assert report["rows"][3]["factual_accuracy"] < 0.3


async def test_the_projects_own_data_needs_no_path() -> None:
    """Two of its questions: every kind is there and most pairs are told."""
    report: Any = await metrics.run(limit=2)
    assert report["data"] == "the project's own"
    assert report["figures"]["told"] > 0.9
    assert {row["kind"] for row in report["rows"]} >= {
        "reference", "paraphrase", "other_language", "opposite", "numbers_changed",
        "condition_or_entity_changed", "true_but_beside_the_point", "not_in_source",
        "empty_promise", "question_echoed", "reference_cut", "injection_obeyed",
    }  # fmt: skip


def test_the_projects_own_data_is_whole() -> None:
    """At least 40 questions, each with good answers and bad ones, none said twice."""
    rows = metrics._own()
    assert len(rows) >= 40
    for row in rows:
        answers: Any = row["answers"]
        assert {one["good"] for one in answers} == {True, False}
        assert len({one["text"] for one in answers}) == len(answers), row["id"]


@pytest.mark.parametrize(
    "broken",
    [
        "not json",
        json.dumps({key: value for key, value in ROW.items() if key != "reference"}),
        json.dumps({**ROW, "answers": []}),
        json.dumps({**ROW, "evidence": "a text"}),
        json.dumps({**ROW, "answers": [{"kind": "reference", "good": "yes", "text": "x"}]}),
        json.dumps({**ROW, "answers": [{"kind": "reference", "good": True}]}),
    ],
    ids=["json", "no reference", "no answers", "evidence", "good", "no text"],
)
async def test_broken_data_is_refused_by_line(tmp_path: Path, broken: str) -> None:
    """The file and the line are named."""
    data = tmp_path / "broken.jsonl"
    data.write_text(json.dumps(ROW) + "\n" + broken + "\n", "utf-8")
    with pytest.raises(InputError, match=r"broken\.jsonl:2"):
        await metrics.run(data)


async def test_an_empty_file_is_refused(tmp_path: Path) -> None:
    """Nothing to judge is no result."""
    data = tmp_path / "empty.jsonl"
    data.write_text("\n", "utf-8")
    with pytest.raises(InputError, match="no questions"):
        await metrics.run(data)
