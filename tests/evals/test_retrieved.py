"""Context recall and precision: what a turn could read, against the sources it should have."""

from __future__ import annotations

import pytest
from fakes import Opening, fake_services

from antiphon.evals.retrieved import cited, figures, means, retrieved, shown
from antiphon.nodes.state import Context

US, EU, OLD = "returns-us.md", "returns-eu.md", "returns-policy-2024.md"


@pytest.mark.parametrize(
    ("expected", "sources", "found"),
    [
        ([US], [US, US], {"context_recall": 1.0, "context_precision": 1.0}),
        ([US], [EU, US, OLD, EU], {"context_recall": 1.0, "context_precision": 0.25}),
        ([US], [EU, OLD], {"context_recall": 0.0, "context_precision": 0.0}),
        ([US, EU], [EU, OLD], {"context_recall": 1.0, "context_precision": 0.5}),
        ([US], [], {"context_recall": 0.0}),
        ([], [US], {}),
    ],
)
def test_another_regions_page_is_no_hit(
    expected: list[str], sources: list[str], found: dict[str, float]
) -> None:
    """A neighbour's page counts against precision; nothing retrieved counts against recall."""
    assert figures(expected, sources) == found


def test_means_are_over_the_examples_that_name_a_source() -> None:
    """An example without sources neither helps nor harms; one without passages has no precision."""
    rows = [figures([US], [US, EU]), figures([US], []), figures([], [US])]
    assert means(rows) == {"examples": 2, "context_recall": 0.5, "context_precision": 0.5}
    assert "recall 0.500" in shown(means(rows))
    assert means([{}]) == {}
    assert shown({}) == ""


async def test_what_a_turn_read_is_more_than_it_cites(opening: Opening) -> None:
    """The passages of the latest turn are looked up in its thread, another turn's are not."""
    talk = await opening(fake_services())
    context = Context(tenant="acme", user="alice")
    turn = await talk.ask("How long can I take?", context=context)
    read = await retrieved(talk, turn, context)
    assert read
    assert set(await cited(turn)) <= set(read)
