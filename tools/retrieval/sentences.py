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
        abb approx apr apt art aug av avg bijv bkz bspw bzw ca cap capt cca cf chap co corp dec dept
        dhr dott dr dña ed ee.uu eg ehem ej env esq est etw evtl exmo feb fig geb gen gest
        ggf gov hon ie inc inkl jan jh jhd jr lt ltd max messrs mevr min mio mlle mm mme mr mrs mrd
        ms mt nov nr núm oct okt op orn örn pag pág pl pp prof resp rev sen sep sept sig sr sra srta
        st ste str tel tzn tzv ud uds ul urk v.chr vb vgl vol vs yy zzgl ö.ö

        гг вв др ул руб коп млн млрд тыс см рис стр им пр проф акад род ум изд напр обл мин макс
        κα κος κκ δρ αι χλμ σελ εκ τηλ αρ
        """,
    )
)
"""Words whose full stop seldom ends a sentence; so do single letters, also dotted: `J.`, `z.B.`."""
ORDINAL = re.compile(
    r"(?i)\b(?:am|im|vom|zum|beim|ins?|de[rmsn]|das|die|ab|bis|seit|und|einem?s?|den)[ \t]+\d{1,2}$"
)
"""A German ordinal before its full stop, as in "am 5. Mai"."""
BEFORE_NUMBERS = frozenset(["no", "nos", "p", "sec", "ch", "abs", "núm", "pág"])
"""Abbreviations only where a digit follows: "No. 5", but "She said no. Then"."""

LINE = re.compile(r"[^\n]*\n?")
FENCE = re.compile(r"[ \t]*(```+|~~~+)")
MARKER = re.compile(r"[ \t]*(?:>[ \t]?)*(?:[-*+•][ \t]+(?:\[[ xX]\][ \t]+)?|\d{1,3}[.)][ \t]+)")
HEADING = re.compile(r"[ \t]{0,3}#{1,6}[ \t]+")
QUOTED = re.compile(r"[ \t]*(?:>[ \t]?)+")
RULE = frozenset(" \t|-:=*_")
"""All that thematic breaks, underlines of headings and the second row of a table are made of."""
FULL = "。！？｡؟۔।॥։።។။"
"""What ends a sentence wherever it stands."""
ENDS = f".!?…{FULL}"
STOP = re.compile(
    r"(?<![.!?…])[.!?…]++[\"'”’»)\]*_]*+(?:[ \t]*\[\d{1,3}\])*+(?=\s)"
    rf"|[{FULL}]++[」』”’）\"'»]*+(?:[ \t]*\[\d{{1,3}}\])*+"
    # Greek asks with what looks like a semicolon.
    r"|(?<=[\u0370-\u03ff\u1f00-\u1fff])[;\u037e]"
    r"(?=[ \t]+[\"«“]?[\u0386-\u038f\u0391-\u03ab]|\s*\Z)"
)
"""The end of a sentence with closing quotes and citation markers; possessive, so linear."""
INITIALS = re.compile(r"[^\W\d_](?:\.[^\W\d_]){0,3}")
THAI_GAP = re.compile(r"(?<=[\u0e00-\u0eff]{9}[\u0e00-\u0eff)\"”]) +(?=[\"“(]?[\u0e00-\u0eff]{15})")
"""Not one within a name or beside a number."""
SHORTEST_THAI = 80
"""Thai and Lao have no full stops: spaces part clauses, and sentences among them. So many letters,
some 16 words, are taken together at least."""
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
            yield from _clauses(text, at, stop.end())
            at = stop.end()
    yield from _clauses(text, at, end)


def _clauses(text: str, start: int, end: int) -> Iterator[Span]:
    """Yield what full stops leave together, in Thai cut where clauses meet."""
    at = start
    if end - start > 2 * SHORTEST_THAI:
        for gap in THAI_GAP.finditer(text, start, end):
            if min(gap.start() - at, end - gap.end()) >= SHORTEST_THAI:
                yield from _stripped(text, at, gap.start())
                at = gap.end()
    yield from _stripped(text, at, end)


def _ends(text: str, at: int, stop: re.Match[str], end: int) -> bool:
    """Tell whether a full stop ends its sentence."""
    if stop.group()[0] in FULL or stop.group()[0] in ";\u037e":
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
    if word.isdigit():
        return not ORDINAL.search(text, max(at, stop.start() - 20), stop.start())
    return word not in ABBREVIATIONS and not INITIALS.fullmatch(word)


def _stripped(text: str, start: int, end: int) -> Iterator[Span]:
    """Yield the span without white space and quote marks around it, or nothing."""
    piece = text[start:end].rstrip()
    words = EDGE.sub("", piece)
    if words:
        yield start + len(piece) - len(words), start + len(piece)
