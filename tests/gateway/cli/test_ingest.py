"""`antiphon ingest`: what it is given, what it says, and what it will not do."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from antiphon.gateway.cli import main


def report(capsys: pytest.CaptureFixture[str], *arguments: str) -> dict[str, object]:
    assert 0 == main(["ingest", *arguments, "--json"])
    told: dict[str, object] = json.loads(capsys.readouterr().out)
    return told


def test_options_reach_what_is_stored(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A second run with the same options changes nothing, with others it does."""
    (tmp_path / "a.txt").write_text("Write to jo.doe@example.org today.")
    path = str(tmp_path / "a.txt")

    assert 1 == report(capsys, path, "--redact", "--tenant", "t")["added"]
    assert 1 == report(capsys, path, "--redact", "--tenant", "t")["unchanged"]
    assert 1 == report(capsys, path, "--tenant", "t")["added"]
    assert 1 == report(capsys, path, "--tenant", "t", "--label", "staff")["added"]


def test_what_is_stored_can_be_embedded_anew(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """`--reindex` says how many passages it was; `--migrate` that there was nothing to do."""
    (tmp_path / "a.txt").write_text("Three days.")
    report(capsys, str(tmp_path / "a.txt"), "--tenant", "t")

    assert 1 == report(capsys, "--reindex", "--tenant", "t")["passages"]
    assert 0 == report(capsys, "--migrate")["embedded"]


@pytest.mark.parametrize(
    "arguments",
    [[], ["--migrate", "--reindex"], ["README.md", "--migrate"], ["/no/such"]],
    ids=["nothing", "both", "paths too", "missing"],
)
def test_misuse_is_told(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """Exit code 2, and nothing is touched."""
    assert 2 == main(["ingest", *arguments])
    assert "--help" in capsys.readouterr().err


def test_a_page_of_this_machine_is_not_fetched(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A list of addresses is read line by line; each that is refused says why."""
    (tmp_path / "urls.txt").write_text("http://127.0.0.1:9/a\nhttp://localhost:9/b\n")

    assert 1 == main(["ingest", str(tmp_path / "urls.txt"), "--urls", "--tenant", "t"])

    told = capsys.readouterr().err
    assert 2 == told.count("private network")
