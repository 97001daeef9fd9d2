"""The options that several commands share, spelled once."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import click
import typer
from typer.core import TyperCommand


def _given(context: typer.Context, parameter: typer.CallbackParam, value: str) -> str:
    """Refuse an empty name, such as an unset variable gives: it would mean something else."""
    from click.core import ParameterSource

    if (
        not value
        and context.get_parameter_source(str(parameter.name)) is not ParameterSource.DEFAULT
    ):
        raise typer.BadParameter("empty; leave the option out to go without")
    return value


AssistantFolder = Annotated[
    Path | None,
    typer.Option(
        "--assistant",
        metavar="DIR",
        help="Folder of the assistant; else ANTIPHON_ASSISTANT, else the sample.",
        show_default=False,
    ),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object, errors included.")]
Tenant = Annotated[str, typer.Option("--tenant", metavar="T", help="Whose knowledge and threads.")]
User = Annotated[
    str,
    typer.Option(
        "--user",
        metavar="U",
        help="Who is speaking; anonymous when left out.",
        show_default=False,
        callback=_given,
    ),
]
Thread = Annotated[
    str,
    typer.Option(
        "--thread", metavar="ID", help="Go on with this thread, or start it.", callback=_given
    ),
]
Locale = Annotated[str, typer.Option("--locale", help="Language to speak.")]
Model = Annotated[str, typer.Option("--model", help="Model to prefer; else the router chooses.")]


class Command(TyperCommand):
    """A command whose plain help is plain: typer escapes brackets for rich though it is off."""

    def get_help(self, ctx: click.Context) -> str:
        """Return the help text."""
        return super().get_help(ctx).replace("\\[", "[")
