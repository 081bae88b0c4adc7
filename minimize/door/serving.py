"""The door as an Arrow Flight server: every call names its token, and every error is one of ours."""

from __future__ import annotations

import logging
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass
from threading import BoundedSemaphore
from typing import TYPE_CHECKING, Any, Final, TypeVar

import pyarrow as pa
from pyarrow import flight

from minimize.door.asking import Ask, Reversal, asked
from minimize.door.deciding import Clock
from minimize.door.door import Door, Stream
from minimize.door.refusing import BUSY, INSIDE, UNKNOWN, arrived, malformed, said, travels
from minimize.door.telling import Caller
from minimize.door.tokens import Bearer, bearer_of
from minimize.errors import ConfigurationError, MinimizeError, RefusedError, quietly
from minimize.keys import Keyring

if TYPE_CHECKING:
    from minimize.ledger.ledger import Ledger

T = TypeVar("T")
log = logging.getLogger("minimize")
WHO: Final = "who"
READERS: Final = 16
"""Reads that go on at once."""
WAIT_S: Final = 60.0
"""How long others wait for their turn."""


@dataclass(frozen=True)
class Serving:
    """What a server serves with."""

    door: Door
    ledger: Ledger
    keys: Keyring
    clock: Clock
    readers: int = READERS
    wait_s: float = WAIT_S


class Handlers:
    """What a client may call, and that nothing else can be."""

    serving: Serving
    turns: BoundedSemaphore

    def do_get(self, context: Any, ticket: Any) -> Any:
        """A read, or tokens turned back."""
        return _answered(lambda: self._got(_caller(context), ticket.ticket))

    def get_flight_info(self, context: Any, descriptor: Any) -> Any:
        """Where a command is answered: here, and it is its own ticket. What it gives is decided when it is read."""
        return _answered(lambda: self._info(_caller(context), descriptor))

    def list_actions(self, context: Any) -> Any:
        """There are none."""
        return _answered(lambda: list[Any]())

    def list_flights(self, context: Any, criteria: Any) -> Any:
        """Nothing is listed."""
        return _answered(lambda: self._refuse(context))

    def get_schema(self, context: Any, descriptor: Any) -> Any:
        """A schema comes with what is read: here is none. (Flight sends the trace of whatever is raised here.)"""
        return flight.SchemaResult(pa.schema([]))

    def do_put(self, context: Any, descriptor: Any, reader: Any, writer: Any) -> Any:
        """Nothing is written through the door."""
        return _answered(lambda: self._refuse(context))

    def do_exchange(self, context: Any, descriptor: Any, reader: Any, writer: Any) -> Any:
        """Nor exchanged."""
        return _answered(lambda: self._refuse(context))

    def do_action(self, context: Any, action: Any) -> Any:
        """Nor done."""
        return _answered(lambda: self._refuse(context))

    def _got(self, caller: Caller, request: bytes) -> Any:
        ask = self._asked(caller, request)
        with self._turn() as turn:
            if not isinstance(ask, Ask):
                return flight.RecordBatchStream(self.serving.door.reidentify(caller, ask))
            stream = self.serving.door.read(caller, ask)
            leaving = _leaving(stream, turn.pop_all())
            next(leaving)
            return flight.GeneratorStream(stream.schema, leaving)

    def _info(self, caller: Caller, descriptor: Any) -> Any:
        command = descriptor.command or b""
        self._asked(caller, command)
        endpoint = flight.FlightEndpoint(flight.Ticket(command), [])
        return flight.FlightInfo(pa.schema([]), descriptor, [endpoint], -1, -1)

    def _asked(self, caller: Caller, request: bytes) -> Ask | Reversal:
        """What is asked for. What is not understood is told to the audit log, too."""
        try:
            return asked(request)
        except MinimizeError as error:
            wrong = error
        self.serving.door.refuse(caller, wrong)
        raise wrong

    def _turn(self) -> ExitStack:
        """A turn to read, given back when the stack is closed. Raises ConfigurationError (B008)."""
        if not self.turns.acquire(timeout=self.serving.wait_s):
            raise said(BUSY)
        turn = ExitStack()
        turn.callback(self.turns.release)
        return turn

    def _refuse(self, context: Any) -> Any:
        wrong = malformed("a door is read from, with do_get, and does nothing else")
        self.serving.door.refuse(_caller(context), wrong)
        raise wrong


