"""Data access service of one process that holds the keys: datasets by name, reads and re-identifications, and `open`.

A dataset name is looked up in a table and never becomes a path. Every request is audited, also one that is refused.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import datetime
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import pyarrow as pa

from minimize.access import AccessDecision, UserAccount
from minimize.access.model import find_access_file
from minimize.datasets.pipelines import pipeline_from
from minimize.errors import ConfigurationError, MinimizeError, OutputError, RefusedError, call_redacted
from minimize.identifiers import canonical_account
from minimize.keys import Keyring, find_kms, require_keyring
from minimize.ledger import AuditEvent, current_actor, find_ledger
from minimize.ledger.access_log import end_lost_reads
from minimize.ledger.ledger import open_ledger
from minimize.output.folder import read_receipts
from minimize.records import PIPELINE_FILE
from minimize.server.api_tokens import may_continue
from minimize.server.authorizer import (
    AuthorizationRequest,
    Authorizer,
    Caller,
    Reauthorization,
    read_event,
    refused_event,
    reidentify_event,
)
from minimize.server.client import DatasetReader
from minimize.server.request import (
    NOT_AUTHORIZED,
    UNKNOWN_DATASET,
    FilterCondition,
    ReadRequest,
    ReidentifyRequest,
    authorization_error,
    error_for,
    split_dataset,
)
from minimize.server.snapshot import OpenSnapshot, OutputSnapshot, SnapshotCache
from minimize.server.stream import ReadStream, answer_table, check_joinable, reverse_tokens, value_digest
from minimize.server.view import bind_view
from minimize.stores import Location, LocationLike, PathText, local_path, parse_output_location
from minimize.times import Clock, utc_now

if TYPE_CHECKING:
    from minimize.ledger.ledger import Ledger


def find_datasets(places: Iterable[LocationLike]) -> dict[str, Location]:
    """The datasets of output folders and pipelines, by name.

    Raises ConfigurationError if two have the same name or none is given; OutputError if nothing was published.
    """
    output_by_name: dict[str, Location] = {}
    for place in places:
        name, output = _dataset_at(place)
        if output_by_name.setdefault(name, output) != output:
            raise ConfigurationError(
                f"two outputs belong to the pipeline {name}", hint="Pass only one output per pipeline."
            )
    if not output_by_name:
        raise ConfigurationError("no dataset was given", hint="Pass pipelines or output folders.")
    return output_by_name


def _dataset_at(place: LocationLike) -> tuple[str, Location]:
    if isinstance(place, str | os.PathLike):
        path = Path(os.fspath(place))
        if path.suffix in (".yaml", ".yml") or (path / PIPELINE_FILE).is_file():
            pipeline = pipeline_from(path)
            return pipeline.pipeline, parse_output_location(pipeline.target())
    output = parse_output_location(place)
    return publishing_pipeline(output), output


def publishing_pipeline(output: Location) -> str:
    """The pipeline that published last. Raises OutputError if nothing was published."""
    receipts = read_receipts(output)
    if not receipts:
        raise OutputError("nothing was published here", hint="Pass a pipeline, or the folder that contains runs/.")
    return receipts[-1].pipeline


T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class ResponseStream:
    """Schema and batches to send, the first batch without rows. Close it if it is not read to its end."""

    schema: pa.Schema
    batches: Iterator[pa.RecordBatch]
    source: Generator[pa.RecordBatch]

    def close(self) -> None:
        """Ends the read."""
        self.source.close()


class DataAccessService:
    """Reads and re-identifications of datasets, with authorization and audit. Threads share it."""

    def __init__(self, datasets: Mapping[str, Location], access: Path, ledger: Ledger, clock: Clock) -> None:
        self.datasets, self.ledger, self._clock = dict(datasets), ledger, clock
        self._authorizer, self._outputs = Authorizer(access, ledger, clock), SnapshotCache(find_kms(ledger.keyring))

    @property
    def pinned_count(self) -> int:
        """Number of files kept open for running reads."""
        return self._outputs.pinned_count

    def check(self) -> None:
        """Raises PolicyError if the access file has faults, LedgerError if grants are not signed by a known key."""
        self._authorizer.access()
        self._authorizer.grants()

    def end_lost_reads(self) -> int:
        """Records the end of reads whose process has ended. Returns their number. Raises LedgerError."""
        return end_lost_reads(self.ledger, self._clock())

    def read(self, caller: Caller, read_request: ReadRequest) -> ResponseStream:
        """Starts a read, and returns the part of the requested data that the account may see.

        Raises RefusedError and ConfigurationError with a `B` code, after they are recorded in the audit log; and internal errors.
        """
        request = AuthorizationRequest(
            UserAccount(caller.user),
            read_request.dataset,
            read_request.named_columns,
            read_request.purpose,
            read_request.incident,
        )
        return self._audited(caller, request, lambda: self._start_read(caller, read_request, request))

    def reidentify(self, caller: Caller, reversal: ReidentifyRequest) -> pa.Table:
        """The original values of tokens, in the order of the request; null for a token that is in no row in scope.

        Every value is recorded in the audit log before it is sent. Raises as `read` does.
        """
        arguments = UserAccount(caller.user), reversal.dataset, (reversal.column,), reversal.purpose, reversal.incident
        request = AuthorizationRequest(*arguments, operation="reidentify")
        return self._audited(caller, request, lambda: self._reverse_tokens(caller, reversal, request))

    def refuse(self, caller: Caller, error: MinimizeError) -> None:
        """Records a malformed request in the audit log."""
        self._record_refusal(caller, "-", error, "dataset/read")

    def _start_read(self, caller: Caller, read_request: ReadRequest, request: AuthorizationRequest) -> ResponseStream:
        with ExitStack() as stack:
            opened = self._open_snapshot(stack, read_request.dataset)
            decision = self._authorize(caller, request, opened.snapshot, read_request.where)
            view = bind_view(opened.snapshot, decision, read_request.columns, read_request.where, decision.decided_at)
            if not read_request.mixed_keys:
                check_joinable(opened.snapshot, view)
            reauthorization = self._reauthorization(caller, request, decision, opened.snapshot)
            flow = ReadStream(
                caller=caller,
                request=read_request,
                decision=decision,
                view=view,
                reauthorization=reauthorization,
                ledger=self.ledger,
                clock=self._clock,
            )
            batches = flow.batches(opened, stack.pop_all())
        return ResponseStream(view.schema, chain([next(batches)], batches), batches)

    def _reverse_tokens(self, caller: Caller, reversal: ReidentifyRequest, request: AuthorizationRequest) -> pa.Table:
        with ExitStack() as stack:
            opened = self._open_snapshot(stack, reversal.dataset)
            decision = self._authorize(caller, request, opened.snapshot, ())
            value_by_token = reverse_tokens(opened, decision, reversal.column, reversal.tokens, self.ledger.keyring)
        digests = [value_digest(self.ledger.keyring, reversal, token) for token in value_by_token]
        self._record_event(reidentify_event(caller, decision, self._clock(), len(reversal.tokens), digests))
        return answer_table(reversal.tokens, value_by_token)

    def _open_snapshot(self, stack: ExitStack, dataset: str) -> OpenSnapshot:
        pipeline, output = split_dataset(dataset)
        if pipeline not in self.datasets:
            raise error_for(UNKNOWN_DATASET)
        return stack.enter_context(self._outputs.open_snapshot(self.datasets[pipeline], output))

    def _authorize(
        self, caller: Caller, request: AuthorizationRequest, facts: OutputSnapshot, where: Sequence[FilterCondition]
    ) -> AccessDecision:
        """The decision, if it permits the request. Otherwise it is recorded, and RefusedError is raised with its reasons."""
        decision = self._authorizer.decide(request, facts, self._clock())
        if not decision.allowed:
            self._record_event(read_event(caller, decision, where, decision.decided_at))
            raise authorization_error(decision.reasons)
        return decision

    def _reauthorization(
        self, caller: Caller, request: AuthorizationRequest, decision: AccessDecision, facts: OutputSnapshot
    ) -> Reauthorization:
        def decide_again(now: datetime) -> AccessDecision | None:
            if caller.token is not None and not may_continue(self.ledger, caller.token, now):
                return None
            return self._authorizer.decide(request, facts, now)

        return Reauthorization(decision, decide_again, self._clock)

    def _audited(self, caller: Caller, request: AuthorizationRequest, work: Callable[[], T]) -> T:
        """Runs the work and records its errors, unless its decision has been recorded already."""
        try:
            return call_redacted(work)
        except MinimizeError as error:
            ended = error
        if ended.code != NOT_AUTHORIZED:
            self._record_refusal(caller, request.dataset, ended, f"dataset/{request.operation}")
        raise ended

    def permissions_of(self, user: str) -> tuple[str, ...]:
        """The permissions of an account, for the audit log."""
        return self._authorizer.permissions_of(user)

    def _record_refusal(self, caller: Caller, what: str, error: MinimizeError, operation: str) -> None:
        permissions = self.permissions_of(caller.user)
        self._record_event(refused_event(caller, permissions, what, self._clock(), error.code, operation))

    def _record_event(self, event: AuditEvent) -> None:
        self.ledger.record_event(event)


def open_dataset(
    path: LocationLike,
    *,
    keys: Keyring | PathText | None = None,
    access: PathText | None = None,
    ledger: PathText | None = None,
    user: str | None = None,
    clock: Clock | None = None,
) -> DatasetReader:
    """Opens a dataset in this process, with the same decisions, views and audit as through a server.

    The account is not authenticated, because the process has the keys.

    Args:
        path: An output folder or a pipeline.
        keys: The keyring or its path (default: `MINIMIZE_KEYS`, else that of the configuration).
        access: The access file (default: that of the configuration).
        ledger: The ledger (default: `MINIMIZE_LEDGER`, else that of the configuration).
        user: The account that reads (default: `MINIMIZE_ACTOR`, else the user of the system).
        clock: A function that returns the current time (default: the clock of the system).

    Returns:
        A `DatasetReader`. Close it, or use it in a `with` statement.

    Raises:
        OutputError: Nothing was published there.
        PolicyError: The access file has faults.
        KeyringError: There is no keyring.
        LedgerError: The ledger cannot be used.
        ConfigurationError: The access file does not exist.
        RefusedError: No access file is named (R010): rules decide on each read.

    Example:
        In the folder that `minimize sample demo --out demo` makes:

        >>> import minimize
        >>> receipt = minimize.run("pipelines/device_telemetry", date=day)
        >>> with minimize.open_dataset("out/device_telemetry", user="analyst@example.com") as reader:
        ...     table = reader.read(columns=["model", "os_version"], purpose="service_maintenance")
        >>> table.column_names
        ['model', 'os_version']
    """
    service = open_service([path], keys=keys, access=access, ledger=ledger, clock=clock)
    service.end_lost_reads()
    transport = LocalTransport(service, Caller(canonical_account(user or current_actor().user or "")))
    return DatasetReader(transport, next(iter(service.datasets)))


def open_service(
    places: Sequence[LocationLike],
    *,
    keys: Keyring | PathText | None,
    access: PathText | None,
    ledger: PathText | None,
    clock: Clock | None = None,
) -> DataAccessService:
    """The service for output folders and pipelines. Its ledger is open; the caller closes it.

    Missing arguments are discovered from the first place. Raises ConfigurationError, PolicyError, KeyringError, LedgerError,
    OutputError.
    """
    datasets, start = find_datasets(places), local_path(places[0])
    keyring, rules = required_keyring(keys, start), server_access_file(access, start)
    address = find_ledger(ledger, start=start, output=next(iter(datasets.values())))
    return DataAccessService(datasets, rules, open_ledger(address, create=True, verifier=keyring), clock or utc_now)


class LocalTransport:
    """Transport within the process."""

    def __init__(self, service: DataAccessService, caller: Caller) -> None:
        self._service, self._caller = service, caller

    def stream(self, request: ReadRequest) -> tuple[pa.Schema, Iterator[pa.RecordBatch]]:
        """The schema and the batches of a read."""
        response = self._service.read(self._caller, request)
        return response.schema, (batch for batch in response.batches if batch.num_rows)

    def reidentify(self, reversal: ReidentifyRequest) -> pa.Table:
        """Tokens with their original values."""
        return self._service.reidentify(self._caller, reversal)

    def close(self) -> None:
        """Closes the ledger."""
        self._service.ledger.close()


def required_keyring(keys: Keyring | PathText | None, start: Path | None) -> Keyring:
    """The keyring. Raises KeyringError."""
    return require_keyring(keys, start, "no keyring found; the server requires one")


def server_access_file(access: PathText | None, start: Path | None) -> Path:
    """The access file. Raises RefusedError (R010) if none is named, also with `access: off`: rules decide on each read.
    ConfigurationError if the file does not exist."""
    file, hint = (
        find_access_file(start) if access is None else Path(access),
        "Pass --access FILE, or set `access:` in minimize.yaml.",
    )
    if file is None:
        raise RefusedError("the server requires an access file", code="R010", hint=hint)
    if not file.is_file():
        raise ConfigurationError(f"{file}: the access file does not exist", hint=hint)
    return file
