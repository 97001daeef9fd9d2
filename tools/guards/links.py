"""An answer may link only where the assistant's owner said it may.

A link or an image to another host is how a poisoned passage leads a reader away, or carries data
out by the mere rendering of an answer. The words of a link stay; its target, foreign images and
active HTML go.
"""

from __future__ import annotations

import html
import re
from bisect import bisect_right
from collections.abc import Callable, Sequence
from urllib.parse import urlsplit

from antiphon.tools.guards.verdict import Finding, Subject

_ACTIVE = "script|style|iframe|object|embed|svg|math|template|noscript|frameset|applet|xml"
_ACTIVE_ELEMENT = re.compile(
    rf"<\s*({_ACTIVE})\b[^>]*>[\s\S]*?</\s*\1\b[^>]*(?:>|$)|</?\s*(?:{_ACTIVE})\b[^<>]*>?",
    re.IGNORECASE,
)
_COMMENT = re.compile(r"<!--[\s\S]*?(?:-->|$)|<![\[a-z][^>]*>?|<\?[^>]*>?", re.IGNORECASE)
# A tag with anything beside its name; `<order number>` and `a < b` are text, not tags.
_TAG = re.compile(r"</?([a-zA-Z][a-zA-Z0-9:-]*)((?:[\s/]|(?<=[a-z]))[^<>]*)?(?:>|$|(?=<))")
_ATTRIBUTE = re.compile(r"\b(href|src)\s*=\s*(\"[^\"]*\"|'[^']*'|[^\s>]+)", re.IGNORECASE)
_HTML_NAMES = frozenset(
    [
        "a",
        "abbr",
        "address",
        "area",
        "article",
        "aside",
        "audio",
        "b",
        "base",
        "bdi",
        "bdo",
        "big",
        "blink",
        "blockquote",
        "body",
        "br",
        "button",
        "canvas",
        "center",
        "cite",
        "code",
        "col",
        "dd",
        "del",
        "details",
        "dfn",
        "dialog",
        "div",
        "dl",
        "dt",
        "em",
        "fieldset",
        "figure",
        "font",
        "footer",
        "form",
        "frame",
        "h1",
        "h2",
        "h3",
        "h4",
        "h5",
        "h6",
        "head",
        "header",
        "hr",
        "html",
        "i",
        "image",
        "img",
        "input",
        "ins",
        "isindex",
        "kbd",
        "keygen",
        "label",
        "layer",
        "legend",
        "li",
        "link",
        "listing",
        "main",
        "map",
        "mark",
        "marquee",
        "menu",
        "meta",
        "meter",
        "nav",
        "object",
        "ol",
        "optgroup",
        "option",
        "output",
        "p",
        "param",
        "picture",
        "plaintext",
        "pre",
        "progress",
        "q",
        "s",
        "samp",
        "section",
        "select",
        "small",
        "source",
        "span",
        "strike",
        "strong",
        "sub",
        "summary",
        "sup",
        "table",
        "tbody",
        "td",
        "textarea",
        "tfoot",
        "th",
        "thead",
        "time",
        "title",
        "tr",
        "track",
        "tt",
        "u",
        "ul",
        "var",
        "video",
        "wbr",
        "xmp",
    ]
)
_UNSAFE_BARE = frozenset(
    [
        "base",
        "form",
        "input",
        "button",
        "textarea",
        "select",
        "meta",
        "link",
        "frame",
        "html",
        "head",
        "body",
        "audio",
        "video",
        "plaintext",
        "xmp",
        "listing",
        "isindex",
        "keygen",
        "image",
    ]
)
_HANDLER = re.compile(r"\bon[a-z]{3,24}\s*=\s*(?=[\"'`\\\w(])", re.IGNORECASE)

