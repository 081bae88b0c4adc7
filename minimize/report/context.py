"""Context of a report: the output, its receipts, the keyring, and the reasons why a part cannot be shown."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final, TypeVar

from minimize.errors import (
    CheckFailed,
    ConfigurationError,
    KeyringError,
    LedgerError,
    MinimizeError,
    OutputError,
    PolicyError,
    SchemaError,
    SourceError,
)
from minimize.governance.published_outputs import PolicyCache, WritingRun
from minimize.governance.workspace import Workspace
from minimize.keys import Keyring, Kms, find_keyring, find_kms
from minimize.output.reader import load_receipts
from minimize.policy.model import Pipeline, Policy
from minimize.receipts import Receipt, check_chain, check_file_history
from minimize.report.facts import HiddenPart
from minimize.runs.inputs import find_pipeline
from minimize.stores import Location, LocationLike, PathText, local_path, parse_output_location

T = TypeVar("T")
_HIDDEN_REASONS: Final = (
    (KeyringError, "no key for it is to be had here"),
    (LedgerError, "no ledger can be read here"),
    (PolicyError, "it is not found here, or has faults"),
    (OutputError, "files of it are missing or damaged"),
    (SourceError, "the source is gone, or is not what the receipts tell"),
    (SchemaError, "the source is gone, or is not what the receipts tell"),
    (ConfigurationError, "where it lies is not known here"),
)


@dataclass(frozen=True, slots=True)
class ReportRequest:
    """What a report was asked for, beside the output: what stands in for the places that receipts name, and whether the source
    is read again."""

    at: datetime
    pipeline: PathText | None = None
    settings: PathText | None = None
    recipients: PathText | None = None
    keys: Keyring | PathText | None = None
    ledger: PathText | None = None
    source: bool = False


@dataclass(frozen=True, slots=True)
class ReportContext:
    """An output as it stands.

    pipeline     the pipeline of today; None where it is not known here
    keys    the keyring; None where there is none
    hidden  what cannot be shown, as it is found out
    """

    output: Location
    request: ReportRequest
    chain: tuple[Receipt, ...] = field(repr=False)
    pipeline: Pipeline | None
    keys: Keyring | None
    hidden: list[HiddenPart] = field(default_factory=list)
    reading: PolicyCache = field(default_factory=PolicyCache, repr=False)

    @property
    def kms(self) -> Kms | None:
        """Who keeps the master keys of encrypted files."""
        return None if self.keys is None else find_kms(self.keys, local_path(self.output))

    @property
    def workspace(self) -> Workspace:
        """Where the ledger and the recipients are looked for."""
        return Workspace(self.request.ledger, local_path(self.output), self.pipeline, self.keys)

    @property
    def newest(self) -> Receipt:
        """The last receipt of a run, else the last of all."""
        return next((each for each in reversed(self.chain) if reads_source(each)), self.chain[-1])

    def policy_of(self, receipt: Receipt) -> Policy:
        """The policy that stands beside a receipt. Raises PolicyError, OutputError."""
        return WritingRun(self.output, receipt, self.reading).policy

    def attempt(self, what: str, work: Callable[[], T]) -> T | None:
        """What the work gives; None where it is refused, and then it is said that this part is not shown."""
        try:
            return work()
        except MinimizeError as error:
            self.hide(what, hidden_reason(error))
        return None

    def hide(self, what: str, reason: str) -> None:
        """Says that a part is not shown."""
        if HiddenPart(what, reason) not in self.hidden:
            self.hidden.append(HiddenPart(what, reason))


def open_report(output: LocationLike, request: ReportRequest) -> ReportContext:
    """An output, found and checked: its receipts must hold together where a key is there.

    Raises OutputError where there are no receipts or one is damaged, ConfigurationError for a pipeline that was named and is
    not there, KeyringError for such a keyring, CheckFailed where receipts contradict each other or their signatures.
    """
    folder = parse_output_location(output)
    chain = load_receipts(folder)
    if not chain:
        raise OutputError("nothing was published here yet", hint="`minimize run` does")
    hidden: list[HiddenPart] = []
    job = _find_pipeline(folder, chain, request, hidden)
    keys = find_keyring(request.keys, local_path(folder) if job is None else job.folder)
    if keys is None:
        hidden.append(HiddenPart("whether the receipts are genuine", "no keyring is named here"))
    else:
        _check_receipts(chain, keys)
    return ReportContext(
        folder, request, chain, job, keys, hidden, PolicyCache(() if job is None else job.policy.purposes)
    )


def reads_source(receipt: Receipt) -> bool:
    """Whether a receipt tells of records that came from their source."""
    return receipt.kind in ("run", "replay") or (receipt.kind == "retract" and receipt.from_ == "source")


def hidden_reason(error: MinimizeError) -> str:
    """Why a part is not shown: the kind of trouble alone, for messages name places of this machine."""
    return next((why for kind, why in _HIDDEN_REASONS if isinstance(error, kind)), "it was refused here")


def _find_pipeline(
    folder: Location, chain: tuple[Receipt, ...], request: ReportRequest, hidden: list[HiddenPart]
) -> Pipeline | None:
    try:
        return find_pipeline(folder, chain[-1], request.pipeline)
    except ConfigurationError as error:
        if request.pipeline is not None:
            raise
        why = hidden_reason(error)
    hidden.append(HiddenPart("what today's pipeline and policy say", why))
    return None


def _check_receipts(chain: tuple[Receipt, ...], keys: Keyring) -> None:
    faults = [*check_chain(chain, keys), *check_file_history(chain)]
    if faults:
        message = "the receipts do not hold together, and nothing is told by them"
        raise CheckFailed(message, hint="`minimize verify` says more", findings=faults)
