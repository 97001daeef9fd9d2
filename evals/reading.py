"""An answer read beside question and reference: what it says, leaves out, turns round.

An answer in the reference's own words differs from it where it means to: there each part left out
or replaced counts. One in other words is compared by meaning: vectors of texts and of words. What
either way must hold: figures, names, whether it says yes or no. Where a model cannot read both
languages only these are compared, and nothing is called wrong for its language.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from antiphon.evals.figures import Figure, figures, in_digits, lacking, turned
from antiphon.tools.retrieval import Embedder
from antiphon.tools.retrieval.analysis import stop_words, terms, words
from antiphon.tools.retrieval.citations import MARKERS
from antiphon.tools.retrieval.language import detect
from antiphon.tools.retrieval.sentences import sentences
from antiphon.tools.retrieval.stopwords import STOP_WORDS

UNLIKE, ALIKE = 0.25, 0.5
"""Cosines of two texts that count as nothing and as the same in other words (MiniLM)."""
APART, NEAR = 0.35, 0.7
"""The same of two words."""
OWN_WORDS, ITS_WORDS = 0.55, 0.85
"""Share of an answer's words that the reference has: in other words below, repeating it above."""
ENOUGH = 0.4
"""Share of the reference's words, by meaning, from which other words say all of it."""
WHOLE = 0.8
"""Share of the reference's words in one sentence from which that sentence says all of it."""
UNTOLD = 0.4
"""How far an answer that does not say no openly says the reference's no, or yes its yes."""
ECHO = 0.34
"""Share of new words below which an answer only says the question again."""
SAME_LANGUAGE = 0.5
"""Share of an answer's words that the texts beside it have, which settles its language."""
SPOKEN = 4
"""Letters from which a word is one of a language and no unit."""

_ASKING = frozenset(
    terms(
        "ask asks asked asking question wonder wondering know want wants like wish interested hear"
        " tell thank thanks"
    )
)
_POLAR = re.compile(
    r"(?:^|[.!?,;:]\s+|\b(?:if|whether)\b.*)(?:so |and |or |but )?\W*(?:can|could|do|does|did|is"
    r"|are|was|will|would|may|should|must|have|has|am|kann|können|darf|ist|sind|gibt|habt?|muss)\b",
    re.IGNORECASE,
)
_YES = re.compile(
    r"\W*(?:yes|yeah|yep|sure|certainly|absolutely|of course|correct|right|indeed|ja|oui|sí|si"
    r"|(?:it|you|we|they|there|i) (?:do|does|can|will|is|are|may|should|have|did)(?=\s*[,.:;!–—-])"
    r"|that works)\b",
    re.IGNORECASE,
)
_NO = re.compile(
    r"\W*(?:no|nope|not|never|sorry|unfortunately|regrettably|i'm afraid|i am afraid|nein|leider"
    r"|non|(?:it|you|we|they|there|i) (?:(?:do|does|can|will|is|are|may|should|have|did|need|must)"
    r" ?(?:not|n['’]t)|cannot|won['’]t|can['’]t)(?=\s*[,.:;!–—-])|there (?:is|are) none)\b",
    re.IGNORECASE,
)
_NEGATIVE = re.compile(
    r"\b(?:not|no|none|never|nothing|nobody|nowhere|neither|nor|without|cannot|unable|impossible"
    r"|unavailable|excluded?|exempt|forbidden|prohibited|refused?|refuse|decline[sd]?|reject(?:s|ed)?"
    r"|unfortunately|out of the question|too late|kein\w*|nicht|nie|niemals|ohne|weder|leider"
    r"|needn['’]t|won['’]t|can['’]t)\b|n['’]t\b",
    re.IGNORECASE,
)
_NO_DENIAL = re.compile(
    r"\b(?:not only|no later|no more than|no longer than|nothing but|no matter|not just|nicht nur"
    r"|without (?:delay|giving|interest)|(?:at )?no (?:charge|cost|extra|fee)\w*|no problem"
    r"|(?:costs?|pay|charge|owe)(?: you| us)? nothing)\b",
    re.IGNORECASE,
)
_CLAUSE = re.compile(
    r"[;:–—]|,? \b(?:as long as|if|unless|until|because|since|provided|except|when|but|wenn|weil"
    r"|aber)\b"
)
_NAME = re.compile(r"(?<![.!?:]\s)(?<!\A)(?<=[ \t(\"“])(?:[A-ZÄÖÜ][\w'’&-]+|[A-Z]{1,3}-?\d+\w*)")
_ALIASES = (
    ("eu", "europe", "european", "union"),
    ("us", "usa", "united", "states", "america", "american"),
    ("uk", "united", "kingdom", "britain", "british"),
)
_CALENDAR = frozenset(
    "monday tuesday wednesday thursday friday saturday sunday".split()  # noqa: SIM905
)