_TARGET = r"\(\s*(<[^>\n]*>|(?:[^() \n]|\([^()]*\))*)(?:\s+(?:\"[^\"]*\"|'[^']*'|\([^()]*\)))?\s*\)"
_IMAGE = re.compile(r"!\[((?:[^\[\]]|\[[^\[\]]*\])*)\]" + _TARGET)
_LINK = re.compile(r"(?<!!)\[((?:[^\[\]]|\[[^\[\]]*\])*)\]" + _TARGET)
_DEFINITION = re.compile(
    r"^[ \t>]{0,12}\[([^\]\n]{1,200})\]:\s*(<[^>\n]*>|\S+)[^\n]*$", re.MULTILINE
)
_AUTOLINK = re.compile(r"<([a-zA-Z][a-zA-Z0-9+.-]{1,31}:[^<>\s]*|[^<>\s@]{1,64}@[^<>\s]{1,255})>")
# With a single slash, browsers take only the web's own schemes for an address: `a:/b` is a path.
_URL = re.compile(
    r"(?<![\w@])(?:[a-z][a-z0-9+.-]{1,31}:[/\\]{2,4}|(?:https?|ftp|wss?|file|blob):[/\\]"
    r"|[/\\]{2}(?=[\w-]+\.)|www\.)[^\s<>\"'`|]*",
    re.IGNORECASE,
)
_CODE = re.compile(
    r"^([ \t]*)(```+|~~~+)[^\n]*\n[\s\S]*?^[ \t]*\2[`~]*[ \t]*$|(?<!`)(`{1,2})(?!`)[^`\n]+\3(?!`)",
    re.MULTILINE,
)
"""Closed fences and spans: what is inside is shown as it stands, never as a tag or a bare host."""
# Browsers skip tabs and newlines inside a scheme.
_SPLIT_JAVASCRIPT = r"[\t\n\r]?".join("javascript")
_SCRIPT_URL = re.compile(
    rf"(?:{_SPLIT_JAVASCRIPT}|vbscript|livescript|mocha)\s{{0,3}}:(?=\S)[^\s<>]*|"
    r"data:[\w/+.-]*[;,][^\s<>]*",
    re.IGNORECASE,
)
_DOMAIN = re.compile(
    r"(?<![\w@./\\-])(?:[a-z0-9-]{1,63}\.){1,8}"
    r"(?:com|net|org|io|biz|info|co|dev|app|ai|xyz|online|site|shop|top|ru|cn|tk|security|example)"
    r"\b(?![\w@-]|\.\w)(?:[/?#:][^\s<>\"'`|)\]]*)?",
    re.IGNORECASE,
)
# A reader's own machine, as the pages of any server say: only as words, never as a link's target.
_LOOPBACK = re.compile(
    r"https?://(?:localhost|127\.0\.0\.1|0\.0\.0\.0|\[::1\])(?::\d{1,5})?(?:/[\w\-./]*)?",
    re.IGNORECASE,
)
_RELATIVE = re.compile(r"[\w\-./#?=&%~+@!,;*]*")
_TRAILING = ".,;:!?)]}*_"
_ROUNDS = 5


