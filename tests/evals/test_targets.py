"""The assistant as a function, run by LangSmith's own `evaluate` and `aevaluate`."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from fakes import fake_services
from langsmith import Client, aevaluate, evaluate, schemas
from langsmith_server import Store, serving

from antiphon.evals import target
from antiphon.tools.errors import InputError

QUESTION = "How long can I take to return a lamp?"


@pytest.fixture
def server() -> Iterator[tuple[str, Store]]:
    """A server on loopback with a store of its own."""
    with serving() as running:
        yield running


def client_of(server: tuple[str, Store], **more: Any) -> Client:
    """Return LangSmith's client as a user has it."""
    return Client(server[0], api_key="k", **more)


def with_dataset(client: Client) -> str:
    """Make a dataset with one example; return its name."""
    made = client.create_dataset("help")
    client.create_examples(
        dataset_id=made.id,
        examples=[
            {
                "inputs": {"messages": [{"role": "user", "content": QUESTION}]},
                "reference_outputs": {"reference": "30 days."},
                "metadata": {},
                "split": "base",
            }
        ],
    )
    return made.name


def answered(outputs: dict[str, Any], reference_outputs: dict[str, Any]) -> dict[str, Any]:
    """A user's evaluator."""
    return {"key": "answered", "score": float(bool(outputs["answer"] and reference_outputs))}


async def test_it_answers_an_examples_inputs() -> None:
    """Messages in a thread of their own, or a question; the passages only when asked for."""
    ask = target(services=fake_services())
    said = await ask({"messages": [{"role": "user", "content": QUESTION}]})
    assert said["answer"]
    assert said["outcome"] == "answered"
    assert "guard_input" in str(said["path"])
    assert "contexts" not in said
    assert (await ask({"question": QUESTION}))["answer"] == said["answer"]
    with_passages = target(services=fake_services(), evidence=True)
    assert (await with_passages({"question": QUESTION}))["contexts"]


def test_it_outlives_the_loop_of_whoever_asks() -> None:
    """Each `asyncio.run` has a loop of its own; several may ask at once."""
    ask = target(services=fake_services())

    async def twice() -> list[object]:
        given = [ask({"question": QUESTION}) for _ in range(2)]
        return [said["answer"] for said in await asyncio.gather(*given)]

    assert len(set(map(str, asyncio.run(twice()) + asyncio.run(twice())))) == 1


async def test_inputs_without_a_question_are_said() -> None:
    """With the keys that are there, and the shape that is wanted."""
    with pytest.raises(InputError, match="'topic', 'size'") as caught:
        await target(services=fake_services())({"topic": "lamps", "size": "small"})
    assert '"question"' in caught.value.hint


def nothing_inside(store: Store) -> None:
    """Fail where a step, or words from inside, reached LangSmith."""
    assert not [run for run in store.runs.values() if run.get("parent_run_id")]
    sent = "\n".join(one.body for one in store.seen)
    assert "retrieve_context" not in {run.get("name") for run in store.runs.values()}
    assert "You are" not in sent


async def test_langsmiths_own_aevaluate_runs_it(server: tuple[str, Store]) -> None:
    """With a user's evaluator, in repetitions; what LangSmith traces is the call alone."""
    _, store = server
    client = client_of(server)
    done = await aevaluate(
        target(services=fake_services()),
        data=with_dataset(client),
        evaluators=[answered],
        client=client,
        num_repetitions=2,
        experiment_prefix="mine",
    )
    rows = [row async for row in done]
    client.flush(10)
    assert [row["evaluation_results"]["results"][0].score for row in rows] == [1.0, 1.0]
    runs = [run for run in store.runs.values() if run.get("reference_example_id")]
    assert [run["outputs"]["outcome"] for run in runs] == ["answered", "answered"]
    assert {run["inputs"]["inputs"]["messages"][0]["content"] if "inputs" in run["inputs"]
            else run["inputs"]["messages"][0]["content"] for run in runs} == {QUESTION}  # fmt: skip
    nothing_inside(store)


async def test_steps_are_added_when_asked_for(server: tuple[str, Store]) -> None:
    """Below the call, each with its times and without content."""
    _, store = server
    client = client_of(server, omit_traced_runtime_info=True)
    done = await aevaluate(
        target(services=fake_services(), steps=True),
        data=with_dataset(client),
        client=client,
    )
    assert [row async for row in done]
    client.flush(10)
    (root,) = (run for run in store.runs.values() if run.get("reference_example_id"))
    children = [run for run in store.runs.values() if run.get("parent_run_id") == root["id"]]
    children.sort(key=lambda run: str(run["dotted_order"]))
    assert [run["name"] for run in children] == root["outputs"]["path"]
    assert all(run["start_time"] <= run["end_time"] for run in children)
    assert {str((run.get("inputs"), run.get("outputs"))) for run in children} == {"({}, {})"}


@pytest.mark.filterwarnings("ignore:'upload_results' parameter is in beta")
def test_langsmiths_own_evaluate_runs_the_blocking_one_locally(server: tuple[str, Store]) -> None:
    """No result is uploaded, in threads of LangSmith's own."""
    _, store = server
    example = schemas.Example(
        id=uuid.uuid4(),
        inputs={"question": QUESTION},
        outputs={"reference": "30 days."},
        dataset_id=uuid.uuid4(),
        created_at=datetime(2026, 1, 2, tzinfo=UTC),
    )
    done = evaluate(
        target(services=fake_services(), blocking=True),
        data=[example] * 3,
        evaluators=[answered],
        client=client_of(server, tracing_sampling_rate=0.0),
        upload_results=False,
        max_concurrency=2,
    )
    assert [row["evaluation_results"]["results"][0].score for row in done] == [1.0, 1.0, 1.0]
    assert store.writes() == []
