"""reStructuredText as Markdown-like text: headings, lists, tables and code keep their shape.

Read for what it says, as Sphinx projects write it: a directive that holds prose or code is shown,
one that steers the site generator is left out, and what is not known is taken for prose.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from textwrap import dedent
from typing import Any

from antiphon.tools.retrieval.rst_source import MALFORMED, rst_document

LOWEST = 6
"""Level of heading."""
ERROR = 3
"""Level from which a message of the parser stands in place of what it could not read."""
SILENT = frozenset(["comment", "target", "substitution_definition", "image", "label", "transition"])
UNSEEN = frozenset(["footnote_reference", "image", "system_message"])
MARKS = {
    "literal": "`{}`", "title_reference": "`{}`", "math": "`{}`", "emphasis": "*{}*",
    "strong": "**{}**", "substitution_reference": "|{}|", "citation_reference": "[{}]",
}  # fmt: skip
UNRESOLVED = re.compile(r"^`(.*?)(?:<[^<>]*>)?`_{1,2}$", re.DOTALL)


def rst_text(text: str) -> str:
    """Return the readable text of a reStructuredText file."""
    try:
        blocks = _Reader().blocks(rst_document(text))
    except MALFORMED:
        blocks = [text]
    return re.sub(r"\n{3,}", "\n\n", "\n\n".join(blocks)).strip() + "\n"


class _Reader:
    """Walks the tree of a document."""

    def __init__(self) -> None:
        self._level = 0
        """Of the heading above, 1 to 6."""
        self._shapes: Mapping[str, Callable[[Any], list[str]]] = {
            "paragraph": _prose,
            "attribution": _prose,
            "title": self._title,
            "section": self._object,
            "literal_block": _code,
            "math_block": _code,
            "doctest_block": _code,
            "bullet_list": self._list,
            "enumerated_list": self._list,
            "definition_list_item": self._definition,
            "field_list": self._fields,
            "option_list": self._fields,
            "line_block": _verse,
            "table": self._table,
            "system_message": _unread,
        }

    def blocks(self, node: Any) -> list[str]:
        """Return the blocks of a node."""
        if node.tagname in SILENT:
            return []
        if shape := self._shapes.get(node.tagname):
            return [block for block in shape(node) if block.strip()]
        return [block for child in node.children for block in self.blocks(child)]

    def _title(self, node: Any) -> list[str]:
        words = _inline(node)
        if "level" not in node:
            return [words]
        self._level = min(node["level"], LOWEST)
        return [f"{'#' * self._level} {words.replace('`', '')}"]

    def _object(self, node: Any) -> list[str]:
        """Return what stands under the name of a function, an option or the like."""
        level, self._level = self._level, min(self._level + 1, LOWEST)
        title, held = node.children
        blocks = [f"{'#' * self._level} {title.astext()}", *self.blocks(held)]
        self._level = level
        return blocks

    def _list(self, node: Any) -> list[str]:
        """Return a list as one block; what an item holds beside its words is indented below."""
        ordered, first = node.tagname == "enumerated_list", node.get("start", 1)
        shown: list[str] = []
        for number, item in enumerate(node.children, first):
            mark = f"{number}. " if ordered else "- "
            words = "\n\n".join(self.blocks(item))
            shown.append(mark + re.sub(r"\n(?=[^\n])", "\n" + " " * len(mark), words))
        return [_packed(shown)]

    def _definition(self, node: Any) -> list[str]:
        terms = [_inline(child) for child in node.children if child.tagname == "term"]
        lead = ", ".join(filter(None, terms))
        return _led(f"{lead}:" if lead else "", self.blocks(node.children[-1]))

    def _fields(self, node: Any) -> list[str]:
        """Return the fields or the options of a list, those that say nothing aside."""
        shown: list[str] = []
        for name, body in (field.children for field in node.children):
            words = ", ".join(map(str.strip, name.astext().split("\n\n")))
            lead = _inline(name) if name.tagname == "field_name" else f"`{words}`"
            if said := self.blocks(body):
                shown.append("\n\n".join(_led(f"- {lead}:", said)))
        return [_packed(shown)]

    def _table(self, node: Any) -> list[str]:
        *titles, group = node.children
        rows: list[list[str]] = []
        heads = 0
        for part in group.children:
            if part.tagname != "colspec":
                heads += len(part.children) if part.tagname == "thead" else 0
                rows += self._rows(part)
        return [*map(_inline, titles), "\n".join(_drawn(rows, heads))]

    def _rows(self, part: Any) -> Iterator[list[str]]:
        """Yield rows of cells; one that reaches down is told again, as a row may stand alone."""
        reaching: dict[int, tuple[int, str]] = {}
        for row in part.children:
            cells: list[str] = []
            entries = iter(row.children)
            while True:
                rows, words = reaching.pop(len(cells), (0, ""))
                wide = 1
                if not rows:
                    if (entry := next(entries, None)) is None:
                        break
                    words = " ".join(self.blocks(entry))
                    rows, wide = entry.get("morerows", 0) + 1, entry.get("morecols", 0) + 1
                for more in range(wide):
                    if rows > 1:
                        reaching[len(cells)] = (rows - 1, "" if more else words)
                    cells.append("" if more else words)
            yield cells


def _prose(node: Any) -> list[str]:
    return [_inline(node)]


def _code(node: Any) -> list[str]:
    code = dedent(node.astext()).strip("\n")
    mark = "~~~" if "```" in code else "```"
    return [f"{mark}\n{code}\n{mark}" if code.strip() else ""]


def _verse(node: Any) -> list[str]:
    parts = (_verse(child) if child.children else [_inline(child)] for child in node.children)
    return ["\n".join(line for part in parts for line in part)]


def _unread(node: Any) -> list[str]:
    """Return the lines that the parser could make nothing of."""
    texts = [child for child in node.children if child.tagname == "literal_block"]
    return _code(texts[0]) if texts and node["level"] >= ERROR else []


def _inline(node: Any) -> str:
    """Return the words of a stretch of text, on one line."""
    return " ".join(_marked(node).split())


def _marked(node: Any) -> str:
    kind = node.tagname
    if kind == "#text":
        return re.sub("``+", "`", node.astext())
    if kind in UNSEEN:
        return ""
    words = "".join(map(_marked, node.children))
    if kind == "reference":
        return _link(node, words)
    if kind == "problematic":
        return UNRESOLVED.sub(r"\1", words)
    return MARKS.get(kind, "{}").format(words)


def _link(node: Any, words: str) -> str:
    url = node.get("refuri", "")
    if url:
        return words if url.removeprefix("mailto:") == words else f"[{words}]({url})"
    # An underscore at the end of a word need not mean a link.
    return words if " " in words or "`" in node.rawsource else node.rawsource


def _led(lead: str, blocks: list[str]) -> list[str]:
    """Return blocks with words in front of the first, where that is prose."""
    if not lead or not blocks:
        return [f"{lead[:-1]}."] if lead else blocks
    if blocks[0].lstrip()[:1] in {"`", "|", "#", "-", "1"} and "\n" in blocks[0]:
        return [lead, *blocks]
    return [f"{lead} {blocks[0]}", *blocks[1:]]


def _packed(items: Sequence[str]) -> str:
    """Return the items of a list, apart where one has several lines."""
    return ("\n\n" if any("\n" in item for item in items) else "\n").join(items)


def _drawn(rows: list[list[str]], head: int) -> list[str]:
    """Return rows as a Markdown table; what heads it is one row, ruled off."""
    rows = [[" ".join(cell.replace("|", "/").split()) for cell in row] for row in rows if any(row)]
    if not rows:
        return []
    width = max(map(len, rows))
    padded = [row + [""] * (width - len(row)) for row in rows]
    header = [" ".join(filter(None, cells)) for cells in zip(*padded[:head], strict=True)]
    shown = [header, *padded[head:]] if head else padded
    lines = [f"| {' | '.join(row)} |" for row in shown]
    return [lines[0], "|" + "---|" * width, *lines[1:]] if head else lines
