"""Sentences with places: `{field}` and `{field.inner}` filled from data, all of them or none."""

from __future__ import annotations

import re
from collections.abc import Mapping

from pydantic import JsonValue

_PLACE = re.compile(r"\{(\w+(?:\.\w+)*)\}")


def fill(template: str, values: Mapping[str, JsonValue]) -> str:
    """Return `template` with every place filled, or nothing when a value is absent."""
    found = {path: _said(_at(path, values)) for path in _PLACE.findall(template)}
    if not all(found.values()):
        return ""
    return _PLACE.sub(lambda match: found[match[1]], template)


def places(template: str) -> set[str]:
    """Return the names of the values that a template shows whole."""
    return {path for path in _PLACE.findall(template) if "." not in path}


def _at(path: str, values: Mapping[str, JsonValue]) -> JsonValue:
    here: JsonValue = dict(values)
    for key in path.split("."):
        if not isinstance(here, dict) or key not in here:
            return None
        here = here[key]
    return here


def _said(value: JsonValue) -> str:
    if value is None or isinstance(value, dict):
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list):
        return ", ".join(filter(None, map(_said, value)))
    return str(value)
