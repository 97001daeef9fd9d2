"""A recording LangSmith on loopback: the few routes in use, all that was sent, faults on demand."""

from __future__ import annotations

import json
import threading
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.message import EmailMessage
from email.parser import BytesParser
from email.policy import HTTP
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, ClassVar
from urllib.parse import parse_qs, urlsplit

NOW = datetime(2026, 1, 2, tzinfo=UTC)
TENANT = "3f1c1f9e-0000-4000-8000-000000000001"
Json = dict[str, Any]
BATCHES: Json = {
    "use_multipart_endpoint": True,
    "size_limit": 100,
    "size_limit_bytes": 20_971_520,
    "scale_up_qsize_trigger": 1000,
    "scale_up_nthreads_limit": 16,
    "scale_down_nempty_trigger": 4,
}


@dataclass(frozen=True, slots=True)
class Seen:
    """A request."""

    method: str
    path: str
    query: str
    body: str

    @property
    def route(self) -> str:
        return f"{self.method} {self.path}"


@dataclass
class Store:
    """What the server holds, and every request it saw."""

    seen: list[Seen] = field(default_factory=list)
    datasets: dict[str, Json] = field(default_factory=dict)
    examples: dict[str, Json] = field(default_factory=dict)
    sessions: dict[str, Json] = field(default_factory=dict)
    runs: dict[str, Json] = field(default_factory=dict)
    feedback: dict[str, Json] = field(default_factory=dict)
    comparisons: dict[str, Json] = field(default_factory=dict)
    versions: int = 0
    """How often the examples changed."""
    tags: dict[str, int] = field(default_factory=dict)
    refuse: int = 0
    """A status to answer everything with, or 0."""
    fault: Callable[[Seen], int] = lambda seen: 0
    """The status to answer this request with, or 0; what it sent is dropped."""
    after: Callable[[Seen], int] = lambda seen: 0
    """As `fault`, but what it sent was taken."""
    flags: Json = field(default_factory=lambda: {"dataset_examples_multipart_enabled": True})
    batch: Json = field(default_factory=lambda: dict(BATCHES))

    def writes(self) -> list[str]:
        reads = ("/runs/query", "/api/v2/runs/query")
        return [one.route for one in self.seen if one.method != "GET" and one.path not in reads]

    def roots(self) -> list[Json]:
        return [run for run in self.runs.values() if not run.get("parent_run_id")]

    def session(self, name: str) -> Json:
        return next(one for one in self.sessions.values() if one["name"] == name)

    def edit(self, example: str, **changed: object) -> None:
        """Change an example as a person does there."""
        self.examples[example].update(changed)
        self.versions += 1

    def say(self, run: str, key: str, **more: object) -> None:
        """Leave a person's word on a run."""
        name = str(uuid.uuid4())
        self.feedback[name] = {
            "id": name, "run_id": run, "trace_id": run, "key": key, "created_at": NOW.isoformat(),
            "modified_at": NOW.isoformat(), "feedback_source": {"type": "app"}, **more,
        }  # fmt: skip


