"""Structured personal data by pattern and checksum: emails, phones, cards, IBANs, secrets.

Names and addresses need a language model of their own and are not looked for here. A number is
taken for a phone number only if its shape or the words before it say so: a masked order number
would break the conversation it belongs to.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Literal, Protocol

Kind = Literal["SECRET", "URL_CREDENTIALS", "EMAIL", "IBAN", "CREDIT_CARD", "US_SSN", "IP", "PHONE"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """One value found: `text[start:end]`."""

    start: int
    end: int
    kind: str


class Detector(Protocol):
    """Finds personal data."""

    def find(self, text: str) -> tuple[Span, ...]:
        """Return what was found in order of position, without overlaps."""
        ...


_SECRETS = (
    (
        r"-----BEGIN [A-Z ]{0,30}PRIVATE KEY-----(?:[^-]|-(?!----)){0,10000}+"
        r"(?:-----END [A-Z ]{0,30}PRIVATE KEY-----|\Z)"
    ),
    r"\bsk-(?:ant-|proj-|or-)?[A-Za-z0-9_-]{20,200}",
    r"\b(?:sk|rk|pk)_(?:live|test)_[A-Za-z0-9]{16,200}",
    r"\b(?:AKIA|ASIA)[0-9A-Z]{16}\b",
    r"\b(?:gh[pousr]_[A-Za-z0-9]{36,255}|github_pat_[A-Za-z0-9_]{22,255})",
    r"\bglpat-[A-Za-z0-9_-]{20,64}",
    r"\bxox[abeoprs]-[A-Za-z0-9-]{10,250}",
    r"\bAIza[0-9A-Za-z_-]{35}",
    r"\b(?:hf|npm|lsv2_pt|lsv2_sk|pypi)[_-][A-Za-z0-9_-]{30,250}",
    r"\beyJ[A-Za-z0-9_-]{10,1000}+\.eyJ[A-Za-z0-9_-]{10,4000}+\.[A-Za-z0-9_-]{10,1000}",
    # A word that says so, then a value with a digit in it.
    (
        r"(?i:\b(?:api[ _-]?key|secret(?:[ _-]?key)?|(?:access|auth)[ _-]?token|password|passwd)"
        r"\s{0,3}(?:is|[:=])\s{0,3}[\"'`]?)(?=[^\s\"'`]{0,200}\d)[^\s\"'`<>]{8,200}"
    ),
)
_EMAIL = r"[A-Za-z0-9._%+'-]{1,64}@(?:[A-Za-z0-9-]{1,63}\.){1,8}[A-Za-z]{2,24}\b"
_URL_CREDENTIALS = r"\b[a-z][a-z0-9+.-]{1,20}://[^\s/:@]{1,100}:[^\s/@]{1,100}@[^\s<>\"')]{1,500}"
_IBAN = r"\b[A-Za-z]{2}\d{2}(?: ?[A-Za-z0-9]{4}){2,7}(?: ?[A-Za-z0-9]{1,3})?\b"
_CARD = r"(?<![\w.,-])\d(?:[ -]?\d){11,18}(?![\w-]|[.,]\d)"
_SSN = r"(?<![\w-])(?!000|666)\d{3}-(?!00)\d{2}-(?!0000)\d{4}(?![\w-])"
_IP = (
    r"(?<![\w.:])(?:(?:\d{1,3}\.){3}\d{1,3}|"
    r"(?=[0-9a-fA-F:]*::|(?:[0-9a-fA-F]+:){7})[0-9a-fA-F:]{3,39})(?![\w:]|\.\d)"
)
_PHONE = (
    r"(?<![\w.,/:#-])(?:(?:\+|00)\d{1,3}[ .-]?)?(?:\(\d{1,5}\)[ .-]?)?"
    r"\d{1,10}(?:[ .-]\d{2,8}){0,5}(?:(?:x| ?ext\.? ?)\d{1,5})?(?![\w/:]|[.,-]\d)"
)
_SAYS_PHONE = re.compile(
    r"\b(?:phone|call|tele?|telephone|mobile|cell|number|fax|whatsapp|sms|text|reach|contact|ring|"
    r"dial|messages?|answering|telefon|handy|nummer|móvil|teléfono|téléphone|portable)\b",
    re.IGNORECASE,
)
_SAYS_OTHER = re.compile(
    r"(?:\b(?:order|invoice|ticket|tracking|reference|ref|case|account|customer|item|part|serial|"
    r"booking|article|sku|id|licen[cs]e|passport|policy|membership|"
    r"code|pin|version|bestellung|commande|pedido)(?: ?(?:number|no\.?|nr\.?|id|code))?\b|"
    r"#|[$€£¥])[^\w]{0,3}(?:is |was )?$",
    re.IGNORECASE,
)


_IBAN_LENGTHS = range(15, 35)


def _digits(value: str) -> str:
    return "".join(filter(str.isdigit, value))


def _luhn(value: str) -> bool:
    digits = [int(digit) for digit in _digits(value)]
    doubled = [sum(divmod(digit * 2, 10)) for digit in digits[-2::-2]]
    return len(set(digits)) > 1 and (sum(digits[-1::-2]) + sum(doubled)) % 10 == 0


def _mod97(value: str) -> bool:
    compact = value.replace(" ", "").upper()
    moved = compact[4:] + compact[:4]
    return (
        len(compact) in _IBAN_LENGTHS
        and int("".join(str(int(char, 36)) for char in moved)) % 97 == 1
    )


def _address(value: str) -> bool:
    try:
        address = ip_address(value)
    except ValueError:
        return False
    return not address.is_unspecified


def _always(value: str) -> bool:
    return bool(value)


_PATTERNS: tuple[tuple[Kind, re.Pattern[str], Callable[[str], bool]], ...] = (
    ("SECRET", re.compile("|".join(_SECRETS)), _always),
    ("URL_CREDENTIALS", re.compile(_URL_CREDENTIALS, re.IGNORECASE), _always),
    ("EMAIL", re.compile(_EMAIL), _always),
    ("IBAN", re.compile(_IBAN), _mod97),
    ("CREDIT_CARD", re.compile(_CARD), _luhn),
    ("US_SSN", re.compile(_SSN), _always),
    ("IP", re.compile(_IP), _address),
)
_PHONE_SHAPE = re.compile(_PHONE, re.IGNORECASE)
_DATE = re.compile(r"(?:19|20)\d{2}([ .-])\d{1,2}\1\d{1,2}|\d{1,2}([ .-])\d{1,2}\2(?:19|20)\d{2}")
_NORTH_AMERICAN = re.compile(
    r"(?:\+?1[ .-]?)?"
    r"(?:\([2-9]\d{2}\) ?|[2-9]\d{2}[ .-])[2-9]\d{2}[ .-]\d{4}"
)
_PHONE_DIGITS = range(7, 16)
_FULL_NUMBER = 8
_THOUSANDS = re.compile(r"\d{1,3}(?:[ .]\d{3})+")


def _is_phone(value: str, before: str) -> bool:
    main = re.split(r"x| ?ext", value, flags=re.IGNORECASE)[0]
    digits = len(_digits(main))
    if digits not in _PHONE_DIGITS or _DATE.match(value) or _SAYS_OTHER.search(before):
        return False
    if value.startswith(("+", "00")) or _NORTH_AMERICAN.match(value) or _SAYS_PHONE.search(before):
        return True
    # Without a word that says so, only a national number written out in groups.
    groups = len(re.split(r"[ .)-]+", value.strip("(")))
    needed = 2 if value.startswith(("0", "(")) else 3
    return groups >= needed and digits >= _FULL_NUMBER and not _THOUSANDS.fullmatch(value)


def _merged(taken: Sequence[Span], found: Iterable[Span]) -> list[Span]:
    """Add to sorted spans those that overlap none of them, and keep the order."""
    starts = [span.start for span in taken]

    def free(span: Span) -> bool:
        before = bisect_left(starts, span.end)
        return before == 0 or taken[before - 1].end <= span.start

    return sorted((*taken, *filter(free, found)), key=lambda span: span.start)


class PatternDetector:
    """Patterns with checksums; microseconds a text, no model."""

    def find(self, text: str) -> tuple[Span, ...]:
        """Return what was found in order of position, without overlaps."""
        taken: list[Span] = []
        # Kinds come in order of precedence: one found before keeps its place.
        for found in (*(self._checked(text, *each) for each in _PATTERNS), self._phones(text)):
            taken = _merged(taken, found)
        return tuple(taken)

    def _checked(
        self, text: str, kind: Kind, pattern: re.Pattern[str], valid: Callable[[str], bool]
    ) -> Iterator[Span]:
        for match in pattern.finditer(text):
            if valid(match.group()):
                yield Span(start=match.start(), end=match.end(), kind=kind)

    def _phones(self, text: str) -> Iterator[Span]:
        for match in _PHONE_SHAPE.finditer(text):
            if _is_phone(match.group(), text[max(0, match.start() - 40) : match.start()]):
                yield Span(start=match.start(), end=match.end(), kind="PHONE")


def mask(text: str, spans: Sequence[Span]) -> tuple[str, dict[str, int]]:
    """Replace each span by `<KIND_n>`; the same value has the same number within the text.

    Returns the masked text and how many spans of each kind there were.
    """
    numbers: dict[tuple[str, str], int] = {}
    kinds: Counter[str] = Counter()
    values: Counter[str] = Counter()
    pieces: list[str] = []
    position = 0
    for span in sorted(spans, key=lambda span: span.start):
        key = (span.kind, text[span.start : span.end].casefold())
        if key not in numbers:
            values[span.kind] += 1
            numbers[key] = values[span.kind]
        kinds[span.kind] += 1
        pieces += [text[position : span.start], f"<{span.kind}_{numbers[key]}>"]
        position = span.end
    return "".join((*pieces, text[position:])), dict(kinds)
