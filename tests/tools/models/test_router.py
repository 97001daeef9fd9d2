"""The router chooses with reasons, falls back in order, and never comes back empty-handed."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from typing import TypedDict

import pytest
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, HumanMessage
from langchain_core.tools import tool
from langgraph.graph import END, START, StateGraph

from antiphon.tools.errors import KeyMissing, ModelUnavailable, UnknownModel
from antiphon.tools.models import LAST_RESORT, ModelCard, Models, Reply, Task, Usage
from antiphon.tools.models.catalog import KNOWN, Capability
from antiphon.tools.models.fake import Line, ScriptedModel
from antiphon.tools.models.router import ModelRouter
from antiphon.tools.models.scoring import Weights
from antiphon.tools.resilience import Switch, Switches

PROMPT = [HumanMessage("Where is my order?")]
TASK = Task(input_tokens=1000, output_tokens=100)


def card(
    name: str,
    *,
    usd: float = 1.0,
    tokens_per_s: float = 100.0,
    quality: float = 0.5,
    capabilities: frozenset[Capability] = frozenset({"chat", "tools"}),
) -> ModelCard:
    """Return a card that takes 1 s for 100 tokens and costs little."""
    return ModelCard(
        name=name,
        context_tokens=8192,
        input_usd_per_mtok=usd,
        output_usd_per_mtok=usd,
        first_token_s=0.0,
        tokens_per_s=tokens_per_s,
        quality=quality,
        capabilities=capabilities,
    )


GOOD, FAIR, POOR = card("good", quality=0.9), card("fair", quality=0.6), card("poor", quality=0.3)


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


class Bench:
    """A router over scripted models, with its clock and switches at hand."""

    def __init__(
        self,
        cards: Sequence[ModelCard] = (GOOD, FAIR, POOR),
        *,
        deadline_s: float = 5.0,
        **scripts: Sequence[Line],
    ) -> None:
        self.clock, self.switches = Clock(), Switches()
        self.models = {name: ScriptedModel(lines) for name, lines in scripts.items()}
        self.spare = ScriptedModel(["quoted"] * 9)
        self.router = ModelRouter(
            cards,
            connect=self.connect,
            last_resort=self.spare,
            switches=self.switches,
            deadline_s=deadline_s,
            clock=self.clock,
        )

    def connect(self, name: str) -> BaseChatModel:
        if name not in self.models:
            raise UnknownModel(f"there is no model {name!r}")
        return self.models[name]

    def throw(self, switch: Switch) -> None:
        self.switches.thrown = frozenset({switch})

    async def ask(self, task: Task = TASK) -> Reply:
        return await self.router.reply(self.router.select(task), PROMPT)


def test_it_fulfils_the_protocol() -> None:
    """The router is what a conversation asks for."""
    models: Models = Bench().router

    assert models.select(TASK).model == "good"


def test_the_choice_carries_its_reasons_and_understudies() -> None:
    """Best score first, two stand by, and the marks can be read in the reason."""
    cards = (POOR, card("also"), GOOD, FAIR)

    chosen = Bench(cards).router.select(TASK)

    assert chosen.model == "good"
    assert [mark.model for mark in chosen.alternatives] == ["fair", "also"]
    # cost 1 - 0.0011/0.10, latency 1 - 1/10
    assert chosen.score == pytest.approx(0.4 * 0.989 + 0.3 * 0.9 + 0.3 * 0.9)
    assert chosen.reason.startswith(
        "good: best score 0.94 (cost 0.99, latency 0.90, quality 0.90); fair 0.85 ("
    )


def test_a_model_asked_for_wins_when_it_is_suitable() -> None:
    """The caller's wish outranks the score and is named as the reason."""
    chosen = Bench().router.select(Task(input_tokens=10, output_tokens=10, prefer="poor"))

    assert chosen.model == "poor"
    assert "asked for" in chosen.reason
    assert [mark.model for mark in chosen.alternatives] == ["good", "fair"]


