from __future__ import annotations

import re
from itertools import pairwise
from typing import TYPE_CHECKING, TypedDict
from xml.etree import ElementTree as ET

import pytest
from langgraph.graph import END, START, StateGraph

from antiphon.graphs.drawing import Edge, Sketch, mermaid, render, sketch, svg
from antiphon.graphs.layout import place

if TYPE_CHECKING:
    from antiphon.graphs.drawing import Compiled

LOOPED = (("a", "b"), ("b", "c"), ("c", "b"), ("a", "d"), ("d", "e"), ("c", "e"), ("a", "e"))


class Words(TypedDict):
    said: str


def work(state: Words) -> Words:
    """Do nothing."""
    return state


def choose(state: Words) -> str:
    """Always go on."""
    return "work"


@pytest.fixture
def compiled() -> Compiled:
    """Compile a table with a branch, an end and a way to recovery."""
    table = StateGraph(Words)
    table.add_node("guard_input", work, destinations={"recover": "failed"})
    table.add_node("work", work, destinations={"recover": "failed"})
    table.add_node("recover", work)
    table.add_edge(START, "guard_input")
    table.add_conditional_edges("guard_input", choose, {"work": "work", "over": END})
    table.add_edge("work", END)  # beside its way to recovery
    table.add_edge("recover", END)
    return table.compile()


def test_failures_are_told_from_flow(compiled: Compiled) -> None:
    """The way to recovery is a failure, every other transition is flow."""
    drawn = sketch(compiled, "small")
    kinds = {(edge.source, edge.target): edge.kind for edge in drawn.edges}
    assert kinds["work", "recover"] == kinds["guard_input", "recover"] == "failure"
    assert kinds["recover", "__end__"] == kinds["guard_input", "work"] == "flow"
    assert kinds["work", "__end__"] == "flow"
    assert set(drawn.nodes) == {"__start__", "guard_input", "work", "recover", "__end__"}


def test_mermaid_dashes_failures_and_labels_branches(compiled: Compiled) -> None:
    """Mermaid text holds every node and transition, failures dashed, branch names as labels."""
    text = mermaid(compiled)
    assert text.startswith("flowchart TD\n")
    assert "work -.-> recover" in text
    assert '-->|"over"| __end__' in text
    assert "__start__([start]):::terminal" in text


def test_the_svg_is_whole(compiled: Compiled) -> None:
    """The SVG is well-formed, names each node once and refers to nothing outside itself."""
    drawing = svg(compiled, "small")
    words = [text.text for text in ET.fromstring(drawing).iter("{http://www.w3.org/2000/svg}text")]  # noqa: S314
    assert all(
        words.count(name) == 1 for name in ("start", "guard_input", "work", "recover", "end")
    )
    assert "href" not in drawing
    assert "failure" in drawing


def test_names_are_escaped() -> None:
    """A name with markup in it is drawn as text."""
    drawn = Sketch(name="<b>", nodes=("a", "c&d"), edges=(Edge(source="a", target="c&d"),))
    ET.fromstring(render(drawn))  # noqa: S314


def test_layers_go_down_and_boxes_do_not_overlap() -> None:
    """Every transition but the loop's leads downwards, and boxes of a layer keep their distance."""
    placed = place(dict.fromkeys("abcde", 50.0), LOOPED, gap=20)
    up = [(s, t) for s, t in LOOPED if placed.at[t][1] <= placed.at[s][1]]
    assert up == [("c", "b")]
    for layer in placed.layers:
        xs = sorted(placed.at[name][0] for name in layer)
        assert all(right - left >= 70 - 1e-6 for left, right in pairwise(xs))


def test_routes_join_their_ends() -> None:
    """A route begins at its source and ends at its target, with a bend in each layer between."""
    placed = place(dict.fromkeys("abcde", 50.0), LOOPED)
    assert all(
        (route[0], route[-1]) == (placed.at[source], placed.at[target])
        for (source, target), route in placed.routes.items()
    )
    assert len(placed.routes["a", "e"]) == 4


def test_a_rightmost_node_ends_its_layer() -> None:
    """Recovery stands at the right, where the failure lines arrive."""
    placed = place(
        dict.fromkeys("abcr", 50.0), [("a", "b"), ("b", "c"), ("r", "c")], rightmost=frozenset("r")
    )
    assert placed.at["r"][1] == placed.at["b"][1]
    assert placed.at["r"][0] > placed.at["b"][0]


def test_drawing_is_repeatable(compiled: Compiled) -> None:
    """The same graph is drawn the same, so that a committed drawing can be compared."""
    assert svg(compiled) == svg(compiled)
    assert not re.search(r"0x[0-9a-f]{6,}", svg(compiled))
