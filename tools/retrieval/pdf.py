"""PDF to Markdown-like text: each page under a heading that names it, in its sections.

A PDF is a program for somebody else's reader, so what it may unpack to is limited. It knows lines
and not paragraphs: page headers are taken out, and a sentence that goes on overleaf is kept whole.
"""

from __future__ import annotations

import logging
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from antiphon.tools.errors import InputError
from antiphon.tools.retrieval.office import MALFORMED, Extract, day, words

if TYPE_CHECKING:
    from pypdf import PdfReader

MOST_PAGES = 3000
LARGEST_TEXT = 20_000_000
LOWEST = 5
"""Lowest level of a section's heading; the page stands below it."""
EDGE = 2
"""Lines at the top and at the bottom of a page where its header and footer are looked for."""
REPEATED = 3
"""Pages from which on a line at their edge is a header or footer."""
LONGEST_TAIL = 600
"""Characters overleaf within which a sentence has to end to be kept whole."""
HYPHEN = re.compile(r"(?<=[^\W\d_])-\n(?=[a-zß-öø-ÿ])")
LEADERS = re.compile(r"(?:\. ?){5}\d{1,4}\s*$")
"""How a line of a table of contents ends."""
HASH = re.compile(r"^ {0,3}(?=#{1,6}[ \t])")
BULLET = re.compile(r"^([ \t]*)[●▪■◦‣∙·\uf0b7\uf0a7](?=\s)")
UNFINISHED = re.compile(r"[\w,;)\]\"'”’-]\s*\Z")
TAIL = re.compile(r"[^\n]*?(?:\n[^\n]+?)*?[.!?]['\"”’)\]]*(?=\s|\Z)")
NUMBER = re.compile(r"\d+|\b[ivxlc]+\b")
SECTION_NUMBER = re.compile(r"^(?:[A-Z]|\d{1,3})(?:\.\d{1,3})*[.:]?\s+")
NO_TITLE = re.compile(
    r"\\|\.(?:docx?|wpd|tex|dvi|indd|pdf|pptx?|xlsx?|rtf|odt|html?)\b"
    r"|^\W*(?:anonymous|untitled|unspecified|unknown)\b",
    re.IGNORECASE,
)
"""What a program left as the title, who wrote it having given none."""
FEWEST_LINES = 8
SHORT = 0.75
"""Share of the usual width below which a line that ends a sentence ends a paragraph too."""
STOP = re.compile(r"[.!?:]['\"”’)\]]*\s*$")

Section = tuple[int, str]
"""Level and title of a heading."""


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
        count = len(reader.pages)
        if count > MOST_PAGES:
            raise InputError(f"Too large: {count} pages, the limit is {MOST_PAGES}")
        pages = list(_limited(page.extract_text() for page in reader.pages))
        told = reader.metadata
        title, changed = (told.title, told.modification_date) if told else (None, None)
        sections = _sections(reader)
    except (FileNotDecryptedError, DependencyError) as error:
        raise InputError("Encrypted: it needs a password", hint="Save it without one.") from error
    except PyPdfError as error:
        raise InputError(f"Damaged: {error}") from error
    except MALFORMED as error:
        raise InputError(f"Damaged: {type(error).__name__}: {error}") from error
    if not "".join(pages).strip():
        raise InputError("Empty: it holds pictures but no text", hint="Recognise its text first.")
    text = "\n\n".join(_marked(_whole(_bare(pages)), sections))
    named = words(str(title or ""))
    return Extract(text=text, title="" if NO_TITLE.search(named) else named, updated=day(changed))


def _limited(pages: Iterable[str]) -> Iterator[str]:
    size = 0
    for text in pages:
        size += len(text)
        if size > LARGEST_TEXT:
            raise InputError(f"Too large: more than {LARGEST_TEXT} characters of text")
        yield text.strip()


def _sections(reader: PdfReader) -> dict[int, list[Section]]:
    """Return the headings of the outline by the index of their page; a damaged one tells none."""
    from pypdf.errors import PyPdfError
    from pypdf.generic import Destination

    found: defaultdict[int, list[Section]] = defaultdict(list)

    def walk(entries: Iterable[object], level: int) -> None:
        for entry in entries:
            if isinstance(entry, list):
                walk(entry, level + 1)
                continue
            if not isinstance(entry, Destination):
                continue
            page, title = reader.get_destination_page_number(entry), words(str(entry.title or ""))
            if page is not None and title:
                found[page].append((min(level, LOWEST), title))

    try:
        walk(reader.outline, 1)
    except (PyPdfError, *MALFORMED):
        return {}
    return found


