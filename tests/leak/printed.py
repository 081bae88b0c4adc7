"""Everything that commands print: on stdout, on stderr, in the log, and what native code writes to either."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO

import pytest

from tests.commands import command

SCRIPT = """
import json, sys
from minimize.cli import entry
sys.argv = ["minimize", *json.loads(sys.argv[1])]
entry()
"""


def printed_by(folder: Path, *commands: tuple[str, ...], code: int = 0) -> bytes:
    """What commands print that run in this process, in a folder that holds `keys`."""
    with pytest.MonkeyPatch.context() as patch, _descriptors() as native:
        patch.chdir(folder)
        for name, value in _variables(folder).items():
            patch.setenv(name, value)
        done = [command(*words) for words in commands]
        native.seek(0)
        written = native.read()
    assert [each.code for each in done] == [code] * len(commands), [each.err for each in done]
    return "".join(each.out + each.err for each in done).encode() + written


def printed_by_process(folder: Path, *words: str) -> bytes:
    """What a command prints that has a process of its own, from its start to its end."""
    python, env = [sys.executable, "-c", SCRIPT, json.dumps(words)], {**os.environ, **_variables(folder)}
    done = subprocess.run(python, capture_output=True, env=env, cwd=folder, check=False)
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout + done.stderr


def _variables(folder: Path) -> dict[str, str]:
    paths = {"MINIMIZE_KEYS": str(folder / "keys"), "MINIMIZE_LEDGER": str(folder / "ledger.db")}
    return {**paths, "MINIMIZE_LOG_FORMAT": "json"}


@contextmanager
def _descriptors() -> Iterator[IO[bytes]]:
    """Has the descriptors of stdout and stderr lead to a file."""
    with TemporaryFile() as file:
        before = {descriptor: os.dup(descriptor) for descriptor in (1, 2)}
        try:
            for descriptor in before:
                os.dup2(file.fileno(), descriptor)
            yield file
        finally:
            for descriptor, copy in before.items():
                os.dup2(copy, descriptor)
                os.close(copy)
