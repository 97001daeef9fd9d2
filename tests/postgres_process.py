"""A real PostgreSQL server as a process of the tests' own, to be stopped and started again."""

from __future__ import annotations

import os
import pwd
import secrets
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import pytest
from processes import ServerProcess, await_ready, free_ports

USER = "antiphon"
PASSWORD = "hunter2-of-the-tests"
READY_S = 30.0


@dataclass(slots=True, kw_only=True)
class Postgres(ServerProcess):
    """A server that can be stopped, frozen and started again on the same port and data."""

    binaries: Path
    folder: Path
    port: int

    def create(self) -> None:
        """Make the cluster; its one user has a password."""
        given = self.folder / "password"
        given.write_text(PASSWORD)
        self._own()
        self._run(
            "initdb", "-D", str(self.folder / "data"), "-U", USER, "--pwfile", str(given),
            "-A", "scram-sha-256", "-E", "UTF8", "--locale", "C", "--no-sync",
        )  # fmt: skip

    def start(self) -> None:
        """Start it and wait until it takes connections."""
        log = self.folder / "log"
        with log.open("ab") as out:
            self.process = subprocess.Popen(
                self._command(
                    "postgres", "-D", str(self.folder / "data"), "-p", str(self.port),
                    "-h", "127.0.0.1", "-c", "unix_socket_directories=", "-c", "fsync=off",
                ),
                stdout=out,
                stderr=out,
                cwd=self.folder,
                env={"PATH": os.environ.get("PATH", ""), "LC_ALL": "C"},
            )  # fmt: skip
        probe = [str(self.binaries / "pg_isready"), "-q", "-h", "127.0.0.1", "-p", str(self.port)]
        await_ready(
            lambda: subprocess.run(probe, check=False).returncode == 0,
            self.process,
            log,
            within_s=READY_S,
        )

    def stop(self) -> None:
        """Stop it at once, frozen or not; whoever is connected is cut off."""
        if self.process is None:
            return
        self.thaw()
        self.process.send_signal(signal.SIGINT)
        try:
            self.process.wait(timeout=15)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.process = None

    def database(self) -> str:
        """Make an empty database and return its URL."""
        name = f"test_{secrets.token_hex(4)}"
        self._run(
            "psql", "-q", "-h", "127.0.0.1", "-p", str(self.port), "-U", USER, "-d", "postgres",
            "-c", f"create database {name}",
        )  # fmt: skip
        return self.url(name)

    def url(self, database: str = "postgres", *, password: str = PASSWORD) -> str:
        """Return the URL of a database."""
        return f"postgresql://{USER}:{password}@127.0.0.1:{self.port}/{database}"

    def signal(self, number: int) -> None:
        """Send it to the server and to the processes of its connections."""
        assert self.process is not None
        # Each connection has a process of its own, a child of the first.
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children")
        below = children.read_text().split() if children.exists() else []
        for one in (self.process.pid, *map(int, below)):
            # A connection's process may end as soon as the first one goes on.
            with suppress(ProcessLookupError):
                os.kill(one, number)

    def _run(self, *command: str) -> None:
        done = subprocess.run(
            self._command(*command),
            check=False, capture_output=True, text=True, cwd=self.folder,
            env={"PATH": os.environ.get("PATH", ""), "LC_ALL": "C", "PGPASSWORD": PASSWORD},
        )  # fmt: skip
        assert done.returncode == 0, done.stderr

    def _command(self, name: str, *arguments: str) -> list[str]:
        command = [str(self.binaries / name), *arguments]
        if os.geteuid() != 0:
            return command
        # PostgreSQL refuses to run as root.
        user = str(_unprivileged().pw_uid)
        return ["setpriv", "--reuid", user, "--regid", user, "--clear-groups", *command]

    def _own(self) -> None:
        if os.geteuid() == 0:
            user = _unprivileged().pw_uid
            for path in (self.folder, *self.folder.iterdir()):
                os.chown(path, user, user)


def running() -> Iterator[Postgres]:
    """Yield a server that runs, and stop it afterwards."""
    binaries = found()
    if binaries is None:
        pytest.skip("no PostgreSQL server is installed (Debian: postgresql)")
    if os.geteuid() == 0 and shutil.which("setpriv") is None:
        pytest.skip("PostgreSQL refuses root, and there is no setpriv")
    # Not below pytest's own folder: only root may enter that.
    folder = Path(tempfile.mkdtemp(prefix="antiphon-postgres-"))
    server = Postgres(binaries=binaries, folder=folder, port=free_ports(1)[0])
    try:
        server.create()
        server.start()
        yield server
    finally:
        server.stop()
        shutil.rmtree(folder, ignore_errors=True)


def found() -> Path | None:
    """Return the folder of the server's programs: on the path, or where Debian puts them."""
    there = shutil.which("initdb")
    if there is not None:
        return Path(there).resolve().parent
    return max(
        (path.parent for path in Path("/usr/lib/postgresql").glob("*/bin/initdb")),
        key=lambda folder: int(folder.parent.name),
        default=None,
    )


def _unprivileged() -> pwd.struct_passwd:
    try:
        return pwd.getpwnam("postgres")
    except KeyError:
        return pwd.getpwnam("nobody")