def _bare(pages: Sequence[str]) -> list[list[str]]:
    """Return the lines of each page without its header and footer, and without contents lists.

    A header is a line that stands at the same edge of other pages too, numbers aside.
    """
    lines = [[line for line in text.split("\n") if line.strip()] for text in pages]
    edges = [(page[:EDGE], page[-EDGE:]) if len(page) > EDGE else ([], []) for page in lines]
    tops = _repeated(top for top, _ in edges)
    ends = _repeated(end for _, end in edges)
    bare = []
    for page, (top, end) in zip(lines, edges, strict=True):
        first = 0
        while first < len(top) and _key(top[first]) in tops:
            first += 1
        last = len(page)
        while last > max(first, len(page) - len(end)) and _key(page[last - 1]) in ends:
            last -= 1
        bare.append([line for line in page[first:last] if not LEADERS.search(line)])
    return bare


def _repeated(edges: Iterable[Sequence[str]]) -> set[str]:
    counts = Counter(key for edge in edges for key in {_key(line) for line in edge})
    # One with words and a number that changes is a chapter's, which may have two pages only.
    return {key for key, n in counts.items() if n >= REPEATED - ("#" in key and " " in key)}


def _key(line: str) -> str:
    return NUMBER.sub("#", " ".join(line.split()).lower())


def _whole(pages: Sequence[Sequence[str]]) -> list[str]:
    """Return each page's text, with the end of its last sentence where that stands overleaf."""
    texts = ["\n".join(page) for page in pages]
    for at, text in enumerate(texts[1:], start=1):
        above = texts[at - 1]
        tail = TAIL.match(text[:LONGEST_TAIL]) if text[:1].islower() else None
        if tail and UNFINISHED.search(above):
            texts[at - 1] = f"{above}\n{tail[0]}"
            texts[at] = text[tail.end() :].lstrip()
    return texts


def _marked(pages: Sequence[str], sections: Mapping[int, Sequence[Section]]) -> Iterator[str]:
    """Yield each page with its headings; the page is named again below each."""
    for at, text in enumerate(pages):
        name = f"{'#' * (LOWEST + 1)} Page {at + 1}" if len(pages) > 1 else ""
        waiting = list(sections.get(at, ()))
        blocks: list[str] = []
        lines: list[str] = []
        for line in HYPHEN.sub("", text).split("\n"):
            title = waiting[0][1] if waiting else ""
            if title and _same(line, title):
                blocks += [_paragraphs(lines), _heading(waiting.pop(0)), name]
                lines = []
            else:
                # A PDF has no Markdown: a hash at the start of a line is somebody's comment.
                lines.append(BULLET.sub(r"\1•", HASH.sub("    ", line)))
        above = [_heading(section) for section in waiting] if text.strip() or blocks else []
        body = [*blocks, _paragraphs(lines)]
        yield from filter(None, _tidy([*above, name, *body]))


def _tidy(blocks: Sequence[str]) -> Iterator[str]:
    """Yield the blocks without the name of a page that has nothing beneath."""
    held = [block for block in blocks if block]
    for at, block in enumerate(held):
        below = held[at + 1] if at + 1 < len(held) else "#"
        if not (block.startswith("#" * (LOWEST + 1)) and below.startswith("#")):
            yield block


def _heading(section: Section) -> str:
    level, title = section
    return f"{'#' * level} {title}"


def _same(line: str, title: str) -> bool:
    """Tell whether a line is the heading that the outline names, with or without its number."""
    one, two = (SECTION_NUMBER.sub("", words(text)).casefold() for text in (line, title))
    return one.rstrip(".") == two.rstrip(".") != ""


def _paragraphs(lines: Sequence[str]) -> str:
    """Return lines with a blank one after each that ends short of the others, with its sentence."""
    if len(lines) < FEWEST_LINES:
        return "\n".join(lines)
    usual = sorted(map(len, lines))[len(lines) * 3 // 4]
    return "\n".join(
        f"{line}\n" if len(line) < SHORT * usual and STOP.search(line) else line for line in lines
    ).rstrip("\n")
