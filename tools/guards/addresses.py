"""Which addresses are the assistant's own, and where a text names others.

An address is read as strictly as the loosest reader would follow it: browsers take a backslash
for a slash, skip tabs, decode percent signs in a host and let punctuation into it.
"""

from __future__ import annotations

import html
import re
from collections.abc import Iterator, Sequence
from urllib.parse import urlsplit

from antiphon.tools.guards.hostnames import TRAILING, named
from antiphon.tools.guards.readings import Span

# Browsers skip tabs and newlines in an address, and trim the rest.
_SKIPPED = re.compile(r"[\x00-\x20\x7f]")
_SCHEME = re.compile(r"([a-z][a-z0-9+.-]*):(.*)", re.IGNORECASE | re.DOTALL)
_RELATIVE = re.compile(r"(?!//)[^\"<>`]*")
_WEB = re.compile(r"//([\w.-]+)(?::\d{0,5})?(?:[/?#].*)?", re.DOTALL)
_PHONE = re.compile(r"[\d+().-]+")
_MORE_RECIPIENTS = re.compile(r"(?:^|[?&])(?:to|cc|bcc)=", re.IGNORECASE)

# With a single slash, browsers take only the web's own schemes for an address: `a:/b` is a path.
_OPENING = (
    r"(?<![^\W_])(?<!@)[a-z][a-z0-9+.-]{1,31}:[/\\]{2}|(?:https?|ftp|wss?|file|blob):"
    r"(?:[/\\]|(?=[\w%-]{1,63}\.[\w%]|0x|\d{6}))|mailto:(?=\S)|(?<![^\W_])(?<!@)www\.(?=\w)"
)
_IN_CODE = re.compile(_OPENING, re.IGNORECASE)
_IN_WORDS = re.compile(
    rf"{_OPENING}|(?<![^\W_])[/\\]{{2}}(?=[^\s<>/\\]{{1,80}}?[.@]\w)", re.IGNORECASE
)
_STOP = re.compile(r"[\s<>\"'`|]")
_STOP_IN_CODE = re.compile(r"[\s<>\"'`|\\]")
_TELLING = 400
"""Characters of an address that tell where it leads; no host is that long."""
_UNBROKEN = re.compile(r"[\w/?=&%.:#+~@,!$-]*")
_SPLIT_JAVASCRIPT = r"[\t\n\r]?".join("javascript")
_SCRIPT = re.compile(
    rf"(?:{_SPLIT_JAVASCRIPT}|vbscript|livescript|mocha)\s{{0,3}}:(?=\S)[^\s<>]*|"
    r"data:(?:\w{1,20}/[\w.+-]{0,60})?[;,][^\s<>]*",
    re.IGNORECASE,
)
# A reader's own machine, as the pages of any server say: only as words, never as a link's target.
_LOOPBACK = re.compile(
    r"https?://(?:localhost|127\.0\.0\.1|0\.0\.0\.0|\[::1\])(?::\d{1,5})?(?:/[\w\-./]*)?",
    re.IGNORECASE,
)
_NOWHERE = re.compile(r"(?:[a-z][a-z0-9+.-]*:)?[/\\]*", re.IGNORECASE)
_HAS_PATH = re.compile(r"(?:[a-z][a-z0-9+.-]*:)?+[/\\]*+[^/\\?#]+[/\\?#]", re.IGNORECASE)
# A linkifier reads on where Markdown or a quotation ends, and takes what follows into the host.
_MORE_HOST = re.compile(r"[^\s<>/?#\\|^\[\]:]*?(?:[.。．｡]\w|%)|[^\s/?#@]*@")
_BRACKETS = re.compile(r"[()\[\]]")


