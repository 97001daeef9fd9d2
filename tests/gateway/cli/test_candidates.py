"""A golden set grows on the command line: from turns, users' words and pages, by a person's yes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from lantern import FACT, QUESTION, Shop

from antiphon.evals.golden import load_golden


@pytest.fixture
def turn(lanterns: Shop) -> str:
    """Return the id of a turn of alice's."""
    done = lanterns.here("ask", QUESTION, "--thread", "t", "--user", "alice")
    found: str = done.json["turn_id"]
    return found


def test_a_turn_becomes_a_golden_line(lanterns: Shop, turn: str, tmp_path: Path) -> None:
    """Added, listed, accepted with an edit: then it is in the file and no longer waits."""
    golden = tmp_path / "golden.jsonl"
    added = lanterns.here("eval", "add", turn, "--user", "alice")
    assert (added.code, added.json["origin"], added.json["state"]) == (0, "turn", "proposed")
    assert FACT in added.json["example"]["reference"]
    name = added.json["id"]
    assert [one["id"] for one in lanterns.here("eval", "candidates").json["candidates"]] == [name]

    edit = json.dumps({"id": "burns", "expected": {"facts": [FACT]}})
    to = ("--golden", str(golden))
    done = lanterns.here("eval", "accept", name, "--edit", edit, *to)
    assert (done.code, done.json["id"], done.json["examples"]) == (0, "burns", 1)
    assert len(done.json["version"]) == 16
    [example] = load_golden(golden)
    assert example.expected.facts == ((FACT,),)
    assert lanterns.here("eval", "candidates").json["candidates"] == []
    again = lanterns.here("eval", "accept", name, *to)
    assert (again.code, again.error["message"]) == (2, f"candidate '{name}' was accepted before")


def test_a_users_word_is_kept_and_may_be_rejected(lanterns: Shop, turn: str) -> None:
    """The last word counts; a thumb down offers no reference; what is rejected stays so."""
    lanterns.here("eval", "feedback", turn, "--up", "--user", "alice")
    told = lanterns.here(
        "eval", "feedback", turn, "--down", "--comment", "mail dana@mail.example", "--user", "alice"
    )
    assert (told.json["rating"], told.json["comment"]) == ("down", "mail <EMAIL_1>")
    assert "expected" not in told.json["example"]
    name = told.json["id"]
    unfit = lanterns.here("eval", "accept", name)
    assert unfit.code == 2
    assert "expected: Field required" in unfit.error["message"]

    assert lanterns.here("eval", "reject", name).json["state"] == "rejected"
    assert lanterns.here("eval", "reject", name).code == 2
    told = lanterns.here("eval", "feedback", turn, "--up", "--user", "alice")
    assert (told.json["rating"], told.json["state"]) == ("up", "rejected")
    [one] = lanterns.here("eval", "candidates", "--all").json["candidates"]
    assert one["state"] == "rejected"


@pytest.mark.parametrize(
    ("command", "said"),
    [
        (("add", "TURN", "--user", "bob"), "belongs to another user"),
        (("add", "TURN"), "belongs to another user"),
        (("add", "TURN", "--user", "alice", "--tenant", "other"), "there is no turn"),
        (("feedback", "TURN", "--up", "--user", "bob"), "belongs to another user"),
        (("add", "nonsense"), "there is no turn"),
        (("accept", "nonsense"), "there is no candidate"),
        (("accept", "nonsense", "--edit", "{"), "not JSON"),
        (("accept", "nonsense", "--edit", "[1]"), "no JSON object"),
        (("reject", "nonsense"), "there is no candidate"),
    ],
)
def test_what_is_not_there_or_not_theirs_is_refused(
    lanterns: Shop, turn: str, command: tuple[str, ...], said: str
) -> None:
    """An error of one line, and nothing kept."""
    done = lanterns.here("eval", *(turn if word == "TURN" else word for word in command))
    assert done.code == 2
    assert said in done.error["message"]
    assert lanterns.here("eval", "candidates", "--all").json["candidates"] == []


def test_pages_are_proposed_from(lanterns: Shop, tmp_path: Path) -> None:
    """From the tenant's knowledge or a folder, also into a file; the second run finds no more."""
    out = tmp_path / "out.jsonl"
    done = lanterns.here("eval", "synth", "--count", "50", "--out", str(out))
    assert done.err == ""
    asked = [one["example"]["messages"][0] for one in done.json["candidates"]]
    assert "A copper lantern burns for how many hours on one filling?" in asked
    assert any(FACT not in one and one.startswith("Is it true that") for one in asked)
    rows = [json.loads(row) for row in out.read_text("utf-8").split("\n") if row]
    assert rows == done.json["candidates"]
    assert {row["state"] for row in rows} == {"proposed"}
    assert lanterns.here("eval", "synth", "--count", "50").json["candidates"] == []

    folder = tmp_path / "pages"
    folder.mkdir()
    (folder / "oil.md").write_text("# Oil\n\nA can of lamp oil holds 12 kg of oil in all.\n")
    (folder / "broken.md").write_bytes(b"\xff\xfe\xfa")
    done = lanterns.here("eval", "synth", "--corpus", str(folder), "--count", "1")
    [one] = done.json["candidates"]
    assert one["example"]["expected"]["sources"] == ["oil.md"]
    assert len(done.json["failed"]) == 1
