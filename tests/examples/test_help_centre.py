from __future__ import annotations

import importlib.util
import json
import re
from collections import Counter
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from types import ModuleType

import pytest
from langchain_core.tools import BaseTool, ToolException

from antiphon.evals.golden import Example, load_golden
from antiphon.graphs.assistant import load_assistant

FOLDER = Path(__file__).parents[2] / "examples" / "help_centre"
KNOWLEDGE = FOLDER / "knowledge"
PAGES = sorted(KNOWLEDGE.glob("*.md"))
GOLDEN = load_golden(FOLDER / "golden.jsonl")
LEAST = {
    "answerable": 28,
    "unanswerable": 8,
    "ambiguous": 5,
    "multi_turn": 6,
    "tool": 8,
    "pii": 5,
    "injection": 5,
    "small_talk": 3,
    "near_miss": 60,
    "condition": 8,
    "language": 4,
    "benign": 6,
}
FRONT = re.compile(r"\A---\ntitle: .+\nupdated: (\d{4}-\d\d-\d\d)\n---\n# \S")


def load_module() -> ModuleType:
    """Load tools.py by its path, under a name of its own."""
    spec = importlib.util.spec_from_file_location("help_centre_tools", FOLDER / "tools.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def tools() -> ModuleType:
    """The sample's tools, loaded by path as a stranger would."""
    return load_module()


def run(tools: ModuleType, name: str, arguments: dict[str, str], **configurable: str) -> object:
    """Call a tool as the runtime does, with what it knows of the caller."""
    tool: BaseTool = getattr(tools, name)
    return tool.invoke(arguments, {"configurable": dict(configurable)})


def with_sources() -> Iterator[Example]:
    """Return the examples that expect a page to be cited."""
    return (example for example in GOLDEN if example.expected.sources)


def test_the_assistant_declares_only_what_exists(tools: ModuleType) -> None:
    """The file loads; each tool stands in tools.py, and each intent uses declared tools only."""
    assistant = load_assistant(FOLDER)
    names = {tool.path.partition(":")[2] for tool in assistant.tools}

    assert {type(getattr(tools, name)).__name__ for name in names} == {"StructuredTool"}
    for intent in assistant.intents.declared:
        assert set(intent.tools) <= names
        assert 8 <= len(intent.examples) <= 20
        assert intent.needs or intent.replies


def test_no_utterance_stands_for_two_intents() -> None:
    """The same words never teach two meanings."""
    intents = load_assistant(FOLDER).intents.declared
    said = Counter(example.casefold() for intent in intents for example in intent.examples)

    assert [example for example, count in said.items() if count > 1] == []


def test_whatever_changes_something_asks_first() -> None:
    """Each tool with side effects needs approval and honours an idempotency key."""
    changing = [tool for tool in load_assistant(FOLDER).tools if tool.side_effects]

    assert [(tool.approval, tool.idempotent) for tool in changing] == [(True, True)]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_every_page_says_what_it_is_and_how_old(page: Path) -> None:
    """A page opens with its title and its date, and is of a readable length."""
    text = page.read_text(encoding="utf-8")
    front = FRONT.match(text)

    assert front is not None
    assert date.fromisoformat(front[1]) < date(2027, 1, 1)
    assert 150 <= len(text.split()) <= 500


def test_there_are_pages_enough_to_get_lost_in() -> None:
    """The knowledge holds at least 28 pages, two of them superseded."""
    superseded = [page.name for page in PAGES if "(superseded)" in page.read_text("utf-8")]

    assert len(PAGES) >= 28
    assert superseded == ["returns-policy-2024.md", "warranty-2023.md"]


def test_the_golden_set_is_balanced() -> None:
    """Every kind of conversation is asked often enough to mean something."""
    counts = Counter(example.kind for example in GOLDEN)

    assert len(GOLDEN) >= 150
    assert {kind for kind, least in LEAST.items() if counts[kind] < least} == set()
    assert set(counts) == set(LEAST)


def test_multi_turn_examples_have_several_turns() -> None:
    """Only the multi-turn examples send more than one message."""
    assert {example.kind for example in GOLDEN if len(example.questions) > 1} == {"multi_turn"}
    assert {len(e.questions) > 1 for e in GOLDEN if e.kind == "multi_turn"} == {True}


@pytest.mark.parametrize("example", list(with_sources()), ids=lambda example: example.id)
def test_expected_facts_stand_in_the_expected_sources(example: Example) -> None:
    """What an answer must say can be found in a page that it must cite."""
    pages = [(KNOWLEDGE / source).read_text("utf-8") for source in example.expected.sources]

    for wordings in example.expected.facts:
        found = [word for word in wordings for page in pages if word.casefold() in page.casefold()]
        assert found, wordings


def test_what_must_not_be_said_is_not_asked_for() -> None:
    """No reference says what its own line forbids, and none leaves out a fact that it demands."""
    for example in GOLDEN:
        said = f" {example.reference.casefold()} "
        assert [word for word in example.expected.absent if word.casefold() in said] == []
        near = example.kind in ("near_miss", "condition", "language", "benign")
        for wordings in example.expected.facts if near else ():
            assert [word for word in wordings if word.casefold() in said], (example.id, wordings)


def test_questions_are_not_copied_from_the_intents() -> None:
    """The golden set asks in other words than those the intents were taught with."""
    intents = load_assistant(FOLDER).intents.declared
    taught = {example.casefold().strip("?!. ") for each in intents for example in each.examples}
    asked = {e.id: e.questions[-1].casefold().strip("?!. ") for e in GOLDEN}

    assert [key for key, question in asked.items() if question in taught and key != MERELY] == []


MERELY = "multi-turn-order-number-follow-up"
"""Its last message is an order number alone: there is no other way to put it."""


def test_every_order_is_well_formed(tools: ModuleType) -> None:
    """Each sample order has a number of the declared shape, used once, and the tool finds it."""
    orders = json.loads((FOLDER / "orders.json").read_text("utf-8"))
    numbers = [order["order_id"] for order in orders]

    assert len(numbers) >= 12
    assert len(set(numbers)) == len(numbers)
    for order in orders:
        found = run(
            tools, "order_lookup", {"order_id": order["order_id"]}, user=order.get("user", "")
        )
        assert found == order


def test_the_order_number_is_checked_by_the_schema(tools: ModuleType) -> None:
    """The pattern of order numbers and the reasons for a return are in the tools' schemas."""
    properties = tools.return_request.tool_call_schema.model_json_schema()["properties"]

    assert properties["order_id"]["pattern"] == r"^LL-\d{5}$"
    assert "damaged" in properties["reason"]["enum"]
    assert "config" not in properties


@pytest.mark.parametrize(
    ("order_id", "user"),
    [
        pytest.param("LL-99999", "robin", id="never-was"),
        pytest.param("LL-20003", "robin", id="someone-elses"),
        pytest.param("LL-20003", "", id="signed-out"),
    ],
)
def test_an_order_that_is_not_yours_does_not_exist(
    tools: ModuleType, order_id: str, user: str
) -> None:
    """An unknown order and someone else's are refused in the same words."""
    with pytest.raises(ToolException, match=f"There is no order {order_id}"):
        run(tools, "order_lookup", {"order_id": order_id}, user=user)


def test_the_same_key_opens_one_return(tools: ModuleType, tmp_path: Path) -> None:
    """A retry with the same idempotency key gets the same number; another key opens another."""
    arguments = {"order_id": "LL-10482", "reason": "damaged"}
    known = {"tenant": "default", "data_dir": str(tmp_path)}

    first = run(tools, "return_request", arguments, idempotency_key="one", **known)
    again = run(tools, "return_request", arguments, idempotency_key="one", **known)
    other = run(tools, "return_request", arguments, idempotency_key="two", **known)

    assert first == again
    assert first != other
    assert len(list(tmp_path.rglob("*.json"))) == 2


def test_a_return_leaves_no_trace_elsewhere(tools: ModuleType, tmp_path: Path) -> None:
    """Without a data folder nothing is recorded, and the customer is told so."""
    arguments = {"order_id": "LL-10482", "reason": "damaged"}

    with pytest.raises(ToolException, match="Nothing was changed"):
        run(tools, "return_request", arguments, idempotency_key="one")
    assert list(tmp_path.iterdir()) == []


def test_only_delivered_orders_can_be_returned(tools: ModuleType, tmp_path: Path) -> None:
    """A return of an order that is still on its way is refused, and nothing is recorded."""
    arguments = {"order_id": "LL-10483", "reason": "other"}

    with pytest.raises(ToolException, match="in transit, so it cannot be returned yet"):
        run(tools, "return_request", arguments, idempotency_key="k", data_dir=str(tmp_path))
    assert list(tmp_path.iterdir()) == []


def test_opening_hours_for_a_day_and_for_the_week(tools: ModuleType) -> None:
    """A day gives that day's hours, no day all seven."""
    sunday = run(tools, "store_hours", {"city": "Tidehaven", "day": "Sunday"})
    week = run(tools, "store_hours", {"city": "Tidehaven"})

    assert sunday == {"city": "Tidehaven", "hours": "Sunday 11:00-16:00"}
    assert isinstance(week, dict)
    assert week["hours"].count(",") == 6
