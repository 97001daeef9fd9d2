"""Markdown as site generators extend it: what steers the generator is blanked.

It becomes as many spaces, so that offsets go on pointing into the file, and only at the ends of
what can be quoted, so that quotes stay verbatim. Code keeps what it shows.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from antiphon.tools.retrieval.sentences import FENCE, LINE, Span

TAGS = (
    "a|abbr|article|aside|b|br|button|center|code|details|div|em|figcaption|figure|font|footer|form"
    "|h[1-6]|head|header|hr|i|iframe|img|input|li|link|main|meta|nav|object|ol|p|path|picture|pre"
    "|section|small|source|span|strong|style|sub|summary|sup|svg|table|tbody|td|tfoot|th|thead|tr"
    "|ul|video"
)
COMMENT = re.compile(r"<!--.*?(?:-->|\Z)[ \t]*$", re.DOTALL | re.MULTILINE)
STEERING = re.compile(
    rf"""
      \([\w.:/-]+\)=                                     # MyST: the name of what follows
    | \.\.[ ].*                                          # Sphinx: a directive or a target
    | (?:!!!|\?\?\?\+?)[ ][\w-]+(?:[ ][\w-]+)*           # MkDocs: a note without a title
    | :{{3,}}(?:[ ]?[\w-]+)?                             # a container, opened or closed
    | >[ ]?\[![A-Za-z]+\]                                # GitHub: an alert
    | \{{:?[.\#:][^{{}}\n]*\}}+ | \{{%.*%\}} | \{{\{{[<%%].*[>%%]\}}\}}  # kramdown, Liquid, Hugo
    | (?:</?(?:{TAGS}|[A-Z]\w*)(?:[\s/][^<>\n]*)?>[ \t]*)+  # nothing but tags
    | (?:\[!\[[^\]\n]*\]\([^)\n]*\)\]\([^)\n]*\)[ \t]*)+ # badges
    | \[\[?_?toc_?\]\]?
    """,
    re.VERBOSE,
)
"""Lines that say nothing to a reader."""
PREFIX = re.compile(r"(?:(?:!!!|\?\?\?\+?)[ ][\w-]+(?:[ ][\w-]+)*|===[!+]?)[ ](?=\")")
"""What stands before the title of a MkDocs note or tab."""
DIRECTIVE = re.compile(r"(`{3,}|~{3,}|:{3,})\{([\w:.-]+)\}[ \t]*")
"""How MyST opens a directive."""
OPTION = re.compile(r":[\w-]+:(?:[ \t].*)?")
SHOWING = re.compile(
    r"(?:\w+:)?(?:code|sourcecode|prompt|console|example|run|math|doctest|ipython)"
)
"""Directives that hold code."""
EMBEDDED = re.compile(r"\s*\.\.[ ](?:\w+:)?(?:code|sourcecode|prompt|console|example|run)")
"""How an `eval-rst` block begins that holds code."""
MODULE = re.compile(r"import[ ].*['\"]|export[ ](?:const|default|function)[ ]")


def blanked(text: str, start: int = 0, *, modules: bool = False) -> str:
    """Return a Markdown text with what steers a site generator blanked, from `start` on.

    With `modules`, the import lines of MDX go too.
    """
    pieces, at = [], 0
    for begun, end in _Lines(text, modules=modules).steering(start):
        pieces += [text[at:begun], re.sub(r"[^\r\n]", " ", text[begun:end])]
        at = end
    return "".join([*pieces, text[at:]])


class _Lines:
    """Walks the lines of a text, knowing which fence it is in."""

    def __init__(self, text: str, *, modules: bool) -> None:
        self._text = text
        self._modules = modules
        self._fences: list[tuple[str, bool]] = []
        """Open fences, the innermost last, and whether they hold prose."""
        self._in_options = False

    def steering(self, start: int) -> Iterator[Span]:
        """Yield the spans to blank, in order."""
        done = start
        for match in LINE.finditer(self._text, start):
            line = match.group().rstrip("\r\n")
            words = line.strip(" \t")
            at = match.start() + len(line) - len(line.lstrip(" \t"))
            if match.start() < done or not words:
                continue
            end = self._end(at, words)
            if end > at:
                done = end
                yield at, end

    def _end(self, at: int, words: str) -> int:
        """Return where what is to be blanked at the beginning of a line ends."""
        whole = at + len(words)
        fence, prose = self._fences[-1] if self._fences else ("", True)
        if fence and words.startswith(fence) and not words.strip(fence[0]):
            self._fences.pop()
            return whole if prose else at
        if self._in_options and OPTION.fullmatch(words):
            return whole
        self._in_options = False
        if not prose:
            return whole if EMBEDDED.match(words) else at
        if directive := DIRECTIVE.match(words):
            return self._opened(directive, at, words)
        if opened := FENCE.match(words):
            self._fences.append((opened.group(1), False))
            return at
        return self._steered(at, words)

    def _opened(self, directive: re.Match[str], at: int, words: str) -> int:
        """Return where the opening of a directive ends, its title left to be read."""
        fence, name = directive.groups()
        self._in_options = True
        shows = SHOWING.match(name) is not None
        if name == "eval-rst":
            shows = EMBEDDED.match(self._text, at + len(words)) is not None
        if not fence.startswith(":"):
            self._fences.append((fence, not shows))
        title = words[directive.end() :]
        if shows:
            return at
        return at + (directive.end() if " " in title else len(words))

    def _steered(self, at: int, words: str) -> int:
        if words.startswith("<!--") and (comment := COMMENT.match(self._text, at)):
            return comment.end()
        if STEERING.fullmatch(words) or (self._modules and MODULE.match(words)):
            return at + len(words)
        prefix = PREFIX.match(words)
        return at + prefix.end() if prefix else at
