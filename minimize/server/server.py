"""Arrow Flight server: handlers, bearer token of each call, TLS certificate, startup with datasets, shutdown."""

from __future__ import annotations

import logging
import resource
import signal
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from queue import Empty, SimpleQueue
from threading import BoundedSemaphore
from typing import Any, Final, TypeVar

import pyarrow as pa
from pyarrow import flight

from minimize.errors import ConfigurationError, MinimizeError, RefusedError, call_redacted
from minimize.results import JsonResult, Line, json_member
from minimize.server.api_tokens import TokenBearer, authenticate
from minimize.server.authorizer import Caller
from minimize.server.client import LOOPBACK
from minimize.server.request import (
    INTERNAL_ERROR,
    NOT_AUTHENTICATED,
    TOO_MANY_READS,
    ReadRequest,
    ReidentifyRequest,
    decode_error,
    encode_error,
    error_for,
    malformed_error,
    parse_request,
)
from minimize.server.service import DataAccessService, ResponseStream, open_service
from minimize.stores import LocationLike, PathText
from minimize.times import Clock, utc_now

T = TypeVar("T")
log = logging.getLogger("minimize")
BEARER_MIDDLEWARE: Final = "who"
MOST_READERS: Final = 16
"""Reads at the same time."""
LONGEST_WAIT_S: Final = 60.0
"""Time in seconds that further reads wait for their turn."""


@dataclass(frozen=True)
class ServerContext:
    """Service, clock and limits of a server."""

    service: DataAccessService
    clock: Clock
    readers: int = MOST_READERS
    wait_s: float = LONGEST_WAIT_S


class FlightHandlers:
    """Handlers of Arrow Flight: `do_get` and `get_flight_info`. All other calls are refused."""

    serving: ServerContext
    turns: BoundedSemaphore

    def do_get(self, context: Any, ticket: Any) -> Any:
        """Answers a read or a re-identification."""
        return _with_flight_errors(lambda: self._get(_caller(context), ticket.ticket))

    def get_flight_info(self, context: Any, descriptor: Any) -> Any:
        """The endpoint of a command: this server, with the command as the ticket. Authorization follows in `do_get`."""
        return _with_flight_errors(lambda: self._info(_caller(context), descriptor))

    def list_actions(self, context: Any) -> Any:
        """The server has no actions."""
        return _with_flight_errors(lambda: list[Any]())

    def list_flights(self, context: Any, criteria: Any) -> Any:
        """Refused: datasets are not listed."""
        return _with_flight_errors(lambda: self._refuse(context))

    def get_schema(self, context: Any, descriptor: Any) -> Any:
        """An empty schema; the real one comes with `do_get`. Flight would send the traceback of an error that is raised here."""
        return flight.SchemaResult(pa.schema([]))

    def do_put(self, context: Any, descriptor: Any, reader: Any, writer: Any) -> Any:
        """Refused: the server is read-only."""
        return _with_flight_errors(lambda: self._refuse(context))

    def do_exchange(self, context: Any, descriptor: Any, reader: Any, writer: Any) -> Any:
        """Refused: the server is read-only."""
        return _with_flight_errors(lambda: self._refuse(context))

    def do_action(self, context: Any, action: Any) -> Any:
        """Refused: the server has no actions."""
        return _with_flight_errors(lambda: self._refuse(context))

    def _get(self, caller: Caller, request: bytes) -> Any:
        ask = self._parse(caller, request)
        with self._turn() as turn:
            if not isinstance(ask, ReadRequest):
                return flight.RecordBatchStream(self.serving.service.reidentify(caller, ask))
            stream = self.serving.service.read(caller, ask)
            leaving = _flight_batches(stream, turn.pop_all())
            next(leaving)
            return flight.GeneratorStream(stream.schema, leaving)

    def _info(self, caller: Caller, descriptor: Any) -> Any:
        command = descriptor.command or b""
        self._parse(caller, command)
        endpoint = flight.FlightEndpoint(flight.Ticket(command), [])
        return flight.FlightInfo(pa.schema([]), descriptor, [endpoint], -1, -1)

    def _parse(self, caller: Caller, request: bytes) -> ReadRequest | ReidentifyRequest:
        """Parses a request. A malformed request is recorded in the audit log too."""
        try:
            return parse_request(request)
        except MinimizeError as error:
            wrong = error
        self.serving.service.refuse(caller, wrong)
        raise wrong

    def _turn(self) -> ExitStack:
        """A slot for a read, released when the stack is closed. Raises ConfigurationError (B008)."""
        if not self.turns.acquire(timeout=self.serving.wait_s):
            raise error_for(TOO_MANY_READS)
        turn = ExitStack()
        turn.callback(self.turns.release)
        return turn

    def _refuse(self, context: Any) -> Any:
        wrong = malformed_error("the server supports do_get only")
        self.serving.service.refuse(_caller(context), wrong)
        raise wrong


