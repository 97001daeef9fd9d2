"""`antiphon eval calibrate`, and what a report then says of an evaluator."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from antiphon.gateway.cli import main

Run = Callable[..., Any]
PAGES = (
    "Parcels to Norway arrive after 4 working days, and delivery is free from 150 EUR.",
    "Lamps are repaired in our workshop in Bergen, which takes two weeks in most cases.",
    "The museum lends audio guides at the desk, for a deposit that is paid back.",
)
OTHERS = "Our gardens were laid out by monks and hold many roses of every old kind there is."


@pytest.fixture(scope="module")
def bot(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small assistant that declares an evaluator, and `rated.jsonl` beside it."""
    folder = tmp_path_factory.mktemp("calibrate") / "bot"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ANTIPHON_DATA_DIR", str(folder.parent / "data"))
        assert main(["init", str(folder)]) == 0
    with (folder / "assistant.yaml").open("a", encoding="utf-8") as file:
        file.write("\nevaluators:\n  - name: grounded\n    use: faithfulness\n")
    lines = [
        {"task": page, "messages": [{"role": "user", "content": "What holds?"}],
         "passages": [page], "answer": answer, "human": {"faithfulness": rating}}
        for page in PAGES
        for answer, rating in ((page, 5), (f"{page} {OTHERS}", 3), (OTHERS, 1))
    ]  # fmt: skip
    rated = "\n".join(map(json.dumps, lines))
    (folder.parent / "rated.jsonl").write_text(rated, encoding="utf-8")
    return folder


@pytest.fixture
def run(bot: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Run a command of `eval` on the assistant with --json and read what it printed."""
    monkeypatch.setenv("ANTIPHON_DATA_DIR", str(bot.parent / "data"))

    def command(*arguments: str, code: int = 0) -> Any:
        capsys.readouterr()
        assert main(["eval", *arguments, "--assistant", str(bot), "--json"]) == code
        printed = capsys.readouterr()
        return json.loads(printed.out or printed.err)

    return command


def test_an_evaluator_is_calibrated_and_a_report_says_so(bot: Path, run: Run) -> None:
    """Never calibrated before, then with its agreement; the overall score is the same."""
    data = str(bot.parent / "rated.jsonl")
    before = run("run")
    assert before["evaluators"]["grounded"]["agreement"] is None
    assert "never calibrated" in before["evaluators"]["grounded"]["said"]
    assert "grounded" in before["metrics"]
    made = run("calibrate", "--data", data, "--evaluator", "grounded", "--rating", "faithfulness")
    assert made["agreement"]["spearman"] > 0.9
    assert made["agreement"]["rows"] == 9
    after = run("run")
    assert after["evaluators"]["grounded"]["agreement"] == made["agreement"]
    assert after["overall"] == before["overall"]


def test_mistakes_are_told_before_anything_is_judged(bot: Path, run: Run) -> None:
    """An evaluator or a rating that is not there; nothing is noted."""
    (bot / "calibration.json").unlink(missing_ok=True)
    data = str(bot.parent / "rated.jsonl")
    nobody = run("calibrate", "--data", data, "--evaluator", "nobody",
                 "--rating", "faithfulness", code=2)  # fmt: skip
    assert "grounded" in nobody["error"]["hint"]
    unrated = run("calibrate", "--data", data, "--evaluator", "grounded", code=2)
    assert "nobody rated 'grounded'" in unrated["error"]["message"]
    assert not (bot / "calibration.json").exists()
