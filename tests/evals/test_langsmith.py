"""Golden sets and experiments in LangSmith, against a recording server on loopback."""

from __future__ import annotations

import json
import re
import uuid
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime
from typing import Any

import pytest
from langsmith import schemas
from langsmith.types.session_create_params import SessionCreateParams
from langsmith_server import Seen, Store, serving

from antiphon.evals.exchange import example_id, example_line
from antiphon.evals.experiment import Results, results
from antiphon.evals.golden import Example, Expected, Message
from antiphon.evals.langsmith import LangSmith
from antiphon.evals.report import Row, Took, summarise
from antiphon.tools.errors import AntiphonError, InputError, SettingsError

STARTED = 1_790_000_000.0
Server = tuple[str, Store]


@pytest.fixture
def server() -> Iterator[Server]:
    """A server on loopback with a store of its own."""
    with serving() as found:
        yield found


def an_example(name: str, *facts: str, kind: str = "knowledge") -> Example:
    """Return an example of that id."""
    return Example(
        id=name,
        kind=kind,
        messages=(Message(content=f"What about {name}?"),),
        expected=Expected(outcome=("answered",), facts=tuple((fact,) for fact in facts)),
    )


EXAMPLES = (an_example("returns", "30 days"), an_example("shipping", kind="tools"))
ROWS = [
    Row(
        id="returns",
        kind="knowledge",
        question="What about returns?",
        answer="You have 30 days [1].",
        outcome="answered",
        expected=("answered",),
        path=("guard_input", "respond"),
        overall=0.9,
        metrics={"relevance": 0.8, "safety": 1.0},
        errors={"coherence": "TimeoutError"},
        reasons={"relevance": ["answer and question are 0.38 alike"]},
        assertions={"outcome": "ok", "facts": "does not say '30 days'"},
        retrieval={"context_recall": 0.5},
        started=STARTED,
        latency_ms=40.0,
        steps=(
            Took(node="guard_input", at_ms=1.0, ms=4.0),
            Took(node="respond", at_ms=6.5, ms=30.0),
        ),
        model="small-1",
        usage={"input_tokens": 120, "output_tokens": 9},
        cost_usd=0.002,
        degraded_because="respond: timeout: took 30 s with the card of somebody",
    ),
    Row(
        id="shipping",
        kind="tools",
        question="What about shipping?",
        started=STARTED + 1,
        error="down",
    ),
]


def a_report(*rows: Row, fingerprint: dict[str, object] | None = None) -> Results:
    """Return a report of these rows, or the usual ones, as it is saved."""
    report = summarise(rows or ROWS, seconds=1.0).as_json()
    return results({**report, "fingerprint": fingerprint})


REPORT = a_report()


def connected(server: Server) -> LangSmith:
    """Return a connection to the server."""
    return LangSmith(api_key="k", api_url=server[0])


def remote(store: Store, name: str) -> dict[str, Any]:
    """Return an example as the server has it."""
    return next(e for e in store.examples.values() if e["metadata"]["antiphon"]["id"] == name)


async def test_a_push_creates_the_dataset_and_its_examples(server: Server) -> None:
    """Inputs hold the messages, outputs what is expected; the kind is the split."""
    _, store = server
    pushed = await connected(server).push(EXAMPLES, "help")
    assert (pushed.created, pushed.updated, pushed.removed, pushed.unchanged) == (2, 0, 0, 0)
    stored = remote(store, "returns")
    assert stored["id"] == str(example_id(uuid.UUID(store.datasets["help"]["id"]), "returns"))
    assert stored["inputs"] == {"messages": [{"role": "user", "content": "What about returns?"}]}
    assert stored["outputs"]["expected"]["facts"] == [["30 days"]]
    assert stored["metadata"]["dataset_split"] == ["knowledge"]
    assert remote(store, "shipping")["metadata"]["dataset_split"] == ["tools"]


