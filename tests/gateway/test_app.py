"""The gateway over HTTP: threads, streams, keys, bad bodies, operations."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import httpx
import pytest
from doors import calling, client, events, served
from fakes import FakeKnowledge, FakeRail, fake_services
from processes import await_ready, free_ports
from starlette.types import Message

from antiphon.gateway import ops
from antiphon.tools.errors import KnowledgeUnavailable, StorageBusy
from antiphon.tools.guards import Subject, Verdict
from antiphon.tools.retrieval import Inventory
from antiphon.tools.turns.records import ThreadRecord
from antiphon.tools.turns.store import SqlTurns

QUESTION = "How long can I take to return a lamp?"
JSON = {"content-type": "application/json"}
KEYS = "k-alice=acme/alice+debug,k-bob=acme/bob+debug,k-rival=rival+debug,k-plain=acme/alice"
RUN = "/v1/threads/t/runs/wait"
STREAM = "/v1/threads/t/runs/stream"
YES = {"approved": True, "interrupt_id": "none"}
NONE: dict[str, object] = {"threads": [], "records": [], "next": ""}


async def test_a_message_is_run_and_the_thread_goes_on(tmp_path: Path) -> None:
    """A thread is named, run twice, read, listed, stepped and deleted."""
    async with client(tmp_path) as http:
        made = await http.post("/v1/threads")
        assert made.status_code == 201
        thread = f"/v1/threads/{made.json()['thread_id']}"
        turn = (await http.post(f"{thread}/runs/wait", json={"message": QUESTION})).json()
        assert turn["outcome"] == "answered"
        assert "30 days" in turn["answer"]
        assert turn["thread_id"] == made.json()["thread_id"]
        await http.post(f"{thread}/runs/wait", json={"message": "And a rug?"})
        state = (await http.get(f"{thread}/state")).json()
        assert [said["role"] for said in state["messages"]] == ["user", "assistant"] * 2
        steps = (await http.get(f"{thread}/history")).json()["steps"]
        assert {"guard_input", "respond", "account"} <= {step["node"] for step in steps}
        listed = (await http.get("/v1/threads")).json()
        assert listed["threads"] == [made.json()["thread_id"]]
        assert (listed["records"][0]["title"], listed["next"]) == (QUESTION, "")
        assert (await http.delete(thread)).status_code == 204
        assert (await http.get(f"{thread}/state")).status_code == 404
        assert (await http.get("/v1/threads")).json() == NONE


@pytest.mark.parametrize(
    "body",
    [
        {"message": QUESTION},
        {"input": {"messages": [{"role": "user", "content": QUESTION}]}},
        {
            "input": {
                "messages": [{"role": "human", "content": [{"type": "text", "text": QUESTION}]}]
            }
        },
        {"message": QUESTION, "context": {"locale": "de", "max_cost_usd": 0.5}},
    ],
    ids=["message", "messages", "parts", "knobs"],
)
async def test_a_message_has_several_spellings(tmp_path: Path, body: dict[str, object]) -> None:
    """Ours, LangGraph's, and content in parts all say the same."""
    async with client(tmp_path) as http:
        turn = (await http.post(RUN, json=body)).json()
    assert turn["outcome"] == "answered"


async def test_a_stream_tells_nodes_then_the_answer_then_the_turn(tmp_path: Path) -> None:
    """Events come as node*, answer*, turn; the pieces of the answer make the whole."""
    async with client(tmp_path) as http:
        reply = await http.post(STREAM, json={"message": QUESTION})
        whole = (await http.get("/v1/threads/t/state")).json()
    assert reply.headers["content-type"].startswith("text/event-stream")
    told = events(reply.text)
    kinds = [kind for kind, _ in told]
    nodes, answers = kinds.count("node"), kinds.count("answer")
    assert kinds == ["node"] * nodes + ["answer"] * answers + ["turn"]
    assert answers > 1
    assert [data["node"] for kind, data in told if kind == "node"] == whole["path"]
    assert "".join(str(data["text"]) for kind, data in told if kind == "answer") == whole["answer"]
    assert told[-1][1]["answer"] == whole["answer"]


