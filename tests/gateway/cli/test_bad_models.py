"""Models and tools that are down, and turns that are cut off: the caller still gets an answer."""

from __future__ import annotations

import json
import os
import signal
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from lantern import FACT, QUESTION, SECRET, Ended, Shop, ended

INTERRUPTIBLE = """
import signal
# A process started in the background may ignore Ctrl-C from its birth.
signal.signal(signal.SIGINT, signal.SIG_DFL)
"""


class Provider(ThreadingHTTPServer):
    """An OpenAI-compatible server on this machine that fails with a status, or never answers."""

    daemon_threads = True

    def __init__(self, status: int) -> None:
        super().__init__(("127.0.0.1", 0), Refusal)
        self.status = status
        self.asked = threading.Event()
        self.over = threading.Event()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/v1"


class Refusal(BaseHTTPRequestHandler):
    server: Provider

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["content-length"]))
        self.server.asked.set()
        if not self.server.status:
            self.server.over.wait()
            return
        body = json.dumps({"error": {"message": "out of order"}}).encode()
        self.send_response(self.server.status)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - its base's name
        """Say nothing."""


def serving(status: int) -> Iterator[Provider]:
    with Provider(status) as provider:
        thread = threading.Thread(target=provider.serve_forever)
        thread.start()
        try:
            yield provider
        finally:
            provider.over.set()
            provider.shutdown()
            thread.join()


@pytest.fixture
def broken() -> Iterator[Provider]:
    """A provider that answers 500."""
    yield from serving(500)


@pytest.fixture
def hanging() -> Iterator[Provider]:
    """A provider that never answers."""
    yield from serving(0)


def check_recovered(turn: dict[str, object], *named: str) -> None:
    """Assert that the turn fell back to quoting its sources and says for which model and why."""
    assert turn["outcome"] == "degraded"
    assert turn["model"] == "extractive"
    assert FACT in str(turn["answer"])
    assert turn["citations"]
    for part in named:
        assert part in str(turn["degraded_because"])


def test_a_provider_that_is_down(lanterns: Shop) -> None:
    """With nobody listening the answer is quoted from the sources, and says which model failed."""
    with Provider(500) as gone:
        url = gone.url
    down = lanterns.having(ANTIPHON_MODEL="openai:x", ANTIPHON_MODEL_URL=url)
    check_recovered(down.answer(), "openai:x", "model_unavailable")


def test_a_provider_that_fails(lanterns: Shop, broken: Provider) -> None:
    """A provider that answers 500 is recovered from too, and its status is named."""
    failing = lanterns.having(ANTIPHON_MODEL="llama3:8b", ANTIPHON_MODEL_URL=broken.url)
    check_recovered(failing.answer(), "llama3:8b", "status 500")
    assert broken.asked.is_set()


def test_a_missing_key(lanterns: Shop, tmp_path: Path) -> None:
    """Without its key a provider is not asked at all; the recovered turn names the variable."""
    (tmp_path / "sitecustomize.py").write_text(
        "import socket\n"
        "def refuse(*args, **more):\n"
        f"    open({str(tmp_path / 'tried')!r}, 'a').write(repr(args))\n"
        "    raise OSError('no network')\n"
        "socket.socket.connect = socket.getaddrinfo = refuse\n"
    )
    keyless = lanterns.having(ANTIPHON_MODEL="openai:gpt-5-mini", PYTHONPATH=str(tmp_path))
    check_recovered(keyless.ask(), "openai:gpt-5-mini", "key_missing", "OPENAI_API_KEY")
    assert not (tmp_path / "tried").exists()


@pytest.mark.slow
def test_a_provider_that_hangs(lanterns: Shop, hanging: Provider) -> None:
    """A provider that never answers costs its deadline, no more, and holds up no other process."""
    stuck = lanterns.having(ANTIPHON_MODEL="openai:x", ANTIPHON_MODEL_URL=hanging.url)
    process = stuck.start("ask", QUESTION, "--thread", "stuck")
    assert hanging.asked.wait(60)
    lanterns.answer(QUESTION, "--thread", "other")
    done = ended(process)
    assert done.code == 0
    check_recovered(done.json, "openai:x", "in time")


def test_a_tool_that_raises(lanterns: Shop) -> None:
    """A raising tool is told as a service that failed; its words are shown and stored nowhere."""
    done = lanterns.run("ask", "Count the stock for me", "--thread", "stock")
    assert done.code == 0
    assert "call_tools" in done.json["path"]
    assert "service failed" in done.json["answer"]
    stored = b"".join(path.read_bytes() for path in lanterns.files.iterdir())
    assert b"count_stock" in stored
    assert SECRET.encode() not in stored
    assert SECRET not in done.out + done.err


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGKILL], ids=["Ctrl-C", "kill -9"])
def test_a_turn_that_is_cut_off(lanterns: Shop, hanging: Provider, how: signal.Signals) -> None:
    """Cut off in mid-answer, a thread keeps what was said and goes on; nothing is doubled.

    What a person stops stays unanswered; what died with its process is answered first.
    """
    stuck = lanterns.after(INTERRUPTIBLE).having(
        ANTIPHON_MODEL="openai:x", ANTIPHON_MODEL_URL=hanging.url
    )
    who = ("--thread", "t", "--user", "alice")
    process = stuck.start("ask", "What does a copper lantern cost?", *who)
    assert hanging.asked.wait(60)
    began = time.monotonic()
    os.killpg(process.pid, how)
    done = ended(process)
    assert time.monotonic() - began < 10
    check_cut_off(done, how)
    went_on = lanterns.here("ask", "When does the shop open?", *who)
    turn = went_on.json
    assert (turn["outcome"], turn["degraded_because"]) == ("answered", None)
    told = [line.split(":")[0] for line in went_on.err.splitlines()]
    assert [line.split(";")[0] for line in told] == (
        ["Waiting", "An earlier message of this thread was cut off", "The message that was cut off"]
        if how == signal.SIGKILL
        else []
    )
    assert "10 in the morning" in turn["answer"]
    said = lanterns.messages("t", "--user", "alice")
    assert [words for role, words in said if role == "user"] == [
        QUESTION,
        "What does a copper lantern cost?",
        "When does the shop open?",
    ]
    answers = [words for role, words in said if role == "assistant"]
    assert len(answers) == (3 if how == signal.SIGKILL else 2)
    assert answers[-1] == turn["answer"]


def check_cut_off(done: Ended, how: signal.Signals) -> None:
    if how == signal.SIGKILL:
        assert done.code == -signal.SIGKILL
        return
    assert (done.code, done.out) == (130, "")
    assert done.error["code"] == "interrupted"