_FREE = re.compile(
    r"\b(?:at|for|with) no (?:extra |further |additional )?(?:charge|cost|fee)s?\b"
    r"|\bwithout (?:charge|cost|any (?:charge|cost|fee)s?)\b",
    re.IGNORECASE,
)


OPENLY = re.compile(r"\A\s*(?:yes|no|ja|nein|oui|non|sí|si)\s*[,.!:;–—-]+\s*(?=\S)", re.IGNORECASE)
"""A yes or no before what it stands for."""
_NUMBERED = re.compile(r"^[ \t]*\d{1,2}[.)][ \t]+(?=[A-Z])", re.MULTILINE)


def plain(text: str) -> str:
    """Return a text as texts are compared: no markers, amounts in digits, "at no charge" free."""
    text = _NUMBERED.sub("", text)
    return _FREE.sub("free of charge", in_digits(MARKERS.sub("", text))).strip()


def graded(value: float, low: float, high: float) -> float:
    """Return where a value stands between two others, 0..1."""
    return min(1.0, max(0.0, (value - low) / (high - low)))


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """What came of reading an answer beside question and reference."""

    foreign: bool
    """Whether it is in another language than a model here can compare."""
    alike: float
    """How near its meaning is to the reference, or without one to the question, 0..1."""
    core: float
    """How much of what the reference adds to the question it says, 0..1."""
    covered: float
    """How much of all that the reference says it says, 0..1."""
    echoes: bool
    """Whether it says little but the question: no new words, no figure, no yes or no."""
    own_words: float
    """How far it says things in words of its own and not in the reference's, 0..1."""
    missing: tuple[str, ...]
    """Figures that it should say."""
    turned_round: tuple[tuple[float, str], ...]
    """Signs that it says something else than the reference: how strong, and why."""


class Comparer:
    """Reads answers beside their references."""

    def __init__(self, embedder: Embedder, *, reads: str = "en") -> None:
        """`reads`: the language of the embedder, `*` for all."""
        self._embedder = embedder
        self._reads = reads

    async def read(
        self, answer: str, *, question: str, reference: str = "", evidence: Sequence[str] = ()
    ) -> Reading:
        """Compare an answer with what was asked and with what a good answer says."""
        said = plain(answer)
        wanted = plain(reference)
        beside = wanted or question
        foreign = self._reads != "*" and _foreign(said, (question, wanted, *evidence))
        if not said:
            return _NOTHING
        asked = set(terms(question))
        new = [word for word in content(said) if not (asked | _ASKING).issuperset(terms(word))]
        known = figures(question)
        mine = figures(said)
        added = [one for one in mine if not any(one.same(each) for each in known)]
        missing = [one for one in lacking(figures(wanted), mine) if lacking([one], known)]
        share = _figures_said(figures(wanted), missing, known)
        agrees, clash = _stances(question, said, wanted)
        signs = _signs(
            said, missing, question=question, wanted=wanted, evidence=evidence, foreign=foreign
        )
        if clash:
            signs.append((clash, "says yes for no, or no for yes"))
        if foreign:
            likely = _mean([share, agrees], 0.85)
            return Reading(
                foreign=True, alike=0.95, core=likely, covered=likely, echoes=False,
                own_words=0.0,
                missing=tuple(one.said for one in missing), turned_round=tuple(signs),
            )  # fmt: skip
        alike = await self._alike(said, beside)
        core, covered, changed = await self._coverage(said, question, wanted, alike)
        if changed:
            signs.append(changed)
        if logic := _other_logic(said, wanted):
            signs.append(logic)
        if wanted:
            core = _weighed([(2.0, share), (2.0, agrees), (1.0, core)])
            covered = covered if share is None else (covered + share) / 2
        return Reading(
            foreign=False, alike=alike, core=core, covered=covered,
            echoes=len(new) < ECHO * len(content(said)) and not stance_of(said)[1] and not added,
            own_words=1 - _repeated(said, wanted),
            missing=tuple(one.said for one in missing), turned_round=tuple(signs),
        )  # fmt: skip

    async def _alike(self, said: str, beside: str) -> float:
        mine, other = await self._embedder.embed([said, beside])
        return graded(dot(mine, other), UNLIKE, ALIKE)

    async def _coverage(
        self, said: str, question: str, wanted: str, alike: float
    ) -> tuple[float, float, tuple[float, str] | None]:
        """Return how far the answer says the core and the whole, and the change if there is one."""
        if not wanted:
            return 1.0, 1.0, None
        asked = set(terms(question))
        theirs, mine = content(wanted), content(said)
        core = [word for word in theirs if not asked.issuperset(terms(word))]
        near = await self._nearness(theirs, mine)
        repeated = _repeated(said, wanted)
        strict = _average([float(near[word] == 1.0) for word in theirs])
        loose = graded(_average([near[word] for word in theirs]), 0.0, ENOUGH)
        strict_core = _average([float(near[word] == 1.0) for word in core])
        loose_core = graded(_average([near[word] for word in core]), 0.0, ENOUGH)
        back = await self._nearness(mine, theirs)
        lost = [word for word in theirs if near[word] < 1.0]
        instead = [word for word in mine if back[word] < 1.0 and not asked.issuperset(terms(word))]
        change: tuple[float, str] | None = None
        if repeated > 0 and lost and instead:
            share = min(1.0, min(len(lost), len(instead)) / max(1, len(theirs)) * 4)
            change = (
                repeated * (0.4 + 0.5 * share),
                f"says {' '.join(instead[:3])} where the reference says {' '.join(lost[:3])}",
            )
        return (
            repeated * strict_core + (1 - repeated) * (loose_core + alike) / 2,
            repeated * strict + (1 - repeated) * (loose + alike) / 2,
            change,
        )

    async def _nearness(self, wanted: Sequence[str], said: Sequence[str]) -> Mapping[str, float]:
        """Return for each word how near the nearest of the words said is, 0..1."""
        stems = {tuple(terms(word)) for word in said}
        apart = [word for word in wanted if tuple(terms(word)) not in stems]
        found = dict.fromkeys(wanted, 1.0)
        if not apart or not said:
            return found if said else dict.fromkeys(wanted, 0.0)
        texts = list(dict.fromkeys([*apart, *said]))
        vectors = dict(zip(texts, await self._embedder.embed(texts), strict=True))
        for word in apart:
            best = max(dot(vectors[word], vectors[other]) for other in said)
            found[word] = KINDRED * graded(best, APART, NEAR)
        return found


