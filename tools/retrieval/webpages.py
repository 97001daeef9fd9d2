"""A web page as Markdown-like text: headings, list items, table rows and code keep their shape."""

from __future__ import annotations

import re
from dataclasses import dataclass
from html.parser import HTMLParser

SKIPPED = frozenset(["script", "style", "template", "noscript", "svg", "head", "nav", "iframe"])
BLOCKS = frozenset(
    """p div section article main ul ol table blockquote dl dt dd header footer aside figure
    figcaption form fieldset details hr""".split()  # noqa: SIM905
)
HEADINGS = {f"h{level}": "#" * level for level in range(1, 7)}


@dataclass(frozen=True, slots=True)
class Page:
    """What a page says."""

    text: str
    title: str
    language: str
    """As declared on the root element, or empty."""


def html_text(markup: str) -> Page:
    """Return the readable text of a page, without scripts, styles and navigation."""
    reader = _Reader()
    reader.feed(markup)
    reader.close()
    return Page(reader.finish(), " ".join("".join(reader.title).split()), reader.language)


class _Reader(HTMLParser):
    """Collects text while the parser walks the page."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.title: list[str] = []
        self.language = ""
        self._parts: list[str] = []
        self._skipping: list[str] = []
        self._in_title = False
        self._in_code = False
        self._in_cell = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag == "html":
            self.language = dict(attrs).get("lang") or ""
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
        if tag in {"td", "th"}:
            self._in_cell = True
            return " "
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
        return "\n\n" if tag in BLOCKS or tag in HEADINGS else ""
