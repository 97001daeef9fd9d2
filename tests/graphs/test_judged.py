"""A language model as the judge of open claims, from the assistant's file to the turn's account."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from fakes import FakeModels, Opening, fake_services
from langchain_core.messages import AIMessage, BaseMessage

from antiphon.graphs.assembly import build_services
from antiphon.graphs.assistant import Assistant, load_assistant
from antiphon.graphs.settings import Settings
from antiphon.nodes.state import Context
from antiphon.prompts.library import PromptFiles
from antiphon.tools.claims import Judgement
from antiphon.tools.claims.judge import PURPOSE, Budget, JudgedVerifier
from antiphon.tools.errors import AssistantError
from antiphon.tools.guards.grounding import Grounding
from antiphon.tools.guards.pipeline import GuardRail
from antiphon.tools.models import Reply, Usage
from antiphon.tools.models.accounted import Accounted
from antiphon.tools.tokens import ApproximateCounter

SAYS = "You can return an item within 30 days of delivery."
ASIDE = "Items that arrive from a customer are looked at within 30 days of delivery."


@dataclass
class Open:
    """Leaves the answer's second claim open."""

    async def judge(
        self, claims: Sequence[str], evidence: Sequence[str], *, language: str = "en"
    ) -> tuple[Judgement, ...]:
        return tuple(
            Judgement(
                claim=claim,
                verdict="supported" if claim == SAYS else "unsure",
                reason="as found",
                quote=evidence[0] if claim == SAYS else "",
                supported=0.9,
            )
            for claim in claims
        )


@dataclass
class Speaks(FakeModels):
    """Answers with both claims, and judges that the second is not found."""

    name: str = "capable"
    judged: list[str] = field(default_factory=list)

    async def last_resort(self, messages: Sequence[BaseMessage]) -> Reply:
        prompt = messages[-1].text
        numbers = re.findall(r'<claim number="(\d+)">', prompt)
        said = f"{SAYS} [1] {ASIDE} [1]"
        if numbers:
            self.judged.append(prompt)
            said = json.dumps([{"claim": int(n), "verdict": "not found"} for n in numbers])
        return Reply(
            message=AIMessage(content=said),
            model=self.name,
            usage=Usage(input_tokens=10, output_tokens=5),
            cost_usd=0.001,
        )


@pytest.mark.parametrize("limit", [0.01, 0.0])
async def test_a_turn_pays_for_its_judge_and_says_what_is_left(
    opening: Opening, limit: float
) -> None:
    """Two calls more than the answer's own, each under its purpose; none over the budget."""
    models = Speaks()
    verifier = JudgedVerifier(
        Open(), Accounted(models, PURPOSE), PromptFiles(), ApproximateCounter(),
        model="capable", budget=Budget(turn_tokens=8000 if limit else 1),
    )  # fmt: skip
    talk = await opening(
        fake_services(
            models=models, verifier=verifier, output_rail=GuardRail([Grounding(verifier=verifier)])
        )
    )
    turn = await talk.ask("How long can I return it?", context=Context(tenant="acme", user="alice"))
    assert turn.outcome == "answered"
    assert (ASIDE in turn.answer) is not bool(limit)
    assert len(models.judged) == (2 if limit else 0)
    assert turn.cost_usd == pytest.approx(0.001 + 0.001 * len(models.judged))
    assert turn.usage["input_tokens"] == 10 + 10 * len(models.judged)


def assistant(folder: Path, judge: str) -> Assistant:
    """Return an assistant with a judge."""
    folder.mkdir()
    (folder / "assistant.yaml").write_text(
        "id: shop\nname: Shop\nknowledge:\n  paths: []\nintents:\n  declared:\n    - name: help\n"
        f"      examples: [How long can I keep it?, When must it be back?]\n{judge}"
    )
    return load_assistant(folder)


def test_the_file_switches_the_judge_on(tmp_path: Path) -> None:
    """Off without it; a model that is not on offer is an error that names those that are."""
    settings = Settings(
        data_dir=tmp_path / "data", model="openai:some", model_url="http://127.0.0.1:9/v1"
    )
    plain = build_services(settings, assistant(tmp_path / "plain", ""))
    assert not isinstance(plain.verifier, JudgedVerifier)
    judged = assistant(tmp_path / "judged", "judge:\n  model: openai:some\n  twice: false\n")
    verifier = build_services(settings, judged).verifier
    assert isinstance(verifier, JudgedVerifier)
    assert type(verifier.first) is type(plain.verifier)
    for name in ("openai:other", "extractive"):
        other = assistant(tmp_path / name[-5:], f"judge:\n  model: {name}\n")
        with pytest.raises(AssistantError, match=f"no model '{name}'") as raised:
            build_services(settings, other)
        assert "openai:some" in raised.value.hint