async def test_a_second_push_changes_nothing(server: Server) -> None:
    """Pushing the same set again, in another order, writes nothing at all."""
    _, store = server
    await connected(server).push(EXAMPLES, "help")
    before = store.writes()
    pushed = await connected(server).push(EXAMPLES[::-1], "help")
    assert (pushed.created, pushed.updated, pushed.unchanged) == (0, 0, 2)
    assert before == store.writes()


async def test_a_changed_example_is_updated_in_place(server: Server) -> None:
    """The same id gets the new content and split; what people added to it stays."""
    _, store = server
    await connected(server).push(EXAMPLES, "help")
    first = remote(store, "returns")
    first["metadata"] = {
        **first["metadata"], "owner": "desk 2", "dataset_split": ["knowledge", "hard"]
    }  # fmt: skip
    changed = (an_example("returns", "14 days", kind="policy"), EXAMPLES[1])
    pushed = await connected(server).push(changed, "help")
    assert (pushed.created, pushed.updated, pushed.unchanged) == (0, 1, 1)
    stored = remote(store, "returns")
    assert stored["outputs"]["expected"]["facts"] == [["14 days"]]
    assert stored["metadata"]["dataset_split"] == ["policy", "hard"]
    assert stored["metadata"]["owner"] == "desk 2"
    assert len(store.examples) == 2


async def test_a_version_is_tagged_with_the_content(server: Server) -> None:
    """Each content has a tag of its own, and going back to one moves its tag to the latest."""
    _, store = server
    first = (await connected(server).push(EXAMPLES, "help")).version
    second = (await connected(server).push(EXAMPLES[:1], "help")).version
    assert first != second
    assert store.tags[first] < store.tags[second] == store.versions
    assert (await connected(server).push(EXAMPLES, "help")).version == first
    assert store.tags[first] == store.versions


async def test_what_is_gone_is_removed_and_only_what_came_from_here(server: Server) -> None:
    """An example that a person added stays; so does a vanished one that was edited there."""
    _, store = server
    gone = (an_example("gift"), an_example("label"))
    await connected(server).push((*EXAMPLES, *gone), "help")
    theirs = {"id": str(uuid.uuid4()), "inputs": {"question": "And by bike?"}, "outputs": {}}
    store.examples[str(theirs["id"])] = {**remote(store, "gift"), **theirs, "metadata": {}}
    store.edit(remote(store, "label")["id"], outputs={"reference": "Print it."})
    pushed = await connected(server).push(EXAMPLES, "help")
    assert (pushed.removed, pushed.edited) == (1, ("label",))
    names = {e["metadata"].get("antiphon", {}).get("id") for e in store.examples.values()}
    assert names == {"returns", "shipping", "label", None}


async def test_an_edit_made_there_is_not_overwritten(server: Server) -> None:
    """Nor is the version then called the golden set's; `overwrite` gives the edit up."""
    _, store = server
    await connected(server).push(EXAMPLES, "help")
    theirs = {"reference": "Thirty days, unworn."}
    store.edit(remote(store, "returns")["id"], outputs=theirs)
    before = dict(store.tags)
    pushed = await connected(server).push(EXAMPLES, "help")
    assert (pushed.updated, pushed.edited, store.tags) == (0, ("returns",), before)
    assert remote(store, "returns")["outputs"] == theirs
    pushed = await connected(server).push(EXAMPLES, "help", overwrite=True)
    assert (pushed.updated, pushed.edited) == (1, ())
    assert remote(store, "returns")["outputs"] == example_line(EXAMPLES[0])["outputs"]


