"""Whether two texts of nearly the same words say the opposite: negations and opposites.

Such a sign is worth something only where claim and evidence speak of the same: `opposed` asks for
the part of the evidence's sentence that shares the claim's words, and judges that part alone. On
policy prose the parity of negations tells four of five negated claims; in long and free texts it is
too often wrong to be a verdict, which is why so many words must be shared.
"""

from __future__ import annotations

import re
from collections import Counter

from antiphon.tools.retrieval.analysis import terms

SAME = 2 / 3
"""Share of the claim's content words that a part of a sentence must hold to be about the same."""
WHOLE = 0.8
"""Share of a sentence's words from which a claim repeats it whole, and not one part of it."""
_CUES = frozenset(
    re.findall(
        r"\S+",
        """
        not no never none nobody nothing nowhere neither nor without cannot unable impossible
        nicht kein keine keinen keinem keiner keines nie niemals ohne weder niemand nichts
        pas jamais aucun aucune sans nunca ningún ninguna sin non nessun nessuna senza niet geen
        nooit zonder não nenhum nenhuma sem
        """,
    )
)
_UNDONE = re.compile(r"\b\w+n['’]t\b", re.IGNORECASE)
_JOINED = frozenset(("and", "or", "nor", "und", "oder", "noch", "et", "ou", "y", "o", "e"))
LISTED = 5
"""Words within which a second negation of a list follows."""
_WORDS = re.compile(r"[^\W\d_]+(?:['’][^\W\d_]+)?")
_PART = re.compile(
    r"[;:,()–—]|\b(?:but|however|although|while|whereas|aber|jedoch|sondern|and|und)\b"
)
_ANSWER = re.compile(r"\s*(?:yes|no|ja|nein|oui|non|sí|si)\s*[,.!:;–—-]+\s*", re.IGNORECASE)
_ONLY = re.compile(r"\b(?:not only|nicht nur|no later|nothing but|not just)\b", re.IGNORECASE)
_NEGATED = re.compile(
    r"\b(?:cannot|can ?not|\w+n['’]t|not|never|nicht|kein\w*|nie|no)\b"
    r"\s+(?P<head>\S+(?:\s+\S+){0,2})",
    re.IGNORECASE,
)
"""A negation and what comes next: its first content word is what is negated."""
OPPOSITES: tuple[tuple[str, str], ...] = (
    ("open", "closed"), ("before", "after"), ("more", "less"), ("more", "fewer"),
    ("include", "exclude"), ("include", "without"), ("allow", "forbid"), ("allow", "prohibit"),
    ("accept", "refuse"), ("accept", "reject"), ("possible", "impossible"),
    ("increase", "decrease"), ("raise", "lower"), ("cheap", "expensive"), ("first", "last"),
    ("always", "never"), ("early", "late"), ("earlier", "later"), ("start", "end"),
    ("begin", "end"), ("online", "offline"), ("free", "charged"), ("with", "without"),
    ("able", "unable"), ("valid", "invalid"), ("available", "unavailable"), ("above", "below"),
    ("over", "under"), ("inside", "outside"), ("same", "different"), ("new", "used"),
    ("full", "empty"), ("high", "low"), ("long", "short"), ("hot", "cold"), ("wet", "dry"),
    ("maximum", "minimum"), ("buy", "sell"), ("win", "lose"), ("accept", "decline"),
    ("required", "optional"), ("must", "optional"), ("domestic", "international"),
    ("public", "private"), ("safe", "dangerous"), ("up", "down"), ("left", "right"),
    ("sender", "recipient"), ("seller", "buyer"), ("indoor", "outdoor"), ("indoors", "outdoors"),
    ("least", "most"), ("refundable", "nonrefundable"), ("opened", "unopened"),
    ("used", "unused"), ("enable", "disable"), ("on", "off"), ("both", "neither"),
)  # fmt: skip


def _stemmed(word: str) -> str:
    found = terms(word)
    return found[0] if found else word


_PAIRS = frozenset(
    frozenset((_a, _b))
    for _one, _other in OPPOSITES
    for _a in {_one, _stemmed(_one)}
    for _b in {_other, _stemmed(_other)}
)


def opposed(claim: str, sentence: str, *, language: str = "en") -> str:
    """Return why the sentence says the opposite of the claim, or nothing."""
    said = _ANSWER.sub("", claim, count=1)
    wanted, there = set(terms(said, language)), set(terms(sentence, language))
    shared = len(wanted & there)
    if shared >= WHOLE * len(there) and shared >= SAME * len(wanted):
        part: str | None = sentence
    else:
        part = _about_the_same(wanted, sentence, language)
    if part is None:
        return ""
    if _negations(said) % 2 != _negations(part) % 2:
        return "one of the two is negated"
    return _opposite_words(said, part)


def turned(claim: str, sentence: str, *, language: str = "en") -> bool:
    """Say whether the very word that one of the texts negates stands plain in the other.

    "cannot return" against "can return": surer than a count of negations.
    """
    mine, theirs = _heads(claim, language), _heads(sentence, language)
    said, there = set(terms(claim, language)), set(terms(sentence, language))
    return bool((mine - theirs) & there or (theirs - mine) & said)


def _heads(text: str, language: str) -> frozenset[str]:
    """Return the stems of the words that negations are followed by."""
    plain = _ONLY.sub(" ", text)
    found: set[str] = set()
    for match in _NEGATED.finditer(plain):
        found.update(terms(match.group("head"), language)[:1])
    return frozenset(found)


def _about_the_same(wanted: set[str], sentence: str, language: str) -> str | None:
    """Return the shortest run of the sentence's parts that holds most of the claim's words."""
    if not wanted:
        return None
    parts = [part for part in _PART.split(sentence) if part.strip()]
    held = [set(terms(part, language)) & wanted for part in parts]
    enough = SAME * len(wanted)
    best: tuple[int, int] | None = None
    first, within = 0, Counter[str]()
    for last, words in enumerate(held):
        within.update(words)
        while len(within) >= enough:
            if best is None or last - first < best[1] - best[0]:
                best = (first, last)
            within -= Counter(held[first])
            first += 1
    return None if best is None else " ".join(parts[best[0] : best[1] + 1])


def _negations(text: str) -> int:
    plain = _ONLY.sub(" ", text)
    words = [word.lower().replace("’", "'") for word in _WORDS.findall(plain)]
    found, last = 0, -LISTED
    for at, word in enumerate(words):
        if word in _CUES or _UNDONE.fullmatch(word):
            # "no interest and no fee" denies once.
            joined = not _JOINED.isdisjoint(words[last + 1 : at]) and at - last <= LISTED
            found += not joined
            last = at
    return found


def _opposite_words(claim: str, part: str) -> str:
    """Return the pair of opposites of which each text has one, and neither text both."""
    one, other = _forms(claim), _forms(part)
    for mine in one - other:
        for theirs in other - one:
            if frozenset((mine, theirs)) in _PAIRS:
                return f'"{mine}" against "{theirs}"'
    return ""


def _forms(text: str) -> frozenset[str]:
    words = {word.lower() for word in _WORDS.findall(text)}
    return frozenset(words | {_stemmed(word) for word in words})