def flight_server(location: str, serving: ServerContext, certificates: Sequence[tuple[bytes, bytes]] = ()) -> Any:
    """Starts a server that listens and answers. `serve()` waits until it is shut down.

    Takes `grpc+tls://HOST:PORT` with a certificate and its key, or `grpc://HOST:PORT`; port 0 selects a free port.
    Raises ConfigurationError if it cannot listen there.
    """
    attributes = {"serving": serving, "turns": BoundedSemaphore(serving.readers)}
    kind = type("DataServer", (FlightHandlers, flight.FlightServerBase), attributes)
    middleware = {BEARER_MIDDLEWARE: _middleware_factory(serving)}
    try:
        return kind(location, tls_certificates=[*certificates] or None, middleware=middleware)
    except (pa.ArrowException, OSError):
        pass
    raise ConfigurationError(
        f"the server cannot listen at {location}", hint="Use another port, or check the certificate."
    )


def _middleware_factory(serving: ServerContext) -> Any:
    """Middleware that authenticates every call before the call is read."""
    known = type("Known", (flight.ServerMiddleware,), {})

    def start_call(_: Any, info: Any, headers: Mapping[str, Sequence[str | bytes]]) -> Any:
        middleware = known()
        middleware.bearer = _with_flight_errors(lambda: _authenticate_call(serving, headers))
        return middleware

    return type("Who", (flight.ServerMiddlewareFactory,), {"start_call": start_call})()


def _authenticate_call(serving: ServerContext, headers: Mapping[str, Sequence[str | bytes]]) -> TokenBearer:
    credentials = [
        credential for name, several in headers.items() if name.lower() == "authorization" for credential in several
    ]
    text = credentials[0] if len(credentials) == 1 and isinstance(credentials[0], str) else ""
    scheme, _, token = text.partition(" ")
    service = serving.service
    return authenticate(
        service.ledger,
        token if scheme == "Bearer" else "",
        serving.clock(),
        permissions=service.permissions_of,
    )


def _caller(context: Any) -> Caller:
    bearer = context.get_middleware(BEARER_MIDDLEWARE).bearer
    return Caller(bearer.user, bearer.token, str(context.peer()))


def _flight_batches(stream: ResponseStream, turn: ExitStack) -> Generator[Any]:
    """The batches to send, one stream each, so that dictionaries are sent with them. The first `next` starts it and returns
    None."""
    ended: Exception | None = None
    with turn, closing(stream):
        yield None
        try:
            for batch in stream.batches:
                yield flight.RecordBatchStream(pa.Table.from_batches([batch]))
        except MinimizeError as error:
            ended = _flight_error(error)
    if ended is not None:
        raise ended


def _with_flight_errors(work: Callable[[], T]) -> T:
    """Runs the work and raises errors of Flight only. Flight would send the traceback of any other error."""
    try:
        return call_redacted(work)
    except MinimizeError as error:
        ended = _flight_error(error)
    raise ended


def _flight_error(error: MinimizeError) -> Exception:
    """The Flight error for a client. Details of an internal error are written to the log of the server only."""
    body = encode_error(error)
    sent = decode_error(body)
    if sent.code == INTERNAL_ERROR:
        log.error(error.message, extra={"code": INTERNAL_ERROR, "data": {"code": error.code, "hint": error.hint}})
    kind = _FLIGHT_ERRORS.get(
        sent.code, flight.FlightUnauthorizedError if isinstance(sent, RefusedError) else flight.FlightServerError
    )
    flight_error: Exception = kind(f"{sent.code}: {sent.message}", body)
    return flight_error


_FLIGHT_ERRORS: Final = {
    NOT_AUTHENTICATED: flight.FlightUnauthenticatedError,
    TOO_MANY_READS: flight.FlightUnavailableError,
    INTERNAL_ERROR: flight.FlightInternalError,
}


