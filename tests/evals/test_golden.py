"""Golden sets: read, checked, each mistake named with file, line and key."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from antiphon.evals.golden import load_golden
from antiphon.tools.errors import AssistantError, InputError

GOOD: dict[str, object] = {
    "id": "a",
    "kind": "answerable",
    "messages": ["How long may I return it?"],
    "expected": {"outcome": "answered", "facts": ["30 days"], "sources": ["returns.md"]},
}


def written(folder: Path, *lines: object) -> Path:
    """Write a golden set and return its path."""
    path = folder / "golden.jsonl"
    texts = [line if isinstance(line, str) else json.dumps(line) for line in lines]
    path.write_text("\n".join(texts), encoding="utf-8")
    return path


def test_the_sample_set_is_sound() -> None:
    """The set that ships loads, with ids of its own for every example."""
    sample = Path(__file__).parents[2] / "examples" / "help_centre" / "golden.jsonl"
    examples = load_golden(sample)
    assert len(examples) >= 150
    assert {"answered", "abstained", "refused"} <= {o for e in examples for o in e.expected.outcome}


def test_short_forms_are_understood(tmp_path: Path) -> None:
    """A string stands for a user's message, for one outcome, for one wording of a fact."""
    (example,) = load_golden(written(tmp_path, GOOD, ""))
    assert example.questions == ("How long may I return it?",)
    assert example.expected.outcome == ("answered",)
    assert example.expected.facts == (("30 days",),)


def test_long_forms_are_understood(tmp_path: Path) -> None:
    """Roles, several outcomes and wordings may be written out; only users' words are sent."""
    line = {
        **GOOD,
        "messages": [
            {"role": "user", "content": "Hi"},
            {"role": "assistant", "content": "Hello!"},
            {"role": "user", "content": "Returns?"},
        ],
        "expected": {"outcome": ["answered", "degraded"], "facts": [["30 days", "a month"]]},
    }
    (example,) = load_golden(written(tmp_path, line))
    assert example.questions == ("Hi", "Returns?")
    assert example.expected.outcome == ("answered", "degraded")
    assert example.expected.facts == (("30 days", "a month"),)


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("{nonsense", "golden.jsonl:2: not JSON"),
        ({**GOOD, "id": "b", "expcted": 1}, "golden.jsonl:2: expcted: unknown key; remove it"),
        ({**GOOD, "id": "b", "expected": {}}, "golden.jsonl:2: expected.outcome: Field required"),
        (
            {**GOOD, "id": "b", "expected": {"outcome": "anwsered"}},
            "golden.jsonl:2: expected.outcome.0: Input should be 'answered'",
        ),
        (GOOD, "golden.jsonl:2: id: 'a' was used before"),
        ({**GOOD, "id": "b", "messages": []}, "golden.jsonl:2: messages: Tuple should have"),
        (
            {**GOOD, "id": "b", "messages": [{"role": "assistant", "content": "x"}]},
            "golden.jsonl:2: messages: none of them is the user's",
        ),
    ],
    ids=["json", "key", "outcome", "value", "twice", "no message", "no question"],
)
def test_a_mistake_is_named_by_line_and_key(tmp_path: Path, line: object, problem: str) -> None:
    """Where, what, and how to mend it."""
    with pytest.raises(AssistantError) as caught:
        load_golden(written(tmp_path, GOOD, line))
    assert caught.value.problems[0].startswith(problem)
    assert problem in caught.value.message


def test_all_mistakes_are_named_at_once(tmp_path: Path) -> None:
    """Nobody mends a file one run at a time."""
    with pytest.raises(AssistantError) as caught:
        load_golden(written(tmp_path, "{", GOOD, "["))
    assert [int(each.split(":")[1]) for each in caught.value.problems] == [1, 3]


def test_an_empty_or_missing_set_is_no_success(tmp_path: Path) -> None:
    """Judging nothing must not look like passing."""
    with pytest.raises(AssistantError, match="no example"):
        load_golden(written(tmp_path, ""))
    with pytest.raises(InputError, match="cannot be read"):
        load_golden(tmp_path / "other.jsonl")
