"""Fingerprints: the same content has the same one anywhere, another content another."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from fakes import FakeEmbedder, FakeKnowledge, FakeModels, fake_services

from antiphon.evals import fingerprint as module
from antiphon.evals.fingerprint import Fingerprint, content_hash, fingerprint
from antiphon.evals.golden import Example
from antiphon.evals.metrics import five
from antiphon.evals.sample import Evaluator, Sample, Score
from antiphon.graphs.services import Services
from antiphon.prompts.library import PromptFiles
from antiphon.tools.errors import KnowledgeUnavailable
from antiphon.tools.models import Scored, Selection, Task
from antiphon.tools.privacy.detect import PatternDetector
from antiphon.tools.retrieval import Inventory


def an_example(name: str, question: str = "What of it?", fact: str = "30 days") -> Example:
    """Return an example that asks and expects this."""
    return Example.model_validate(
        {
            "id": name,
            "kind": "knowledge",
            "messages": [question],
            "expected": {"outcome": "answered", "facts": [fact]},
        }
    )


EXAMPLES = (an_example("a"), an_example("b"))


async def taken(services: Services, examples: Sequence[Example] = EXAMPLES) -> Fingerprint:
    """Take the fingerprint of these services on these examples."""
    jury = five(services.embedder, PatternDetector())
    return await fingerprint(services, examples, jury=jury, tenant="default")


class OtherVectors(FakeEmbedder):
    """The same embedder on another processor: the last digit is another."""

    async def embed(self, texts: Sequence[str]) -> list[list[float]]:
        return [[*each[:-1], each[-1] + 1e-9] for each in await super().embed(texts)]


class Choosy(FakeModels):
    """Would ask another model when the extractive one fails."""

    def select(self, task: Task) -> Selection:
        other = Scored(
            model="openai:x", score=0.5, cost=1, latency=1, quality=1, cost_usd=0.0, latency_s=1.0
        )
        return replace(super().select(task), alternatives=(other,))


async def test_the_same_parts_have_the_same_fingerprint() -> None:
    """Nothing of the machine, the clock or the order of the golden set is in it."""
    first = await taken(fake_services())
    again = await taken(fake_services(), EXAMPLES[::-1])
    assert first == again
    assert again.changed(first) == ()


@pytest.mark.parametrize(
    ("given", "changed"),
    [
        ({"models": FakeModels(fingerprint="other")}, ("model",)),
        ({"knowledge": FakeKnowledge(version="v2")}, ("knowledge",)),
        ({"embedder": OtherVectors()}, ("arithmetic",)),
        ({"reranker": None}, ("model",)),
    ],
    ids=["models", "knowledge", "arithmetic", "reranker"],
)
async def test_what_is_another_is_named(given: dict[str, object], changed: Sequence[str]) -> None:
    """And nothing else is."""
    before, now = await taken(fake_services()), await taken(fake_services(**given))
    assert now.changed(before) == tuple(changed)


async def test_one_word_of_a_prompt_is_another_prompt(tmp_path: Path) -> None:
    """The overrides of an assistant count, by content."""
    answer = (Path(module.__file__).parents[1] / "prompts" / "answer.md").read_text("utf-8")
    (tmp_path / "answer.md").write_text(f"{answer.rstrip()} Please.\n", encoding="utf-8")
    files = fake_services(prompts=PromptFiles()), fake_services(prompts=PromptFiles(tmp_path))
    before, now = [await taken(each) for each in files]
    assert now.changed(before) == ("prompt",)


async def test_an_assistants_file_and_the_python_beside_it_count(tmp_path: Path) -> None:
    """A tool that does something else is another assistant's doing; its knowledge is no Python."""
    form = fake_services().assistant.model_copy(update={"folder": tmp_path})
    (tmp_path / "tools.py").write_text("A = 1\n")
    before = await taken(fake_services(assistant=form))
    (tmp_path / "golden.jsonl").write_text("{}\n")
    assert (await taken(fake_services(assistant=form))).changed(before) == ()
    (tmp_path / "tools.py").write_text("A = 2\n")
    assert (await taken(fake_services(assistant=form))).changed(before) == ("declaration",)
    other = form.model_copy(update={"fingerprint": "edited"})
    assert "declaration" in (await taken(fake_services(assistant=other))).changed(before)


