"""A citation stands where its words do, for all to see; the same on every backend."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest
from knowledge_backends import Closable, Hashed, in_file, on_server, passage

from antiphon.tools.retrieval import Change, Hit, Inventory, Knowledge, Passage, Where
from antiphon.tools.retrieval.context import Citation
from antiphon.tools.retrieval.quotes import stand

TEXT = "Lamps may be returned. The postage is free. Bulbs are not taken back."
QUOTE = "The postage is free."


class Plain:
    """A knowledge that offers nothing beyond the Protocol."""

    def __init__(self, inner: Knowledge) -> None:
        self._inner = inner

    async def search(
        self, query: str, *, tenant: str, limit: int = 10, where: Where | None = None
    ) -> tuple[Hit, ...]:
        return await self._inner.search(query, tenant=tenant, limit=limit, where=where)

    async def upsert(self, source: str, passages: list[Passage], *, tenant: str) -> Change:
        return await self._inner.upsert(source, passages, tenant=tenant)

    async def inventory(self, *, tenant: str) -> Inventory:
        return await self._inner.inventory(tenant=tenant)

    async def remove(self, sources: list[str], *, tenant: str) -> int:
        return await self._inner.remove(sources, tenant=tenant)


@pytest.fixture(params=["sqlite", "plain", pytest.param("weaviate", marks=pytest.mark.weaviate)])
async def knowledge(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Knowledge]:
    """Each backend in turn, and one that can only be searched."""
    made: Closable
    if request.param == "weaviate":
        server = request.getfixturevalue("weaviate_server")
        made = on_server(server, Hashed(), f"Test{uuid.uuid4().hex}")
    else:
        made = in_file(tmp_path, Hashed())
    yield Plain(made) if request.param == "plain" else made  # type: ignore[misc]
    await made.close()


def cited(source: str = "guides/returns.md", *, start: int = 123, quote: str = QUOTE) -> Citation:
    """Return a citation of the page below."""
    end = start + len(quote)
    return Citation(id=1, source=source, title="Returns", quote=quote, start=start, end=end)


def page(source: str = "guides/returns.md", text: str = TEXT) -> Passage:
    """Return a passage that begins 100 characters into its source."""
    return passage(source, text, start=100, end=100 + len(text))


async def test_a_quote_stands_where_it_was_found(knowledge: Knowledge) -> None:
    """Its words, at its place, in its source, in its tenant; all of several."""
    other = page("other.md", "Something else.")
    await knowledge.upsert("guides/returns.md", [page()], tenant="acme")
    await knowledge.upsert("other.md", [other], tenant="acme")
    right = cited()
    wrong = {
        "place": cited(start=122),
        "words": cited(quote="The postage is dear."),
        "source": cited("other.md"),
        "unknown": cited("gone.md"),
        "empty": cited(quote=""),
    }

    assert await stand(knowledge, [right, cited(start=100, quote="Lamps")], tenant="acme")
    assert await stand(knowledge, [], tenant="acme")
    for why, citation in wrong.items():
        assert not await stand(knowledge, [right, citation], tenant="acme"), why
    await knowledge.upsert("other.md", [other], tenant="rival")
    assert not await stand(knowledge, [right], tenant="rival")


async def test_a_quote_falls_with_its_passage(knowledge: Knowledge) -> None:
    """Edited, moved, closed to others or removed: it no longer stands."""
    changed = {
        "edited": page(text=TEXT.replace("free", "yours")),
        "moved": replace(page(), start=90, end=90 + len(TEXT), id="moved"),
        "closed": replace(page(), labels=("staff",)),
    }
    for why, passage_ in changed.items():
        await knowledge.upsert("guides/returns.md", [page()], tenant="acme")
        assert await stand(knowledge, [cited()], tenant="acme")
        await knowledge.upsert("guides/returns.md", [passage_], tenant="acme")
        assert not await stand(knowledge, [cited()], tenant="acme"), why
    await knowledge.upsert("guides/returns.md", [page()], tenant="acme")
    await knowledge.upsert("b.md", [page("b.md", "Rugs.")], tenant="acme")
    await knowledge.remove(["guides/returns.md"], tenant="acme")
    assert not await stand(knowledge, [cited()], tenant="acme")