@pytest.mark.parametrize(
    ("body", "status"),
    [({"command": {"resume": YES}}, 404), ({"message": " "}, 400), ({}, 400)],
)
async def test_what_is_refused_before_a_stream_begins_is_refused_by_status(
    tmp_path: Path, body: dict[str, object], status: int
) -> None:
    """A client need not read a stream to learn that nothing was run."""
    async with client(tmp_path) as http:
        reply = await http.post(STREAM, json=body)
    assert reply.status_code == status
    assert set(reply.json()["error"]) == {"code", "message", "hint"}


class Failing(SqlTurns):
    """Loses its database before the turn can be closed."""

    async def settle(self, *_: object, **__: object) -> None:
        raise StorageBusy("another process holds the database", hint="Try again.")


class Crashing(SqlTurns):
    """Has a bug where the turn is closed."""

    async def settle(self, *_: object, **__: object) -> None:
        raise RuntimeError("the password is hunter2")


@pytest.mark.parametrize(
    ("turns", "error"),
    [
        (
            Failing,
            {
                "code": "storage_busy",
                "message": "another process holds the database",
                "hint": "Try again.",
            },
        ),
        (
            Crashing,
            {"code": "error", "message": "an unexpected RuntimeError was raised", "hint": ""},
        ),
    ],
)
async def test_a_fault_while_streaming_becomes_an_error_event(
    tmp_path: Path, turns: type[SqlTurns], error: dict[str, str]
) -> None:
    """The status line is long sent, so the stream itself says what failed, foreseen or not."""
    async with served(tmp_path, turns=turns) as app, calling(app) as http:
        reply = await http.post(STREAM, json={"message": QUESTION})
        chat = {"messages": [{"role": "user", "content": QUESTION}], "stream": True}
        openai = await http.post("/v1/chat/completions", json=chat)
    told = events(reply.text)
    assert {kind for kind, _ in told[:-1]} == {"node"}
    assert told[-1] == ("error", error)
    said = [line for line in openai.text.split("\n") if line.startswith("data: ")]
    assert error["code"] in said[-2]
    assert said[-1] == "data: [DONE]"
    assert '"finish_reason": "stop"' not in openai.text
    assert "hunter2" not in reply.text + openai.text


async def test_without_a_valid_key_nothing_is_reached(tmp_path: Path) -> None:
    """Once keys are configured every route but the operational ones needs one."""
    async with client(tmp_path, keys=KEYS, key="wrong") as http:
        for method, path in (
            ("POST", RUN), ("POST", STREAM), ("GET", "/v1/threads"), ("DELETE", "/v1/threads/t"),
            ("POST", "/v1/chat/completions"), ("GET", "/v1/models"), ("GET", "/v1/threads/t/state"),
        ):  # fmt: skip
            reply = await http.request(method, path)
            assert reply.status_code == 401, path
            assert reply.json()["error"]["code"] == "unauthorised"
            assert reply.headers["www-authenticate"] == "Bearer"
        assert (await http.get("/health")).status_code == 200


async def test_who_someone_is_comes_from_the_key_only(tmp_path: Path) -> None:
    """A body that names a tenant or user is refused, and a header that does changes nothing."""
    async with served(tmp_path, keys=KEYS) as app:
        async with calling(app, "k-alice") as alice:
            body = {"message": QUESTION, "context": {"tenant": "rival", "user": "bob"},
                    "tenant": "rival", "user": "bob"}  # fmt: skip
            posing = {"x-tenant": "rival", "x-user": "bob"}
            assert (await alice.post(RUN, json=body, headers=posing)).status_code == 400
            said = {
                "message": QUESTION,
                "input": {"messages": [{"content": "?", "tenant": "rival"}]},
            }
            assert (await alice.post(RUN, json=said, headers=posing)).status_code == 200
            assert (await alice.get("/v1/threads")).json()["threads"] == ["t"]
        for key in ("k-rival", "k-bob"):
            async with calling(app, key) as other:
                assert (await other.get("/v1/threads")).json() == NONE


@pytest.mark.parametrize(
    ("key", "status", "code"),
    [("k-rival", 404, "unknown_thread"), ("k-bob", 403, "forbidden")],
    ids=["another tenant", "another user"],
)
async def test_a_thread_is_its_owners_only(
    tmp_path: Path, key: str, status: int, code: str
) -> None:
    """Nobody else reads, steps, resumes or deletes it."""
    async with served(tmp_path, keys=KEYS) as app:
        async with calling(app, "k-alice") as alice:
            await alice.post(RUN, json={"message": QUESTION})
        async with calling(app, key) as other:
            for reply in (
                await other.get("/v1/threads/t/state"),
                await other.get("/v1/threads/t/history"),
                await other.post(RUN, json={"command": {"resume": YES}}),
                await other.delete("/v1/threads/t"),
            ):
                assert (reply.status_code, reply.json()["error"]["code"]) == (status, code)


