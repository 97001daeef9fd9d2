"""Raw HTML in a text: tags that do something, in whatever state they were left.

Tags are found by what a browser could take for one, closed or not, rather than by what a Markdown
parser lets through. `<order number>` and `a < b` are words.
"""

from __future__ import annotations

import html
import re
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Callable, Iterator

from antiphon.tools.guards.readings import Span

_NAMES = frozenset(
    re.findall(
        r"\S+",
        """
        a abbr address area article aside audio b base bdi bdo big blink blockquote body br button
        canvas center cite code col dd del details dfn dialog div dl dt em fieldset figure font
        footer form frame h1 h2 h3 h4 h5 h6 head header hr html i image img input ins isindex kbd
        keygen label layer legend li link listing main map mark marquee menu meta meter nav object
        ol optgroup option output p param picture plaintext pre progress q s samp section select
        small source span strike strong sub summary sup table tbody td textarea tfoot th thead time
        title tr track tt u ul var video wbr xmp
        """,
    )
)
"""What HTML knows."""
_UNSAFE = frozenset(
    re.findall(
        r"\S+",
        """
        base form input button textarea select meta link frame html head body audio video plaintext
        xmp listing isindex keygen image
        """,
    )
)
"""Those that do something even without an attribute."""
_INLINE = frozenset("abiqsu")
"""Names that are also a variable in `a <b`, and that open no block of raw HTML."""
_ACTIVE = "script|style|iframe|object|embed|svg|math|template|noscript|frameset|applet|xml"
_ACTIVE_TAG = re.compile(rf"<(/?)({_ACTIVE})\b[^<>]*>?", re.IGNORECASE)
_COMMENT = re.compile(r"<!--|<![\[a-z][^>]*>?|<\?[^>]*>?", re.IGNORECASE)
_TAG = re.compile(r"</?([a-z][a-z0-9:-]{0,63})([^<>]*)(>|$|(?=<))", re.IGNORECASE)
_VALUE = r"(?:\"([^\"]*)\"|'([^']*)'|([^\s\"'=<>`]+))"
_PLAIN_ATTRIBUTES = re.compile(
    rf"(?:\s+(?:href|src|alt|title|width|height|rel|target)\s*=\s*{_VALUE})*\s*/?", re.IGNORECASE
)
_TARGET = re.compile(rf"\s(?:href|src)\s*=\s*{_VALUE}", re.IGNORECASE)
# A quotation mark that ends an attribute, and a handler behind it.
_HANDLER = re.compile(r"(?<=[\"'])\s{0,3}on[a-z]{3,24}\s{0,3}=", re.IGNORECASE)


def unwanted(text: str, may: Callable[[str], bool]) -> Iterator[Span]:
    """Yield where active elements, comments, handlers and tags with attributes stand.

    A link or an image stays when its target `may` and it says nothing beside.
    """
    for tag, end in _elements(text):
        yield tag.start(), end
    yield from _comments(text)
    for match in _TAG.finditer(text):
        if not _harmless(match, may):
            yield match.span()
    for match in _HANDLER.finditer(text):
        yield match.span()


def scripts(text: str) -> Iterator[Span]:
    """Yield the scripts that are opened and closed, wherever they stand."""
    for tag, end in _elements(text):
        if tag[2].lower() == "script" and end > tag.end():
            yield tag.start(), end


def _elements(text: str) -> Iterator[tuple[re.Match[str], int]]:
    """Yield the tags of active elements and where each ends: its tag, if it is never closed."""
    tags = list(_ACTIVE_TAG.finditer(text))
    closers: dict[str, list[Span]] = defaultdict(list)
    for tag in tags:
        if tag[1]:
            closers[tag[2].lower()].append(tag.span())
    done = 0
    for tag in tags:
        if tag.start() < done:
            continue
        closing = closers[tag[2].lower()]
        at = bisect_left(closing, tag.span())
        done = closing[at][1] if at < len(closing) else tag.end()
        yield tag, done


def _comments(text: str) -> Iterator[Span]:
    position = 0
    while match := _COMMENT.search(text, position):
        position = match.end()
        if match[0] == "<!--":
            end = text.find("-->", match.end())
            position = end + 3 if end >= 0 else len(text)
        yield match.start(), position


def _harmless(match: re.Match[str], may: Callable[[str], bool]) -> bool:
    name, rest, closed = match[1].lower(), match[2], match[3] == ">"
    known = name in _NAMES
    if "=" not in rest:
        return not known or (name not in _UNSAFE and (closed or name in _INLINE))
    if not known:
        return False
    if name not in {"a", "img"} or not closed or not _PLAIN_ATTRIBUTES.fullmatch(rest):
        return False
    targets = [one[1] or one[2] or one[3] or "" for one in _TARGET.finditer(rest)]
    return all(may(html.unescape(target)) for target in targets)
