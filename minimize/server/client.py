"""Client of the data access service: `DatasetReader`, and `connect` over Arrow Flight.

Without TLS it connects to loopback only.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Protocol, Self
from urllib.parse import urlsplit

import pyarrow as pa

from minimize.errors import ConfigurationError, MinimizeError
from minimize.server.request import (
    UNAVAILABLE,
    Filter,
    ReadRequest,
    ReidentifyRequest,
    decode_error,
    error_for,
    read_request,
    reidentify_request,
)
from minimize.stores import PathText


class Transport(Protocol):
    """Transport of requests to the service."""

    def stream(self, request: ReadRequest) -> tuple[pa.Schema, Iterator[pa.RecordBatch]]:
        """The schema and the batches of a read. Raises MinimizeError, also from the batches."""
        ...

    def reidentify(self, reversal: ReidentifyRequest) -> pa.Table:
        """Tokens with their original values. Raises MinimizeError."""
        ...

    def close(self) -> None:
        """Closes the transport."""
        ...


class DatasetReader:
    """Reads datasets as far as roles and grants permit the caller. `connect` and `open` make one.

    Use it in a `with` statement, or close it.

    Args:
        transport: The way to the service.
        dataset: The dataset that is read if a call names none.

    Example:
        In the folder that `minimize sample demo --out demo` makes:

        >>> import minimize
        >>> receipt = minimize.run("pipelines/device_telemetry", date=day)
        >>> with minimize.open_dataset("out/device_telemetry", user="analyst@example.com") as reader:
        ...     rows = sum(batch.num_rows for batch in reader.batches(columns=["model"], purpose="service_maintenance"))
        >>> rows > 0
        True
    """

    def __init__(self, transport: Transport, dataset: str | None = None) -> None:
        self._transport, self._dataset = transport, dataset

    def read(
        self,
        dataset: str | None = None,
        columns: Sequence[str] | None = None,
        where: Filter = None,
        purpose: str | None = None,
        incident: str | None = None,
        *,
        mixed_keys: bool = False,
    ) -> pa.Table:
        """Reads the accessible part of a dataset as a table. After an error no rows are returned.

        Args:
            dataset: The name of a pipeline for its records, or `pipeline/output`. The default is the reader's dataset.
            columns: The columns to read (default: all accessible ones).
            where: Conditions on the columns in the form that the caller sees. All must hold, for example
                `{"model": ["A", "B"], "event_time": {">=": time}}`.
            purpose: The purpose of the read.
            incident: The incident that a grant names.
            mixed_keys: Whether to read files of several versions of a key together. Their pseudonyms do not join.

        Returns:
            A pyarrow Table with the published values, in the form that the caller may see. Null where nothing was published.

        Raises:
            RefusedError: Roles and grants do not permit the read. The findings list the reasons.
            ConfigurationError: The request is malformed, or the server cannot be reached.
        """
        schema, batches = self._transport.stream(
            self._read_request(dataset, columns, where, purpose, incident, mixed_keys)
        )
        return pa.Table.from_batches(map(decode_dictionaries, batches), decoded_schema(schema))

    def batches(
        self,
        dataset: str | None = None,
        columns: Sequence[str] | None = None,
        where: Filter = None,
        purpose: str | None = None,
        incident: str | None = None,
        *,
        mixed_keys: bool = False,
    ) -> Iterator[pa.RecordBatch]:
        """Reads the accessible part of a dataset in batches, as they arrive. An error ends the batches.

        Args:
            dataset: As for `read`.
            columns: As for `read`.
            where: As for `read`.
            purpose: As for `read`.
            incident: As for `read`.
            mixed_keys: As for `read`.

        Returns:
            An iterator over pyarrow RecordBatches of bounded size. Text with few distinct values is dictionary-encoded.

        Raises:
            RefusedError: Roles and grants do not permit the read, or do so no longer. Also raised from the iterator.
            ConfigurationError: The request is malformed, or the server cannot be reached.
        """
        return self._transport.stream(self._read_request(dataset, columns, where, purpose, incident, mixed_keys))[1]

    def reidentify(
        self,
        dataset: str | None,
        column: str,
        tokens: Sequence[str],
        *,
        incident: str,
        purpose: str | None = None,
    ) -> pa.Table:
        """Reads the original values of tokens of a tokenized column. Each value is counted and recorded in the audit log.

        Args:
            dataset: As for `read`.
            column: The tokenized column.
            tokens: Up to 256 tokens.
            incident: The incident that the grant names.
            purpose: The purpose.

        Returns:
            A pyarrow Table with the columns `token` and `value`. The value is null if no row in the scope of the grant has the
            token.

        Raises:
            RefusedError: No grant permits it. The findings list the reasons.
            ConfigurationError: The request is malformed, or the server cannot be reached.
        """
        arguments = self._dataset_name(dataset), column, tuple(tokens), purpose, incident
        return self._transport.reidentify(reidentify_request(*arguments))

    def close(self) -> None:
        """Closes the connection."""
        self._transport.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _read_request(
        self,
        dataset: str | None,
        columns: Sequence[str] | None,
        where: Filter,
        purpose: str | None,
        incident: str | None,
        mixed_keys: bool,
    ) -> ReadRequest:
        named = None if columns is None else tuple(columns)
        return read_request(self._dataset_name(dataset), named, where, purpose, incident, mixed_keys)

    def _dataset_name(self, dataset: str | None) -> str:
        name = self._dataset if dataset is None else dataset
        if name is None:
            raise ConfigurationError("no dataset was given", hint="Pass the name of a pipeline, or PIPELINE/OUTPUT.")
        return name


def decode_dictionaries(batch: pa.RecordBatch) -> pa.RecordBatch:
    """The batch with dictionary-encoded text decoded."""
    schema = decoded_schema(batch.schema)
    arrays = [array.cast(field.type) for array, field in zip(batch.columns, schema, strict=True)]
    return pa.RecordBatch.from_arrays(arrays, schema=schema)


def decoded_schema(schema: pa.Schema) -> pa.Schema:
    """The schema of decoded batches."""
    return pa.schema([_decoded_field(field) for field in schema], schema.metadata)


def _decoded_field(field: pa.Field) -> pa.Field:
    return field.with_type(field.type.value_type) if pa.types.is_dictionary(field.type) else field


ENVIRONMENT_VARIABLE: Final = "MINIMIZE_TOKEN"
URL_SCHEMES: Final = ("grpc+tls", "grpc")


def connect(
    url: str,
    *,
    token: str | None = None,
    ca: PathText | None = None,
    timeout: float | None = None,
) -> DatasetReader:
    """Connects to a data server. Nothing is sent before the first read.

    Args:
        url: `grpc+tls://HOST:PORT`. `grpc://` is for loopback only, where the token crosses no network.
        token: A token of `minimize access token` (default: `MINIMIZE_TOKEN`).
        ca: A PEM file of trusted certificates (default: those of the system).
        timeout: The timeout of a request, in seconds. The default is none.

    Returns:
        A `DatasetReader`. Close it, or use it in a `with` statement.

    Raises:
        ConfigurationError: There is no token, the URL is not valid, or the certificates cannot be read.

    Example:
        >>> import minimize
        >>> with minimize.connect("grpc://127.0.0.1:8815", token="mzd_example") as reader:
        ...     pass  # reader.read("device_telemetry", columns=["model"], purpose="service_maintenance")
    """
    secret = token if token is not None else os.environ.get(ENVIRONMENT_VARIABLE)
    if not secret:
        raise ConfigurationError(
            "no token was given",
            hint=f"Pass token=… or set {ENVIRONMENT_VARIABLE}. Create a token with `minimize access token`.",
        )
    return DatasetReader(FlightTransport(_check_url(url), secret, _root_certificates(ca), timeout))


class FlightTransport:
    """Transport over Arrow Flight."""

    def __init__(self, url: str, token: str, roots: bytes | None, timeout: float | None) -> None:
        from pyarrow import flight

        self._client = flight.FlightClient(url, tls_root_certs=roots)
        headers = [(b"authorization", f"Bearer {token}".encode())]
        self._options = flight.FlightCallOptions(timeout=timeout, headers=headers)

    def stream(self, request: ReadRequest) -> tuple[pa.Schema, Iterator[pa.RecordBatch]]:
        """The schema and the batches of a read."""
        reader = self._get(request.to_json())
        return _translate_errors(lambda: reader.schema), _stream_batches(reader)

    def reidentify(self, reversal: ReidentifyRequest) -> pa.Table:
        """Tokens with their original values."""
        reader = self._get(reversal.to_json())
        return _translate_errors(reader.read_all)

    def close(self) -> None:
        """Closes the connection."""
        self._client.close()

    def _get(self, request: bytes) -> Any:
        from pyarrow import flight

        return _translate_errors(lambda: self._client.do_get(flight.Ticket(request), self._options))

    def __repr__(self) -> str:
        return "Remote()"


def _stream_batches(reader: Any) -> Iterator[pa.RecordBatch]:
    while True:
        chunk = _translate_errors(lambda: _next_batch(reader))
        if chunk is None:
            return
        if chunk.num_rows:
            yield chunk


def _next_batch(reader: Any) -> pa.RecordBatch | None:
    try:
        return reader.read_chunk().data
    except StopIteration:
        return None


def _translate_errors(call: Any) -> Any:
    """Returns the result of a call. Errors of Flight, which repeat the request, are replaced by errors of minimize."""
    try:
        return call()
    except pa.ArrowException as error:
        ended: MinimizeError = decode_error(getattr(error, "extra_info", None))
    except OSError:
        ended = error_for(UNAVAILABLE)
    raise ended


def _check_url(url: str) -> str:
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError:
        host = port = None
    if not host or not port or parts.scheme not in URL_SCHEMES:
        raise ConfigurationError(
            "the URL of the server is invalid", hint="Use grpc+tls://HOST:PORT, as `minimize serve` prints it."
        )
    if parts.scheme == "grpc" and host not in LOOPBACK:
        raise ConfigurationError("a token is sent without TLS to this machine only", hint="Use grpc+tls://HOST:PORT.")
    return url


def _root_certificates(ca: PathText | None) -> bytes | None:
    if ca is None:
        return None
    try:
        return Path(ca).read_bytes()
    except OSError:
        pass
    raise ConfigurationError(f"the certificates {os.fspath(ca)} cannot be read", hint="Pass a PEM file.")


LOOPBACK: Final = ("127.0.0.1", "::1", "localhost")
