"""`antiphon ingest`: files, folders and pages into the knowledge."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from antiphon.gateway.cli.opening import opened, run
from antiphon.gateway.cli.options import AsJson, AssistantFolder, Tenant
from antiphon.gateway.cli.output import console, emit, visible

if TYPE_CHECKING:
    from rich.progress import ProgressColumn

Progress = Callable[[int, int], None]
MOST_SHOWN = 50
"""Files that are named one by one; `--json` names all."""


def ingest(
    paths: Annotated[list[str] | None, typer.Argument(metavar="PATH...", hidden=True)] = None,
    tenant: Tenant = "default",
    urls: Annotated[
        bool, typer.Option("--urls", help="The files are lists of addresses, one a line.")
    ] = False,
    allow_private: Annotated[
        bool,
        typer.Option("--allow-private", help="Fetch from this machine and its network too."),
    ] = False,
    label: Annotated[
        list[str] | None,
        typer.Option("--label", metavar="L", help="Access label of files that name none."),
    ] = None,
    language: Annotated[
        str,
        typer.Option("--language", metavar="TAG", help="Language of files that name none."),
    ] = "",
    redact: Annotated[
        bool | None,
        typer.Option(
            "--redact/--no-redact",
            help="Mask personal data before storing; else as the assistant says.",
            show_default=False,
        ),
    ] = None,
    replace: Annotated[
        bool, typer.Option("--replace", help="Make the knowledge exactly these paths.")
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what would change; change nothing.")
    ] = False,
    migrate: Annotated[
        bool,
        typer.Option("--migrate", help="Bring what is stored up to this release; read nothing."),
    ] = False,
    reindex: Annotated[
        bool,
        typer.Option("--reindex", help="Embed all that is stored anew; read nothing."),
    ] = False,
    assistant: AssistantFolder = None,
    as_json: AsJson = False,
) -> int:
    """Read files, folders and pages (PATH... or http addresses) into the knowledge.

    Markdown, reStructuredText, text, HTML, PDF, DOCX, notebooks, CSV and JSONL are read.
    """
    from antiphon.nodes.ingest import IngestContext
    from antiphon.tools.errors import InputError
    from antiphon.tools.retrieval.analysis import primary

    if migrate + reindex + bool(paths) != 1:
        raise InputError(
            "Give either paths to read, or --migrate, or --reindex",
            hint="`antiphon ingest --help` explains them.",
        )
    if migrate or reindex:
        return _rebuild(tenant if reindex else None, assistant, as_json=as_json)
    files, addresses = _told_apart(paths or (), lists=urls)
    context = IngestContext(
        tenant=tenant,
        replace=replace,
        dry_run=dry_run,
        labels=tuple(label or ()),
        language=primary(language) if language else "",
    )

    async def read() -> dict[str, object]:
        from antiphon.graphs.intake import ingest as into

        async with opened(assistant) as runtime:
            return await into(
                runtime,
                files,
                context=context,
                urls=addresses,
                redact=redact,
                allow_private=allow_private,
                progress=progress,
            )

    with _shown_rate(shown=not as_json and sys.stderr.isatty()) as progress:
        report = run(read())
    failed = report.get("failed")
    if as_json:
        emit(report)
    else:
        _show(report, dry_run=dry_run)
    return 1 if failed and not report.get("passages") else 0


def _rebuild(tenant: str | None, assistant: Path | None, *, as_json: bool) -> int:
    """Embed one tenant's passages anew, or with None bring everything up to date."""
    from dataclasses import asdict

    async def work() -> dict[str, object]:
        from antiphon.graphs.intake import rebuild

        async with opened(assistant) as runtime:
            return asdict(await rebuild(runtime, tenant=tenant, progress=progress))

    with shown_progress("Embedding", shown=not as_json and sys.stderr.isatty()) as progress:
        done = run(work())
    if as_json:
        emit(done)
    else:
        told = ", ".join(f"{name.replace('_', ' ')} {value}" for name, value in done.items())
        console().print(visible(f"Done: {told}"))
    return 0


def _told_apart(given: Sequence[str], *, lists: bool) -> tuple[list[Path], list[str]]:
    """Return paths and addresses; with `lists`, each file is a list of addresses."""
    from antiphon.tools.errors import InputError
    from antiphon.tools.retrieval.fetching import is_url, read_list

    urls = [argument for argument in given if is_url(argument)]
    files = [Path(argument) for argument in given if not is_url(argument)]
    for path in files:
        if not os.path.lexists(path):
            raise InputError(
                f"There is no file or folder {str(path)!r}",
                hint="`antiphon ingest --help` says what can be read.",
            )
    if lists:
        return [], [*urls, *(url for path in files for url in read_list(path))]
    return files, urls


@contextmanager
def _shown_rate(*, shown: bool) -> Iterator[Callable[[float, int, int], None]]:
    """Give a `progress(done, total, passages)` that draws a bar with rate and time left."""
    from rich.progress import TextColumn, TimeRemainingColumn

    began = time.monotonic()
    columns = (TextColumn("{task.fields[rate]:.0f} passages/s, left"), TimeRemainingColumn())
    with _bar("Reading", columns, shown=shown) as update:

        def progress(done: float, total: int, passages: int) -> None:
            rate = passages / max(time.monotonic() - began, 1e-3)
            update(completed=done, total=total, rate=rate)

        yield progress


@contextmanager
def shown_progress(what: str, *, shown: bool) -> Iterator[Progress]:
    """Give a `progress(done, total)` that draws a bar on standard error where `shown`."""
    from rich.progress import TimeElapsedColumn

    with _bar(what, (TimeElapsedColumn(),), shown=shown) as update:
        yield lambda done, total: update(completed=done, total=total)


@contextmanager
def _bar(
    what: str, columns: Sequence[ProgressColumn], *, shown: bool
) -> Iterator[Callable[..., None]]:
    from functools import partial

    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn
    from rich.progress import Progress as Bar

    with Bar(
        TextColumn("{task.description}"),
        BarColumn(bar_width=20),
        MofNCompleteColumn(),
        *columns,
        console=console(error=True),
        disable=not shown,
        transient=True,
    ) as bar:
        yield partial(bar.update, bar.add_task(what, total=None, rate=0))


def _show(report: Mapping[str, object], *, dry_run: bool) -> None:
    out = console()
    verb = "Would read" if dry_run else "Read"
    counts = ", ".join(f"{report[name]} {name}" for name in ("added", "unchanged", "removed"))
    read = f"{verb} {report['files']} files into {report['passages']} passages"
    out.print(f"{read}: {counts}, {report['seconds']} s.")
    out.print(f"Knowledge version {report['knowledge_version']}", style="dim")
    failed = report["failed"]
    told = console(error=True)
    items = failed if isinstance(failed, Sequence) else ()
    for item in items[:MOST_SHOWN]:
        told.print(visible(f"not read: {item['path']}: {item['reason']}"))
    if len(items) > MOST_SHOWN:
        told.print(f"and {len(items) - MOST_SHOWN} more; --json names all of them")
