"""`antiphon check`: every mistake in an assistant's folder, before anyone talks to it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from antiphon.gateway.cli.options import AsJson, AssistantFolder
from antiphon.gateway.cli.output import console, emit, visible

if TYPE_CHECKING:
    from collections.abc import Sequence

    from antiphon.graphs.checks import Problem


def check(
    folder: Annotated[Path | None, typer.Argument(metavar="[DIR]", hidden=True)] = None,
    schema: Annotated[
        bool, typer.Option("--schema", help="Print the JSON Schema of assistant.yaml instead.")
    ] = False,
    assistant: AssistantFolder = None,
    as_json: AsJson = False,
) -> int:
    """Name each mistake in an assistant: file, line, key, remedy.

    DIR is its folder; else ANTIPHON_ASSISTANT, this folder, or the sample. Exits 2 on a mistake.
    """
    if schema:
        from antiphon.graphs.assistant import Assistant

        emit(Assistant.model_json_schema())
        return 0
    from antiphon.evals.golden import load_golden
    from antiphon.graphs.checks import check_assistant

    chosen = folder or assistant or _configured()
    problems = check_assistant(chosen, read_golden=load_golden)
    if as_json:
        emit({"ok": not problems, "problems": [problem.as_json() for problem in problems]})
    else:
        _show(chosen, problems)
    return 2 if problems else 0


def _configured() -> Path:
    """Return the assistant of the environment, else the folder one stands in, else the sample."""
    from antiphon.graphs.folders import sample_folder
    from antiphon.graphs.settings import read_settings

    here = Path.cwd()
    return read_settings().assistant or (
        here if (here / "assistant.yaml").exists() else sample_folder()
    )


def _show(folder: Path, problems: Sequence[Problem]) -> None:
    if not problems:
        console().print(f"{folder}: no mistakes.")
        return
    out = console(error=True)
    for problem in problems:
        key = f"{problem.key}: " if problem.key else ""
        out.print(visible(f"{problem.file}:{problem.line}: {key}{problem.message}"))
        if problem.remedy:
            out.print(visible(f"  {problem.remedy}"), style="dim")
    count = "1 mistake" if len(problems) == 1 else f"{len(problems)} mistakes"
    out.print(f"\n{folder}: {count}.", style="bold")