async def test_an_experiment_brings_every_row_with_its_scores(server: Server) -> None:
    """Each row is a run on its example at its true time, each metric a feedback with reasons."""
    _, store = server
    done = await connected(server).upload(REPORT, EXAMPLES, dataset="help")
    assert (done.rows, done.sent) == (2, 2)
    session = store.session(done.name)
    assert session["reference_dataset_id"] == store.datasets["help"]["id"]
    assert datetime.fromisoformat(session["start_time"]).timestamp() == STARTED
    assert session["end_time"]
    by_example = {run["reference_example_id"]: run for run in store.roots()}
    run = by_example[remote(store, "returns")["id"]]
    assert run["inputs"] == remote(store, "returns")["inputs"]
    assert run["outputs"] == {
        "answer": "You have 30 days [1].",
        "outcome": "answered",
        "path": ["guard_input", "respond"],
    }
    assert datetime.fromisoformat(run["start_time"]).timestamp() == STARTED
    assert datetime.fromisoformat(run["end_time"]).timestamp() == pytest.approx(STARTED + 0.04)
    usage = run["extra"]["metadata"]["usage_metadata"]
    assert (usage["total_tokens"], usage["total_cost"]) == (129, 0.002)
    failed = by_example[remote(store, "shipping")["id"]]
    assert (failed["error"], failed.get("outputs")) == ("down", None)
    mine = {f["key"]: f for f in store.feedback.values() if f["run_id"] == run["id"]}
    assert {key: f["score"] for key, f in mine.items()} == {
        "overall": 0.9, "relevance": 0.8, "safety": 1.0, "coherence": None,
        "expected_outcome": 1.0, "expected_facts": 0.0, "context_recall": 0.5,
    }  # fmt: skip
    assert mine["expected_facts"]["comment"] == "does not say '30 days'"
    assert mine["relevance"]["comment"] == "answer and question are 0.38 alike"
    assert (mine["coherence"]["error"], mine["coherence"]["comment"]) == (True, "TimeoutError")


async def test_an_experiment_says_what_it_was_made_with(server: Server) -> None:
    """Models, fingerprints, tokens, cost; not what tells one machine from another."""
    _, store = server
    made_with: dict[str, object] = {
        "model": "m1", "prompt": "p1", "knowledge": "k1", "code": "c1", "golden": "g1",
        "libraries": {"numpy": "9.9"}, "arithmetic": "x", "examples": {"returns": "h"},
    }  # fmt: skip
    done = await connected(server).upload(
        a_report(fingerprint=made_with), EXAMPLES, dataset="help", name="friday"
    )
    metadata = store.session("friday")["extra"]["metadata"]
    assert done.name == "friday"
    assert {metadata[name] for name in ("model", "prompt", "knowledge", "code", "golden")} == {
        "m1", "p1", "k1", "c1", "g1",
    }  # fmt: skip
    assert not {"libraries", "arithmetic", "examples"} & set(metadata)
    assert (metadata["models"], metadata["input_tokens"]) == (["small-1"], 120)
    assert (metadata["cost_usd"], metadata["rows_sent"]) == (0.002, 2)
    assert store.tags[metadata["dataset_tag"]] == store.versions
    assert metadata["dataset_version"].startswith("2026-01-02")


async def test_steps_go_along_only_when_asked_for(server: Server) -> None:
    """As child runs with a node's name and times, nested in order, and no content at all."""
    _, store = server
    await connected(server).upload(REPORT, EXAMPLES, dataset="help")
    assert len(store.runs) == 2
    await connected(server).upload(REPORT, EXAMPLES, dataset="help", name="deep", steps=True)
    children = [run for run in store.runs.values() if run.get("parent_run_id")]
    children.sort(key=lambda run: run["start_time"])
    assert [run["name"] for run in children] == ["guard_input", "respond"]
    parent = store.runs[children[0]["parent_run_id"]]
    for run in children:
        assert run["dotted_order"] == f"{parent['dotted_order']}.{_own_order(run)}"
        assert (run["inputs"], run["outputs"], run["trace_id"]) == ({}, {}, parent["id"])
    assert datetime.fromisoformat(children[1]["end_time"]).timestamp() == pytest.approx(
        STARTED + 0.0365
    )
    assert [run.get("error") for run in children] == [None, "timeout"]


def _own_order(run: dict[str, Any]) -> str:
    at = datetime.fromisoformat(run["start_time"])
    return f"{at:%Y%m%dT%H%M%S%f}Z{run['id']}"


