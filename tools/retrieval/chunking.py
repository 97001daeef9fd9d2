"""A document cut into passages: along its headings, then by paragraph, up to a token limit.

Every passage is a slice of the document, and each word of the body outside headings is in
exactly one. Headings travel in `Passage.heading`, and so do the column names of a table that had to
be cut between its rows, and the first line of a record that had to be cut; a heading with nothing
beneath is a passage itself.
"""

from __future__ import annotations

import hashlib
import json
import re
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise, zip_longest
from typing import Literal

from antiphon.tools.retrieval.passages import Document, Passage
from antiphon.tools.retrieval.sentences import FENCE, HEADING, LINE, MARKER, Span, sentences
from antiphon.tools.tokens import TokenCounter

Kind = Literal["heading", "text", "table", "code"]

WHOLE: dict[Kind, int] = {"heading": 1, "text": 1, "table": 2, "code": 4}
"""How many times the limit a block may take before it is cut: half a table says little."""
WORD = re.compile(r"[^\W_]")
ANCHOR = re.compile(r"\s*\{[#.:][^{}]*\}$")
"""The name that a heading may end with, for links to it."""
UNDERLINE = re.compile(r"[ \t]{0,3}(=+|-{2,})[ \t]*$")
RULED = re.compile(r"[ \t|:]*-[-| \t:]*\r?(?:\n|\Z)")
"""The line below the column names of a table."""
RECORD = re.compile(r"\S.*(?:\n.*\S.*)*")
LONGEST_FIRST_LINE = 200
"""Characters of a record's first line that its later parts carry."""
UNDERLINED = 2
"""Lines of a heading that is underlined instead of marked."""


@dataclass(frozen=True, slots=True)
class Block:
    """Lines that belong together."""

    kind: Kind
    start: int
    end: int
    level: int = 0
    """Of a heading, 1 to 6."""
    title: str = ""
    """Of a heading."""


def chunk(
    document: Document, *, tokens: TokenCounter, max_tokens: int = 220
) -> tuple[Passage, ...]:
    """Return the passages of a document, in order.

    Only a table, a code block or a single character may exceed `max_tokens`.
    """
    text = document.text
    if document.records:
        return tuple(_records(document, tokens, max_tokens))
    blocks = _blocks(text, document.body_start)
    return tuple(
        _passage(document, under, span)
        for heading, section in _sections(blocks, document.title)
        for span, under in _headed(
            text,
            heading,
            section,
            _merged(text, _pieces(text, section, tokens, max_tokens), tokens, max_tokens),
        )
    )


def _records(document: Document, tokens: TokenCounter, max_tokens: int) -> Iterator[Passage]:
    """Yield each record; one that is too long is cut, under its first line."""
    text = document.text
    for found in RECORD.finditer(text, document.body_start):
        first = found.group().partition("\n")[0][:LONGEST_FIRST_LINE].strip()
        pieces = _pieces(text, [Block("text", *found.span())], tokens, max_tokens)
        for span in _merged(text, pieces, tokens, max_tokens):
            yield _passage(document, first if span[0] > found.start() else "", span)


def _passage(document: Document, heading: str, span: Span) -> Passage:
    start, end = span
    text = document.text[start:end]
    known = (document.source, start, text, document.title, heading, document.updated)
    content = json.dumps([*known, document.language, *document.labels])
    return Passage(
        id=hashlib.sha256(content.encode()).hexdigest()[:32],
        source=document.source,
        title=document.title,
        heading=heading,
        text=text,
        start=start,
        end=end,
        language=document.language,
        updated=document.updated,
        labels=document.labels,
    )


def _blocks(text: str, body_start: int) -> Iterator[Block]:
    """Yield the blocks that hold words: what blank lines, headings, fences and tables set apart."""
    lines = [_line(match) for match in LINE.finditer(text, body_start) if match.group()]
    at = 0
    while at < len(lines):
        start, line = lines[at]
        if not line.strip():
            at += 1
            continue
        last = _block_end(lines, at)
        end = lines[last - 1][0] + len(lines[last - 1][1])
        if WORD.search(text, start, end):
            yield _block(line, lines[last - 1][1], start, end, last - at)
        at = last


def _line(match: re.Match[str]) -> tuple[int, str]:
    return match.start(), match.group().rstrip("\r\n")


def _block(first: str, last: str, start: int, end: int, height: int) -> Block:
    """Name what stands between two offsets by its first and last line."""
    if hashes := HEADING.match(first):
        title = ANCHOR.sub("", first[hashes.end() :].strip().rstrip("#").strip())
        return Block("heading", start, end, level=hashes.group().count("#"), title=title)
    underline = UNDERLINE.match(last) if height == UNDERLINED else None
    if underline and not _kept_together(first) and not MARKER.match(first):
        level = 1 if underline.group(1).startswith("=") else 2
        return Block("heading", start, end, level=level, title=first.strip())
    return Block(_kept_together(first) or "text", start, end)


def _kept_together(line: str) -> Literal["table", "code"] | None:
    if FENCE.match(line):
        return "code"
    return "table" if line.lstrip().startswith("|") else None


