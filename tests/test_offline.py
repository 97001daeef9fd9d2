"""With no setting no network is used: shown by a process that records every try to connect."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from lantern import FACT, QUESTION, Shop, set_up

FORBIDDING = """
import socket

def _forbidden(*given, **more):
    with open({tried!r}, "a") as file:
        print(given, file=file)
    raise OSError("this process may use no network")

socket.socket.connect = socket.socket.connect_ex = socket.socket.sendto = _forbidden
socket.getaddrinfo = socket.gethostbyname = socket.create_connection = _forbidden
"""


def test_asking_with_no_setting_tries_no_network(tmp_path: Path) -> None:
    """On an empty folder, ingestion and answer need no network at all, and none is tried."""
    tried = tmp_path / "tried"
    (tmp_path / "sitecustomize.py").write_text(FORBIDDING.format(tried=str(tried)))
    shop = Shop(assistant=set_up(tmp_path / "shop"), data=tmp_path / "data")
    offline = shop.having(PYTHONPATH=str(tmp_path), LANGSMITH_TRACING="", HTTPS_PROXY="")
    turn = offline.ask(QUESTION)
    assert turn["outcome"] == "answered"
    assert FACT in turn["answer"]
    assert {citation["source"] for citation in turn["citations"]} == {"copper.md"}
    assert not tried.exists(), tried.read_text()


def test_a_try_would_be_seen(tmp_path: Path) -> None:
    """The record can show a try: a process that does connect is stopped and written down."""
    tried = tmp_path / "tried"
    (tmp_path / "sitecustomize.py").write_text(FORBIDDING.format(tried=str(tried)))
    connecting = "import socket; socket.create_connection(('127.0.0.1', 9))"
    done = subprocess.run(
        [sys.executable, "-c", connecting],
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
        capture_output=True,
        check=False,
    )
    assert done.returncode == 1
    assert "127.0.0.1" in tried.read_text()
