from __future__ import annotations

from pathlib import Path

import pytest

from antiphon.evals.golden import load_golden
from antiphon.graphs.assistant import load_assistant
from antiphon.graphs.checks import check_assistant

TOOLS = '''
def order_status(number: str) -> str:
    """Say where an order is.

    Args:
        number: The order's number.
    """
    return number
'''
GOOD = """\
name: Shop
intents:
  declared:
    - name: orders
      needs: [tools]
      tools: [order_status]
      examples: [Where is my order?, Track my parcel]
tools:
  - path: tools:order_status
"""
BROKEN = {
    "unknown key": ("name: Shop\n", "name: Shop\ncolour: red\n", 2, "colour"),
    "wrong type": ("name: Shop\n", "name: Shop\nknowledge: {top_k: many}\n", 2, "knowledge.top_k"),
    "not yaml": ("name: Shop\n", "name: [Shop\n", 2, ""),
    "no knowledge": (
        "name: Shop\n",
        "name: Shop\nknowledge:\n  paths: [nowhere]\n",
        3,
        "knowledge.paths[0]",
    ),
    "unknown tool": ("[order_status]", "[order_stat]", 6, "intents.declared[0].tools[0]"),
    "unused tools": ("needs: [tools]", "needs: []", 6, "intents.declared[0].tools"),
    "missing tool": ("tools:order_status", "tools:order_gone", 9, "tools[0].path"),
    "effects": (
        "tools:order_status\n",
        "tools:order_status\n    side_effects: true\n",
        10,
        "tools[0].side_effects",
    ),
    "unknown argument": (
        "tools:order_status\n",
        "tools:order_status\n    ask: {nr: Which?}\n",
        10,
        "tools[0].ask.nr",
    ),
    "unknown guard": (
        "name: Shop\n",
        "name: Shop\nguards:\n  input: [size, injektion]\n",
        3,
        "guards.input[1]",
    ),
    "unknown place": (
        "name: Shop\n",
        'name: Shop\nwording: {clarify: "{option}?"}\n',
        2,
        "wording.clarify",
    ),
    "no golden set": ("name: Shop\n", "name: Shop\ngolden: lost.jsonl\n", 2, "golden"),
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Write a small assistant without a mistake."""
    (tmp_path / "assistant.yaml").write_text(GOOD)
    (tmp_path / "tools.py").write_text(TOOLS)
    (tmp_path / "knowledge").mkdir()
    (tmp_path / "knowledge" / "orders.md").write_text("# Orders\n\nWe pack orders daily.\n")
    return tmp_path


def test_a_good_folder_has_no_problems(folder: Path) -> None:
    """Nothing is found where nothing is wrong."""
    assert check_assistant(folder) == ()


@pytest.mark.parametrize(("old", "new", "line", "key"), BROKEN.values(), ids=BROKEN)
def test_each_mistake_is_placed(folder: Path, old: str, new: str, line: int, key: str) -> None:
    """A planted mistake is found once, at its line and key, with a remedy."""
    assert old in GOOD
    (folder / "assistant.yaml").write_text(GOOD.replace(old, new, 1))
    (problem,) = [p for p in check_assistant(folder) if p.key == key]
    assert (problem.file, problem.line) == ("assistant.yaml", line)
    assert problem.message
    assert problem.remedy


def test_off_is_a_word_and_no_truth_value(folder: Path) -> None:
    """What an incident leads to is written as people write it."""
    (folder / "assistant.yaml").write_text(GOOD + "incidents: {model_outage: off}\n")
    assert check_assistant(folder, read_golden=load_golden) == ()
    form = load_assistant(folder)
    assert (form.incidents.model_outage, form.incidents.cost_spike) == ("off", "advised")


def test_a_mistake_in_tools_is_placed_there(folder: Path) -> None:
    """Code that does not load is pointed at in tools.py."""
    (folder / "tools.py").write_text("import json\n\nraise ValueError('no key')\n")
    (problem,) = [p for p in check_assistant(folder) if p.file == "tools.py"]
    assert problem.line == 3
    assert "no key" in problem.message


def test_a_prompt_that_does_not_fit_is_told(folder: Path) -> None:
    """A prompt of one's own without front matter is a problem of the prompts folder."""
    (folder / "prompts").mkdir()
    (folder / "prompts" / "respond.md").write_text("Be brief.")
    (problem,) = check_assistant(folder)
    assert problem.file == "prompts"
    assert "respond.md" in problem.message


def test_the_golden_set_is_read(folder: Path) -> None:
    """A broken line of the golden set is a problem of that file."""
    (folder / "golden.jsonl").write_text('\n{"id": \n')
    (problem,) = check_assistant(folder, read_golden=load_golden)
    assert (problem.file, problem.line) == ("golden.jsonl", 2)


def test_a_folder_without_an_assistant_is_one_problem(tmp_path: Path) -> None:
    """An empty folder is told, with how to make an assistant."""
    (problem,) = check_assistant(tmp_path)
    assert "antiphon init" in problem.remedy
