"""Whether what was cited still stands in the knowledge, for an answer that is given again."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Protocol, cast

from antiphon.tools.retrieval.citations import verbatim
from antiphon.tools.retrieval.context import Citation
from antiphon.tools.retrieval.passages import Knowledge, Passage, Where
from antiphon.tools.retrieval.visibility import OPEN, visible


class Quotable(Protocol):
    """Knowledge that can look a citation up without searching for it."""

    async def stand(self, citations: Sequence[Citation], *, tenant: str) -> bool:
        """Say whether each quote stands at its place, where everyone of the tenant may see it."""
        ...


async def stand(knowledge: Knowledge, citations: Sequence[Citation], *, tenant: str) -> bool:
    """Ask the knowledge whether each citation stands; one that is not Quotable is searched."""
    if hasattr(knowledge, "stand"):
        return await cast("Quotable", knowledge).stand(citations, tenant=tenant)
    for citation in citations:
        inside = Where(sources=(citation.source,))
        hits = await knowledge.search(citation.quote, tenant=tenant, where=inside)
        if not standing([citation], [hit.passage for hit in hits]):
            return False
    return True


def standing(citations: Iterable[Citation], passages: Sequence[Passage]) -> bool:
    """Say whether one of the passages that all may see holds each quote at its place."""
    return all(
        any(
            passage.source == citation.source
            and verbatim(citation, passage.text, start=passage.start)
            and visible(passage, OPEN)
            for passage in passages
        )
        for citation in citations
    )
