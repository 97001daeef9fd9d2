"""An answer that is not in its evidence is noted for the node to act on."""

from __future__ import annotations

from antiphon.tools.guards import Subject
from antiphon.tools.guards.grounding import Grounding

EVIDENCE = ("Returns are free within thirty days of delivery.",)


async def test_an_answer_from_the_evidence_passes() -> None:
    """Words of the passages are grounded."""
    subject = Subject(evidence=EVIDENCE, expects_evidence=True)
    assert (await Grounding().check("Returns are free within thirty days.", subject)).ok


async def test_words_are_compared_in_the_language_of_the_answer() -> None:
    """An inflected word is the same word, and another language's is open to doubt, not false."""
    pages = ("Zurückgesandte Lampen werden innerhalb weniger Tage erstattet.",)
    text = "Eine zurückgesandte Lampe wird in wenigen Tagen erstattet."
    abroad = (f"{EVIDENCE[0]} The lamp is sent back, and you get the money in a few days.",)
    for evidence in (pages, abroad):
        subject = Subject(evidence=evidence, expects_evidence=True)
        assert (await Grounding().check(text, subject)).ok
    wrong = Subject(evidence=("Refunds take 5 days.",), expects_evidence=True)
    finding = await Grounding().check("Die Erstattung der Lampe dauert 9 Tage.", wrong)
    assert not finding.ok


async def test_an_invented_answer_is_high() -> None:
    """What stands nowhere is a high violation; the text is left for whoever decides."""
    subject = Subject(evidence=EVIDENCE, expects_evidence=True)
    text = "Penguins colonise Antarctica because krill swarm there."
    finding = await Grounding().check(text, subject)
    assert (finding.ok, finding.severity, finding.text) == (False, "high", text)


async def test_small_talk_needs_no_evidence() -> None:
    """Where no evidence is expected, nothing is judged."""
    assert (await Grounding().check("Penguins colonise Antarctica.", Subject())).ok
