"""Golden lines proposed from the pages themselves, for a person to accept.

Without a language model, from English pages: a sentence with a figure becomes a question for that
figure, and a near miss with another one, or with another region; a definition and a heading that
asks become questions; what one page has a heading for is asked of a page that does not speak of it.
With a model, in any language, its lines come first; what they hold must stand in the page word for
word.
"""

from __future__ import annotations

import json
import random
import re
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, zip_longest
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, JsonValue, TypeAdapter, ValidationError

from antiphon.evals.candidates import asked, proposal
from antiphon.evals.golden import Example
from antiphon.graphs.services import Services
from antiphon.prompts.library import Prompts
from antiphon.tools.claims.quantities import quantities
from antiphon.tools.errors import AntiphonError
from antiphon.tools.models import LAST_RESORT, Models, Task
from antiphon.tools.retrieval import Embedder, Knowledge, Passage, Where
from antiphon.tools.retrieval.analysis import terms
from antiphon.tools.retrieval.chunking import chunk
from antiphon.tools.retrieval.loaders import discover, load
from antiphon.tools.retrieval.sentences import sentences
from antiphon.tools.tokens import TokenCounter
from antiphon.tools.turns.candidates import Candidate

if TYPE_CHECKING:
    from langchain_core.tools import BaseTool

ALIKE = 0.92
"""Cosine from which two questions with the same figures in them are one."""
SHORTEST, LONGEST = 30, 220
"""Characters of a sentence that is asked about."""
PER_CALL = 4
"""Lines that a model is asked for at once."""
ANSWER_TOKENS = 900
REGIONS = (
    "the United States", "the United Kingdom", "the European Union", "Canada", "Switzerland",
    "Norway", "Germany", "France", "Austria", "Japan", "Australia",
)  # fmt: skip
_ASKED = {
    "duration": "how many {unit}",
    "working days": "how many {unit}",
    "percent": "what percentage",
    "length": "how many {unit}",
    "weight": "how many {unit}",
    "clock": "what time",
    "money EUR": "how much",
    "money USD": "how much",
    "money GBP": "how much",
}
"""What stands in a question in the place of a figure, by its kind."""
_NUMBER = re.compile(r"\d+(?:[.,]\d+)*")
_QUESTION = re.compile(
    r"^(?:how|what|when|where|which|who|why|can|do|does|is|are|may|must)\b.*\?$", re.IGNORECASE
)
_PROSE = re.compile(
    r"^(?!(?:It|They|He|She|This|That|These|Those|Then|Otherwise|After that|If (?:it|they))\b)"
    r"[A-Z][^|\n]*[\w%)]\.$"
)
"""A sentence that says what it is about by itself."""
_DEFINITION = re.compile(
    r"^((?:The |An? |Our )?[A-Z]?[\w’'-]+(?: [\w’'-]+){0,3})"
    r" (is|are) ((?:an?|the|our) [^.,;:|]{3,60})\."
)
_NO_STATEMENT = re.compile(r"\b(?:please|such as)\b|;", re.IGNORECASE)
_NO_SUBJECT = re.compile(r"^(?:if|how|what|when|where|which|who|why|it|your?|before|can|do|does)\b")
"""Begins a heading that names no subject to ask about."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Proposal:
    """A line before it is a candidate."""

    kind: Literal["answerable", "near_miss", "unanswerable"]
    question: str
    source: str
    facts: tuple[str, ...] = ()
    absent: tuple[str, ...] = ()
    reference: str = ""
    outcome: tuple[str, ...] = ("answered",)


class Line(BaseModel):
    """One line as a model writes it; checked against its page before anybody sees it."""

    model_config = ConfigDict(extra="ignore")

    kind: Literal["answerable", "near_miss", "unanswerable"]
    question: Annotated[str, Field(min_length=8, max_length=300)]
    quote: Annotated[str, Field(max_length=600)] = ""
    facts: Annotated[list[Annotated[str, Field(min_length=1, max_length=120)]], Field(max_length=5)]


def read_folder(path: Path, tokens: TokenCounter) -> tuple[list[Passage], list[str]]:
    """Return the passages of a folder or file, and what of it could not be read, and why.

    Raises InputError where there is nothing.
    """
    found: list[Passage] = []
    failed: list[str] = []
    for source in discover([path]):
        try:
            found += chunk(load(source), tokens=tokens)
        except AntiphonError as error:
            failed.append(f"{source.source}: {error.message}")
    return found, failed


async def passages_of(knowledge: Knowledge, *, tenant: str) -> list[Passage]:
    """Return all that everyone in the tenant may read, in the pages' own order."""
    inventory = await knowledge.inventory(tenant=tenant)
    found: list[Passage] = []
    for source, count in sorted(inventory.sources.items()):
        hits = await knowledge.search(
            source, tenant=tenant, limit=count, where=Where(sources=(source,))
        )
        # A folder of the same name would come along.
        found += [hit.passage for hit in hits if hit.passage.source == source]
    return sorted(found, key=lambda each: (each.source, each.start))


