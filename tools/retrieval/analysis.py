"""Text to keyword terms, the same for every backend: fold, split, drop stop words, stem.

Passages and queries must go through this one function, or the keyword leg finds nothing.
"""

from __future__ import annotations

import re
import threading
import unicodedata
from collections import Counter
from collections.abc import Callable, Sequence
from functools import lru_cache

import snowballstemmer

from antiphon.tools.retrieval.stopwords import STOP_WORDS

# Indic and Thai vowel signs are marks, not letters, yet stand inside words.
WORD = re.compile(
    r"(?:[^\W_]|[\u0300-\u036f\u064b-\u065f\u0900-\u0963\u0966-\u0dff\u0e00-\u0eff])+"
)
MARK = re.compile(r"[\u0300-\u036f\u064b-\u065f\u0900-\u0963\u0966-\u0dff\u0e00-\u0eff]")
PLAIN_WORD = re.compile(r"[^\W_]+")
ASCII_WORD = re.compile("[a-z0-9]+")
"""The same, several times as quick, for text without such marks and for text of ASCII alone."""
UNSPACED = re.compile(r"[\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff]+")
LANGUAGES = {
    "ar": "arabic",
    "ca": "catalan",
    "da": "danish",
    "de": "german",
    "el": "greek",
    "en": "english",
    "es": "spanish",
    "et": "estonian",
    "eu": "basque",
    "fi": "finnish",
    "fr": "french",
    "ga": "irish",
    "hi": "hindi",
    "hu": "hungarian",
    "hy": "armenian",
    "id": "indonesian",
    "it": "italian",
    "lt": "lithuanian",
    "ne": "nepali",
    "nl": "dutch",
    "no": "norwegian",
    "nb": "norwegian",
    "pt": "portuguese",
    "ro": "romanian",
    "ru": "russian",
    "sr": "serbian",
    "sv": "swedish",
    "ta": "tamil",
    "tr": "turkish",
    "yi": "yiddish",
}

MAX_QUERY_TERMS = 400
BEGINNING = 5

# Snowball's pure Python stemmers keep their state in the object.
_stemming = threading.Lock()


def terms(text: str, language: str = "en") -> list[str]:
    """Return the index terms of a text, in order, repeats kept."""
    tag = primary(language)
    stop = STOP_WORDS.get(tag, frozenset())
    stems = (_stem(word, tag) for word in words(text) if word not in stop)
    return [term for term in stems if term]


def query_terms(query: str, languages: Sequence[str]) -> list[str]:
    """Analyse a query as each of the passages' languages would be.

    A term counts as often as the query says it: in a long message that tells what it is about.
    """
    counts: Counter[str] = Counter()
    for language in languages:
        counts |= Counter(terms(query, language))
    return list(counts.elements())[:MAX_QUERY_TERMS]


def beginnings(text: str, language: str = "en") -> list[str]:
    """Return the first letters of the words that say something: quick stems, for many texts."""
    stop = STOP_WORDS.get(primary(language), frozenset())
    return [word[:BEGINNING] for word in words(text) if word not in stop]


def words(text: str) -> list[str]:
    """Split into lower-case words; scripts without spaces into overlapping pairs."""
    if text.isascii():
        return ASCII_WORD.findall(text.lower())
    folded = unicodedata.normalize("NFKC", text).casefold()
    found = (WORD if MARK.search(folded) else PLAIN_WORD).findall(folded)
    if not UNSPACED.search(folded):
        return found
    return [piece for word in found for piece in _pieces(word)]


def primary(language: str) -> str:
    """Return the primary subtag of a BCP 47 tag, English when empty."""
    return re.split("[-_]", language.casefold(), maxsplit=1)[0] or "en"


def _pieces(word: str) -> list[str]:
    if not UNSPACED.search(word):
        return [word]
    pieces: list[str] = []
    for run in re.findall(f"{UNSPACED.pattern}|[^\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff]+", word):
        if UNSPACED.match(run) and len(run) > 1:
            pieces.extend(run[i : i + 2] for i in range(len(run) - 1))
        else:
            pieces.append(run)
    return pieces


@lru_cache(maxsize=65536)
def _stem(word: str, tag: str) -> str:
    stemmer = _stemmer(tag)
    if stemmer is not None:
        with _stemming:
            word = stemmer(word)
    # Folded after stemming: stemmers read accents, customers often leave them out.
    return _unaccented(word)


@lru_cache(maxsize=32)
def _stemmer(tag: str) -> Callable[[str], str] | None:
    name = LANGUAGES.get(tag)
    if name is None or name not in snowballstemmer.algorithms():
        return None
    stem: Callable[[str], str] = snowballstemmer.stemmer(name).stemWord
    return stem


def _unaccented(word: str) -> str:
    if word.isascii():
        return word
    apart = unicodedata.normalize("NFD", word)
    kept = "".join(c for c in apart if not "\u0300" <= c <= "\u036f")
    return unicodedata.normalize("NFC", kept)
