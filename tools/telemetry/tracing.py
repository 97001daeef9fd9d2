"""Traces to LangSmith, or none: decided here, whatever LANGSMITH_TRACING says.

LangChain traces every run of a process in whose environment a variable says so, with each message
in the clear. Around our runs that variable counts for nothing: off sends nothing, and on sends
what the masking of personal data leaves.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from antiphon.tools.errors import SettingsError
from antiphon.tools.privacy import Detector, PatternDetector, mask, shown

if TYPE_CHECKING:
    from langchain_core.callbacks import BaseCallbackHandler, Callbacks
    from langsmith import Client

Masking = Callable[[object], Any]
FLUSH_S = 5.0
"""How long the end of the process waits for what is not sent yet."""


class Tracing:
    """Whether runs are traced, and through which client."""

    def __init__(self, client: Client | None = None) -> None:
        """Trace through `client`, which must mask; without one trace nothing."""
        self._client = client

    def __bool__(self) -> bool:
        """Whether anything is sent at all."""
        return self._client is not None

    @contextmanager
    def around(self) -> Iterator[None]:
        """Trace, or not, what runs within the block and the tasks that it starts."""
        from langsmith.run_helpers import tracing_context

        with tracing_context(enabled=self._client is not None, client=self._client, parent=False):
            yield

    def callbacks(self, given: Callbacks) -> Callbacks:
        """Return what a run is to call back: not the tracer of a host, which masks nothing.

        What else a host listens with hears of the run as a whole and of nothing inside it: there
        stand prompts, and words that no rail has judged yet.
        """
        from langchain_core.callbacks import AsyncCallbackManager

        if not given:
            return given
        if isinstance(given, list):
            # Never empty to LangChain, which would then take the host's after all.
            return AsyncCallbackManager(handlers=_without_tracers(given))
        kept = given.copy()
        kept.handlers = _without_tracers(given.handlers)
        kept.inheritable_handlers = []
        return kept

    async def close(self) -> None:
        """Send what is still waiting to be sent."""
        if self._client is not None:
            await asyncio.to_thread(self._client.flush, FLUSH_S)


OFF = Tracing()
"""Sends nothing."""


def open_tracing(*, enabled: bool) -> Tracing:
    """Return what traces runs; key and address are LangSmith's own variables.

    Raises SettingsError when it is on and there is no key.
    """
    if not enabled:
        return OFF
    from langsmith import Client
    from langsmith.utils import get_api_key

    if not get_api_key(None):
        raise SettingsError(
            "ANTIPHON_LANGSMITH is on but LANGSMITH_API_KEY is not set",
            hint="Set the key, or ANTIPHON_LANGSMITH=false: then nothing is sent.",
        )
    return Tracing(Client(anonymizer=masking(PatternDetector()), omit_traced_runtime_info=True))


def destination() -> str:
    """Return where traces would be sent. Raises SettingsError for an address of nothing."""
    from langsmith.utils import LangSmithUserError, get_api_url

    try:
        return shown(get_api_url(None))
    except LangSmithUserError as error:
        raise SettingsError("LANGSMITH_ENDPOINT is no address") from error


def masking(detector: Detector) -> Masking:
    """Return what masks every text in a value of plain JSON, however deep, keys included."""

    def masked(value: object) -> object:
        if isinstance(value, str):
            return mask(value, detector.find(value))[0]
        if isinstance(value, dict):
            return {masked(key): masked(item) for key, item in value.items()}
        if isinstance(value, list | tuple):
            return [masked(item) for item in value]
        return value

    return masked


def _without_tracers(handlers: list[BaseCallbackHandler]) -> list[BaseCallbackHandler]:
    from langchain_core.tracers.langchain import LangChainTracer

    return [handler for handler in handlers if not isinstance(handler, LangChainTracer)]
