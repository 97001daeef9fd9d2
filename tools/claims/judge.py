"""A language model as the second judge of claims that the first could not settle.

It is asked once for all of an answer's open claims, under a deadline and a budget, and again with
claims and options in reverse where both calls can be paid: a model that prefers a place in a list
then contradicts itself, and nothing is changed. A verdict that is not borne out by a verbatim
quote is not taken. Whatever fails leaves the first judgement as it was.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal, TypeVar

from langchain_core.messages import HumanMessage
from pydantic import BaseModel, ConfigDict, ValidationError

from antiphon.prompts.library import PromptError, Prompts
from antiphon.tools.claims.reader import excerpt
from antiphon.tools.claims.verdict import Judgement, Verdict, Verifier
from antiphon.tools.guards.pace import paced
from antiphon.tools.models.catalog import LAST_RESORT, Models, Reply, Selection, Task
from antiphon.tools.retrieval.analysis import terms
from antiphon.tools.retrieval.citations import MARKERS
from antiphon.tools.retrieval.context import ENTITY, IN_TEXT, UNESCAPED
from antiphon.tools.retrieval.sentences import sentences
from antiphon.tools.tokens import TokenCounter
from antiphon.tools.turns.current import CURRENT

T = TypeVar("T")

PURPOSE = "judge"
"""What its calls are on a turn's account for."""
OPEN: frozenset[Verdict] = frozenset({"unsure", "unverified"})
"""Verdicts that leave something to ask."""
Decided = Literal["supported", "contradicted", "not found"]
OPTIONS: Mapping[Decided, str] = {
    "supported": "the excerpt says what the claim says, perhaps in other words",
    "contradicted": "the excerpt says something that cannot be true if the claim is",
    "not found": "the excerpt does neither",
}
LIKELY: Mapping[Decided, tuple[float, float]] = {
    "supported": (0.9, 0.05),
    "contradicted": (0.05, 0.9),
    "not found": (0.1, 0.1),
}
"""How likely the evidence supports and contradicts a claim that was judged so."""
REASONS: Mapping[Decided, str] = {
    "supported": "a language model finds it in the evidence",
    "contradicted": "a language model finds that the evidence says otherwise",
    "not found": "a language model does not find it in the evidence",
}
FOREIGN_CHARACTERS = 2000
"""Of the evidence that is shown for a claim in another language, whose words pick no sentence."""
QUOTED_WORDS = 3
"""Words from which a quote decides anything: one word stands everywhere."""
CLAIM_TOKENS, SHELL_TOKENS = 60, 30
"""Of a reply: for each claim, and around them."""
LONGEST_REPLY = 8000
"""Characters of a reply that are read."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Budget:
    """What the judge may take."""

    deadline_s: float = 8.0
    """For both calls together."""
    turn_tokens: int = 8000
    """Tokens in and out that a turn may spend on it; of one question where no turn runs."""
    turn_cost_usd: float = 0.01
    """Estimated."""
    twice: bool = True
    """Ask a second time in reverse where both calls fit."""


class _Said(BaseModel):
    """One verdict of a model."""

    model_config = ConfigDict(extra="ignore", strict=True)

    claim: int
    verdict: Decided
    quote: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Open:
    """A claim to ask about, with the evidence it is shown beside."""

    place: int
    claim: str
    shown: str


class JudgedVerifier:
    """Gives the claims that another verifier leaves open to a language model."""

    def __init__(
        self,
        first: Verifier,
        models: Models,
        prompts: Prompts,
        tokens: TokenCounter,
        *,
        model: str,
        budget: Budget | None = None,
    ) -> None:
        """`models`: an `Accounted`, so that calls are on the turn's account; `model`: its judge."""
        self.first = first
        """Judges every claim, without a model."""
        self._models = models
        self._prompts = prompts
        self._tokens = tokens
        self._model = model
        self._budget = budget or Budget()

    async def judge(
        self, claims: Sequence[str], evidence: Sequence[str], *, language: str = "en"
    ) -> tuple[Judgement, ...]:
        """Return a judgement for each claim, in order; at worst those of the first verifier."""
        found = await self.first.judge(claims, evidence, language=language)
        if not evidence or not any(one.verdict in OPEN for one in found):
            return found
        size = sum(map(len, evidence)) + sum(map(len, claims))
        asked = await paced(size, _opened, found, evidence, language)
        answers = await self._answers(asked)
        if not answers:
            return found
        judged = list(found)
        for one in asked:
            said = [answer.get(one.place) for answer in answers]
            judged[one.place] = _changed(found[one.place], said, evidence)
        return tuple(judged)

    async def _answers(self, asked: Sequence[_Open]) -> Sequence[Mapping[int, _Said]]:
        """Return what the model said, once or twice, by claim; nothing where it may not be asked.

        An empty mapping for a call that failed: where two were asked, both have to agree.
        """
        turned = int(hashlib.sha256("\n".join(one.claim for one in asked).encode()).hexdigest(), 16)
        order, options = _rotated(asked, turned), _rotated(list(OPTIONS), turned)
        try:
            prompts = [self._prompt(order, options), self._prompt(order[::-1], options[::-1])]
        except PromptError:
            return ()
        calls = [(prompt, self._selected(prompt, len(asked))) for prompt in prompts]
        if not self._budget.twice or not self._affordable(calls):
            del calls[1:]
            if not self._affordable(calls):
                return ()
        orders = (order, order[::-1])
        try:
            async with asyncio.timeout(self._budget.deadline_s):
                replies = await asyncio.gather(*(self._asked(*call) for call in calls))
        except TimeoutError:
            return ()
        return [_read(reply, shown) for reply, shown in zip(replies, orders, strict=False)]

    def _prompt(self, asked: Sequence[_Open], options: Sequence[Decided]) -> str:
        return self._prompts.render(
            "judge_claims",
            options="\n".join(f"- `{name}`: {OPTIONS[name]}" for name in options),
            items=_fenced(asked),
        )

    def _selected(self, prompt: str, claims: int) -> tuple[Selection, int]:
        """Return the judge for a prompt and the tokens that asking it takes."""
        running = CURRENT.get()
        into = self._tokens.count_messages([HumanMessage(content=prompt)])
        out = SHELL_TOKENS + CLAIM_TOKENS * claims
        task = Task(
            input_tokens=into,
            output_tokens=out,
            max_cost_usd=self._budget.turn_cost_usd,
            prefer=self._model,
            tenant=running.turn.tenant if running else "",
        )
        # No other model stands in for the judge: it is its agreement that was measured.
        return replace(self._models.select(task), alternatives=()), into + out

    def _affordable(self, calls: Sequence[tuple[str, tuple[Selection, int]]]) -> bool:
        """Tell whether the judge is there and what it takes is within the turn's budgets."""
        chosen = [selection for _, (selection, _) in calls]
        if any(one.model != self._model or one.model == LAST_RESORT for one in chosen):
            return False
        spent_tokens, spent_usd, all_usd, limit = 0, 0.0, 0.0, float("inf")
        if (running := CURRENT.get()) is not None:
            before = [call for call in running.spent if call.purpose == PURPOSE]
            spent_tokens = sum(call.input_tokens + call.output_tokens for call in before)
            spent_usd = sum(call.cost_usd for call in before)
            all_usd = sum(call.cost_usd for call in running.spent)
            given = running.turn.knobs.get("max_cost_usd")
            limit = float(given) if isinstance(given, int | float) else limit
        cost = sum(one.cost_usd for one in chosen)
        return (
            spent_tokens + sum(tokens for _, (_, tokens) in calls) <= self._budget.turn_tokens
            and spent_usd + cost <= self._budget.turn_cost_usd
            and all_usd + cost <= limit
        )

    async def _asked(self, prompt: str, choice: tuple[Selection, int]) -> Reply | None:
        # A provider's package may raise anything, and the first judgement is there.
        try:
            return await self._models.reply(choice[0], [HumanMessage(content=prompt)])
        except Exception:  # noqa: BLE001
            return None


