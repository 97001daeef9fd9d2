"""Where sentences begin and end: spans into the text, so that a quote keeps its offsets.

Lines say what may not be joined (headings, list items, table rows, code), then full stops split
what is left. Markers (`#`, `-`, `1.`, `>`, the outer pipes of a row) stay outside the spans.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

Span = tuple[int, int]

ABBREVIATIONS = frozenset(
    re.findall(
        r"\S+",
        """
        abb approx art aug avg bzw ca capt cf co corp dec dept dr ed eg e.g est evtl feb fig ggf
        gov hon i.e ie inc inkl jan jr lt ltd max messrs min mio mr mrs ms mt nov nr oct okt p.a pl
        pp prof resp rev sen sep sept sr sra srta st str tel u.a u.s u.s.a vgl vol vs z.b zzgl
        """,
    )
)
"""Words whose full stop does not end a sentence (English, German, a few Spanish and French)."""
BEFORE_NUMBERS = frozenset(["no", "nos", "p", "sec", "ch", "abs", "núm", "pág"])
"""Abbreviations only where a digit follows: "No. 5", but "She said no. Then"."""

LINE = re.compile(r"[^\n]*\n?")
FENCE = re.compile(r"[ \t]*(```+|~~~+)")
MARKER = re.compile(r"[ \t]*(?:>[ \t]?)*(?:[-*+•][ \t]+(?:\[[ xX]\][ \t]+)?|\d{1,3}[.)][ \t]+)")
HEADING = re.compile(r"[ \t]{0,3}#{1,6}[ \t]+")
QUOTED = re.compile(r"[ \t]*(?:>[ \t]?)+")
RULE = frozenset(" \t|-:=*_")
"""All that thematic breaks, underlines of headings and the second row of a table are made of."""
STOP = re.compile(
    r"(?<![.!?…])[.!?…]++[\"'”’»)\]*_]*+(?:[ \t]*\[\d{1,3}\])*+(?=\s)"
    r"|[。！？]+[」』”]?(?:[ \t]*\[\d{1,3}\])*"
)
"""The end of a sentence with closing quotes and citation markers; possessive, so linear."""
EDGE = re.compile(r"\A[\s>]+")
WORD_BEFORE = re.compile(r"[^\s(\[\"“„'*_]*$")


def sentences(text: str) -> tuple[Span, ...]:
    """Return the spans of the text's sentences in order: stripped, not empty, never overlapping."""
    return tuple(span for start, end in _units(text) for span in _split(text, start, end))


def _units(text: str) -> Iterator[Span]:
    """Yield the stretches that no sentence crosses: paragraphs, items, rows, headings, code."""
    begun, fence, at = -1, "", 0
    for match in LINE.finditer(text):
        at, line = match.start(), match.group().rstrip("\r\n")
        opened = FENCE.match(line)
        if fence:
            if opened and opened.group(1).startswith(fence):
                yield begun, at
                begun, fence = -1, ""
            continue
        start = _unit_start(line, begun >= 0)
        if start is not None:
            if begun >= 0:
                yield begun, at
            begun = at + start if start >= 0 else -1
        if opened:
            fence, begun = opened.group(1), match.end()
        elif begun >= 0 and (HEADING.match(line) or _is_row(line)):
            yield begun, at + len(line.rstrip(" \t|" if _is_row(line) else " \t#"))
            begun = -1
    if begun >= 0:
        yield begun, len(text)


def _unit_start(line: str, inside: bool) -> int | None:
    """Return where in the line a unit begins, -1 where one only ends, None where it goes on."""
    if not line.strip() or FENCE.match(line) or RULE.issuperset(line):
        return -1
    if marked := HEADING.match(line) or MARKER.match(line):
        return marked.end()
    if _is_row(line):
        return len(line) - len(line.lstrip(" \t|"))
    if inside:
        return None
    quoted = QUOTED.match(line)
    return quoted.end() if quoted else 0


def _is_row(line: str) -> bool:
    """Tell whether a line is a row of a table."""
    row = line.strip()
    return len(row) > 1 and row[0] == row[-1] == "|"


def _split(text: str, start: int, end: int) -> Iterator[Span]:
    """Yield the sentences of one unit."""
    at = start
    for stop in STOP.finditer(text, start, end):
        if _ends(text, at, stop, end):
            yield from _stripped(text, at, stop.end())
            at = stop.end()
    yield from _stripped(text, at, end)


def _ends(text: str, at: int, stop: re.Match[str], end: int) -> bool:
    """Tell whether a full stop ends its sentence."""
    if stop.group()[0] in "。！？":
        return True
    following = text[stop.end() : min(end, stop.end() + 8)].lstrip().lstrip("\"'“„«(*_>")[:1]
    if following.islower():
        return False
    if not stop.group().startswith(".") or stop.group().startswith(".."):
        return True
    before = WORD_BEFORE.search(text, max(at, stop.start() - 20), stop.start())
    word = before.group().casefold() if before else ""
    if word in BEFORE_NUMBERS:
        return not following.isdigit()
    return word not in ABBREVIATIONS and not (len(word) == 1 and word.isalpha())


def _stripped(text: str, start: int, end: int) -> Iterator[Span]:
    """Yield the span without white space and quote marks around it, or nothing."""
    piece = text[start:end].rstrip()
    words = EDGE.sub("", piece)
    if words:
        yield start + len(piece) - len(words), start + len(piece)