def proposals(passages: Sequence[Passage], *, seed: int = 0) -> Iterator[Proposal]:
    """Yield proposals without a model, kinds in turn, the same for the same seed."""
    chance = random.Random(seed)  # noqa: S311 - reproducible, not secret
    pages = _Pages([each for each in passages if each.language in ("", "en")])
    kinds: list[list[Proposal]] = [
        [made for each in pages.passages for made in _by_figure(each)],
        [made for each in pages.passages for made in _with_another_figure(each, pages, chance)],
        [made for each in pages.passages for made in _by_words(each)],
        [made for each in pages.passages for made in _in_another_region(each, pages, chance)],
        list(_absent_sections(pages, chance)),
    ]
    for kind in kinds:
        chance.shuffle(kind)
    for made in chain.from_iterable(zip_longest(*kinds)):
        if made is not None:
            yield made


class _Pages:
    """Passages, and what only all of them together tell."""

    def __init__(self, passages: Sequence[Passage]) -> None:
        self.passages = passages
        self._sentences = [
            each.text[start:end] for each in passages for start, end in sentences(each.text)
        ]
        words = (word for each in passages for word in re.findall(r"[^\W\d_]+", each.text))
        self._common = {"a", "an", "the"} | {word for word in words if word.islower()}

    def inner(self, sentence: str) -> str:
        """Return a sentence as it stands within another: a name keeps its capital."""
        first, gap, rest = sentence.partition(" ")
        return f"{first.lower()}{gap}{rest}" if first.lower() in self._common else sentence

    def elsewhere(self, said: str, region: str) -> bool:
        """Say whether a figure is also said where the region is not named."""
        return any(said in each and region not in each for each in self._sentences)


async def by_model(
    passage: Passage, models: Models, prompts: Prompts, tokens: TokenCounter, *, tenant: str
) -> tuple[list[Proposal], float] | None:
    """Return a model's proposals that its page bears out, and what they cost.

    None where no model is on offer, or it fails: what needs none is there all the same.
    """
    from langchain_core.messages import HumanMessage

    prompt = prompts.render("synth", title=passage.title, passage=passage.text, count=str(PER_CALL))
    task = Task(input_tokens=tokens.count(prompt), output_tokens=ANSWER_TOKENS, tenant=tenant)
    selection = models.select(task)
    if selection.model == LAST_RESORT:
        return None
    try:
        reply = await models.reply(selection, [HumanMessage(content=prompt)], tools=[_form()])
    except AntiphonError:
        return None
    if reply.model == LAST_RESORT:
        return None
    called = [call["args"].get("lines") for call in reply.message.tool_calls]
    written = called[0] if called else _json(reply.message.text)
    return [made for line in _lines(written) if (made := borne_out(line, passage))], reply.cost_usd


def borne_out(line: Line, passage: Passage) -> Proposal | None:
    """Return what a model wrote if the page says it word for word, None otherwise."""
    if line.kind == "unanswerable":
        return Proposal(
            kind="unanswerable",
            question=line.question,
            source=passage.source,
            outcome=("abstained", "clarifying"),
        )
    page, quote = _plain(passage.text), _plain(line.quote)
    facts = tuple(dict.fromkeys(_plain(fact) for fact in line.facts))
    if not facts or not quote or quote not in page or any(fact not in quote for fact in facts):
        return None
    return Proposal(
        kind=line.kind,
        question=line.question,
        source=passage.source,
        facts=facts,
        reference=quote,
    )


