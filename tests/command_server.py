"""Runs `minimize` commands in forks of one process, at a time that the caller sets. A process of its own takes a second each.

`python -m tests.command_server SOCKET` serves. A client (`CLIENT`) passes its arguments, environment, folder and streams; with
`CLOCK` in the environment, the clock of the command is ahead by that number of seconds.
"""

from __future__ import annotations

import json
import os
import socket
import socketserver
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path

import time_machine

from minimize.cli import main
from minimize.cli.main import COMMANDS, load_command

_IMPORTED_LATE = (
    "minimize.runs.runner",
    "minimize.runs.verify",
    "ruamel.yaml",
    "cryptography.hazmat.primitives.asymmetric.ed25519",
)

CLIENT = """#!{python} -IS
import json, os, socket, sys
with socket.socket(socket.AF_UNIX) as server:
    server.connect({address!r})
    call = json.dumps([sys.argv, dict(os.environ), os.getcwd()]).encode()
    socket.send_fds(server, [b"%10d" % len(call)], [0, 1, 2])
    server.sendall(call)
    answer = server.recv(16)
sys.exit(int(answer) if answer else 137)
"""


class _Call(socketserver.BaseRequestHandler):
    """One command. The server has forked for it."""

    def handle(self) -> None:
        length, streams, _, _ = socket.recv_fds(self.request, 10, 3)
        content = b""
        while len(content) < int(length):
            content += self.request.recv(1 << 16)
        sys.argv, environment, folder = json.loads(content)
        for number, stream in enumerate(streams):
            os.dup2(stream, number)
        moved_clock = {name: value for name, value in os.environ.items() if name.startswith("FAKETIME")}
        os.environ.clear()
        os.environ.update(environment | moved_clock)  # faketime reads its variables again every ten seconds
        os.chdir(folder)
        clock = environment.get("CLOCK")
        if clock is not None:
            time_machine.travel(time.time() + float(clock)).start()
        code: object = 0
        try:
            main()
        except SystemExit as ended:
            code = ended.code
        sys.stdout.flush()
        sys.stderr.flush()
        self.request.sendall(str(int(str(code or 0))).encode())


class _Server(socketserver.ForkingMixIn, socketserver.UnixStreamServer):
    pass


@contextmanager
def command_server(folder: Path) -> Iterator[str]:
    """A server with a socket in a folder. Gives the script of a client."""
    address = folder / "s"
    with subprocess.Popen([sys.executable, "-m", "tests.command_server", address]) as process:
        try:
            while not address.exists():
                assert process.poll() is None
                time.sleep(0.05)
            yield CLIENT.format(python=sys.executable, address=str(address))
        finally:
            process.terminate()


def _import_all() -> None:
    """Imports what commands import when they need it, so that it is not imported again in every fork."""
    for name in COMMANDS:
        load_command(name)
    for module in _IMPORTED_LATE:
        import_module(module)


if __name__ == "__main__":
    _import_all()
    with _Server(sys.argv[1], _Call) as serving:
        serving.serve_forever()
