"""`antiphon eval run --save` and `eval gate`: on a small assistant that is changed in between."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from antiphon.gateway.cli import main

Run = Callable[..., Any]
Edit = Callable[[str, str, str], None]
OURS = {"declaration", "model", "prompt", "knowledge", "arithmetic"}
"""What a test may change; the code may be edited while it runs."""
PAGE = "knowledge/getting-started.md"


@pytest.fixture(scope="module")
def bot(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small assistant, as `init` writes it, and its baseline `base.json`."""
    folder = tmp_path_factory.mktemp("gate") / "bot"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ANTIPHON_DATA_DIR", str(folder.parent / "data"))
        assert main(["init", str(folder)]) == 0
        saved = str(folder.parent / "base.json")
        assert main(["eval", "run", "--assistant", str(folder), "--save", saved, "--json"]) == 0
    return folder


@pytest.fixture
def base(bot: Path) -> Path:
    """The baseline of the unchanged assistant."""
    return bot.parent / "base.json"


@pytest.fixture
def gate(
    bot: Path, base: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Run:
    """Run `eval gate --json` on the assistant and read what it printed."""
    monkeypatch.setenv("ANTIPHON_DATA_DIR", str(bot.parent / "data"))

    def run(*arguments: str, code: int = 0, baseline: Path = base) -> Any:
        given = ["eval", "gate", "--baseline", str(baseline), *arguments, "--json"]
        capsys.readouterr()
        assert main(given) == code
        printed = capsys.readouterr()
        return json.loads(printed.out or printed.err)

    return run


@pytest.fixture
def edited(bot: Path) -> Iterator[Edit]:
    """Replace a word in one of the assistant's files until the test is over."""
    kept: dict[Path, str] = {}

    def edit(name: str, old: str, new: str) -> None:
        path = bot / name
        text = kept.setdefault(path, path.read_text("utf-8"))
        assert old in text
        path.write_text(text.replace(old, new), encoding="utf-8")

    yield edit
    for path, text in kept.items():
        path.write_text(text, encoding="utf-8")


def test_a_saved_report_has_a_line_a_row_and_names_what_it_was_made_with(base: Path) -> None:
    """So that a row is found by its id."""
    text = base.read_text("utf-8")
    report = json.loads(text)
    rows = [line for line in text.split("\n") if line.lstrip().startswith('{"id"')]
    assert len(rows) == len(report["rows"]) == report["examples"]
    assert report["fingerprint"]["examples"].keys() == {row["id"] for row in report["rows"]}
    assert report["fingerprint"]["varies"] is False


def test_the_same_assistant_passes_asked_once_or_twice(gate: Run, bot: Path) -> None:
    """Nothing was changed, nothing varies; repeats are counted as such."""
    verdict = gate("--assistant", str(bot), "--repeat", "2")
    assert (verdict["passed"], verdict["regressions"]) == (True, [])
    assert OURS.isdisjoint(verdict["changed"])
    assert verdict["steady"] is True
    assert verdict["difference"] == 0.0


def test_a_page_with_another_figure_fails_with_both_answers(
    gate: Run, bot: Path, edited: Edit
) -> None:
    """The answer is as fluent as before and says four days instead of fourteen."""
    edited(PAGE, "lasts 14 days", "lasts 4 days")
    verdict = gate("--assistant", str(bot), code=1)
    assert OURS & set(verdict["changed"]) == {"knowledge"}
    assert verdict["broken"] == ["trial"]
    (worse,) = (each for each in verdict["regressions"] if each["id"] == "trial")
    assert "facts" in worse["broken"]
    assert "lasts 14 days" in worse["before"]["answer"]
    assert "lasts 4 days" in worse["now"]["answer"]


def test_the_terminal_shows_the_reason_and_both_answers(
    bot: Path,
    base: Path,
    edited: Edit,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Readable, with what was changed; control characters of an answer reach nobody."""
    edited(PAGE, "lasts 14 days", "lasts 4\x1b[31m days")
    monkeypatch.setenv("ANTIPHON_DATA_DIR", str(bot.parent / "data"))
    capsys.readouterr()
    assert main(["eval", "gate", "--baseline", str(base), "--assistant", str(bot)]) == 1
    shown = capsys.readouterr().out
    assert "Gate failed" in shown
    assert "no longer what they must be: trial" in shown
    assert "changed: knowledge" in shown
    assert "no longer holds: facts" in shown
    assert "14 days and needs" in shown
    assert "[31m" in shown
    assert "\x1b" not in shown


def test_another_golden_set_is_refused_before_anything_is_asked(
    gate: Run, bot: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The set is named by its examples, and a paid run is not wasted."""

    def never(*_: object, **__: object) -> None:
        raise AssertionError("an example was asked")

    monkeypatch.setattr("antiphon.evals.run.judge", never)
    other = tmp_path / "other.jsonl"
    line = json.loads((bot / "golden.jsonl").read_text("utf-8").split("\n")[0])
    line["expected"]["facts"] = ["15 days"]
    other.write_text(json.dumps(line) + "\n")
    error = gate("--assistant", str(bot), "--golden", str(other), code=2)["error"]
    assert "another golden set" in error["message"]
    assert "changed: trial" in error["message"]
    assert "--save" in error["hint"]


def test_another_assistant_is_refused(gate: Run, bot: Path, edited: Edit) -> None:
    """Though it is asked the same questions."""
    edited("assistant.yaml", "name: My assistant", "name: Their assistant")
    error = gate("--assistant", str(bot), code=2)["error"]
    assert "'My assistant'" in error["message"]
    assert "'Their assistant'" in error["message"]


def test_a_saved_report_is_judged_without_a_run(gate: Run, base: Path, tmp_path: Path) -> None:
    """Two files are enough; options of a run do not go with them."""
    report = json.loads(base.read_text("utf-8"))
    for row in report["rows"]:
        row["overall"] -= 0.2
    report["fingerprint"]["prompt"] = "other"
    now = tmp_path / "now.json"
    now.write_text(json.dumps(report))
    verdict = gate("--report", str(now), code=1)
    assert verdict["detected"] is True
    assert verdict["reasons"][0].startswith("overall fell by 0.200")
    assert (
        "judged as it is" in gate("--report", str(now), "--repeat", "3", code=2)["error"]["message"]
    )


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "not a saved report"),
        ("[]", "no JSON object"),
        ('{"rows": []', "not a saved report"),
        ('{"overall": 1.0}', "the baseline is not a report"),
        ('{"overall": 1.0, "rows": [{"id": "a", "overall": 1}]}', "what it was made with"),
    ],
    ids=["empty", "a list", "cut off", "no rows", "of an earlier release"],
)
def test_a_file_that_is_no_baseline_is_told(
    gate: Run, tmp_path: Path, bot: Path, text: str, told: str
) -> None:
    """Exit 2, before anything is asked, with how to make a new one."""
    wrong = tmp_path / "wrong.json"
    wrong.write_text(text)
    error = gate("--assistant", str(bot), baseline=wrong, code=2)["error"]
    assert told in error["message"]


def test_a_baseline_that_is_not_there_is_told(gate: Run, tmp_path: Path) -> None:
    """By its name."""
    error = gate(baseline=tmp_path / "nowhere.json", code=2)["error"]
    assert "nowhere.json" in error["message"]


@pytest.mark.parametrize("threshold", ["5", "nan", "-0.01"])
def test_a_threshold_that_is_no_share_is_refused(gate: Run, base: Path, threshold: str) -> None:
    """Five is not five percent."""
    error = gate("--report", str(base), "--threshold", threshold, code=2)["error"]
    assert "threshold" in error["message"]
