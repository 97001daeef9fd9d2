"""Reading a tool's arguments out of a message by their schema, with no language model.

The most telling arguments are read first, and what one of them takes no other may read: the
digits of an order number are never mistaken for a quantity. Patterns give nothing back once
they have matched (`++`), so that no message makes them slow.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from itertools import islice

from pydantic import JsonValue

from antiphon.tools.toolbox.dates import find_date
from antiphon.tools.toolbox.schema import MOST_DIGITS, Argument, spoken

_INFLECTED = 4
"""Letters from which a word is taken to have inflections."""
_MOST_ITEMS = 100
"""Most values read into one array."""
_AROUND = 100
"""Characters either side of a number in which it may be spoken of."""
_NUMBERS = (
    *("one", "two", "three", "four", "five", "six"),
    *("seven", "eight", "nine", "ten", "eleven", "twelve"),
)
_NUMBER = re.compile(
    # Not from within a number: after a comma and before three digits.
    r"(?<![\w.<])(?<!\d,(?=\d{3}(?!\d)))"
    rf"([+-]?\d++(?:,\d{{3}}(?!\d))*+(?:\.\d++)?+|{'|'.join(_NUMBERS)})(?![\w>])",
    re.IGNORECASE,
)
_EMAIL = re.compile(r"(?<![\w.+-])[\w.+-]++@[\w-]++(?:\.[\w-]++)++|<EMAIL(?:_ADDRESS)?_\d++>")
_QUOTED = re.compile(r"\"([^\"]+)\"|(?<!\w)'([^']+)'(?!\w)|\u201c([^\u201c\u201d]+)\u201d")
_TRUE = re.compile(r"\b(?:yes|yeah|yep|true|sure|please do|of course)\b", re.IGNORECASE)
_FALSE = re.compile(r"\b(?:no|nope|false|not|don't|without)\b", re.IGNORECASE)
_REASON = re.compile(
    r"\b(?:because(?: of)?|since|due to|reason(?: is|:)?)\s++"
    r"((?:[^.!?\n]++|[.!?](?!\s|$))++)",
    re.IGNORECASE,
)
_PLACE = re.compile(
    r"\b(?:in|at|to|for|from|near)\s+((?:<\w+>|[A-Z][\w'-]+)(?:[ ,]+[A-Z][\w'-]+)*)"
)
_FILLER = re.compile(
    r"^(?:it'?s|it is|that'?s|that is|they are|this is|my \w+(?: \w+)? is|the \w+(?: \w+)? is"
    r"|because(?: of)?)\s+",
    re.IGNORECASE,
)

_REASONS = {"reason", "why", "cause", "because"}
_PLACES = {"city", "location", "place", "country", "town", "destination", "address"}
_WHOLE = {"query", "question", "search"}


@dataclass(slots=True)
class _Message:
    """A message, and which of its characters an argument has taken."""

    text: str
    taken: list[tuple[int, int]] = field(default_factory=list)

    def free(self, match: re.Match[str], group: int = 0) -> bool:
        start, end = match.span(group)
        return all(end <= first or last <= start for first, last in self.taken)

    def take(self, match: re.Match[str], group: int = 0) -> str:
        self.taken.append(match.span(group))
        return match[group]

    def matches(self, pattern: re.Pattern[str]) -> Iterator[re.Match[str]]:
        return (match for match in pattern.finditer(self.text) if self.free(match))


def extract(
    arguments: Sequence[Argument], text: str, *, today: date, known: Iterable[str] = ()
) -> dict[str, JsonValue]:
    """Return the arguments that `text` states, by name; those in `known` are left alone."""
    message = _Message(text)
    wanted = [one for one in arguments if one.name not in set(known)]
    found = {
        one.name: value
        for one in sorted(wanted, key=_order)
        if (value := _read(one, message, today)) is not None
    }
    return {one.name: found[one.name] for one in wanted if one.name in found}


def answer(argument: Argument, text: str, *, today: date) -> JsonValue:
    """Return the value of `argument` in a reply to the question for it, or None.

    Here a bare value is enough: the whole reply, for text that has no form of its own.
    """
    stated = _read(replace(argument, required=True), _Message(text), today)
    if stated is not None:
        return stated
    if argument.kind == "boolean":
        return _yes_no(_Message(text))
    if argument.kind != "string" or argument.choices or argument.pattern or argument.format:
        return None
    return _FILLER.sub("", text.strip()).strip(" .!\"'") or None


def _order(argument: Argument) -> int:
    item = argument.items if argument.kind == "array" and argument.items else argument
    if item.pattern:
        return 0
    if item.format:
        return 1
    if item.choices:
        return 2
    # A number that must be there comes before one that may be.
    return (3 if argument.required else 4) if item.kind in ("integer", "number") else 5


def _read(argument: Argument, message: _Message, today: date) -> JsonValue:
    if argument.kind == "array":
        return _read_many(argument, message, today)
    if argument.choices:
        return next(iter(_choices(argument, message)), None)
    if argument.pattern:
        return next(_patterned(argument, message), None)
    return _read_kind(argument, message, today)


def _read_kind(argument: Argument, message: _Message, today: date) -> JsonValue:
    match argument.kind:
        case "integer" | "number":
            return next(_numbers(argument, message), None)
        case "boolean":
            return _flag(argument, message)
        case "string" if argument.format:
            return _formatted(argument, message, today)
        case "string":
            return _text(argument, message)
        case _:
            return None


def _read_many(argument: Argument, message: _Message, today: date) -> JsonValue:
    item = argument.items
    if item is None:
        return None
    found: list[JsonValue]
    if item.choices:
        found = _choices(item, message)
    elif item.pattern:
        found = list(islice(_patterned(item, message), _MOST_ITEMS))
    elif item.kind in ("integer", "number"):
        found = list(islice(_numbers(replace(item, required=True), message), _MOST_ITEMS))
    else:
        one = _read(item, message, today)
        found = [] if one is None else [one]
    return found or None


def _choices(argument: Argument, message: _Message) -> list[JsonValue]:
    """Return the choices a message names, in the order it names them."""
    hits: list[tuple[re.Match[str], JsonValue]] = []
    # Longest first, so that `express plus` is not read as `express`.
    for choice in sorted(argument.choices, key=lambda one: -len(str(one))):
        stems = [_stemmed(word) for word in spoken(str(choice)).split()]
        pattern = re.compile(r"(?<!\w)" + r"[\s_-]+".join(stems) + r"(?!\w)", re.IGNORECASE)
        match = next(message.matches(pattern), None) if stems else None
        if match and not any(
            match.start() < one.end() and one.start() < match.end() for one, _ in hits
        ):
            hits.append((match, choice))
    return [
        choice
        for match, choice in sorted(hits, key=lambda hit: hit[0].start())
        if message.take(match)
    ]


def _stemmed(word: str) -> str:
    """Return a pattern for a word and its plain inflections: refund, refunds, refunded."""
    if len(word) < _INFLECTED or not word.isalpha():
        return re.escape(word)
    stem = re.sub(r"(?:ies|y|es|s|ed|ing|e)$", "", word)
    if len(stem) < _INFLECTED - 1:
        return re.escape(word) + "s?"
    # The last letter may be doubled, as in wrapped and cancelled.
    return rf"{stem}(?:ies|y|es|s|e|{stem[-1]}?(?:ed|ing))?"


def _patterned(argument: Argument, message: _Message) -> Iterator[str]:
    inner = argument.pattern.removeprefix("^").removesuffix("$")
    try:
        exact = re.compile(rf"(?<!\w)(?:{inner})(?!\w)")
        loose = re.compile(exact.pattern, re.IGNORECASE)
        whole = re.compile(argument.pattern)
    except re.error:  # a dialect that Python does not read
        return
    found = False
    for match in message.matches(exact):
        found = True
        yield message.take(match)
    for match in () if found else message.matches(loose):
        value = next((v for v in (match[0].upper(), match[0].lower()) if whole.search(v)), None)
        if value is not None:
            message.take(match)
            yield value


def _numbers(argument: Argument, message: _Message) -> Iterator[int | float]:
    for match in message.matches(_NUMBER):
        if sum(map(str.isdigit, match[1])) > MOST_DIGITS:
            continue
        value = _number(match[1])
        if argument.kind == "integer" and not float(value).is_integer():
            continue
        if argument.minimum is not None and value < argument.minimum:
            continue
        if argument.maximum is not None and value > argument.maximum:
            continue
        # What need not be there is read only when the words around speak of it.
        if not argument.required and not _nearby(argument, message.text, match):
            continue
        message.take(match)
        yield int(value) if argument.kind == "integer" else value


def _number(text: str) -> int | float:
    word = text.lower()
    if word in _NUMBERS:
        return _NUMBERS.index(word) + 1
    plain = text.replace(",", "")
    return float(plain) if "." in plain else int(plain)


def _nearby(argument: Argument, text: str, match: re.Match[str]) -> bool:
    start, end = match.span()
    around = text[max(start - _AROUND, 0) : start].split()[-2:]
    around += text[end : end + _AROUND].split()[:2]
    said = " ".join(around)
    hints = {
        word
        for word in f"{argument.words} {spoken(argument.description)}".split()
        if len(word) >= _INFLECTED
    }
    return any(re.search(rf"(?<!\w){_stemmed(hint)}(?!\w)", said, re.IGNORECASE) for hint in hints)


def _flag(argument: Argument, message: _Message) -> bool | None:
    named = re.search(
        r"(?<!\w)" + r"[\s_-]+".join(map(_stemmed, argument.words.split())) + r"(?!\w)",
        message.text,
        re.IGNORECASE,
    )
    if named is None:
        return None
    before = " ".join(message.text[: named.start()].split()[-3:])
    return not _FALSE.search(before)


def _yes_no(message: _Message) -> bool | None:
    first = min(
        (
            (match.start(), value)
            for pattern, value in ((_TRUE, True), (_FALSE, False))
            if (match := pattern.search(message.text))
        ),
        default=None,
    )
    return None if first is None else first[1]


def _formatted(argument: Argument, message: _Message, today: date) -> str | None:
    if argument.format == "email":
        match = next(message.matches(_EMAIL), None)
        return message.take(match) if match else None
    if argument.format == "date":
        span = find_date(message.text, today=today)
        if span is None:
            return None
        message.taken.append(span.where)
        return span.value.isoformat()
    return None


def _text(argument: Argument, message: _Message) -> str | None:
    for example in argument.examples:
        match = next(
            message.matches(re.compile(rf"(?<!\w){re.escape(example)}(?!\w)", re.IGNORECASE)), None
        )
        if match:
            message.take(match)
            return example
    said = {*argument.words.split(), *spoken(argument.description).split()[:6]}
    hint = re.escape(argument.words).replace(r"\ ", r"[\s_-]+")
    labelled = re.compile(
        rf"(?<!\w){hint}\s*(?::|=|\bis\b|\bare\b)\s*[\"']?([^\"'\n.!?;,]+)", re.IGNORECASE
    )
    patterns = [labelled, _QUOTED]
    if said & _REASONS:
        patterns.insert(0, _REASON)
    if said & _PLACES:
        patterns.append(_PLACE)
    for pattern in patterns:
        for match in pattern.finditer(message.text):
            group = match.lastindex or 0
            if message.free(match, group):
                return message.take(match, group).strip()
    if argument.required and set(argument.words.split()) & _WHOLE:
        return message.text.strip() or None
    return None
