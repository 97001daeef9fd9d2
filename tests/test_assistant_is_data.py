"""An assistant is a folder: another trade, another bot, with no line of code changed."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from antiphon.evals.golden import load_golden
from antiphon.gateway.cli import main
from antiphon.graphs.folders import sample_folder
from antiphon.graphs.runtime import open_runtime
from antiphon.graphs.settings import Settings
from antiphon.nodes.state import Context

BIKES = Path(__file__).parent / "assistants" / "bike_rental"
DEPOSIT = "How much deposit do you want for a city bike?"


async def test_a_folder_is_a_working_bot(tmp_path: Path) -> None:
    """The bicycle rental answers from its pages, uses its tool and asks before it books."""
    async with open_runtime(Settings(data_dir=tmp_path), assistant=BIKES) as runtime:
        talk, me = runtime.conversations, Context(user="ada")
        deposit = await talk.ask(DEPOSIT, context=me)
        free = await talk.ask("Do you have any e-bikes left today?", context=me)
        booking = await talk.ask("I want to book a city bike", context=me, thread="b")
        booked = await talk.ask("yes", context=me, thread="b")
    assert "50 EUR" in deposit.answer
    assert {citation["source"] for citation in deposit.citations} == {"deposit-and-id.md"}
    assert free.answer == "There are 3 bikes of the kind e-bike free."
    assert booking.outcome == "awaiting_approval"
    assert booked.answer.startswith("Your booking SH-")


@pytest.mark.slow
async def test_two_bots_in_one_data_folder_share_nothing(tmp_path: Path) -> None:
    """The sample has no word of bicycles, though the rental's data lies beside its own."""
    settings = Settings(data_dir=tmp_path)
    async with open_runtime(settings, assistant=BIKES) as rental:
        await rental.conversations.ask(DEPOSIT, context=Context(), thread="t")
    async with open_runtime(settings, assistant=sample_folder()) as sample:
        assert sample.folder != rental.folder
        assert (await sample.conversations.threads(context=Context())).threads == ()
        turn = await sample.conversations.ask(DEPOSIT, context=Context(), thread="t")
        pages = {path.name for path in (sample_folder() / "knowledge").iterdir()}
    assert turn.outcome in ("abstained", "clarifying")
    assert "50 EUR" not in turn.answer
    assert {str(citation["source"]) for citation in turn.citations} <= pages


def test_its_golden_set_loads() -> None:
    """The rental brings the cases that it is judged by, each with what is expected."""
    cases = load_golden(BIKES / "golden.jsonl")
    assert len(cases) >= 5
    assert len({case.id for case in cases}) == len(cases)


@pytest.fixture
def ask(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Callable[[Path], Any]:
    """Ask the same question of an assistant through the command."""

    def ask(folder: Path) -> Any:
        capsys.readouterr()
        assert main(["ask", "How long is the trial?", "--assistant", str(folder), "--json"]) == 0
        return json.loads(capsys.readouterr().out)

    return ask


def test_an_edited_page_is_what_the_next_answer_says(
    tmp_path: Path, ask: Callable[[Path], Any]
) -> None:
    """After `init`, editing a page is enough: each ask answers from the page as it is now."""
    folder = tmp_path / "mine"
    assert main(["init", str(folder)]) == 0
    page = folder / "knowledge" / "getting-started.md"
    text = page.read_text()
    assert "14 days" in text
    for days in ("14 days", "23 days", "67 days"):
        page.write_text(text.replace("14 days", days))
        turn = ask(folder)
        assert turn["outcome"] == "answered"
        assert days in turn["answer"]
        assert {citation["source"] for citation in turn["citations"]} == {"getting-started.md"}