async def test_repetitions_are_runs_of_their_own(server: Server) -> None:
    """Three answers to one example are three runs on it, and the experiment says three."""
    _, store = server
    rows = [replace(ROWS[0], repeat=n, started=STARTED + n, overall=n / 4) for n in (1, 2, 3)]
    await connected(server).upload(a_report(*rows), EXAMPLES, dataset="help", name="thrice")
    assert store.session("thrice")["num_repetitions"] == 3
    assert len(store.roots()) == 3
    assert {run["reference_example_id"] for run in store.roots()} == {
        remote(store, "returns")["id"]
    }


async def test_rows_go_in_few_requests(server: Server) -> None:
    """77 rows of eight parts are no 540 requests; a row is never torn apart."""
    _, store = server
    examples = [an_example(f"e{n}") for n in range(77)]
    rows = [replace(ROWS[0], id=e.id, started=STARTED + n) for n, e in enumerate(examples)]
    await connected(server).upload(a_report(*rows), examples, dataset="help", name="wide")
    assert (len(store.roots()), len(store.feedback)) == (77, 77 * 7)
    sent = [one for one in store.seen if one.path == "/runs/multipart"]
    assert len(sent) == 7
    for one in sent:
        posted = set(re.findall(r'name="post\.([0-9a-f-]{36})"', one.body))
        judged = set(re.findall(r'"run_id": "([0-9a-f-]{36})"', one.body))
        assert posted == judged


@pytest.mark.parametrize("taken", [False, True], ids=["lost", "taken"])
async def test_an_upload_goes_on_after_a_failure(server: Server, taken: bool) -> None:
    """It says how far it came; again, it sends the rest, and nothing is there twice."""
    _, store = server
    examples = [an_example(f"e{n}") for n in range(50)]
    rows = [replace(ROWS[0], id=e.id, started=STARTED + n) for n, e in enumerate(examples)]
    report, count = a_report(*rows), 0

    def third(seen: Seen) -> int:
        nonlocal count
        count += seen.path == "/runs/multipart"
        return 500 if count == 3 and seen.path == "/runs/multipart" else 0

    store.batch = {"size_limit": 80}
    if taken:
        store.after = third
    else:
        store.fault = third
    with pytest.raises(AntiphonError, match="did not accept") as caught:
        await connected(server).upload(report, examples, dataset="help")
    assert "20 of 50 rows" in caught.value.hint
    assert store.session(report.experiment)["end_time"] is None
    assert len(store.roots()) == (30 if taken else 20)
    store.fault = store.after = lambda _: 0
    done = await connected(server).upload(report, examples, dataset="help")
    assert (done.rows, done.sent, len(store.sessions)) == (50, 30, 1)
    assert (len(store.roots()), len(store.feedback)) == (50, 350)
    assert store.session(report.experiment)["end_time"]
    before = store.writes()
    again = await connected(server).upload(report, examples, dataset="help")
    assert (again.sent, store.writes()) == (0, before)


async def test_a_name_is_one_report(server: Server) -> None:
    """Rows of two reports are never mixed in one experiment; the same one may come twice."""
    _, store = server
    await connected(server).upload(REPORT, EXAMPLES, dataset="help", name="friday")
    other = a_report(replace(ROWS[0], overall=0.1))
    with pytest.raises(InputError, match="another experiment named 'friday'"):
        await connected(server).upload(other, EXAMPLES, dataset="help", name="friday")
    assert len(store.roots()) == 2


async def test_an_upload_removes_no_example(server: Server) -> None:
    """A part of the golden set may be run alone; the dataset keeps the whole."""
    _, store = server
    await connected(server).push(EXAMPLES, "help")
    before = dict(store.tags)
    done = await connected(server).upload(a_report(ROWS[0]), EXAMPLES[:1], dataset="help")
    assert len(store.examples) == 2
    assert (store.tags, "dataset_tag" in store.session(done.name)["extra"]["metadata"]) == (
        before, False,
    )  # fmt: skip


async def test_a_report_of_another_set_is_refused(server: Server) -> None:
    """Rows without an example would be orphans."""
    _, store = server
    with pytest.raises(InputError, match="shipping"):
        await connected(server).upload(REPORT, EXAMPLES[:1], dataset="help")
    assert store.seen == []


