"""Data as sentences: what a tool returned as JSON says something only with its keys."""

from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import islice

MOST = 400
"""Sentences that are read."""


def spoken(text: str) -> str:
    """Return JSON as one sentence an object; any other text comes back as it is.

    `{"order": 7, "paid": false}` becomes "order: 7, not paid."
    """
    if text.lstrip()[:1] not in ("{", "["):
        return text
    try:
        data = json.loads(text)
    except (ValueError, RecursionError):
        return text
    try:
        return "\n".join(islice(_said(data, ""), MOST))
    except RecursionError:
        return text


def _said(value: object, name: str) -> Iterator[str]:
    if isinstance(value, dict):
        inner = {_named(name, str(key)): one for key, one in value.items()}
        plain = [_field(key, one) for key, one in inner.items() if not _deep(one)]
        if plain:
            yield f"{', '.join(plain)}."
        for key, one in inner.items():
            if _deep(one):
                yield from _said(one, key)
    elif isinstance(value, list):
        for one in value:
            yield from _said(one, name)
    else:
        yield f"{_field(name, value)}."


def _field(name: str, value: object) -> str:
    if value is True:
        return name
    if value is False or value is None:
        return f"not {name}"
    return f"{name}: {value}" if name else str(value)


def _named(name: str, key: str) -> str:
    return f"{name} {key.replace('_', ' ')}".strip()


def _deep(value: object) -> bool:
    return isinstance(value, dict | list)
