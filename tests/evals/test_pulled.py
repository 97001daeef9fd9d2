"""What people did and said in LangSmith, as candidates; and the same from files, without a key."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from langsmith import schemas
from langsmith_server import Store, serving
from pydantic import JsonValue

from antiphon.evals.exchange import Line, Pulled, example_line, read, written
from antiphon.evals.experiment import exported, feedback_id, results
from antiphon.evals.golden import Example, Expected, Message
from antiphon.evals.langsmith import LangSmith
from antiphon.evals.pulled import Found, found
from antiphon.evals.report import Row, summarise
from antiphon.tools.errors import InputError

RUN = "0195f000-0000-7000-8000-0000000000aa"


def an_example(name: str, reference: str = "") -> Example:
    """Return an example of that id."""
    return Example(
        id=name,
        kind="knowledge",
        messages=(Message(content=f"What about {name}?"),),
        expected=Expected(outcome=("answered",)),
        reference=reference,
    )


EXAMPLES = (an_example("returns", "30 days."), an_example("shipping"))
REPORT = results(
    summarise(
        [
            Row(
                id=each.id,
                kind=each.kind,
                question=each.questions[-1],
                answer=f"About {each.id}.",
                outcome="answered",
                overall=0.7,
                metrics={"relevance": 0.5},
                started=1_790_000_000.0,
            )
            for each in EXAMPLES
        ],
        seconds=1.0,
    ).as_json()
)


@pytest.fixture
def server() -> Iterator[tuple[str, Store]]:
    """A server on loopback with a store of its own."""
    with serving() as running:
        yield running


async def pulled(server: tuple[str, Store], *projects: str) -> Found:
    """Return what a pull proposes."""
    connection = LangSmith(api_key="k", api_url=server[0])
    return found(await connection.pull("help", projects=projects), EXAMPLES, tenant="acme")


async def uploaded(server: tuple[str, Store]) -> dict[str, Any]:
    """Upload the report; return each golden id's run."""
    connection = LangSmith(api_key="k", api_url=server[0])
    await connection.upload(REPORT, EXAMPLES, dataset="help")
    return {run["extra"]["metadata"]["id"]: run for run in server[1].roots()}


def a_run(inputs: Line) -> Line:
    """Return a run as LangSmith exports it."""
    return {"id": RUN, "run_type": "chain", "inputs": inputs, "outputs": {"answer": "14 days."}}


def said(key: str = "user_score", **more: JsonValue) -> Line:
    """Return a person's feedback on that run."""
    return {
        "id": str(uuid.uuid4()),
        "run_id": RUN,
        "key": key,
        "feedback_source": {"type": "app"},
        **more,
    }


async def test_what_nobody_touched_proposes_nothing(server: tuple[str, Store]) -> None:
    """Our own examples and our own scores do not come back as news."""
    await uploaded(server)
    assert await pulled(server) == Found(candidates=[], skipped=[])


async def test_a_line_changed_here_is_no_edit_made_there(server: tuple[str, Store]) -> None:
    """An older version there does not ask to undo what the file says now."""
    connection = LangSmith(api_key="k", api_url=server[0])
    await connection.push([an_example("returns", "14 days."), EXAMPLES[1]], "help")
    assert await pulled(server) == Found(candidates=[], skipped=[])


async def test_an_edited_example_comes_back_as_a_candidate(server: tuple[str, Store]) -> None:
    """Under its golden id, masked, once an edit; the dataset is left as it is."""
    _, store = server
    connection = LangSmith(api_key="k", api_url=server[0])
    await connection.push(EXAMPLES, "help")
    name = next(
        k for k, e in store.examples.items() if e["metadata"]["antiphon"]["id"] == "returns"
    )
    outputs = {**store.examples[name]["outputs"], "reference": "30 days; ask mona@example.org."}
    store.edit(name, outputs=outputs)
    before = store.writes()
    (candidate,) = (await pulled(server)).candidates
    assert candidate.example["id"] == "returns"
    assert "30 days; ask" in str(candidate.example["reference"])
    assert "mona" not in json.dumps(candidate.example)
    assert (candidate.tenant, candidate.origin) == ("acme", "pull")
    assert candidate.comment == "edited in LangSmith"
    assert (await pulled(server)).candidates == [candidate]
    store.edit(name, outputs={**outputs, "reference": "31 days."})
    (other,) = (await pulled(server)).candidates
    assert other.id != candidate.id
    assert before == store.writes()