async def test_a_report_without_times_is_refused(server: Server) -> None:
    """Nothing is made up about when a row ran."""
    old = a_report(replace(ROWS[0], started=0.0))
    with pytest.raises(InputError, match="when its rows ran"):
        await connected(server).upload(old, EXAMPLES, dataset="help")


BETTER = (replace(ROWS[0], overall=0.95, started=STARTED + 9), replace(ROWS[1], overall=0.0))


@pytest.mark.parametrize("by_name", [False, True], ids=["reports", "names"])
@pytest.mark.parametrize("newer", [False, True], ids=["v1", "v2"])
async def test_two_experiments_are_compared_pair_by_pair(
    server: Server, by_name: bool, newer: bool
) -> None:
    """Preferences are feedback of a comparison on both runs, under one group an example."""
    _, store = server
    store.flags["sdb_query_enabled"] = newer
    other = a_report(*BETTER)
    first = await connected(server).upload(REPORT, EXAMPLES, dataset="help")
    second = await connected(server).upload(other, EXAMPLES, dataset="help")
    given = (first.name, second.name) if by_name else (REPORT, other)
    for _ in range(2):  # the second time is the same comparison again
        done = await connected(server).compare(*given, dataset="help")
    assert {(p.id, p.preferred) for p in done.pairs} == {("returns", 2), ("shipping", 0)}
    (comparison,) = store.comparisons.values()
    assert comparison["experiment_ids"] == list(store.sessions)
    told = [f for f in store.feedback.values() if f["key"] == "preferred"]
    assert {f["comparative_experiment_id"] for f in told} == {comparison["id"]}
    runs = {run["id"]: run for run in store.roots()}
    scores = {
        (store.sessions[f["session_id"]]["name"], runs[f["run_id"]]["extra"]["metadata"]["id"]):
        f["score"]
        for f in told
    }  # fmt: skip
    assert scores == {
        (first.name, "returns"): 0, (second.name, "returns"): 1,
        (first.name, "shipping"): 0.5, (second.name, "shipping"): 0.5,
    }  # fmt: skip
    groups = {(f["feedback_group_id"], runs[f["run_id"]]["reference_example_id"]) for f in told}
    assert len(groups) == 2
    models = [schemas.ComparativeExperiment(**one) for one in store.comparisons.values()]
    assert models[0].reference_dataset_id == uuid.UUID(store.datasets["help"]["id"])


async def test_an_experiment_that_is_not_there_cannot_be_compared(server: Server) -> None:
    """The name is in the message, the remedy in the hint."""
    with pytest.raises(InputError, match="no experiment 'friday'") as caught:
        await connected(server).compare("friday", "monday", dataset="help")
    assert "eval upload" in caught.value.hint


FIELDS = {
    "/datasets": {"name", "data_type", "transformations", "extra", "description"},
    "/sessions": {
        "id", "name", "start_time", "reference_dataset_id", "extra", "num_examples",
        "num_repetitions", "evaluator_keys",
    },
    "run": {
        "id", "trace_id", "dotted_order", "session_id", "name", "run_type", "start_time",
        "end_time", "reference_example_id", "inputs", "outputs", "error", "extra",
    },
    "step": {
        "id", "trace_id", "dotted_order", "session_id", "parent_run_id", "name", "run_type",
        "start_time", "end_time", "inputs", "outputs", "error",
    },
    "feedback": {
        "id", "run_id", "trace_id", "session_id", "start_time", "created_at", "modified_at",
        "key", "score", "comment", "error", "feedback_source",
    },
}  # fmt: skip


