"""`antiphon serve`: the HTTP gateway; open to other machines only when it asks for keys."""

from __future__ import annotations

import errno
import ipaddress
import multiprocessing
import os
import signal
import socket
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated

import typer

from antiphon.gateway.cli.options import AssistantFolder
from antiphon.tools.errors import AntiphonError, SettingsError

if TYPE_CHECKING:
    from starlette.applications import Starlette


def serve(
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=1, max=65535, help="Port to listen on.")] = 8000,
    workers: Annotated[int, typer.Option(min=1, help="Processes.")] = 1,
    assistant: AssistantFolder = None,
) -> None:
    """Serve the HTTP gateway and web console."""
    import uvicorn

    from antiphon.gateway.auth import keys_of
    from antiphon.graphs.assistant import load_assistant
    from antiphon.graphs.settings import read_settings

    if assistant is not None:
        load_assistant(assistant)
        # Workers are new processes: the environment is what they inherit.
        os.environ["ANTIPHON_ASSISTANT"] = str(assistant.resolve())
    settings = read_settings()
    require_keys(host, keys=bool(keys_of(settings)))
    require_free(host, port)
    print(f"Antiphon listens on http://{host}:{port} (Ctrl-C stops it)", flush=True)
    try:
        with counting_together(workers):
            uvicorn.run(
                "antiphon.gateway.cli.serve:application",
                factory=True,
                host=host,
                port=port,
                workers=workers,
                log_level=settings.log_level,
            )
    except SystemExit as stop:
        raise AntiphonError("the gateway could not start", hint="See the log above.") from stop


@contextmanager
def counting_together(workers: int) -> Iterator[None]:
    """Give several workers one private folder for their figures; `/metrics` shows the sum."""
    if workers == 1:
        yield
        return
    # A folder of this run alone: figures of another would be added to these.
    with tempfile.TemporaryDirectory(prefix="antiphon-metrics-") as folder:
        os.environ["PROMETHEUS_MULTIPROC_DIR"] = folder
        try:
            yield
        finally:
            del os.environ["PROMETHEUS_MULTIPROC_DIR"]


def application() -> Starlette:
    """Make the app that the environment describes, once per worker."""
    from antiphon.gateway.app import create_app
    from antiphon.graphs.settings import read_settings

    settings = read_settings()
    threading.Thread(target=_end_with_parent, name="antiphon-parent", daemon=True).start()
    return create_app(settings, settings.assistant)


def _end_with_parent() -> None:
    """Stop a worker, in order, when the process that started it was killed: nobody else would."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os.kill(os.getpid(), signal.SIGTERM)


def require_keys(host: str, *, keys: bool) -> None:
    """Refuse to listen beyond this machine without API keys. Raises SettingsError."""
    if keys or host == "localhost":
        return
    try:
        loopback = ipaddress.ip_address(host).is_loopback
    except ValueError:
        loopback = False
    if not loopback:
        raise SettingsError(
            f"refusing to listen on {host}: without API keys anyone who reaches it could use it",
            hint="Set ANTIPHON_API_KEYS=key=tenant,..., or listen on 127.0.0.1.",
        )


def require_free(host: str, port: int) -> None:
    """Raise when `host:port` cannot be listened on, saying why."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        with socket.socket(family, kind, protocol) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            raise AntiphonError(
                f"port {port} on {host} is in use", hint=f"Try `antiphon serve --port {port + 1}`."
            ) from error
        raise AntiphonError(f"cannot listen on {host}:{port}: {error.strerror}") from error