def _block_end(lines: Sequence[tuple[int, str]], at: int) -> int:
    """Return the index of the line after the block that starts at a line."""
    first = lines[at][1]
    after = at + 1
    if HEADING.match(first):
        return after
    if fence := FENCE.match(first):
        while after < len(lines) and not lines[after][1].lstrip().startswith(fence.group(1)):
            after += 1
        return min(after + 1, len(lines))
    kind = _kept_together(first)
    while after < len(lines) and (line := lines[after][1]).strip():
        if HEADING.match(line) or _kept_together(line) != kind:
            break
        after += 1
        if after == at + 2 and UNDERLINE.match(line):
            break
    return after


def _sections(blocks: Iterable[Block], title: str) -> Iterator[tuple[str, list[Block]]]:
    """Yield each stretch between headings with the path of headings above it."""
    path: list[Block] = []
    body: list[Block] = []
    known = list(blocks)
    for block, following in zip_longest(known, known[1:]):
        if block.kind != "heading":
            body.append(block)
            continue
        if body:
            yield _joined(path, title), body
        path = [above for above in path if above.level < block.level]
        childless = following is None or (
            following.kind == "heading" and following.level <= block.level
        )
        body = [block] if childless else []
        if not childless:
            path.append(block)
    if body:
        yield _joined(path, title), body


def _joined(path: Sequence[Block], title: str) -> str:
    """Return a heading path, without the title where the document repeats it on top."""
    headings = [block.title for block in path]
    if headings and headings[0].casefold() == title.casefold():
        headings = headings[1:]
    return " > ".join(heading for heading in headings if heading)


def _headed(
    text: str, heading: str, blocks: Iterable[Block], spans: Iterable[Span]
) -> Iterator[tuple[Span, str]]:
    """Yield each span with its heading path; with column names where it begins inside a table."""
    tables = [block for block in blocks if block.kind == "table"]
    starts = [table.start for table in tables]
    for span in spans:
        at = bisect_left(starts, span[0]) - 1
        inside = at >= 0 and span[0] < tables[at].end
        yield span, _with_columns(text, heading, tables[at]) if inside else heading


def _with_columns(text: str, heading: str, table: Block) -> str:
    head, _, rest = text[table.start : table.end].partition("\n")
    if not RULED.match(rest):
        return heading
    columns = [cell.strip(" *_`") for cell in head.strip().strip("|").split("|")]
    return " > ".join(part for part in (heading, " | ".join(columns)) if part)


def _pieces(
    text: str, blocks: Iterable[Block], tokens: TokenCounter, max_tokens: int
) -> Iterator[Span]:
    """Yield the spans to merge: whole blocks, and the parts of those that are too long."""
    for block in blocks:
        span = (block.start, block.end)
        if tokens.count(text[slice(*span)]) <= max_tokens * WHOLE[block.kind]:
            yield span
            continue
        lines = block.kind in {"table", "code"}
        for part in _line_spans(text, span) if lines else _sentence_spans(text, span):
            yield from _fitting(text, part, tokens, max_tokens)


def _line_spans(text: str, span: Span) -> Iterator[Span]:
    """Yield each line; the first two together, since a table's second names no values."""
    lines = [match.span() for match in LINE.finditer(text, *span) if match.group().strip()]
    if len(lines) > 1:
        lines[:2] = [(lines[0][0], lines[1][1])]
    yield from lines


def _sentence_spans(text: str, span: Span) -> Iterator[Span]:
    """Yield the sentences of a block, each with the marker of its list item and what follows it."""
    start, end = span
    cuts = [start]
    for begun, _ in sentences(text[start:end])[1:]:
        line = text.rfind("\n", start, start + begun) + 1
        marker = MARKER.match(text, line)
        cuts.append(line if line and marker and marker.end() == start + begun else start + begun)
    yield from pairwise([*cuts, end])


def _fitting(text: str, span: Span, tokens: TokenCounter, max_tokens: int) -> Iterator[Span]:
    """Yield the span, cut between words where it is too long, and within them if it must be."""
    start, end = span
    while tokens.count(text[start:end].rstrip()) > max_tokens and end - start > 1:
        low, high = start + 1, end
        while low < high:
            middle = (low + high + 1) // 2
            fits = tokens.count(text[start:middle]) <= max_tokens
            low, high = (middle, high) if fits else (low, middle - 1)
        words = [m.start() for m in re.finditer(r"\s\S", text[start : low + 1])]
        cut = start + words[-1] + 1 if words else low
        yield start, cut
        start = cut
    yield start, end


def _merged(
    text: str, spans: Iterable[Span], tokens: TokenCounter, max_tokens: int
) -> Iterator[Span]:
    """Yield neighbours joined while they fit, without outer white space; rules alone are left."""
    begun: Span | None = None
    for start, end in spans:
        if begun and tokens.count(text[begun[0] : end].strip()) <= max_tokens:
            begun = (begun[0], end)
            continue
        if begun:
            yield from _stripped(text, begun)
        begun = (start, end)
    if begun:
        yield from _stripped(text, begun)


def _stripped(text: str, span: Span) -> Iterator[Span]:
    start, end = span
    piece = text[start:end]
    if WORD.search(piece):
        yield start + len(piece) - len(piece.lstrip()), start + len(piece.rstrip())
