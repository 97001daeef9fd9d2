"""An answer that is not in its evidence is noted for the node to act on."""

from __future__ import annotations

from antiphon.tools.guards import Subject
from antiphon.tools.guards.grounding import Grounding

EVIDENCE = ("Returns are free within thirty days of delivery.",)


async def test_an_answer_from_the_evidence_passes() -> None:
    """Words of the passages are grounded."""
    subject = Subject(evidence=EVIDENCE, expects_evidence=True)
    assert (await Grounding().check("Returns are free within thirty days.", subject)).ok


async def test_words_are_compared_in_the_language_of_the_evidence() -> None:
    """An inflected word is the same word, where the language is known."""
    pages = ("Zurückgesandte Lampen werden innerhalb weniger Tage erstattet.",)
    text = "Eine zurückgesandte Lampe wird in wenigen Tagen erstattet."
    for language, ok in (("de", True), ("en", False)):
        subject = Subject(evidence=pages, expects_evidence=True, language=language)
        assert (await Grounding().check(text, subject)).ok is ok


async def test_an_invented_answer_is_high() -> None:
    """What stands nowhere is a high violation; the text is left for whoever decides."""
    subject = Subject(evidence=EVIDENCE, expects_evidence=True)
    text = "Penguins colonise Antarctica because krill swarm there."
    finding = await Grounding().check(text, subject)
    assert (finding.ok, finding.severity, finding.text) == (False, "high", text)


async def test_small_talk_needs_no_evidence() -> None:
    """Where no evidence is expected, nothing is judged."""
    assert (await Grounding().check("Penguins colonise Antarctica.", Subject())).ok
