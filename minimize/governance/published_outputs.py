"""Published outputs: the outputs that the ledger or the caller names, the run that wrote each file, and the policy of that run.

Attachments of a receipt are checked against its digests.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final

from minimize.errors import MinimizeError, OutputError
from minimize.json_form import JsonResult, json_member
from minimize.keys import Keyring
from minimize.keys.discovery import require_keyring
from minimize.ledger import api
from minimize.output.folder import PIPELINE_FILE, POLICY_FILE, RECORDS, RUNS, identity_of
from minimize.output.reader import load_receipts
from minimize.policy.faults import FaultList
from minimize.policy.load import load_policy
from minimize.policy.model import Policy
from minimize.policy.pipeline import Pipeline
from minimize.policy.yaml_nodes import parse_yaml
from minimize.receipts import Receipt, ReceiptFile, files_in_force, sha256_text
from minimize.runs.batch_dates import READING_KINDS
from minimize.runs.guards import check_output_ledger
from minimize.runs.inputs import find_pipeline
from minimize.runs.removal_inventory import INVENTORY_FILE
from minimize.stores import Location, LocationLike, PathText, local_copy, location_text, parse_output_location

if TYPE_CHECKING:
    from minimize.ledger.ledger import Ledger

RETENTION_POLICY_FILE: Final = "retention.yaml"
"""Today's policy, stored with a receipt that applied its retention to files that keep their original policy."""
RETENTION_PIPELINE_FILE: Final = "retention_pipeline.yaml"
"""Today's pipeline, stored with the same receipt, if aggregates have or had their own retention."""
_RUN_ATTACHMENTS: Final = (RETENTION_POLICY_FILE, RETENTION_PIPELINE_FILE, "backfill.yaml", INVENTORY_FILE)
"""Attachments about the change that the receipt records, not about the files."""


@dataclass(frozen=True, slots=True)
class PolicyCache:
    """Loaded policies, each parsed once. `purposes` are the additional purposes of the configuration."""

    purposes: tuple[str, ...] = ()
    policies: dict[tuple[object, ...], Policy] = field(default_factory=dict, repr=False)

    def policy(self, same: tuple[object, ...], path: Location, purpose: str) -> Policy:
        """The policy of a file. Raises PolicyError."""
        if same not in self.policies:
            with local_copy(path.parent) as folder:
                self.policies[same] = load_policy(folder / path.name, (*self.purposes, purpose))
        return self.policies[same]


@dataclass(frozen=True)
class WritingRun:
    """The receipt that wrote a file, in its output folder."""

    output: Location
    receipt: Receipt
    policies: PolicyCache = field(default_factory=PolicyCache, repr=False)

    @property
    def rewrite_group(self) -> tuple[object, ...]:
        """The policy, pipeline and purpose that receipts must share for their files to be rewritten together."""
        files = {name: digest for name, digest in self.receipt.files.items() if name not in _RUN_ATTACHMENTS}
        return (self.receipt.purpose, self.receipt.policy.digest, *sorted(files.items()))

    @cached_property
    def policy(self) -> Policy:
        """The policy under which its files were written. Raises PolicyError, OutputError."""
        self._content(POLICY_FILE, self.receipt.policy.digest)
        return self.policies.policy(self.rewrite_group, self._folder / POLICY_FILE, self.receipt.purpose)

    @cached_property
    def pipeline(self) -> Mapping[str, Any]:
        """The content of its pipeline file."""
        root = (
            parse_yaml(self.attachments[PIPELINE_FILE].decode("utf-8-sig"), FaultList())
            if PIPELINE_FILE in self.attachments
            else None
        )
        return {} if root is None else {key: node.to_data() for key, node in root.entries.items()}

    @cached_property
    def attachments(self) -> dict[str, bytes]:
        """The attachments of the receipt, by name. Raises OutputError if they do not match its digests."""
        digests = {**self.receipt.files, POLICY_FILE: self.receipt.policy.digest}
        return {name: self._content(name, digest) for name, digest in digests.items() if name not in _RUN_ATTACHMENTS}

    @property
    def all_attachments(self) -> dict[str, bytes]:
        """The same with attachments about the recorded change, except removal inventories. Raises OutputError."""
        digests = {**self.receipt.files, POLICY_FILE: self.receipt.policy.digest}
        return {name: self._content(name, digest) for name, digest in digests.items() if name != INVENTORY_FILE}

    @property
    def _folder(self) -> Location:
        return self.output / RUNS / self.receipt.run_id

    def _content(self, name: str, digest: str) -> bytes:
        path = self._folder / name
        content = path.read_bytes() if path.is_file() else b""
        if sha256_text(content) != digest:
            raise OutputError(
                f"{RUNS}/{self.receipt.run_id}/{name} does not match its receipt",
                hint="Run `minimize verify` to check all files.",
            )
        return content


