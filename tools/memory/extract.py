"""What a person says of themselves, by rule: plain first-person statements and nothing else.

Strict on purpose: a wrong memory is worse than a missing one. Questions, conditions and masked
values are never kept.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

_LONGEST = 240

_OPENING = (
    r"^(?:(?:hi|hello|hey|ok|okay|also|and|but|so|well|yes|no|thanks|thank you|by the way|btw|fyi|"
    r"(?:please )?(?:note|remember) that|hallo|hola|bonjour)\b[,!:]?\s*)*"
)
_ADVERB = r"(?:(?:really|usually|always|generally|currently|now|still|just|also|only|actually)\s+)?"

_FEELS = "prefer|like|love|hate|dislike|enjoy|avoid|can't stand|don't (?:like|eat|drink)"
_DIETS = "vegan|vegetarian|diabetic|coeliac|celiac|colou?r-?blind|blind|deaf"

_RULES: tuple[tuple[str, str], ...] = (
    ("name", r"(?:my (?:full |first )?name(?:'s| is)|(?:please )?call me|i go by)\s+\w"),
    ("name", r"(?:ich hei(?:ß|ss)e|mein name ist|nenn(?:en sie)? mich|me llamo|mi nombre es)\s+\w"),
    ("name", r"(?:je m'appelle|mon nom est|appelez-moi|appelle-moi)\s+\w"),
    (
        "home",
        (
            rf"i(?:'m| am)?\s+{_ADVERB}(?:live|living|reside|based|located|from|moved|relocated) ?"
            r"(?:in|at|to|from|near)?\s+\w"
        ),
    ),
    ("home", r"(?:ich (?:wohne|lebe) in|vivo en|j'habite|je vis)\s+\w"),
    (
        "",
        rf"i\s+{_ADVERB}(?:{_FEELS})\s+\w",
    ),
    ("", r"i(?:'d| would) (?:always |rather |generally )?prefer\s+\w"),
    ("", r"(?:ich (?:bevorzuge|mag)|prefiero|je préfère)\s+\w"),
    ("", r"my (?:favou?rite|preferred)\s+[\w ]{2,40}\s(?:is|are)\s+\w"),
    (
        "",
        (
            r"i(?:'m| am)\s+(?:\w+ )?allergic\b|i have an?\s[\w -]{0,40}"
            r"(?:allergy|intolerance|disability)"
        ),
    ),
    ("", r"ich bin allergisch|soy alérgic|je suis allergique"),
    (
        "",
        rf"i(?:'m| am)\s+(?:a |an )?(?:{_DIETS})\b",
    ),
    ("", rf"i(?:'m| am)?\s+{_ADVERB}(?:using|use|own|drive|speak|run)\s+\w"),
    ("", r"i(?:'m| am) on (?:the|an?)\s+[\w ]{1,30}\s?(?:plan|subscription|tariff)\b"),
    ("work", rf"i\s+{_ADVERB}work\s+(?:as|at|for|in|from)\s+\w"),
    (
        "",
        (
            r"my (?:\w+ ){0,2}(?:birthday|wife|husband|partner|son|daughter|dog|cat|company|team|"
            r"time ?zone|language|pronouns|size|device|laptop|phone model|car)(?:'s| is| are)\s+\w"
        ),
    ),
)
_STATEMENTS = tuple(
    (slot, re.compile(_OPENING + r"(?:" + rule + ")", re.IGNORECASE)) for slot, rule in _RULES
)
_MASKED = re.compile(r"<[A-Z][A-Z_]*_\d+>")
_DOUBTFUL = re.compile(
    r"\b(?:if|unless|suppose|imagine|pretend|would like to|wondering|ignore|instructions?|you must|"
    r"you should|system prompt)\b|[<>{}]",
    re.IGNORECASE,
)
_SENTENCE = re.compile(r"[^.!?\n]+(?:[.!?](?!\s|$)[^.!?\n]*)*[.!?]*")


@dataclass(frozen=True, slots=True, kw_only=True)
class Fact:
    """One statement, in the person's own words."""

    text: str
    slot: str
    """What there is only one of (a name, a home): a newer fact replaces the older."""


def sentences(text: str) -> list[str]:
    """Split a text into sentences and lines."""
    return [part.strip() for part in _SENTENCE.findall(text) if part.strip()]


def facts(text: str) -> tuple[Fact, ...]:
    """Return what the text's author states about themselves."""
    found: list[Fact] = []
    for sentence in sentences(text.replace("’", "'")):
        if sentence.endswith("?") or len(sentence) > _LONGEST:
            continue
        if _MASKED.search(sentence) or _DOUBTFUL.search(sentence):
            continue
        slot = next((slot for slot, rule in _STATEMENTS if rule.match(sentence)), None)
        if slot is not None:
            found.append(Fact(text=sentence, slot=slot))
    return tuple(found)
