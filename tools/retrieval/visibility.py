"""Which passages a search may see, one test per field, the same for every backend.

A backend asks these of the distinct values it holds, or puts them as filters of its own.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from antiphon.tools.errors import InputError
from antiphon.tools.retrieval.analysis import primary
from antiphon.tools.retrieval.passages import Passage, Where

OPEN = Where()
"""What a search without conditions sees: all that has no label."""
DATE = re.compile(r"(\d{4})(?:-?(\d{2})(?:-?(\d{2}))?)?(?!\d)")


def visible(passage: Passage, where: Where) -> bool:
    """Whether a passage meets every condition."""
    return (
        is_open(passage.labels, where.labels)
        and is_within(passage.source, where.sources)
        and is_spoken(passage.language, where.languages)
        and is_dated(passage.updated, days(where))
    )


def is_open(labels: Sequence[str], held: Sequence[str]) -> bool:
    """Whether a caller with the labels `held` may see a passage with these."""
    return not labels or not set(held).isdisjoint(labels)


def is_within(source: str, sources: Sequence[str]) -> bool:
    """Whether a source is one of these, or below one of these folders."""
    return not sources or not set(sources).isdisjoint(places(source))


def is_spoken(language: str, languages: Sequence[str]) -> bool:
    """Whether a language is one of these, whatever the region."""
    return not languages or primary(language) in {primary(tag) for tag in languages}


def is_dated(updated: str, between: tuple[int, int] | None) -> bool:
    """Whether a date lies between two days, both included; an unknown date does not."""
    if between is None:
        return True
    found = day(updated)
    return bool(found) and between[0] <= found <= between[1]


def places(source: str) -> list[str]:
    """Return the names a source answers to: its own, and each folder above it with its slash."""
    ends = [at + 1 for at, letter in enumerate(source) if letter == "/"]
    return [*(source[:end] for end in ends if end < len(source)), source]


def day(date: str) -> int:
    """Return an ISO date as yyyymmdd, 0 when it is none; what it leaves open counts as 00."""
    found = DATE.match(date)
    return int("".join(part or "00" for part in found.groups())) if found else 0


def days(where: Where) -> tuple[int, int] | None:
    """Return the first and the last day asked for, None when none is.

    A month or a year includes all its days. Raises InputError on what is no date.
    """
    for date in (where.updated_from, where.updated_to):
        if date and not day(date):
            raise InputError(f"not an ISO date: {date!r}", hint="write 2026-01-31")
    if not where.updated_from and not where.updated_to:
        return None
    last = DATE.match(where.updated_to)
    until = "".join(part or "99" for part in last.groups()) if last else "99999999"
    return day(where.updated_from), int(until)