def test_a_model_asked_for_in_vain_is_explained() -> None:
    """An unsuitable or unlisted wish gives the best other model and says why."""
    unsuitable = Bench().router.select(
        Task(input_tokens=10, output_tokens=10, prefer="poor", min_quality=0.5)
    )
    unlisted = Bench().router.select(Task(input_tokens=10, output_tokens=10, prefer="none"))

    assert (unsuitable.model, unlisted.model) == ("good", "good")
    assert unsuitable.excluded == ("poor: quality 0.30 is below 0.50",)
    assert unlisted.excluded == ("none: not in the catalogue",)


def test_a_disabled_model_is_not_chosen() -> None:
    """What an incident switches off is out at the next choice of the tenant's."""
    bench = Bench()
    bench.throw(Switch(name="disabled_models", item="good"))

    chosen = bench.router.select(TASK)

    assert chosen.model == "fair"
    assert chosen.excluded == ("good: switched off",)


def test_degraded_mode_leaves_the_last_resort_alone() -> None:
    """In degraded mode no provider is chosen, whatever is asked for."""
    bench = Bench((GOOD, KNOWN[LAST_RESORT]))
    bench.throw(Switch(name="degraded"))

    chosen = bench.router.select(Task(input_tokens=10, output_tokens=10, prefer="good"))

    assert chosen.model == LAST_RESORT
    assert chosen.excluded == ("good: degraded mode",)
    assert chosen.alternatives == ()


@pytest.mark.parametrize(
    ("switch", "expected"),
    [(Switch(name="prefer_cheap"), "cheap"), (Switch(name="prefer_fast"), "fast")],
    ids=["cheap", "fast"],
)
def test_an_incident_may_narrow_the_weights(switch: Switch, expected: str) -> None:
    """On a cost spike price alone decides, on high latency speed alone."""
    cards = (
        card("good", usd=9.0, tokens_per_s=50.0, quality=1.0),
        card("cheap", usd=0.1, tokens_per_s=20.0, quality=0.1),
        card("fast", usd=9.0, tokens_per_s=500.0, quality=0.1),
    )
    bench = Bench(cards)
    bench.throw(switch)

    chosen = bench.router.select(TASK)

    assert chosen.model == expected


@pytest.mark.parametrize(
    "switch",
    [
        Switch(name="degraded", tenant="acme"),
        Switch(name="prefer_cheap", tenant="acme"),
        Switch(name="prefer_fast", tenant="acme"),
        Switch(name="disabled_models", item="good", tenant="acme"),
    ],
    ids=lambda switch: switch.name,
)
def test_a_tenants_incident_narrows_the_choice_for_that_tenant_alone(switch: Switch) -> None:
    """Whoever is not hit keeps the choice they had."""
    cards = (GOOD, card("cheap", usd=0.0, tokens_per_s=900.0, quality=0.0))
    bench = Bench(cards)
    before = bench.router.select(replace(TASK, tenant="acme"))
    bench.throw(switch)

    assert bench.router.select(replace(TASK, tenant="acme")) != before
    for tenant in ("other", ""):
        same = bench.router.select(replace(TASK, tenant=tenant))
        assert replace(same, tenant="acme") == before


def test_when_nothing_suits_the_last_resort_is_chosen() -> None:
    """No suitable model is still an answer, with the reasons."""
    chosen = Bench((POOR,)).router.select(Task(input_tokens=9000, output_tokens=1))

    assert chosen.model == LAST_RESORT
    assert chosen.cost_usd == 0.0
    assert chosen.excluded == ("poor: needs 9001 tokens of context, has 8192",)
    assert "needs 9001 tokens" in chosen.reason


async def test_an_empty_catalogue_still_answers() -> None:
    """Without any card the last resort speaks."""
    reply = await Bench(()).ask()

    assert (reply.model, reply.message.text, reply.cost_usd) == (LAST_RESORT, "quoted", 0.0)


