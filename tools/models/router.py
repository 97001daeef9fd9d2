"""The LLM router: chooses a model with its reasons, asks it, and falls back when it fails.

Choice and call share what was learnt of each model: a breaker per model keeps one that keeps
failing out of the choice until its cooldown is over.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace

from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, BaseMessage
from langchain_core.runnables import RunnableConfig
from langchain_core.tools import BaseTool

from antiphon.tools.cost import Prices, cost_usd
from antiphon.tools.errors import AntiphonError, ModelRejected, ModelUnavailable
from antiphon.tools.models.catalog import (
    KNOWN,
    LAST_RESORT,
    ModelCard,
    Reply,
    Scored,
    Selection,
    Task,
    Usage,
)
from antiphon.tools.models.providers import vendor_errors
from antiphon.tools.models.scoring import CHEAPEST, FASTEST, Weights, rank, score
from antiphon.tools.resilience import Breaker, Breakers, Switches
from antiphon.tools.tokens import ApproximateCounter, TokenCounter

ALTERNATIVES = 2
"""How many models stand by behind the chosen one (the guide's)."""

UNHEARD: RunnableConfig = {"tags": ["nostream"]}
"""LangGraph streams no tokens of a call tagged so: raw words must not pass the output guard by."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """What came of asking one model: a message, or why there is none."""

    message: AIMessage | None = None
    why: str = ""


class ModelRouter:
    """Chooses among the cards by weighted marks and asks down the fallback chain."""

    def __init__(
        self,
        cards: Sequence[ModelCard],
        *,
        weights: Weights | None = None,
        connect: Callable[[str], BaseChatModel],
        last_resort: BaseChatModel,
        switches: Switches,
        deadline_s: float = 30.0,
        prices: Prices | None = None,
        tokens: TokenCounter | None = None,
        clock: Callable[[], float] = time.monotonic,
        served_by: Sequence[str] = (),
    ) -> None:
        """Take the policy; no model is opened before it is asked.

        Args:
            cards: models on offer; the last resort need not be among them.
            weights: how much cost, latency and quality count.
            connect: opens a model by name; called in a thread when the model is first asked.
            last_resort: answers without a provider when nothing else may.
            switches: what operations turned off; read at each choice.
            deadline_s: how long each try of a model may take.
            prices: list prices for the cards that state none.
            tokens: counts where a provider reports no usage.
            clock: monotonic seconds, for the breakers.
            served_by: what else tells two models of one name apart: a server, a file of weights.
        """
        prices = prices or Prices()
        self._cards = {card.name: prices.fill(card) for card in cards}
        self._weights = weights or Weights()
        self._connect = connect
        self._open: dict[str, BaseChatModel] = {LAST_RESORT: last_resort}
        self._opening = asyncio.Lock()
        self._switches = switches
        self._deadline_s = deadline_s
        self._tokens = tokens or ApproximateCounter()
        self.fingerprint = _fingerprint(
            tuple(self._cards.values()), self._weights, tuple(served_by)
        )
        """Hash of cards, weights and servers: answers under another policy share no cache entry."""
        self._breakers = Breakers(clock=clock)

    def select(self, task: Task) -> Selection:
        """Choose the best suitable model, the one asked for when it is suitable; never none."""
        weights, policy = self._policy(task.tenant)
        shut = {name: why for name in self._cards if (why := self._shut(name, task.tenant))}
        open_cards = [card for card in self._cards.values() if card.name not in shut]
        ranked, unsuitable = rank(open_cards, task, weights)
        excluded = (*(f"{name}: {why}" for name, why in shut.items()), *unsuitable)
        if task.prefer and task.prefer not in self._cards:
            excluded = (*excluded, f"{task.prefer}: not in the catalogue")
        if not ranked:
            return self._nothing_suits(task, weights, excluded)
        asked_for = next((mark for mark in ranked if mark.model == task.prefer), None)
        best = asked_for or ranked[0]
        rest = tuple(mark for mark in ranked if mark is not best)
        return Selection(
            model=best.model,
            reason=_reason(best, rest, policy="asked for" if asked_for else policy),
            score=best.score,
            cost_usd=best.cost_usd,
            latency_s=best.latency_s,
            alternatives=rest[:ALTERNATIVES],
            excluded=excluded,
            tenant=task.tenant,
        )

    async def reply(
        self,
        selection: Selection,
        messages: Sequence[BaseMessage],
        *,
        tools: Sequence[BaseTool] = (),
    ) -> Reply:
        """Ask the selected model, then its alternatives in order.

        Raises:
            ModelUnavailable: the whole chain failed; the message says how each did.
        """
        failed: list[str] = []
        for name in (selection.model, *(mark.model for mark in selection.alternatives)):
            breaker = self._breakers.of(name, selection.tenant)
            attempt = await self._try(name, messages, tools, breaker)
            if attempt.message is not None:
                reply = self._reply(name, messages, attempt.message)
                return replace(reply, failed=tuple(failed))
            failed.append(f"{name}: {attempt.why}")
        raise ModelUnavailable(
            f"no model answered ({'; '.join(failed)})",
            hint="`antiphon doctor` checks the configured models.",
        )

    async def last_resort(self, messages: Sequence[BaseMessage]) -> Reply:
        """Answer without any provider."""
        message = await self._open[LAST_RESORT].ainvoke(list(messages), UNHEARD)
        return self._reply(LAST_RESORT, messages, message)

    def _policy(self, tenant: str) -> tuple[Weights, str]:
        match self._switches.prefer(tenant):
            case "cheap":
                return CHEAPEST, "cheapest"
            case "fast":
                return FASTEST, "fastest"
            case _:
                return self._weights, "best score"

    def _shut(self, name: str, tenant: str) -> str:
        """Return why the model may not be chosen whatever the task, or an empty string."""
        if name == LAST_RESORT:
            return ""
        if self._switches.degraded(tenant):
            return "degraded mode"
        if self._switches.disabled(name, tenant):
            return "switched off"
        if self._breakers.of(name, tenant).state == "open":
            return "circuit open after repeated failures"
        return ""

    def _nothing_suits(self, task: Task, weights: Weights, excluded: tuple[str, ...]) -> Selection:
        mark = score(KNOWN[LAST_RESORT], task, weights)
        why = "; ".join(excluded) or "no model is configured"
        return Selection(
            model=LAST_RESORT,
            reason=f"{LAST_RESORT}: last resort ({why})",
            score=mark.score,
            cost_usd=mark.cost_usd,
            latency_s=mark.latency_s,
            excluded=excluded,
            tenant=task.tenant,
        )

    async def _try(
        self,
        name: str,
        messages: Sequence[BaseMessage],
        tools: Sequence[BaseTool],
        breaker: Breaker,
    ) -> Attempt:
        """Ask one model once and tell its breaker how that went."""
        on_trial = breaker.state == "half_open"
        if not breaker.admit():
            return Attempt(why="circuit open")
        try:
            message = await self._ask(name, messages, tools)
        except ModelRejected as error:
            # The provider is well: it is this request that it will not take.
            breaker.succeed()
            return Attempt(why=f"{error.code} ({error.message})")
        except AntiphonError as error:
            breaker.fail()
            return Attempt(why=f"{error.code} ({error.message})")
        except BaseException:
            # A trial that was cancelled proves nothing, but it must not stay the only one.
            if on_trial:
                breaker.fail()
            raise
        breaker.succeed()
        return Attempt(message=message)

    async def _ask(
        self, name: str, messages: Sequence[BaseMessage], tools: Sequence[BaseTool]
    ) -> AIMessage:
        card = self._cards.get(name)
        with vendor_errors(name):
            async with asyncio.timeout(self._deadline_s):
                model = await self._opened(name)
                if tools and card is not None and "tools" in card.capabilities:
                    bound = model.bind_tools(tools)
                    message = await bound.ainvoke(list(messages), UNHEARD)
                else:
                    message = await model.ainvoke(list(messages), UNHEARD)
        if not message.text.strip() and not message.tool_calls:
            # What was asked may be the cause: the model is not held to be down for it.
            raise ModelRejected(f"{name!r} returned neither words nor tool calls")
        return message

    async def _opened(self, name: str) -> BaseChatModel:
        async with self._opening:
            if name not in self._open:
                # Importing a provider's package or loading weights takes seconds.
                self._open[name] = await asyncio.to_thread(self._connect, name)
            return self._open[name]

    def _reply(self, name: str, messages: Sequence[BaseMessage], message: AIMessage) -> Reply:
        usage = self._usage(messages, message)
        card = self._cards.get(name)
        return Reply(
            message=message,
            model=name,
            usage=usage,
            cost_usd=cost_usd(card, usage) if card else 0.0,
        )

    def _usage(self, messages: Sequence[BaseMessage], message: AIMessage) -> Usage:
        if (reported := message.usage_metadata) is not None:
            return Usage(
                input_tokens=reported["input_tokens"], output_tokens=reported["output_tokens"]
            )
        said = message.text + "".join(json.dumps(call["args"]) for call in message.tool_calls)
        return Usage(
            input_tokens=self._tokens.count_messages(messages),
            output_tokens=self._tokens.count(said),
        )


def _fingerprint(cards: Sequence[ModelCard], weights: Weights, served_by: tuple[str, ...]) -> str:
    policy = {
        "cards": [{**asdict(card), "capabilities": sorted(card.capabilities)} for card in cards],
        "weights": asdict(weights),
        "served_by": served_by,
    }
    return hashlib.sha256(json.dumps(policy, sort_keys=True).encode()).hexdigest()[:16]


def _reason(best: Scored, rest: Sequence[Scored], *, policy: str) -> str:
    told = f"{best.model}: {policy} {_marks(best)}"
    return "; ".join((told, *(f"{mark.model} {_marks(mark)}" for mark in rest[:ALTERNATIVES])))


def _marks(mark: Scored) -> str:
    return (
        f"{mark.score:.2f} (cost {mark.cost:.2f}, latency {mark.latency:.2f},"
        f" quality {mark.quality:.2f})"
    )
