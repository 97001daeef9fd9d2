"""The reader of claims that ships."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from antiphon.tools.errors import SettingsError
from antiphon.tools.models import claim_reader
from antiphon.tools.models.claim_reader import ClaimReader, make_verifier
from antiphon.tools.models.embeddings import MiniLM

PAGE = "You can return any item within 30 days of delivery."
PAIRS = [
    (PAGE, "Customers can return items within 30 days of delivery."),
    (PAGE, "Returns are impossible."),
    (PAGE, "Our lamps are made of brass."),
]


async def test_support_denial_and_neither_are_told_apart() -> None:
    """Each pair is nearest its own class."""
    found = await ClaimReader().read(PAIRS)
    assert [one.index(max(one)) for one in found] == [0, 1, 2]
    assert all(sum(one) == pytest.approx(1.0) for one in found)


async def test_a_reading_depends_on_its_pair_alone() -> None:
    """Neither on what else is read with it, nor on the order."""
    reader = ClaimReader()
    together = await reader.read(PAIRS[::-1])
    alone = [(await reader.read([pair]))[0] for pair in PAIRS]
    for one, other in zip(alone, together[::-1], strict=True):
        assert one == other
    assert await reader.read([]) == []


async def test_readings_at_once_are_each_their_own() -> None:
    """Two turns ask at the same time."""
    reader = ClaimReader()
    found = await asyncio.gather(*(reader.read([pair]) for pair in PAIRS * 3))
    assert [one[0].index(max(one[0])) for one in found] == [0, 1, 2] * 3


async def test_weights_that_are_missing_are_named(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A broken installation says which file."""
    (tmp_path / "other.onnx").write_bytes(b"nothing")
    monkeypatch.setattr(claim_reader, "WEIGHTS", tmp_path / "other.onnx")
    with pytest.raises(SettingsError, match=r"other\.onnx"):
        await ClaimReader().read(PAIRS)


async def test_the_verifier_that_ships_reads_and_aligns() -> None:
    """B1's negation, another figure, and two right answers in other words."""
    verifier = make_verifier(MiniLM())
    claims = [
        "You cannot return an item within 30 days of delivery.",
        "You can return an item within 90 days of delivery.",
        "You have a month from the day it arrives to send it back.",
        "Sie können jeden Artikel innerhalb von 30 Tagen nach der Lieferung zurückgeben.",
    ]
    found = [(await verifier.judge([one], [PAGE]))[0].verdict for one in claims[:3]]
    (german,) = await verifier.judge(claims[3:], [PAGE], language="de")
    assert found == ["contradicted", "contradicted", "unsure"]
    assert german.verdict == "unverified"
