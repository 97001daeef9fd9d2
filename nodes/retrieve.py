"""The knowledge part of a turn: find passages, or say honestly that they do not answer."""

from __future__ import annotations

from langgraph.runtime import Runtime

from antiphon.nodes.recover import Aftermath
from antiphon.nodes.state import Context, Node, State, Update, knobs, step
from antiphon.tools.retrieval.confidence import retrieval_confidence
from antiphon.tools.retrieval.context import Card, Citation, pack
from antiphon.tools.retrieval.search import Retriever
from antiphon.tools.retrieval.sentences import sentences
from antiphon.tools.tokens import TokenCounter

NEAREST = 3
"""How many pages an abstention names."""


def retrieve_context(
    retriever: Retriever, tokens: TokenCounter, *, top_k: int, budget_tokens: int
) -> Node:
    """Search, estimate whether the answer is there, and pack what fits the budget."""

    @step
    async def retrieve_context(state: State, *, runtime: Runtime[Context]) -> Update:
        question = state["standalone"] or state["question"]
        wordings = state.get("queries") or (question,)
        found = await retriever.search(*wordings, tenant=knobs(runtime).tenant, limit=top_k)
        return {
            "cards": pack(found.hits, budget_tokens=budget_tokens, tokens=tokens, query=question),
            "retrieval_confidence": retrieval_confidence(question, found.hits),
            "phase": "information_gathering",
        }

    return retrieve_context


def abstain(*, wording: str, nearest: str, aftermath: Aftermath) -> Node:
    """Draft an "I don't know" that names the nearest pages; the output rail judges it too.

    After something was done, that is said instead: whatever could not be answered, it happened.
    """

    @step
    async def abstain(state: State, *, runtime: Runtime[Context]) -> Update:
        done = aftermath.done(state)
        if done:
            return {
                "draft": " ".join(done),
                "judged": None,
                "citations": (),
                "outcome": "abstained",
                "support": None,
            }
        pages = list({card.source: card for card in reversed(state["cards"])}.values())[::-1]
        citations = tuple(
            _first_words(card, number) for number, card in enumerate(pages[:NEAREST], start=1)
        )
        named = ", ".join(f"{citation.title} [{citation.id}]" for citation in citations)
        return {
            "draft": f"{wording} {nearest} {named}." if named else wording,
            "judged": None,
            "citations": citations,
            "outcome": "abstained",
            "support": None,
        }

    return abstain


def _first_words(card: Card, number: int) -> Citation:
    """Cite a page by the first sentence of its passage."""
    start, end = next(iter(sentences(card.text)), (0, len(card.text)))
    return Citation(
        id=number,
        source=card.source,
        title=card.title,
        quote=card.text[start:end],
        start=card.start + start,
        end=card.start + end,
        heading=card.heading,
    )