async def test_reported_usage_is_what_is_paid() -> None:
    """Tokens come from the provider, dollars from the card."""
    said = AIMessage(
        "On its way.",
        usage_metadata={"input_tokens": 2000, "output_tokens": 500, "total_tokens": 2500},
    )

    reply = await Bench(good=[said]).ask()

    assert reply.usage == Usage(input_tokens=2000, output_tokens=500)
    assert reply.cost_usd == pytest.approx(0.0025)
    assert (reply.model, reply.failed) == ("good", ())


async def test_usage_is_estimated_when_none_is_reported() -> None:
    """A silent provider is counted at four characters a token."""
    reply = await Bench(good=["On its way."]).ask()

    assert reply.usage == Usage(input_tokens=3 + 5, output_tokens=3)


async def test_failures_fall_through_in_order() -> None:
    """Each failed model is named with the reason, and the next one answers."""
    bench = Bench(good=[ConnectionError("reset")], fair=[AIMessage("  ")], poor=["Here."])

    reply = await bench.ask()

    assert reply.model == "poor"
    assert reply.failed == (
        "good: model_unavailable ('good' failed (ConnectionError))",
        "fair: model_rejected ('fair' returned neither words nor tool calls)",
    )


async def test_a_model_that_cannot_be_opened_is_passed_over() -> None:
    """A missing key or an unknown name fails that model, not the turn."""
    bench = Bench(fair=[KeyMissing("no key")], poor=["Here."])

    reply = await bench.ask()

    assert reply.model == "poor"
    assert [why.split(" (")[0] for why in reply.failed] == [
        "good: unknown_model",
        "fair: key_missing",
    ]


async def test_a_chain_that_fails_whole_says_how() -> None:
    """With nobody left the error lists every try."""
    bench = Bench((GOOD, FAIR), good=[OSError()], fair=[OSError()])

    with pytest.raises(ModelUnavailable, match=r"good: .*; fair: ") as raised:
        await bench.ask()

    assert raised.value.retryable


async def test_a_slow_model_is_cut_off() -> None:
    """Each try has its deadline; the next model then answers."""
    bench = Bench((GOOD, FAIR), deadline_s=0.05, good=["late"], fair=["in time"])
    bench.models["good"].delay_s = 5.0

    reply = await bench.ask()

    assert reply.message.text == "in time"
    assert reply.failed == ("good: model_unavailable ('good' did not answer in time)",)


async def test_a_breaker_opens_after_five_failures_and_lets_one_trial_through() -> None:
    """A failing model leaves the choice, and comes back when its trial succeeds."""
    bench = Bench((GOOD, FAIR), good=[*[OSError()] * 5, "back"], fair=["spare"] * 5)

    for _ in range(5):
        assert (await bench.ask()).model == "fair"
    while_open = bench.router.select(TASK)
    bench.clock.now += 31
    trial = await bench.ask()

    assert while_open.model == "fair"
    assert while_open.excluded == ("good: circuit open after repeated failures",)
    assert (trial.model, trial.message.text) == ("good", "back")
    assert bench.router.select(TASK).model == "good"


async def test_a_model_that_fails_one_tenant_is_asked_for_another() -> None:
    """Who brings failures about meets them alone; an outage of all is an incident's to say."""
    bench = Bench((GOOD, FAIR), good=[*[OSError()] * 5, "well"], fair=["spare"] * 6)
    for _ in range(6):
        assert (await bench.ask(replace(TASK, tenant="rival"))).model == "fair"
    assert (await bench.ask(replace(TASK, tenant="acme"))).model == "good"


async def test_a_selection_made_before_the_breaker_opened_does_not_call() -> None:
    """An open breaker stops the call itself, not only the choice."""
    bench = Bench((GOOD, FAIR), good=[OSError()] * 5, fair=["spare"] * 6)
    early = bench.router.select(TASK)
    for _ in range(5):
        await bench.ask()

    reply = await bench.router.reply(early, PROMPT)

    assert reply.failed == ("good: circuit open",)
    assert len(bench.models["good"].prompts) == 5


