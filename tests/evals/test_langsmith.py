"""Golden sets in LangSmith, against a recording server that speaks the few routes in use."""

from __future__ import annotations

import json
import re
import threading
import uuid
from collections.abc import Iterator
from email.message import EmailMessage
from email.parser import BytesParser
from email.policy import HTTP
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import ClassVar
from urllib.parse import parse_qs, urlsplit

import pytest

from antiphon.evals.golden import Example, Expected, Message
from antiphon.evals.langsmith import LangSmith, example_id
from antiphon.evals.report import Row, summarise
from antiphon.tools.errors import AntiphonError, InputError, SettingsError

NOW = "2026-01-02T00:00:00+00:00"


class Store:
    """What the server holds, and every request it saw."""

    def __init__(self) -> None:
        self.seen: list[tuple[str, str, str]] = []
        self.datasets: dict[str, dict[str, object]] = {}
        self.examples: dict[str, dict[str, object]] = {}
        self.sessions: dict[str, dict[str, object]] = {}
        self.runs: list[dict[str, object]] = []
        self.feedback: list[dict[str, object]] = []
        self.refuse = 0
        """A status to answer everything with, or 0."""

    def writes(self) -> list[str]:
        return [f"{method} {path}" for method, path, _ in self.seen if method != "GET"]


class Handler(BaseHTTPRequestHandler):
    """The routes."""

    store: ClassVar[Store]

    def do_GET(self) -> None:
        self._answer("GET")

    def do_POST(self) -> None:
        self._answer("POST")

    def do_PATCH(self) -> None:
        self._answer("PATCH")

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        """Say nothing."""

    def _answer(self, method: str) -> None:  # noqa: C901 - a table of routes
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        url = urlsplit(self.path)
        query = {key: values[0] for key, values in parse_qs(url.query).items()}
        self.store.seen.append((method, url.path, body.decode(errors="replace")))
        if self.store.refuse:
            return self._send({"detail": "no"}, self.store.refuse)
        match method, url.path.strip("/").split("/"):
            case "GET", ["info"]:
                flags = {"dataset_examples_multipart_enabled": True}
                return self._send({"version": "0.8.0", "instance_flags": flags})
            case "GET", ["datasets"]:
                found = self.store.datasets.get(query.get("name", ""))
                return self._send([found] if found else [])
            case "POST", ["datasets"]:
                form = json.loads(body)
                dataset = {"id": str(uuid.uuid4()), "name": form["name"], "created_at": NOW}
                self.store.datasets[form["name"]] = dataset
                return self._send(dataset)
            case "GET", ["examples"]:
                return self._send(list(self.store.examples.values()))
            case (("POST" | "PATCH"), ["v1", "platform", "datasets", owner, "examples"]):
                return self._send(self._keep_examples(owner, body))
            case "GET", ["sessions"]:
                return self._send([{**self._session(), "tenant_id": str(uuid.uuid4())}])
            case "POST", ["sessions"]:
                form = json.loads(body)
                session = {**self._session(), **form}
                self.store.sessions[form["id"]] = session
                return self._send(session)
            case "PATCH", ["sessions", key]:
                given = json.loads(body).items()
                self.store.sessions[key].update({k: v for k, v in given if v is not None})
                return self._send(self.store.sessions[key])
            case "POST", ["runs"]:
                self.store.runs.append(json.loads(body))
                return self._send({}, 202)
            case "POST", ["feedback"]:
                self.store.feedback.append(json.loads(body))
                return self._send(json.loads(body))
            case _:
                return self._send({"detail": "no such route"}, 404)

    def _session(self) -> dict[str, object]:
        return {"id": str(uuid.uuid4()), "start_time": NOW, "tenant_id": str(uuid.uuid4())}

    def _keep_examples(self, dataset: str, body: bytes) -> dict[str, object]:
        head = f"Content-Type: {self.headers['Content-Type']}\r\n\r\n".encode()
        ids = []
        message = BytesParser(EmailMessage, policy=HTTP).parsebytes(head + body)
        for part in message.iter_parts():
            name = str(part.get_param("name", header="content-disposition"))
            content = json.loads(part.get_content())
            key, _, field = name.partition(".")
            if field:
                self.store.examples[key][field] = content
            else:
                ids.append(key)
                there = self.store.examples.get(key, {})
                fresh = {"id": key, "dataset_id": dataset, "created_at": NOW, "inputs": {}}
                self.store.examples[key] = {**fresh, **there}
        return {"count": len(ids), "example_ids": ids}

    def _send(self, value: object, status: int = 200) -> None:
        body = json.dumps(value).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


@pytest.fixture
def server() -> Iterator[tuple[str, Store]]:
    """A server on loopback with a store of its own."""
    store = Store()
    handler = type("Recording", (Handler,), {"store": store})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as http:
        thread = threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        yield f"http://127.0.0.1:{http.server_port}", store
        http.shutdown()
        thread.join()


def an_example(name: str, *facts: str) -> Example:
    """Return an example of that id."""
    return Example(
        id=name,
        kind="knowledge",
        messages=(Message(content=f"What about {name}?"),),
        expected=Expected(outcome=("answered",), facts=tuple((fact,) for fact in facts)),
    )


