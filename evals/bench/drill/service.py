"""The service behind the drill's tools: a ledger that is appended to and never corrected.

It lies outside of the runtime's data, so that it says what was really done, whoever died meanwhile.
"""

from __future__ import annotations

import json
import os
import random
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated

from langchain_core.runnables import RunnableConfig
from langchain_core.tools import tool
from pydantic import Field

LEDGER = "ledger.jsonl"
SLOW_S = (0.02, 0.15)
"""How long a call takes before and after its entry: long enough for a kill to land in between."""
Reference = Annotated[
    str, Field(pattern=r"^Q\d{5}$", description="Reference of the request, as in Q00001.")
]
Note = Annotated[str, Field(description="A few words for the books.")]


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One call that reached the service."""

    tool: str
    reference: str
    key: str
    """The idempotency key it came with."""
    at: float


@tool
def meter(reference: Reference) -> dict[str, str]:
    """Look up what the meter says."""
    _work()
    return {"reference": reference, "reading": "42"}


@tool
def pay_in(reference: Reference, note: Note, config: RunnableConfig) -> dict[str, str]:
    """Pay money into the account; a second call with the same key changes nothing."""
    return _done("pay_in", reference, config)


@tool
def send_parcel(reference: Reference, config: RunnableConfig) -> dict[str, str]:
    """Send a parcel; every call sends one more."""
    return _done("send_parcel", reference, config)


def entries(ledger: Path) -> Sequence[Entry]:
    """Return everything that was ever done, in order."""
    lines = ledger.read_text("utf-8").splitlines() if ledger.exists() else []
    return [Entry(**json.loads(line)) for line in lines]


def ledger_of(data_dir: Path) -> Path:
    """Return the ledger that belongs to a folder of the runtime's data."""
    return data_dir.parent / LEDGER


def _done(name: str, reference: str, config: RunnableConfig) -> dict[str, str]:
    given = config.get("configurable", {})
    _work()
    entry = Entry(tool=name, reference=reference, key=str(given["idempotency_key"]), at=time.time())
    # The runtime names the assistant's own folder within its data.
    _append(ledger_of(Path(given["data_dir"]).parent), json.dumps(asdict(entry)) + "\n")
    _work()
    return {"reference": reference, "state": "done"}


def _append(path: Path, line: str) -> None:
    """Write a line in one piece and wait until it is on the disk."""
    place = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    try:
        os.write(place, line.encode())
        os.fsync(place)
    finally:
        os.close(place)


def _work() -> None:
    time.sleep(random.uniform(*SLOW_S))
