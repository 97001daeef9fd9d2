"""`antiphon eval calibrate`: how far an evaluator agrees with people, before it is trusted."""

from __future__ import annotations

import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from antiphon.gateway.cli.ingest import Progress, shown_progress
from antiphon.gateway.cli.opening import run as complete
from antiphon.gateway.cli.options import AsJson, AssistantFolder
from antiphon.gateway.cli.output import console, emit, visible, write_file
from antiphon.tools.errors import InputError

if TYPE_CHECKING:
    from antiphon.evals.judges import Calibration


def calibrate(
    data: Annotated[
        Path,
        typer.Option(
            "--data",
            metavar="FILE",
            exists=True,
            dir_okay=False,
            help='Answers that people rated: lines of {"messages", "passages", "answer", "human"}.',
        ),
    ],
    evaluator: Annotated[
        str,
        typer.Option(
            "--evaluator", metavar="NAME", help="One of the assistant's, or of the five metrics."
        ),
    ],
    rating: Annotated[
        str,
        typer.Option(
            "--rating",
            metavar="NAME",
            show_default=False,
            help="Which of the ratings it is held against; else the one of its name.",
        ),
    ] = "",
    reference: Annotated[
        bool, typer.Option("--reference", help="Show the evaluator the model answers too.")
    ] = False,
    limit: Annotated[
        int | None, typer.Option("--limit", metavar="N", min=2, help="Use the first N answers.")
    ] = None,
    assistant: AssistantFolder = None,
    as_json: AsJson = False,
) -> None:
    """Have rated answers judged, print the agreement and note it in the assistant's folder.

    Spearman's rank correlation with a 95 % interval, and Cohen's kappa weighted by squares. Reports
    show it beside the evaluator's marks until the evaluator changes.
    """
    with shown_progress("Judging", shown=not as_json and sys.stderr.isatty()) as progress:
        made, folder = complete(
            _calibrated(data, evaluator, rating or evaluator, reference, limit, assistant, progress)
        )
    from antiphon.evals.judges import NOTES, noted

    write_file(noted(folder, evaluator, made), folder / NOTES)
    if as_json:
        emit({"evaluator": evaluator, **asdict(made)})
        return
    console().print(visible(f"{evaluator}: {made}"))
    console().print(visible(f"Noted in {NOTES}."), style="dim")


async def _calibrated(
    data: Path,
    name: str,
    rating: str,
    reference: bool,
    limit: int | None,
    assistant: Path | None,
    progress: Progress,
) -> tuple[Calibration, Path]:
    import asyncio

    from antiphon.evals.judges import calibrate as compared
    from antiphon.evals.judges import jury_of
    from antiphon.evals.ratings import load_ratings, rating_named
    from antiphon.graphs.assembly import build_services
    from antiphon.graphs.folders import chosen_assistant
    from antiphon.graphs.settings import read_settings

    rows = load_ratings(data)[:limit]
    rating_named(rows, rating)
    settings = read_settings()
    form = chosen_assistant(settings, assistant)
    services = await asyncio.to_thread(build_services, settings, form)
    jury = {each.name: each for each in jury_of(settings, services)}
    if name not in jury:
        raise InputError(
            f"there is no evaluator {name!r}", hint=f"The assistant has {', '.join(jury)}."
        )
    chosen = jury[name]
    made = await compared(
        chosen,
        rows,
        rating=rating,
        fingerprint=chosen.fingerprint,
        reference=reference,
        progress=progress,
    )
    return made, form.folder