class Handler(BaseHTTPRequestHandler):
    """The routes."""

    store: ClassVar[Store]

    def do_GET(self) -> None:
        self._answer()

    def do_POST(self) -> None:
        self._answer()

    def do_PATCH(self) -> None:
        self._answer()

    def do_PUT(self) -> None:
        self._answer()

    def do_DELETE(self) -> None:
        self._answer()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        """Say nothing."""

    def _answer(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        url = urlsplit(self.path)
        seen = Seen(self.command, url.path, url.query, body.decode(errors="replace"))
        self.store.seen.append(seen)
        refused = self.store.refuse or self.store.fault(seen)
        if refused:
            return self._send({"detail": "no"}, refused)
        value, status = self._routed(seen, body, parse_qs(url.query))
        return self._send(value, self.store.after(seen) or status)

    def _routed(  # noqa: C901, PLR0912 - a table of routes
        self, seen: Seen, body: bytes, query: dict[str, list[str]]
    ) -> tuple[object, int]:
        store = self.store
        match seen.method, seen.path.strip("/").split("/"):
            case "GET", ["info"]:
                config = {"instance_flags": store.flags, "batch_ingest_config": store.batch}
                return {"version": "0.16.20", **config}, 200
            case "GET", ["datasets"]:
                found = store.datasets.get(query.get("name", [""])[0])
                return [found] if found else [], 200
            case "POST", ["datasets"]:
                form = json.loads(body)
                dataset = {
                    "id": str(uuid.uuid4()), "name": form["name"], "created_at": NOW.isoformat()
                }  # fmt: skip
                store.datasets[form["name"]] = dataset
                return dataset, 200
            case "GET", ["datasets", _, "version"]:
                tags = [tag for tag, at in store.tags.items() if at == store.versions]
                return {"as_of": self._as_of(), "tags": ["latest", *tags]}, 200
            case "PUT", ["datasets", _, "tags"]:
                form = json.loads(body)
                if form["as_of"] != self._as_of():
                    return {"detail": "no such version"}, 422
                store.tags[form["tag"]] = store.versions
                return {}, 200
            case "POST", ["datasets", "comparative"]:
                form = json.loads(body)
                made = {**form, "tenant_id": TENANT, "modified_at": NOW.isoformat()}
                return store.comparisons.setdefault(form["id"], made), 200
            case "GET", ["examples"]:
                offset = int(query.get("offset", ["0"])[0])
                return list(store.examples.values())[offset : offset + 100], 200
            case (("POST" | "PATCH"), ["v1", "platform", "datasets", owner, "examples"]):
                return self._keep_examples(owner, body), 200
            case "DELETE", ["examples"]:
                for name in query["example_ids"]:
                    del store.examples[name]
                store.versions += 1
                return {}, 200
            case "GET", ["sessions"]:
                names, owners = query.get("name"), query.get("reference_dataset")
                found_sessions = [
                    one
                    for one in store.sessions.values()
                    if (names is None or one["name"] in names)
                    and (owners is None or one["reference_dataset_id"] in owners)
                ]
                if names is None and owners is None:  # which workspace is this?
                    found_sessions = [self._session({"name": "default"})]
                return found_sessions, 200
            case "POST", ["sessions"]:
                form = json.loads(body)
                if any(one["name"] == form["name"] for one in store.sessions.values()):
                    return {"detail": "exists"}, 409
                store.sessions[form["id"]] = self._session(form)
                return store.sessions[form["id"]], 200
            case "PATCH", ["sessions", key]:
                given = json.loads(body).items()
                store.sessions[key].update({k: v for k, v in given if v is not None})
                return store.sessions[key], 200
            case "POST", ["runs", "multipart"]:
                self._keep_runs(body)
                return {}, 202
            case "POST", ["runs", "query"]:
                form = json.loads(body)
                return {"runs": self._found(form["session"]), "cursors": {}}, 200
            case "POST", ["api", "v2", "runs", "query"]:
                form = json.loads(body)
                return {"items": self._found(form["project_ids"]), "next_cursor": None}, 200
            case "POST", ["feedback"]:
                form = json.loads(body)
                store.feedback[form["id"]] = form
                return form, 200
            case "GET", ["feedback"]:
                on = query["run"]
                given = [one for one in store.feedback.values() if one["run_id"] in on]
                return [{"trace_id": None, **one} for one in given], 200
            case _:
                return {"detail": f"no route {seen.route}"}, 404

    def _as_of(self) -> str:
        return (NOW + timedelta(minutes=self.store.versions)).isoformat()

    def _session(self, form: Json) -> Json:
        defaults = {"id": str(uuid.uuid4()), "start_time": NOW.isoformat(), "tenant_id": TENANT}
        return {**defaults, "reference_dataset_id": None, "end_time": None, **form}

    def _parts(self, body: bytes) -> Iterator[tuple[str, Any]]:
        head = f"Content-Type: {self.headers['Content-Type']}\r\n\r\n".encode()
        message = BytesParser(EmailMessage, policy=HTTP).parsebytes(head + body)
        for part in message.iter_parts():
            name = str(part.get_param("name", header="content-disposition"))
            yield name, json.loads(part.get_content())

    def _keep_examples(self, dataset: str, body: bytes) -> Json:
        ids, held = [], self.store.examples
        for name, content in self._parts(body):
            key, _, part = name.partition(".")
            if part:
                held[key][part] = content
                continue
            ids.append(key)
            fresh = {"id": key, "dataset_id": dataset, "created_at": NOW.isoformat(), "inputs": {}}
            held[key] = {**fresh, **held.get(key, {})}
            metadata, split = content.get("metadata"), content.get("split")
            if metadata is not None:
                held[key]["metadata"] = metadata
            if split is not None:
                held[key]["metadata"] = {**held[key]["metadata"], "dataset_split": split}
        self.store.versions += 1
        return {"count": len(ids), "example_ids": ids}

    def _keep_runs(self, body: bytes) -> None:
        for name, content in self._parts(body):
            kind, _, rest = name.partition(".")
            if kind == "feedback":
                self.store.feedback[content["id"]] = content
                continue
            key, _, part = rest.partition(".")
            there = self.store.runs.setdefault(key, {})
            there.update({part: content} if part else content)

    def _found(self, sessions: list[str]) -> list[Json]:
        by_name = {one["name"]: one["id"] for one in self.store.sessions.values()}
        found = []
        for run in self.store.roots():
            session = run.get("session_id") or by_name.get(run.get("session_name", ""))
            if session in sessions:
                scores = {
                    one["key"]: {"n": 1, "avg": one["score"]}
                    for one in self.store.feedback.values()
                    if one["run_id"] == run["id"] and one.get("score") is not None
                }
                found.append({**run, "feedback_stats": scores})
        return found

    def _send(self, value: object, status: int) -> None:
        body = json.dumps(value).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


@contextmanager
def serving() -> Iterator[tuple[str, Store]]:
    """Run a server with a store of its own; yield its address and the store."""
    store = Store()
    handler = type("Recording", (Handler,), {"store": store})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as http:
        http.daemon_threads = True
        thread = threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield f"http://127.0.0.1:{http.server_port}", store
        finally:
            http.shutdown()
            thread.join()
