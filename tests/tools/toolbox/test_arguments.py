"""Arguments are read from plain sentences by their schema."""

from __future__ import annotations

import random
import time
from datetime import date
from typing import Any

import pytest
from langchain_core.tools import StructuredTool
from pydantic import JsonValue

from antiphon.tools.toolbox.arguments import answer, extract
from antiphon.tools.toolbox.schema import Argument, arguments_of

TODAY = date(2026, 5, 6)  # a Wednesday
ORDER = Argument(name="order_id", kind="string", required=True, pattern=r"^[A-Z]-\d{4}$")
COUNT = Argument(name="quantity", kind="integer", required=True, minimum=1, maximum=20)
LIMIT = Argument(name="limit", kind="integer", description="How many orders to list")
WEIGHT = Argument(name="weight", kind="number", required=True)
WEIGHTS = Argument(name="weights", kind="array", items=WEIGHT)
TOPIC = Argument(name="topic", kind="string", required=True, choices=("refund", "delivery"))
SPEED = Argument(name="speed", kind="string", choices=("express", "express_plus", "standard"))
TOPICS = Argument(name="topics", kind="array", items=TOPIC)
ORDERS = Argument(name="orders", kind="array", items=ORDER)
EMAIL = Argument(name="email", kind="string", required=True, format="email")
DAY = Argument(name="day", kind="string", required=True, format="date")
REASON = Argument(name="reason", kind="string", required=True)
GIFT = Argument(name="gift_wrap", kind="boolean")
CITY = Argument(name="city", kind="string", required=True)
QUERY = Argument(name="query", kind="string", required=True)
COLOUR = Argument(name="shade", kind="string", examples=("dark red", "sky blue"))


@pytest.mark.parametrize(
    ("argument", "text", "expected"),
    [
        pytest.param(ORDER, "where is A-1001?", "A-1001", id="pattern"),
        pytest.param(ORDER, "where is a-1001", "A-1001", id="pattern in the wrong case"),
        pytest.param(ORDER, "where is BA-10012", None, id="pattern inside a longer word"),
        pytest.param(COUNT, "send me 3 of them", 3, id="digits"),
        pytest.param(COUNT, "send me Three of them", 3, id="number word"),
        pytest.param(COUNT, "send me 300 of them", None, id="number out of range"),
        pytest.param(COUNT, "it weighs 2.5 kilos", None, id="fraction for an integer"),
        pytest.param(WEIGHT, "1e999 kilos", None, id="exponent"),
        pytest.param(WEIGHT, "9" * 31 + " kilos", None, id="more digits than a number has"),
        pytest.param(WEIGHT, "1" + ",000" * 11 + " kilos", None, id="more groups of digits"),
        pytest.param(WEIGHT, "2." + "9" * 31 + " kilos", None, id="more decimals"),
        pytest.param(WEIGHT, "9" * 30 + " kilos", int("9" * 30), id="as many digits as may be"),
        pytest.param(WEIGHT, "9" * 400 + " or 3 kilos", 3, id="a number beside a huge one"),
        pytest.param(WEIGHTS, "1,2,3", [1, 2, 3], id="a list without spaces"),
        pytest.param(WEIGHTS, "1,000,2 and 12,3456", [1000, 2, 12, 3456], id="groups and none"),
        pytest.param(LIMIT, "list my last 3 orders", 3, id="optional number spoken of"),
        pytest.param(LIMIT, "I am 30 and want help", None, id="optional number of something else"),
        pytest.param(TOPIC, "I want two Refunds", "refund", id="plural choice"),
        pytest.param(TOPIC, "when is it delivered? about delivery", "delivery", id="choice"),
        pytest.param(TOPIC, "my refunded item", "refund", id="inflected choice"),
        pytest.param(SPEED, "by express plus please", "express_plus", id="longest choice"),
        pytest.param(TOPICS, "a delivery and a refund", ["delivery", "refund"], id="many choices"),
        pytest.param(ORDERS, "A-1001 and B-2002", ["A-1001", "B-2002"], id="many patterns"),
        pytest.param(EMAIL, "write to ada@example.com.", "ada@example.com", id="email"),
        pytest.param(EMAIL, "write to <EMAIL_1> please", "<EMAIL_1>", id="masked email"),
        pytest.param(DAY, "on 2026-07-01", "2026-07-01", id="ISO date"),
        pytest.param(DAY, "on 3 July", "2026-07-03", id="day and month"),
        pytest.param(DAY, "on March 1st", "2027-03-01", id="a month that is past"),
        pytest.param(DAY, "tomorrow", "2026-05-07", id="tomorrow"),
        pytest.param(DAY, "next Monday", "2026-05-11", id="weekday"),
        pytest.param(DAY, "in 2 weeks", "2026-05-20", id="in two weeks"),
        pytest.param(DAY, "on 31 February", None, id="no such day"),
        pytest.param(DAY, "the market 3 on money", None, id="words that begin like dates"),
        pytest.param(REASON, "cancel it because it is late.", "it is late", id="because"),
        pytest.param(REASON, "cancel it, reason: too big", "too big", id="labelled"),
        pytest.param(REASON, "it came late because of snow\nThanks", "snow", id="over two lines"),
        pytest.param(REASON, "since it is 3.5 kg too heavy!", "it is 3.5 kg too heavy", id="3.5"),
        pytest.param(REASON, "cancel it", None, id="no reason"),
        pytest.param(GIFT, "with gift wrap", True, id="flag"),
        pytest.param(GIFT, "without gift wrapping", False, id="flag denied"),
        pytest.param(GIFT, "send it", None, id="flag unsaid"),
        pytest.param(CITY, "the weather in New York today", "New York", id="place"),
        pytest.param(CITY, "city: Oslo", "Oslo", id="name and value"),
        pytest.param(COLOUR, "I like Dark Red", "dark red", id="example"),
        pytest.param(QUERY, "return policy for shoes", "return policy for shoes", id="query"),
        pytest.param(REASON, 'say "too late" to them', "too late", id="quoted"),
    ],
)
def test_one_argument(argument: Argument, text: str, expected: JsonValue) -> None:
    """An argument is read when the message states it, and left out when it does not."""
    assert ({} if expected is None else {argument.name: expected}) == extract(
        [argument], text, today=TODAY
    )


