"""Destinations of events and metrics: event file, server, and their options, variables and configuration keys.

Precedence: argument, environment, `minimize.yaml`, default. A path in `minimize.yaml` is relative to that file. `off` turns
lineage or metrics off.

By default, lineage is written next to the output folder, because inside it a receipt covers every file. Its name is one that no
source reads. For an output in an object store, the default is off. Metrics are written only if a destination is set.
`OPENLINEAGE_URL` sets a server. A failure to write or send an event is logged.
"""

from __future__ import annotations

import fcntl
import io
import json
import logging
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any, Final, Literal
from urllib.parse import urlsplit

from minimize.config import Config
from minimize.errors import ConfigurationError
from minimize.spill.spill_file import parse_size
from minimize.stores import Location, PathText

log = logging.getLogger("minimize")
ROTATE_AT: Final = 16 << 20
"""Default size in bytes at which a file of events is rotated."""
ROTATED_FILES: Final = 4
"""Number of rotated files that are kept."""
READ_BLOCK_BYTES: Final = 1 << 16
SERVER_TIMEOUT_SECONDS: Final = 5
"""Timeout of a request to a server."""


def append_event(path: Path, event: Mapping[str, Any], *, rotate_at: int = ROTATE_AT) -> None:
    """Append an event to a file, one per line. A failure is logged and never fails a run.

    An incomplete last line, as after a power cut, is first repaired and reported. A file of `rotate_at` bytes becomes FILE.1,
    and the previous FILE.1 becomes FILE.2. The newest four are kept.
    """
    line = json.dumps(event, ensure_ascii=False, separators=(",", ":")) + "\n"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with _open_locked(path) as file:
            repaired = _repair_tail(file)
            if file.seek(0, os.SEEK_END) < rotate_at:
                file.write(line.encode())
            else:
                _rotate_files(path)
                with _open_locked(path) as new:
                    new.write(line.encode())
    except OSError:
        log.warning("lineage could not be written to %s", path.name, extra={"code": "W020"})
        return
    _report_repair(path, repaired)


def repair_events(path: Path) -> None:
    """Repair an incomplete last line of a file of events, and report it. A failure is logged."""
    repaired = ""
    try:
        if path.exists():
            with _open_locked(path) as file:
                repaired = _repair_tail(file)
    except OSError:
        log.warning("lineage could not be written to %s", path.name, extra={"code": "W020"})
    _report_repair(path, repaired)


def _report_repair(path: Path, repaired: str) -> None:
    if repaired:
        log.warning("the last line of %s was incomplete: %s", path.name, repaired, extra={"code": "W031"})


@contextmanager
def _open_locked(path: Path) -> Iterator[io.FileIO]:
    """Open the file with an exclusive lock. If another process rotates it meanwhile, open the new file of that name."""
    while True:
        handle = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o666)
        with io.FileIO(handle, "r+b") as file:
            with suppress(OSError):  # the file system does not support locks
                fcntl.flock(handle, fcntl.LOCK_EX)
            if _is_current_file(file, path):
                yield file
                return


def _is_current_file(file: io.FileIO, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(file.fileno()), os.lstat(path))
    except FileNotFoundError:
        return False


def _repair_tail(file: io.FileIO) -> str:
    """Make a file end with a complete line. Returns the repair as text; empty if none was needed."""
    end = place = file.seek(0, os.SEEK_END)
    tail = b""
    while place and b"\n" not in tail:
        start = max(0, place - READ_BLOCK_BYTES)
        file.seek(start)
        tail, place = file.read(place - start) + tail, start
    torn = tail.rpartition(b"\n")[2]
    if not torn:
        return ""
    if _is_event(torn):
        file.write(b"\n")
        return "the missing line end was added"
    file.truncate(end - len(torn))
    return "the line was removed"


def _is_event(line: bytes) -> bool:
    try:
        return isinstance(json.loads(line), dict)
    except ValueError:
        return False


def _rotate_files(path: Path) -> None:
    """FILE becomes FILE.1, FILE.1 becomes FILE.2, and so on; the oldest is replaced."""
    old = [path, *(path.with_name(f"{path.name}.{number}") for number in range(1, ROTATED_FILES + 1))]
    for before, after in reversed([*pairwise(old)]):
        with suppress(FileNotFoundError):
            before.replace(after)


