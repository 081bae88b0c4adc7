"""Servers of tests on ports of their own, for programs that cannot say which free port they took."""

from __future__ import annotations

import socket
import subprocess
import time
from collections.abc import Callable, Sequence
from typing import Any, Final

TRIES: Final = 5
POLLS: Final = 1200


def start_on_free_port(
    command: Callable[[int], Sequence[str]], is_up: Callable[[int], bool], **options: Any
) -> tuple[subprocess.Popen[bytes], int]:
    """Starts a server and waits until it is up. Gives its process and its port.

    Another process can take the port before the server does. The server then ends, and is started on another port.
    """
    for _ in range(TRIES):
        port = _free_port()
        process = subprocess.Popen(command(port), stdin=subprocess.DEVNULL, **options)
        if _comes_up(process, port, is_up):
            return process, port
    raise AssertionError(f"the server ended {TRIES} times before it was up")


def is_listening(port: int) -> bool:
    """Whether a server accepts connections."""
    with socket.socket() as tried:
        return tried.connect_ex(("127.0.0.1", port)) == 0


def _free_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return int(taken.getsockname()[1])


def _comes_up(process: subprocess.Popen[bytes], port: int, is_up: Callable[[int], bool]) -> bool:
    for _ in range(POLLS):
        if process.poll() is not None:
            return False
        if is_up(port) and process.poll() is None:
            return True
        time.sleep(0.1)
    process.kill()
    process.wait()
    raise AssertionError("the server does not answer")