def test_no_two_arguments_read_the_same_words() -> None:
    """The digits of an order number or a date are not taken for the quantity."""
    arguments = [COUNT, ORDER, DAY]
    assert {"quantity": 2, "order_id": "A-1001", "day": "2026-07-03"} == extract(
        arguments, "on 3 July send 2 more of A-1001", today=TODAY
    )
    assert {"order_id": "A-1001"} == extract([COUNT, ORDER], "send A-1001", today=TODAY)


def test_numbers_go_to_arguments_in_order() -> None:
    """Several numbers fill several arguments from left to right."""
    sides = [Argument(name=name, kind="number", required=True) for name in ("a", "b", "c")]
    assert {"a": 5, "b": 4.5, "c": 1000} == extract(sides, "5, 4.5 and 1,000", today=TODAY)


def test_what_is_known_is_left_alone() -> None:
    """An argument that already has a value is not read again."""
    assert {} == extract([ORDER], "A-1001", today=TODAY, known=["order_id"])


@pytest.mark.parametrize(
    ("argument", "reply", "expected"),
    [
        (ORDER, "it's a-1001", "A-1001"),
        (ORDER, "I don't know", None),
        (COUNT, "two", 2),
        (LIMIT, "3", 3),
        (TOPIC, "refunds", "refund"),
        (TOPIC, "something else entirely", None),
        (REASON, "it's too big.", "too big"),
        (REASON, "because the lamp is broken", "the lamp is broken"),
        (CITY, "oslo", "oslo"),
        (GIFT, "yes please", True),
        (GIFT, "no", False),
        (EMAIL, "<EMAIL_1>", "<EMAIL_1>"),
    ],
)
def test_a_bare_reply_answers_the_question(
    argument: Argument, reply: str, expected: JsonValue
) -> None:
    """After a question the reply alone is the value, where it has the right form."""
    assert expected == answer(argument, reply, today=TODAY)


EVERY = (
    *(ORDER, COUNT, LIMIT, WEIGHT, WEIGHTS, TOPIC, SPEED, TOPICS, ORDERS, EMAIL, DAY, REASON),
    *(GIFT, CITY, QUERY, COLOUR),
)


@pytest.mark.parametrize(
    "text",
    ["9" * 100_000, "9" * 310, "9" * 4301, "1e999", "1" + ",111" * 25_000 + "x", "1 " * 50_000,
     "-" * 100_000, "1." * 50_000, "a" * 100_000, "a@" * 50_000, "\u201c" * 100_000, "'" * 100_000,
     "since " * 20_000 + "\n", "since" + " " * 100_000, "in " * 33_000, "in" + " " * 100_000,
     "1 " + " " * 100_000, "gift" + " " * 100_000, "in 999 weeks " * 8_000, "0000-00-00 " * 9_000,
     "<EMAIL_" + "1" * 100_000, "\u0664" * 100_000, "\u00b2" * 400],
    ids=lambda text: f"{text[:6]!a}x{len(text)}",
)  # fmt: skip
def test_no_message_is_too_much(text: str) -> None:
    """Huge numbers and a hundred thousand characters of the worst neither raise nor take long."""
    for argument in EVERY:
        began = time.perf_counter()
        extract([argument], text, today=TODAY)
        answer(argument, text, today=TODAY)
        assert time.perf_counter() - began < 3, argument.name


def test_a_message_of_odd_pieces_is_read() -> None:
    """Whatever numbers, dates and signs stand side by side, reading never raises."""
    pieces = ("9" * 400, "9" * 5000, "1e999", "-1", ".5", "12,345", "2026-02-30", "31 Feb",
              "29 Feb", "in 999 weeks", "tomorrow", "A-1001", "inf", "nan", "\u0664", " ", ",", ".",
              "\n", "kilos", "because", "@", "<", "'", "weight")  # fmt: skip
    dice = random.Random(7)
    for _ in range(500):
        text = "".join(dice.choices(pieces, k=dice.randrange(1, 12)))
        for day in (TODAY, date.min, date.max):
            extract(EVERY, text, today=day)


def test_a_schema_of_another_server_is_read() -> None:
    """Optional types, references and constants of plain JSON schema are understood."""
    schema: dict[str, Any] = {
        "type": "object",
        "$defs": {"Size": {"enum": ["small", "large"], "type": "string"}},
        "properties": {
            "size": {"$ref": "#/$defs/Size", "description": "How big"},
            "count": {"anyOf": [{"type": "integer"}, {"type": "null"}], "default": None},
            "note": {"type": ["string", "null"]},
        },
        "required": ["size"],
    }
    tool = StructuredTool(
        name="order", description="Order.", args_schema=schema, func=lambda **_: None
    )
    size, count, note = arguments_of(tool)
    assert (("small", "large"), True, "How big") == (size.choices, size.required, size.description)
    assert ("integer", False, "string") == (count.kind, count.required, note.kind)
