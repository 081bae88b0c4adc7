"""A server of a test gets a port, also if another process was faster."""

from __future__ import annotations

import socket
import subprocess
import sys

import pytest

from tests import ports
from tests.ports import is_listening, start_on_free_port

SERVE = "import socket, sys, time; s = socket.create_server(('127.0.0.1', int(sys.argv[1]))); time.sleep(60)"


def server(port: int) -> list[str]:
    return [sys.executable, "-I", "-S", "-c", SERVE, str(port)]


def test_a_server_whose_port_was_taken_is_started_on_another(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        taken, find = int(other.getsockname()[1]), ports._free_port
        offered = iter([taken])
        monkeypatch.setattr(ports, "_free_port", lambda: next(offered, None) or find())
        process, port = start_on_free_port(
            server, lambda port: port != taken and is_listening(port), stderr=subprocess.DEVNULL
        )
        with process:
            assert port != taken
            process.terminate()


def test_a_server_that_always_ends_is_an_error() -> None:
    with pytest.raises(AssertionError, match="ended 5 times"):
        start_on_free_port(lambda port: [sys.executable, "-I", "-S", "-c", ""], is_listening)
