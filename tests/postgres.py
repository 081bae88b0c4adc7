"""A private PostgreSQL server: a folder, a socket, no port. Where its programs are missing, tests skip; in CI they fail."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

import pytest

PROGRAMS = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: float(path.parent.name))
OWNER = "minimize"


def want_postgres() -> Path:
    """Where the programs are; skips where they are not, and fails in CI."""
    for folder in reversed(PROGRAMS):
        if (folder / "initdb").exists() and (folder / "pg_ctl").exists():
            return folder
    if os.environ.get("CI", "").lower() in ("true", "1"):
        pytest.fail("in CI the tests of the ledger on PostgreSQL run, and there is no /usr/lib/postgresql/*/bin/initdb")
    pytest.skip("no PostgreSQL: there is no /usr/lib/postgresql/*/bin/initdb (apt-get install postgresql)")


@dataclass(frozen=True)
class Server:
    """A server that is ours."""

    programs: Path
    folder: Path

    def start(self) -> None:
        options = f"-k {self.folder} -c listen_addresses='' -c fsync=off -c max_connections=60"
        self.pg_ctl("start", "-l", str(self.folder / "log"), "-o", options)

    def stop(self, how: str = "immediate") -> None:
        self.pg_ctl("stop", "-m", how)

    def restart(self) -> None:
        self.stop("fast")
        self.start()

    def pg_ctl(self, *words: str) -> None:
        self.runs("pg_ctl", "-D", str(self.folder / "data"), "-w", "-s", *words)

    def runs(self, program: str, *words: str) -> None:
        """Runs one of its programs, never as root."""
        user = unprivileged()
        subprocess.run(
            [str(self.programs / program), *words],
            check=True,
            stdout=subprocess.DEVNULL,
            cwd=self.folder,
            env={"PATH": "/usr/bin:/bin", "LC_ALL": "C"},
            user=None if user is None else user.pw_uid,
            group=None if user is None else user.pw_gid,
        )

    def database(self) -> str:
        """A new, empty database; its URL."""
        import psycopg

        name = f"ledger_{uuid4().hex[:12]}"
        with psycopg.connect(host=str(self.folder), user=OWNER, dbname="postgres", autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {name}")
        return f"postgresql+psycopg://{OWNER}@/{name}?host={self.folder}"


def unprivileged() -> pwd.struct_passwd | None:
    """Who runs the server where we are root; None where we are not."""
    if os.getuid() != 0:
        return None
    known = {user.pw_name: user for user in pwd.getpwall()}
    return known.get("postgres") or known["nobody"]


@contextmanager
def server() -> Iterator[Server]:
    """A server that runs until the block ends."""
    programs, folder = want_postgres(), Path(tempfile.mkdtemp(prefix="pg-"))
    user = unprivileged()
    if user is not None:
        os.chown(folder, user.pw_uid, user.pw_gid)
    made = Server(programs, folder)
    try:
        made.runs("initdb", "-D", str(folder / "data"), "-U", OWNER, "-A", "trust", "-N", "-E", "UTF8", "--locale=C")
        made.start()
        try:
            yield made
        finally:
            made.stop()
    finally:
        shutil.rmtree(folder, ignore_errors=True)