def server_of(location: str, serving: Serving, certificates: Sequence[tuple[bytes, bytes]] = ()) -> Any:
    """A server that listens, and answers from now on; `serve()` waits until it is shut down.

    Takes `grpc+tls://HOST:PORT` with a certificate and its key, or `grpc://HOST:PORT`; port 0 is any that is free.
    Raises ConfigurationError where it cannot listen there.
    """
    said_of = {"serving": serving, "turns": BoundedSemaphore(serving.readers)}
    kind = type("DoorServer", (Handlers, flight.FlightServerBase), said_of)
    middleware = {WHO: _factory(serving)}
    try:
        return kind(location, tls_certificates=[*certificates] or None, middleware=middleware)
    except (pa.ArrowException, OSError):
        pass
    raise ConfigurationError(f"nothing can listen at {location}", hint="another port, or another certificate")


def _factory(serving: Serving) -> Any:
    """Looks at the token of every call, before anything of the call is looked at."""
    known = type("Known", (flight.ServerMiddleware,), {})

    def start_call(_: Any, info: Any, headers: Mapping[str, Sequence[str | bytes]]) -> Any:
        found = known()
        found.bearer = _answered(lambda: _bearer(serving, headers))
        return found

    return type("Who", (flight.ServerMiddlewareFactory,), {"start_call": start_call})()


def _bearer(serving: Serving, headers: Mapping[str, Sequence[str | bytes]]) -> Bearer:
    given = [each for name, several in headers.items() if name.lower() == "authorization" for each in several]
    text = given[0] if len(given) == 1 and isinstance(given[0], str) else ""
    scheme, _, token = text.partition(" ")
    return bearer_of(serving.ledger, serving.keys, token if scheme == "Bearer" else "", serving.clock())


def _caller(context: Any) -> Caller:
    bearer = context.get_middleware(WHO).bearer
    return Caller(bearer.user, bearer.token, str(context.peer()))


def _leaving(stream: Stream, turn: ExitStack) -> Generator[Any]:
    """What is sent: each batch by itself, so that dictionaries go with it. Begun by the first `next`, which gives nothing."""
    ended: Exception | None = None
    with turn, closing(stream):
        yield None
        try:
            for batch in stream.batches:
                yield flight.RecordBatchStream(pa.Table.from_batches([batch]))
        except MinimizeError as error:
            ended = _told(error)
    if ended is not None:
        raise ended


def _answered(work: Callable[[], T]) -> T:
    """What the work gives. Flight sends the trace of an error that is not its own: here is none but its own."""
    try:
        return quietly(work)
    except MinimizeError as error:
        ended = _told(error)
    raise ended


def _told(error: MinimizeError) -> Exception:
    """What a client is told of an error, as Flight sends it; what went wrong inside stays here, in the log."""
    body = travels(error)
    sent = arrived(body)
    if sent.code == INSIDE:
        log.error(error.message, extra={"code": INSIDE, "data": {"code": error.code, "hint": error.hint}})
    kind = _KINDS.get(
        sent.code, flight.FlightUnauthorizedError if isinstance(sent, RefusedError) else flight.FlightServerError
    )
    made: Exception = kind(f"{sent.code}: {sent.message}", body)
    return made


_KINDS: Final = {
    UNKNOWN: flight.FlightUnauthenticatedError,
    BUSY: flight.FlightUnavailableError,
    INSIDE: flight.FlightInternalError,
}
