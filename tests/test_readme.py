"""The README says what is true: commands exist, links lead somewhere, settings are real."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path

import pytest

from antiphon.gateway.cli import app
from antiphon.graphs.assistant import Assistant
from antiphon.graphs.settings import Settings

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text("utf-8")
SHELL = re.findall(r"^```sh\n(.*?)^```", README, re.MULTILINE | re.DOTALL)
COMMANDS = [line for block in SHELL for line in block.splitlines() if line.startswith("antiphon ")]


def test_the_first_two_blocks_are_the_two_commands() -> None:
    """One line each: set up and ask; install for the tests and run them."""
    first, second = (block.strip() for block in SHELL[:2])
    assert "\n" not in first
    assert "\n" not in second
    assert first.startswith("python3 -m venv .venv")
    assert ".venv/bin/antiphon ask" in first
    assert second.endswith("-m pytest -q")


@pytest.mark.parametrize("line", COMMANDS)
def test_each_command_of_the_tour_exists(line: str) -> None:
    """Every `antiphon NAME` is a command, and its options are known to it."""
    import click
    import typer

    _, name, *rest = shlex.split(line)
    group = typer.main.get_command(app)
    assert isinstance(group, click.Group)
    command = group.commands[name]
    known = {option for each in _all(command) for option in each}
    assert {word for word in rest if word.startswith("--")} <= known


def _all(command: object) -> list[list[str]]:
    import click

    assert isinstance(command, click.Command)
    found = [parameter.opts for parameter in command.params]
    for inner in getattr(command, "commands", {}).values():
        found += _all(inner)
    return found


def test_each_setting_named_is_a_setting() -> None:
    """No variable is promised that nothing reads; the example file names them all."""
    known = {f"ANTIPHON_{name.upper()}" for name in Settings.model_fields}
    assert set(re.findall(r"ANTIPHON_[A-Z_]+", README)) <= known
    example = (ROOT / ".env.example").read_text("utf-8")
    assert known <= set(re.findall(r"ANTIPHON_[A-Z_]+", example))


def test_links_lead_somewhere() -> None:
    """Every relative link of the README is a file."""
    links = re.findall(r"\]\((?!https?:)([^)#]+)", README)
    assert links
    assert [link for link in links if not (ROOT / link).exists()] == []


def test_the_published_schema_is_the_form() -> None:
    """Editors are given the schema that `antiphon check` enforces."""
    published = json.loads((ROOT / "examples/starter/assistant.schema.json").read_text("utf-8"))
    assert published == Assistant.model_json_schema()
