"""What can be quoted from a passage: whole sentences, list items, table rows and blocks of code.

An item or a row means little alone, so it carries what introduces it: the line before the list,
else the heading above it, the header of the table. Headings and questions say nothing for
themselves and are never quoted.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

from antiphon.tools.retrieval.analysis import word_count
from antiphon.tools.retrieval.context import Card
from antiphon.tools.retrieval.sentences import ENDS, FENCE, HEADING, LINE, MARKER, Span, sentences

Kind = Literal["prose", "item", "step", "row", "code"]

EMPHASIS = re.compile(r"(\*\*|__)(?=\S)(.+?)(?<=\S)\1")
SPACE = re.compile(r"\s+")
CELL = re.compile(r"\s*(?<!\\)\|\s*")
INDENT = re.compile(r"[ \t]{2,}\S")
ROLE = re.compile(r"\{[\w:.+-]+\}`([^`<]*?)\s*(?:<[^`>]*>)?`")
"""A reference in MyST: what it shows stands before the target."""
COLUMNS = " | "
"""What parts the column names at the end of the heading of a passage from within a table."""
RULED = re.compile(r"[ \t:|]*-[ \t:|-]*")
"""The line under a table's header."""
QUESTION_END = re.compile(r"(?:[?？؟]|(?<=[\u0370-\u03ff])[;\u037e])[\"'”’»)\]]*$")
SENTENCE_END = re.compile(rf"[{ENDS}][\"'”’»)\]]*$")


@dataclass(frozen=True, slots=True, kw_only=True)
class Quote:
    """One quotable unit of a passage."""

    card: Card
    index: int
    """Its place among the units of the passage."""
    kind: Kind
    text: str
    """As shown: on one line, without marks that read badly; code as it stands."""
    lead: str = ""
    """What introduces an item: shown once before the items quoted."""
    under: str = ""
    """The heading above it."""
    asked: str = ""
    """The question before it, which it answers: never quoted, but compared."""
    group: int = 0
    """Units of one list, and the line that introduces it, share it; 0 outside lists."""

    @property
    def introduces(self) -> bool:
        """Whether it is the line that introduces a list or a table."""
        return self.kind == "prose" and self.group > 0

    @property
    def placed(self) -> str:
        """The unit under its title and heading, which say what it is about."""
        lead = self.lead.rstrip(": ")
        parts = dict.fromkeys((self.card.title, self.under, self.asked, lead, self.text))
        return ": ".join(part for part in parts if part)

    @property
    def wording(self) -> str:
        """What is compared with the question: the unit with the line that introduces it."""
        return " ".join(filter(None, (self.asked, self.lead, self.text)))

    @property
    def words(self) -> int:
        """How many words it takes to show, its lead-in aside."""
        return word_count(self.text)


def quotes(card: Card) -> tuple[Quote, ...]:
    """Return the passage's quotable units in order."""
    return _Reader(card).read()


