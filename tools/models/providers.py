"""From a model's name to a chat model, and from every provider's errors to ours.

Names: `local`, or `provider:model` as `init_chat_model` takes them. A base URL means any server
that speaks the OpenAI protocol. Providers' packages are imported when a model is first opened.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from langchain_core.language_models import BaseChatModel

from antiphon.tools.errors import (
    AntiphonError,
    KeyMissing,
    ModelError,
    ModelRejected,
    ModelUnavailable,
    SettingsError,
    UnknownModel,
)
from antiphon.tools.models.catalog import KNOWN

KEY_VARIABLES = {
    "anthropic": "ANTHROPIC_API_KEY",
    "azure_openai": "AZURE_OPENAI_API_KEY",
    "cohere": "COHERE_API_KEY",
    "deepseek": "DEEPSEEK_API_KEY",
    "fireworks": "FIREWORKS_API_KEY",
    "google_genai": "GOOGLE_API_KEY",
    "groq": "GROQ_API_KEY",
    "mistralai": "MISTRAL_API_KEY",
    "openai": "OPENAI_API_KEY",
    "openrouter": "OPENROUTER_API_KEY",
    "perplexity": "PPLX_API_KEY",
    "together": "TOGETHER_API_KEY",
    "xai": "XAI_API_KEY",
}
"""The variable each provider's own package reads."""

NO_KEY = "not-needed"
"""What an OpenAI client sends to a server of one's own that asks for no key."""

UNAUTHORISED = frozenset({401, 403})
CLIENT_ERRORS = range(400, 500)
PASSING = frozenset({408, 409, 425, 429})
"""Statuses that say try again later, beside 5xx."""


def connect(
    name: str,
    *,
    url: str = "",
    key: str = "",
    gguf: Path | None = None,
    timeout_s: float = 30.0,
    max_tokens: int = 2048,
) -> BaseChatModel:
    """Open a model by name. Slow the first time: call it in a thread.

    Args:
        name: `local`, `provider:model`, or a server's own model name when `url` is given.
        url: base URL of an OpenAI-compatible server; the provider part of the name is ignored.
        key: key for the provider; its own environment variable otherwise.
        gguf: weights for `local`.
        timeout_s: deadline of one request.
        max_tokens: longest answer of a provider, thinking included: room, not a target.

    Raises:
        KeyMissing: the provider's key is not set.
        UnknownModel: no provider of that name.
        SettingsError: the provider's package is not installed, or its options are wrong.
    """
    if name == "local":
        from antiphon.tools.models.local import Local

        return Local.of(gguf)
    # One try: the router's fallback chain and breakers do the rest.
    options: dict[str, Any] = {"timeout": timeout_s, "max_retries": 0, "max_tokens": max_tokens}
    if key:
        options["api_key"] = key
    provider, colon, model = name.partition(":")
    if url:
        # A server's model may be called `llama3:8b`: only `openai:` is a provider here.
        served = model if provider == "openai" and colon else name
        return _open("openai", served, {"api_key": NO_KEY, **options, "base_url": url})
    check_name(name)
    return _open(provider, model, options)


def check_name(name: str, *, url: str = "", where: str = "") -> None:
    """Raise UnknownModel when `connect` could never open the name; costs nothing, so ask early.

    Whether the provider has such a model shows only when it is asked. `where` says in the message
    who named it.
    """
    provider, _, model = name.partition(":")
    if url or name in KNOWN or (provider and model):
        return
    raise UnknownModel(
        f"{where}there is no model {name!r}",
        hint="Write `extractive`, `local` or `provider:model`, such as `openai:gpt-5-mini`; a "
        "server's own model names need ANTIPHON_MODEL_URL.",
    )


def _open(provider: str, model: str, options: dict[str, Any]) -> BaseChatModel:
    from langchain.chat_models import init_chat_model

    try:
        opened: BaseChatModel = init_chat_model(model, model_provider=provider, **options)
    except ImportError as error:
        package = _package(error, provider)
        raise SettingsError(
            f"models of {provider!r} need the package {package!r}",
            hint=f"pip install {package}",
        ) from error
    except Exception as error:
        # What a provider's package raises for a missing key or a wrong option is its own affair.
        raise _not_opened(error, provider, model) from error
    return opened


def _package(error: ImportError, provider: str) -> str:
    """Return the pip package that LangChain's own message asks for."""
    _, found, rest = str(error).partition("pip install ")
    return rest.strip(" `.") if found else f"langchain-{provider.replace('_', '-')}"


def _not_opened(error: Exception, provider: str, model: str) -> AntiphonError:
    said = str(error).casefold()
    if "unsupported provider" in said or "unable to infer model provider" in said:
        return UnknownModel(
            f"there is no provider {provider!r}",
            hint="Providers are those of LangChain's init_chat_model, for example `openai`.",
        )
    if any(word in said for word in ("api_key", "api key", "credential")):
        variable = KEY_VARIABLES.get(provider, f"{provider.upper()}_API_KEY")
        return KeyMissing(
            f"{provider}:{model} needs a key: {variable} is not set",
            hint=f"Set {variable} or ANTIPHON_MODEL_KEY.",
        )
    # Its own text may quote a key, and this message reaches callers.
    return SettingsError(
        f"{provider}:{model} could not be opened ({type(error).__name__})",
        hint="Check the model's name and the options of ANTIPHON_MODEL and models.catalogue.",
    )


@contextmanager
def vendor_errors(name: str) -> Iterator[None]:
    """Turn whatever a provider's package raises within the block into an error of ours.

    The new message holds the status and the class, never the provider's text, which may quote
    the user's. Our own errors and cancellation pass through.
    """
    try:
        yield
    except AntiphonError:
        raise
    except Exception as error:
        # Each provider's package has its own error classes, most of them not installed here.
        raise _mapped(error, name) from error


def _mapped(error: Exception, name: str) -> ModelError:
    status = _status(error)
    what = f"{type(error).__name__}, status {status}" if status else type(error).__name__
    if isinstance(error, TimeoutError) or "timeout" in type(error).__name__.casefold():
        return ModelUnavailable(f"{name!r} did not answer in time")
    if status in UNAUTHORISED:
        provider = name.partition(":")[0]
        variable = KEY_VARIABLES.get(provider, "ANTIPHON_MODEL_KEY")
        return KeyMissing(f"{name!r} refused the key ({what})", hint=f"Check {variable}.")
    if status in CLIENT_ERRORS and status not in PASSING:
        return ModelRejected(f"{name!r} refused the request ({what})")
    return ModelUnavailable(f"{name!r} failed ({what})")


def _status(error: Exception) -> int | None:
    """Return the HTTP status an error carries, where its package puts it."""
    response = getattr(error, "response", None)
    for holder, attribute in (
        (error, "status_code"),
        (response, "status_code"),
        (error, "code"),
        (error, "http_status"),
    ):
        status = getattr(holder, attribute, None)
        if isinstance(status, int):
            return status
    return None
