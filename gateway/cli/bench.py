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
        Path, typer.Option("--data", metavar="PATH", exists=True, help="File or folder of data.")
    ],
    backend: Annotated[
        str | None, typer.Option(help="Of the retrieval bench: local or weaviate.")
    ] = None,
    train: Annotated[
        Path | None, typer.Option(metavar="PATH", exists=True, help="Data to learn from first.")
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
    """Run the benchmark NAME on data.

    An unknown NAME lists the known ones.
    """
    given = {
        "backend": backend,
        "train": train,
        "limit": limit,
        "language": language,
        "cache": cache or None,
    }
    options = {key: value for key, value in given.items() if value is not None}
    report = _run(name, data, options)
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


def _run(name: str, data: Path, options: Mapping[str, object]) -> dict[str, object]:
    import inspect

    if name not in known():
        raise InputError(f"there is no bench {name!r}", hint=f"Known: {', '.join(known())}.")
    measure = import_module(f"antiphon.evals.bench.{name}").run
    taken = inspect.signature(measure).parameters
    for option in options:
        if option not in taken:
            raise InputError(f"the {name} bench takes no --{option}")
    report = run(measure(data, **options))
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