def without_model(verifier: Verifier) -> Verifier:
    """Return the verifier that judges without a language model: figures do not vary with it."""
    return verifier.first if isinstance(verifier, JudgedVerifier) else verifier


def _opened(
    found: Sequence[Judgement], evidence: Sequence[str], language: str
) -> tuple[_Open, ...]:
    """Return the claims to ask about, each with what it is shown beside."""
    whole = "\n".join(evidence)
    asked = []
    for place, one in enumerate(found):
        if one.verdict not in OPEN:
            continue
        claim = " ".join(MARKERS.sub("", one.claim).split())
        shown = excerpt(claim, whole, language=language)
        if one.verdict == "unverified":
            shown = " ".join(whole.split())[:FOREIGN_CHARACTERS]
        elif one.quote and (quote := " ".join(one.quote.split())) not in shown:
            shown = f"{shown} {quote}"
        asked.append(_Open(place=place, claim=claim, shown=shown))
    return tuple(asked)


def _rotated(items: Sequence[T], by: int) -> list[T]:
    at = by % len(items)
    return [*items[at:], *items[:at]]


def _fenced(asked: Sequence[_Open]) -> str:
    """Return the claims under the excerpts they are judged by; neither can close the fence."""
    beside: dict[str, list[str]] = {}
    for number, one in enumerate(asked, start=1):
        said = f'<claim number="{number}">{one.claim.translate(IN_TEXT)}</claim>'
        beside.setdefault(one.shown, []).append(said)
    return "\n".join(
        "\n".join(("<item>", f"<excerpt>{shown.translate(IN_TEXT)}</excerpt>", *claims, "</item>"))
        for shown, claims in beside.items()
    )