def source_read_times(receipts: Iterable[Receipt]) -> dict[str | None, datetime]:
    """Per batch date (None for an output without dates), when its current records were read from their source.

    A later rewrite reads no source. The earlier of the two times in a receipt counts.
    """
    found: dict[str | None, datetime] = {}
    for receipt in sorted(receipts, key=lambda receipt: receipt.sequence):
        if receipt.kind in READING_KINDS or receipt.from_ == "source":
            found |= dict.fromkeys(receipt.dates or (None,), min(receipt.at, receipt.finished))
    return found


def receipts_by_path(receipts: Iterable[Receipt]) -> dict[str, Receipt]:
    """The receipt that wrote each file, by path."""
    return {file.path: receipt for receipt in receipts for output in receipt.outputs.values() for file in output.files}


def writing_runs(output: Location, chain: Iterable[Receipt], policies: PolicyCache) -> dict[str, WritingRun]:
    """The run that wrote each file, by path; files of one run share one object."""
    by = receipts_by_path(chain)
    runs = {each.run_id: WritingRun(output, each, policies) for each in by.values()}
    return {path: runs[receipt.run_id] for path, receipt in by.items()}


def resolve_output(
    folder: Location,
    pipeline: PathText | None,
    keys: Keyring | PathText | None,
    ledger: PathText | None,
) -> tuple[tuple[Receipt, ...], Pipeline, Keyring]:
    """The receipts, today's pipeline and the signing keyring of an output, found and checked for a change.

    Raises OutputError, PolicyError, RefusedError, KeyringError.
    """
    chain = load_receipts(folder)
    if not chain:
        raise OutputError("nothing has been published to this output", hint="Run `minimize run` first.")
    job = find_pipeline(folder, chain[-1], pipeline)
    check_output_ledger(folder, job.folder, ledger)
    keyring = require_keyring(keys, job.folder, "no keyring found; one is needed to sign the receipt")
    return chain, job, keyring


@dataclass(frozen=True, slots=True)
class SearchableOutput:
    """An output folder, its receipt chain, its pipeline if found, and its loaded policies."""

    folder: Location
    chain: tuple[Receipt, ...] = field(repr=False)
    purposes: tuple[str, ...] = ()
    job: Pipeline | None = field(default=None, repr=False, compare=False)
    policies: PolicyCache = field(default_factory=PolicyCache, repr=False, compare=False)

    @property
    def pipeline(self) -> str:
        """The name of the pipeline that writes the output."""
        return self.chain[-1].pipeline

    def pipeline_of_today(self) -> Pipeline:
        """The loaded pipeline. Raises the errors of the search for it."""
        return self.job or find_pipeline(self.folder, self.chain[-1], None)

    def files(self) -> Iterator[tuple[WritingRun, ReceiptFile]]:
        """The files of records in force, each with its run. Aggregates are excluded, because they are not about one person."""
        written_by = writing_runs(self.folder, self.chain, self.policies)
        yield from ((written_by[file.path], file) for file in files_in_force(self.chain).get(RECORDS, ()))


ON_ANOTHER_MACHINE: Final = "it is on another machine"


@dataclass(frozen=True, slots=True)
class UnreachableOutput(JsonResult):
    """An output that cannot be checked from here, and the code of the reason."""

    folder: str = field(metadata=json_member("output"))
    pipeline: str
    reason: str = field(metadata=json_member("why"))


def find_outputs(
    ledger: Ledger | None, named: Sequence[LocationLike] = ()
) -> tuple[tuple[SearchableOutput, ...], tuple[UnreachableOutput, ...]]:
    """The reachable outputs, each once, and the unreachable ones."""
    found: dict[str, SearchableOutput] = {}
    missed: list[UnreachableOutput] = []
    for folder, pipeline, here in (*_named_outputs(named), *_ledger_outputs(ledger)):
        output = _open_output(folder) if here else None
        if isinstance(output, SearchableOutput):
            found.setdefault(identity_of(folder) or location_text(folder), output)
        else:
            missed.append(UnreachableOutput(location_text(folder), pipeline, output or ON_ANOTHER_MACHINE))
    return tuple(found.values()), tuple(missed)


def _named_outputs(named: Sequence[LocationLike]) -> Iterator[tuple[Location, str, bool]]:
    yield from ((parse_output_location(each), "", True) for each in named)


def _ledger_outputs(ledger: Ledger | None) -> Iterator[tuple[Location, str, bool]]:
    for place in () if ledger is None else ledger.read(api.output_locations):
        yield parse_output_location(place.folder), place.pipeline, place.is_reachable


def _open_output(folder: Location) -> SearchableOutput | str:
    try:
        chain = load_receipts(folder)
        return _output_with_pipeline(folder, chain) if chain else "nothing has been published to it"
    except MinimizeError as error:
        return error.code


def _output_with_pipeline(folder: Location, chain: tuple[Receipt, ...]) -> SearchableOutput:
    """The output with today's pipeline; if that cannot be found, with the pipeline name in the last receipt."""
    try:
        job = find_pipeline(folder, chain[-1], None)
    except MinimizeError:
        job = None
    purposes = (chain[-1].purpose,) if job is None else job.policy.purposes
    return SearchableOutput(folder, chain, purposes, job, PolicyCache(purposes))
