"""`connect`: a door in another process, over Arrow Flight."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import pyarrow as pa

from minimize.door.asking import Ask, Reversal
from minimize.door.reader import Reader
from minimize.door.refusing import GONE, arrived, said
from minimize.door.tls import LOOPBACK
from minimize.errors import ConfigurationError, MinimizeError

VARIABLE: Final = "MINIMIZE_TOKEN"
SCHEMES: Final = ("grpc+tls", "grpc")


def connect(
    url: str,
    *,
    token: str | None = None,
    ca: str | os.PathLike[str] | None = None,
    timeout: float | None = None,
) -> Reader:
    """A door to read through: `connect("grpc+tls://door.example.com:8815", token=…).read("telemetry", purpose=…)`.

    Takes the URL (`grpc+tls://`; `grpc://` on loopback alone, for there a token crosses no wire), the token that
    `minimize access token` printed (else `MINIMIZE_TOKEN`), a PEM file of the certificates that are trusted (else the system's),
    and how many seconds a request may take. Nothing is sent before something is read. Raises ConfigurationError.
    """
    given = token if token is not None else os.environ.get(VARIABLE)
    if not given:
        raise ConfigurationError("no token", hint=f"token=…, or {VARIABLE}; `minimize access token` makes one")
    return Reader(Remote(_checked(url), given, _roots(ca), timeout))


class Remote:
    """A way over the wire."""

    def __init__(self, url: str, token: str, roots: bytes | None, timeout: float | None) -> None:
        from pyarrow import flight

        self._client = flight.FlightClient(url, tls_root_certs=roots)
        headers = [(b"authorization", f"Bearer {token}".encode())]
        self._options = flight.FlightCallOptions(timeout=timeout, headers=headers)

    def stream(self, ask: Ask) -> tuple[pa.Schema, Iterator[pa.RecordBatch]]:
        """The schema and the batches of a read."""
        reader = self._get(ask.as_json())
        return _from(lambda: reader.schema), _batches(reader)

    def answer(self, reversal: Reversal) -> pa.Table:
        """Tokens with what they stand for."""
        reader = self._get(reversal.as_json())
        return _from(reader.read_all)

    def close(self) -> None:
        """Hangs up."""
        self._client.close()

    def _get(self, request: bytes) -> Any:
        from pyarrow import flight

        return _from(lambda: self._client.do_get(flight.Ticket(request), self._options))

    def __repr__(self) -> str:
        return "Remote()"


def _batches(reader: Any) -> Iterator[pa.RecordBatch]:
    while True:
        chunk = _from(lambda: _next(reader))
        if chunk is None:
            return
        if chunk.num_rows:
            yield chunk


def _next(reader: Any) -> pa.RecordBatch | None:
    try:
        return reader.read_chunk().data
    except StopIteration:
        return None


def _from(call: Any) -> Any:
    """What a call gives; in place of Flight's errors, which repeat what they were sent, ours."""
    try:
        return call()
    except pa.ArrowException as error:
        ended: MinimizeError = arrived(getattr(error, "extra_info", None))
    except OSError:
        ended = said(GONE)
    raise ended


def _checked(url: str) -> str:
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError:
        host = port = None
    if not host or not port or parts.scheme not in SCHEMES:
        raise ConfigurationError("a door's URL is grpc+tls://HOST:PORT", hint="`minimize serve` prints it")
    if parts.scheme == "grpc" and host not in LOOPBACK:
        raise ConfigurationError("a token goes over TLS, or no farther than this machine", hint="grpc+tls://HOST:PORT")
    return url


def _roots(ca: str | os.PathLike[str] | None) -> bytes | None:
    if ca is None:
        return None
    try:
        return Path(ca).read_bytes()
    except OSError:
        pass
    raise ConfigurationError(f"the certificates {os.fspath(ca)} cannot be read", hint="name a PEM file")
