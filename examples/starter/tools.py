"""What your assistant can do. Replace the bodies with calls to your own systems.

A tool is a function with `@tool`. Its docstring tells a model when to call it; its annotations are
the schema every call is checked against. `config` is filled in by the runtime, never by a model:
`config["configurable"]` holds `tenant`, `user`, `thread`, `idempotency_key` and `data_dir`.
Raise ToolException with a sentence that may be shown to the person asking.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Annotated, Literal

from langchain_core.runnables import RunnableConfig
from langchain_core.tools import ToolException, tool
from pydantic import Field

STATUS = {"RQ-1001": "done", "RQ-1002": "being worked on", "RQ-1003": "waiting for your answer"}
"""Stands for your own system."""


@tool
def request_status(
    request_id: Annotated[
        str, Field(pattern=r"^RQ-\d{4,8}$", description="Number of the request, as in RQ-1001.")
    ],
) -> dict[str, str]:
    """Look up how far a request is."""
    if request_id not in STATUS:
        raise ToolException(f"There is no request {request_id}. Please check the number.")
    return {"request_id": request_id, "status": STATUS[request_id]}


@tool
def new_request(
    topic: Annotated[
        Literal["billing", "technical", "account", "other"], Field(description="What it is about.")
    ],
    config: RunnableConfig,
) -> dict[str, str]:
    """Send the team a new request."""
    known = config.get("configurable", {})
    data_dir = known.get("data_dir")
    if not data_dir:
        raise ToolException("Requests cannot be recorded at the moment. Nothing was sent.")
    # The same key gives the same number: a retry or a resumed turn sends nothing twice.
    key = f"{known.get('tenant', '')} {known.get('idempotency_key') or topic}"
    number = f"RQ-{int(hashlib.sha256(key.encode()).hexdigest(), 16) % 10**8:08}"
    record = {"request_id": number, "topic": topic}
    folder = Path(data_dir) / "requests"
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    path = folder / f"{number}.json"
    path.touch(mode=0o600)
    path.write_text(json.dumps(record), encoding="utf-8")
    return record
