"""reStructuredText as Markdown-like text: headings, lists, tables and code keep their shape.

Read for what it says, as Sphinx projects write it: a directive that holds prose or code is shown,
one that steers the site generator is left out, and what is not known is taken for prose.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from textwrap import dedent

from antiphon.tools.retrieval.rst_inline import Inline
from antiphon.tools.retrieval.rst_tables import (
    GRID,
    SIMPLE,
    comma_separated,
    drawn,
    grid,
    simple,
)

DEEPEST = 25
"""Blocks within blocks; what lies deeper is shown as it stands."""
RULE = re.compile(r"([!-/:-@\[-`{-~])\1*$")
SHORTEST_RULE = 4
LOWEST = 6
"""Level of heading."""
DIRECTIVE = re.compile(r"\.\.[ ]+(?:\|[^|]+\|[ ]+)?([\w+.:-]*\w)[ ]?::(?:[ ]+(.*))?$")
EXPLICIT = re.compile(r"(?:\.\.(?:[ ]|$)|__[ ])")
NOTE = re.compile(r"\.\.[ ]+\[[^\]]+\][ ]+(.*)$")
OPTION = re.compile(r":[\w-][^:`]*:(?:[ ].*)?$")
FIELD = re.compile(r":((?:[^:`\\]|\\.)+):(?:[ ]+(.*))?$")
BULLET = re.compile(r"(?:[-*+•]|\(?(?:\d{1,3}|#|[a-zA-Z])[.)])[ ]+(?=\S)")
BULLETS = "-*+•"
TARGET = re.compile(r"^[ ]*\.\.[ ]+_`?([^`:]+)`?:[ ]+(\S+)[ ]*$", re.MULTILINE)
REPLACED = re.compile(r"^[ ]*\.\.[ ]+\|([^|\n]+)\|[ ]+replace::[ ]+(.+)$", re.MULTILINE)
TITLED_BY_LINK = re.compile(r"[ ]*<[^<>]*>")
HIDDEN = frozenset(
    """toctree image include index contents highlight currentmodule module meta raw role unicode
    default-role sectnum literalinclude graphviz uml mermaid todo todolist tabularcolumns replace
    date sectionauthor codeauthor target-notes plot""".split()  # noqa: SIM905
)
CODE = frozenset(
    """code code-block sourcecode parsed-literal prompt console ipython doctest testcode math
    testoutput productionlist""".split()  # noqa: SIM905
)
OBJECT = frozenset(
    """function class method classmethod staticmethod attribute property data exception decorator
    option envvar confval setting describe object type macro member struct enum enumerator
    cmdoption""".split()  # noqa: SIM905
)
VERSION = {
    "versionadded": "New in version", "versionchanged": "Changed in version",
    "versionremoved": "Removed in version", "deprecated": "Deprecated since version",
}  # fmt: skip
TITLED = frozenset(["admonition", "topic", "sidebar", "rubric", "tab", "group-tab", "dropdown"])
"""Directives whose argument is the title of what they hold."""
TABLES = frozenset(["table", "list-table", "csv-table"])


def rst_text(text: str) -> str:
    """Return the readable text of a reStructuredText file."""
    text = text.replace("\r\n", "\n").expandtabs(8)
    targets = {" ".join(m[1].lower().split()): m[2] for m in TARGET.finditer(text)}
    inline = Inline(targets, dict(REPLACED.findall(text)))
    blocks = _Reader(inline).read([line.rstrip() for line in text.split("\n")])
    return re.sub(r"\n{3,}", "\n\n", "\n\n".join(blocks)).strip() + "\n"


class _Reader:
    """Walks the lines of a document, and of the blocks inside it."""

    def __init__(self, inline: Inline) -> None:
        self._inline = inline
        self._styles: list[str] = []
        """The underlines in the order of their first use: the first is the highest level."""
        self._level = 0
        """Of the heading above, 1 to 6."""
        self._depth = 0

    def read(self, lines: Sequence[str]) -> list[str]:
        """Return the blocks of these lines."""
        if self._depth == DEEPEST:
            return ["\n".join(lines)]
        self._depth += 1
        blocks: list[str] = []
        at = 0
        while at < len(lines):
            if lines[at]:
                shown, at = self._block(lines, at)
                blocks += shown
            else:
                at += 1
        self._depth -= 1
        return [block for block in blocks if block.strip()]

    def _block(self, lines: Sequence[str], at: int) -> tuple[list[str], int]:
        """Return what the block at a line shows, and the line after it."""
        line = lines[at]
        if line[0] == " ":
            end = _indented(lines, at)
            return self.read(_dedented(lines[at:end])), end
        if EXPLICIT.match(line):
            return self._explicit(lines, at)
        if GRID.match(line) or SIMPLE.match(line):
            return self._table(lines, at)
        if heading := self._heading(lines, at):
            return heading
        if BULLET.match(line):
            return self._list(lines, at)
        if field := FIELD.match(line):
            end = _indented(lines, at + 1)
            return self._field(field, lines[at + 1 : end]), end
        if line.startswith(">>> "):
            end = _until(lines, at, lambda one: not one)
            return [_fenced(lines[at:end])], end
        if line.startswith("| "):
            end = _until(lines, at, lambda one: not one)
            words = [self._inline.markdown(one.removeprefix("|").strip()) for one in lines[at:end]]
            return ["\n".join(words)], end
        return self._paragraph(lines, at)

    def _heading(self, lines: Sequence[str], at: int) -> tuple[list[str], int] | None:
        """Return a section's title, with or without a line above; a mere rule shows nothing."""
        line, below = lines[at], lines[at + 1] if at + 1 < len(lines) else ""
        if RULE.match(line):
            under = lines[at + 2] if at + 2 < len(lines) else ""
            if below and under == line:
                return [self._section(line[0] * 2, below.strip())], at + 3
            return ([], at + 1) if len(line) >= SHORTEST_RULE else None
        if RULE.match(below) and len(below) >= min(len(line), SHORTEST_RULE) and below != "::":
            return [self._section(below[0], line)], at + 2
        return None

    def _section(self, style: str, title: str) -> str:
        if style not in self._styles:
            self._styles.append(style)
        self._level = min(self._styles.index(style) + 1, LOWEST)
        return f"{'#' * self._level} {_line(self._inline.markdown(title)).replace('`', '')}"

    def _explicit(self, lines: Sequence[str], at: int) -> tuple[list[str], int]:
        """Return what a directive or a footnote shows; comments and targets show nothing."""
        end = _indented(lines, at + 1)
        body = _dedented(lines[at + 1 : end])
        if directive := DIRECTIVE.match(lines[at]):
            kind = directive[1].rsplit(":", 1)[-1].lower()
            return self._directive(kind, (directive[2] or "").strip(), body), end
        if note := NOTE.match(lines[at]):
            return self.read([note[1], *body]), end
        return [], end

    def _directive(self, kind: str, argument: str, body: Sequence[str]) -> list[str]:
        if kind in HIDDEN or kind.startswith("auto"):
            return []
        more, options, body = _arguments(body)
        if kind in CODE:
            return [_fenced([argument, *body] if kind == "math" and argument else body)]
        if kind in TABLES:
            return [*self._prose(argument), *self._listed(kind, options, body)]
        if kind in OBJECT:
            return self._object([argument, *more], body)
        if kind in VERSION:
            number, _, said = argument.partition(" ")
            return _led(f"{VERSION[kind]} {number}:", self.read([said, *more, *body]))
        if kind in TITLED:
            title = TITLED_BY_LINK.sub("", self._inline.markdown(argument))
            return _led(f"{title}:" if title else "", self.read(body))
        if kind == "figure":
            return self.read(body)
        # Of a directive that is not known, a single word is more likely a name than a sentence.
        words = [argument, *more] if " " in argument else []
        return self.read([*words, *([""] if more else []), *body])

    def _object(self, names: Sequence[str], body: Sequence[str]) -> list[str]:
        """Return the description of a function, an option or the like under its name."""
        level, self._level = self._level, self._level + 1
        name = ", ".join(name.rstrip("\\") for name in names if name)
        blocks = [f"{'#' * min(self._level, LOWEST)} {name}", *self.read(body)]
        self._level = level
        return blocks

    def _listed(self, kind: str, options: Mapping[str, str], body: Sequence[str]) -> list[str]:
        """Return a table that is written as a directive."""
        if kind == "table":
            return self.read(body)
        told = options.get("header-rows", "")
        head = int(told) if told.isdecimal() else 0
        if kind == "list-table":
            rows = [[" ".join(self.read(cell)) for cell in _items(row)] for row in _items(body)]
        else:
            named = [options["header"]] if "header" in options else []
            head += len(named)
            rows = [
                [self._inline.markdown(cell) for cell in row]
                for row in comma_separated([*named, *body])
            ]
        return ["\n".join(drawn(rows, head))]

    def _table(self, lines: Sequence[str], at: int) -> tuple[list[str], int]:
        if GRID.match(lines[at]):
            end = _until(lines, at, lambda one: one[:1] not in {"+", "|"})
            rows, head = grid(lines[at:end])
        else:
            # Its last rule is followed by a blank line; a rule in the middle is not.
            ends = (n for n in range(at + 1, len(lines)) if SIMPLE.match(lines[n]))
            end = next((n for n in ends if not "".join(lines[n + 1 : n + 2])), at) + 1
            rows, head = simple(lines[at:end])
        rows = [[self._inline.markdown(cell) for cell in row] for row in rows]
        return ["\n".join(drawn(rows, head))], end

    def _list(self, lines: Sequence[str], at: int) -> tuple[list[str], int]:
        """Return a list as one block; what an item holds beside its words is indented below."""
        shown: list[str] = []
        number = 0
        while at < len(lines) and (marker := BULLET.match(lines[at])):
            end = _indented(lines, at + 1)
            words = [lines[at][marker.end() :], *_shortened(lines[at + 1 : end], marker.end())]
            blocks = self.read(words) or [""]
            number += 1
            mark = "- " if marker[0][0] in BULLETS else f"{number}. "
            shown.append(mark + _shifted("\n\n".join(blocks), len(mark)))
            at = end
            while end < len(lines) and not lines[end]:
                end += 1
            if end < len(lines) and (another := BULLET.match(lines[end])):
                at = end if (another[0][0] in BULLETS) == (marker[0][0] in BULLETS) else at
        loose = any("\n" in item for item in shown)
        return [("\n\n" if loose else "\n").join(shown)], at

    def _field(self, field: re.Match[str], below: Sequence[str]) -> list[str]:
        said = self.read([field[2] or "", *_dedented(below)])
        return _led(f"- {self._inline.markdown(field[1])}:", said) if said else []

    def _paragraph(self, lines: Sequence[str], at: int) -> tuple[list[str], int]:
        """Return a paragraph with the code it announces, or a term with its definition."""
        end = _until(lines, at, lambda one: not one or one[0] == " ")
        below = lines[end : end + 1]
        if below and below[0] and not lines[end - 1].endswith("::"):
            after = _indented(lines, end)
            named = ", ".join(one.partition(" : ")[0] for one in lines[at:end])
            meant = self.read(_dedented(lines[end:after]))
            return _led(f"{self._inline.markdown(named)}:", meant), after
        text = "\n".join(lines[at:end])
        if not text.endswith("::"):
            return self._prose(text), end
        after = _indented(lines, end)
        words = text[:-2].rstrip() if text[-3:-2] in {" ", "\n", ""} else text[:-1]
        return [*self._prose(words), _fenced(_dedented(lines[end:after]))], after

    def _prose(self, text: str) -> list[str]:
        words = _line(self._inline.markdown(text))
        return [words] if words else []


