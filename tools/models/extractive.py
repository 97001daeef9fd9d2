"""The model that needs no model: it answers by quoting what its prompt holds, and cites it.

Tool results come first, then the sentences of the best passages that are nearest the question by
meaning and by words, then a suggested reply. It invents nothing, so it is also the last resort.
"""

from __future__ import annotations

import asyncio
import html
import re
from collections.abc import Sequence

import numpy as np
from langchain_core.callbacks import AsyncCallbackManagerForLLMRun, CallbackManagerForLLMRun
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, BaseMessage
from langchain_core.messages.ai import UsageMetadata
from langchain_core.outputs import ChatGeneration, ChatResult
from pydantic import PrivateAttr

from antiphon.tools.models.catalog import LAST_RESORT
from antiphon.tools.models.excerpts import choose, overlaps, render, scored, standing
from antiphon.tools.models.quotes import quotes
from antiphon.tools.retrieval.analysis import terms
from antiphon.tools.retrieval.context import Card, unfence, unfence_results
from antiphon.tools.retrieval.language import detect
from antiphon.tools.retrieval.passages import Embedder
from antiphon.tools.tokens import ApproximateCounter, TokenCounter

TOP_PASSAGES = 3
MOST_COMPARED = 24
"""Units whose meaning is compared, those with most of the question's words: bounds the time."""
SUGGESTED = re.compile(r"<suggested_reply>(.*?)</suggested_reply>", re.DOTALL)


class Extractive(BaseChatModel):
    """A chat model that quotes its prompt.

    Blocks count only outside the user's and the assistant's own messages, so that nobody can
    put words into its mouth by typing a fence.
    """

    max_words: int = 80
    """Longest answer; a numbered procedure may take twice that, since half of one is none."""
    unknown: str = "I don't know: nothing I have been given answers that."
    """What it says when there is nothing to quote."""
    language: str = "en"
    """Whose stemming and stop words compare words where the passages are too short to tell."""
    _embedder: Embedder = PrivateAttr()
    _tokens: TokenCounter = PrivateAttr(default_factory=ApproximateCounter)

    def __init__(
        self,
        embedder: Embedder,
        max_words: int = 80,
        *,
        unknown: str = "",
        language: str = "en",
        tokens: TokenCounter | None = None,
    ) -> None:
        """Take what compares meanings; the fields above say the rest."""
        options = {"unknown": unknown} if unknown else {}
        super().__init__(max_words=max_words, language=language, **options)
        self._embedder = embedder
        self._tokens = tokens or ApproximateCounter()

    @property
    def _llm_type(self) -> str:
        return LAST_RESORT

    async def _agenerate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,  # noqa: ARG002
        run_manager: AsyncCallbackManagerForLLMRun | None = None,  # noqa: ARG002
        **_kwargs: object,
    ) -> ChatResult:
        text = await self._answer(messages)
        spent, said = self._tokens.count_messages(messages), self._tokens.count(text)
        message = AIMessage(
            content=text,
            response_metadata={"model_name": LAST_RESORT},
            usage_metadata=UsageMetadata(
                input_tokens=spent, output_tokens=said, total_tokens=spent + said
            ),
        )
        return ChatResult(generations=[ChatGeneration(message=message)])

    def _generate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,  # noqa: ARG002
        **_kwargs: object,
    ) -> ChatResult:
        return asyncio.run(self._agenerate(messages, stop))

    async def _answer(self, messages: Sequence[BaseMessage]) -> str:
        given = "\n".join(m.text for m in messages if m.type not in ("human", "ai"))
        results = [text.strip() for _, _, text in unfence_results(given)]
        if said := "\n".join(dict.fromkeys(filter(None, results))):
            return said
        question = next((m.text for m in reversed(messages) if m.type == "human"), "")
        if cards := unfence(given):
            return await self._from_passages(question, cards) or self.unknown
        suggested = SUGGESTED.search(given)
        return html.unescape(suggested.group(1)).strip() if suggested else self.unknown

    async def _from_passages(self, question: str, cards: Sequence[Card]) -> str:
        best = standing(question, cards)[:TOP_PASSAGES]
        units = [unit for card in best for unit in quotes(card)]
        if not units:
            return ""
        tag = detect("\n".join(card.text for card in best), otherwise=self.language)
        said = [frozenset(terms(unit.wording, tag)) for unit in units]
        about = [frozenset(terms(unit.placed, tag)) for unit in units]
        held = overlaps(terms(question, tag), said, about)
        compared = sorted(range(len(units)), key=lambda at: -sum(held[at].values()))
        compared = compared[:MOST_COMPARED]
        made = await self._embedder.embed([question, *(units[at].wording for at in compared)])
        vectors = np.zeros((len(units), len(made[0])))
        vectors[compared] = made[1:]
        candidates = scored(units, vectors, vectors @ np.asarray(made[0]), held, best)
        return render(choose(candidates, self.max_words))
