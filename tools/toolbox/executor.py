"""The assistant's toolbox: chooses a tool by likeness, fills and checks its arguments, runs it.

Whatever a tool does (raise, hang, return something huge) becomes a `ToolResult`; who it runs for
comes from the verified caller and never from the arguments.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import date
from pathlib import Path

from langchain_core.runnables import RunnableConfig
from langchain_core.tools import ToolException
from pydantic import JsonValue
from pydantic_core import to_jsonable_python

from antiphon.tools.errors import AssistantError
from antiphon.tools.resilience import Breaker, Breakers, Switches
from antiphon.tools.retrieval.passages import Embedder
from antiphon.tools.toolbox.arguments import answer, extract
from antiphon.tools.toolbox.calls import Caller, Missing, Plan, ToolCall, ToolResult, ToolSpec
from antiphon.tools.toolbox.isolation import Crowded, Runner
from antiphon.tools.toolbox.likeness import Likeness
from antiphon.tools.toolbox.schema import Argument, arguments_of, check, spoken
from antiphon.tools.toolbox.wording import fill

THRESHOLD = 0.35
"""Least likeness of a message to a tool for the tool to be chosen."""
MAX_CHARS = 8000
"""Longest result that is passed on."""


class AssistantToolbox:
    """The tools that one assistant declares."""

    def __init__(
        self,
        specs: Sequence[ToolSpec],
        *,
        embedder: Embedder,
        switches: Switches,
        threshold: float = THRESHOLD,
        data_dir: Path | None = None,
        clock: Callable[[], float] = time.monotonic,
        today: Callable[[], date] = date.today,
    ) -> None:
        """Raise AssistantError when two tools have one name."""
        self._data_dir = data_dir
        self._specs = {spec.name: spec for spec in specs}
        if len(self._specs) < len(specs):
            names = [spec.name for spec in specs]
            twice = next(name for name in names if names.count(name) > 1)
            raise AssistantError(f"two tools are named {twice!r}", hint="Rename one of them.")
        self._arguments = {spec.name: arguments_of(spec.tool) for spec in specs}
        self._runners = {spec.name: Runner(spec.tool) for spec in specs}
        self._breakers = Breakers(clock=clock)
        self._likeness = Likeness(specs, embedder)
        self._switches = switches
        self._threshold = threshold
        self._today = today

    def specs(self) -> Sequence[ToolSpec]:
        """Return every declared tool with its policy."""
        return tuple(self._specs.values())

    async def choose(
        self, text: str, *, turn: str, among: Sequence[str] = (), pending: Missing | None = None
    ) -> Plan:
        """Choose the likest tool and fill its arguments from `text`.

        With `pending`, `text` is read as the reply to its question; a plan with nothing in it
        says that it was none, so that the message can be read afresh.
        """
        if pending is not None and pending.tool in self._specs:
            return self._continue(pending, text, turn=turn)
        name = await self._likest(text, among)
        if name is None:
            return Plan()
        found = extract(self._arguments[name], text, today=self._today())
        return self.validate(name, found, turn=turn)

    def validate(self, name: str, arguments: dict[str, JsonValue], *, turn: str) -> Plan:
        """Check a call a model asked for: the call, the missing argument, or why not."""
        spec = self._specs.get(name)
        if spec is None:
            return self._unknown(name)
        checked = check(spec.tool, self._arguments[name], arguments)
        if checked.problems:
            return _rejected(name, checked.problems)
        if checked.missing:
            return Plan(missing=self._ask(spec, checked.missing[0], checked.arguments))
        key = _key(turn, name, checked.arguments)
        call = ToolCall(
            id=f"call_{key[:16]}", name=name, arguments=checked.arguments, idempotency_key=key
        )
        return Plan(calls=(call,))

    def revalidate(self, call: ToolCall, arguments: dict[str, JsonValue] | None) -> Plan:
        """Check a call that waited, with its own arguments or with those an approver gave."""
        spec = self._specs.get(call.name)
        if spec is None:
            return self._unknown(call.name)
        given = call.arguments if arguments is None else arguments
        checked = check(spec.tool, self._arguments[call.name], given)
        problems = (*checked.problems, *(f"{name} is missing" for name in checked.missing))
        if problems:
            return _rejected(call.name, problems)
        return Plan(calls=(replace(call, arguments=checked.arguments),))

    async def execute(self, call: ToolCall, *, caller: Caller) -> ToolResult:
        """Run a validated call now, under breaker and deadline."""
        spec = self._specs.get(call.name)
        if spec is None:
            return _failed(call, "invalid", f"There is no tool named {call.name}.")
        frozen = self._switches.frozen(call.name, caller.tenant)
        breaker = self._breakers.of(call.name, caller.tenant)
        if frozen or not breaker.admit():
            return _unavailable(call)
        began = time.perf_counter()
        try:
            result = await self._attempt(spec, call, caller, breaker)
        except asyncio.CancelledError:
            _release(breaker)
            raise
        return replace(result, ms=round((time.perf_counter() - began) * 1000, 3))

    async def _attempt(
        self, spec: ToolSpec, call: ToolCall, caller: Caller, breaker: Breaker
    ) -> ToolResult:
        try:
            async with asyncio.timeout(spec.timeout_s):
                returned = await self._runners[call.name].run(
                    dict(call.arguments), _config(call, caller, self._data_dir), caller.tenant
                )
            result = _succeeded(spec, call, returned)
        except Crowded:
            _release(breaker)
            return _unavailable(call)
        except TimeoutError:
            breaker.fail()
            return _in_doubt(spec, call, "timeout", "did not answer in time")
        except ToolException as error:
            # How a tool says no on purpose: its own words, from a service that works.
            breaker.succeed()
            said = _cut(str(error)) or f"The {spoken(call.name)} service failed."
            return _failed(call, "said_no", said)
        # A tool is the user's code: anything may come out of it, and none of it is for show.
        except Exception:  # noqa: BLE001
            breaker.fail()
            return _in_doubt(spec, call, "raised", "failed")
        breaker.succeed()
        return result

    def _unknown(self, name: str) -> Plan:
        return Plan(rejected=(f"{name[:100]}: no such tool; there are {', '.join(self._specs)}",))

    async def _likest(self, text: str, among: Sequence[str]) -> str | None:
        names = [name for name in self._specs if not among or name in among]
        if len(names) == 1 and among:
            return names[0]
        if not names:
            return None
        scores = await self._likeness.scores(text)
        best = max(names, key=scores.__getitem__)
        return best if scores[best] >= self._threshold else None

    def _continue(self, pending: Missing, text: str, *, turn: str) -> Plan:
        declared = self._arguments[pending.tool]
        asked = next((one for one in declared if one.name == pending.argument), None)
        value = None if asked is None else answer(asked, text, today=self._today())
        if value is None:
            return Plan()
        known = {**pending.arguments, pending.argument: value}
        others = extract(
            [one for one in declared if one.required], text, today=self._today(), known=known
        )
        plan = self.validate(pending.tool, {**known, **others}, turn=turn)
        return Plan(missing=pending, rejected=plan.rejected) if plan.rejected else plan

    def _ask(self, spec: ToolSpec, name: str, known: dict[str, JsonValue]) -> Missing:
        argument = next(one for one in self._arguments[spec.name] if one.name == name)
        return Missing(
            tool=spec.name,
            argument=name,
            question=spec.ask.get(name) or _question(argument),
            arguments=known,
        )


def _release(breaker: Breaker) -> None:
    """Give back the breaker's trial after a call that says nothing of the tool's health."""
    if breaker.state == "half_open":
        breaker.fail()


def _question(argument: Argument) -> str:
    choices = " or ".join(", ".join(map(str, argument.choices)).rsplit(", ", 1))
    offered = f" ({choices})" if choices else ""
    if not argument.description:
        return f"Which {argument.words}{offered} is it?"
    described = argument.description.split(". ")[0].strip(" .")
    return f"I need one more thing, {described[0].lower()}{described[1:]}{offered}: what is it?"


def _config(call: ToolCall, caller: Caller, data_dir: Path | None) -> RunnableConfig:
    return {
        "configurable": {
            "tenant": caller.tenant,
            "user": caller.user,
            "thread": caller.thread,
            "idempotency_key": call.idempotency_key,
            "data_dir": str(data_dir) if data_dir else "",
        }
    }


def _key(turn: str, name: str, arguments: Mapping[str, JsonValue]) -> str:
    canonical = json.dumps([turn, name, arguments], sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).hexdigest()


def _succeeded(spec: ToolSpec, call: ToolCall, returned: object) -> ToolResult:
    data: JsonValue = to_jsonable_python(returned, fallback=str)
    fields = data if isinstance(data, dict) else {"result": data}
    content = data if isinstance(data, str) else json.dumps(data, ensure_ascii=False)
    return ToolResult(
        call_id=call.id,
        name=call.name,
        ok=True,
        content=_cut(content),
        said=_cut(fill(spec.reply, {**call.arguments, **fields})),
    )


def _failed(call: ToolCall, error: str, sentence: str) -> ToolResult:
    return ToolResult(call_id=call.id, name=call.name, ok=False, content=sentence, error=error)


def _unavailable(call: ToolCall) -> ToolResult:
    sentence = f"The {spoken(call.name)} service is unavailable at the moment."
    return _failed(call, "unavailable", sentence)


def _in_doubt(spec: ToolSpec, call: ToolCall, error: str, what: str) -> ToolResult:
    doubt = " It may still have taken effect." if spec.side_effects else ""
    failed = _failed(call, error, f"The {spoken(call.name)} service {what}.{doubt}")
    return replace(failed, doubtful=spec.side_effects)


def _rejected(name: str, problems: Sequence[str]) -> Plan:
    return Plan(rejected=(f"{name}: {'; '.join(problems)}",))


def _cut(text: str) -> str:
    if len(text) <= MAX_CHARS:
        return text
    note = f" ... [{len(text) - MAX_CHARS} more characters left out]"
    return text[:MAX_CHARS] + note
