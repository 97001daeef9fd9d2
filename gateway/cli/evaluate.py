"""`antiphon eval`: the golden set, run, compared with a baseline, or pushed."""

from __future__ import annotations

import typer

app = typer.Typer(help="Run the golden set, gate on a baseline, push it to LangSmith.")


@app.command()
def run() -> None:
    """x"""


@app.command()
def gate() -> None:
    """x"""
