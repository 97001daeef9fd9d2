"""Which passages a search may see, condition by condition."""

from __future__ import annotations

import pytest

from antiphon.tools.errors import InputError
from antiphon.tools.retrieval.passages import Where
from antiphon.tools.retrieval.visibility import (
    day,
    days,
    is_dated,
    is_open,
    is_spoken,
    is_within,
    places,
)


@pytest.mark.parametrize(
    ("labels", "held", "expected"),
    [
        ((), (), True),
        ((), ("staff",), True),
        (("staff",), (), False),
        (("staff", "press"), ("press",), True),
        (("staff",), ("Staff", "staff "), False),
    ],
)
def test_labels(labels: tuple[str, ...], held: tuple[str, ...], expected: bool) -> None:
    """Unlabelled is open to all; labelled needs one of the very same labels."""
    assert is_open(labels, held) is expected


@pytest.mark.parametrize(
    ("source", "sources", "expected"),
    [
        ("a/b/c.md", (), True),
        ("a/b/c.md", ("a/b/c.md",), True),
        ("a/b/c.md", ("a/",), True),
        ("a/b/c.md", ("x.md", "a/b/"), True),
        ("a/b/c.md", ("a", "b/", "a/b"), False),
        ("a.md", ("a/",), False),
        ("https://example.org/help/", ("https://example.org/",), True),
    ],
)
def test_sources(source: str, sources: tuple[str, ...], expected: bool) -> None:
    """A source is named in full or by a folder above it that ends in a slash."""
    assert is_within(source, sources) is expected


def test_places() -> None:
    """A source stands in each of its folders."""
    assert places("a/b/c.md") == ["a/", "a/b/", "a/b/c.md"]
    assert places("c.md") == ["c.md"]
    assert places("a/") == ["a/"]


def test_languages() -> None:
    """Regions make no difference; an empty tag is English."""
    assert is_spoken("de-AT", ("fr", "de"))
    assert is_spoken("", ("en",))
    assert not is_spoken("de", ("en",))


@pytest.mark.parametrize(
    ("date", "expected"),
    [
        ("2026-01-31", 20260131),
        ("20260131", 20260131),
        ("2026-01-31T10:00:00Z", 20260131),
        ("2026-01", 20260100),
        ("2026", 20260000),
        ("", 0),
        ("soon", 0),
        ("31.01.2026", 0),
    ],
)
def test_day(date: str, expected: int) -> None:
    """Dates are read to the day; what is none is unknown."""
    assert day(date) == expected


def test_dates() -> None:
    """Both bounds are included, a month with all its days; an unknown date meets no bound."""
    january = days(Where(updated_from="2026-01", updated_to="2026-01"))
    inside = ["2026-01-01", "2026-01-31T23:59:59Z", "2026-01"]
    outside = ["2025-12-31", "2026-02-01", "", "soon"]
    assert [date for date in (*inside, *outside) if is_dated(date, january)] == inside
    assert is_dated("", days(Where()))
    assert not is_dated("", days(Where(updated_to="2026")))


def test_a_wrong_date() -> None:
    """A bound that is no date is refused."""
    with pytest.raises(InputError, match="someday"):
        days(Where(updated_to="someday"))
