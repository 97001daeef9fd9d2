"""The language a caller asks for: a short tag and nothing else, since it ends up in prompts."""

from __future__ import annotations

import re

from antiphon.tools.errors import InputError

DEFAULT = "en"
_MOST_CHARS = 35
"""RFC 5646 asks implementations to allow for this much."""
_TAG = re.compile(r"[A-Za-z]{2,3}(-[A-Za-z0-9]{2,8})*")


def language_tag(text: str) -> str:
    """Return `text` if it has the form of a BCP 47 language tag. Raises InputError."""
    if len(text) > _MOST_CHARS or not _TAG.fullmatch(text):
        raise InputError(
            f"{text[:_MOST_CHARS]!r} is not a language tag",
            hint="Use a tag such as en, de-AT or zh-Hant.",
        )
    return text


def language_tag_or_default(text: object) -> str:
    """Return `text` if it is a language tag, else the default: for where nobody can be told."""
    try:
        return language_tag(str(text))
    except InputError:
        return DEFAULT
