"""Text to keyword terms, the same for every backend: fold, split, drop stop words, stem.

Passages and queries must go through this one function, or the keyword leg finds nothing.
"""

from __future__ import annotations

import math
import re
import threading
import unicodedata
from collections import Counter
from collections.abc import Callable, Sequence
from functools import lru_cache
from itertools import pairwise

import snowballstemmer

from antiphon.tools.retrieval.stopwords import STOP_WORDS

# Indic and Thai vowel signs are marks, not letters, yet stand inside words.
MARKS = (
    "\u0300-\u036f\u064b-\u065f\u0670\u0900-\u0963\u0966-\u0dff"
    "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff"
)
WORD = re.compile(rf"(?:[^\W_]|[{MARKS}])+")
MARK = re.compile(f"[{MARKS}]")
PLAIN_WORD = re.compile(r"[^\W_]+")
ASCII_WORD = re.compile("[a-z0-9]+")
"""The same, several times as quick, for text without such marks and for text of ASCII alone."""
IN_PAIRS = "\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7af"
"""Characters of which two make a term: Chinese, Japanese, and Korean, whose words have endings."""
IN_CLUSTERS = "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff"
"""Thai, Lao, Burmese and Khmer: alphabets written without spaces."""
UNSPACED = re.compile(f"[{IN_PAIRS}]+|[{IN_CLUSTERS}]+")
RUN = re.compile(f"[{IN_PAIRS}]+|[{IN_CLUSTERS}]+|[^{IN_PAIRS}{IN_CLUSTERS}]+")
CLUSTER = re.compile(
    "[\u0e40-\u0e44\u0ec0-\u0ec4]?."
    "[\u0e30-\u0e3a\u0e45\u0e47-\u0e4e\u0eb0-\u0ebc\u0ec8-\u0ecd"
    "\u102b-\u103e\u17b6-\u17d3]*"
)
"""A consonant with the vowels and tones around it: what is never divided."""
ZEROS = (0x660, 0x6F0, 0x966, 0x9E6, 0xE50)
SILENT = "".join(map(chr, [0xAD, 0x640, *range(0x64B, 0x653), 0x670, 0x200D, 0x2060, 0xFEFF]))
"""What only joins, lengthens or hyphenates, and Arabic vowels, which are seldom written."""
FOLDED = str.maketrans(
    {
        **dict.fromkeys(SILENT),
        # One letter on Persian, Urdu and Arabic keyboards.
        "ی": "ي", "ى": "ي", "ک": "ك", "ہ": "ه", "ھ": "ه",
        **{chr(zero + n): str(n) for zero in ZEROS for n in range(10)},
    }
)  # fmt: skip
UNSTROKED = str.maketrans("ıłøđ", "ilod")
"""What loses its mark without being decomposable; without dots since `I` folds to `i`."""
ARTICLE = re.compile("^(?:[وف]?[بك]?ال|[وف]?لل)(?=..)")
"""How an Arabic noun begins, with the words that are written together with it."""
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
CHARACTERS_A_WORD = 1.6
"""Chinese and Japanese characters that say what a word of English says."""
LETTERS_A_WORD = 5.0
"""The same for Thai and its neighbours, whose vowels and tones count as letters."""
HANGUL = re.compile("[\uac00-\ud7af]")

# Snowball's pure Python stemmers keep their state in the object.
_stemming = threading.Lock()


def terms(text: str, language: str = "en") -> list[str]:
    """Return the index terms of a text, in order, repeats kept."""
    tag = primary(language)
    stop = stop_words(tag)
    stems = [stem for word in words(text) if word not in stop for stem in _stems(word, tag)]
    return [term for term in stems if term]


def query_terms(query: str, languages: Sequence[str]) -> list[str]:
    """Analyse a query as each of the passages' languages would be.

    What says nothing in the query's own language is left out for all: passages of another one
    may hold such words seldom, and a rare word weighs most. A term counts as often as the query
    says it: in a long message that tells what it is about.
    """
    tags = tuple(dict.fromkeys(map(primary, languages)))
    said = words(query)
    idle = stop_words(_asked_in(said, tags)) if len(tags) > 1 else frozenset()
    telling = [word for word in said if word not in idle]
    counts: Counter[str] = Counter()
    for tag in tags:
        stop = stop_words(tag)
        counts |= Counter(
            stem for word in telling if word not in stop for stem in _stems(word, tag) if stem
        )
    return list(counts.elements())[:MAX_QUERY_TERMS]


def _asked_in(said: Sequence[str], tags: Sequence[str]) -> str:
    """Return the language that more of a query's words are function words of than of any other."""
    heard = sorted((sum(word in stop_words(tag) for word in said), tag) for tag in tags)
    return heard[-1][1] if heard[-1][0] > heard[-2][0] else ""


def beginnings(text: str, language: str = "en") -> list[str]:
    """Return the first letters of the words that say something: quick stems, for many texts."""
    tag = primary(language)
    stop = stop_words(tag)
    found = (word for word in words(text) if word not in stop)
    if tag == "ar":
        found = (ARTICLE.sub("", word) for word in found)
    return [word[:BEGINNING] for word in found]


def words(text: str) -> list[str]:
    """Split into lower-case words; scripts without spaces into overlapping pairs."""
    if text.isascii():
        return ASCII_WORD.findall(text.lower())
    folded = unicodedata.normalize("NFKC", text).casefold().translate(FOLDED)
    found = (WORD if MARK.search(folded) else PLAIN_WORD).findall(folded)
    if not UNSPACED.search(folded):
        return found
    return [piece for word in found for piece in _pieces(word)]


def word_count(text: str) -> int:
    """Return how many words a text is long, what is written without spaces by its usual length."""
    spaced = len(UNSPACED.sub(" ", text).split())
    return spaced + math.ceil(sum(map(_words_in, UNSPACED.findall(text))))


def _words_in(run: str) -> float:
    if HANGUL.search(run):
        return 1.0
    return len(run) / (CHARACTERS_A_WORD if run[0] >= "\u3040" else LETTERS_A_WORD)


@lru_cache(maxsize=64)
def stop_words(language: str) -> frozenset[str]:
    """Return the words of a language that say nothing by themselves, folded as words are."""
    return frozenset(word for known in STOP_WORDS.get(language, ()) for word in words(known))


def primary(language: str) -> str:
    """Return the primary subtag of a BCP 47 tag, English when empty."""
    return re.split("[-_]", language.casefold(), maxsplit=1)[0] or "en"


def _pieces(word: str) -> list[str]:
    if not UNSPACED.search(word):
        return [word]
    pieces: list[str] = []
    for run in RUN.findall(word):
        units = list(run) if run[0] >= "\u3040" else CLUSTER.findall(run)
        if UNSPACED.match(run) and len(units) > 1:
            pieces.extend(map("".join, pairwise(units)))
        else:
            pieces.append(run)
    return pieces


def _stems(word: str, tag: str) -> tuple[str, ...]:
    """Return what a word is indexed by."""
    stem = _stem(word, tag)
    # Vietnamese tones tell words apart, yet are often not typed: both are kept.
    return (stem,) if tag != "vi" or stem == word else (stem, word)


@lru_cache(maxsize=65536)
def _stem(word: str, tag: str) -> str:
    stemmer = _stemmer(tag)
    if tag == "ar":
        word = ARTICLE.sub("", word)
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
    return unicodedata.normalize("NFC", kept).translate(UNSTROKED)
