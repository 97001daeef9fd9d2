"""What a Markdown file says of itself: the YAML between two `---` lines at its top."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date

from antiphon.tools.errors import InputError
from antiphon.tools.retrieval.analysis import primary

LONGEST = 16 * 1024
"""Characters within which front matter must end."""
MOST_BRACKETS = 100
"""The YAML reader takes quadratic time on deep nesting."""
FRONT_MATTER = re.compile(r"---[ \t]*\r?\n((?:.*\n)*?)(?:---|\.\.\.)[ \t]*(?:\r?\n|\Z)")


@dataclass(frozen=True, slots=True, kw_only=True)
class FrontMatter:
    """The fields that concern ingestion; others are ignored."""

    end: int = 0
    """Where the body starts."""
    title: str = ""
    updated: str = ""
    """ISO date, empty where none can be read."""
    language: str = ""
    """BCP 47 primary tag, empty where none is given."""
    labels: tuple[str, ...] = ()


def front_matter(text: str) -> FrontMatter:
    """Return what stands above a text; the defaults where nothing does.

    Raises:
        InputError: it is no valid YAML, or its `labels` could be misread.
    """
    found = FRONT_MATTER.match(text[:LONGEST])
    fields = _parsed(found.group(1)) if found else None
    if not found or not isinstance(fields, dict):
        # A mere rule at the top is body; so is what is not a set of fields.
        return FrontMatter(end=found.end() if found and fields is None else 0)
    return FrontMatter(
        end=found.end(),
        title=str(fields.get("title") or "").strip(),
        updated=_date(fields),
        language=_language(fields),
        labels=_labels(fields),
    )


def _parsed(yaml: str) -> object:
    from ruamel.yaml import YAML
    from ruamel.yaml.error import YAMLError

    if yaml.count("[") + yaml.count("{") > MOST_BRACKETS:
        raise InputError("Front matter is not valid YAML: too many brackets")
    try:
        fields: object = YAML(typ="safe", pure=True).load(yaml)
    except (YAMLError, ValueError, RecursionError) as error:
        mark = getattr(error, "problem_mark", None)
        where = f" at line {mark.line + 2}" if mark else ""
        raise InputError(
            f"Front matter is not valid YAML{where}", hint="Quote values that hold a colon."
        ) from error
    return fields


def _language(fields: Mapping[str, object]) -> str:
    value = str(fields.get("language") or fields.get("lang") or "").strip()
    return primary(value) if value else ""


def _date(fields: Mapping[str, object]) -> str:
    value = fields.get("updated") or fields.get("date") or ""
    try:
        return date.fromisoformat(str(value)[:10]).isoformat()
    except ValueError:
        return ""


def _labels(fields: Mapping[str, object]) -> tuple[str, ...]:
    """Return the access labels; a mistake in them must not open a document to all."""
    value = fields.get("labels")
    labels = [value] if isinstance(value, str) else value or []
    if not isinstance(labels, list) or not all(isinstance(label, str) for label in labels):
        raise InputError("Front matter: `labels` must be a list of words")
    return tuple(labels)
