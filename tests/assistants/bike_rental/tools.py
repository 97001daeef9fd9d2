"""Two tools of an invented bicycle rental."""

from __future__ import annotations

import hashlib
from typing import Annotated, Literal

from langchain_core.runnables import RunnableConfig
from langchain_core.tools import ToolException, tool
from pydantic import Field

Kind = Annotated[
    Literal["city", "mountain", "e-bike", "cargo", "tandem"], Field(description="Kind of bicycle.")
]
FREE = {"city": 14, "mountain": 6, "e-bike": 3, "cargo": 1, "tandem": 0}


@tool
def free_bikes(kind: Kind) -> dict[str, str | int]:
    """Count the bicycles of a kind that are free right now."""
    return {"kind": kind, "count": FREE[kind]}


@tool
def book(kind: Kind, config: RunnableConfig) -> dict[str, str]:
    """Book a bicycle of a kind."""
    if not FREE[kind]:
        raise ToolException(f"No {kind} bike is free. Please choose another kind.")
    # Nothing is stored: the number follows from the key, so a retry gets the same booking.
    key = str(config.get("configurable", {}).get("idempotency_key", ""))
    return {"kind": kind, "booking_id": "SH-" + hashlib.sha256(key.encode()).hexdigest()[:6]}
