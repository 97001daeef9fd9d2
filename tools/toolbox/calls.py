"""What a tool is, what a call of it is, and what comes back: success and failure are both data."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

from langchain_core.tools import BaseTool
from pydantic import JsonValue

from antiphon.tools.stored import Stored


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolSpec:
    """A declared tool and the policy around it."""

    tool: BaseTool
    side_effects: bool = False
    approval: bool = False
    """Ask a person before running it."""
    idempotent: bool = False
    """The tool takes an idempotency key and honours it."""
    timeout_s: float = 30.0
    """The guide's tool deadline."""
    confirm: str = ""
    """Sentence shown to the approver; `{argument}` places are filled in."""
    reply: str = ""
    """How to say a success without a model; `{field}` places are filled from the result."""
    ask: dict[str, str] = field(default_factory=dict)
    """The question to put for a missing argument, by argument name."""
    examples: tuple[str, ...] = ()
    """Utterances that call for this tool."""

    @property
    def name(self) -> str:
        """The tool's name as models see it."""
        return self.tool.name


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolCall(Stored):
    """One intended call, validated."""

    id: str
    name: str
    arguments: dict[str, JsonValue]
    idempotency_key: str
    """Stable for this call on this turn: a retry or a resume carries the same key."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Missing(Stored):
    """An argument that must be asked of the user."""

    tool: str
    argument: str
    question: str
    arguments: dict[str, JsonValue]
    """What is known so far."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """Which calls to make; or what to ask first; or neither."""

    calls: tuple[ToolCall, ...] = ()
    missing: Missing | None = None
    rejected: tuple[str, ...] = ()
    """`tool: why` of calls that failed validation, for the model or the trace."""

    @property
    def why(self) -> str:
        """Why there is nothing to call."""
        return "; ".join(self.rejected) or "an argument is missing"


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolResult(Stored):
    """What came back from a call."""

    call_id: str
    name: str
    ok: bool
    content: str
    """The result as JSON or text; on failure a sentence that is safe to show. Untrusted."""
    said: str = ""
    """The result put into words by the tool's `reply` template, if it has one."""
    error: str = ""
    """Failure code: `timeout`, `raised`, `said_no`, `unavailable`, `invalid`, `declined`.

    `said_no`: the tool works, and refused in its own words. Only the first two are its failures.
    """
    doubtful: bool = False
    """It failed, and may have taken effect all the same: it must not simply be run again."""
    ms: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    """On whose behalf a tool runs; comes from the verified credential, never from the model."""

    tenant: str
    user: str = ""
    thread: str = ""


class Toolbox(Protocol):
    """The tools of one assistant: choose, then execute."""

    def specs(self) -> Sequence[ToolSpec]:
        """Return every declared tool with its policy."""
        ...

    async def choose(
        self, text: str, *, turn: str, among: Sequence[str] = (), pending: Missing | None = None
    ) -> Plan:
        """Choose a tool by similarity and fill its arguments from `text` by schema.

        `turn` seeds idempotency keys; `pending` continues an argument question.
        """
        ...

    def validate(self, name: str, arguments: dict[str, JsonValue], *, turn: str) -> Plan:
        """Check a call a model asked for: the call, the missing argument, or why not."""
        ...

    def revalidate(self, call: ToolCall, arguments: dict[str, JsonValue] | None) -> Plan:
        """Check a call that waited, with its own arguments or with those an approver gave.

        It stays the same call: an edit changes neither id nor idempotency key. What the tool does
        not take, or no longer, is `rejected`; nothing is asked for.
        """
        ...

    async def execute(self, call: ToolCall, *, caller: Caller) -> ToolResult:
        """Run a validated call now, under breaker and deadline; a tool's own failure is data.

        It runs as often as it is told to: whether it ran before is for the caller to know.
        """
        ...