async def test_the_steps_of_a_turn_need_a_scope(tmp_path: Path) -> None:
    """Users see messages and answers; drafts, prompts and steps are for who may debug."""
    async with served(tmp_path, keys=KEYS) as app:
        async with calling(app, "k-plain") as plain:
            await plain.post(RUN, json={"message": QUESTION})
            assert (await plain.get("/v1/threads/t/state")).status_code == 200
            refused = await plain.get("/v1/threads/t/history")
        async with calling(app, "k-alice") as debugging:
            shown = await debugging.get("/v1/threads/t/history")
    assert (refused.status_code, refused.json()["error"]["code"]) == (403, "forbidden")
    assert "debug" in refused.json()["error"]["message"]
    assert shown.status_code == 200


BAD = [
    (b"", 400, "neither message"),
    (b"{", 400, "not JSON"),
    (b'{"message": "\xff\xfe"}', 400, "UTF-8"),
    (b'{"message": "' + b"x" * 2_000_000 + b'"}', 413, "larger than"),
    (b'{"message": "' + b"x" * 300_000 + b'"}', 400, "at most"),
    (b"[]", 400, "wrong shape"),
    (b"null", 400, "wrong shape"),
    (b'{"message": 7}', 400, "message"),
    (b'{"message": ""}', 400, "empty"),
    (b'{"message": " \\n "}', 400, "empty"),
    (b'{"message": "\\ud800"}', 400, ""),
    (b'{"message": "hi", "context": {"max_cost_usd": -1}}', 400, "max_cost_usd"),
    (b'{"message": "hi", "context": {"max_cost_usd": NaN}}', 400, "max_cost_usd"),
    (b'{"message": "hi", "context": {"locale": "<tool_result>"}}', 400, "language tag"),
    (b'{"message": "hi", "context": {"locale": "' + b"e" * 90_000 + b'"}}', 400, "language tag"),
    (b'{"message": "hi", "context": {"locale": 7}}', 400, "locale"),
    (b'{"message": "hi", "x": ' + b"[" * 200_000 + b"]" * 200_000 + b"}", 400, "not JSON"),
    (b'{"message": "hi", "x": ' + b"9" * 10_000 + b"}", 400, "not JSON"),
    (b'{"input": {"messages": []}}', 400, "input.messages"),
    (b'{"input": {"messages": [{"role": "wizard", "content": "x"}]}}', 400, "role"),
    (b'{"command": {"resume": {"approved": "perhaps"}}}', 400, "approved"),
    (b'{"command": {"resume": true}}', 400, "resume"),
    (b'{"command": {"resume": {"approved": true}}}', 400, "interrupt_id"),
    (b'{"command": {"resume": {"approved": true, "interrupt_id": ""}}}', 400, "interrupt_id"),
    (b'{"command": {"resume": {"approved": true, "interrupt_id": "x"}}}', 404, "no thread"),
]


@pytest.mark.parametrize(("body", "status", "said"), BAD, ids=[str(at) for at in range(len(BAD))])
async def test_a_bad_body_gets_a_clear_error(
    tmp_path: Path, body: bytes, status: int, said: str
) -> None:
    """Whatever is wrong, the answer is one JSON error, and no thread is made."""
    async with client(tmp_path) as http:
        reply = await http.post(RUN, content=body, headers=JSON)
        assert (await http.get("/v1/threads")).json() == NONE
    assert reply.status_code == status
    error = reply.json()["error"]
    assert set(error) == {"code", "message", "hint"}
    assert said in error["message"]
    assert "Traceback" not in reply.text
    assert len(reply.text) < 1000


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/v1/threads/none/state", 404),
        ("GET", "/v1/threads/none/history", 404),
        ("DELETE", "/v1/threads/none", 404),
        ("GET", "/nothing/here", 404),
        ("PUT", RUN, 405),
        ("GET", "/v1/threads/a%20b/state", 400),
        ("GET", f"/v1/threads/{'x' * 200}/state", 400),
    ],
)
async def test_what_is_not_there_is_said_in_json(
    tmp_path: Path, method: str, path: str, status: int
) -> None:
    """Unknown threads, unknown routes, wrong methods and impossible ids."""
    async with client(tmp_path) as http:
        reply = await http.request(method, path)
    assert reply.status_code == status
    assert set(reply.json()["error"]) == {"code", "message", "hint"}


