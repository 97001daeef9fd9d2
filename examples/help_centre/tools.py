"""The three tools of the sample help centre, written as you would write your own.

A tool is a function with `@tool`: its docstring tells a model when to call it, its annotations are
the schema that every call is checked against. Policy (approval, deadline, wording) is in
`assistant.yaml`. A parameter of type RunnableConfig is filled by the runtime, never by a model:
`config["configurable"]` holds `tenant`, `user`, `thread`, `idempotency_key` and `data_dir`.
"""

from __future__ import annotations

import hashlib
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Literal, NotRequired, TypedDict

from langchain_core.runnables import RunnableConfig
from langchain_core.tools import ToolException, tool
from pydantic import Field

ORDERS = Path(__file__).with_name("orders.json")

OrderId = Annotated[
    str,
    Field(pattern=r"^LL-\d{5}$", description="Order number: LL- and five digits, as in LL-10482."),
]
Reason = Literal["damaged", "faulty", "wrong item", "changed my mind", "other"]
City = Literal["Marrowick", "Tidehaven", "Osterfell"]
Day = Literal[
    "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday", "every day"
]

WEEK = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
HOURS: dict[City, tuple[str, ...]] = {
    "Marrowick": ("10:00-19:00",) * 4 + ("10:00-20:00", "09:30-18:00", "closed"),
    "Tidehaven": ("closed",) + ("10:00-18:00",) * 4 + ("10:00-17:00", "11:00-16:00"),
    "Osterfell": ("09:00-18:30",) * 5 + ("09:00-17:00", "closed"),
}
"""Opening hours by shop, Monday first."""


class Order(TypedDict):
    """One entry of orders.json."""

    order_id: str
    user: NotRequired[str]
    status: str
    detail: str
    placed_on: str
    items: list[str]


class OpenedReturn(TypedDict):
    """A return request as recorded."""

    return_number: str
    order_id: str
    reason: str
    requested_at: str


class OpeningHours(TypedDict):
    """When a shop is open."""

    city: str
    hours: str


@tool
def order_lookup(order_id: OrderId, config: RunnableConfig) -> Order:
    """Look up one order: its status, what is in it and when it arrives."""
    return _order(order_id, user=_known(config, "user"))


@tool
def return_request(
    order_id: OrderId,
    reason: Annotated[Reason, Field(description="Why the customer is sending it back.")],
    config: RunnableConfig,
) -> OpenedReturn:
    """Open a return for a delivered order, so that the customer gets a return label."""
    order = _order(order_id, user=_known(config, "user"))
    if order["status"] != "delivered":
        raise ToolException(
            f"Order {order_id} is {order['status']}, so it cannot be returned yet. "
            "A return can be opened once it has been delivered."
        )
    key = _known(config, "idempotency_key") or f"{order_id} {reason}"
    return _record(_returns(config), f"{_known(config, 'tenant')} {key}", order_id, reason)


@tool
def store_hours(
    city: Annotated[City, Field(description="Which shop.")],
    day: Annotated[Day, Field(description="Which day; leave out for all of them.")] = "every day",
) -> OpeningHours:
    """Give the opening hours of one of the shops, for a day or for the week."""
    week = zip(WEEK, HOURS[city], strict=True)
    said = (f"{name} {times}" for name, times in week if day in (name, "every day"))
    return OpeningHours(city=city, hours=", ".join(said))


def _order(order_id: str, *, user: str) -> Order:
    orders: list[Order] = json.loads(ORDERS.read_text(encoding="utf-8"))
    for order in orders:
        # Guests' orders have no user: whoever knows the number may ask. Someone else's order is
        # unknown in the same words as one that never was: its existence is not given away.
        if order["order_id"] == order_id and order.get("user", "") in ("", user):
            return order
    raise ToolException(
        f"There is no order {order_id}. Please check the number in your confirmation email."
    )


def _record(folder: Path, key: str, order_id: str, reason: str) -> OpenedReturn:
    """Write the return once: the same key gets the same number, however often it is sent."""
    number = "RT-" + hashlib.sha256(key.encode()).hexdigest()[:8].upper()
    opened = OpenedReturn(
        return_number=number,
        order_id=order_id,
        reason=reason,
        requested_at=datetime.now(UTC).isoformat(timespec="seconds"),
    )
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    path = folder / f"{number}.json"
    try:
        path.touch(mode=0o600, exist_ok=False)
        path.write_text(json.dumps(opened), encoding="utf-8")
    except FileExistsError:
        recorded: OpenedReturn = json.loads(path.read_text(encoding="utf-8"))
        return recorded
    return opened


def _returns(config: RunnableConfig) -> Path:
    data_dir = _known(config, "data_dir")
    if not data_dir:
        raise ToolException("Returns cannot be recorded at the moment. Nothing was changed.")
    return Path(data_dir) / "returns"


def _known(config: RunnableConfig, name: str) -> str:
    return str(config.get("configurable", {}).get(name) or "")