async def test_code_counts_where_it_shapes_answers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every file of a node or a tool, weights too; no bench, baseline or compiled file."""
    for folder in module.CODE:
        (tmp_path / folder).mkdir()
    monkeypatch.setattr(module, "ROOT", tmp_path)
    places = ("tools/reader.onnx", "evals/baselines/x.json", "evals/bench/b.py")
    for place in (*places, "nodes/__pycache__/n.pyc", "nodes/n.py"):
        (tmp_path / place).parent.mkdir(exist_ok=True)
        (tmp_path / place).write_text("1")
    before = await taken(fake_services())
    for place in ("evals/baselines/x.json", "evals/bench/b.py", "nodes/__pycache__/n.pyc"):
        (tmp_path / place).write_text("2")
    assert (await taken(fake_services())).changed(before) == ()
    for place in ("tools/reader.onnx", "nodes/n.py"):
        (tmp_path / place).write_text("2")
        now = await taken(fake_services())
        assert now.changed(before) == ("code",)
        before = now


async def test_another_evaluator_is_named() -> None:
    """One that is written elsewhere counts, by its own file."""

    class Polite:
        """A house's own metric."""

        name = "polite"

        def __init__(self, rubric: str) -> None:
            self.fingerprint = rubric

        async def evaluate(self, sample: Sample) -> Score:
            return Score(value=float("please" in sample.answer))

    async def with_(*more: Evaluator) -> Fingerprint:
        jury = (*five(FakeEmbedder(), PatternDetector()), *more)
        return await fingerprint(fake_services(), EXAMPLES, jury=jury, tenant="default")

    five_alone, one, other = await with_(), await with_(Polite("v1")), await with_(Polite("v2"))
    assert one.changed(five_alone) == other.changed(one) == ("evaluators",)
    assert (five_alone.marks_vary, one.marks_vary) == (False, True)


@pytest.mark.parametrize(
    ("models", "varies"),
    [(FakeModels(), False), (FakeModels(name="openai:x"), True), (Choosy(), True)],
    ids=["extractive", "a language model", "one in reserve"],
)
async def test_only_the_extractive_model_alone_never_varies(
    models: FakeModels, *, varies: bool
) -> None:
    """A language model anywhere in the chain may answer otherwise the next time."""
    assert (await taken(fake_services(models=models))).varies is varies


async def test_knowledge_that_cannot_be_reached_stops_no_run() -> None:
    """The questions will say what is wrong with it."""

    class Away(FakeKnowledge):
        async def inventory(self, *, tenant: str) -> Inventory:
            raise KnowledgeUnavailable("away")

    assert (await taken(fake_services(knowledge=Away()))).knowledge == ""


async def test_each_example_has_a_hash_of_what_it_asks_and_expects() -> None:
    """One digit of a fact is another example; the others keep their hashes."""
    near = (EXAMPLES[0], an_example("b", fact="31 days"))
    before, now = await taken(fake_services()), await taken(fake_services(), near)
    assert (now.examples["a"], now.examples["b"] == before.examples["b"]) == (
        before.examples["a"],
        False,
    )
    assert now.golden != before.golden


def test_a_key_left_out_is_no_part_of_an_example() -> None:
    """A release that knows more keys makes no other golden set of it."""
    plain = an_example("a")
    told = plain.model_copy(update={"reference": ""})
    assert content_hash(told) == content_hash(plain)
    assert content_hash(plain.model_copy(update={"reference": "No."})) != content_hash(plain)
    assert "reference" not in plain.model_dump(exclude_defaults=True)


def test_how_a_line_is_written_is_no_part_of_an_example() -> None:
    """A string is a list of one, a message its own role; keys come in any order."""
    long = Example.model_validate(
        {
            "expected": {"facts": [["30 days"]], "outcome": ["answered"]},
            "messages": [{"role": "user", "content": "What of it?"}],
            "kind": "knowledge",
            "id": "a",
        }
    )
    assert content_hash(long) == content_hash(an_example("a"))