async def test_an_unforeseen_fault_shows_no_internals(tmp_path: Path) -> None:
    """A bug gives 500 in the same form, without what the exception said."""

    class Broken(SqlTurns):
        async def threads(self, *_: object, **__: object) -> list[ThreadRecord]:
            raise RuntimeError("the password is hunter2")

    async with served(tmp_path, turns=Broken) as app, calling(app) as http:
        reply = await http.get("/v1/threads")
    assert reply.status_code == 500
    assert reply.json()["error"]["code"] == "internal"
    assert "hunter2" not in reply.text


class Down(FakeKnowledge):
    async def inventory(self, *, tenant: str) -> Inventory:
        raise KnowledgeUnavailable("no answer from the knowledge server")


async def test_readiness_names_what_is_down(tmp_path: Path) -> None:
    """/health tells of the process, /ready of what it needs."""
    async with client(tmp_path) as http:
        reply = await http.get("/ready")
        assert (reply.status_code, reply.json()["ready"]) == (200, True)
    async with client(tmp_path, fake_services(knowledge=Down())) as http:
        reply = await http.get("/ready")
        assert (await http.get("/health")).json() == {"status": "ok"}
    assert reply.status_code == 503
    assert reply.json() == {"ready": False, "threads": "ok", "knowledge": "knowledge_unavailable"}


class Unlisted(SqlTurns):
    async def threads(
        self, tenant: str, owner: str, *, limit: int, before: tuple[float, str] | None = None
    ) -> list[ThreadRecord]:
        raise AssertionError("readiness is no reason to list threads")


async def test_readiness_asks_the_database_and_reads_no_thread(tmp_path: Path) -> None:
    """It looks at the file, not at what is in it, and says when the file is no database."""
    async with served(tmp_path, turns=Unlisted) as app, calling(app) as http:
        await http.post(RUN, json={"message": QUESTION})
        assert (await http.get("/ready")).json()["threads"] == "ok"
        for path in tmp_path.glob("threads.db*"):
            path.write_bytes(b"this was a database once " * 400)
        reply = await http.get("/ready")
    assert reply.status_code == 503
    assert reply.json()["threads"].startswith("storage_")


class Hung(FakeKnowledge):
    async def inventory(self, *, tenant: str) -> Inventory:
        await asyncio.Event().wait()
        raise AssertionError


class Faulty(FakeKnowledge):
    async def inventory(self, *, tenant: str) -> Inventory:
        raise RuntimeError("the password is hunter2")


