"""A server on loopback with a certificate of its own, for as long as a block lasts; and its clients."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
from pyarrow import flight

from benchmarks.certificate import certificate
from minimize.server.api_tokens import create_token
from minimize.server.client import DatasetReader, connect
from minimize.server.server import ServerContext, flight_server, load_certificate
from tests.server.home import Home

TIMEOUT = 60.0


@dataclass
class Running:
    """A server that answers."""

    home: Home
    url: str
    ca: Path
    server: Any

    def token(self, user: str = "ann", **options: Any) -> str:
        """A new token of an account."""
        return create_token(self.home.ledger, user, self.home.time.at, **options)[0]

    def client(self, token: str | None = None) -> DatasetReader:
        """A client of ours, as Ann where no token is given."""
        return connect(self.url, token=token or self.token(), ca=self.ca, timeout=TIMEOUT)

    def plain(self) -> Any:
        """A client that is pyarrow's own."""
        return flight.FlightClient(self.url, tls_root_certs=self.ca.read_bytes())

    def options(self, token: str | None = None, *headers: tuple[bytes, bytes]) -> Any:
        """How a call of it names its token."""
        bearer = (b"authorization", f"Bearer {token or self.token()}".encode())
        return flight.FlightCallOptions(timeout=TIMEOUT, headers=[*(headers or [bearer])])

    def get(self, command: bytes, token: str | None = None) -> pa.Table:
        """What a command gives to pyarrow's own client."""
        with self.plain() as client:
            return client.do_get(flight.Ticket(command), self.options(token)).read_all()


@contextmanager
def running(home: Home, **options: Any) -> Iterator[Running]:
    """A server over TLS, on any free port of loopback."""
    made = certificate(home.folder, datetime.now(UTC))
    serving = ServerContext(home.door(), home.time, **options)
    server = flight_server("grpc+tls://127.0.0.1:0", serving, [load_certificate(made.certificate, made.key)])
    thread = threading.Thread(target=server.serve, daemon=True)
    thread.start()
    try:
        yield Running(home, f"grpc+tls://localhost:{server.port}", made.certificate, server)
    finally:
        server.shutdown()
        thread.join(TIMEOUT)