class Sieve:
    """Lets through what neither the golden set nor an earlier proposal asks."""

    def __init__(self, embedder: Embedder, golden: Sequence[Example]) -> None:
        """Know what the golden set asks; embed nothing yet."""
        self._embedder = embedder
        self._said = {asked(each.questions) for each in golden}
        self._waiting = [each.questions[-1] for each in golden]
        self._known: list[tuple[list[str], list[float]]] = []

    async def new(self, question: str) -> bool:
        """Say whether nothing like it was asked; it counts as asked from then on.

        Two questions that are alike but for a figure are two: that is what a near miss is.
        """
        text = asked([question])
        if text in self._said:
            return False
        self._said.add(text)
        if self._waiting:
            for said, vector in zip(
                self._waiting, await self._embedder.embed(self._waiting), strict=True
            ):
                self._known.append((_NUMBER.findall(said), vector))
            self._waiting = []
        figures, [mine] = _NUMBER.findall(question), await self._embedder.embed([question])
        for others, vector in self._known:
            if others == figures and sum(a * b for a, b in zip(mine, vector, strict=True)) >= ALIKE:
                return False
        self._known.append((figures, mine))
        return True


@dataclass(slots=True, kw_only=True)
class Proposed:
    """What was proposed, and what it took."""

    candidates: list[Candidate]
    by_model: int = 0
    cost_usd: float = 0.0


async def propose(
    passages: Sequence[Passage],
    golden: Sequence[Example],
    services: Services,
    *,
    tenant: str,
    count: int,
    seed: int = 0,
    known: Collection[str] = (),
) -> Proposed:
    """Return up to `count` candidates that nobody has asked for yet.

    `known`: ids of candidates that were proposed before, whatever became of them. Where a model is
    on offer it writes half of them, each passage being shown to it once.
    """
    sieve, done = Sieve(services.embedder, golden), Proposed(candidates=[])
    taken = set(known)

    async def take(made: Proposal) -> bool:
        candidate = candidate_of(made, tenant=tenant)
        if candidate.id in taken or not await sieve.new(made.question):
            return False
        taken.add(candidate.id)
        done.candidates.append(candidate)
        return True

    shown = list(passages)
    random.Random(seed).shuffle(shown)  # noqa: S311 - reproducible, not secret
    # No more calls than lines are wanted: a model whose lines are all dropped costs that much.
    for passage in shown[:count]:
        if done.by_model >= (count + 1) // 2:
            break
        reply = await by_model(
            passage, services.models, services.prompts, services.tokens, tenant=tenant
        )
        if reply is None:
            break
        made, cost = reply
        done.cost_usd += cost
        for each in made:
            if done.by_model < (count + 1) // 2:
                done.by_model += await take(each)
    for each in proposals(passages, seed=seed):
        if len(done.candidates) >= count:
            break
        await take(each)
    return done


def candidate_of(made: Proposal, *, tenant: str) -> Candidate:
    """Return a proposal as a candidate, masked, under a key of what it asks."""
    text = asked([made.question])
    slug = "-".join(re.findall(r"[a-z0-9]+", text))[:48].strip("-")
    line: dict[str, JsonValue] = {
        "id": f"{made.kind.replace('_', '-')}-{slug}",
        "kind": made.kind,
        "messages": [made.question],
        "expected": {
            "outcome": list(made.outcome),
            "sources": [made.source] if made.kind != "unanswerable" else [],
            "path": ["guard_input"],
            "facts": list(made.facts),
            "absent": list(made.absent),
        },
        "reference": made.reference,
    }
    return proposal(line, tenant=tenant, origin="synth", key=f"synth:{text}")


def _by_figure(passage: Passage) -> Iterator[Proposal]:
    """Ask for the one figure of a sentence, in its own words."""
    for sentence, said, kind in _figures(passage):
        unit = _NUMBER.sub("", said).strip(" -–")
        if not unit or said.startswith("1 "):
            continue
        blank = _ASKED[kind].format(unit=unit)
        question = sentence.replace(said, blank).removesuffix(".") + "?"
        yield Proposal(
            kind="answerable",
            question=question,
            source=passage.source,
            facts=(said,),
            reference=sentence,
        )


def _with_another_figure(
    passage: Passage, pages: _Pages, chance: random.Random
) -> Iterator[Proposal]:
    """Ask whether it is so with a figure that it is not."""
    for sentence, said, _ in _figures(passage):
        number = _NUMBER.search(said)
        if number is None:
            continue
        wrong = _other(number[0], chance)
        false = sentence.replace(said, said.replace(number[0], wrong, 1), 1).removesuffix(".")
        yield Proposal(
            kind="near_miss",
            question=f"Is it true that {pages.inner(false)}?",
            source=passage.source,
            facts=(said,),
            absent=("yes", false),
            reference=f"No: {pages.inner(sentence)}",
        )


