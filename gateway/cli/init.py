"""`antiphon init`: a working assistant of one's own to start from."""

from __future__ import annotations

import shutil
from importlib.resources import as_file, files
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Annotated

import typer

from antiphon.gateway.cli.options import AsJson
from antiphon.gateway.cli.output import console, emit
from antiphon.tools.errors import InputError, StorageUnwritable


def init(
    folder: Annotated[Path, typer.Argument(metavar="DIR", file_okay=False, hidden=True)],
    force: Annotated[
        bool, typer.Option("--force", help="Write into DIR though it is not empty.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Write a working assistant into the folder DIR.

    It holds assistant.yaml, knowledge, tools.py and a golden set; DIR must be new or empty.
    """
    if folder.is_dir() and any(folder.iterdir()) and not force:
        raise InputError(
            f"{str(folder)!r} is not empty",
            hint="Name a new folder, or pass --force to overwrite the starter's files in it.",
        )
    try:
        written = copy_starter(folder)
    except OSError as error:
        raise StorageUnwritable(f"{str(folder)!r} cannot be written: {error.strerror}") from error
    if as_json:
        emit({"folder": str(folder), "written": written})
        return
    out = console()
    out.print(f"Wrote {len(written)} files into {folder}:")
    for name in written:
        out.print(f"  {name}", style="dim")
    out.print(
        f"\nNext:\n  antiphon check {folder}\n"
        f'  antiphon ask --assistant {folder} "What can you help me with?"\n'
        f"  antiphon chat --assistant {folder}"
    )


def copy_starter(folder: Path) -> list[str]:
    """Copy the starter assistant and return the relative paths written."""
    starter = files("antiphon.examples") / "starter"
    return sorted(_copied(starter, folder, ""))


def _copied(source: Traversable, folder: Path, under: str) -> list[str]:
    folder.mkdir(parents=True, exist_ok=True)
    written: list[str] = []
    for entry in source.iterdir():
        name = entry.name
        if name == "__pycache__" or name.endswith(".pyc"):
            continue
        if entry.is_dir():
            written += _copied(entry, folder / name, f"{under}{name}/")
        else:
            with as_file(entry) as path:
                shutil.copyfile(path, folder / name)
            written.append(under + name)
    return written