EXAMPLES = (an_example("returns", "30 days"), an_example("shipping"))
REPORT = summarise(
    [
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
            reasons={"relevance": ["answer and question are 0.38 alike"]},
            latency_ms=40.0,
        ),
        Row(id="shipping", kind="knowledge", question="What about shipping?", error="down"),
    ],
    seconds=1.0,
)


async def test_a_push_creates_the_dataset_and_its_examples(server: tuple[str, Store]) -> None:
    """Inputs hold the messages, outputs what is expected, ids follow from name and example."""
    url, store = server
    pushed = await LangSmith(api_key="k", api_url=url).push(EXAMPLES, "help")
    assert (pushed.created, pushed.updated, pushed.unchanged) == (2, 0, 0)
    stored = store.examples[str(example_id("help", EXAMPLES[0]))]
    assert stored["inputs"] == {
        "id": "returns",
        "kind": "knowledge",
        "messages": [{"role": "user", "content": "What about returns?"}],
    }
    outputs = stored["outputs"]
    assert isinstance(outputs, dict)
    assert outputs["expected"]["facts"] == [["30 days"]]


async def test_a_second_push_changes_nothing(server: tuple[str, Store]) -> None:
    """Pushing the same set again writes nothing at all."""
    url, store = server
    await LangSmith(api_key="k", api_url=url).push(EXAMPLES, "help")
    before, count = store.writes(), len(store.examples)
    pushed = await LangSmith(api_key="k", api_url=url).push(EXAMPLES, "help")
    assert (pushed.created, pushed.updated, pushed.unchanged) == (0, 0, 2)
    assert (before, count) == (store.writes(), len(store.examples))


async def test_a_changed_example_is_updated_in_place(server: tuple[str, Store]) -> None:
    """The same id gets the new content; the others are left alone."""
    url, store = server
    await LangSmith(api_key="k", api_url=url).push(EXAMPLES, "help")
    changed = (an_example("returns", "14 days"), EXAMPLES[1])
    pushed = await LangSmith(api_key="k", api_url=url).push(changed, "help")
    assert (pushed.created, pushed.updated, pushed.unchanged) == (0, 1, 1)
    outputs = store.examples[str(example_id("help", EXAMPLES[0]))]["outputs"]
    assert isinstance(outputs, dict)
    assert outputs["expected"]["facts"] == [["14 days"]]
    assert len(store.examples) == 2


async def test_an_experiment_brings_every_row_with_its_scores(server: tuple[str, Store]) -> None:
    """Each row is a run on its example, each metric a feedback with its reasons."""
    url, store = server
    experiment = await LangSmith(api_key="k", api_url=url).run_experiment(
        REPORT, EXAMPLES, dataset="help"
    )
    assert experiment.rows == 2
    (session,) = store.sessions.values()
    assert (session["name"], session["reference_dataset_id"]) == (
        experiment.name,
        store.datasets["help"]["id"],
    )
    assert session["end_time"]
    by_example = {run["reference_example_id"]: run for run in store.runs}
    run = by_example[str(example_id("help", EXAMPLES[0]))]
    assert run["inputs"] == {"question": "What about returns?"}
    assert run["outputs"] == {
        "answer": "You have 30 days [1].",
        "outcome": "answered",
        "path": ["guard_input", "respond"],
    }
    assert by_example[str(example_id("help", EXAMPLES[1]))]["error"] == "down"
    scores = {f["key"]: f["score"] for f in store.feedback if f["run_id"] == run["id"]}
    assert scores == {"overall": 0.9, "relevance": 0.8, "safety": 1.0}
    assert "answer and question are 0.38 alike" in {f.get("comment") for f in store.feedback}


async def test_nothing_of_the_machine_leaves(server: tuple[str, Store]) -> None:
    """No platform, no versions, no git author, no environment: only what the report says."""
    url, store = server
    await LangSmith(api_key="k", api_url=url).run_experiment(REPORT, EXAMPLES, dataset="help")
    sent = "\n".join(body for _, _, body in store.seen).casefold()
    assert not re.findall(r"platform|py_implementation|runtime_version|git|author|langsmith_", sent)
    for run in store.runs:
        assert run.get("extra") in (None, {}, {"metadata": {}}), run["extra"]


async def test_a_report_of_another_set_is_refused(server: tuple[str, Store]) -> None:
    """Rows without an example would be orphans."""
    url, store = server
    with pytest.raises(InputError, match="shipping"):
        await LangSmith(api_key="k", api_url=url).run_experiment(
            REPORT, EXAMPLES[:1], dataset="help"
        )
    assert store.runs == []


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


@pytest.mark.parametrize("status", [401, 403, 500], ids=str)
async def test_a_refusal_is_a_clear_error(server: tuple[str, Store], status: int) -> None:
    """A wrong key is a setting to mend; a broken server is said to be one."""
    url, store = server
    store.refuse = status
    with pytest.raises(SettingsError if status == 401 else AntiphonError):
        await LangSmith(api_key="k", api_url=url).push(EXAMPLES, "help")