class Links:
    """Removes every target that is neither relative nor on an allowed host."""

    name = "links"

    def __init__(self, allowed_hosts: Sequence[str] = (), *, critical: bool = True) -> None:
        self.critical = critical
        self._hosts = tuple(_host_of(entry) for entry in allowed_hosts if _host_of(entry))

    async def check(self, text: str, subject: Subject) -> Finding:  # noqa: ARG002
        """Return the text without foreign targets and active HTML."""
        cleaned = self.clean(text)
        # Entities may spell a tag or a scheme that a renderer would read.
        plain = html.unescape(html.unescape(cleaned))
        if plain != cleaned and (bare := self.clean(plain)) != plain:
            cleaned = bare
        if cleaned == text:
            return Finding(ok=True, text=text)
        reason = "a link, an image or active HTML that is not allowed"
        return Finding(ok=False, text=cleaned, severity="high", reason=reason, action="removed")

    def clean(self, text: str) -> str:
        """Remove until nothing changes: what is removed may join what stood around it."""
        for _ in range(_ROUNDS):
            cleaned = self._pass(text)
            if cleaned == text:
                return text
            text = cleaned
        return text.replace("<", "&lt;").replace("](", "] (")

    def _pass(self, text: str) -> str:
        text = _ACTIVE_ELEMENT.sub("", _COMMENT.sub("", text))
        text = _outside_code(_AUTOLINK, lambda m: m[0] if self._may(m[1]) else "", text)
        text = _outside_code(_TAG, self._tag, text)
        text = _IMAGE.sub(lambda match: match[0] if self._may(match[2]) else "", text)
        text = _LINK.sub(lambda match: match[0] if self._may(match[2]) else match[1], text)
        text = self._definitions(text)
        text = _SCRIPT_URL.sub("", text)
        text = _URL.sub(self._bare, text)
        text = _outside_code(_DOMAIN, self._bare, text)
        return _HANDLER.sub("", text)

    def _tag(self, match: re.Match[str]) -> str:
        name, rest = match[1].lower(), (match[2] or "").strip(" /\t\n")
        known = name in _HTML_NAMES
        if not rest and (not known or name not in _UNSAFE_BARE):
            return match[0]
        if not known and not re.search(r"=|\bon\w+|javascript", rest, re.IGNORECASE):
            return match[0]
        target = _ATTRIBUTE.search(rest)
        if target and name in {"a", "img"} and self._may(target[2].strip("\"'")):
            return (
                f'<{name} {target[1].lower()}="{html.escape(target[2].strip(chr(34) + chr(39)))}">'
            )
        return ""

    def _definitions(self, text: str) -> str:
        dropped = [match[1] for match in _DEFINITION.finditer(text) if not self._may(match[2])]
        text = _DEFINITION.sub(lambda match: match[0] if self._may(match[2]) else "", text)
        for label in dropped:
            used = re.compile(rf"!?\[([^\[\]]*)\]\s?\[{re.escape(label)}\]", re.IGNORECASE)
            text = used.sub(lambda match: "" if match[0].startswith("!") else match[1], text)
        return text

    def _bare(self, match: re.Match[str]) -> str:
        url = match[0].rstrip(_TRAILING)
        # Markdown's own punctuation may follow a URL: only what precedes it is the target.
        url = re.split(r"[)\]](?=[^\w]|$)|\]\(", url, maxsplit=1)[0]
        target = url if "//" in url[:34] or "\\" in url[:34] or ":/" in url[:34] else f"//{url}"
        return match[0] if _LOOPBACK.fullmatch(url) or self._may(target) else match[0][len(url) :]

    def _may(self, target: str) -> bool:
        """Return whether a target is relative or on an allowed host, read as a browser would."""
        plain = html.unescape(target.strip().strip("<>")).replace("\\", "/")
        plain = re.sub(r"[\x00-\x20\x7f\u200b-\u200f\u2028-\u202e]", "", plain)
        if plain.startswith("//"):
            plain = "https://" + plain.lstrip("/")
        if (
            "@" in plain
            and not re.match(r"[a-z][a-z0-9+.-]*:", plain, re.IGNORECASE)
            and "/" not in plain
        ):
            plain = f"mailto:{plain}"
        scheme, _, rest = plain.partition(":")
        if not _ or not re.fullmatch(r"[a-zA-Z][a-zA-Z0-9+.-]*", scheme):
            return _RELATIVE.fullmatch(plain) is not None
        if scheme.lower() == "tel":
            return re.fullmatch(r"[\d+().-]+", rest) is not None
        if scheme.lower() == "mailto":
            return self._allowed(rest.partition("?")[0].rpartition("@")[2])
        if scheme.lower() not in {"http", "https"} or not rest.startswith("//"):
            return False
        return "@" not in rest.partition("/")[0] and self._allowed(_host_of(plain))

    def _allowed(self, host: str) -> bool:
        return any(host == own or host.endswith(f".{own}") for own in self._hosts)


def _outside_code(pattern: re.Pattern[str], put: Callable[[re.Match[str]], str], text: str) -> str:
    """Substitute where a match does not begin in code."""
    code = [match.span() for match in _CODE.finditer(text)]
    starts = [start for start, _ in code]

    def replaced(match: re.Match[str]) -> str:
        at = bisect_right(starts, match.start()) - 1
        return match[0] if at >= 0 and match.end() <= code[at][1] else put(match)

    return pattern.sub(replaced, text)


def _host_of(entry: str) -> str:
    """Return the host of a URL or a bare host, lower case; empty when there is none."""
    url = entry if "://" in entry else f"https://{entry.removeprefix('*.')}"
    try:
        return (urlsplit(url).hostname or "").rstrip(".").lower()
    except ValueError:
        return ""
