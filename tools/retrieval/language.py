"""Which language a document is in: by its script, and within a script by its commonest words.

No model: function words make up a third of any prose, and no two languages share theirs. Text with
too few of them, such as code or a price list, counts as undecided.
"""

from __future__ import annotations

import re
from collections import Counter

from antiphon.tools.retrieval.stopwords import STOP_WORDS

SAMPLE = 20_000
"""Characters that are looked at."""
LEAST_WORDS = 3
"""Function words without which nothing is decided."""
LEAST_SHARE = 0.08
"""Share of a text's words that have to be function words of a language."""
LEAST_LETTERS = 0.3
"""Share of the letters that a script must have: names in another script do not count."""

SCRIPTS = {
    "ja": "\u3040-\u30ff",
    "ko": "\u1100-\u11ff\uac00-\ud7af",
    "zh": "\u3400-\u4dbf\u4e00-\u9fff",
    "el": "\u0370-\u03ff\u1f00-\u1fff",
    "hy": "\u0530-\u058f",
    "he": "\u0590-\u05ff",
    "ar": "\u0600-\u06ff",
    "hi": "\u0900-\u097f",
    "ta": "\u0b80-\u0bff",
    "th": "\u0e00-\u0e7f",
    "ru": "\u0400-\u04ff",
}
"""Scripts and the language each mostly writes; kana come before the characters they stand among."""
SCRIPT = {tag: re.compile(f"[{letters}]") for tag, letters in SCRIPTS.items()}
KANA = 0.05
"""Share of kana from which Chinese characters are Japanese."""

FUNCTION_WORDS = {
    tag: frozenset(words.split())
    for tag, words in {
        "ca": """el la els les un una de del dels al als i o que no és amb per en es se com més però
            són hi ho ha han aquest aquesta seva seu també quan fins molt sense entre""",
        "da": """og i at det er en til af på den med for der ikke har de som et fra kan var om ved
            vil blev også men hvis eller være skal efter når dig jeg""",
        "en": """the of and to in is that it for as was with be on by at are this have from or not
            but had which you can will were they an if when there all your we their been has""",
        "et": "ja on ei et see ta kui oma aga ka või mis kes oli selle nii siis veel pole saab",
        "eu": "eta da ez du dira bat izan baina edo zuen ere dute hau duen egin beste bere den",
        "fi": """ja on ei se että oli hän ovat mutta ole myös kun joka sen kuin tai voi jos ne mitä
            sekä mukaan vain niin tämä siitä""",
        "hu": """a az és hogy nem is egy van de ha ez meg csak volt már mint vagy azt ki mert lehet
            még el amely pedig kell""",
        "id": """yang dan di ini itu dengan untuk tidak dari dalam adalah akan pada atau juga ke
            karena ada oleh saya anda bisa dapat sudah""",
        "lt": "ir yra kad į ne su iš kaip bet jo tai buvo ar už dėl tik jau apie gali būti šis",
        "no": """og i at det er en til av på den med for der ikke har de som et fra kan var om ved
            vil ble også men hvis eller være skal etter når deg jeg""",
        "pl": "i w nie na się z do to jest że o jak po co ale dla za od są przez być lub oraz",
        "ro": """și de la în a nu cu că o pe este un din pentru care mai ce sau dar sunt fi prin
            fost această acest după""",
        "sv": """och i att det är en till av på den med för inte har de som ett från kan var om vid
            vill också men eller vara ska efter när dig jag""",
        "tr": """ve bir bu da de için ile çok daha olarak gibi kadar ne en ama veya olan değil sonra
            ise her""",
        "vi": "và là của có không cho được trong một với các những này khi người để từ đã như",
        "uk": "і в не на що з до як та це є за від або але для про так він вона її його які",
        "ru": "и в не на что с по как это он для от из но за или так же то мы его вы при если",
        "sr": "и у је да се на за не од са су као што то али или који би са по није",
    }.items()
} | {
    # Lone letters are what apostrophes leave, and initials, units and list marks in any language.
    tag: frozenset(word for word in words if len(word) > 1)
    for tag, words in STOP_WORDS.items()
    if tag != "en"
}
CYRILLIC = ("ru", "uk", "sr")
WORD = re.compile(r"[^\W\d_]+")


def detect(text: str, *, otherwise: str = "en") -> str:
    """Return the BCP 47 primary tag of a text's language; `otherwise` where it is undecided."""
    sample = text[:SAMPLE]
    letters = sum(map(str.isalpha, sample))
    if not letters:
        return otherwise
    written = _script(sample, letters)
    if written and written not in CYRILLIC:
        return written
    words = Counter(WORD.findall(sample.casefold()))
    candidates = CYRILLIC if written else FUNCTION_WORDS.keys() - set(CYRILLIC)
    common = {
        tag: sum(words[word] for word in FUNCTION_WORDS[tag] if word in words) for tag in candidates
    }
    # The list of each language has its own length; distinct words tell more than one repeated.
    kinds = {tag: sum(word in words for word in FUNCTION_WORDS[tag]) for tag in candidates}
    best = max(sorted(common), key=lambda tag: (common[tag] * kinds[tag], tag == otherwise))
    enough = kinds[best] >= LEAST_WORDS and common[best] >= LEAST_SHARE * words.total()
    return best if enough else written or otherwise


def _script(text: str, letters: int) -> str:
    """Return what a script other than Latin says, empty where there is none to speak of."""
    shares = {tag: len(script.findall(text)) / letters for tag, script in SCRIPT.items()}
    if shares["ja"] >= KANA and shares["ja"] + shares["zh"] >= LEAST_LETTERS:
        return "ja"
    best = max(shares, key=lambda tag: shares[tag])
    return best if shares[best] >= LEAST_LETTERS else ""
