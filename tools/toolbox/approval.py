"""Asking a person before a tool runs: the question, and reading their yes or no.

Only a message that says nothing but yes is a yes: every word of it must be on the list of its
language. A word more, and it is for the person to say it again.
"""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Literal

from pydantic import JsonValue

from antiphon.tools.toolbox.calls import ToolCall, ToolSpec
from antiphon.tools.toolbox.consent import PHRASES, SYMBOLS
from antiphon.tools.toolbox.schema import spoken
from antiphon.tools.toolbox.wording import fill, places

_Kind = Literal["yes", "no", "courtesy", "neither"]
_Words = tuple[str, ...]

_PLAIN = re.compile(r"[\w .,'@+/:#<>-]{0,80}")
"""A value that cannot be taken for a sentence of its own."""
_HIDDEN = frozenset({"Cf", "Cc", "Zl", "Zp", "Zs", "Co", "Cn", "Cs"})
_IGNORABLE = re.compile(
    "[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u2800\u3164\ufe00-\ufe0f\uffa0"
    "\U000e0100-\U000e01ef]"
)
"""Letters and marks, by their category, that are blank."""
_KINDS: tuple[_Kind, ...] = ("yes", "no", "courtesy", "neither")
_MOST_CHARS = 200
_LONGEST_PHRASE = 20
"""In words; in scripts without spaces, in signs."""
_APOSTROPHES = re.compile("['`\u00b4\u02bc\u2018\u2019\uff07]")
# What is not seen: joiners, direction marks, the emoji's variant and skin.
_UNSEEN = re.compile(
    "[\u00ad\u061c\u200b-\u200f\u202a-\u202e\u2060-\u2069\ufe00-\ufe0f\ufeff\U0001f3fb-\U0001f3ff]"
)
_ACCENTS = re.compile("[\u0300-\u036f\u0640\u064b-\u065f\u0670]")
_LETTERS = str.maketrans(
    {"\u0131": "i", "\u0142": "l", "\u0649": "\u064a", "-": " ", "\u2010": " "}
)
# Scripts that are written without spaces, and signs, are read sign by sign.
_ALONE = re.compile(
    "[\u2600-\u27bf\u23f3\u3005\u3040-\u30ff\u3400-\u9fff\uac00-\ud7a3\U0001f000-\U0001faff]"
)
# More than one full stop is a hesitation, not an end: it stays, and no list has it.
_PAUSE = re.compile(
    r"(?<![.\u3002])[.\u3002](?![.\u3002])|[\n\r!,;~\u00a1\u2013\u2014\u3001\u301c\u060c\u061b]"
)


def question(spec: ToolSpec, call: ToolCall) -> str:
    """Return what to ask the approver of `call`: every argument that it will run with.

    A value that could be read as more than a value stands in quotes, on one line and whole: the
    tool's own sentence is not trusted to hold it.
    """
    given = {name: value for name, value in call.arguments.items() if value is not None}
    plain = all(map(_plain, given.values()))
    filled = fill(spec.confirm, call.arguments) if spec.confirm and plain else ""
    told = places(spec.confirm) if filled else set()
    untold = [name for name in given if name not in told]
    listed = ", ".join(f"{spoken(name)} {_shown(given[name])}" for name in untold)
    asked = filled or f"Shall I go ahead with {spoken(spec.name)}"
    whole = f"{asked} ({listed})" if listed else asked
    return whole if whole.endswith("?") else f"{whole}?"


def _plain(value: JsonValue) -> bool:
    if isinstance(value, list):
        return all(map(_plain, value))
    text = str(value)
    seen = not any(map(_unseen, text))
    shown = bool(text.strip()) or not text
    return not isinstance(value, dict) and seen and shown and _PLAIN.fullmatch(text) is not None


def _shown(value: JsonValue) -> str:
    if isinstance(value, str) and _plain(value):
        return value
    text = json.dumps(value, ensure_ascii=False)
    return "".join(_written(char) if _unseen(char) else char for char in text)


def _written(char: str) -> str:
    """Write a character as JSON does where it may use ASCII only."""
    return json.dumps(char)[1:-1]


def _unseen(char: str) -> bool:
    """Say whether a character shows nothing, or turns what stands around it."""
    if char == " ":
        return False
    return unicodedata.category(char) in _HIDDEN or _IGNORABLE.match(char) is not None


def decision(text: str, languages: Sequence[str] = ("en",)) -> bool | None:
    """Read a yes or a no; None when the message is anything else or anything more.

    It is read in the assistant's `languages` (tags such as `de` or `pt-BR`), and always in
    English too: "ok" and "yes" are said to machines everywhere. A word on which two of these
    languages disagree decides nothing.
    """
    said = _said(text, languages)
    if said is None:
        return None
    kinds = {kind for clause in said for kind in clause.values()} - {"courtesy"}
    if kinds == {"yes"}:
        return True
    # Two noes in one breath can be a wish to go on: "no cancelar", "nie anuluj", "don't stop".
    if kinds == {"no"} and all(list(clause.values()).count("no") <= 1 for clause in said):
        return False
    return None


def asks(text: str, languages: Sequence[str] = ("en",)) -> bool:
    """Say whether a message wants something, so that it deserves an answer of its own.

    Not so only when all it says is on the lists: thanks, a "hm", "one moment", a yes or a no.
    """
    return _said(text, languages) is None


def _said(text: str, languages: Sequence[str]) -> list[dict[_Words, _Kind]] | None:
    """Return the phrases of each clause; None when there is anything that is no known phrase."""
    if len(text) > _MOST_CHARS:
        return None
    codes = {"en", *(tag.split("-")[0].casefold() for tag in languages)}
    known = _lexicon(tuple(sorted(codes & PHRASES.keys())))
    clauses: list[dict[_Words, _Kind]] = []
    for words in _clauses(text):
        phrases = dict(_phrases(words, known))
        if None in phrases.values():
            return None
        clauses.append({phrase: kind for phrase, kind in phrases.items() if kind is not None})
    return clauses


def _phrases(words: _Words, known: Mapping[_Words, _Kind]) -> Iterator[tuple[_Words, _Kind | None]]:
    """Take words apart into phrases, the longest first; a word of none has no kind."""
    while words:
        ends = range(min(len(words), _LONGEST_PHRASE), 0, -1)
        end = next((end for end in ends if words[:end] in known), 1)
        yield words[:end], known.get(words[:end])
        words = words[end:]


def _clauses(text: str) -> list[_Words]:
    """Return the words between pauses, without case, accents and what is not seen."""
    plain = _UNSEEN.sub("", _APOSTROPHES.sub("", text))
    plain = _ACCENTS.sub("", unicodedata.normalize("NFKD", plain).casefold())
    plain = unicodedata.normalize("NFC", plain).translate(_LETTERS)
    plain = _ALONE.sub(r" \g<0> ", plain)
    return [words for part in _PAUSE.split(plain) if (words := tuple(part.split()))]


@lru_cache(maxsize=64)
def _lexicon(codes: tuple[str, ...]) -> Mapping[_Words, _Kind]:
    """Return each phrase of these languages; one they disagree on is neither."""
    known: dict[_Words, _Kind] = {}
    for phrases in (SYMBOLS, *(PHRASES[code] for code in codes)):
        for kind in _KINDS:
            for said in getattr(phrases, kind).split(", "):
                (words,) = _clauses(said)
                known[words] = kind if known.get(words, kind) == kind else "neither"
    return known
