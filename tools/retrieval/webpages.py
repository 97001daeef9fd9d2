"""A web page as Markdown-like text: headings, list items, table rows and code keep their shape."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from html.parser import HTMLParser

SKIPPED = frozenset(["script", "style", "template", "noscript", "svg", "head", "nav", "iframe"])
BLOCKS = frozenset(
    """p div section article main ul ol table blockquote dl dt dd header footer aside figure
    figcaption form fieldset details hr""".split()  # noqa: SIM905
)
DATES = frozenset(["article:modified_time", "last-modified", "dcterms.modified", "date"])
HEADINGS = {f"h{level}": "#" * level for level in range(1, 7)}


@dataclass(frozen=True, slots=True)
class Page:
    """What a page says."""

    text: str
    title: str
    language: str
    """As declared on the root element, or empty."""
    updated: str
    """ISO date that the page declares, or empty."""


def html_text(markup: str) -> Page:
    """Return the readable text of a page, without scripts, styles and navigation."""
    reader = _Reader()
    reader.feed(markup)
    reader.close()
    title = " ".join("".join(reader.title).split())
    return Page(reader.finish(), title, reader.language, reader.updated)


class _Reader(HTMLParser):
    """Collects text while the parser walks the page."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.title: list[str] = []
        self.language = ""
        self.updated = ""
        self._parts: list[str] = []
        self._skipping: list[str] = []
        self._in_title = False
        self._in_code = False
        self._in_cell = False
        self._columns = 0
        self._plain_cells = 0
        self._rows = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag == "html":
            self.language = dict(attrs).get("lang") or ""
        if tag == "meta" and not self.updated:
            self.updated = _declared_date(dict(attrs))
        self._in_title = tag == "title" and "svg" not in self._skipping
        if tag == "body":
            self._skipping.clear()
        elif tag in SKIPPED:
            self._skipping.append(tag)
        elif not self._skipping:
            self._add(self._opening(tag))

    def handle_endtag(self, tag: str) -> None:
        self._in_title = False
        if tag in self._skipping:
            # An element left open inside a skipped one ends with it.
            del self._skipping[self._skipping.index(tag) :]
        elif not self._skipping:
            self._add(self._closing(tag))

    def handle_data(self, data: str) -> None:
        if self._in_title:
            self.title.append(data)
        elif not self._skipping:
            self._add(data if self._in_code else re.sub(r"\s+", " ", data))

    def finish(self) -> str:
        """Return the text collected, tidied."""
        text = re.sub(r"[ \t]+\n", "\n", "".join(self._parts))
        text = re.sub(r"^-\n+", "- ", text, flags=re.MULTILINE)
        return re.sub(r"\n{3,}", "\n\n", text).strip()

    def _add(self, text: str) -> None:
        if not self._in_code and self._parts and self._parts[-1][-1:].isspace():
            text = text.lstrip(" ")
        if text:
            self._parts.append(text)

    def _opening(self, tag: str) -> str:
        if tag == "pre":
            self._in_code = True
            return "\n\n```\n"
        if tag == "table":
            self._rows = 0
        if tag in {"td", "th"}:
            self._in_cell = True
            self._columns += 1
            self._plain_cells += tag == "td"
            return " "
        if tag == "tr":
            self._in_cell = False
            self._columns = self._plain_cells = 0
        if self._in_cell:
            return " " if tag in BLOCKS or tag == "br" else ""
        if tag in HEADINGS:
            return f"\n\n{HEADINGS[tag]} "
        shapes = {"li": "\n- ", "tr": "\n|", "br": "\n"}
        return shapes.get(tag, "\n\n" if tag in BLOCKS else "")

    def _closing(self, tag: str) -> str:
        if tag == "pre" and self._in_code:
            self._in_code = False
            return "\n```\n\n"
        if tag in {"td", "th"}:
            self._in_cell = False
            return " |"
        if tag == "table":
            self._in_cell = False
        if self._in_cell:
            return ""
        if tag == "tr":
            self._rows += 1
            # A first row of headings is ruled off, as Markdown does.
            is_head = self._rows == 1 and self._columns and not self._plain_cells
            return "\n|" + "---|" * self._columns if is_head else ""
        return "\n\n" if tag in BLOCKS or tag in HEADINGS else ""


def _declared_date(attributes: Mapping[str, str | None]) -> str:
    name = attributes.get("property") or attributes.get("name") or ""
    if name.lower() not in DATES:
        return ""
    try:
        return date.fromisoformat((attributes.get("content") or "")[:10]).isoformat()
    except ValueError:
        return ""
