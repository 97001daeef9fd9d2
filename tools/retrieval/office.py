"""PDF and DOCX to Markdown-like text: paragraphs, headings, list items and table rows.

Both formats are programs for somebody else's reader, so what they may unpack to is limited.
"""

from __future__ import annotations

import logging
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
MOST_PAGES = 3000
LARGEST_TEXT = 20_000_000
HYPHEN = re.compile(r"(?<=[^\W\d_])-\n(?=[a-zß-öø-ÿ])")
LEADERS = re.compile(r"(?:\. ?){5}\d{1,4}\s*$")
"""How a line of a table of contents ends."""
HASH = re.compile(r"^ {0,3}(?=#{1,6}[ \t])", re.MULTILINE)
STYLED = re.compile(r"heading (\d)$", re.IGNORECASE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Extract:
    """What a file says."""

    text: str
    title: str = ""
    language: str = ""
    updated: str = ""


def read_pdf(path: Path) -> Extract:
    """Return the text of a PDF, page after page.

    Raises:
        InputError: it is encrypted, damaged, or holds pictures only.
    """
    from pypdf import PdfReader
    from pypdf.errors import DependencyError, FileNotDecryptedError, PyPdfError

    # It reports on fonts and offsets that only their producers could mend.
    logging.getLogger("pypdf").setLevel(logging.CRITICAL)
    try:
        reader = PdfReader(path)
        pages = len(reader.pages)
        if pages > MOST_PAGES:
            raise InputError(f"Too large: {pages} pages, the limit is {MOST_PAGES}")
        text = "\n\n".join(_limited(page.extract_text() for page in reader.pages))
        told = reader.metadata
        title, changed = (told.title, told.modification_date) if told else (None, None)
    except (FileNotDecryptedError, DependencyError) as error:
        raise InputError("Encrypted: it needs a password", hint="Save it without one.") from error
    except PyPdfError as error:
        raise InputError(f"Damaged: {error}") from error
    except MALFORMED as error:
        raise InputError(f"Damaged: {type(error).__name__}: {error}") from error
    if not text.strip():
        raise InputError("Empty: it holds pictures but no text", hint="Recognise its text first.")
    return Extract(text=_readable(text), title=_words(str(title or "")), updated=_day(changed))


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
                title=_words(told.title or ""),
                language=re.split("[-_]", told.language or "")[0].lower(),
                updated=_day(told.modified),
            )
    except (OpcError, *MALFORMED) as error:
        raise InputError(f"Damaged: {type(error).__name__}: {error}") from error


def _readable(text: str) -> str:
    """Mend words torn at a line's end and drop the table of contents, which answers nothing."""
    lines = [line for line in text.split("\n") if not LEADERS.search(line)]
    # A PDF has no Markdown: a hash at the start of a line is a comment in somebody's example.
    return HASH.sub("    ", HYPHEN.sub("", "\n".join(lines)))


def _limited(pages: Iterator[str]) -> Iterator[str]:
    size = 0
    for text in pages:
        size += len(text)
        if size > LARGEST_TEXT:
            raise InputError(f"Too large: more than {LARGEST_TEXT} characters of text")
        yield text.strip()


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
    return f"{'#' * level} {_words(text)}"


def _table(table: Table) -> str:
    rows = [[_words(cell.text).replace("|", "/") for cell in row.cells] for row in table.rows]
    lines = [f"| {' | '.join(row)} |" for row in rows if any(row)]
    if len(lines) > 1:
        lines.insert(1, "|" + "---|" * len(rows[0]))
    return "\n".join(lines)


def _words(text: str) -> str:
    return " ".join(text.split())


def _day(moment: datetime | None) -> str:
    return moment.date().isoformat() if moment else ""
