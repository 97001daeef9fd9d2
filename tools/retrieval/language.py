"""Which language a document is in: by its script, and within a script by its commonest words.

No model: function words make up a third of any prose, and what languages share counts little. Text
with too few of them, such as code, names or a price list, counts as undecided.
"""

from __future__ import annotations

import math
import re
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from itertools import chain

from antiphon.tools.retrieval.stopwords import STOP_WORDS

SAMPLE = 20_000
"""Characters that are looked at."""
LEAST_WORDS = 3
"""Different words that speak for a language, without which nothing is decided."""
LEAST_SHARE = 0.08
"""Share of a text's words that have to speak for a language."""
LEAST_LETTERS = 0.3
"""Share of the letters that a script must have: names in another script do not count."""
DENSE = 2.5
"""Letters of an alphabet that a Chinese or Japanese character is worth."""

SCRIPTS = {
    "ja": "\u3040-\u30ff",
    "ko": "\u1100-\u11ff\uac00-\ud7af",
    "zh": "\u3400-\u4dbf\u4e00-\u9fff",
    "el": "\u0370-\u03ff\u1f00-\u1fff",
    "hy": "\u0530-\u058f",
    "he": "\u0590-\u05ff",
    "ar": "\u0600-\u06ff\u0750-\u077f",
    "hi": "\u0900-\u097f",
    "bn": "\u0980-\u09ff",
    "pa": "\u0a00-\u0a7f",
    "gu": "\u0a80-\u0aff",
    "or": "\u0b00-\u0b7f",
    "ta": "\u0b80-\u0bff",
    "te": "\u0c00-\u0c7f",
    "kn": "\u0c80-\u0cff",
    "ml": "\u0d00-\u0d7f",
    "si": "\u0d80-\u0dff",
    "th": "\u0e00-\u0e7f",
    "lo": "\u0e80-\u0eff",
    "my": "\u1000-\u109f",
    "ka": "\u10a0-\u10ff",
    "am": "\u1200-\u137f",
    "km": "\u1780-\u17ff",
    "ru": "\u0400-\u04ff",
}
"""Scripts and the language each mostly writes; kana come before the characters they stand among."""
SCRIPT = {tag: re.compile(f"[{letters}]") for tag, letters in SCRIPTS.items()}
LATIN = re.compile("[\u0000-\u024f\u1e00-\u1eff\u2000-\u206f]+")
KANA = 0.1
"""Share of kana among them from which Chinese characters are Japanese."""
SHARED = {
    "ru": ("ru", "uk", "be", "bg", "mk", "sr"),
    "ar": ("ar", "fa", "ur"),
    "hi": ("hi", "mr"),
}
"""Scripts that write several languages."""

LETTERS = {
    "ar": "ةيكأإىؤئء", "be": "абвгдеёжзійклмнопрстуўфхцчшыьэюя",
    "bg": "абвгдежзийклмнопрстуфхцчшщъьюя", "ca": "àçèéíïòóúü", "cs": "áčďéěíňóřšťúůýž",
    "da": "æøå", "de": "äöüß", "es": "áéíóúñü", "et": "äöõüšž", "fa": "پچژگیکءئؤأ", "fi": "äö",
    "fr": "éèêëàâçîïôûùœ", "ga": "áéíóú", "gl": "áéíóúñ", "hr": "čćđšž", "hu": "áéíóöőúüű",
    "is": "áðéíóúýþæö", "it": "àèéìòù", "lt": "ąčęėįšųūž", "lv": "āčēģīķļņšūž",
    "mk": "абвгдѓежзѕијклљмнњопрстќуфхцчџш", "mr": "ळ", "nl": "éëï", "no": "æøå",
    "pl": "ąćęłńóśźż", "pt": "áâãàçéêíóôõú", "ro": "ăâîșțşţ",
    "ru": "абвгдеёжзийклмнопрстуфхцчшщъыьэюя", "sk": "áäčďéíĺľňóôŕšťúýž", "sl": "čšž", "sq": "ëç",
    "sr": "абвгдђежзијклљмнњопрстћуфхцчџш", "sv": "åäö", "tr": "çğıöşü",
    "uk": "абвгґдеєжзиіїйклмнопрстуфхцчшщьюя", "ur": "ٹڈڑںےہھگچپی",
    "vi": "áàảãạăắằẳẵặâấầẩẫậđéèẻẽẹêếềểễệíìỉĩịóòỏõọôốồổỗộơớờởỡợúùủũụưứừửữựýỳỷỹỵ",
}  # fmt: skip
"""Letters, beyond those all of the script have, that a language writes."""
SELDOM = frozenset(["af", "be", "bg", "ca", "eu", "ga", "gl", "is", "mk", "ms", "sq", "tl"])
"""Languages with a far greater neighbour much like them, for which speaks what both have."""
HANDICAP = 0.3
"""What they start behind: this share of what a word of one language alone weighs."""
FOREIGN = 1.0
"""What a word with a letter that the language lacks counts against it."""
WORD = re.compile(r"(?:[^\W\d_]|[\u0300-\u036f\u0900-\u0963])+")


