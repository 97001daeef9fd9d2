"""`antiphon eval`: the golden set, run; a run against a baseline."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, cast

import typer

from antiphon.gateway.cli.ingest import Progress, shown_progress
from antiphon.gateway.cli.langsmith import Dataset, Golden, Steps, key_there, send_report
from antiphon.gateway.cli.opening import run as complete
from antiphon.gateway.cli.options import AsJson, AssistantFolder, Command, Tenant
from antiphon.gateway.cli.output import console, emit, table, visible, write_file
from antiphon.tools.errors import InputError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from antiphon.evals.comparison import Comparison
    from antiphon.evals.fingerprint import Fingerprint
    from antiphon.evals.golden import Example
    from antiphon.evals.regression import Gate, Regression, Said
    from antiphon.evals.report import Report
    from antiphon.graphs.runtime import Runtime

SHOWN = 10
"""Examples that got worse whose answers the terminal is shown; JSON has all."""
LONGEST = 400
"""Characters of an answer that it is shown."""

app = typer.Typer(
    help="Run the golden set, gate on a baseline, push to LangSmith.", rich_markup_mode=None
)

Repeat = Annotated[
    int,
    typer.Option(
        "--repeat",
        metavar="N",
        min=1,
        help="Ask each example N times: for models that do not always answer alike.",
    ),
]


@app.command("run", cls=Command)
def run_set(
    golden: Golden = None,
    repeat: Repeat = 1,
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
    examples, report, name = _evaluated(golden, tenant, assistant, repeat, as_json=as_json)
    if as_json:
        emit(report.as_json())
    else:
        _show_report(report)
    if save is not None:
        write_file(_saved(report.as_json()), save)
    if langsmith:
        send_report(report.as_json(), examples, dataset or name, saved=save, steps=steps)


@app.command(cls=Command)
def gate(
    baseline: Annotated[
        Path,
        typer.Option("--baseline", metavar="FILE", exists=True, help="A report that was saved."),
    ],
    golden: Golden = None,
    repeat: Repeat = 1,
    report: Annotated[
        Path | None,
        typer.Option(
            "--report", metavar="FILE", exists=True, help="Judge this report; run nothing."
        ),
    ] = None,
    threshold: Annotated[
        float,
        typer.Option(
            "--threshold", metavar="X", help="Largest drop of a mean, 0 to 1, that is none."
        ),
    ] = 0.05,
    tenant: Tenant = "default",
    assistant: AssistantFolder = None,
    as_json: AsJson = False,
) -> int:
    """Compare a run with a baseline; exit 1 where it got worse.

    The overall mean, each metric, each kind and each intent of at least three examples is compared
    over the same examples. One fails when it fell, by more than chance does, and the drop may be
    larger than the threshold. So does an example that no longer holds what it must (its outcome,
    facts, sources, path or effects) where answers do not vary, one that is missing, and one that
    is no longer the same.

    Model, prompts, knowledge and code may differ, and what differs is printed; a baseline of other
    examples or of another assistant is refused. Make one with `antiphon eval run --save FILE`, for
    a model that varies with `--repeat 3` there and here.
    """
    from antiphon.evals.regression import admits, check_threshold
    from antiphon.evals.regression import gate as judge

    if report is not None and (golden is not None or repeat > 1):
        raise InputError(
            "--report is judged as it is", hint="--golden and --repeat are for a new run."
        )
    check_threshold(threshold)
    before = _read(baseline)
    if report is not None:
        current = _read(report)
    else:
        admit = partial(admits, before)
        run = _evaluated(golden, tenant, assistant, repeat, as_json=as_json, admit=admit)
        current = run[1].as_json()
    verdict = judge(before, current, threshold)
    if as_json:
        emit(verdict.as_json())
    else:
        _show_gate(verdict)
    return 0 if verdict.passed else 1


def _evaluated(
    golden: Path | None,
    tenant: str,
    assistant: Path | None,
    repeat: int,
    *,
    as_json: bool,
    admit: Callable[[Fingerprint], None] | None = None,
) -> tuple[Sequence[Example], Report, str]:
    with shown_progress("Asking", shown=not as_json and sys.stderr.isatty()) as progress:
        return complete(_evaluate(golden, tenant, assistant, repeat, progress, admit))


async def _evaluate(
    golden: Path | None,
    tenant: str,
    assistant: Path | None,
    repeat: int,
    progress: Progress,
    admit: Callable[[Fingerprint], None] | None,
) -> tuple[Sequence[Example], Report, str]:
    from antiphon.evals.golden import load_golden
    from antiphon.evals.run import run_golden

    async with _opened_quietly(assistant) as runtime:
        form = runtime.services.assistant
        examples = load_golden(golden or form.folder / form.golden)
        report = await run_golden(
            runtime, examples, tenant=tenant, repeat=repeat, progress=progress, admit=admit
        )
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


def _saved(report: Mapping[str, object]) -> str:
    """Write a line a figure and a line a row, so that a row is found by its id."""
    rows = cast("Sequence[object]", report["rows"])
    listed = ",\n".join(f"  {json.dumps(row)}" for row in rows)
    parts = [f" {json.dumps(n)}: {json.dumps(value)}" for n, value in report.items() if n != "rows"]
    return "{\n" + ",\n".join([*parts, f' "rows": [\n{listed}\n ]']) + "\n}\n"


def _read(path: Path) -> Mapping[str, object]:
    try:
        report = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError, RecursionError) as error:
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
    for name, said in report.evaluators.items():
        mark = f"{report.metrics[name]:.2f}" if name in report.metrics else "-"
        out.print(visible(f"{name} {mark}, weight {said['weight']}: {said['said']}"))
    for advice in report.recommendations:
        out.print(visible(f"- {advice}"))


def _show_gate(verdict: Gate) -> None:
    out = console()
    word, style = ("passed", "bold green") if verdict.passed else ("failed", "bold red")
    out.print(f"Gate {word}", style=style, end="")
    out.print(f": {verdict.previous:.3f} before, {verdict.current:.3f} now")
    for reason in verdict.reasons:
        out.print(visible(f"- {reason}"))
    out.print(visible(f"changed: {', '.join(verdict.changed) or 'nothing'}"))
    if "evaluators" in verdict.changed:
        out.print("The evaluators are not the baseline's: a difference may be theirs alone.")
    moved = [each for each in verdict.comparisons if ":" not in each.of or each.difference]
    columns = ("mean of", "examples", "before", "now", "change", "95 % interval", "")
    table("Compared", columns, [_compared(each) for each in moved])
    if any(each.verdict == "unproven" for each in verdict.comparisons):
        out.print("unproven: may be chance, or one example; --repeat, here and there, tells more")
    if verdict.regressions:
        rows = [_answers(each) for each in verdict.regressions[:SHOWN]]
        table("Got worse", ("example", "before", "now"), rows)
    counts = {
        "got worse": len(verdict.regressions),
        "got better": len(verdict.improved),
        "new, not judged": len(verdict.new),
    }
    out.print(", ".join(f"{count} {what}" for what, count in counts.items()))


def _compared(each: Comparison) -> tuple[object, ...]:
    interval = f"{each.low:+.3f} to {each.high:+.3f}"
    verdict = "" if each.verdict == "held" else each.verdict
    change = f"{each.difference:+.3f}"
    return (each.of, each.examples, each.previous, each.current, change, interval, verdict)


def _answers(each: Regression) -> tuple[str, str, str]:
    scores = f"{each.previous:.2f} -> {each.current:.2f}"
    fell = f"{each.severity}: {', '.join(each.affected)}" if each.affected else ""
    broken = f"no longer holds: {', '.join(each.broken)}" if each.broken else ""
    told = "\n".join(line for line in (each.id, scores, fell, broken) if line)
    return told, _said(each.before), _said(each.now)


def _said(said: Said) -> str:
    answer = said.error or said.answer
    cut = answer if len(answer) <= LONGEST else f"{answer[:LONGEST]} ..."
    return f"({said.outcome or 'no answer'}) {cut}"
