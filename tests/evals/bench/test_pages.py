"""A collection as files: cut, dated, and found again by the document it came from."""

from __future__ import annotations

import pytest

from antiphon.evals.bench.collection import Collection, Query
from antiphon.evals.bench.pages import as_pages
from antiphon.evals.bench.vectors import BenchVectors
from antiphon.tools.models.embeddings import MiniLM
from antiphon.tools.retrieval.passages import Passage

NOTICE = (
    "Notice to everybody who sends a parcel to {} in the winter months: the post office closes at "
    "{} on working days, parcels over twenty kilograms are not taken, customs forms are needed for "
    "what is worth more than fifty crowns, and the counter is shut on the last Friday of each month"
)


def page(key: str, text: str, title: str = "") -> Passage:
    return Passage(id=key, source=key, title=title, heading="", text=text, start=0, end=len(text))


def collected(*documents: Passage, **asked: str) -> Collection:
    queries = [Query(text=text, relevant={key: 1.0}) for key, text in asked.items()]
    return Collection(documents=documents, queries=tuple(queries), language="en")


async def test_a_long_document_is_cut_and_found_as_one() -> None:
    """Passages fold into their document, whatever its id and title hold."""
    town = "\n\n".join(f"The town has a house number {n} with a blue door." for n in range(60))
    found = await as_pages(
        collected(
            page("a/b: c", f"{town}\n\nThe lantern stands in the market square.", 'The "town"'),
            page("sea", "The sea is cold in May.", "Sea: a\nletter"),
            town="where does the lantern stand",
            sea="how cold is the sea",
        ),
        BenchVectors(MiniLM()),
    )
    assert found.rankings[0][0] == "a/b: c"
    assert found.rankings[1][0] == "sea"
    assert all(len(set(ranking)) == len(ranking) for ranking in found.rankings)
    assert found.passages > 3
    assert found.unread == 0


@pytest.mark.parametrize(("other", "hour"), [("Norway", "five"), ("Canada", "six")])
async def test_what_a_newer_text_displaces_is_counted(other: str, hour: str) -> None:
    """Of two notices each is asked for; where one stands in the other's place, that costs."""
    found = await as_pages(
        collected(
            page("one", NOTICE.format("Canada", "six"), "Parcels"),
            page("other", NOTICE.format(other, hour), "Parcels"),
            one="until when may I send a parcel to Canada",
            other=f"until when may I send a parcel to {other}",
        ),
        BenchVectors(MiniLM()),
    )
    missing = [
        key
        for key, ranking in zip(("one", "other"), found.rankings, strict=True)
        if key not in ranking
    ]
    assert found.outdated == 50 * len(missing)
    # Two that are word by word the same cannot both be kept.
    assert len(missing) == 1 or other == "Norway"


async def test_a_file_that_cannot_be_read_is_counted() -> None:
    """An empty document is no page; the others are found without it."""
    found = await as_pages(
        collected(page("none", ""), page("sea", "The sea is cold."), sea="is the sea cold"),
        BenchVectors(MiniLM()),
    )
    assert found.unread == 1
    assert found.rankings == [("sea",)]


@pytest.mark.parametrize("title", ["", "# Sea", "--- sea", "'sea' \\ \"sea\""])
async def test_any_title_survives(title: str) -> None:
    """A title is data in the file's head, not markup."""
    found = await as_pages(
        collected(page("sea", "The sea is cold.", title), sea="is it cold"), BenchVectors(MiniLM())
    )
    assert found.rankings == [("sea",)]
    assert found.passages == 1