def _indented(lines: Sequence[str], at: int) -> int:
    """Return the line after those from `at` on that are indented, trailing blank ones aside."""
    end = at
    while at < len(lines) and (not lines[at] or lines[at][0] == " "):
        at += 1
        if lines[at - 1]:
            end = at
    return end


def _until(lines: Sequence[str], at: int, ends: Callable[[str], bool]) -> int:
    """Return the first line after `at` where a block ends."""
    at += 1
    while at < len(lines) and not ends(lines[at]):
        at += 1
    return at


def _dedented(lines: Sequence[str]) -> list[str]:
    return dedent("\n".join(lines)).split("\n")


def _shortened(lines: Sequence[str], by: int) -> list[str]:
    """Return the lines without so much of their indentation."""
    return [line[min(by, len(line) - len(line.lstrip(" "))) :] for line in lines]


def _arguments(body: Sequence[str]) -> tuple[list[str], dict[str, str], Sequence[str]]:
    """Return the rest of a directive's argument, its options, and what it holds."""
    at = 0
    while at < len(body) and body[at] and not OPTION.match(body[at]):
        at += 1
    options: dict[str, str] = {}
    before = at
    while at < len(body) and (option := FIELD.match(body[at])):
        options[option[1]] = option[2] or ""
        at = _indented(body, at + 1) if at + 1 < len(body) and body[at + 1][:1] == " " else at + 1
    if at < len(body) and body[at] and not options:
        return [], {}, body
    held = body[:before] if before and (options or at == len(body) or not body[at]) else []
    return list(held), options, body[at:]


def _items(lines: Sequence[str]) -> Iterator[list[str]]:
    """Yield the lines of each item of a bullet list."""
    at = 0
    while at < len(lines):
        end = _indented(lines, at + 1)
        if marker := BULLET.match(lines[at]) or re.match(r"[-*]$", lines[at]):
            yield [lines[at][marker.end() :], *_shortened(lines[at + 1 : end], marker.end())]
        at = end


def _led(lead: str, blocks: list[str]) -> list[str]:
    """Return blocks with words in front of the first, where that is prose."""
    if not lead or not blocks:
        return [f"{lead[:-1]}."] if lead else blocks
    if blocks[0].lstrip()[:1] in {"`", "|", "#", "-", "1"} and "\n" in blocks[0]:
        return [lead, *blocks]
    return [f"{lead} {blocks[0]}", *blocks[1:]]


def _fenced(lines: Sequence[str]) -> str:
    code = dedent("\n".join(lines)).strip("\n")
    mark = "~~~" if "```" in code else "```"
    return f"{mark}\n{code}\n{mark}" if code.strip() else ""


def _shifted(text: str, by: int) -> str:
    return re.sub(r"\n(?=[^\n])", "\n" + " " * by, text)


def _line(text: str) -> str:
    return " ".join(text.split())
