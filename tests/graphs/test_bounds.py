"""What a turn may do at most, and what a model hears of what it may not."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from fakes import ACTION, FakeIntents, FakeModels, FakeToolbox, Opening, fake_services
from langchain_core.messages import AIMessage, BaseMessage
from langchain_core.tools import BaseTool, tool
from pydantic import JsonValue

from antiphon.graphs.compiled import MOST_STEPS
from antiphon.nodes.act import MAX_CALLS, MAX_ROUNDS
from antiphon.nodes.state import Context
from antiphon.tools.models import Reply, Selection
from antiphon.tools.toolbox import Plan, ToolCall, ToolSpec

ME = Context(tenant="acme", user="alice")


@tool
def store_hours(order_id: str) -> str:
    """Tell when the store is open."""
    return "9 to 5"


@dataclass
class Orders(FakeToolbox):
    """Takes any order that has a number; each is a call of its own."""

    def specs(self) -> Sequence[ToolSpec]:
        return (*super().specs(), ToolSpec(tool=store_hours))

    def validate(self, name: str, arguments: dict[str, JsonValue], *, turn: str) -> Plan:
        order = str(arguments.get("order_id", ""))
        if not order.startswith("LL-"):
            return Plan(rejected=(f"{name}: {order!r} is no order",))
        call = ToolCall(
            id=f"{order}-{turn}", name=name, arguments=arguments, idempotency_key=f"{order}-{turn}"
        )
        return Plan(calls=(call,))


@dataclass
class Calling(FakeModels):
    """A model that asks for the given calls, one list a round, and then answers."""

    name: str = "openai:some"
    rounds: list[list[tuple[str, str]]] = field(default_factory=list)
    chose: list[str] = field(default_factory=list)
    """What it read each time it could choose."""

    async def reply(
        self,
        selection: Selection,
        messages: Sequence[BaseMessage],
        *,
        tools: Sequence[BaseTool] = (),
    ) -> Reply:
        reply = replace(await super().reply(selection, messages), model=self.name)
        if not tools:
            return reply
        self.chose.append("\n".join(message.text for message in messages))
        calls = self.rounds.pop(0) if self.rounds else []
        asked = [
            {"name": name, "args": {"order_id": order}, "id": f"c{place}"}
            for place, (name, order) in enumerate(calls)
        ]
        return replace(reply, message=AIMessage(content=self.says, tool_calls=asked))


async def test_a_model_that_asks_for_seventy_calls_gets_five(opening: Opening) -> None:
    """Each message is cut to what may run, it hears why, and the rounds have an end."""
    greedy = [[("note_return", f"LL-{turn}-{n}") for n in range(70)] for turn in range(20)]
    box, models = Orders(), Calling(rounds=greedy)
    talk = await opening(fake_services(intents=FakeIntents([ACTION]), toolbox=box, models=models))
    turn = await talk.ask("send them all back", context=ME)
    assert turn.outcome == "answered"
    assert len(box.ran) == MAX_CALLS * MAX_ROUNDS
    assert turn.path.count("choose_tools") == MAX_ROUNDS + 1
    assert len(turn.path) < MOST_STEPS / 3
    assert len(models.chose) == MAX_ROUNDS
    assert f"at most {MAX_CALLS} calls" in models.chose[1]


async def test_a_refused_call_comes_back_with_the_reason(opening: Opening) -> None:
    """The model learns why and may ask again, rightly."""
    box = Orders()
    models = Calling(rounds=[[("note_return", "my lamp")], [("note_return", "LL-7")]])
    talk = await opening(fake_services(intents=FakeIntents([ACTION]), toolbox=box, models=models))
    turn = await talk.ask("send it back", context=ME)
    assert "'my lamp' is no order" in models.chose[1]
    assert [call.arguments["order_id"] for call in box.ran] == ["LL-7"]
    assert turn.path[5:9] == ("choose_tools", "choose_tools", "call_tools", "choose_tools")


async def test_a_tool_that_was_not_offered_is_refused_with_the_reason(opening: Opening) -> None:
    """What the intent does not allow is not run, and the model hears that it is not on offer."""
    box = Orders()
    models = Calling(rounds=[[("note_return", "LL-7")]])
    hours = replace(ACTION, tools=("store_hours",))
    talk = await opening(fake_services(intents=FakeIntents([hours]), toolbox=box, models=models))
    await talk.ask("when are you open?", context=ME)
    assert "not offered" in models.chose[1]
    assert box.ran == []


async def test_a_model_that_never_asks_rightly_is_given_up(opening: Opening) -> None:
    """After its rounds the question is looked up like any other."""
    box = Orders()
    models = Calling(rounds=[[("note_return", "?")]] * 20)
    talk = await opening(fake_services(intents=FakeIntents([ACTION]), toolbox=box, models=models))
    turn = await talk.ask("send it back", context=ME)
    assert len(models.chose) == MAX_ROUNDS
    assert "retrieve_context" in turn.path
    assert (turn.outcome, box.ran) == ("answered", [])


async def test_a_second_action_is_not_planned_while_one_waits(opening: Opening) -> None:
    """One question at a time: the model is told that another action waits."""
    box = Orders(approval=True)
    models = Calling(rounds=[[("note_return", "LL-7")], [("note_return", "LL-8")]])
    talk = await opening(fake_services(intents=FakeIntents([ACTION]), toolbox=box, models=models))
    first = await talk.ask("send it back", context=ME, thread="t")
    second = await talk.ask("and the other one too", context=ME, thread="t")
    assert "another action waits" in models.chose[2]
    assert (first.interrupt, box.ran) == (second.interrupt, [])