async def test_nothing_leaves_but_what_is_listed(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Field by field; no platform, version, environment, author, prompt or failure's words."""
    monkeypatch.setenv("LANGSMITH_PROJECT", "a-name-from-the-environment")
    monkeypatch.setenv("LANGCHAIN_REVISION_ID", "a-name-from-the-environment")
    _, store = server
    await connected(server).upload(REPORT, EXAMPLES, dataset="help", steps=True)
    for one in store.seen:
        if one.method == "POST" and one.path in FIELDS:
            assert set(json.loads(one.body)) == FIELDS[one.path]
    runs = store.runs.values()
    assert {key for run in runs if not run.get("parent_run_id") for key in run} == FIELDS["run"]
    assert {key for run in runs if run.get("parent_run_id") for key in run} == FIELDS["step"]
    assert {key for one in store.feedback.values() for key in one} == FIELDS["feedback"]
    assert {key for one in store.examples.values() for key in one["metadata"]} == {
        "antiphon", "dataset_split",
    }  # fmt: skip
    sent = "\n".join(one.body for one in store.seen).casefold()
    assert not re.findall(
        r"platform|py_impl|runtime_version|\bgit\b|author|langsmith_|environment|card of", sent
    )


async def test_the_shapes_are_those_of_the_clients_own_models(server: Server) -> None:
    """What the server got can be read as LangSmith's own client reads it, unknown keys none."""
    _, store = server
    await connected(server).upload(REPORT, EXAMPLES, dataset="help", steps=True)
    for run in store.runs.values():
        assert set(run) <= set(schemas.RunLikeDict.__annotations__)
        read = schemas.Run(**run)
        assert read.id.version == 7
        assert read.end_time is not None
        assert read.id.int >> 80 == int(read.start_time.timestamp() * 1000)
    for one in store.feedback.values():
        assert set(one) <= set(schemas.FeedbackCreate.model_fields)
        assert schemas.FeedbackCreate(**one).trace_id == uuid.UUID(one["run_id"])
    for example in store.examples.values():
        assert schemas.Example(**example).outputs
    created = next(one for one in store.seen if one.route == "POST /sessions")
    assert set(json.loads(created.body)) <= set(SessionCreateParams.__annotations__)
    assert schemas.TracerSession(**next(iter(store.sessions.values()))).metadata["rows_sent"] == 2


def test_a_missing_key_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """The message names the variable; no connection is tried."""
    for name in ("LANGSMITH_API_KEY", "LANGCHAIN_API_KEY"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(SettingsError, match="LANGSMITH_API_KEY"):
        LangSmith(api_url="http://127.0.0.1:9")


async def test_a_server_that_is_down_is_a_clear_error() -> None:
    """The message names the address, the hint the variable."""
    with pytest.raises(
        AntiphonError, match=r"cannot be reached at 'http://127\.0\.0\.1:9'"
    ) as seen:
        await LangSmith(api_key="k", api_url="http://127.0.0.1:9").push(EXAMPLES, "help")
    assert "LANGSMITH_ENDPOINT" in seen.value.hint


@pytest.mark.parametrize("status", [401, 403, 422, 429, 500, 503], ids=str)
async def test_a_refusal_is_a_clear_error(server: Server, status: int) -> None:
    """A wrong key is a setting to mend; a broken server is said to be one."""
    _, store = server
    store.refuse = status
    with pytest.raises(SettingsError if status == 401 else AntiphonError) as caught:
        await connected(server).push(EXAMPLES, "help")
    assert "LangSmith" in caught.value.message


async def test_an_answer_of_another_shape_is_a_clear_error(server: Server) -> None:
    """As of another program at that address."""
    _, store = server
    store.datasets["help"] = {"name": "help"}
    with pytest.raises(AntiphonError, match="not of the shape") as caught:
        await connected(server).push(EXAMPLES, "help")
    assert "LANGSMITH_ENDPOINT" in caught.value.hint


@pytest.mark.parametrize(
    "given",
    [{}, {"overall": 1, "rows": []}, {"overall": "good", "rows": [{"id": "a"}]},
     {"overall": 1, "rows": [{"kind": "x"}]}],
    ids=["empty", "no-rows", "words", "no-id"],
)  # fmt: skip
def test_what_is_no_report_is_said(given: dict[str, object]) -> None:
    """A file of something else is told by its first mistake."""
    with pytest.raises(InputError, match="no saved report"):
        results(given)
