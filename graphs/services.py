"""What a conversation needs, as Protocols: give another implementation and it is used."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field

from langgraph.cache.base import BaseCache

from antiphon.graphs.assistant import Assistant
from antiphon.prompts.library import Prompts
from antiphon.tools.cache import CachedAnswer
from antiphon.tools.claims import SignsVerifier, Verifier
from antiphon.tools.guards import Rail
from antiphon.tools.intent import IntentClassifier
from antiphon.tools.memory import MemoryManager
from antiphon.tools.models import Models
from antiphon.tools.resilience import Switches
from antiphon.tools.retrieval import Embedder, Knowledge
from antiphon.tools.retrieval.rerank import WORDING, Reranker
from antiphon.tools.telemetry import Alert, Telemetry
from antiphon.tools.tokens import TokenCounter
from antiphon.tools.toolbox import Toolbox
from antiphon.tools.turns.effects import Effects


@dataclass(frozen=True, slots=True, kw_only=True)
class Deadlines:
    """How long each kind of node may run, in seconds."""

    default: float = 30.0
    guard: float = 10.0
    retrieve: float = 8.0
    respond: float = 60.0
    tools: float = 45.0
    """Above the longest tool deadline: a slow tool is a failed call, not a failed turn."""


async def unattended(alerts: Sequence[Alert]) -> None:
    """Let alerts pass: nobody responds to incidents."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Services:
    """The frozen bundle that `build_conversation` closes over."""

    assistant: Assistant
    input_rail: Rail
    output_rail: Rail
    cache: BaseCache[CachedAnswer]
    memory: MemoryManager
    intents: IntentClassifier
    knowledge: Knowledge
    embedder: Embedder
    toolbox: Toolbox
    effects: Effects
    """Runs the calls that change something, each once."""
    models: Models
    prompts: Prompts
    tokens: TokenCounter
    telemetry: Telemetry
    reranker: Reranker | None = WORDING
    """Gives the first passages a second look; None keeps the order of the search."""
    verifier: Verifier = field(default_factory=SignsVerifier)
    """Holds what an answer claims against its evidence."""
    respond_to: Callable[[Sequence[Alert]], Awaitable[None]] = unattended
    """Starts the incident graph for alerts that fired; must return at once."""
    switches: Switches = field(default_factory=Switches)
    deadlines: Deadlines = field(default_factory=Deadlines)
