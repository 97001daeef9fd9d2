"""`antiphon eval`: the golden set, run; a run against a baseline."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from antiphon.gateway.cli.ingest import Progress, shown_progress
from antiphon.gateway.cli.langsmith import Dataset, Golden, Steps, key_there, send_report
from antiphon.gateway.cli.opening import run as complete
from antiphon.gateway.cli.options import AsJson, AssistantFolder, Command, Tenant
from antiphon.gateway.cli.output import console, emit, table, visible, write_file
from antiphon.tools.errors import InputError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from antiphon.evals.golden import Example
    from antiphon.evals.regression import Gate
    from antiphon.evals.report import Report
    from antiphon.graphs.runtime import Runtime

app = typer.Typer(
    help="Run the golden set, gate on a baseline, push to LangSmith.", rich_markup_mode=None
)


@app.command("run", cls=Command)
def run_set(
    golden: Golden = None,
    save: Annotated[
        Path | None, typer.Option("--save", metavar="FILE", help="Keep the report, as a baseline.")
    ] = None,
    langsmith: Annotated[
        bool, typer.Option("--langsmith", help="Upload the result as an experiment.")
    ] = False,
    steps: Steps = False,
    dataset: Dataset = "",
    tenant: Tenant = "default",
    assistant: AssistantFolder = None,
    as_json: AsJson = False,
) -> None:
    """Ask every example of the golden set and judge the answers."""
    if langsmith:
        key_there()
    examples, report, name = _evaluated(golden, tenant, assistant, as_json=as_json)
    if save is not None:
        write_file(json.dumps(report.as_json(), indent=2) + "\n", save)
    if as_json:
        emit(report.as_json())
    else:
        _show_report(report)
    if langsmith:
        send_report(report.as_json(), examples, dataset or name, saved=save, steps=steps)


@app.command(cls=Command)
def gate(
    baseline: Annotated[
        Path,
        typer.Option("--baseline", metavar="FILE", exists=True, help="A report that was saved."),
    ],
    golden: Golden = None,
    report: Annotated[
        Path | None,
        typer.Option(
            "--report", metavar="FILE", exists=True, help="Judge this report; run nothing."
        ),
    ] = None,
    threshold: Annotated[
        float, typer.Option("--threshold", metavar="X", help="Largest drop that is none.")
    ] = 0.05,
    tenant: Tenant = "default",
    assistant: AssistantFolder = None,
    as_json: AsJson = False,
) -> int:
    """Compare a run with a baseline; exit 1 where it got worse."""
    from antiphon.evals.regression import gate as judge

    before = _read(baseline)
    current = (
        _read(report)
        if report is not None
        else _evaluated(golden, tenant, assistant, as_json=as_json)[1].as_json()
    )
    verdict = judge(before, current, threshold)
    if as_json:
        emit(verdict.as_json())
    else:
        _show_gate(verdict)
    return 0 if verdict.passed else 1


def _evaluated(
    golden: Path | None, tenant: str, assistant: Path | None, *, as_json: bool
) -> tuple[Sequence[Example], Report, str]:
    with shown_progress("Asking", shown=not as_json and sys.stderr.isatty()) as progress:
        return complete(_evaluate(golden, tenant, assistant, progress))


async def _evaluate(
    golden: Path | None, tenant: str, assistant: Path | None, progress: Progress
) -> tuple[Sequence[Example], Report, str]:
    from antiphon.evals.golden import load_golden
    from antiphon.evals.run import run_golden

    async with _opened_quietly(assistant) as runtime:
        form = runtime.services.assistant
        examples = load_golden(golden or form.folder / form.golden)
        report = await run_golden(runtime, examples, tenant=tenant, progress=progress)
        return examples, report, form.name


@asynccontextmanager
async def _opened_quietly(assistant: Path | None) -> AsyncIterator[Runtime]:
    """Open a runtime that neither answers from the cache nor mitigates in the middle of a run."""
    import asyncio

    from antiphon.evals.run import quiet
    from antiphon.graphs.assembly import build_services
    from antiphon.graphs.folders import chosen_assistant
    from antiphon.graphs.runtime import open_runtime
    from antiphon.graphs.settings import read_settings

    settings = read_settings()
    form = chosen_assistant(settings, assistant)
    services = quiet(await asyncio.to_thread(build_services, settings, form))
    async with open_runtime(settings, assistant=form.folder, services=services) as runtime:
        yield runtime


def _read(path: Path) -> Mapping[str, object]:
    try:
        report = json.loads(path.read_text("utf-8"))
    except (OSError, UnicodeDecodeError, json.JSONDecodeError) as error:
        raise InputError(
            f"{str(path)!r} is not a saved report: {error}",
            hint="`antiphon eval run --save FILE` writes one.",
        ) from error
    if not isinstance(report, dict):
        raise InputError(f"{str(path)!r} is not a saved report: no JSON object")
    return report


def _show_report(report: Report) -> None:
    from antiphon.evals.report import table as drawn

    out = console()
    out.print(drawn(report), soft_wrap=False)
    out.print(
        f"{report.seconds:.1f} s, median {report.latency_p50_ms:.0f} ms, ${report.cost_usd:.4f}",
        style="dim",
    )
    for advice in report.recommendations:
        out.print(visible(f"- {advice}"))


def _show_gate(verdict: Gate) -> None:
    out = console()
    word, style = ("passed", "bold green") if verdict.passed else ("failed", "bold red")
    out.print(f"Gate {word}", style=style, end="")
    out.print(f": {verdict.previous:.3f} before, {verdict.current:.3f} now")
    rows = [
        (r.id, r.previous, r.current, r.difference, r.severity, ", ".join(r.affected))
        for r in verdict.regressions
    ]
    if rows:
        table("Got worse", ("example", "before", "now", "change", "severity", "affected"), rows)
    for name, ids in (("missing from this run", verdict.missing), ("new, not judged", verdict.new)):
        if ids:
            out.print(visible(f"{name}: {', '.join(ids)}"))
