"""A text as others will read it: escapes and entities resolved, each place traced to the source."""

from __future__ import annotations

import html
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

Span = tuple[int, int]

_CODED = re.compile(
    r"\\([!-/:-@\[-`{-~])|&(?:#\d{1,7}|#x[0-9a-f]{1,6}|[a-z][a-z0-9]{1,31});?", re.IGNORECASE
)
_TIMES = 2
"""Once for the renderer; once more for what decodes the page again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """A text, and where in the source each of its characters comes from."""

    text: str
    where: Sequence[int] | None = None

    def source(self, span: Span) -> Span:
        """Return the place in the source of a place in this reading."""
        return span if self.where is None else (self.where[span[0]], self.where[span[1]])


def readings(text: str) -> Iterator[Reading]:
    """Yield the text as it stands, then decoded as often as that changes it."""
    reading = Reading(text=text)
    yield reading
    for _ in range(_TIMES):
        decoded = _decoded(reading)
        if decoded.text == reading.text:
            return
        yield decoded
        reading = decoded


def without(text: str, spans: Iterable[Span], put: str = "") -> str:
    """Return the text with each span cut out, or with every character in it replaced."""
    pieces, position = [], 0
    for start, end in sorted(spans):
        if end > position:
            pieces += [text[position:start], put * (end - max(start, position))]
            position = end
    return "".join((*pieces, text[position:]))


def _decoded(reading: Reading) -> Reading:
    pieces: list[str] = []
    where: list[int] = []
    position = 0
    for match in _CODED.finditer(reading.text):
        plain = match[1] or html.unescape(match[0])
        pieces += [reading.text[position : match.start()], plain]
        where += range(position, match.start())
        where += [match.start()] * len(plain)
        position = match.end()
    text = "".join((*pieces, reading.text[position:]))
    where += range(position, len(reading.text) + 1)
    if reading.where is not None:
        where = [reading.where[at] for at in where]
    return Reading(text=text, where=where)
