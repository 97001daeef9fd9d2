"""The language a caller asks for: a short tag and nothing else, since it ends up in prompts."""

from __future__ import annotations

import re

from antiphon.tools.errors import InputError

DEFAULT = "en"
_MOST_CHARS = 35
"""RFC 5646 asks implementations to allow for this much."""
_TAG = re.compile(
    r"([A-Za-z]{2,3}(?:-[A-Za-z]{4})?(?:-(?:[A-Za-z]{2}|[0-9]{3}))?)(?:-[A-Za-z0-9]{1,8})*"
)


def language_tag(text: str) -> str:
    """Return language, script and region of a BCP 47 language tag. Raises InputError.

    What may follow, variants and extensions, could be any words: it is left out.
    """
    tag = _TAG.fullmatch(text) if len(text) <= _MOST_CHARS else None
    if tag is None:
        raise InputError(
            f"{text[:_MOST_CHARS]!r} is not a language tag",
            hint="Use a tag such as en, de-AT or zh-Hant.",
        )
    return tag[1]


def language_tag_or_default(text: object) -> str:
    """Return what `language_tag` does, else the default: for where nobody can be told."""
    try:
        return language_tag(str(text))
    except InputError:
        return DEFAULT
