"""Agreement with people: rank correlation, weighted kappa, files of ratings."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest

from antiphon.evals.ratings import agreement, kappa, load_ratings, rating_named, spearman
from antiphon.tools.errors import InputError

ROW = {
    "messages": [{"role": "user", "content": "And to Norway?"}],
    "passages": ["Delivery to Norway takes 4 working days."],
    "answer": "It takes 4 working days.",
    "reference": "4 working days.",
    "human": {"faithfulness": 4},
    "peer_scores": {"overlap": 0.5, "missing": None},
}


def saved(path: Path, *rows: object) -> Path:
    """Write rows as JSON lines."""
    path.write_text("\n".join(json.dumps(row) for row in rows) + "\n", encoding="utf-8")
    return path


def test_spearman_goes_by_ranks_and_shares_ties() -> None:
    """Worked out by hand: 1, 2.5, 2.5, 4 against 1, 2, 3, 4."""
    assert spearman([1, 10, 100], [2, 3, 4]) == pytest.approx(1)
    assert spearman([1, 10, 100], [4, 3, 2]) == pytest.approx(-1)
    assert spearman([1, 5, 5, 9], [1, 2, 3, 4]) == pytest.approx(4.5 / math.sqrt(4.5 * 5))
    assert spearman([1, 1, 1], [1, 2, 3]) == 0


def test_kappa_is_agreement_beyond_chance() -> None:
    """Worked out by hand: 3 of 4 agree, 1 in 2 by chance; by squares far misses weigh more."""
    assert kappa([0, 0, 1, 1], [0, 0, 1, 0]) == pytest.approx(0.5)
    assert kappa([2, 2], [2, 2]) == 1
    near = kappa([1, 2, 3, 4], [1, 2, 3, 3], lambda a, b: (a - b) ** 2)
    far = kappa([1, 2, 3, 4], [1, 2, 3, 1], lambda a, b: (a - b) ** 2)
    assert far < near < 1


def test_marks_are_stretched_over_the_ratings_scale() -> None:
    """What agrees on a scale from 1 to 5 has kappa 1, and one step off has less."""
    ratings = [1, 2, 3, 4, 5, 1.2]
    found = agreement([0, 0.25, 0.5, 0.75, 1, 0.1], ratings)
    assert (found.rows, found.kappa) == (6, 1)
    assert found.spearman > 0.9
    assert found.low <= found.spearman <= found.high
    assert agreement([0, 0.25, 0.5, 0.5, 1, 0.1], ratings).kappa < 1


def test_an_interval_is_wider_where_answers_share_a_question() -> None:
    """Forty answers to four questions tell less than forty to forty, and the same each time."""
    marks = [n % 7 / 7 for n in range(40)]
    ratings = [(n % 7) + 3 * (n // 10) for n in range(40)]
    alone = agreement(marks, ratings)
    grouped = agreement(marks, ratings, groups=[str(n // 10) for n in range(40)])
    assert grouped.high - grouped.low != alone.high - alone.low
    assert grouped == agreement(marks, ratings, groups=[str(n // 10) for n in range(40)])
    with pytest.raises(ValueError, match="cannot be compared"):
        agreement([0.5], [1, 2])


def test_ratings_are_read_with_what_evaluators_see(tmp_path: Path) -> None:
    """The last message is the question; the model answer is shown only where asked for."""
    (row,) = load_ratings(saved(tmp_path / "rated.jsonl", ROW))
    assert row.peer_scores == {"overlap": 0.5}
    assert row.sample().question == "And to Norway?"
    assert (row.sample().reference, row.sample(reference=True).reference) == ("", "4 working days.")
    assert row.sample().evidence == tuple(ROW["passages"])  # type: ignore[arg-type]
    assert rating_named([row], "faithfulness") == {0: 4}
    with pytest.raises(InputError, match="nobody rated 'tone'") as raised:
        rating_named([row], "tone")
    assert "faithfulness" in raised.value.hint


@pytest.mark.parametrize(
    ("row", "what"),
    [
        ({**ROW, "human": {"faithfulness": "good"}}, "human.faithfulness"),
        ({**ROW, "human": {"faithfulness": math.nan}}, "human.faithfulness"),
        ({**ROW, "messages": []}, "messages"),
        ({name: ROW[name] for name in ROW if name != "passages"}, "passages"),
        ([], "dictionary"),
    ],
    ids=["a word", "not a number", "no question", "no passages", "a list"],
)
def test_a_line_that_is_no_rating_is_named(tmp_path: Path, row: object, what: str) -> None:
    """By file, line and field; a line separator within a text ends no line."""
    good = {**ROW, "answer": "Four\u2028days."}
    with pytest.raises(InputError, match=r"rated\.jsonl:2: ") as raised:
        load_ratings(saved(tmp_path / "rated.jsonl", good, row))
    assert what in raised.value.message
