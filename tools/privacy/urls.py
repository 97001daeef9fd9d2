"""A URL as it may be shown: without the name and password, or the query, that it may carry."""

from __future__ import annotations

HIDDEN = "***"


def shown(url: str) -> str:
    """Return the URL with what may be a secret in it hidden.

    All up to the last `@` counts as name and password: one that was not quoted as a URL wants it
    must not slip through.
    """
    scheme, there, rest = url.partition("://")
    if not there:
        scheme, rest = "", url
    _, at, place = rest.rpartition("@")
    place, query, _ = place.partition("?")
    return f"{scheme}{there}{HIDDEN + at if at else ''}{place}{query + HIDDEN if query else ''}"
