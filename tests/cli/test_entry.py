"""How the process of a command is set up."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

COMMAND = (
    "import atexit, os, sys, threading; sys.argv = ['minimize', '--version'];"
    "atexit.register(lambda: print(os.environ['OPENBLAS_NUM_THREADS'], len(os.listdir('/proc/self/task'))));"
    "from minimize.cli import entry; atexit.register(lambda: __import__('numpy')); entry()"
)


def process(**settings: str) -> list[str]:
    """What a command's process says at its end: what linear algebra was told, and how many threads there are."""
    kept = {name: value for name, value in os.environ.items() if name != "OPENBLAS_NUM_THREADS"}
    done = subprocess.run(
        [sys.executable, "-c", COMMAND], env=kept | settings, capture_output=True, text=True, check=True
    )
    return done.stdout.splitlines()[-1].split()


@pytest.mark.skipif(sys.platform != "linux", reason="threads are counted by Linux's /proc")
def test_a_command_starts_no_threads_for_linear_algebra() -> None:
    assert process() == ["1", "1"]


@pytest.mark.skipif(sys.platform != "linux", reason="threads are counted by Linux's /proc")
def test_a_configured_thread_count_stays() -> None:
    assert process(OPENBLAS_NUM_THREADS="2")[0] == "2"