KINDRED = 0.95
"""What the nearest other word is worth: Friday is near to Saturday, and another day."""
_NOTHING = Reading(
    foreign=False,
    alike=0.0,
    core=0.0,
    covered=0.0,
    echoes=False,
    own_words=0.0,
    missing=(),
    turned_round=(),
)


def content(text: str) -> list[str]:
    """Return the words that say something, once each, without numbers."""
    idle = stop_words("en")
    return [
        word
        for word in dict.fromkeys(words(text))
        if word not in idle and not word.isdigit() and len(word) > 1
    ]


def dot(one: Sequence[float], other: Sequence[float]) -> float:
    """Return the dot product, of unit vectors the cosine."""
    return sum(a * b for a, b in zip(one, other, strict=True))


def _average(values: Sequence[float]) -> float:
    return sum(values) / len(values) if values else 1.0


def _mean(values: Sequence[float | None], otherwise: float) -> float:
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if known else otherwise


def _weighed(parts: Sequence[tuple[float, float | None]]) -> float:
    known = [(weight, value) for weight, value in parts if value is not None]
    return sum(weight * value for weight, value in known) / sum(weight for weight, _ in known)


def _repeated(said: str, wanted: str) -> float:
    """Return how far an answer is made of the reference's own words, 0..1."""
    mine, theirs = set(terms(said)), set(terms(wanted))
    return graded(len(mine & theirs) / len(mine) if mine else 0.0, OWN_WORDS, ITS_WORDS)


_LOGIC = frozenset(
    re.findall(
        r"\S+",
        """
        not no never none nothing nobody neither nor cannot without only except unless always
        before after until must may any all every instead more less most least first last
        """,
    )
)


def _other_logic(said: str, wanted: str) -> tuple[float, str] | None:
    """Return the small word that turns the reference's own sentence into another, if there is one.

    "Only on weekdays" is not "except on weekdays"; an answer in other words may use any, and so may
    a sentence beside the one that says it all.
    """
    repeated = _repeated(said, wanted)
    if not wanted or not repeated:
        return None
    theirs, all_of_it = _logic(wanted), set(terms(wanted))
    for span in sentences(said):
        one = said[slice(*span)]
        if len(all_of_it & set(terms(one))) >= WHOLE * len(all_of_it) and not _logic(one) - theirs:
            return None
    more, less = _logic(said) - theirs, theirs - _logic(said)
    if not more:
        return None
    where = f" where the reference says {next(iter(less))}" if less else ""
    return 0.5 * repeated, f"says {next(iter(more))}{where}"


def _logic(text: str) -> Counter[str]:
    return Counter(word for word in words(text) if word in _LOGIC)


def _figures_said(
    wanted: Sequence[Figure], missing: Sequence[Figure], known: Sequence[Figure]
) -> float | None:
    """Return the share of the reference's figures that are said; None where it adds none."""
    telling = [one for one in wanted if one.telling and lacking([one], known)]
    return 1 - len(missing) / len(telling) if telling else None


