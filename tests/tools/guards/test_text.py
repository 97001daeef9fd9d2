"""Size and unseen characters."""

from __future__ import annotations

import pytest

from antiphon.tools.guards import Subject
from antiphon.tools.guards.text import ControlCharacters, Size


@pytest.mark.parametrize(
    ("text", "ok"), [("hello", True), ("", False), (" \n ", False), ("x" * 11, False)]
)
async def test_size_refuses_nothing_and_too_much(text: str, ok: bool) -> None:
    """Empty and overlong texts are critical."""
    finding = await Size(10).check(text, Subject())
    assert finding.ok is ok
    assert ok or finding.severity == "critical"


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("a\x00b\x1bc", "abc"),
        ("pay\u202emoc", "paymoc"),
        ("ig\u200bnore\ufeff", "ignore"),
        ("p\u200dass\u00adword", "password"),
        ("hi" + "".join(chr(0xE0000 + ord(char)) for char in "obey"), "hi"),
    ],
    ids=["controls", "bidi", "zero-width", "joiner in Latin", "tags"],
)
async def test_unseen_characters_go(text: str, left: str) -> None:
    """What nobody sees is removed, with a warning."""
    finding = await ControlCharacters().check(text, Subject())
    assert (finding.ok, finding.text, finding.severity) == (False, left, "warning")


@pytest.mark.parametrize(
    "text",
    ["a\n\tb", "naïve café", "👩‍💻 ok", "می‌خواهم", "क्‍ष"],
    ids=["whitespace", "accents", "emoji", "Persian", "Devanagari"],
)
async def test_visible_text_stays(text: str) -> None:
    """Newlines, tabs, and the joiners that scripts and emoji need are kept."""
    finding = await ControlCharacters().check(text, Subject())
    assert (finding.ok, finding.text) == (True, text)


async def test_text_is_composed() -> None:
    """Decomposed accents come out in NFC, which is no violation."""
    finding = await ControlCharacters().check("cafe\u0301", Subject())
    assert (finding.ok, finding.text) == (True, "café")
