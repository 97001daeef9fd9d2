"""A web page as Markdown-like text: headings, list items, table rows and code keep their shape.

What only leads elsewhere is left out: navigation, lists of nothing but links, and all around the
main part of a page that names one.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from html.parser import HTMLParser

SKIPPED = frozenset(["script", "style", "template", "noscript", "svg", "head", "iframe", "object"])
CONTROLS = frozenset(["nav", "button", "select", "textarea", "dialog"])
CLOSED = frozenset(
    "div section aside span a i b em ul ol table form header footer figure article main".split()  # noqa: SIM905
)
"""Elements that have an end tag: what is hidden in others could not be told from the rest."""
INLINE_CODE = frozenset(["code", "kbd", "samp", "tt"])
LISTS = frozenset(["ul", "ol", "dl"])
FEWEST_LINKS = 5
"""Items from which on a list can be navigation."""
LINKED = 0.9
"""Share of its text within links that makes it so."""
FEWEST_LETTERS = 200
"""Letters that the main part of a page must have to be taken for it."""
PERMALINK = re.compile(r"[ \t]*[¶\uf0c1🔗][ \t]*$", re.MULTILINE)
EMPTY_CODE = re.compile(r"(?<!`)``(?!`)")
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
    reader = _read(markup, whole=False)
    if reader.is_doubtful:
        # A page of links only is what it says after all; a tag left open must not hide the rest.
        reader = _read(markup, whole=True)
    title = PERMALINK.sub("", " ".join("".join(reader.title).split()))
    return Page(reader.finish(), title, reader.language, reader.updated)


def _read(markup: str, *, whole: bool) -> _Reader:
    reader = _Reader(whole=whole)
    reader.feed(markup)
    reader.close()
    return reader


@dataclass(slots=True)
class _List:
    """An outermost list while it is read."""

    start: int
    """Where its text begins among the parts."""
    items: int = 0
    letters: int = 0
    linked: int = 0
    """Letters that are within links."""

    @property
    def leads_elsewhere(self) -> bool:
        """Whether it holds nothing but links."""
        return self.items >= FEWEST_LINKS and self.linked >= LINKED * self.letters


class _Region:
    """The part of a page between an element's tags."""

    def __init__(self, tag: str, start: int) -> None:
        self.tag = tag
        self.start = start
        self.end: int | None = None
        self._depth = 1

    def see(self, tag: str, *, opens: bool, at: int) -> None:
        """Count the elements of its own kind inside; the last to close ends it."""
        if self.end is None and tag == self.tag:
            self._depth += 1 if opens else -1
            self.end = None if self._depth else at


class _Reader(HTMLParser):
    """Collects text while the parser walks the page."""

    def __init__(self, *, whole: bool) -> None:
        super().__init__(convert_charrefs=True)
        self._whole = whole
        """Whether what only leads elsewhere is shown too."""
        self._lists: list[str] = []
        """Open lists, the innermost last."""
        self._list = _List(0)
        self._anchors = 0
        self._mains: list[_Region] = []
        self._articles: list[_Region] = []
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
        elif tag in SKIPPED or tag in self._skipping or self._leads_elsewhere(tag, attrs):
            self._skipping.append(tag)
        elif not self._skipping:
            self._enter(tag, dict(attrs))
            self._add(self._opening(tag))

    def handle_endtag(self, tag: str) -> None:
        self._in_title = False
        if tag in self._skipping:
            # An element left open inside a skipped one ends with it.
            del self._skipping[len(self._skipping) - 1 - self._skipping[::-1].index(tag) :]
        elif not self._skipping:
            self._add(self._closing(tag))
            self._leave(tag)

    def handle_data(self, data: str) -> None:
        if self._in_title:
            self.title.append(data)
        elif not self._skipping:
            letters = len(data.strip())
            self._list.letters += letters
            self._list.linked += letters if self._anchors else 0
            self._add(data if self._in_code else re.sub(r"\s+", " ", data))

    def _leads_elsewhere(self, tag: str, attributes: Sequence[tuple[str, str | None]]) -> bool:
        if self._whole:
            return False
        return tag in CONTROLS or (tag in CLOSED and _is_hidden(attributes))

    @property
    def is_doubtful(self) -> bool:
        """Whether nothing was found, or an element that was left out never ended."""
        return bool(self._skipping) or not self.finish()

    def finish(self) -> str:
        """Return the text collected, tidied: of the main part where the page names one."""
        regions = self._mains or (self._articles if len(self._articles) == 1 else [])
        main = "".join("".join(self._parts[region.start : region.end]) for region in regions)
        text = main if len(main.strip()) >= FEWEST_LETTERS else "".join(self._parts)
        text = EMPTY_CODE.sub("", PERMALINK.sub("", text))
        text = re.sub(r"[ \t]+\n", "\n", text)
        text = re.sub(r"^-\n+", "- ", text, flags=re.MULTILINE)
        return re.sub(r"\n{3,}", "\n\n", text).strip()

    def _enter(self, tag: str, attributes: Mapping[str, str | None]) -> None:
        """Note where regions, lists and links begin."""
        at = len(self._parts)
        for region in (*self._mains, *self._articles):
            region.see(tag, opens=True, at=at)
        if tag == "main" or attributes.get("role") == "main":
            if all(region.end is not None for region in self._mains):
                self._mains.append(_Region(tag, at))
        elif tag == "article" and all(region.end is not None for region in self._articles):
            self._articles.append(_Region(tag, at))
        if tag in LISTS:
            if not self._lists:
                self._list = _List(at)
            self._lists.append(tag)
        self._list.items += tag in {"li", "dt"}
        self._anchors += tag == "a"

    def _leave(self, tag: str) -> None:
        """Note where they end; a list of links is forgotten."""
        if tag == "a":
            self._anchors = max(0, self._anchors - 1)
        if tag in self._lists:
            del self._lists[len(self._lists) - 1 - self._lists[::-1].index(tag) :]
            if not self._lists and self._list.leads_elsewhere and not self._whole:
                del self._parts[self._list.start :]
                self._parts.append("\n\n")
        for region in (*self._mains, *self._articles):
            region.see(tag, opens=False, at=len(self._parts))

    def _add(self, text: str) -> None:
        if not self._in_code and self._parts and self._parts[-1][-1:].isspace():
            text = text.lstrip(" ")
        if text:
            self._parts.append(text)

    def _opening(self, tag: str) -> str:
        if tag == "pre":
            self._in_code = True
            return "\n\n```\n"
        if tag in INLINE_CODE and not self._in_code:
            return "`"
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
        if tag in INLINE_CODE and not self._in_code:
            return "`"
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


def _is_hidden(attributes: Sequence[tuple[str, str | None]]) -> bool:
    """Say whether an element is not shown to a reader."""
    known = dict(attributes)
    style = (known.get("style") or "").replace(" ", "").lower()
    return "hidden" in known or known.get("aria-hidden") == "true" or "display:none" in style


def _declared_date(attributes: Mapping[str, str | None]) -> str:
    name = attributes.get("property") or attributes.get("name") or ""
    if name.lower() not in DATES:
        return ""
    try:
        return date.fromisoformat((attributes.get("content") or "")[:10]).isoformat()
    except ValueError:
        return ""
