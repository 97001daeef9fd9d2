"""A lantern shop: a small assistant whose commands run as real processes on a data folder."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from antiphon.gateway.cli import main

ASSISTANT = """\
id: lantern
name: Lantern shop
description: Sells lanterns in an invented town.
knowledge:
  paths: [knowledge]
intents:
  declared:
    - name: lanterns
      label: lanterns and the shop
      needs: [knowledge]
      examples:
        - How long does a copper lantern burn?
        - When does the shop open?
        - What does a copper lantern cost?
        - How do I fill a lantern?
    - name: stock
      label: what is in stock
      needs: [tools]
      tools: [count_stock]
      examples:
        - Count the stock for me
        - Check the stock please
        - Is anything left in stock?
tools:
  - path: tools:count_stock
    reply: "There are {count} lanterns."
    examples: [Count the stock for me]
"""
PAGE = """\
---
title: Copper lantern
---
# Copper lantern

A copper lantern burns for 41 hours on one filling. A copper lantern costs 63 EUR.

## Opening hours

The shop opens at 10 in the morning on every day but Monday.
"""
SECRET = "SWORDFISH-4711"
TOOLS = f'''\
"""A tool whose service is down."""

from langchain_core.tools import tool


@tool
def count_stock() -> int:
    """Count the lanterns in stock."""
    raise RuntimeError("cannot log in with {SECRET}")
'''
QUESTION = "How long does a copper lantern burn?"
FACT = "41 hours"
WAIT_S = 120


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """How a command ended."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """What it printed on standard output."""
        return json.loads(self.out)

    @property
    def error(self) -> dict[str, str]:
        """The error it reported; nothing else may be on standard error, nor a traceback."""
        found: dict[str, str] = json.loads(self.err)["error"]
        return found


@dataclass(frozen=True, slots=True, kw_only=True)
class Shop:
    """Runs commands of the lantern shop."""

    assistant: Path
    data: Path
    environment: Mapping[str, str] = field(default_factory=dict)
    prelude: str = ""
    """Python that the process runs before it becomes the command."""

    @property
    def files(self) -> Path:
        """Where the assistant's data lies."""
        return self.data / "lantern"

    def having(self, **environment: str) -> Shop:
        """Return the same shop with more environment variables."""
        return replace(self, environment={**self.environment, **environment})

    def after(self, prelude: str) -> Shop:
        """Return the same shop with code to run in each process before the command."""
        return replace(self, prelude=prelude)

    def start(self, *arguments: str) -> subprocess.Popen[bytes]:
        """Start a command in a session of its own, so that only it gets its signals."""
        kept = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("ANTIPHON_", "OPENAI_"))
        }
        return subprocess.Popen(
            self._command(arguments),
            env={**kept, "ANTIPHON_DATA_DIR": str(self.data), **self.environment},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )

    def run(self, *arguments: str, given: bytes = b"") -> Ended:
        """Run a command with --json to its end."""
        return ended(self.start(*arguments), given)

    def ask(self, text: str = QUESTION, *arguments: str) -> Any:
        """Ask and return the turn; the command must have worked."""
        done = self.run("ask", text, *arguments)
        assert (done.code, done.err) == (0, ""), done
        return done.json

    def here(self, *arguments: str) -> Ended:
        """Run a command with --json in this process: quicker, where the process is not at issue."""
        out, err = io.StringIO(), io.StringIO()
        given = {"ANTIPHON_DATA_DIR": str(self.data), **self.environment}
        before = {name: os.environ.get(name) for name in given}
        os.environ.update(given)
        try:
            with redirect_stdout(out), redirect_stderr(err):
                code = main([*arguments, "--assistant", str(self.assistant), "--json"])
        finally:
            for name, value in before.items():
                if value is None:
                    del os.environ[name]
                else:
                    os.environ[name] = value
        return Ended(code=code, out=out.getvalue(), err=err.getvalue())

    def answer(self, text: str = QUESTION, *arguments: str) -> Any:
        """Ask in this process and return the turn; the command must have worked."""
        done = self.here("ask", text, *arguments)
        assert (done.code, done.err) == (0, ""), done
        return done.json

    def messages(self, thread: str, *who: str) -> list[tuple[str, str]]:
        """Return role and words of a thread as its last step left them."""
        said: list[dict[str, str]] = []
        for step in self.here("debug", thread, *who).json["steps"]:
            if "messages" in step["changed"]:
                said = step["changed"]["messages"][1]
        return [(message["role"], message["content"]) for message in said]

    def _command(self, arguments: Sequence[str]) -> list[str]:
        command = ["-m", "antiphon.gateway.cli", *arguments]
        command += ["--assistant", str(self.assistant), "--json"]
        if not self.prelude:
            return [sys.executable, *command]
        code = f"import os, sys\n{self.prelude}\nos.execv(sys.executable, sys.argv[1:])"
        return [sys.executable, "-c", code, sys.executable, *command]


def ended(process: subprocess.Popen[bytes], given: bytes = b"") -> Ended:
    """Wait for a process; kill it when it hangs."""
    with process:
        try:
            out, err = process.communicate(given, timeout=WAIT_S)
        except subprocess.TimeoutExpired:
            process.kill()
            raise
    return Ended(code=process.returncode, out=out.decode(), err=err.decode())


def set_up(folder: Path) -> Path:
    """Write the assistant into a new folder."""
    (folder / "knowledge").mkdir(parents=True)
    (folder / "assistant.yaml").write_text(ASSISTANT)
    (folder / "tools.py").write_text(TOOLS)
    (folder / "knowledge" / "copper.md").write_text(PAGE)
    (folder / "golden.jsonl").write_text("")
    return folder