def _in_another_region(
    passage: Passage, pages: _Pages, chance: random.Random
) -> Iterator[Proposal]:
    """Ask whether what holds for one region holds for one that the passage does not name."""
    others = [each for each in REGIONS if each.removeprefix("the ") not in passage.text]
    for sentence, said, _ in _figures(passage):
        here = [each for each in REGIONS if each in sentence]
        if len(here) != 1 or not others or pages.elsewhere(said, here[0]):
            continue
        false = sentence.replace(here[0], chance.choice(others)).removesuffix(".")
        yield Proposal(
            kind="near_miss",
            question=f"Is it true that {pages.inner(false)}?",
            source=passage.source,
            absent=("yes", false),
            # A page may say more elsewhere, so both to say that it does not and to set it right
            # are good; to confirm it is not.
            outcome=("abstained", "answered", "clarifying"),
            reference=f"The page says this of {here[0]} only: {said}.",
        )


def _by_words(passage: Passage) -> Iterator[Proposal]:
    """Ask for what is defined, and what a heading asks, the sentence below it being the answer."""
    said = [passage.text[start:end] for start, end in sentences(passage.text)]
    for sentence in said:
        found = _DEFINITION.match(sentence)
        if found is not None and _PROSE.match(sentence):
            name = found[1].removeprefix("The ")
            the = "the " if name != found[1] else ""
            yield Proposal(
                kind="answerable",
                question=f"What {found[2]} {the}{name}?",
                source=passage.source,
                facts=(found[3],),
                reference=sentence,
            )
    heading = passage.heading.rpartition(" > ")[2]
    answer = next((each for each in said if len(each) >= SHORTEST and _PROSE.match(each)), "")
    if answer and _QUESTION.fullmatch(heading):
        yield Proposal(
            kind="answerable",
            question=f"{passage.title}: {heading}",
            source=passage.source,
            reference=answer,
        )


def _absent_sections(pages: _Pages, chance: random.Random) -> Iterator[Proposal]:
    """Ask a page for what another page has a heading for, and this one has no word about."""
    titles: dict[str, str] = {}
    words: dict[str, set[str]] = {}
    headings: dict[str, str] = {}
    for each in pages.passages:
        titles.setdefault(each.source, each.title)
        words.setdefault(each.source, set()).update(terms(each.searchable))
        last = each.heading.rpartition(" > ")[2]
        if last and not last.endswith("?") and not _NO_SUBJECT.match(last.lower()):
            headings.setdefault(last, each.source)
    for heading, home in headings.items():
        wanted = set(terms(heading))
        silent = [
            source
            for source, known in words.items()
            if source != home and titles[source] and wanted and not wanted & known
        ]
        if silent:
            source = chance.choice(silent)
            yield Proposal(
                kind="unanswerable",
                question=f"What does your page “{titles[source]}” say about “{heading.lower()}”?",
                source=source,
                outcome=("abstained", "clarifying"),
            )


def _figures(passage: Passage) -> Iterator[tuple[str, str, str]]:
    """Yield sentences with exactly one figure: the sentence, the figure as said, its kind."""
    for start, end in sentences(passage.text):
        sentence = passage.text[start:end]
        plain = _PROSE.match(sentence) and not _NO_STATEMENT.search(sentence)
        if not SHORTEST <= len(sentence) <= LONGEST or not plain:
            continue
        found = [each for each in quantities(sentence) if each.kind in _ASKED]
        if len(found) != 1:
            continue
        said = found[0].said
        if sentence.count(said) == 1 and len(_NUMBER.findall(sentence)) == 1:
            yield sentence, said, found[0].kind


def _other(number: str, chance: random.Random) -> str:
    """Return a figure that is wrong by little: more, since what is so within 30 is so within 29."""
    whole, mark, rest = number.partition(".")
    if "," in number or not whole.isdecimal():
        return f"1{number}"
    value = int(whole)
    return f"{chance.choice((value + 1, value * 2 or 2))}{mark}{rest}"


def _plain(text: str) -> str:
    return " ".join(text.split())


def _lines(written: object) -> Iterator[Line]:
    """Yield what has the shape of a line; what a model writes beside is passed over."""
    one = TypeAdapter(Line)
    for each in written if isinstance(written, list) else ():
        try:
            yield one.validate_python(each)
        except ValidationError:
            continue


def _json(text: str) -> object:
    found = re.search(r"\[.*\]", text, re.DOTALL)
    try:
        return json.loads(found[0]) if found else None
    except ValueError:
        return None


def _form() -> BaseTool:
    """Return the tool whose arguments are the structure that a model is to write."""
    from langchain_core.tools import tool

    @tool
    def propose_lines(lines: list[Line]) -> str:
        """Hand in the test questions."""
        return str(len(lines))

    return propose_lines
