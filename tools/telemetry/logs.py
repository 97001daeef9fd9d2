"""Structured log lines on standard error: the only file that knows structlog.

Lines carry names, numbers and keyed hashes. Fields that could hold a person's words or a secret
are withheld by name, so that a careless caller does not leak them.
"""

from __future__ import annotations

import logging
import sys
from typing import Literal, TextIO

import structlog
from structlog.typing import EventDict, FilteringBoundLogger, Processor, WrappedLogger

Log = FilteringBoundLogger
Level = Literal["debug", "info", "warning", "error"]
Form = Literal["console", "json"]

WITHHELD = frozenset(
    {
        "answer", "api_key", "arguments", "authorization", "content", "cookie", "draft", "key",
        "message_text", "messages", "password", "prompt", "question", "secret", "text", "token",
    }
)  # fmt: skip
"""Field names whose value is never written."""


def build_log(
    *, level: Level = "warning", form: Form = "console", stream: TextIO | None = None
) -> Log:
    """Return a logger that writes lines of at least `level` to `stream` (standard error)."""
    out = stream or sys.stderr
    renderer: Processor = (
        structlog.processors.JSONRenderer(ensure_ascii=False)
        if form == "json"
        else structlog.dev.ConsoleRenderer(
            colors=out.isatty(), exception_formatter=structlog.dev.plain_traceback
        )
    )
    log: Log = structlog.wrap_logger(
        structlog.PrintLogger(out),
        processors=[
            _withhold,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            # A traceback's locals may hold a message, so JSON lines get the plain text form.
            *([structlog.processors.format_exc_info] if form == "json" else []),
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(getattr(logging, level.upper())),
        context_class=dict,
    )
    return log


def _withhold(_logger: WrappedLogger, _method: str, fields: EventDict) -> EventDict:
    return {
        name: "[withheld]" if name.lower() in WITHHELD else value for name, value in fields.items()
    }