@dataclass(frozen=True, slots=True)
class ListenOptions:
    """Address and TLS of a server: a certificate and its key, or loopback without TLS if `insecure` is set."""

    host: str = "127.0.0.1"
    port: int = 8815
    certificate: PathText | None = None
    key: PathText | None = None
    insecure: bool = False

    def certificates(self) -> list[tuple[bytes, bytes]]:
        """The certificate and its key; none without TLS. Raises ConfigurationError."""
        if self.certificate is None and self.key is None:
            check_insecure(self.host, self.insecure)
            return []
        if self.certificate is None or self.key is None:
            raise ConfigurationError(
                "a certificate and its key must be given together", hint="Pass --cert FILE --key FILE."
            )
        return [load_certificate(self.certificate, self.key)]

    def url(self, port: int, tls: bool) -> str:
        """The URL of the server."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{'grpc+tls' if tls else 'grpc'}://{host}:{port}"


@dataclass(frozen=True, slots=True)
class RunningServer(JsonResult):
    """A running server: its URL, the names of its datasets, and the number of earlier reads that were lost."""

    json_names = "url datasets lost_reads"

    server: Any
    url: str
    datasets: tuple[str, ...]
    lost_reads: int = field(metadata=json_member(earlier="lost"))

    def lines(self) -> Iterator[Line]:
        """The URL and the datasets."""
        yield f"{self.url} serves {', '.join(self.datasets)}"


@contextmanager
def running_server(
    places: Sequence[LocationLike],
    listening: ListenOptions,
    *,
    keys: PathText | None = None,
    access: PathText | None = None,
    ledger: PathText | None = None,
    readers: int = MOST_READERS,
) -> Iterator[RunningServer]:
    """A server for output folders and pipelines. The end of the block shuts it down after running reads have ended.

    Everything is checked before the server listens: certificate, keys, access file, ledger, datasets. Raises ConfigurationError,
    PolicyError, KeyringError, LedgerError, OutputError.
    """
    pairs = listening.certificates()
    service = open_service(places, keys=keys, access=access, ledger=ledger)
    _raise_file_limit()
    with service.ledger:
        service.check()
        lost = service.end_lost_reads()
        context = ServerContext(service, utc_now, readers)
        server = flight_server(listening.url(listening.port, bool(pairs)), context, pairs)
        try:
            yield RunningServer(server, listening.url(server.port, bool(pairs)), tuple(sorted(service.datasets)), lost)
        finally:
            server.shutdown()


class StopSignals:
    """Waits for SIGINT or SIGTERM, received since its creation. Only the main thread may create it and wait.

    The queue is reentrant: the handler may run while the main thread waits in `get`. With `threading.Event` it could wait for
    a lock that the interrupted main thread held, and the server did not stop. The main thread wakes every half second, because
    the system may deliver a signal to a thread of gRPC. Such a signal interrupts nothing, and its handler runs when the main
    thread runs next.
    """

    def __init__(self) -> None:
        self._received: SimpleQueue[int] = SimpleQueue()
        for signal_number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(signal_number, lambda number, _: self._received.put(number))

    def wait(self) -> None:
        """Returns after one of the signals has arrived."""
        while True:
            with suppress(Empty):
                self._received.get(timeout=0.5)
                return


def _raise_file_limit() -> None:
    """Raises the limit of open files to the maximum: files stay open while they are read."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


_GROUP_OR_OTHERS: Final = 0o077


def load_certificate(certificate: PathText, key: PathText) -> tuple[bytes, bytes]:
    """A certificate (followed by intermediate certificates) and its private key, both PEM.

    Raises ConfigurationError if one cannot be read or is not PEM, or the key is accessible to group or others.
    """
    return _read_pem(Path(certificate), "CERTIFICATE"), _read_pem(Path(key), "PRIVATE KEY", private=True)


def check_insecure(host: str, insecure: bool) -> None:
    """Raises ConfigurationError unless TLS is switched off explicitly and the host is loopback."""
    if not insecure:
        raise ConfigurationError(
            "the server requires TLS",
            hint="Pass --cert FILE and --key FILE, or --insecure-loopback for local tests.",
        )
    if host not in LOOPBACK:
        hint = "Pass --host 127.0.0.1, or --cert FILE and --key FILE."
        raise ConfigurationError("without TLS, the server listens on loopback only", hint=hint)


def _read_pem(path: Path, what: str, *, private: bool = False) -> bytes:
    try:
        mode, content = path.stat().st_mode, path.read_bytes()
    except OSError:
        mode, content = 0, b""
    if f"{what}-----".encode() not in content:
        raise ConfigurationError(f"{path} is missing or contains no {what.lower()} in PEM form", hint="Pass PEM files.")
    if private and mode & _GROUP_OR_OTHERS:
        raise ConfigurationError(
            f"the private key {path} is accessible to group or others", hint=f"Run: chmod 600 {path}"
        )
    return content
