"""What a renderer makes of a text: its links, images and code, and where they stand in the source.

The parser knows lines only, so its inline rules are wrapped: each notes where in a block it began
and ended. Renderers differ on raw HTML and on tables, and with them on what is code, so a text is
read in every dialect that it could be rendered in: a link counts if one of them shows it, code
only if all do.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import product
from typing import TYPE_CHECKING

from antiphon.tools.guards.readings import Span

if TYPE_CHECKING:
    from markdown_it import MarkdownIt
    from markdown_it.rules_inline import StateInline
    from markdown_it.token import Token

InlineRule = Callable[["StateInline", bool], bool]

NESTING = 20
"""Levels that are parsed; deeper ones are reported, not read."""
SYNTAX = re.compile(r"\]\(|\]:|<")
"""Without any of these no dialect sees a link, an image or a tag."""
_LINE = re.compile(r"\r\n?|\n")
_ROW = "|"


@dataclass(frozen=True, slots=True, kw_only=True)
class Link:
    """A link, an image, an autolink or a definition."""

    href: str
    """The target as the renderer has it: escapes and entities read."""
    syntax: tuple[Span, ...]
    """What to cut so that only a link's words are left; empty where its place is not known."""


@dataclass(slots=True)
class Page:
    """A text as it would be shown."""

    links: list[Link] = field(default_factory=list)
    code: list[Span] = field(default_factory=list)
    """Stretches that are shown as they stand in every dialect, in order."""
    too_deep: bool = False
    """Whether something is nested beyond what was parsed."""


def read(text: str) -> Page:
    """Return what the renderers make of a text."""
    lines = _Lines(text)
    page, codes = Page(), []
    raw_html = (True, False) if "<" in text else (True,)
    tables = (True, False) if _ROW in text else (True,)
    for dialect in product(raw_html, tables):
        one = _Reading(lines, *dialect).page()
        page.links += one.links
        page.too_deep = page.too_deep or one.too_deep
        codes.append(one.code)
    page.code = list(_common(codes))
    return page


def _common(sets: Sequence[Sequence[Span]]) -> Iterator[Span]:
    """Yield what lies in a span of every set; spans of one set do not overlap."""
    edges = sorted(
        (at, step)
        for spans in sets
        for span in spans
        for at, step in zip(span, (1, -1), strict=True)
    )
    depth = begun = 0
    for at, step in edges:
        if depth == len(sets) and at > begun:
            yield begun, at
        depth, begun = depth + step, at


class _Lines:
    """The text, and where its lines stand."""

    def __init__(self, text: str) -> None:
        self.text = text
        breaks = [match.span() for match in _LINE.finditer(text)]
        self._starts = [0, *(end for _, end in breaks)]
        self._ends = [*(start for start, _ in breaks), len(text)]

    def span(self, number: int) -> Span:
        """Return where a line begins and ends; behind the last one, the end of the text."""
        if number >= len(self._starts):
            return len(self.text), len(self.text)
        return self._starts[number], self._ends[number]

    def stretch(self, first: int, last: int) -> Span:
        """Return from where the first line begins to where the last ends."""
        return self.span(first)[0], self.span(last)[1]


