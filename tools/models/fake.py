"""A chat model that says what a script tells it to: for tests of graphs and of all above them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Iterator, Sequence

from langchain_core.callbacks import AsyncCallbackManagerForLLMRun, CallbackManagerForLLMRun
from langchain_core.language_models import BaseChatModel, LanguageModelInput
from langchain_core.messages import AIMessage, BaseMessage
from langchain_core.outputs import ChatGeneration, ChatResult
from langchain_core.runnables import Runnable
from langchain_core.tools import BaseTool
from pydantic import PrivateAttr

Line = str | AIMessage | Exception | Callable[[Sequence[BaseMessage]], str | AIMessage]
"""What to do on one call: say it, raise it, or compute it from the prompt."""


class ScriptedModel(BaseChatModel):
    """Answers each call with the next line of its script and remembers what it was asked.

    A script that runs out fails the call, so that a test notices a call it did not expect.

    Example:
        model = ScriptedModel(["Hello.", TimeoutError("slow"), lambda prompt: prompt[-1].text])
    """

    delay_s: float = 0.0
    """How long each call takes."""
    prompts: list[list[BaseMessage]] = []  # noqa: RUF012 - pydantic copies defaults per instance
    """The messages of every call so far."""
    tools: list[str] = []  # noqa: RUF012
    """Names of the tools bound by the latest `bind_tools`."""
    _script: Iterator[Line] = PrivateAttr()

    def __init__(self, replies: Iterable[Line] = (), *, delay_s: float = 0.0) -> None:
        """Take the script, one line a call."""
        super().__init__(delay_s=delay_s)
        self._script = iter(replies)

    @property
    def _llm_type(self) -> str:
        return "scripted"

    def bind_tools(
        self, tools: Sequence[object], **_kwargs: object
    ) -> Runnable[LanguageModelInput, AIMessage]:
        """Note the tools' names; the script decides whether they are called."""
        self.tools[:] = [t.name if isinstance(t, BaseTool) else str(t) for t in tools]
        return self

    async def _agenerate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,  # noqa: ARG002
        run_manager: AsyncCallbackManagerForLLMRun | None = None,  # noqa: ARG002
        **_kwargs: object,
    ) -> ChatResult:
        if self.delay_s:
            await asyncio.sleep(self.delay_s)
        return self._next(messages)

    def _generate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,  # noqa: ARG002
        run_manager: CallbackManagerForLLMRun | None = None,  # noqa: ARG002
        **_kwargs: object,
    ) -> ChatResult:
        return self._next(messages)

    def _next(self, messages: list[BaseMessage]) -> ChatResult:
        self.prompts.append(list(messages))
        line = next(self._script, None)
        if line is None:
            raise AssertionError(f"the script has no line for call {len(self.prompts)}")
        if isinstance(line, Exception):
            raise line
        said = line(messages) if callable(line) else line
        message = AIMessage(said) if isinstance(said, str) else said
        return ChatResult(generations=[ChatGeneration(message=message)])
