"""`antiphon eval push|upload|compare|pull`: golden sets and results in LangSmith or its files."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from antiphon.gateway.cli.opening import run as complete
from antiphon.gateway.cli.options import AsJson, AssistantFolder, Command, Tenant
from antiphon.gateway.cli.output import console, emit, table, visible, write_file
from antiphon.tools.errors import AntiphonError, InputError

if TYPE_CHECKING:
    from antiphon.evals.exchange import Pulled
    from antiphon.evals.experiment import Pair, Results
    from antiphon.evals.golden import Example
    from antiphon.evals.langsmith import Uploaded
    from antiphon.evals.pulled import Found
    from antiphon.graphs.assistant import Assistant
    from antiphon.tools.turns.candidates import Candidate

Golden = Annotated[
    Path | None,
    typer.Option(
        "--golden",
        metavar="PATH",
        exists=True,
        show_default=False,
        help="Golden set; else the assistant's own.",
    ),
]
Dataset = Annotated[
    str, typer.Option("--dataset", metavar="NAME", help="In LangSmith; else the assistant's name.")
]
Steps = Annotated[
    bool, typer.Option("--steps", help="Send the nodes' names and times as child runs too.")
]
Out = Annotated[
    Path | None,
    typer.Option(
        "--out",
        metavar="FILE",
        show_default=False,
        help="Write it as LangSmith's JSON lines; send nothing, need no key.",
    ),
]
Project = Annotated[
    list[str] | None,
    typer.Option(
        "--project",
        metavar="NAME",
        show_default=False,
        help="Also feedback on the runs of this project; may be given again.",
    ),
]
SAVED = typer.Argument(metavar="REPORT", exists=True, help="From `antiphon eval run --save`.")


def add_to(app: typer.Typer) -> None:
    """Register the commands on the `eval` app."""
    for command in (push, upload, compare, pull):
        app.command(cls=Command)(command)


def push(
    golden: Golden = None,
    dataset: Dataset = "",
    out: Out = None,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Also examples that were edited there.")
    ] = False,
    assistant: AssistantFolder = None,
    as_json: AsJson = False,
) -> None:
    """Make a LangSmith dataset hold the golden set (needs LANGSMITH_API_KEY)."""
    from dataclasses import asdict

    from antiphon.evals.exchange import example_line
    from antiphon.evals.langsmith import LangSmith

    form, examples = _golden(golden, assistant)
    if out is not None:
        _write(out, [example_line(example) for example in examples], as_json=as_json)
        return
    pushed = complete(LangSmith().push(examples, dataset or form.name, overwrite=overwrite))
    if as_json:
        emit(asdict(pushed))
        return
    counts = ", ".join(
        f"{getattr(pushed, name)} {name}" for name in ("created", "updated", "removed", "unchanged")
    )
    version = f", version {pushed.version}" if pushed.version else ""
    console().print(visible(f"Dataset {pushed.dataset!r}{version}: {counts}"))
    if pushed.edited:
        said = f"Edited there and left alone: {', '.join(pushed.edited)}"
        console().print(visible(f"{said}\n`antiphon eval pull` proposes the edits."))


def upload(
    report: Annotated[Path, SAVED],
    golden: Golden = None,
    dataset: Dataset = "",
    experiment: Annotated[
        str,
        typer.Option("--experiment", metavar="NAME", help="Else a name that follows the report."),
    ] = "",
    steps: Steps = False,
    out: Out = None,
    assistant: AssistantFolder = None,
    as_json: AsJson = False,
) -> None:
    """Upload a saved report as an experiment; after a failure, the rows that are missing."""
    from dataclasses import asdict

    from antiphon.evals.experiment import exported
    from antiphon.evals.langsmith import LangSmith

    form, examples = _golden(golden, assistant)
    given = _read(report)
    if out is not None:
        _write(out, exported(given, examples, form.name, steps=steps), as_json=as_json)
        return
    done = complete(
        LangSmith().upload(
            given, examples, dataset=dataset or form.name, name=experiment, steps=steps
        )
    )
    if as_json:
        emit(asdict(done))
    else:
        tell(done)


def compare(
    first: Annotated[
        str, typer.Argument(metavar="A", help="A saved report, or an experiment's name.")
    ],
    second: Annotated[str, typer.Argument(metavar="B", help="The other.")],
    dataset: Dataset = "",
    langsmith: Annotated[
        bool,
        typer.Option("--langsmith", help="Record it there; both reports were uploaded before."),
    ] = False,
    assistant: AssistantFolder = None,
    as_json: AsJson = False,
) -> None:
    """Hold two results against each other, answer by answer."""
    from antiphon.evals.experiment import Results, pairs
    from antiphon.evals.langsmith import LangSmith

    one, two = (_report_or_name(each) for each in (first, second))
    if not langsmith and isinstance(one, Results) and isinstance(two, Results):
        _show_pairs(pairs(one, two), as_json=as_json)
        return
    if not langsmith:
        name = first if isinstance(one, str) else second
        raise InputError(f"{name!r} is no file", hint="`--langsmith` compares experiments by name.")
    name = dataset or _form(assistant).name
    done = complete(LangSmith().compare(one, two, dataset=name))
    _show_pairs(done.pairs, title=done.name, as_json=as_json)


def pull(
    dataset: Dataset = "",
    project: Project = None,
    given: Annotated[
        Path | None,
        typer.Option(
            "--from",
            metavar="FILE",
            exists=True,
            show_default=False,
            help="Read exported JSON lines instead; needs no key.",
        ),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out",
            metavar="FILE",
            show_default=False,
            help="Only write what is there as JSON lines; propose nothing.",
        ),
    ] = None,
    golden: Golden = None,
    tenant: Tenant = "default",
    assistant: AssistantFolder = None,
    as_json: AsJson = False,
) -> None:
    """Propose what people edited, added or said in LangSmith as candidates; change nothing."""
    from antiphon.evals.exchange import read
    from antiphon.evals.langsmith import LangSmith
    from antiphon.evals.pulled import found

    form, examples = _golden(golden, assistant)
    pulled: Pulled = (
        read(given)
        if given is not None
        else complete(LangSmith().pull(dataset or form.name, projects=project or ()))
    )
    if out is not None:
        _write(out, pulled.lines, as_json=as_json)
        return
    here = found(pulled, examples, tenant=tenant)
    _show_found(here, complete(_proposed(form, here.candidates)), as_json=as_json)


def key_there() -> None:
    """Raise SettingsError without a key, before a run costs anything."""
    from antiphon.evals.langsmith import LangSmith

    LangSmith()


def send_report(
    report: Mapping[str, object],
    examples: Sequence[Example],
    dataset: str,
    *,
    saved: Path | None,
    steps: bool,
) -> None:
    """Upload a report that was just made; where that fails it is kept, to go on with."""
    from antiphon.evals.experiment import results
    from antiphon.evals.langsmith import LangSmith

    given = results(report)
    try:
        tell(complete(LangSmith().upload(given, examples, dataset=dataset, steps=steps)))
    except AntiphonError as error:
        kept = saved or Path(f"{given.experiment}.json")
        if saved is None:
            write_file(json.dumps(report, indent=2) + "\n", kept)
        error.hint = f"{error.hint} `antiphon eval upload {kept}` goes on.".strip()
        raise


def tell(done: Uploaded) -> None:
    """Say what was uploaded, on the other stream."""
    where = f", {done.url}" if done.url else ""
    said = f"Experiment {done.name!r}: {done.sent} of {done.rows} rows sent now{where}"
    console(error=True).print(visible(said))


async def _proposed(form: Assistant, candidates: Sequence[Candidate]) -> list[Candidate]:
    """Keep the candidates; return those that a person has not decided."""
    from antiphon.graphs.folders import data_folder
    from antiphon.graphs.persistence import open_persistence
    from antiphon.graphs.settings import read_settings

    settings = read_settings()
    async with open_persistence(settings, data_folder(settings, form)) as persistence:
        kept = [await persistence.turns.propose(each) for each in candidates]
    return [each for each in kept if each is not None and each.state == "proposed"]


def _golden(golden: Path | None, assistant: Path | None) -> tuple[Assistant, Sequence[Example]]:
    from antiphon.evals.golden import load_golden

    form = _form(assistant)
    return form, load_golden(golden or form.folder / form.golden)


def _form(assistant: Path | None) -> Assistant:
    from antiphon.graphs.folders import chosen_assistant
    from antiphon.graphs.settings import read_settings

    return chosen_assistant(read_settings(), assistant)


def _report_or_name(given: str) -> Results | str:
    return _read(Path(given)) if Path(given).is_file() else given


def _read(path: Path) -> Results:
    from antiphon.evals.experiment import results

    try:
        return results(json.loads(path.read_text("utf-8")))
    except (OSError, UnicodeDecodeError, json.JSONDecodeError) as error:
        raise InputError(
            f"{str(path)!r} is not a saved report: {error}",
            hint="`antiphon eval run --save FILE` writes one.",
        ) from error


def _write(path: Path, lines: Sequence[Mapping[str, object]], *, as_json: bool) -> None:
    from antiphon.evals.exchange import written

    write_file(written(lines), path)
    if as_json:
        emit({"file": str(path), "lines": len(lines)})
    else:
        console().print(visible(f"Wrote {len(lines)} lines to {str(path)!r}"))


def _show_pairs(pairs: Sequence[Pair], *, title: str = "", as_json: bool) -> None:
    counts = [sum(pair.preferred == which for pair in pairs) for which in (1, 2, 0)]
    if as_json:
        emit(
            {
                "name": title,
                **dict(zip(("first", "second", "neither"), counts, strict=True)),
                "pairs": [
                    {
                        "id": pair.id,
                        "repeat": pair.repeat,
                        "first": pair.first,
                        "second": pair.second,
                        "preferred": ("neither", "first", "second")[pair.preferred],
                    }
                    for pair in pairs
                ],
            }
        )
        return
    first, second, neither = counts
    said = f"{len(pairs)} answers: A is better in {first}, B in {second}, neither in {neither}"
    console().print(visible(f"{title}\n{said}" if title else said))
    apart = sorted((p for p in pairs if p.preferred), key=lambda p: p.second - p.first)
    if apart:
        rows = [(p.id, p.repeat, p.first, p.second, p.second - p.first) for p in apart]
        table("", ("example", "time", "A", "B", "change"), rows)


def _show_found(found: Found, waiting: Sequence[Candidate], *, as_json: bool) -> None:
    if as_json:
        emit({"candidates": [each.id for each in waiting], "skipped": found.skipped})
        return
    out = console()
    rows = [(each.id, str(each.example.get("id", "")), each.comment) for each in waiting]
    if rows:
        table("Proposed", ("id", "example", "what was said"), rows)
        out.print("`antiphon eval accept ID` takes one, `eval reject ID` does not.", style="dim")
    else:
        out.print("Nothing new.")
    for why in found.skipped:
        out.print(visible(f"- left out: {why}"))
