"""A server from what a command says: where it listens, with which certificate, over which datasets, by which rules."""

from __future__ import annotations

import os
import resource
import signal
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from queue import Empty, SimpleQueue
from typing import Any

from minimize.door.datasets import datasets_at
from minimize.door.door import Door
from minimize.door.opening import access_of, keyring_of, now
from minimize.door.serving import READERS, Serving, server_of
from minimize.door.tls import check_open, pair
from minimize.errors import ConfigurationError
from minimize.ledger import find_ledger
from minimize.stores import Anywhere, local

PathLike = str | os.PathLike[str]


@dataclass(frozen=True, slots=True)
class Listening:
    """Where a server listens: TLS with a certificate and its key, or loopback where somebody says that it may do without."""

    host: str = "127.0.0.1"
    port: int = 8815
    certificate: PathLike | None = None
    key: PathLike | None = None
    insecure: bool = False

    def pairs(self) -> list[tuple[bytes, bytes]]:
        """The certificate and its key; none without TLS. Raises ConfigurationError."""
        if self.certificate is None and self.key is None:
            check_open(self.host, self.insecure)
            return []
        if self.certificate is None or self.key is None:
            raise ConfigurationError("a certificate goes with its key", hint="--cert FILE --key FILE")
        return [pair(self.certificate, self.key)]

    def url(self, port: int, tls: bool) -> str:
        """The URL of the server."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{'grpc+tls' if tls else 'grpc'}://{host}:{port}"


@dataclass(frozen=True, slots=True)
class Started:
    """A server that answers, its URL, the names of its datasets, and how many reads were left without an end before it."""

    server: Any
    url: str
    datasets: tuple[str, ...]
    lost: int


@contextmanager
def started(
    places: Sequence[Anywhere],
    listening: Listening,
    *,
    keys: PathLike | None = None,
    access: PathLike | None = None,
    ledger: PathLike | None = None,
    readers: int = READERS,
) -> Iterator[Started]:
    """A server over output folders and pipelines, shut down at the end of the block, once reads that go on have ended.

    Everything is checked before it listens: certificate, keys, access file, ledger, datasets. Raises ConfigurationError,
    PolicyError, KeyringError, LedgerError, OutputError.
    """
    from minimize.ledger.ledger import open_ledger

    pairs, datasets = listening.pairs(), datasets_at(places)
    start, output = local(places[0]), next(iter(datasets.values()))
    ring, rules = keyring_of(keys, start), access_of(access, start)
    _raise_limit()
    with open_ledger(find_ledger(ledger, start=start, output=output), create=True) as book:
        door = Door(datasets, rules, book, ring, now)
        door.check()
        lost = door.settle()
        server = server_of(listening.url(listening.port, bool(pairs)), Serving(door, book, ring, now, readers), pairs)
        try:
            yield Started(server, listening.url(server.port, bool(pairs)), tuple(sorted(datasets)), lost)
        finally:
            server.shutdown()


class StopSignals:
    """Waits for SIGINT or SIGTERM, which count from when it is made. Only the main thread may make it and wait.

    The queue is reentrant: the handler may run while the main thread waits in `get`. With `threading.Event` it could wait for
    a lock that the interrupted main thread held, and the server did not stop. The main thread wakes every half second, because
    the system may deliver a signal to a thread of gRPC: it then interrupts nothing, and its handler runs when the main thread
    does next.
    """

    def __init__(self) -> None:
        self._received: SimpleQueue[int] = SimpleQueue()
        for each in (signal.SIGINT, signal.SIGTERM):
            signal.signal(each, lambda number, _: self._received.put(number))

    def wait(self) -> None:
        """Returns when one has come."""
        while True:
            with suppress(Empty):
                self._received.get(timeout=0.5)
                return


def _raise_limit() -> None:
    """As many files as the system lets a process have open: they are held while they are read."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
