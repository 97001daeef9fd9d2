"""Sentences changed by rule: the same thing in other words, or something that is no longer so.

Pages of a support desk say little that public entailment sets speak of, so pairs are made from
passages: a sentence and what a careless answer would make of it. No rule knows grammar; where none
applies, nothing comes back.
"""

from __future__ import annotations

import random
import re
from collections.abc import Sequence

_ADDED = (
    (r"\b(can)\b(?! not)", r"\1not"),
    (r"\b(may|should|could|would|will|shall)\b(?! not| be\b)", r"\1 not"),
    (r"\b(will|may|can|should|would|could) be\b", r"\1 not be"),
    (r"\bmust\b(?! not)", "do not have to"),
    (r"\b(is|are|was|were)\b(?! not\b|n't)", r"\1 not"),
    (r"\b(has|have|had) been\b", r"\1 not been"),
    (r"\balways\b", "never"),
    (r"\b(you|we|they|customers|people|users|I) (need|want|have|receive|get|pay|keep|use)\b",
     r"\1 do not \2"),
    (r"\b(it|he|she|this|that) (needs|wants|keeps|uses|makes)\b", r"\1 never \2"),
)  # fmt: skip
_REMOVED = (
    (r"\bcannot\b|\bcan ?not\b|\bcan['’]t\b", "can"),
    (r"\bwon['’]t\b|\bwill not\b", "will"),
    (r"\b(is|are|was|were|has|have|had|does|do|did|would|should|could|may|must)n['’]t\b", r"\1"),
    (r"\b(is|are|was|were|has|have|had|would|should|could|may|must) not\b", r"\1"),
    (r"\b(do|does|did) not\b ", ""),
    (r"\bnever\b", "always"),
    (r"\bno longer\b", "still"),
    (r"\bwithout\b", "with"),
    (r"\bunable\b", "able"),
)
_TURNED = (
    ("at least", "at most"), ("more than", "less than"), ("up to", "at least"),
    ("within", "only after"), ("before", "after"), ("above", "below"), ("include", "exclude"),
    ("includes", "excludes"), ("included", "excluded"), ("open", "closed"), ("opens", "closes"),
    ("first", "last"), ("free", "charged"), ("allowed", "forbidden"), ("accept", "refuse"),
    ("increase", "decrease"), ("increases", "decreases"), ("higher", "lower"), ("all", "none of"),
    ("minimum", "maximum"), ("required", "optional"), ("earlier", "later"), ("online", "in person"),
    ("enable", "disable"), ("daily", "monthly"), ("approved", "declined"), ("active", "inactive"),
    ("unless", "only if"), ("both", "neither"), ("early", "late"), ("personal", "business"),
    ("domestic", "international"), ("monthly", "yearly"), ("weekdays", "weekends"),
    ("same", "different"), ("increased", "reduced"), ("must", "need not"), ("large", "small"),
    ("long", "short"), ("public", "private"), ("new", "used"), ("north", "south"),
    ("east", "west"), ("won", "lost"), ("rich", "poor"), ("men", "women"), ("father", "mother"),
)  # fmt: skip
_REWORDED = (
    ("can", "are able to"), ("must", "have to"), ("need to", "must"), ("receive", "get"),
    ("purchase", "buy"), ("contact", "get in touch with"), ("free of charge", "at no cost"),
    ("immediately", "right away"), ("request", "ask for"), ("provide", "give"),
    ("additional", "extra"), ("approximately", "about"), ("prior to", "before"),
    ("do not", "don't"), ("cannot", "can't"), ("will not", "won't"), ("is not", "isn't"),
    ("required", "needed"), ("however, ", ""), ("in addition, ", ""), ("also ", ""),
    ("a number of", "several"), ("in order to", "to"), ("such as", "for example"),
    ("begin", "start"), ("began", "started"), ("assist", "help"), ("obtain", "get"),
    ("complete", "finish"), ("information", "details"), ("frequently", "often"),
    ("large", "big"), ("children", "kids"), ("as well as", "and"),
    ("no cost", "nothing to pay"), ("fee", "charge"), ("submit", "send in"), ("attempt", "try"),
    ("located in", "in"), ("known as", "called"), ("due to", "because of"), ("ensure", "make sure"),
    ("within", "in no more than"), ("customers", "people who buy"),
    ("should", "ought to"), ("many", "a lot of"), ("usually", "normally"), ("show", "display"),
    ("choose", "select"), ("verify", "check"), ("modify", "change"), ("terminate", "end"),
    ("per year", "a year"), ("per month", "a month"), ("annual", "yearly"), ("7 days", "a week"),
    ("24 hours", "one day"), ("14 days", "two weeks"), ("12 months", "a year"),
    ("60 minutes", "an hour"), ("30 days", "thirty days"), ("two", "2"), ("three", "3"),
    ("four", "4"), ("five", "5"), ("ten", "10"), ("maximum of", "at most"), ("minimum of",
    "at least"), ("percent", "%"), ("employees", "staff"), ("film", "movie"), ("located", "found"),
)  # fmt: skip
_CONDITION = re.compile(
    r"(?:,\s*|\s+)(?:if|unless|provided(?: that)?|as long as|only when|except|but only)\b[^.;]*",
    re.IGNORECASE,
)
_LEADING = re.compile(r"^(?:If|Unless|Provided that|When|As long as)\b[^,]{8,90},\s*(\w)")
_ONLY = re.compile(r"\bonly\s+", re.IGNORECASE)
_NUMBER = re.compile(r"(?<![\w.,/-])(\d{1,3}(?:,\d{3})+|\d+(?:\.\d+)?)(?![\w/-]|[.,]\d)")
_WORDS = ("two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "twelve")
_NUMBER_WORD = re.compile(rf"\b({'|'.join(_WORDS)})\b", re.IGNORECASE)
NAME = re.compile(r"(?<=[a-z,] )[A-Z][a-z]{2,}(?: [A-Z][a-z]{2,}){0,2}\b")


def negated(text: str, chance: random.Random) -> str | None:
    """Return the text with one negation more, or one less."""
    fewer = _first(text, _REMOVED, chance)
    return fewer if fewer is not None else _first(text, _ADDED, chance)


def turned(text: str, chance: random.Random) -> str | None:
    """Return the text with a word put for its opposite, or a bound for the other one."""
    both = [*_TURNED, *((right, left) for left, right in _TURNED)]
    return _first(text, [(rf"\b{re.escape(one)}\b", other) for one, other in both], chance)


def reworded(text: str, chance: random.Random) -> str:
    """Return the text with up to three expressions put in other words of the same meaning."""
    pairs = list(_REWORDED)
    chance.shuffle(pairs)
    changed = 0
    for one, other in pairs:
        found = re.sub(rf"\b{re.escape(one)}(?!\w)", other, text, count=1)
        if found != text:
            text, changed = found, changed + 1
        if changed == 3:
            break
    return text[:1].upper() + text[1:]


def renumbered(text: str, chance: random.Random) -> str | None:
    """Return the text with one figure put for another of the same size and form."""
    found = [*_NUMBER.finditer(text), *_NUMBER_WORD.finditer(text)]
    if not found:
        return None
    match = chance.choice(found)
    other = _another(match.group(1), chance)
    return text[: match.start()] + other + text[match.end() :]


def renamed(text: str, names: Sequence[str], chance: random.Random) -> str | None:
    """Return the text with one name put for another out of `names`."""
    found = list(NAME.finditer(text))
    if not found or not names:
        return None
    match = chance.choice(found)
    others = [name for name in chance.sample(names, min(20, len(names))) if name not in text]
    if not others:
        return None
    return text[: match.start()] + others[0] + text[match.end() :]


def unconditional(text: str) -> str | None:
    """Return the text without its condition, exception or `only`."""
    for pattern in (_CONDITION, _ONLY):
        found = pattern.sub("", text, count=1)
        if found != text and len(found) > len(text) / 3:
            return found if found.rstrip().endswith(".") else found.rstrip() + "."
    match = _LEADING.match(text)
    return match.group(1).upper() + text[match.end() :] if match else None


def _first(text: str, rules: Sequence[tuple[str, str]], chance: random.Random) -> str | None:
    rules = list(rules)
    chance.shuffle(rules)
    for pattern, instead in rules:
        found = re.sub(pattern, instead, text, count=1)
        if found != text:
            return found
    return None


def _another(figure: str, chance: random.Random) -> str:
    if not figure[0].isdigit():
        return chance.choice([word for word in _WORDS if word != figure.lower()])
    value = float(figure.replace(",", ""))
    if figure.isdigit() and len(figure) == 4 and 1500 < value < 2100:
        return str(int(value) + chance.choice((-30, -12, -7, -3, -2, -1, 1, 2, 3, 8, 15)))
    made = value
    while made == value or made < 0:
        made = chance.choice((value * 2, value * 3, value / 2, value + 1, value - 1, value + 5,
                              value * 10, value + 10, value - 5))  # fmt: skip
        made = made if "." in figure else round(made)
    if "," in figure:
        return f"{int(made):,}"
    return f"{made:.{len(figure.split('.')[1])}f}" if "." in figure else str(int(made))