@pytest.mark.parametrize(
    ("inputs", "outputs", "messages", "reference"),
    [
        ({"question": "By bike?"}, {"answer": "No."}, ["By bike?"], "No."),
        ({"anything": "By bike?"}, {"any": "No."}, ["By bike?"], "No."),
        (
            {"messages": [{"role": "system", "content": "S"}, {"role": "user", "content": "A?"},
                          {"role": "assistant", "content": "B"},
                          {"type": "human", "content": "C?"}]},
            {"output": "D"},
            ["A?", {"role": "assistant", "content": "B"}, "C?"],
            "D",
        ),
    ],
    ids=["question", "any-key", "conversation"],
)  # fmt: skip
def test_an_added_example_is_read_whatever_its_shape(
    inputs: Line, outputs: Line, messages: list[object], reference: str
) -> None:
    """Its split becomes the kind; LangSmith's own split `base` says nothing."""
    line: Line = {
        "id": RUN, "inputs": inputs, "outputs": outputs,
        "metadata": {"dataset_split": ["base", "hard"]},
    }  # fmt: skip
    (candidate,) = found(Pulled(examples=[line]), EXAMPLES, tenant="acme").candidates
    assert candidate.example["messages"] == messages
    assert (candidate.example["reference"], candidate.example["kind"]) == (reference, "hard")


def test_what_holds_no_question_is_said_to_be_left_out() -> None:
    """Two texts, of which none is named as the question, could be anything."""
    line: Line = {"id": RUN, "inputs": {"a": "x", "b": "y"}, "outputs": {}}
    here = found(Pulled(examples=[line]), EXAMPLES, tenant="acme")
    assert here.candidates == []
    assert here.skipped == [f"example {RUN}: its inputs hold no question"]


def test_an_added_example_that_the_set_asks_already_is_no_news() -> None:
    """The same question with the same answer; with another answer it is one."""
    line: Line = {
        "id": RUN, "inputs": {"question": "What about RETURNS"}, "outputs": {"answer": "30 days."}
    }  # fmt: skip
    assert found(Pulled(examples=[line]), EXAMPLES, tenant="acme").candidates == []
    line["outputs"] = {"answer": "31 days."}
    assert len(found(Pulled(examples=[line]), EXAMPLES, tenant="acme").candidates) == 1


async def test_a_persons_word_on_an_answer_comes_back(server: tuple[str, Store]) -> None:
    """Thumbs down and its comment, with the golden line it is about and what was answered."""
    _, store = server
    run = (await uploaded(server))["returns"]
    store.say(run["id"], "user_score", score=0, comment="It is 14 days for sale items.")
    (candidate,) = (await pulled(server)).candidates
    assert candidate.example["id"] == "returns"
    assert candidate.example["messages"] == ["What about returns?"]
    assert candidate.example["reference"] == "30 days."
    assert (candidate.rating, candidate.answer) == (-1, "About returns.")
    assert candidate.comment == "user_score 0: It is 14 days for sale items."


async def test_a_correction_becomes_the_reference(server: tuple[str, Store]) -> None:
    """What an annotator wrote instead."""
    _, store = server
    run = (await uploaded(server))["shipping"]
    store.say(run["id"], "correctness", score=0, correction={"answer": "Two days."})
    (candidate,) = (await pulled(server)).candidates
    assert (candidate.example["id"], candidate.example["reference"]) == ("shipping", "Two days.")


async def test_praise_of_a_known_line_is_no_news(server: tuple[str, Store]) -> None:
    """Nothing would change."""
    _, store = server
    run = (await uploaded(server))["returns"]
    store.say(run["id"], "user_score", score=1)
    assert (await pulled(server)).candidates == []


async def test_feedback_of_a_traced_project_comes_too(server: tuple[str, Store]) -> None:
    """By its name; a question from real use becomes a line of its own."""
    _, store = server
    await uploaded(server)
    project = {
        "id": str(uuid.uuid4()), "name": "live", "tenant_id": str(uuid.uuid4()),
        "start_time": "2026-01-02T00:00:00+00:00", "reference_dataset_id": None,
    }  # fmt: skip
    store.sessions[str(project["id"])] = project
    store.runs[RUN] = {
        **a_run({"messages": [{"type": "human", "content": "By bike?"}]}), "name": "turn",
        "session_id": project["id"], "start_time": "2026-01-02T00:00:01+00:00",
    }  # fmt: skip
    store.say(RUN, "thumbs", score=True)
    assert (await pulled(server)).candidates == []
    (candidate,) = (await pulled(server, "live")).candidates
    assert candidate.example["messages"] == ["By bike?"]
    assert (candidate.rating, candidate.example["reference"]) == (1, "14 days.")
    with pytest.raises(InputError, match="'dead'"):
        await pulled(server, "dead")