def detect(text: str, *, otherwise: str = "en") -> str:
    """Return the BCP 47 primary tag of a text's language; `otherwise` where it is undecided."""
    sample = unicodedata.normalize("NFC", text[:SAMPLE])
    letters = sum(map(str.isalpha, sample))
    if not letters:
        return otherwise
    script = _script(sample, letters)
    if script and script not in SHARED:
        return script
    words = Counter(WORD.findall(sample.casefold()))
    heard: dict[str, _Heard] = defaultdict(_Heard)
    signs = _signs(script)
    for word, times in words.items():
        for tag, weight in signs.of(word).items():
            heard[tag].add(weight, times)
    for tag in SELDOM & heard.keys():
        heard[tag].weight -= HANDICAP * signs.most
    best = max(sorted(heard), key=lambda tag: (heard[tag].weight, tag == otherwise), default="")
    # A script with few languages needs less: the mostly written one is likely as it is.
    enough = best and (
        script
        or (heard[best].kinds >= LEAST_WORDS and heard[best].words >= LEAST_SHARE * words.total())
    )
    return best if enough else script or otherwise


@dataclass(slots=True)
class _Heard:
    """What speaks for a language in a text."""

    weight: float = 0.0
    kinds: int = 0
    words: int = 0

    def add(self, weight: float, times: int) -> None:
        """Count a word; distinct words tell more than one repeated."""
        self.weight += weight * (1 + math.log(times))
        if weight > 0:
            self.kinds += 1
            self.words += times


class _Signs:
    """What the words and the letters of a script's languages say: the fewer share one, the more."""

    def __init__(self, tags: Collection[str], *, shortest: int) -> None:
        self._words = _weights(
            {tag: [w for w in STOP_WORDS[tag] if len(w) >= shortest] for tag in tags}
        )
        self._tags = tuple(tags)
        self.most = math.log(1 + len(self._tags))
        self._letters = _weights({tag: LETTERS.get(tag, "") for tag in tags})

    def of(self, word: str) -> Mapping[str, float]:
        """Return what a word weighs for each language it speaks for, or against."""
        known = self._words.get(word)
        if known is not None or word.isascii():
            return known or {}
        told: dict[str, float] = {}
        letters = set(word) & self._letters.keys()
        for tag in self._tags if letters else ():
            weights = [self._letters[letter].get(tag, 0.0) for letter in letters]
            told[tag] = max(weights) if all(weights) else -FOREIGN
        return told


def _weights(signs: Mapping[str, Iterable[str]]) -> dict[str, dict[str, float]]:
    """Return for each sign the languages that have it, and its weight for them."""
    having: dict[str, list[str]] = defaultdict(list)
    for tag, ones in signs.items():
        for one in set(ones):
            having[one].append(tag)
    return {
        one: dict.fromkeys(tags, math.log((1 + len(signs)) / len(tags)))
        for one, tags in having.items()
    }


@cache
def _signs(script: str) -> _Signs:
    """Return the signs of the languages of a script, Latin for an empty name."""
    if script:
        return _Signs(SHARED[script], shortest=1)
    others = {*SCRIPTS, *chain.from_iterable(SHARED.values())}
    # Lone letters are what apostrophes leave, and initials, units and list marks.
    return _Signs(STOP_WORDS.keys() - others, shortest=2)


def _script(text: str, letters: int) -> str:
    """Return what a script other than Latin says, empty where there is none to speak of."""
    other = LATIN.sub("", text)
    counts = {tag: len(script.findall(other)) for tag, script in SCRIPT.items()}
    dense = counts["ja"] + counts["zh"]
    if counts["ja"] >= KANA * dense > 0:
        counts["ja"], counts["zh"] = dense, 0
    total = letters + (DENSE - 1) * dense
    shares = {tag: n * (DENSE if tag in ("ja", "zh") else 1) / total for tag, n in counts.items()}
    best = max(shares, key=lambda tag: shares[tag])
    return best if shares[best] >= LEAST_LETTERS else ""
