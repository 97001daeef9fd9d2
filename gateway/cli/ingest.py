"""`antiphon ingest`: files and folders into the knowledge."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

from antiphon.gateway.cli.opening import opened, run
from antiphon.gateway.cli.options import AsJson, AssistantFolder, Tenant
from antiphon.gateway.cli.output import console, emit, visible

Progress = Callable[[int, int], None]


def ingest(
    paths: Annotated[list[Path], typer.Argument(metavar="PATH...", exists=True, hidden=True)],
    tenant: Tenant = "default",
    replace: Annotated[
        bool, typer.Option("--replace", help="Make the knowledge exactly these paths.")
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what would change; change nothing.")
    ] = False,
    assistant: AssistantFolder = None,
    as_json: AsJson = False,
) -> int:
    """Read files and folders (PATH...) into the knowledge."""
    with shown_progress("Reading", shown=not as_json and sys.stderr.isatty()) as progress:
        report = run(_ingest(paths, tenant, replace, dry_run, assistant, progress))
    failed = report.get("failed")
    if as_json:
        emit(report)
    else:
        _show(report, dry_run=dry_run)
    return 1 if failed and not report.get("passages") else 0


async def _ingest(
    paths: Sequence[Path],
    tenant: str,
    replace: bool,
    dry_run: bool,
    assistant: Path | None,
    progress: Progress,
) -> dict[str, object]:
    from antiphon.graphs.assembly import ingest as read

    async with opened(assistant) as runtime:
        return await read(
            runtime, paths, tenant=tenant, replace=replace, dry_run=dry_run, progress=progress
        )


@contextmanager
def shown_progress(what: str, *, shown: bool) -> Iterator[Progress]:
    """Give a `progress(done, total)` that draws a bar on standard error where `shown`."""
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn
    from rich.progress import Progress as Bar

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    with Bar(
        *columns,
        TimeElapsedColumn(),
        console=console(error=True),
        disable=not shown,
        transient=True,
    ) as bar:
        task = bar.add_task(what, total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)


def _show(report: Mapping[str, object], *, dry_run: bool) -> None:
    out = console()
    verb = "Would read" if dry_run else "Read"
    counts = ", ".join(f"{report[name]} {name}" for name in ("added", "unchanged", "removed"))
    read = f"{verb} {report['files']} files into {report['passages']} passages"
    out.print(f"{read}: {counts}, {report['seconds']} s.")
    out.print(f"Knowledge version {report['knowledge_version']}", style="dim")
    failed = report["failed"]
    for item in failed if isinstance(failed, Sequence) else ():
        console(error=True).print(visible(f"not read: {item['path']}: {item['reason']}"))