@pytest.mark.parametrize(
    ("score", "rating"),
    [(1, 1), (True, 1), (0.5, 1), (0.4, -1), (0, -1), (False, -1), (-1, -1), (4, 0), (None, 0)],
)
def test_a_score_is_thumbs_only_where_its_scale_is_known(score: JsonValue, rating: int) -> None:
    """4 of 5 and 4 of 100 look alike: the number stays in the comment."""
    here = found(
        Pulled(runs=[a_run({"question": "By bike?"})], feedback=[said(score=score, comment="hm")]),
        EXAMPLES,
        tenant="acme",
    )
    assert [each.rating for each in here.candidates] == [rating]
    assert score is None or str(score) in here.candidates[0].comment


def test_what_we_or_a_model_scored_is_nobodys_word() -> None:
    """Nor is feedback on a step, whose run is no answer; that is said."""
    ours = {**said("relevance", score=0), "id": str(feedback_id(uuid.UUID(RUN), "relevance"))}
    model = said("helpful", score=0)
    model["feedback_source"] = {"type": "model"}
    step = {**said(score=0), "run_id": str(uuid.uuid4())}
    runs = [a_run({"question": "By bike?"})]
    here = found(Pulled(runs=runs, feedback=[ours, model, step]), EXAMPLES, tenant="acme")
    assert here.candidates == []
    assert [str(step["run_id"]) in why for why in here.skipped] == [True]


async def test_a_dataset_that_is_not_there_is_said(server: tuple[str, Store]) -> None:
    """With the command that makes one."""
    with pytest.raises(InputError, match="no dataset 'help'") as caught:
        await pulled(server)
    assert "eval push" in caught.value.hint


async def test_files_say_the_same_as_the_server(server: tuple[str, Store], tmp_path: Path) -> None:
    """What is exported without a key is what an upload sends, but for the dataset's own id."""
    _, store = server
    await uploaded(server)
    path = tmp_path / "all.jsonl"
    lines = [example_line(each) for each in EXAMPLES]
    path.write_text(written([*lines, *exported(REPORT, EXAMPLES, "help", steps=False)]), "utf-8")
    back = read(path)
    assert [each["inputs"] for each in back.examples] == [
        each["inputs"] for each in store.examples.values()
    ]
    theirs = [*store.runs.values()]
    names = {"id", "trace_id", "dotted_order", "session_id", "reference_example_id"}
    for run, other in zip(back.runs, theirs, strict=True):
        assert {k: v for k, v in run.items() if v is not None and k not in names} == {
            k: v for k, v in other.items() if k not in names
        }
        assert schemas.Run(**run).outputs == other["outputs"]  # type: ignore[arg-type]
    assert [(f["key"], f["score"]) for f in back.feedback] == [
        (f["key"], f["score"]) for f in store.feedback.values()
    ]
    assert found(back, EXAMPLES, tenant="acme") == Found(candidates=[], skipped=[])


@pytest.mark.parametrize(
    ("text", "why"),
    [("{", ":1: not JSON"), ("\n[1]", ":2: neither"), ('{"inputs": "x"}', ":1: neither")],
)
def test_a_line_of_something_else_is_named(tmp_path: Path, text: str, why: str) -> None:
    """By file and number."""
    path = tmp_path / "some.jsonl"
    path.write_text(text, "utf-8")
    with pytest.raises(InputError, match=f"some.jsonl{why}"):
        read(path)


def test_a_text_with_a_line_separator_stays_one_line(tmp_path: Path) -> None:
    """Only a newline ends a line of JSON lines."""
    line: Line = {"id": RUN, "inputs": {"question": "By\u2028bike?"}, "outputs": {}}
    path = tmp_path / "some.jsonl"
    path.write_text(written([line]), "utf-8")
    assert read(path).examples == [line]