@pytest.mark.parametrize(
    ("knowledge", "said"), [(Hung(), "timeout"), (Faulty(), "internal")], ids=["hangs", "raises"]
)
async def test_readiness_survives_any_fault(
    tmp_path: Path, knowledge: FakeKnowledge, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever a part does, /ready answers in time, 503, and repeats nothing of the fault."""
    monkeypatch.setattr(ops, "READY_S", 0.2)
    async with client(tmp_path, fake_services(knowledge=knowledge)) as http:
        reply = await http.get("/ready")
    assert reply.status_code == 503
    assert reply.json() == {"ready": False, "threads": "ok", "knowledge": said}


async def test_metrics_are_prometheus_text(tmp_path: Path) -> None:
    """A scrape finds our figures, and no tenant among the labels."""
    async with client(tmp_path, keys=KEYS) as http:
        reply = await http.get("/metrics")
    assert reply.headers["content-type"].startswith("text/plain")
    assert "antiphon_turns_total" in reply.text
    assert "acme" not in reply.text


class Waits(FakeRail):
    """A rail that never finishes and notes that it was stopped."""

    def __init__(self) -> None:
        super().__init__()
        self.started = asyncio.Event()
        self.stopped = asyncio.Event()

    async def judge(self, text: str, subject: Subject) -> Verdict:
        self.started.set()
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            self.stopped.set()
            raise
        raise AssertionError("nobody stopped the rail")


@pytest.mark.parametrize(
    ("path", "body"),
    [
        (STREAM, {"message": QUESTION, "on_disconnect": "cancel"}),
        ("/v1/chat/completions", {"messages": [{"role": "user", "content": QUESTION}],
                                  "stream": True}),
    ],
    ids=["runs/stream", "chat/completions"],
)  # fmt: skip
async def test_a_client_that_goes_away_stops_the_run_that_it_said_so_of(
    tmp_path: Path, path: str, body: dict[str, object]
) -> None:
    """A closed connection cancels it at once; OpenAI's clients always mean that."""
    rail = Waits()
    services = fake_services(output_rail=rail)
    asked = iter([{"type": "http.request", "body": json.dumps(body).encode()}])

    async def receive() -> Message:
        for message in asked:
            return message
        await rail.started.wait()
        return {"type": "http.disconnect"}

    async def send(message: Message) -> None:
        return None

    async with served(tmp_path, services) as app:
        scope = {
            "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": "POST",
            "scheme": "http", "path": path, "raw_path": path.encode(), "query_string": b"",
            "root_path": "", "client": ("127.0.0.1", 1), "server": ("gateway", 80),
            "headers": [(b"host", b"localhost"), (b"content-type", b"application/json")],
        }  # fmt: skip
        await asyncio.wait_for(app(scope, receive, send), timeout=1.5)
        await asyncio.wait_for(rail.stopped.wait(), timeout=1)


SLIPS = [
    ({"message": "x", "contxt": {}}, "contxt"),
    ({"message": "x", "context": {"min_qualty": 0.9}}, "context.min_qualty"),
    ({"message": "x", "context": {"tenant": "rival"}}, "context.tenant"),
    ({"input": {"messages": [{"content": "x"}], "question": "y"}}, "input.question"),
    ({"command": {"resume": YES, "goto": "respond"}}, "command.goto"),
    ({"command": {"resume": {**YES, "aproved": False}}}, "aproved"),
]


@pytest.mark.parametrize(("body", "named"), SLIPS, ids=[named for _, named in SLIPS])
async def test_a_key_that_is_not_known_is_named(
    tmp_path: Path, body: dict[str, object], named: str
) -> None:
    """A slip in our own forms is a 400 that says where; nothing runs as if it were not there."""
    async with client(tmp_path) as http:
        reply = await http.post(RUN, json=body)
        assert (await http.get("/v1/threads")).json() == NONE
    assert reply.status_code == 400
    assert f"{named}: there is no such key" in reply.json()["error"]["message"]


async def test_a_long_name_is_not_repeated_whole(tmp_path: Path) -> None:
    """What a client sent does not come back by the megabyte."""
    async with client(tmp_path) as http:
        reply = await http.post(RUN, json={"message": "x", "k" * 100_000: 1})
    assert (reply.status_code, len(reply.text) < 500) == (400, True)


# --- who is served where no key is asked for ----------------------------------------------------

HERE = ["localhost", "localhost:8000", "LOCALHOST:8000", "127.0.0.1:8000", "127.0.0.2", "[::1]:80"]
ELSEWHERE = [
    "rebind.example", "rebind.example:8000", "localhost.example", "127.0.0.1.example:80",
    "10.0.0.7:8000", "localhost]x", "[::2]:80", "", "0.0.0.0:8000", "example:127.0.0.1",
]  # fmt: skip


@pytest.mark.parametrize("path", ["/v1/threads", "/ready", "/metrics", "/health"])
@pytest.mark.parametrize("host", HERE + ELSEWHERE)
async def test_without_keys_only_this_machines_names_are_served(
    tmp_path: Path, host: str, path: str
) -> None:
    """A page whose own name was pointed at this machine is told to stay outside."""
    async with client(tmp_path) as http:
        reply = await http.get(path, headers={"host": host})
    assert reply.status_code == (200 if host in HERE else 403)
    if host not in HERE:
        assert "ANTIPHON_API_KEYS" in reply.json()["error"]["hint"]


SHOWING = [
    ({"x-forwarded-for": "203.0.113.9"}, 403),
    ({"x-forwarded-for": "127.0.0.1"}, 403),
    ({"forwarded": "for=203.0.113.9"}, 403),
    ({"via": "1.1 tunnel"}, 403),
    ({"origin": "https://evil.example"}, 403),
    ({"origin": "https://localhost.evil.example"}, 403),
    ({"origin": "null"}, 403),
    ({"origin": "http://localhost:3000"}, 200),
    ({"origin": "http://[::1]:3000"}, 200),
    ({"x-request-id": "7"}, 200),
]


@pytest.mark.parametrize(("headers", "status"), SHOWING, ids=[str(h) for h, _ in SHOWING])
async def test_without_keys_nothing_is_forwarded(
    tmp_path: Path, headers: dict[str, str], status: int
) -> None:
    """Behind a proxy or a tunnel everyone would be this machine; a page elsewhere is not it."""
    async with client(tmp_path) as http:
        made = await http.post("/v1/threads", headers=headers)
        assert made.status_code == (201 if status == 200 else status)
        reply = await http.post(RUN, json={"message": QUESTION}, headers=headers)
    assert reply.status_code == status


async def test_without_keys_no_other_machine_is_served(tmp_path: Path) -> None:
    """The app itself refuses, in case something else than `antiphon serve` listens for it."""
    async with served(tmp_path) as app:
        transport = httpx.ASGITransport(app=app, client=("203.0.113.9", 1234))
        async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as http:
            assert (await http.get("/v1/threads")).status_code == 403


@pytest.mark.parametrize(
    ("kind", "status"),
    [
        ("application/json", 200),
        ("Application/JSON; charset=utf-8", 200),
        ("text/plain", 415),
        ("text/plain; application/json", 415),
        ("application/x-www-form-urlencoded", 415),
        ("multipart/form-data; boundary=x", 415),
        ("application/jsonp", 415),
        ("", 415),
    ],
)
async def test_a_body_says_that_it_is_json(tmp_path: Path, kind: str, status: int) -> None:
    """Any other kind can be sent by a page without asking the browser for leave."""
    body = json.dumps({"message": QUESTION})
    async with client(tmp_path) as http:
        reply = await http.post(RUN, content=body, headers={"content-type": kind})
    assert reply.status_code == status


async def test_with_keys_any_host_is_served_unless_told_otherwise(tmp_path: Path) -> None:
    """A key is what counts; ANTIPHON_ALLOWED_HOSTS narrows the names down."""
    behind = {
        "host": "bot.example",
        "x-forwarded-for": "203.0.113.9",
        "origin": "https://x.example",
    }
    async with client(tmp_path / "any", keys=KEYS, key="k-alice") as http:
        assert (await http.get("/v1/threads", headers=behind)).status_code == 200
    listed = "bot.example, *.shop.example"
    async with client(tmp_path / "some", keys=KEYS, key="k-alice", hosts=listed) as http:
        for host, status in {
            "bot.example:443": 200,
            "a.shop.example": 200,
            "x.example": 400,
        }.items():
            assert (await http.get("/v1/threads", headers={"host": host})).status_code == status


# --- the real process ---------------------------------------------------------------------------


@contextmanager
def process(folder: Path, *options: str, **settings: str) -> Iterator[str]:
    """Run `antiphon serve` on a free port."""
    (port,) = free_ports(1)
    env = {**os.environ, "ANTIPHON_DATA_DIR": str(folder / "data"), **settings}
    log = folder / "serve.log"
    with log.open("a") as out:
        running = subprocess.Popen(
            [Path(sys.executable).parent / "antiphon", "serve", "--port", str(port), *options],
            env=env, stdout=out, stderr=subprocess.STDOUT,
        )  # fmt: skip
    url = f"http://127.0.0.1:{port}"
    try:
        await_ready(
            lambda: httpx.get(f"{url}/ready", timeout=5).status_code == 200,
            running,
            log,
            within_s=120,
        )
        yield url
    finally:
        running.send_signal(signal.SIGINT)
        running.wait(20)


@pytest.mark.server
@pytest.mark.skipif(
    not os.environ.get("ANTIPHON_TEST_SERVERS"),
    reason="set ANTIPHON_TEST_SERVERS=1 to start `antiphon serve`",
)
def test_the_served_sample_answers_streams_and_remembers(tmp_path: Path) -> None:
    """A real process on a real port: whole, streamed, after a restart, and by OpenAI's client."""
    import openai

    question = "How long do I have to return an order?"
    with process(tmp_path) as url, httpx.Client(base_url=url, timeout=120) as http:
        turn = http.post(RUN, json={"message": question}).json()
        assert turn["outcome"] == "answered"
        assert "30 days" in turn["answer"]
        assert turn["citations"]
        told = events(http.post(STREAM, json={"message": "Do you ship to Norway?"}).text)
        assert told[-1][0] == "turn"
        assert http.post(RUN, content=b"\xff", headers=JSON).status_code == 400
    with process(tmp_path) as url:
        state = httpx.get(f"{url}/v1/threads/t/state", timeout=60).json()
        assert [said["role"] for said in state["messages"]] == ["user", "assistant"] * 2
        httpx.post(url + RUN, json={"message": question}, timeout=120).raise_for_status()
        state = httpx.get(f"{url}/v1/threads/t/state", timeout=60).json()
        assert len(state["messages"]) == 6
        assert "antiphon_turns_total" in httpx.get(f"{url}/metrics", timeout=60).text
        with openai.OpenAI(base_url=f"{url}/v1", api_key="none", max_retries=0) as api:
            assert [model.id for model in api.models.list()] == ["antiphon"]
            whole = api.chat.completions.create(
                model="antiphon", messages=[{"role": "user", "content": question}]
            )
            assert "30 days" in str(whole.choices[0].message.content)
            parts = api.chat.completions.create(
                model="antiphon", messages=[{"role": "user", "content": question}], stream=True
            )
            text = "".join(part.choices[0].delta.content or "" for part in parts)
            assert "30 days" in text
    log = (tmp_path / "serve.log").read_text()
    assert "Traceback" not in log


@pytest.mark.parametrize(
    "context",
    [{"model": "\ud800"}, {"model": "m" * 300_000}, {"max_cost_usd": float("inf")}],
    ids=["surrogate", "long", "infinite"],
)
async def test_an_odd_knob_is_a_400(tmp_path: Path, context: dict[str, object]) -> None:
    """It never gets as far as the store."""
    body = json.dumps({"message": QUESTION, "context": context})
    async with client(tmp_path) as http:
        reply = await http.post(RUN, content=body, headers=JSON)
    assert reply.status_code == 400


@pytest.mark.parametrize("digits", ["9" * 5000, "-1", "x"])
async def test_an_odd_number_of_a_query_or_a_header_is_a_400(tmp_path: Path, digits: str) -> None:
    """However long it is."""
    async with client(tmp_path) as http:
        turn = (await http.post(RUN, json={"message": QUESTION})).json()["turn_id"]
        place = f"/v1/threads/t/runs/{turn}/stream"
        for reply in (
            await http.get("/v1/threads", params={"limit": digits}),
            await http.get("/incidents", params={"limit": digits}),
            await http.get(place, headers={"last-event-id": digits}),
        ):
            assert reply.status_code == 400


@pytest.mark.server
@pytest.mark.skipif(
    not os.environ.get("ANTIPHON_TEST_SERVERS"),
    reason="set ANTIPHON_TEST_SERVERS=1 to start `antiphon serve`",
)
def test_every_worker_shows_the_figures_of_all(tmp_path: Path) -> None:
    """Whichever answers the scrape; their common folder is private and goes when they go."""
    shared = tmp_path / "tmp"
    shared.mkdir()
    with process(tmp_path, "--workers", "2", TMPDIR=str(shared)) as url:

        def ask(number: int) -> None:
            address = f"{url}/v1/threads/t{number}/runs/wait"
            question = {"message": "How long do I have to return an order?"}
            httpx.post(address, json=question, timeout=120).raise_for_status()

        with ThreadPoolExecutor(8) as pool:
            list(pool.map(ask, range(8)))
            scrape = partial(httpx.get, f"{url}/metrics", timeout=60)
            pages = [page.result().text for page in [pool.submit(scrape) for _ in range(8)]]
        (folder,) = shared.glob("antiphon-metrics-*")
        assert folder.stat().st_mode & 0o077 == 0
        assert len(list(folder.glob("counter_*.db"))) == 2
        counted = 'antiphon_turns_total{outcome="answered"} 8.0'
        assert [counted in page for page in pages] == [True] * 8
    assert list(shared.glob("antiphon-metrics-*")) == []
