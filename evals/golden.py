"""Golden sets: what the assistant is asked and what a right answer holds, one JSON line each."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, JsonValue, ValidationError

from antiphon.nodes.state import Outcome
from antiphon.tools.errors import AssistantError, InputError


def _listed(value: object) -> object:
    return [value] if isinstance(value, str) else value


Words = Annotated[tuple[str, ...], BeforeValidator(_listed)]
"""One string, or a list of them."""


class _Form(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Message(_Form):
    """One message of the example's conversation; only the user's are sent."""

    role: Literal["user", "assistant"] = "user"
    content: str = Field(min_length=1)


class Effect(_Form):
    """A call that must have been made; arguments that are not named may be any."""

    tool: str = Field(min_length=1)
    arguments: dict[str, JsonValue] = Field(default_factory=dict)

    def __str__(self) -> str:
        """Return the call as one would write it."""
        said = ", ".join(f"{name}={value!r}" for name, value in self.arguments.items())
        return f"{self.tool}({said})" if said else self.tool


def _named(value: object) -> object:
    return {"tool": value} if isinstance(value, str) else value


class Expected(_Form):
    """What the last turn must come to."""

    outcome: Annotated[tuple[Outcome, ...], BeforeValidator(_listed)] = Field(min_length=1)
    """Any of these."""
    sources: Words = ()
    """Files that hold the answer: it must cite one of them."""
    path: Words = ()
    """Nodes the turn must go through, in this order; others may stand between."""
    facts: tuple[Words, ...] = ()
    """What the answer must say; where one is a list, any of its wordings will do."""
    absent: Words = ()
    """What the answer must not say."""

    effects: tuple[Annotated[Effect, BeforeValidator(_named)], ...] = ()
    """Calls of tools that change something which must have gone out and come to a good end."""


def _said(value: object) -> object:
    return {"content": value} if isinstance(value, str) else value


class Example(_Form):
    """One line of a golden set."""

    id: str = Field(min_length=1)
    kind: str = Field(min_length=1)
    """Its group in the report: knowledge, tools, refusal, ..."""
    messages: tuple[Annotated[Message, BeforeValidator(_said)], ...] = Field(min_length=1)
    """Sent one after the other in one thread; the last answer is judged."""
    expected: Expected
    reference: str = ""
    """A good answer, written by a person."""

    @property
    def questions(self) -> tuple[str, ...]:
        """What the user says, in order."""
        return tuple(each.content for each in self.messages if each.role == "user")


def load_golden(path: Path) -> tuple[Example, ...]:
    """Read and check a golden set.

    Raises:
        AssistantError: with one `file:line: key: what is wrong` per mistake in `problems`.
        InputError: the file cannot be read.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(
            f"the golden set {str(path)!r} cannot be read: {error}",
            hint="`golden` in assistant.yaml names it; `--golden PATH` takes another.",
        ) from error
    problems: list[str] = []
    examples: dict[str, Example] = {}
    for number, line in enumerate(text.split("\n"), start=1):
        if not line.strip():
            continue
        example, wrong = _read_line(line)
        if example is not None and example.id in examples:
            wrong = (f"id: {example.id!r} was used before; give each example its own",)
        problems += [f"{path.name}:{number}: {problem}" for problem in wrong]
        if example is not None:
            examples.setdefault(example.id, example)
    if not problems and not examples:
        problems = [f"{path.name}:1: the file holds no example"]
    if problems:
        listed = "\n".join(f"  {problem}" for problem in problems)
        raise AssistantError(
            f"{path} has mistakes:\n{listed}",
            hint='Each line is {"id", "kind", "messages", "expected": {"outcome", ...}}.',
            problems=tuple(problems),
        )
    return tuple(examples.values())


def _read_line(line: str) -> tuple[Example | None, Sequence[str]]:
    try:
        example = Example.model_validate(json.loads(line))
    except json.JSONDecodeError as error:
        return None, (f"not JSON: {error.msg} (column {error.colno})",)
    except ValidationError as error:
        return None, tuple(_mistakes(error))
    if not example.questions:
        return None, ("messages: none of them is the user's",)
    return example, ()


def _mistakes(error: ValidationError) -> Iterator[str]:
    for item in error.errors():
        key = ".".join(map(str, item["loc"])) or "line"
        remedy = "unknown key; remove it" if item["type"] == "extra_forbidden" else item["msg"]
        yield f"{key}: {remedy}"
