"""The inline marks of reStructuredText as Markdown: roles, literals, links, substitutions."""

from __future__ import annotations

import re
from collections.abc import Mapping

LITERAL = re.compile(r"``(.+?)``(?!`)", re.DOTALL)
ROLE = re.compile(r"(?<![\w:]):([a-zA-Z][\w.+:-]*):`((?:[^`\\]|\\.)+)`", re.DOTALL)
TITLED = re.compile(r"(.*\S)\s*<([^<>]*)>$", re.DOTALL)
LINK = re.compile(r"`([^`<>]+?)\s*<([^`<>]+)>`__?", re.DOTALL)
PHRASE = re.compile(r"`([^`<>]+)`__?(?![\w`])")
WORD = re.compile(r"(?<![\w`/.+-])([A-Za-z0-9](?:[\w.+-]*[A-Za-z0-9])?)__?(?![\w`])")
FOOTNOTE = re.compile(r"\s*\[(?:#[\w-]*|\*|\d+)\]_(?!\w)")
SUBSTITUTION = re.compile(r"\|(\S(?:[^|\n]*\S)?)\|_{0,2}")
ESCAPE = re.compile(r"\\(\s|.)", re.DOTALL)
KEPT = re.compile("\ue000(\\d+)\ue001")
PROSE = frozenset(
    """ref doc term guilabel menuselection abbr abbreviation dfn emphasis strong sub sup title pep
    rfc subscript superscript title-reference t numref any issue pr user gh""".split()  # noqa: SIM905
)
"""Roles whose text is read as words; that of the others as code."""
NUMBERED = {"pep": "PEP", "rfc": "RFC"}


class Inline:
    """Rewrites the inline marks of one document."""

    def __init__(self, targets: Mapping[str, str], substitutions: Mapping[str, str]) -> None:
        """Take the addresses and the texts that the document names."""
        self._targets = targets
        self._substitutions = substitutions

    def markdown(self, text: str) -> str:
        """Return a stretch of text with Markdown's marks."""
        kept: list[str] = []

        def keep(shown: str) -> str:
            # What is done is put aside: marks inside it are no marks.
            kept.append(shown)
            return f"\ue000{len(kept) - 1}\ue001"

        text = LITERAL.sub(lambda m: keep(f"`{m[1]}`"), text)
        text = ROLE.sub(lambda m: keep(_role(m[1], m[2])), text)
        text = LINK.sub(lambda m: keep(self._link(m[1], m[2])), text)
        text = PHRASE.sub(lambda m: keep(self._reference(m[1]) or m[1]), text)
        text = FOOTNOTE.sub("", text)
        text = SUBSTITUTION.sub(lambda m: self._substitutions.get(m[1], m[0]), text)
        text = WORD.sub(lambda m: self._reference(m[1]) or m[0], text)
        text = ESCAPE.sub(lambda m: "" if m[1].isspace() else m[1], text)
        while KEPT.search(text):
            text = KEPT.sub(lambda m: kept[int(m[1])] if int(m[1]) < len(kept) else "", text)
        return text

    def _reference(self, name: str) -> str:
        """Return a link by the name of its target, empty where the document names none."""
        url = self._targets.get(" ".join(name.lower().split()))
        return "" if url is None else self._link(name, url)

    def _link(self, words: str, url: str) -> str:
        url = "".join(url.split())
        # A name with an underscore points to a target elsewhere in the document.
        return words if not url or url.endswith("_") else f"[{' '.join(words.split())}]({url})"


def _role(name: str, content: str) -> str:
    last = name.rsplit(":", 1)[-1].lower()
    words = " ".join(content.replace("\\", "").split())
    titled = TITLED.match(words)
    if titled:
        words = titled[1]
    elif words.startswith("~"):
        words = words[1:].rsplit(".", 1)[-1]
    elif last in {"ref", "doc", "numref"}:
        page = words.removesuffix("/index").strip("/").rsplit("/", 1)[-1]
        words = re.sub(r"[-_]+", " ", page)
    # A leading dot or mark tells the site generator where to look.
    words = re.sub(r"^[!.](?=\w)", "", words) if last not in {"file", "samp"} else words
    if last in NUMBERED and not titled:
        return f"{NUMBERED[last]} {words}"
    return words if last in PROSE else f"`{words}`"
