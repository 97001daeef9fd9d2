"""`antiphon prune`: remove what is past its time, and give the space back."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from antiphon.gateway.cli.opening import opened, run
from antiphon.gateway.cli.options import AsJson, AssistantFolder
from antiphon.gateway.cli.output import console, emit

if TYPE_CHECKING:
    from antiphon.graphs.retention import Swept


def prune(
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only say what would be removed.")
    ] = False,
    assistant: AssistantFolder = None,
    as_json: AsJson = False,
) -> None:
    """Remove steps, threads and records that are past their time.

    What is kept, and for how long, stands in the assistant's `retention`.
    """
    swept = run(_prune(assistant, dry_run=dry_run))
    if as_json:
        emit(asdict(swept))
        return
    verb = "Would remove" if dry_run else "Removed"
    console().print(f"{verb} {swept.threads} threads and {swept.bytes:,} bytes in all.")


async def _prune(assistant: Path | None, *, dry_run: bool) -> Swept:
    from antiphon.graphs.retention import sweep

    async with opened(assistant) as runtime:
        return await sweep(runtime, dry_run=dry_run, compact=True)