class _Reading:
    """One dialect's reading of a text."""

    def __init__(self, lines: _Lines, raw_html: bool, tables: bool) -> None:
        self._lines = lines
        self._parser = _parser(raw_html, tables)
        self._page = Page()
        self._in_row: dict[int, int] = {}
        """How far the cells of a table's row have been found."""

    def page(self) -> Page:
        env: dict[str, object] = {}
        cell = deep = False
        for token in self._parser.parse(self._lines.text, env):
            deep = deep or token.level >= NESTING - 2
            if token.type == "inline":
                self._inline(token, cell=cell)
            elif token.type in ("fence", "code_block"):
                self._block_of_code(token)
            elif token.type == "definition":
                self._definition(token)
            cell = token.type in ("th_open", "td_open")
        self._page.code.sort()
        self._page.too_deep = deep or "too_deep" in env
        return self._page

    def _block_of_code(self, token: Token) -> None:
        first, end = token.map or [0, 0]
        if token.type == "fence":
            # Not every renderer takes a fence that is never closed for code.
            closed = f"\n{token.content}".endswith("\n")
            if not closed or token.content.count("\n") > end - first - 2:
                return
            first, end = first + 1, end - 1
        if first < end:
            self._page.code.append(self._lines.stretch(first, end - 1))

    def _definition(self, token: Token) -> None:
        first, end = token.map or [0, 0]
        start, stop = self._lines.stretch(first, end - 1)
        start = self._lines.text.find("[", start)
        self._page.links.append(Link(href=str(token.meta["url"]), syntax=((start, stop),)))

    def _inline(self, token: Token, *, cell: bool) -> None:
        placed = [child for child in token.children or () if "at" in child.meta]
        where = self._where(token, cell=cell) if placed or cell else None
        for child in placed:
            start, label, end = child.meta["at"]
            if child.type == "code_inline":
                if where:
                    self._page.code.append((where[start], where[end]))
                continue
            syntax: tuple[Span, ...] = ()
            if where and label < 0:
                syntax = ((where[start], where[end]),)
            elif where:
                syntax = ((where[start], where[start + 1]), (where[label], where[end]))
            href = str(child.attrGet("src" if child.type == "image" else "href"))
            self._page.links.append(Link(href=href, syntax=syntax))

    def _where(self, token: Token, *, cell: bool) -> list[int] | None:
        """Return where each character of a block's content stands, None where that is not known."""
        first = (token.map or [0])[0]
        where: list[int] = []
        for number, line in enumerate(token.content.split("\n"), first):
            body = line.lstrip()
            start, end = self._lines.span(number)
            if cell:
                # A cell may not hold a pipe but as `\|`, whose backslash the parser has dropped.
                body = body.replace(_ROW, rf"\{_ROW}")
                start = self._in_row.get(number, start)
            source = self._lines.text[start:end].replace("\0", "\ufffd")
            # A line of a paragraph is what follows the marks of the blocks around it.
            at = source.find(body) if cell else source.rfind(body)
            if at < 0:
                return None
            at += start
            where += [at] * (len(line) - len(line.lstrip()))
            where += (
                at + i for i, char in enumerate(body) if not (cell and body[i : i + 2] == r"\|")
            )
            where.append(at + len(body))
            self._in_row[number] = at + len(body)
        return where


@lru_cache(maxsize=4)
def _parser(raw_html: bool, tables: bool) -> MarkdownIt:
    from markdown_it import MarkdownIt
    from markdown_it.rules_inline import autolink, backtick, image, link

    options = {"html": raw_html, "maxNesting": NESTING, "inline_definitions": True}
    parser = MarkdownIt("commonmark", options)
    if tables:
        parser.enable("table")
    # Judged is what is written, not what this parser would refuse or spell anew.
    parser.validateLink = lambda url: True  # type: ignore[method-assign]  # noqa: ARG005
    parser.normalizeLink = lambda url: url  # type: ignore[method-assign]
    rules = {"link": link, "image": image, "autolink": autolink, "backticks": backtick}
    for name, rule in rules.items():
        parser.inline.ruler.at(name, _placed(rule))
    # Rules are compiled at the first use, which two threads must not do at once.
    parser.parse("a")
    return parser


def _placed(rule: InlineRule) -> InlineRule:
    """Return the rule, noting on its token where it began, where its words end, and its end."""

    def placed(state: StateInline, silent: bool) -> bool:
        start, before = state.pos, len(state.tokens)
        if state.level >= NESTING and state.src[start] in "![":
            state.env["too_deep"] = True
        if not rule(state, silent):
            return False
        for token in state.tokens[before:] if not silent else ():
            if token.type in ("link_open", "image", "code_inline"):
                worded = token.type == "link_open" and token.markup != "autolink"
                find_label = state.md.helpers.parseLinkLabel
                label = find_label(state, start, disableNested=True) if worded else -1
                token.meta["at"] = (start, label, state.pos)
                break
        return True

    return placed
