"""Where events go: a line of a file, and, where `OPENLINEAGE_URL` names one, a server. What cannot be told is logged."""

from __future__ import annotations

import fcntl
import io
import json
import logging
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from itertools import pairwise
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

log = logging.getLogger("minimize")
ROTATE_AT: Final = 16 << 20
"""The bytes at which a file of events is rotated, if nothing else is set."""
KEPT: Final = 4
"""How many rotated files are kept."""
BLOCK: Final = 1 << 16
SECONDS: Final = 5
"""How long a server is waited for."""


def append(path: Path, event: Mapping[str, Any], *, rotate_at: int = ROTATE_AT) -> None:
    """Adds an event to a file of them, one a line. A failure to do so is logged, and fails no run.

    A last line that was cut short, as a power cut in mid-write leaves it, is removed first and reported. A file of `rotate_at`
    bytes becomes FILE.1, the one before it FILE.2; of these the newest four are kept.
    """
    line = json.dumps(event, ensure_ascii=False, separators=(",", ":")) + "\n"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with _opened(path) as file:
            repaired = _repair(file)
            if file.seek(0, os.SEEK_END) < rotate_at:
                file.write(line.encode())
            else:
                _rotate(path)
                with _opened(path) as new:
                    new.write(line.encode())
    except OSError:
        log.warning("lineage could not be written to %s", path.name, extra={"code": "W020"})
        return
    _report(path, repaired)


def repair(path: Path) -> None:
    """Removes a last line that was cut short from a file of events, and reports it. A failure to do so is logged."""
    repaired = ""
    try:
        if path.exists():
            with _opened(path) as file:
                repaired = _repair(file)
    except OSError:
        log.warning("lineage could not be written to %s", path.name, extra={"code": "W020"})
    _report(path, repaired)


def _report(path: Path, repaired: str) -> None:
    if repaired:
        log.warning("the last line of %s was cut short: %s", path.name, repaired, extra={"code": "W031"})


@contextmanager
def _opened(path: Path) -> Iterator[io.FileIO]:
    """The file, for this process alone until the block ends; the one of this name, if another process rotates it meanwhile."""
    while True:
        handle = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o666)
        with io.FileIO(handle, "r+b") as file:
            with suppress(OSError):  # a file system without locks
                fcntl.flock(handle, fcntl.LOCK_EX)
            if _is_named(file, path):
                yield file
                return


def _is_named(file: io.FileIO, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(file.fileno()), os.lstat(path))
    except FileNotFoundError:
        return False


def _repair(file: io.FileIO) -> str:
    """Ends a file with a whole line. Gives what was done, in words; nothing if it ended so."""
    end = place = file.seek(0, os.SEEK_END)
    tail = b""
    while place and b"\n" not in tail:
        start = max(0, place - BLOCK)
        file.seek(start)
        tail, place = file.read(place - start) + tail, start
    torn = tail.rpartition(b"\n")[2]
    if not torn:
        return ""
    if _is_event(torn):
        file.write(b"\n")
        return "its end was added"
    file.truncate(end - len(torn))
    return "it was removed"


def _is_event(line: bytes) -> bool:
    try:
        return isinstance(json.loads(line), dict)
    except ValueError:
        return False


def _rotate(path: Path) -> None:
    """FILE becomes FILE.1, FILE.1 becomes FILE.2, and so on; the oldest is replaced."""
    old = [path, *(path.with_name(f"{path.name}.{number}") for number in range(1, KEPT + 1))]
    for before, after in reversed([*pairwise(old)]):
        with suppress(FileNotFoundError):
            before.replace(after)


def post(event: Mapping[str, Any], environ: Mapping[str, str] | None = None) -> None:
    """Sends an event to the server that the environment names, if it names one. A failure is logged, and fails no run."""
    env = os.environ if environ is None else environ
    url = env.get("OPENLINEAGE_URL", "")
    disabled = env.get("OPENLINEAGE_DISABLED", "").lower() in ("true", "1")
    if url and not disabled and not _sent(url, env, json.dumps(event).encode()):
        log.warning("lineage could not be sent to the server", extra={"code": "W020"})


def _sent(url: str, env: Mapping[str, str], body: bytes) -> bool:
    from http.client import HTTPConnection, HTTPException, HTTPSConnection

    with suppress(OSError, HTTPException, ValueError):
        place = urlsplit(url)
        if place.scheme not in ("http", "https") or place.hostname is None:
            return False
        kind = HTTPSConnection if place.scheme == "https" else HTTPConnection
        connection = kind(place.hostname, place.port, timeout=SECONDS)
        headers = {"Content-Type": "application/json"}
        if env.get("OPENLINEAGE_API_KEY"):
            headers["Authorization"] = f"Bearer {env['OPENLINEAGE_API_KEY']}"
        try:
            path = f"{place.path.rstrip('/')}/{env.get('OPENLINEAGE_ENDPOINT', 'api/v1/lineage').lstrip('/')}"
            connection.request("POST", path, body, headers)
            return connection.getresponse().status < 300
        finally:
            connection.close()
    return False