def post_event(event: Mapping[str, Any], environ: Mapping[str, str] | None = None) -> None:
    """Send an event to the server in the environment, if set. A failure is logged and never fails a run."""
    env = os.environ if environ is None else environ
    url = env.get("OPENLINEAGE_URL", "")
    disabled = env.get("OPENLINEAGE_DISABLED", "").lower() in ("true", "1")
    if url and not disabled and not _send_event(url, env, json.dumps(event).encode()):
        log.warning("lineage could not be sent to the server", extra={"code": "W020"})


def _send_event(url: str, env: Mapping[str, str], body: bytes) -> bool:
    from http.client import HTTPConnection, HTTPException, HTTPSConnection

    with suppress(OSError, HTTPException, ValueError):
        place = urlsplit(url)
        if place.scheme not in ("http", "https") or place.hostname is None:
            return False
        kind = HTTPSConnection if place.scheme == "https" else HTTPConnection
        connection = kind(place.hostname, place.port, timeout=SERVER_TIMEOUT_SECONDS)
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


LINEAGE_FILE: Final = "lineage.ndjson"
SIZE_VARIABLE: Final = "MINIMIZE_LINEAGE_SIZE"


def default_lineage_path(output: Path) -> Path:
    """The default path of lineage.

    >>> default_lineage_path(Path("out/device_telemetry")).as_posix()
    'out/_device_telemetry.lineage.ndjson'
    """
    return output.parent / f"_{output.name or output.absolute().name}.{LINEAGE_FILE}"


DISABLED_VALUES: Final = frozenset({"off", "false", "no", "none"})


@dataclass(frozen=True, slots=True)
class Destinations:
    """The files of lineage and metrics; None if turned off. `rotate_at`: size in bytes at which lineage is rotated."""

    lineage: Path | None
    metrics: Path | None
    rotate_at: int = ROTATE_AT


NO_OBSERVABILITY: Final = Destinations(None, None)


def find_destinations(
    config: Config,
    output: Location,
    pipeline: str,
    lineage: PathText | None = None,
    metrics: PathText | None = None,
    environ: Mapping[str, str] | None = None,
) -> Destinations:
    """Find the destinations of a run's lineage and metrics.

    Takes the configuration, the output folder, the pipeline's name, the arguments, and the environment (default: that of the
    process). A folder means a file of the default name in it. Raises ConfigurationError if `minimize.yaml` has a value that is
    not a path, or `MINIMIZE_LINEAGE_SIZE` is not a size.
    """
    env = os.environ if environ is None else environ
    disabled = env.get("OPENLINEAGE_DISABLED", "").lower() in ("true", "1")
    usual = str(default_lineage_path(output)) if isinstance(output, Path) else "off"
    named = None if disabled else _stated_path("lineage", lineage, env, config) or usual
    metrics_path = _stated_path("metrics", metrics, env, config)
    large = env.get(SIZE_VARIABLE)
    rotate_at = parse_size(large, SIZE_VARIABLE) if large else ROTATE_AT
    return Destinations(
        _destination_file(named, LINEAGE_FILE, ""),
        _destination_file(metrics_path, f"minimize_{pipeline}.prom", ".prom"),
        rotate_at,
    )


def _stated_path(
    key: Literal["lineage", "metrics"], option: PathText | None, env: Mapping[str, str], config: Config
) -> str | None:
    stated = os.fspath(option) if option is not None else env.get(f"MINIMIZE_{key.upper()}")
    if stated:
        return stated
    config.checked(key, ConfigurationError)
    path = config.lineage if key == "lineage" else config.metrics
    return path if not path or path.lower() in DISABLED_VALUES else str(config.folder / Path(path).expanduser())


def _destination_file(named: str | None, usual: str, ending: str) -> Path | None:
    if named is None or named.lower() in DISABLED_VALUES:
        return None
    path = Path(named)
    is_folder = path.is_dir() or (ending != "" and path.suffix != ending)
    return path / usual if is_folder else path