class _Reader:
    """Walks the units of one passage, remembering what introduces the next."""

    def __init__(self, card: Card) -> None:
        self._card = card
        self._found: list[Quote] = []
        self._code = _fenced(card.text)
        *above, self._heading = card.heading.split(" > ")
        self._header: list[str] = []
        if COLUMNS in self._heading and card.text.lstrip().startswith("|"):
            self._header = self._heading.split(COLUMNS)
            self._heading = above[-1] if above else ""
        self._prose = ""
        """The latest sentence outside lists and tables."""
        self._lead = ""
        self._group = 0
        self._in_list = False
        self._in_table = False
        self._steps = False
        self._asked = ""

    def read(self) -> tuple[Quote, ...]:
        """Return the units in order."""
        text = self._card.text
        for start, end in sentences(text):
            line = text.rfind("\n", 0, start) + 1
            marker = MARKER.match(text, line)
            unit = text[start:end]
            if any(begun <= start < ended for begun, ended in self._code):
                self._block(unit)
            elif HEADING.match(text, line):
                self._prose, self._in_list, self._in_table = "", False, False
                self._asked = ""
                self._heading = _clean(unit)
            elif text[line:start].strip() == "|":
                self._row(unit, _line_after(text, end))
            elif marker and marker.end() >= start:
                self._item(unit, marker.group())
            elif self._in_list and (marker or INDENT.match(text, line)):
                self._go_on(unit)
            else:
                self._sentence(unit)
        return tuple(self._found)

    def _row(self, unit: str, below: str) -> None:
        cells = [_clean(cell) for cell in CELL.split(unit)]
        self._in_list = False
        if RULED.fullmatch(below):
            self._header = cells
            return
        if not self._in_table:
            self._lead = self._introduced()
        self._in_table = True
        group = self._group if self._lead else 0
        self._add("row", _labelled(self._header, cells), lead=self._lead, group=group)

    def _block(self, unit: str) -> None:
        """Add a block of code, to the line that introduces it if there is one."""
        group = self._group if self._introduced() else 0
        self._prose, self._in_list, self._in_table = "", False, False
        self._add("code", unit, group=group)

    def _introduced(self) -> str:
        """Return the line before that introduces what begins here, and begin its group."""
        last = self._found[-1] if self._found else None
        if last is None or not last.introduces or last.group <= self._group:
            return ""
        self._group += 1
        return last.text

    def _item(self, unit: str, marker: str) -> None:
        step = marker.strip()[:1].isdigit()
        another = step != self._steps and not marker[:1].isspace()
        if not self._in_list or another:
            self._lead = self._prose if self._prose.endswith(":") and not self._in_list else ""
            if not self._lead and self._heading and not SENTENCE_END.search(unit):
                self._lead = f"{self._heading}:"
            self._group += 1
            self._steps = step
        self._in_list, self._in_table = True, False
        self._add("step" if step else "item", _clean(unit), lead=self._lead, group=self._group)

    def _go_on(self, unit: str) -> None:
        """Add a sentence to the item it stands in."""
        item = self._found[-1]
        self._found[-1] = replace(item, text=f"{item.text} {_clean(unit)}")

    def _sentence(self, unit: str) -> None:
        shown = _clean(unit)
        self._prose, self._in_list, self._in_table, self._header = shown, False, False, []
        if QUESTION_END.search(shown):
            self._asked = shown
            return
        # A line that only introduces the list below it belongs to that list.
        self._add("prose", shown, group=self._group + 1 if shown.endswith((":", "：")) else 0)

    def _add(self, kind: Kind, text: str, *, lead: str = "", group: int = 0) -> None:
        index = len(self._found)
        self._found.append(
            Quote(
                card=self._card, index=index, kind=kind, text=text, lead=lead,
                under=self._heading, asked=self._asked, group=group,
            )
        )  # fmt: skip
        if kind not in ("item", "step"):
            self._asked = ""


def _line_after(text: str, end: int) -> str:
    newline = text.find("\n", end)
    return "" if newline < 0 else text[newline + 1 :].split("\n", 1)[0]


def _clean(text: str) -> str:
    return SPACE.sub(" ", EMPHASIS.sub(r"\2", ROLE.sub(r"\1", text))).strip()


def _fenced(text: str) -> list[Span]:
    """Return where code stands between fences."""
    found: list[Span] = []
    fence, begun = "", 0
    for line in LINE.finditer(text):
        opened = FENCE.match(line.group())
        if fence and opened and opened.group(1).startswith(fence):
            found.append((begun, line.start()))
            fence = ""
        elif opened and not fence:
            fence, begun = opened.group(1), line.end()
        if line.end() == len(text):
            break
    return [*found, (begun, len(text))] if fence else found


def _labelled(header: Sequence[str], cells: Sequence[str]) -> str:
    """Return a row as `header: cell; header: cell`, empty cells left out."""
    names = [*header, *[""] * (len(cells) - len(header))]
    pairs = [(name, cell) for name, cell in zip(names, cells, strict=False) if cell]
    return "; ".join(f"{name}: {cell}" if name else cell for name, cell in pairs)
