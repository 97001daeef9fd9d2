"""The static check of the table: it holds as shipped, and each property can be seen to fail."""

from __future__ import annotations

import pytest
from fakes import FakeToolbox, fake_services
from langgraph.graph import END

from antiphon.graphs.conversation import build_conversation
from antiphon.graphs.properties import Table, verify
from antiphon.nodes.state import State


def table() -> Table:
    return build_conversation(fake_services())


def failing(table: Table, toolbox: FakeToolbox | None = None) -> dict[str, str]:
    return {
        item.name: item.detail for item in verify(table, toolbox or FakeToolbox()) if not item.ok
    }


async def extra(state: State) -> State:
    return {}


def test_every_property_holds_of_the_table_as_shipped() -> None:
    """The shipped conversation passes its own check."""
    assert failing(table()) == {}
    assert len(verify(table(), FakeToolbox())) == 5


def test_an_unreachable_node_is_found() -> None:
    """A node that no edge leads to is named."""
    lone = table().add_node("lone", extra).add_edge("lone", END)
    assert "lone" in failing(lone)["every node is reachable"]


def test_a_dead_end_is_found() -> None:
    """A node without a way out is named."""
    stuck = table().add_node("stuck", extra, destinations=()).add_edge("recall", "stuck")
    assert "stuck" in failing(stuck)["every path can end"]


def test_a_loop_without_a_bound_is_found() -> None:
    """A cycle that no counter bounds is named."""
    looping = table().add_edge("remember", "recall")
    assert "remember" in failing(looping)["every loop is bounded"]


def test_a_way_past_the_output_guard_is_found() -> None:
    """An edge from a model's node to the end of the turn is a leak."""
    leaking = table().add_edge("respond", "remember")
    assert "respond" in failing(leaking)["no model's words pass unguarded"]


def test_a_table_without_an_output_guard_is_found() -> None:
    """Taking the guard's role away makes every model node a leak."""
    bare = table()
    bare.nodes["guard_output"].metadata = {}
    assert "respond" in failing(bare)["no model's words pass unguarded"]


@pytest.mark.parametrize(("approval", "idempotent", "ok"), [
    (False, False, False), (True, False, True), (False, True, True),
])  # fmt: skip
def test_a_side_effect_needs_approval_or_an_idempotency_key(
    approval: bool, idempotent: bool, ok: bool
) -> None:
    """A tool that changes the world with neither is named."""
    box = FakeToolbox(approval=approval, idempotent=idempotent, side_effects=True)
    found = failing(table(), box)
    assert ("side effects need approval or an idempotency key" not in found) is ok
