"""Marks: how a model says which passage a sentence rests on, and how an answer says it to a reader.

A model copies a private mark, `⟦1⟧`, that occurs in no text it was given: where one holds such a
thing, the mark has a tag that none holds (`⟦c1⟧`). So a text's own brackets are never read as ours.
A reader gets `[1]`, under a number that no bracket of the answer's own text has: a bracketed number
is a marker exactly where it is the id of a citation.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import count

from antiphon.tools.retrieval.sentences import ENDS, MARKER, Span

OPEN, CLOSE, TAG = "⟦", "⟧", "c"
_GAP = r"(?:(?<![ \t])[ \t]+)?"
_PLAIN = r"\[[0-9]{1,3}(?:[ \t]*,[ \t]*[0-9]{1,3})*\]"


def _private(tag: str) -> str:
    number = f"{tag}[0-9]{{1,3}}"
    return rf"{OPEN}[ \t]?{number}(?:[ \t]*,[ \t]*{number})*[ \t]?[{CLOSE}\]]"


MARKERS = re.compile(rf"(?:{_GAP}(?:{_PLAIN}|{_private(f'{TAG}*')}))+(?!\()")
"""A run of what may be marks, whoever's: ` [1]`, `[1][2]`, `[1, 2]`, `⟦1⟧`; not a link's text."""
CODE = re.compile(r"```.*?(?:```|\Z)|`[^`\n]+`", re.DOTALL)
CONTEXT = 12
"""Letters before a bracketed number by which a text's own is recognised."""
MOST_OWN = 8
"""Brackets in a row that are looked for in the texts."""
_HELD = re.compile(rf"{OPEN}[ \t]?({TAG}*)[0-9]")
_RUN = re.compile(rf"(?:{_GAP}{_PLAIN})+(?!\()")
_BRACKET = re.compile(_PLAIN)
_NUMBER = re.compile(r"[0-9]+")
_ATTACHED = re.compile(r"[\w)\]}`]\Z")
"""What an index follows without a blank: `items[0]`, `f(x)[1]`."""
_SAID = re.compile(rf"[{ENDS}][\"'”’»)*_]*\Z")
_ALONE = re.compile(r"[ \t]*(?:\n|\Z)")
_LEFT = re.compile(r"[ \t]*(?:\Z|\n|[.,;:!?…。，、；：！？।۔؟)*_\"”’»|])")
"""What follows a marker within its sentence: the end of a clause, or of its line."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Mark:
    """A place in a text where passages are named."""

    at: int
    numbers: tuple[int, ...]
    """The passages it names, once each."""
    gap: str = ""
    """The blanks before it."""
    shown: str = ""
    """The brackets as they stood, where they may be the text's own; else empty."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Marked:
    """A text apart from its marks, which stand in the order of the text."""

    text: str
    marks: tuple[Mark, ...] = ()

    def edited(self, gone: Sequence[Span], flagged: Sequence[Span] = (), said: str = "") -> Marked:
        """Return the text without some of its sentences, and with more `said` behind others.

        Neither keep their marks. A line goes too where only the marker of its item would be left.
        """
        edits = sorted((*_cuts(self.text, gone), *((end, end, said) for _, end in flagged)))
        spans = sorted((*gone, *flagged))
        parts: list[str] = []
        marks: list[Mark] = []
        at = moved = place = 0
        for mark in self.marks:
            while place < len(edits) and edits[place][0] < mark.at:
                start, end, more = edits[place]
                parts += (self.text[at:start], more)
                at, moved, place = end, moved + len(more) - (end - start), place + 1
            before = bisect_left(spans, (mark.at,))
            if before and not self.text[spans[before - 1][1] : mark.at].strip():
                continue
            marks.append(replace(mark, at=max(mark.at, at) + moved))
        for start, end, more in edits[place:]:
            parts += (self.text[at:start], more)
            at = end
        return Marked(text="".join((*parts, self.text[at:])), marks=tuple(marks))


def _cuts(text: str, gone: Sequence[Span]) -> list[tuple[int, int, str]]:
    """Return what to delete so that these sentences are gone, from the last to the first."""
    cuts: list[tuple[int, int, str]] = []
    for span in sorted(gone, reverse=True):
        until = cuts.pop()[1] if cuts and cuts[-1][0] <= span[1] else span[1]
        start = line = text.rfind("\n", 0, span[0]) + 1
        before = text[line : span[0]]
        bare = not before.strip() or MARKER.fullmatch(before)
        if bare and text[until : until + 1] in ("", "\n"):
            until = min(until + 1, len(text))
        elif before.strip():
            start = line + len(before.rstrip(" \t"))
        else:
            start = span[0]
            until = next((n for n in range(until, len(text)) if text[n] not in " \t"), until)
        if cuts and cuts[-1][0] <= until:
            until = max(until, cuts.pop()[1])
        cuts.append((start, until, ""))
    return cuts


def free_tag(texts: Iterable[str]) -> str:
    """Return a tag under which no text holds anything like a mark: hardly ever more than none."""
    held = {len(match[1]) for text in texts for match in _HELD.finditer(text)}
    return TAG * next(length for length in count() if length not in held)


