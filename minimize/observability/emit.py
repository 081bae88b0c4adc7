"""Where events go: a line of a file, and, where `OPENLINEAGE_URL` names one, a server. What cannot be told is logged."""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

log = logging.getLogger("minimize")
SECONDS: Final = 5
"""How long a server is waited for."""


def append(path: Path, event: Mapping[str, Any]) -> None:
    """Adds an event to a file of them, one a line. A failure to do so is logged, and fails no run."""
    line = json.dumps(event, ensure_ascii=False, separators=(",", ":")) + "\n"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o666)
        with os.fdopen(handle, "wb", buffering=0) as file:
            file.write(line.encode())
    except OSError:
        log.warning("lineage could not be written to %s", path.name, extra={"code": "W020"})


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
