"""A model server on loopback that speaks OpenAI's protocol and counts what it was asked.

As a real model it never says quite the same twice, so nothing may rest on its calls being alike.
"""

from __future__ import annotations

import json
import random
import re
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

REFERENCE = re.compile(r"Q\d{5}")
MESSAGE = re.compile(r"<message>\n(.*?)\n</message>", re.DOTALL)
TOOL_FOR = {"the meter": "meter", "pay money": "pay_in", "the parcel": "send_parcel"}
SLOW_S = (0.02, 0.12)
DONE, NOT_DONE = "Request {} is settled.", "Request {} was left undone."
ANSWERED = re.compile(r"Request (Q\d{5}) (?:is settled|was left undone)\.")
"""How each last word on a request begins; nothing else does."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """A call that reached the server."""

    number: int
    """Counts from 1, and is reported as the call's output tokens: so each is found again."""
    reference: str


@dataclass(slots=True)
class ModelLog:
    """What the server was asked."""

    seen: list[Seen] = field(default_factory=list)
    chose: threading.Event = field(default_factory=threading.Event)
    """Set whenever a tool was chosen: what follows is worth a kill."""
    lock: threading.Lock = field(default_factory=threading.Lock)

    def note(self, reference: str) -> int:
        """Note a call and return its number."""
        with self.lock:
            self.seen.append(Seen(number=len(self.seen) + 1, reference=reference))
            return len(self.seen)


@contextmanager
def model_server() -> Iterator[tuple[str, ModelLog]]:
    """Serve on a free port; yield the base URL and the log."""
    log = ModelLog()
    server = _Quiet(("127.0.0.1", 0), _endpoint(log))
    thread = threading.Thread(target=server.serve_forever, name="drill-model", daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/v1", log
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class _Quiet(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: object, client_address: object) -> None:
        """Say nothing of callers that were killed."""


def _endpoint(log: ModelLog) -> type[BaseHTTPRequestHandler]:
    class Endpoint(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            asked = json.loads(body)
            number = log.note(_reference(asked["messages"]))
            time.sleep(random.uniform(*SLOW_S))
            said = reply(asked["messages"], tools=bool(asked.get("tools")), number=number)
            if said.get("tool_calls"):
                log.chose.set()
            whole = json.dumps(_completion(said, number)).encode()
            try:
                self.send_response(200)
                self.send_header("content-type", "application/json")
                self.send_header("content-length", str(len(whole)))
                self.end_headers()
                self.wfile.write(whole)
            except OSError:
                # The caller was killed meanwhile; the call was made all the same.
                self.close_connection = True

        def log_message(self, *_args: object) -> None:
            """Say nothing: the log is kept, not printed."""

    return Endpoint


def reply(
    messages: Sequence[Mapping[str, Any]], *, tools: bool, number: int
) -> Mapping[str, object]:
    """Say what a model would: rewrite, choose a tool, or answer from what a tool gave."""
    last = str(messages[-1]["content"])
    rewriting = MESSAGE.search(last)
    if rewriting:
        return {"content": rewriting[1]}
    whole = " ".join(str(message["content"]) for message in messages if message["role"] == "system")
    called = "<tool_result" in whole.replace("`<tool_result>`", "")
    name = next((name for words, name in TOOL_FOR.items() if words in last), None)
    reference = _reference(messages)
    if tools and name is not None and not called:
        arguments = {"reference": reference}
        if name == "pay_in":
            arguments["note"] = f"in other words {number}"
        return {"content": None, "tool_calls": [_call(name, arguments, number)]}
    undone = name is not None and 'ok="true"' not in whole
    return {"content": (NOT_DONE if undone else DONE).format(reference)}


def _reference(messages: Sequence[Mapping[str, Any]]) -> str:
    """Return the reference of the last message: what came before is history."""
    found = REFERENCE.findall(str(messages[-1]["content"]))
    return found[-1] if found else ""


def _call(name: str, arguments: Mapping[str, str], number: int) -> dict[str, object]:
    function = {"name": name, "arguments": json.dumps(arguments)}
    return {"id": f"call-{number}", "type": "function", "function": function}


def _completion(said: Mapping[str, object], number: int) -> dict[str, object]:
    return {
        "id": f"chatcmpl-{number}",
        "object": "chat.completion",
        "created": int(time.time()),
        "model": "drill",
        "choices": [
            {
                "index": 0,
                "finish_reason": "tool_calls" if said.get("tool_calls") else "stop",
                "message": {"role": "assistant", **said},
            }
        ],
        "usage": {"prompt_tokens": 10, "completion_tokens": number, "total_tokens": 10 + number},
    }
