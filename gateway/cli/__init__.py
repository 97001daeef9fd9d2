"""`antiphon`: one module a command, the list here, and where an error becomes an exit code.

Command modules import only typer and the standard library at their top, so that `--help` is quick.
"""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Sequence
from io import TextIOWrapper
from typing import Annotated

import click
import typer

from antiphon.gateway.cli import (
    ask,
    bench,
    calibrate,
    candidates,
    chat,
    check,
    debug,
    doctor,
    evaluate,
    graph,
    incidents,
    ingest,
    init,
    langsmith,
    prune,
    search,
    serve,
)
from antiphon.gateway.cli.options import Command
from antiphon.gateway.cli.output import fail
from antiphon.tools.errors import AntiphonError, AssistantError, InputError, SettingsError

INTERRUPTED = 130

app = typer.Typer(
    name="antiphon",
    help="A declarative, graph-based agent runtime for production chatbots.",
    pretty_exceptions_enable=False,
    rich_markup_mode=None,  # rich doubles the time that --help takes
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command(cls=Command)(ask.ask)
app.command(cls=Command)(chat.chat)
app.command(cls=Command)(init.init)
app.command(cls=Command)(check.check)
app.command(cls=Command)(ingest.ingest)
app.command(cls=Command)(search.search)
app.command(cls=Command)(graph.graph)
app.command(cls=Command)(debug.debug)
candidates.add_to(evaluate.app)
evaluate.app.command(cls=Command)(calibrate.calibrate)
langsmith.add_to(evaluate.app)
app.add_typer(evaluate.app, name="eval")
app.command(cls=Command)(bench.bench)
app.command(cls=Command)(serve.serve)
app.command(cls=Command)(incidents.incidents)
app.command(cls=Command)(prune.prune)
app.command(cls=Command)(doctor.doctor)


def _version(asked: bool) -> None:
    if asked:
        from importlib.metadata import version

        print(f"antiphon {version('antiphon')}")
        raise typer.Exit


@app.callback()
def antiphon(
    version: Annotated[
        bool,
        typer.Option("--version", callback=_version, is_eager=True, help="Show the version."),
    ] = False,
) -> None:
    """A declarative, graph-based agent runtime for production chatbots, on LangGraph."""


def main(arguments: Sequence[str] | None = None, program: typer.Typer = app) -> int:
    """Run one command and return its exit code: 0 done, 1 failed, 2 bad input, 130 interrupted."""
    given = list(sys.argv[1:] if arguments is None else arguments) or ["--help"]
    as_json = "--json" in given
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="replace")
    try:
        code = program(args=given, prog_name="antiphon", standalone_mode=False)
        sys.stdout.flush()
    except BrokenPipeError:
        _write_no_more()
        return 1
    except (KeyboardInterrupt, click.Abort):
        code = INTERRUPTED
    except Exception as error:  # noqa: BLE001 - the outermost door: nothing may become a traceback
        return _failed(error, as_json=as_json)
    if code == INTERRUPTED:
        fail("interrupted", "interrupted", as_json=as_json)
    return code if isinstance(code, int) else 0


def _failed(error: Exception, *, as_json: bool) -> int:
    if isinstance(error, click.ClickException):
        return _misused(error, as_json=as_json)
    if isinstance(error, AssistantError):
        problems = list(error.problems)
        fail(error.code, error.message, error.hint, as_json=as_json, problems=problems)
        return 2
    if isinstance(error, AntiphonError):
        fail(error.code, error.message, error.hint, as_json=as_json)
        return 2 if isinstance(error, InputError) else 1
    if isinstance(error, OSError) and error.strerror:
        # What the data folder raises is ours by now: this is the output, or a file that was named.
        _write_no_more()
        where = f" ({error.filename!r})" if error.filename else ""
        fail("system", f"the system refused: {error.strerror}{where}", as_json=as_json)
        return 1
    if _debugging():
        traceback.print_exception(error)
    said = f"internal error: {type(error).__name__}: {error}"
    fail("internal", said, "ANTIPHON_LOG_LEVEL=debug shows the traceback.", as_json=as_json)
    return 1


def _write_no_more() -> None:
    """Keep the interpreter from trying at its end what has just failed."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _misused(error: click.ClickException, *, as_json: bool) -> int:
    context = error.ctx if isinstance(error, click.UsageError) else None
    hint = f"`{context.command_path} --help` shows what it takes." if context else ""
    fail("usage", error.format_message(), hint, as_json=as_json)
    return error.exit_code


def _debugging() -> bool:
    from antiphon.graphs.settings import read_settings

    try:
        return read_settings().log_level == "debug"
    except SettingsError:
        return False