def _read(reply: Reply | None, shown: Sequence[_Open]) -> dict[int, _Said]:
    """Return the verdicts of a reply by the claims' places, without those that it gives twice."""
    if reply is None:
        return {}
    found: dict[int, _Said] = {}
    twice: set[int] = set()
    for entry in _entries(reply.message.text[:LONGEST_REPLY]):
        try:
            said = _Said.model_validate(entry)
        except ValidationError:
            continue
        if not 1 <= said.claim <= len(shown):
            continue
        place = shown[said.claim - 1].place
        if place in found and found[place].verdict != said.verdict:
            twice.add(place)
        found.setdefault(place, said)
    return {place: said for place, said in found.items() if place not in twice}


def _entries(text: str) -> Iterator[object]:
    """Yield the entries of the first JSON in a reply that lists any, fenced or with words around.

    Where no list is whole, as in a reply that was cut, its entries are read one by one.
    """
    decoder = json.JSONDecoder()
    at = 0
    while (begins := _JSON.search(text, at)) is not None:
        try:
            value, at = decoder.raw_decode(text, begins.start())
        except (ValueError, RecursionError):
            at = begins.end()
            continue
        if isinstance(value, dict) and isinstance(value.get("verdicts"), list):
            yield from value["verdicts"]
        elif isinstance(value, list):
            yield from value
        else:
            yield value


_JSON = re.compile(r"[{\[]")


def _changed(first: Judgement, said: Sequence[_Said | None], evidence: Sequence[str]) -> Judgement:
    """Return the judgement that the model's verdict makes of the first one, or the first one."""
    verdict = said[0].verdict if said[0] is not None else None
    if verdict is None or any(one is None or one.verdict != verdict for one in said):
        return first
    quote = ""
    if verdict != "not found":
        quotes = [_standing(one.quote, evidence) for one in said if one is not None]
        if not all(quotes):
            return first
        quote = quotes[0]
    supported, contradicted = LIKELY[verdict]
    return replace(
        first,
        verdict=verdict,
        reason=REASONS[verdict],
        quote=quote,
        supported=supported,
        contradicted=contradicted,
    )


def _standing(quote: str, evidence: Sequence[str]) -> str:
    """Return the sentences of the evidence in which a quote stands, empty where it does not."""
    said = ENTITY.sub(lambda match: UNESCAPED[match.group()], quote).strip().strip("\"“”'…").strip()
    parts = said.removesuffix("...").split()
    if len(parts) < QUOTED_WORDS or not terms(said):
        return ""
    sought = re.compile(r"\s+".join(map(re.escape, parts)))
    for text in evidence:
        if (match := sought.search(text)) is not None:
            within = [span for span in sentences(text) if _meet(span, match.span())]
            return text[within[0][0] : within[-1][1]] if within else match.group()
    return ""


def _meet(one: tuple[int, int], other: tuple[int, int]) -> bool:
    return one[0] < other[1] and other[0] < one[1]
