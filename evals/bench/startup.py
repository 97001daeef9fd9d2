"""How long `--help` and an answer take from a cold process, against importing LangGraph."""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from antiphon.evals.bench.report import report

QUESTION = "How long do I have to return an order?"
ROUNDS = 5
NO_BYTECODE = "PYTHONDONTWRITEBYTECODE"
"""Set in some images and sandboxes; it would have every start compile what is not yet compiled."""


async def run(*, limit: int | None = None) -> dict[str, object]:
    """Time each command `limit` times (5), in turn; medians.

    The knowledge is ingested beforehand; `first_ask_s` is the very first answer, with ingestion.
    """
    began = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        env = {
            **{name: value for name, value in os.environ.items() if name != NO_BYTECODE},
            "ANTIPHON_DATA_DIR": folder,
            "PYTHONPYCACHEPREFIX": f"{folder}/bytecode",
        }
        cli = [sys.executable, "-m", "antiphon.gateway.cli"]
        ask = [*cli, "ask", QUESTION, "--json"]
        commands = {
            "help_s": [*cli, "--help"],
            "ask_s": ask,
            "langgraph_import_s": [sys.executable, "-c", "import langgraph.graph"],
        }
        # Bytecode is there from the second start on, ours as that of the packages.
        _timed(ask, {**env, "ANTIPHON_DATA_DIR": f"{folder}/before"})
        first = _timed(ask, env)
        times: dict[str, list[float]] = {name: [] for name in commands}
        for _ in range(limit or ROUNDS):
            for name, command in commands.items():
                # The response cache would hide retrieval and the model: each ask starts without it.
                _forget_answers(Path(folder))
                times[name].append(_timed(command, env))
    figures = {name: statistics.median(taken) for name, taken in times.items()}
    figures["ask_ratio"] = figures["ask_s"] / figures["langgraph_import_s"]
    figures["first_ask_s"] = first
    rows = [
        {"command": name, "min_s": min(taken), "max_s": max(taken)} for name, taken in times.items()
    ]
    return report("startup", "sample help centre", figures, rows, time.perf_counter() - began)


def _timed(command: list[str], env: dict[str, str]) -> float:
    began = time.perf_counter()
    subprocess.run(command, env=env, check=True, capture_output=True)
    return time.perf_counter() - began


def _forget_answers(folder: Path) -> None:
    for path in folder.rglob("answers.db*"):
        path.unlink()
