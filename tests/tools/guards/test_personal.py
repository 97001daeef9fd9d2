"""Personal data is masked; what the evidence makes public is not."""

from __future__ import annotations

from antiphon.tools.guards import Subject
from antiphon.tools.guards.personal import PersonalData
from antiphon.tools.privacy import PatternDetector

GUARD = PersonalData(PatternDetector(), rail="output")


async def test_personal_data_is_masked_and_counted() -> None:
    """The text goes on masked; the record has kinds and counts, never values."""
    finding = await PersonalData(PatternDetector()).check("I am ana@example.org", Subject())
    assert (finding.ok, finding.text) == (False, "I am <EMAIL_1>")
    assert (finding.severity, finding.action) == ("info", "masked")
    assert finding.entities == {"EMAIL": 1}
    assert "ana" not in finding.reason


async def test_grave_kinds_are_a_warning() -> None:
    """A card number weighs more than an address."""
    finding = await PersonalData(PatternDetector()).check("4111 1111 1111 1111", Subject())
    assert finding.severity == "warning"


async def test_values_of_the_evidence_stay_in_the_answer() -> None:
    """The help centre's own address is an answer; another's is not."""
    evidence = ("Write to Help@example.com for refunds.",)
    text = "Write to help@example.com, not to bob@example.org."
    finding = await GUARD.check(text, Subject(evidence=evidence))
    assert finding.text == "Write to help@example.com, not to <EMAIL_1>."


async def test_evidence_does_not_excuse_input() -> None:
    """On the input rail a value is masked wherever else it stands."""
    subject = Subject(evidence=("help@example.com",))
    finding = await PersonalData(PatternDetector()).check("help@example.com", subject)
    assert finding.text == "<EMAIL_1>"
