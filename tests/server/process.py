"""`minimize serve` in a process of its own, which a test may stop or kill."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime

import minimize
from benchmarks.certificate import Certificate, certificate
from minimize.server.api_tokens import create_token
from minimize.server.client import DatasetReader
from tests.server.home import Home
from tests.server.server import TIMEOUT


@dataclass(frozen=True)
class Served:
    """A server: its process, where it answers, which certificate it shows, how many reads were lost before it."""

    home: Home
    process: subprocess.Popen[str]
    url: str
    made: Certificate
    lost: int

    def client(self, user: str = "ann") -> DatasetReader:
        """A client with a token of now: the process has the clock of the system."""
        token = create_token(self.home.ledger, user, datetime.now(UTC))[0]
        return minimize.connect(self.url, token=token, ca=self.made.certificate, timeout=TIMEOUT)


@contextmanager
def served(home: Home, *words: str, script: str | None = None) -> Iterator[Served]:
    """The command, or a script in its place, once it answers; killed at the end."""
    made = certificate(home.folder, datetime.now(UTC))
    tls = ["--cert", str(made.certificate), "--key", str(made.key), "--keys", str(home.project.keys)]
    python = [sys.executable, *(["-m", "minimize"] if script is None else ["-c", script])]
    command = [*python, "serve", str(home.project.out), "--port", "0", "--json", *tls, *words]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=home.folder, env=dict(os.environ)) as process:
        assert process.stdout is not None
        said = ""
        while not said.endswith("}\n"):
            line = process.stdout.readline()
            assert line, "it ended before it answered"
            said += line
        body = json.loads(said)
        try:
            yield Served(home, process, body["url"], made, body["lost"])
        finally:
            process.kill()
