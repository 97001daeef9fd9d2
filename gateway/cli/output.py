"""What the terminal is shown: JSON or readable text on standard output, errors on the other.

Everything that came from a model, a document or a user passes `visible` first, so that no escape
sequence of theirs reaches the terminal.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

from antiphon.tools.errors import StorageUnwritable

if TYPE_CHECKING:
    from pathlib import Path

    from rich.console import Console
    from rich.table import Table

_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")


def visible(text: object) -> str:
    """Return `text` without control characters, keeping newlines and tabs."""
    return _CONTROL.sub("", str(text).replace("\r\n", "\n"))


def emit(value: object) -> None:
    """Print `value` as one JSON object."""
    encoding = (sys.stdout.encoding or "ascii").lower().replace("-", "")
    print(json.dumps(value, ensure_ascii=encoding != "utf8", indent=2, default=str))


def console(*, error: bool = False) -> Console:
    """Return a rich console that leaves piped text unwrapped and uncoloured."""
    from rich.console import Console

    stream = sys.stderr if error else sys.stdout
    terminal = stream.isatty()
    return Console(
        file=stream,
        soft_wrap=not terminal,
        markup=False,
        highlight=False,
        emoji=False,
        width=None if terminal else 120,
    )


def write_file(text: str, path: Path) -> None:
    """Write a file the user asked for. Raises StorageUnwritable."""
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise StorageUnwritable(f"cannot write {str(path)!r}: {error.strerror}") from error


def table(title: str, columns: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """Print a table; a column whose cells are all numbers is aligned to the right."""
    out = console()
    out.print(_table(title, columns, rows), soft_wrap=False)


def _table(title: str, columns: Sequence[str], rows: Sequence[Sequence[object]]) -> Table:
    from rich import box
    from rich.table import Table

    made = Table(title=title or None, title_justify="left", title_style="bold", box=box.SIMPLE_HEAD)
    for place, name in enumerate(columns):
        numbers = bool(rows) and all(isinstance(row[place], int | float) for row in rows)
        made.add_column(name, justify="right" if numbers else "left", overflow="fold")
    for row in rows:
        made.add_row(*(visible(_short(cell)) for cell in row))
    return made


def _short(cell: object) -> str:
    if isinstance(cell, bool):
        return "yes" if cell else "no"
    return f"{cell:.4g}" if isinstance(cell, float) else str(cell)


def fail(code: str, message: str, hint: str = "", *, as_json: bool, **more: object) -> None:
    """Print one error to standard error: a readable message, or `{"error": ...}`."""
    if as_json:
        error = {"code": code, "message": message, "hint": hint, **more}
        print(json.dumps({"error": error}), file=sys.stderr)
        return
    print(f"error: {visible(message)}", file=sys.stderr)
    if hint:
        print(f"hint: {visible(hint)}", file=sys.stderr)