async def test_a_refused_request_does_not_open_the_breaker() -> None:
    """One caller's bad requests must not take the model from everybody."""

    class Refused(Exception):
        status_code = 400

    bench = Bench((GOOD, FAIR), good=[*[Refused()] * 6, "well"], fair=["spare"] * 6)

    for _ in range(6):
        assert (await bench.ask()).model == "fair"

    assert (await bench.ask()).model == "good"


async def test_cancellation_passes_through_and_frees_the_trial() -> None:
    """A caller that goes away is no failure of the model, and another trial can come."""
    bench = Bench((GOOD,), good=[*[OSError()] * 5, "back"])
    for _ in range(5):
        with pytest.raises(ModelUnavailable):
            await bench.router.reply(bench.router.select(TASK), PROMPT)
    bench.clock.now += 31
    bench.models["good"].delay_s = 5.0
    going_away = asyncio.create_task(bench.ask())
    await asyncio.sleep(0.05)
    going_away.cancel()
    with pytest.raises(asyncio.CancelledError):
        await going_away

    bench.models["good"].delay_s = 0.0
    bench.clock.now += 31

    assert (await bench.ask()).message.text == "back"


@tool
def look_up(order: str) -> str:
    """Find an order."""
    return order


async def test_tools_are_bound_where_the_model_can_call_them() -> None:
    """A model that cannot call tools gets none; a tool call without words is an answer."""
    call = AIMessage("", tool_calls=[{"name": "look_up", "args": {"order": "7"}, "id": "c1"}])
    plain = card("plain", capabilities=frozenset({"chat"}))
    bench = Bench((GOOD, plain), good=[call], plain=["No tools here."])

    by_tools = await bench.router.reply(bench.router.select(TASK), PROMPT, tools=[look_up])
    wish = Task(input_tokens=9, output_tokens=9, prefer="plain")
    by_words = await bench.router.reply(bench.router.select(wish), PROMPT, tools=[look_up])

    assert by_tools.message.tool_calls[0]["name"] == "look_up"
    assert bench.models["good"].tools == ["look_up"]
    assert by_words.message.text == "No tools here."
    assert bench.models["plain"].tools == []


async def test_a_model_is_opened_once() -> None:
    """Opening takes seconds, so what was opened is kept, also under concurrent first calls."""
    opened: list[str] = []

    def connect(name: str) -> BaseChatModel:
        opened.append(name)
        return ScriptedModel(["a", "b"])

    router = ModelRouter((GOOD,), connect=connect, last_resort=ScriptedModel(), switches=Switches())
    chosen = router.select(TASK)

    await asyncio.gather(router.reply(chosen, PROMPT), router.reply(chosen, PROMPT))

    assert opened == ["good"]


async def test_no_raw_token_leaves_a_graph() -> None:
    """Streaming a graph's messages shows nothing of a model's words before the output guard."""

    class Turn(TypedDict):
        draft: str

    bench = Bench(good=["secret draft"])

    async def respond(state: Turn) -> Turn:
        return {"draft": (await bench.ask()).message.text}

    graph = StateGraph(Turn).add_node("respond", respond)
    app = graph.add_edge(START, "respond").add_edge("respond", END).compile()

    told = [part async for part in app.astream({"draft": ""}, stream_mode="messages")]

    assert told == []
    assert len(bench.models["good"].prompts) == 1


def test_the_fingerprint_tells_policies_apart() -> None:
    """Equal cards and weights share it; any other card, weight or server does not."""
    same, other = Bench().router, Bench((GOOD, FAIR)).router
    weighed = ModelRouter(
        (GOOD, FAIR, POOR),
        weights=Weights(cost=0.5),
        connect=Bench().connect,
        last_resort=ScriptedModel(),
        switches=Switches(),
    )
    elsewhere = ModelRouter(
        (GOOD, FAIR, POOR),
        connect=Bench().connect,
        last_resort=ScriptedModel(),
        switches=Switches(),
        served_by=("http://127.0.0.1:8080/v1",),
    )

    assert same.fingerprint == Bench().router.fingerprint
    routers = (same, other, weighed, elsewhere)
    assert len({router.fingerprint for router in routers}) == len(routers)
