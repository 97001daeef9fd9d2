"""DOCX to Markdown-like text: paragraphs, headings, list items and table rows.

The format is an archive that somebody else packed, so what it may unpack to is limited.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING
from zipfile import BadZipFile, ZipFile

from antiphon.tools.errors import InputError

if TYPE_CHECKING:
    from docx.document import Document as WordDocument
    from docx.table import Table
    from docx.text.paragraph import Paragraph

MALFORMED = (
    ArithmeticError, AttributeError, LookupError, RuntimeError, SyntaxError, TypeError, ValueError,
    BadZipFile, zlib.error,
)  # fmt: skip
"""What parsers of foreign formats raise at damaged files."""
UNPACKED_BYTES = 64 * 1024 * 1024
"""What a DOCX may unpack to; Word files of text stay far below."""
STYLED = re.compile(r"heading (\d)$", re.IGNORECASE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Extract:
    """What a file says."""

    text: str
    title: str = ""
    language: str = ""
    updated: str = ""


def read_docx(path: Path) -> Extract:
    """Return the text of a Word file in the order of its body.

    Raises:
        InputError: it is damaged, or unpacks to more than it should.
    """
    import docx
    from docx.opc.exceptions import OpcError

    try:
        with ZipFile(path) as packed:
            unpacked = sum(entry.file_size for entry in packed.infolist())
        if unpacked > UNPACKED_BYTES:
            raise InputError(
                f"Too large: it unpacks to {unpacked / 2**20:.0f} MiB, "
                f"the limit is {UNPACKED_BYTES // 2**20} MiB"
            )
        with path.open("rb") as file:
            document = docx.Document(file)
            text = "\n\n".join(_blocks(document))
            told = document.core_properties
            return Extract(
                text=text,
                title=words(told.title or ""),
                language=re.split("[-_]", told.language or "")[0].lower(),
                updated=day(told.modified),
            )
    except (OpcError, *MALFORMED) as error:
        raise InputError(f"Damaged: {type(error).__name__}: {error}") from error


def _blocks(document: WordDocument) -> Iterator[str]:
    """Yield paragraphs and tables; neighbouring list items are one block."""
    from docx.table import Table

    items: list[str] = []
    for part in document.iter_inner_content():
        text = _table(part) if isinstance(part, Table) else _paragraph(part)
        if text.startswith("- "):
            items.append(text)
            continue
        if items:
            yield "\n".join(items)
            items = []
        if text:
            yield text
    if items:
        yield "\n".join(items)


def _paragraph(paragraph: Paragraph) -> str:
    text = paragraph.text.strip()
    style = str(paragraph.style.name or "") if paragraph.style else ""
    heading = STYLED.search(style)
    if not text or not (heading or style == "Title"):
        return f"- {text}" if text and style.startswith("List") else text
    level = min(int(heading.group(1)), 6) if heading else 1
    return f"{'#' * level} {words(text)}"


def _table(table: Table) -> str:
    rows = [[words(cell.text).replace("|", "/") for cell in row.cells] for row in table.rows]
    lines = [f"| {' | '.join(row)} |" for row in rows if any(row)]
    if len(lines) > 1:
        lines.insert(1, "|" + "---|" * len(rows[0]))
    return "\n".join(lines)


def words(text: str) -> str:
    """Return a text on one line."""
    return " ".join(text.split())


def day(moment: datetime | None) -> str:
    """Return a moment's date as ISO writes it, empty where there is none."""
    return moment.date().isoformat() if moment else ""
