"""The arguments a tool takes, read from its JSON schema, and the check of a proposed set of them.

Tools written here carry a pydantic form; tools from an MCP server carry plain JSON schema.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import Any, Literal, cast

from langchain_core.tools import BaseTool
from pydantic import BaseModel, JsonValue, ValidationError

Kind = Literal["string", "integer", "number", "boolean", "array", "object"]
Schema = Mapping[str, Any]  # JSON schema is open by definition

_KINDS: tuple[Kind, ...] = ("string", "integer", "number", "boolean", "array", "object")
RESERVED = frozenset({"tenant", "user", "config", "idempotency_key"})
"""Come from the verified credential and the runtime, so a model may never set them."""
MOST_DIGITS = 30
"""Of a number. Account and parcel numbers have fewer; Python reads no more than 4,300."""
_INTEGER = re.compile(rf"[+-]?\d{{1,{MOST_DIGITS}}}")
_DECIMAL = re.compile(rf"[+-]?\d{{0,{MOST_DIGITS}}}\.\d{{1,{MOST_DIGITS}}}")
_DEEPEST = 32
"""Levels of lists and objects in an argument."""
_MOST_PROBLEMS = 5
_PROBLEM_CHARS = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Argument:
    """One argument, as declared."""

    name: str
    kind: Kind
    description: str = ""
    required: bool = False
    choices: tuple[JsonValue, ...] = ()
    pattern: str = ""
    format: str = ""
    examples: tuple[str, ...] = ()
    minimum: float | None = None
    maximum: float | None = None
    items: Argument | None = None
    """What an array holds."""

    @property
    def words(self) -> str:
        """The name as a person would say it."""
        return spoken(self.name)


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """What came of checking arguments."""

    arguments: dict[str, JsonValue]
    """Coerced and completed with defaults; as given when there is a problem."""
    missing: tuple[str, ...] = ()
    problems: tuple[str, ...] = ()


def spoken(name: str) -> str:
    """Return an identifier as words: `order_status` and `orderStatus` are `order status`."""
    spaced = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", " ", name)
    return re.sub(r"[\W_]+", " ", spaced).strip().lower()


def arguments_of(tool: BaseTool) -> tuple[Argument, ...]:
    """Return the arguments a caller of `tool` may give, in declared order."""
    form = tool.tool_call_schema
    schema: Schema = (
        form if isinstance(form, dict) else cast("type[BaseModel]", form).model_json_schema()
    )
    definitions = {**schema.get("definitions", {}), **schema.get("$defs", {})}
    required = set(schema.get("required", ()))
    return tuple(
        _argument(name, part, definitions, required=name in required)
        for name, part in schema.get("properties", {}).items()
    )


def check(
    tool: BaseTool, declared: Iterable[Argument], arguments: Mapping[str, JsonValue]
) -> Check:
    """Validate `arguments`, turning `"3"` into 3 where a number is declared."""
    known = {argument.name: argument for argument in declared}
    given = dict(arguments)
    takes = ", ".join(known) or "no arguments"
    refused = (
        *(
            f"{one!r} is set by the runtime; leave it out"
            for one in sorted(RESERVED & given.keys())
        ),
        *(
            f"unknown argument {one!r}; it takes {takes}"
            for one in sorted(given.keys() - known.keys() - RESERVED)
        ),
        *_unfit(given),
    )
    if refused:
        return Check(arguments=given, problems=_said(refused))
    absent = tuple(
        name for name, one in known.items() if one.required and given.get(name) in (None, "")
    )
    for name in absent:
        given.pop(name, None)
    form = tool.tool_call_schema
    checked = (
        _check_json(form, known, given)
        if isinstance(form, dict)
        else _check_form(cast("type[BaseModel]", form), given)
    )
    if checked.problems:
        return checked
    return Check(arguments=checked.arguments, missing=absent)


def _argument(name: str, part: Schema, definitions: Schema, *, required: bool) -> Argument:
    part = _resolved(part, definitions)
    choices = tuple(part["enum"]) if "enum" in part else ()
    if "const" in part:
        choices = (part["const"],)
    items = part.get("items")
    return Argument(
        name=name,
        kind=_kind(part, choices),
        description=str(part.get("description", "")),
        required=required,
        choices=choices,
        pattern=str(part.get("pattern", "")),
        format=str(part.get("format", "")),
        examples=tuple(str(example) for example in part.get("examples", ())),
        minimum=part.get("minimum", part.get("exclusiveMinimum")),
        maximum=part.get("maximum", part.get("exclusiveMaximum")),
        items=_argument(name, items, definitions, required=False)
        if isinstance(items, Mapping)
        else None,
    )


def _resolved(part: Schema, definitions: Schema) -> Schema:
    """Follow `$ref`, and read `X | None` as X."""
    if "$ref" in part:
        target = definitions.get(str(part["$ref"]).rsplit("/", 1)[-1], {})
        rest = {key: value for key, value in part.items() if key != "$ref"}
        return {**_resolved(target, definitions), **rest}
    for key in ("anyOf", "oneOf", "allOf"):
        options = [one for one in part.get(key, ()) if one.get("type") != "null"]
        if options:
            rest = {name: value for name, value in part.items() if name != key}
            return {**_resolved(options[0], definitions), **rest}
    return part


def _kind(part: Schema, choices: tuple[JsonValue, ...]) -> Kind:
    declared = part.get("type")
    types = declared if isinstance(declared, list) else [declared]
    for kind in _KINDS:
        if kind in types:
            return kind
    if choices and all(isinstance(choice, int) for choice in choices):
        return "integer"
    return "array" if "items" in part else "object" if "properties" in part else "string"


def _unfit(values: Mapping[str, object]) -> Iterable[str]:
    """Name the arguments that no checker should be given: too long, endless or too deep."""
    for name, value in values.items():
        level = [value]
        for _ in range(_DEEPEST):
            if any(map(_endless, level)):
                yield f"{name}: a number may have {MOST_DIGITS} digits"
            level = [inner for one in level for inner in _within(one)]
        if level:
            yield f"{name}: is nested too deeply"


def _endless(value: object) -> bool:
    if isinstance(value, float):
        return not math.isfinite(value)
    return isinstance(value, int) and abs(value) >= 10**MOST_DIGITS


def _within(value: object) -> Iterable[object]:
    if isinstance(value, Mapping):
        return value.values()
    return value if isinstance(value, list) else ()


def _said(problems: Iterable[str]) -> tuple[str, ...]:
    """Return the first problems in short: what is wrong may be as long as a page."""
    return tuple(
        one if len(one) <= _PROBLEM_CHARS else f"{one[:_PROBLEM_CHARS]} ..."
        for one in islice(problems, _MOST_PROBLEMS)
    )


def _check_form(form: type[BaseModel], given: dict[str, JsonValue]) -> Check:
    try:
        valid = form.model_validate(given)
    except ValidationError as error:
        problems = _said(
            f"{'.'.join(map(str, item['loc']))}: {item['msg']}"
            for item in error.errors(include_url=False)
            if not (item["type"] == "missing" and len(item["loc"]) == 1)
        )
        return Check(arguments=given, problems=problems)
    # A text can have become a number; what the tool itself declares is not judged.
    problems = _said(_unfit(valid.model_dump(include=set(given))))
    return Check(arguments=given if problems else valid.model_dump(mode="json"), problems=problems)


def _check_json(
    form: dict[str, Any], known: Mapping[str, Argument], given: dict[str, JsonValue]
) -> Check:
    # Imported here: only tools of other servers need it.
    from jsonschema import Draft202012Validator  # type: ignore[import-untyped]

    coerced = {name: _coerced(known[name], value) for name, value in given.items()}
    schema = {**form, "required": [name for name in form.get("required", ()) if name in coerced]}
    problems = _said(
        f"{'.'.join(map(str, error.absolute_path))}: {error.message}".removeprefix(": ")
        for error in Draft202012Validator(schema).iter_errors(coerced)
    )
    defaults = {
        name: part["default"]
        for name, part in form.get("properties", {}).items()
        if isinstance(part, Mapping) and "default" in part and name not in coerced
    }
    return Check(arguments=given if problems else {**coerced, **defaults}, problems=problems)


def _coerced(argument: Argument, value: JsonValue) -> JsonValue:
    if isinstance(value, str) and argument.kind in ("integer", "number"):
        text = value.strip()
        if _INTEGER.fullmatch(text):
            return int(text)
        if argument.kind == "number" and _DECIMAL.fullmatch(text):
            return float(text)
    return value
