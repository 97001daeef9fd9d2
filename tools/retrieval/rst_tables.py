"""The tables of reStructuredText, in each of its notations, as rows of cells."""

from __future__ import annotations

import csv
import re
from collections.abc import Sequence
from itertools import pairwise

GRID = re.compile(r"\+(?:[-=]+\+)+$")
SIMPLE = re.compile(r"=+(?:[ ]+=+)+$")
SPANS = re.compile(r"-+(?:[ ]+-+)*[ ]*$")
Rows = list[list[str]]


def grid(lines: Sequence[str]) -> tuple[Rows, int]:
    """Return the rows of a table drawn with `+---+`, and how many of them head it."""
    cuts = sorted({at for line in lines if GRID.match(line) for at in _crossings(line)})
    rows: Rows = []
    head = 0
    open_row: list[str] | None = None
    for line in lines:
        if line.startswith("+") and set(line) <= set("+-= "):
            if open_row:
                rows.append(open_row)
            open_row = None
            head = len(rows) if "=" in line else head
            continue
        # A bar that is missing at a crossing lets a cell reach over columns.
        walls = [at for at in cuts if line[at : at + 1] in {"|", "+"}]
        cells = [""] * (len(cuts) - 1)
        for left, right in pairwise(walls):
            cells[cuts.index(left)] = line[left + 1 : right].strip()
        open_row = _joined(open_row, cells)
    return rows, head


def simple(lines: Sequence[str]) -> tuple[Rows, int]:
    """Return the rows of a table ruled by `===  ===`, and how many of them head it."""
    starts = [match.start() for match in re.finditer(r"=+", lines[0])]
    rows: Rows = []
    head = 0
    for line in lines[1:]:
        if SIMPLE.match(line):
            head = head or len(rows)
            continue
        if not line.strip() or SPANS.match(line):
            continue
        cells = [line[a:b].strip() for a, b in zip(starts, [*starts[1:], None], strict=True)]
        if rows and not line[: starts[1]].strip():
            rows[-1] = _joined(rows[-1], cells)
        else:
            rows.append(cells)
    return rows, head if head < len(rows) else 0


def comma_separated(lines: Sequence[str]) -> Rows:
    """Return the rows of a `csv-table`."""
    try:
        return [[cell.strip() for cell in row] for row in csv.reader(lines, skipinitialspace=True)]
    except csv.Error:
        return [[line] for line in lines]


def drawn(rows: Rows, head: int) -> list[str]:
    """Return rows as a Markdown table; the first heads it, or empty names where none does."""
    rows = [[" ".join(cell.replace("|", "/").split()) for cell in row] for row in rows if any(row)]
    if not rows:
        return []
    width = max(map(len, rows))
    padded = [row + [""] * (width - len(row)) for row in rows]
    header = [" ".join(filter(None, cells)) for cells in zip(*padded[:head], strict=True)]
    shown = [header, *padded[head:]] if head else padded
    lines = [f"| {' | '.join(row)} |" for row in shown]
    return [lines[0], "|" + "---|" * width, *lines[1:]] if head else lines


def _crossings(line: str) -> list[int]:
    return [at for at, sign in enumerate(line) if sign == "+"]


def _joined(above: list[str] | None, cells: list[str]) -> list[str]:
    if above is None:
        return cells
    return [f"{one} {two}".strip() for one, two in zip(above, cells, strict=True)]
