"""`antiphon bench`: run one benchmark over a folder of data."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from importlib.resources import files
from pathlib import Path
from typing import Annotated

import typer

from antiphon.gateway.cli.opening import run
from antiphon.gateway.cli.options import AsJson
from antiphon.gateway.cli.output import emit, table
from antiphon.tools.errors import InputError


def bench(
    name: Annotated[str, typer.Argument(metavar="NAME", hidden=True)],
    data: Annotated[
        Path | None,
        typer.Option(
            "--data",
            metavar="PATH",
            exists=True,
            help="File or folder of data, for a bench that reads any.",
        ),
    ] = None,
    backend: Annotated[
        str | None,
        typer.Option(
            help="Of the retrieval bench: local or weaviate; of durability: sqlite or postgres."
        ),
    ] = None,
    postgres_url: Annotated[
        str | None,
        typer.Option(metavar="URL", help="Of durability: PostgreSQL, else that of the settings."),
    ] = None,
    train: Annotated[
        Path | None, typer.Option(metavar="PATH", exists=True, help="Data to learn from first.")
    ] = None,
    model: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="Of judge: a language model that judges --claims too."),
    ] = None,
    claims: Annotated[
        Path | None,
        typer.Option(
            metavar="PATH", exists=True, help="Of judge: labelled claims, as grounding reads them."
        ),
    ] = None,
    limit: Annotated[int | None, typer.Option(min=1, help="Use only so many items.")] = None,
    language: Annotated[
        str | None,
        typer.Option(metavar="TAG", help="Of the data, as `de`; else heard.", show_default=False),
    ] = None,
    cache: Annotated[
        bool, typer.Option("--cache", help="Keep vectors in the data folder between runs.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Run the benchmark NAME, on data where it reads any.

    An unknown NAME lists the known ones.
    """
    given = {
        "data": data,
        "backend": backend,
        "postgres_url": postgres_url,
        "train": train,
        "model": model,
        "claims": claims,
        "limit": limit,
        "language": language,
        "cache": cache or None,
    }
    options = {key: value for key, value in given.items() if value is not None}
    report = _run(name, options)
    if as_json:
        emit(report)
    else:
        _show(report)


def known() -> list[str]:
    """Return the names of all benches, without importing one: they are heavy."""
    folder = files("antiphon.evals.bench")
    return sorted(
        module.name.removesuffix(".py")
        for module in folder.iterdir()
        if module.name.endswith(".py") and "\nasync def run(" in module.read_text("utf-8")
    )


def _run(name: str, options: Mapping[str, object]) -> dict[str, object]:
    import inspect

    if name not in known():
        raise InputError(f"there is no bench {name!r}", hint=f"Known: {', '.join(known())}.")
    measure = import_module(f"antiphon.evals.bench.{name}").run
    taken = inspect.signature(measure).parameters
    for option in options:
        if option not in taken:
            raise InputError(f"the {name} bench takes no --{option.replace('_', '-')}")
    for option, parameter in taken.items():
        if parameter.default is parameter.empty and option not in options:
            raise InputError(
                f"the {name} bench needs --{option}", hint="Name a file or folder of data."
            )
    report = run(measure(**options))
    if not isinstance(report, dict):
        raise TypeError(f"the {name} bench returned no report")
    return report


def _show(report: Mapping[str, object]) -> None:
    figures, rows = report.get("figures"), report.get("rows")
    if isinstance(figures, Mapping):
        table(f"bench {report.get('bench', '')}", ("figure", "value"), list(figures.items()))
    if isinstance(rows, list) and rows and isinstance(rows[0], Mapping):
        columns = list(dict.fromkeys(key for row in rows for key in row))
        table("side by side", columns, [[row.get(key, "") for key in columns] for row in rows])
