"""The one shape every bench reports in, with what it ran on."""

from __future__ import annotations

import os
import platform
import sqlite3
from collections.abc import Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version

REPORTED = (
    "antiphon",
    "langgraph",
    "langchain-core",
    "numpy",
    "onnxruntime",
    "tokenizers",
    "snowballstemmer",
    "sentence-transformers",
    "weaviate-client",
)


def report(
    bench: str,
    data: str,
    figures: Mapping[str, float],
    rows: Sequence[Mapping[str, object]],
    seconds: float,
) -> dict[str, object]:
    """Return what `antiphon bench --json` prints: figures flat, rows for the table."""
    return {
        "bench": bench,
        "data": data,
        "figures": {name: round(float(value), 6) for name, value in figures.items()},
        "rows": [dict(row) for row in rows],
        "seconds": round(seconds, 3),
        "versions": versions(),
        "machine": machine(),
    }


def versions() -> dict[str, str]:
    """Name the interpreter and the packages that figures depend on, where installed."""
    found = {"python": platform.python_version()}
    for name in REPORTED:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def machine() -> dict[str, object]:
    """Describe the machine without naming it."""
    return {
        "system": platform.system(),
        "arch": platform.machine(),
        "cores": len(os.sched_getaffinity(0))
        if hasattr(os, "sched_getaffinity")
        else os.cpu_count(),
        "load": round(os.getloadavg()[0], 2) if hasattr(os, "getloadavg") else None,
        "sqlite": sqlite3.sqlite_version,
    }
