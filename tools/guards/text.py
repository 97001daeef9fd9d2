"""Guards of the text as text: its size, and the characters nobody sees."""

from __future__ import annotations

import re
import unicodedata

from antiphon.tools.guards.pace import paced
from antiphon.tools.guards.verdict import Finding, Subject

# Controls but tab and newline; soft hyphen; zero-width and bidi marks, embeddings, overrides and
# isolates; invisible operators; byte-order mark; the tag block that can smuggle whole sentences.
# U+200C and U+200D stay where a script needs them: see `_JOINERS`.
_UNSEEN = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u00ad\u180e\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff"
    "\ufff9-\ufffb\U000e0000-\U000e007f]"
)
# Joiners are letters' business in Arabic, Persian and Indic scripts and inside emoji; between
# Latin, Greek or Cyrillic letters they only hide a word from a filter.
_JOINERS = re.compile(r"(?<=[\x00-\u052f])[\u200c\u200d]+|[\u200c\u200d]+(?=[\x00-\u052f]|$)")


def visible(text: str) -> tuple[str, int]:
    """Return the text in NFC with what cannot be seen removed, and how many characters went."""
    unified = text.replace("\r\n", "\n").replace("\r", "\n")
    cleaned, unseen = _UNSEEN.subn("", unified)
    shown = _JOINERS.sub("", cleaned)
    return unicodedata.normalize("NFC", shown), unseen + len(cleaned) - len(shown)


class Size:
    """Refuses a text that is empty or too long."""

    name = "size"

    def __init__(self, max_chars: int = 8000, *, critical: bool = True) -> None:
        self.critical = critical
        self._max_chars = max_chars

    async def check(self, text: str, subject: Subject) -> Finding:  # noqa: ARG002
        """Judge the length."""
        if not text.strip():
            return Finding(ok=False, text=text, severity="critical", reason="the text is empty")
        if len(text) > self._max_chars:
            reason = f"{len(text)} characters, at most {self._max_chars} are read"
            return Finding(ok=False, text=text, severity="critical", reason=reason)
        return Finding(ok=True, text=text)


class ControlCharacters:
    """Removes what cannot be seen: controls, zero-width, bidi overrides, Unicode tags."""

    name = "control_characters"

    def __init__(self, *, critical: bool = False) -> None:
        self.critical = critical

    async def check(self, text: str, subject: Subject) -> Finding:  # noqa: ARG002
        """Return the text in NFC without unseen characters."""
        cleaned, removed = await paced(len(text), visible, text)
        if not removed:
            return Finding(ok=True, text=cleaned)
        if not cleaned.strip():
            reason = "nothing is left but unseen characters"
            return Finding(ok=False, text=cleaned, severity="critical", reason=reason)
        reason = f"{removed} unseen characters removed"
        return Finding(ok=False, text=cleaned, severity="warning", reason=reason)
