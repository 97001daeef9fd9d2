"""`antiphon incidents`: what went wrong, what was done about it, and what is still open."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from antiphon.gateway.cli.opening import run
from antiphon.gateway.cli.options import AsJson, AssistantFolder
from antiphon.gateway.cli.output import console, emit, visible

if TYPE_CHECKING:
    from rich.console import Console

    from antiphon.tools.telemetry.incidents import Incident

STYLES = {"investigating": "bold red", "mitigated": "yellow", "resolved": "green"}


def incidents(
    limit: Annotated[
        int, typer.Option("--limit", metavar="N", min=1, help="How many to list, newest first.")
    ] = 20,
    assistant: AssistantFolder = None,
    as_json: AsJson = False,
) -> None:
    """List incidents, newest first: what was done about each, and whether it is over."""
    from antiphon.graphs.oncall import incident_log
    from antiphon.graphs.settings import read_settings

    found = run(incident_log(read_settings(), assistant).read(limit=limit))
    if as_json:
        emit({"incidents": [incident.summary() for incident in found]})
        return
    out = console()
    for incident in found:
        _show(out, incident)
    if not found:
        out.print("No incidents.")


def _show(out: Console, incident: Incident) -> None:
    out.print(incident.status, style=STYLES[incident.status], end=" ")
    about = f"{incident.type} ({incident.severity}), {incident.scope}"
    out.print(visible(f"{about}, opened {incident.opened}"), end="")
    out.print(f", resolved {incident.resolved}" if incident.resolved else "")
    out.print(visible(f"  {incident.message} {incident.resolution}."))
