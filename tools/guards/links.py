"""An answer may link only where the assistant's owner said it may.

A link or an image to another host is how a poisoned passage leads a reader away, or carries data
out by the mere rendering of an answer. The words of a link stay; its target, foreign images and
active HTML go.

What a renderer would render is what is judged, and nobody knows the renderer. So a text is looked
at in three ways, each of which finds places to cut in the source, and no more than those change:

1. as Markdown (`markdown`): the targets that a CommonMark parser resolves, whatever escapes,
   entities, titles or definitions they are made of;
2. as HTML (`markup`): tags and active elements outside of what every dialect shows as code;
3. as words (`addresses`): what a linkifier or a browser takes for an address, also when escapes and
   entities are read once or twice (`readings`).

A cut may join what stood around it, so this repeats until nothing is found. What still finds
something then, or is nested deeper than is parsed, loses the syntax of links and tags altogether.
Every step takes time in proportion to the text.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence

from antiphon.tools.errors import GuardBroken
from antiphon.tools.guards import markdown, markup
from antiphon.tools.guards.addresses import Hosts
from antiphon.tools.guards.pace import paced
from antiphon.tools.guards.readings import Span, readings, without
from antiphon.tools.guards.verdict import Finding, Subject

_ROUNDS = 5
_WORDS = 300
"""Characters of a link's words that are looked back at."""
_OPENED = re.compile(r"(!?)\[([^\[\]]*)\]\(\s{0,3}<?$")
_CLOSED = re.compile(r">?\s{0,3}\)")


class Links:
    """Removes every target that is neither relative nor on an allowed host."""

    name = "links"

    def __init__(self, allowed_hosts: Sequence[str] = (), *, critical: bool = True) -> None:
        self.critical = critical
        self._hosts = Hosts(allowed_hosts)

    async def check(self, text: str, subject: Subject) -> Finding:  # noqa: ARG002
        """Return the text without foreign targets and active HTML."""
        cleaned = await paced(len(text), self.clean, text)
        if cleaned == text:
            return Finding(ok=True, text=text)
        reason = "a link, an image or active HTML that is not allowed"
        return Finding(ok=False, text=cleaned, severity="high", reason=reason, action="removed")

    def clean(self, text: str) -> str:
        """Cut until nothing is found.

        Raises:
            GuardBroken: Something is found however often it is cut.
        """
        looks: tuple[Callable[[str], list[Span] | None], ...] = (self._look, self._words)
        for look in looks:
            for _ in range(_ROUNDS):
                cuts = look(text)
                if cuts is None:
                    break
                if not cuts:
                    return text
                text = without(text, cuts)
            text = _disarmed(text)
        raise GuardBroken("the text cannot be freed of foreign links")

    def _look(self, text: str) -> list[Span] | None:
        """Return what to cut, None where a place is not known or not everything was read."""
        if not markdown.SYNTAX.search(text) and not self._words(text):
            return []
        page = markdown.read(text)
        links = [link for link in page.links if not self._hosts.may(link.href)]
        if page.too_deep or not all(link.syntax for link in links):
            return None
        # First the syntax with its target, then what is named without any.
        return [span for link in links for span in link.syntax] or self._words(text, page.code)

    def _words(self, text: str, code: Sequence[Span] = ()) -> list[Span]:
        """Return where foreign addresses, tags and scripts stand, with or without syntax."""
        return [part for span in self._found(text, code) for part in _unwrapped(text, span)]

    def _found(self, text: str, code: Sequence[Span]) -> Iterator[Span]:
        yield from markup.scripts(text)
        yield from self._hosts.foreign(text, code=True)
        # Not blanked: a linkifier may come before code does and read on into it.
        for reading in readings(without(text, code, "\ufffd")):
            for span in self._unsaid(reading.text):
                yield reading.source(span)

    def _unsaid(self, text: str) -> Iterator[Span]:
        yield from markup.unwanted(text, self._hosts.may)
        yield from self._hosts.foreign(text, code=False)
        yield from self._hosts.domains(text)


def _unwrapped(text: str, span: Span) -> tuple[Span, ...]:
    """Return the span with the syntax around it, where this parser sees no link but others may."""
    start, end = span
    before = _OPENED.search(text, max(0, start - _WORDS), start)
    after = _CLOSED.match(text, end)
    if before is None or after is None:
        return (span,)
    if before[1]:
        return ((before.start(), after.end()),)
    return ((before.start(), before.start() + 1), (before.end(2), after.end()))


def _disarmed(text: str) -> str:
    """Return the text with nothing in it that Markdown or HTML could read as a link or a tag."""
    for opening, shown in (("](", "] ("), ("][", "] ["), ("]:", "] :"), ("<", "&lt;")):
        text = text.replace(opening, shown)
    return text