class Hosts:
    """The hosts that may be linked to, with their subdomains."""

    def __init__(self, allowed: Sequence[str]) -> None:
        self._own = tuple(host for entry in allowed if (host := _host_of(entry)))

    def may(self, target: str) -> bool:
        """Return whether a target is relative or on an allowed host, read as a browser would."""
        read = {_SKIPPED.sub("", each) for each in (target, html.unescape(target))}
        # A browser takes a backslash for a slash; a renderer may have made `%5C` of it by then.
        return all(self._may(each.replace("\\", sign)) for each in read for sign in ("/", "%5C"))

    def _may(self, plain: str) -> bool:
        if plain.startswith("//"):
            plain = "https://" + plain.lstrip("/")
        parts = _SCHEME.fullmatch(plain)
        if parts is None:
            if "@" in plain and "/" not in plain:
                return self._mail(plain)
            return _RELATIVE.fullmatch(plain) is not None
        scheme, rest = parts[1].lower(), parts[2]
        match scheme:
            case "tel":
                return _PHONE.fullmatch(rest) is not None
            case "mailto":
                return self._mail(rest)
            case "http" | "https":
                web = _WEB.fullmatch(rest)
                return web is not None and self._owns(web[1])
        return False

    def foreign(self, text: str, *, code: bool) -> Iterator[Span]:
        """Yield where the text names an address that is not allowed, or a script as one.

        `code`: the text may be code, where two slashes begin a comment and quotes end a string.
        """
        done = stop = 0
        openings, stops = (_IN_CODE, _STOP_IN_CODE) if code else (_IN_WORDS, _STOP)
        for opening in openings.finditer(text):
            start = opening.start()
            if start < done:
                continue
            if stop < opening.end():
                ending = stops.search(text, opening.end())
                stop = ending.start() if ending else len(text)
            url = _trimmed(text[start : min(stop, start + _TELLING)])
            if self._leads_away(url) or (not code and _reads_on(url, text, start + len(url))):
                done = start + len(_trimmed(text[start:stop]))
                yield start, max(done, opening.end())
            else:
                # In the middle of an address that is one to every reader, another is a parameter.
                unbroken = _UNBROKEN.match(url)
                done = unbroken.end() + start if unbroken else start
        for match in _SCRIPT.finditer(text):
            yield match.start(), match.start() + len(_trimmed(match[0]))

    def domains(self, text: str) -> Iterator[Span]:
        """Yield bare names of foreign hosts, which chat clients turn into links."""
        for start, url in named(text):
            if not self.may(f"//{url}"):
                yield start, start + len(url)

    def _leads_away(self, url: str) -> bool:
        target = f"//{url}" if url[:4].lower() == "www." else url
        return not (_NOWHERE.fullmatch(url) or _LOOPBACK.fullmatch(url) or self.may(target))

    def _mail(self, rest: str) -> bool:
        people, _, fields = rest.partition("?")
        return not _MORE_RECIPIENTS.search(fields) and all(
            self._owns(one.rpartition("@")[2]) for one in people.split(",")
        )

    def _owns(self, host: str) -> bool:
        host = host.rstrip(".").lower()
        return any(host == own or host.endswith(f".{own}") for own in self._own)


def _reads_on(url: str, text: str, end: int) -> bool:
    """Return whether a reader may take what follows a bare host for more of it."""
    return not _HAS_PATH.match(url) and _MORE_HOST.match(text, end) is not None


def _trimmed(url: str) -> str:
    """Return an address without the Markdown and the punctuation behind it."""
    depth = {"(": 0, "[": 0}
    for bracket in _BRACKETS.finditer(url):
        if bracket[0] in depth:
            depth[bracket[0]] += 1
            continue
        opener = "(" if bracket[0] == ")" else "["
        depth[opener] -= 1
        if depth[opener] < 0:
            return url[: bracket.start()].rstrip(TRAILING)
    return url.rstrip(TRAILING)


def _host_of(entry: str) -> str:
    """Return the host of a URL or a bare host, lower case; empty when there is none."""
    url = entry if "://" in entry else f"https://{entry.removeprefix('*.')}"
    try:
        return (urlsplit(url).hostname or "").rstrip(".").lower()
    except ValueError:
        return ""
