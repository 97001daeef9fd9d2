"""Commands over the real runtime: the sample assistant in a data folder of its own."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from antiphon.gateway.cli import main

Run = Callable[..., Any]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Run a command with --json and read what it printed."""
    monkeypatch.setenv("ANTIPHON_DATA_DIR", str(tmp_path / "data"))

    def run(*arguments: str, code: int = 0) -> Any:
        assert main([*arguments, "--json"]) == code
        captured = capsys.readouterr()
        return json.loads(captured.err if code and not captured.out else captured.out)

    return run


@pytest.fixture
def shop(tmp_path: Path) -> str:
    """A small assistant, as `init` writes it."""
    folder = str(tmp_path / "shop")
    assert main(["init", folder]) == 0
    return folder


def test_a_thread_can_be_looked_at_replayed_and_forked(
    run: Run, shop: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """`debug` lists the steps of what `ask` did; replay and fork run on in threads of their own."""
    capsys.readouterr()
    here = ("--assistant", shop)
    turn = run("ask", "What can you help me with?", "--thread", "first", *here)
    assert turn["thread_id"] == "first"
    steps = run("debug", "first", *here)["steps"]
    nodes = [step["node"] for step in steps]
    assert [node for node in nodes if node in turn["path"]] == turn["path"]
    place = next(step["step"] for step in steps if "guard_output" in step["next"])
    replayed = run("debug", "replay", "first", "--step", str(place), *here)
    assert replayed["thread_id"] != "first"
    assert replayed["answer"] == turn["answer"]
    forked = run(
        "debug", "fork", "first", "--step", str(place), "--set", '{"nope": 1}', *here, code=2
    )
    assert "nope" in forked["error"]["message"]


def test_a_thread_that_is_not_there(
    run: Run, shop: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """An unknown thread exits 2 with its code."""
    capsys.readouterr()
    error = run("debug", "nowhere", "--assistant", shop, code=2)["error"]
    assert error["code"] == "unknown_thread"


def test_ingested_text_is_found(
    run: Run, shop: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """What `ingest` reads, `search` finds, for that tenant; a dry run changes nothing."""
    capsys.readouterr()
    page = tmp_path / "quokka.md"
    page.write_text("# Quokka care\n\nOur office quokka naps at noon in the greenhouse.\n")
    here = ("--assistant", shop, "--tenant", "zoo")
    assert run("ingest", str(page), "--dry-run", *here)["added"] == 1
    found = run("search", "when does the quokka nap", *here)["hits"]
    assert all(hit["source"] != "quokka.md" for hit in found)
    assert run("ingest", str(page), *here)["added"] == 1
    assert run("search", "when does the quokka nap", *here)["hits"][0]["source"] == "quokka.md"


def test_the_table_keeps_its_promises(
    run: Run, shop: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """`graph --check` proves the properties of all three graphs, and each can be drawn."""
    capsys.readouterr()
    for name in ("conversation", "ingest", "incident"):
        checked = run("graph", "--name", name, "--check", "--assistant", shop)
        assert checked["ok"], checked
        drawn = tmp_path / f"{name}.svg"
        run("graph", "--name", name, "--output", str(drawn), "--assistant", shop)
        assert drawn.read_text().startswith("<svg ")


def test_doctor_is_content_with_nothing_configured(
    run: Run, shop: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """With no server and no key nothing has failed, and the knowledge is there."""
    capsys.readouterr()
    report = run("doctor", "--assistant", shop)
    assert report["ok"]
    assert {"knowledge", "embedder", "model"} <= {row["name"] for row in report["checks"]}