def _foreign(said: str, beside: Sequence[str]) -> bool:
    """Tell whether an answer is in another language than the texts beside it."""
    mine = {term for term in terms(said) if term.isalpha() and len(term) >= SPOKEN}
    there = {term for text in beside for term in terms(text)}
    if mine and len(mine & there) >= SAME_LANGUAGE * len(mine):
        return False
    theirs = detect(" ".join(beside), otherwise="en")
    heard = detect(said, otherwise="")
    if heard:
        return heard != theirs
    spoken = words(said)
    counts = {tag: sum(word in stop_words(tag) for word in spoken) for tag in STOP_WORDS}
    return max(counts.values()) > counts.get(theirs, 0)


def stance_of(text: str) -> tuple[str, bool]:
    """Return `yes` or `no`, and whether the text says so itself; else its first sentence is read.

    Negations of a sentence cancel each other; "at no charge" and "no later" are none.
    """
    if _NO.match(text):
        return "no", True
    if _YES.match(text):
        return "yes", True
    span = next(iter(sentences(text)), (0, len(text)))
    first = _CLAUSE.split(_NO_DENIAL.sub(" ", text[slice(*span)]), maxsplit=1)[0]
    return ("no" if len(_NEGATIVE.findall(first)) % 2 else "yes"), False


def _stances(question: str, said: str, wanted: str) -> tuple[float | None, float]:
    """Return how far both say the same yes or no (None: nobody asked), and how sure a clash is.

    A question of how, when or how much has no yes and no, unless the reference says one. Where one
    of the two does not say it openly, only a sentence in the other's own words is told to clash.
    """
    if not wanted:
        return None, 0.0
    theirs, plainly = stance_of(wanted)
    mine, openly = stance_of(said)
    if plainly and openly:
        return float(mine == theirs), 0.0 if mine == theirs else 0.95
    if mine == theirs or not (plainly or (openly and _POLAR.search(question))):
        return None, 0.0
    told_apart = stance_of(OPENLY.sub("", wanted))[0] != mine
    return UNTOLD, 0.7 * _repeated(said, wanted) if told_apart else 0.0


def _signs(
    said: str,
    missing: Sequence[Figure],
    *,
    question: str,
    wanted: str,
    evidence: Sequence[str],
    foreign: bool,
) -> list[tuple[float, str]]:
    """Return what of figures and names says something else than the reference."""
    found: list[tuple[float, str]] = []
    mine, expected, asked = figures(said), figures(wanted), figures(question)
    there = [one for text in evidence for one in figures(text)]
    for one in lacking(mine, [*expected, *asked]):
        rival = next((each for each in missing if each.kind == one.kind), None)
        if rival is not None:
            found.append((0.95, f"{one.said} where the reference says {rival.said}"))
        elif evidence and lacking([one], there) and not _stands(one, evidence):
            found.append((0.8 if one.kind else 0.5, f"{one.said} stands nowhere"))
        elif wanted and missing:
            found.append((0.6, f"{one.said} is a figure of something else"))
    for one, other in turned(mine, expected):
        found.append((0.7, f"{one.bound} {one.said} where the reference says {other.bound}"))
    if not foreign and wanted:
        found += _other_names(said, question, wanted, evidence, lacks=bool(missing))
    return found


def _stands(one: Figure, evidence: Sequence[str]) -> bool:
    """Tell whether a figure stands in the evidence as it is written, whatever it was read as."""
    found = re.compile(rf"(?<![\d.,]){re.escape(one.said)}(?![\d]|[.,]\d)")
    return any(found.search(text) for text in evidence)


_POSSESSIVE = re.compile(r"['’]s?\Z")


def _names(text: str) -> set[str]:
    found = {_POSSESSIVE.sub("", match.group()).lower() for match in _NAME.finditer(text)}
    return {name for name in found if name not in _CALENDAR}


def _other_names(
    said: str, question: str, wanted: str, evidence: Sequence[str], *, lacks: bool
) -> list[tuple[float, str]]:
    """Return a name that takes another's place: an EU page's rule for a customer in the US."""
    beside = _spread(f"{question} {wanted}")
    others = [name for name in sorted(_names(said)) if name not in beside]
    there = " ".join(evidence).lower()
    others = [name for name in others if re.search(rf"(?<!\w){re.escape(name)}(?!\w)", there)]
    lost = sorted(_names(wanted) - _spread(said))
    if not others or not (lost or lacks):
        return []  # It says more than it must, and all that it must.
    strength = 0.75 if lost else 0.4
    return [(strength, f"speaks of {others[0]}" + (f" and not of {lost[0]}" if lost else ""))]


def _spread(text: str) -> set[str]:
    """Return the words of a text with the other names of what they name."""
    found = set(words(text)) | {word for each in words(text) for word in (each.rstrip("s"),)}
    for group in _ALIASES:
        if found & set(group[:2]) or {"united", group[-1]} <= found:
            found |= set(group)
    return found