def private(number: int, tag: str = "") -> str:
    """Return the mark by which a model names a passage."""
    return f"{OPEN}{tag}{number}{CLOSE}"


def bracketed(text: str) -> set[int]:
    """Return the numbers that stand in brackets."""
    return {int(n) for match in _BRACKET.finditer(text) for n in _NUMBER.findall(match.group())}


def read(answer: str, *, tag: str = "", texts: Sequence[str] = ()) -> Marked:
    """Take a model's answer apart into its words and its marks.

    A model that only knows `[1]` is understood where that cannot be a text's own: behind a clause
    or a sentence, not where one of the `texts` it was given has it after the same letters, nor in
    code. Where a text has that number in brackets elsewhere the mark is doubtful (`shown`).
    """
    runs = list(re.finditer(rf"(?:{_GAP}{_private(tag)})+", answer))
    if runs:
        return _apart(answer, [(run.start(), run.end(), "") for run in runs])
    return _apart(answer, _plain(answer, texts))


def write(marked: Marked, ids: Sequence[Collection[int]]) -> str:
    """Return the text with the ids of each mark's citations where it stood."""
    parts, at = [], 0
    for mark, numbers in zip(marked.marks, ids, strict=True):
        parts.append(marked.text[at : mark.at])
        at = mark.at
        if numbers:
            blank = " " if not mark.gap and marked.text[at - 1 : at] == "]" else mark.gap
            parts.append(blank + "".join(f"[{number}]" for number in numbers))
        elif mark.shown:
            parts.append(mark.gap + mark.shown)
    return "".join((*parts, marked.text[at:])).strip()


def _apart(answer: str, runs: Iterable[tuple[int, int, str]]) -> Marked:
    parts: list[str] = []
    marks: list[Mark] = []
    at = length = 0
    for start, end, shown in runs:
        named = answer[start:end]
        gap = named[: len(named) - len(named.lstrip(" \t"))]
        # What the blanks part stays apart without the mark.
        kept = 0 if _LEFT.match(answer, end) or answer[end].isspace() else len(gap)
        parts.append(answer[at : start + kept])
        gap, length, at = gap[kept:], length + start + kept - at, end
        numbers = tuple(dict.fromkeys(map(int, _NUMBER.findall(named))))
        marks.append(Mark(at=length, numbers=numbers, gap=gap, shown=shown))
    text = "".join((*parts, answer[at:]))
    code = [match.span() for match in CODE.finditer(text)]
    return Marked(text=text, marks=tuple(_standing(text, marks, code)))


def _standing(text: str, marks: Iterable[Mark], code: Sequence[Span]) -> Iterator[Mark]:
    """Yield the marks but those within code, and those whose brackets would make a link."""
    place = 0
    for mark in marks:
        while place < len(code) and code[place][1] <= mark.at:
            place += 1
        coded = place < len(code) and code[place][0] < mark.at
        follows, opens = text[mark.at : mark.at + 1], text[mark.at - 1 : mark.at] in ("", "\n")
        if not coded and follows not in ("(", "[") and not (opens and follows == ":"):
            yield mark


def _plain(answer: str, texts: Sequence[str]) -> Iterator[tuple[int, int, str]]:
    """Yield where brackets stand that are marks, with the brackets where that is doubtful."""
    held = set().union(*map(bracketed, texts))
    code = [match.span() for match in CODE.finditer(answer)]
    place = 0
    for run in _RUN.finditer(answer):
        start, end = _ours(answer, run, texts), run.end()
        while place < len(code) and code[place][1] <= start:
            place += 1
        coded = place < len(code) and code[place][0] < end
        if start == end or coded or not _ends_a_clause(answer, start, end):
            continue
        brackets = answer[start:end].lstrip(" \t")
        yield start, end, brackets if held & bracketed(brackets) else ""


def _ours(answer: str, run: re.Match[str], texts: Sequence[str]) -> int:
    """Return where the marks of a run begin, behind the brackets that are the text's own."""
    brackets = list(_BRACKET.finditer(answer, run.start(), run.end()))
    before = answer[max(0, run.start() - CONTEXT) : run.start()].rpartition("]")[2].lstrip()
    attached = bool(_ATTACHED.search(answer[max(0, run.start() - 1) : run.start()]))
    own = run.start()
    for bracket in brackets[:MOST_OWN] if before else ():
        so_far = before + answer[run.start() : bracket.end()]
        if not any(so_far in text for text in texts):
            break
        own = bracket.end()
    for bracket in brackets if attached else ():
        if bracket.start() > max(own, run.start()):
            break
        own = max(own, bracket.end())
    return own


def _ends_a_clause(answer: str, start: int, end: int) -> bool:
    opens = start == 0 or answer[start - 1] == "\n"
    if opens:
        return _ALONE.match(answer, end) is not None
    said = _SAID.search(answer[max(0, start - CONTEXT) : start])
    return bool(said or _LEFT.match(answer, end))
