"""Context of a report: the output, its receipts, the keyring, and the reasons why a part cannot be shown."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final, TypeVar

from minimize.datasets.pipelines import find_pipeline
from minimize.datasets.published_output import PublishedOutput
from minimize.datasets.writing_run import PolicyCache
from minimize.errors import (
    AccessDenied,
    CheckFailed,
    ConfigurationError,
    KeyringError,
    LedgerError,
    MinimizeError,
    OutputError,
    PolicyError,
    RefusedError,
    SchemaError,
    SourceError,
)
from minimize.keys import Keyring, Kms, find_keyring
from minimize.output.folder import read_exact_receipt
from minimize.output.reader import load_receipts
from minimize.policy.model import Policy
from minimize.policy.pipeline import Pipeline
from minimize.receipts import Receipt, check_chain, check_file_history
from minimize.receipts.shown_counts import shown_receipt
from minimize.report.facts import HiddenPart
from minimize.stores import Location, LocationLike, PathText, local_path, parse_output_location
from minimize.workspace import Workspace

T = TypeVar("T")
_HIDDEN_REASONS: Final = (
    (KeyringError, "the key is not available"),
    (LedgerError, "the ledger is not available"),
    (PolicyError, "the file was not found, or has faults"),
    (OutputError, "files are missing or damaged"),
    (SourceError, "the source is missing, or differs from the receipts"),
    (SchemaError, "the source is missing, or differs from the receipts"),
    (ConfigurationError, "its location is not known"),
    (AccessDenied, "no role of this account permits it; run `minimize access why`"),
    (RefusedError, "the keyring or the ledger is not the one that the receipts name; pass --keys and --ledger"),
    (CheckFailed, "a check failed; run `minimize verify`"),
)


@dataclass(frozen=True, slots=True)
class ReportRequest:
    """Options of a report: paths that replace those in the receipts; whether the source is read again; whether the sealed counts
    of receipts are opened; the tables whose figures are shown."""

    at: datetime
    pipeline: PathText | None = None
    settings: PathText | None = None
    recipients: PathText | None = None
    keys: Keyring | PathText | None = None
    ledger: PathText | None = None
    source: bool = False
    sealed_counts: bool = False
    tables: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ReportContext:
    """An output with everything that its report needs.

    published  the output, its receipts as they were signed, keyring and pipeline
    chain      the receipts with the counts that the report shows: without those of small groups, or with the sealed ones
    hidden     parts that cannot be shown, added while the report is made
    """

    published: PublishedOutput
    chain: tuple[Receipt, ...]
    request: ReportRequest
    hidden: list[HiddenPart] = field(default_factory=list)

    @property
    def output(self) -> Location:
        """The output folder."""
        return self.published.folder

    @property
    def pipeline(self) -> Pipeline | None:
        """The current pipeline; None if it was not found."""
        return self.published.job

    @property
    def keys(self) -> Keyring | None:
        """The keyring; None if there is none."""
        return self.published.keys

    @property
    def kms(self) -> Kms | None:
        """The KMS that holds the master keys of encrypted files."""
        return None if self.keys is None else self.published.kms

    @property
    def workspace(self) -> Workspace:
        """The workspace in which ledger and recipients are searched."""
        return Workspace(self.request.ledger, local_path(self.output), self.pipeline, self.keys)

    @property
    def newest(self) -> Receipt:
        """The last receipt of a run, else the last of all."""
        return next((each for each in reversed(self.chain) if reads_source(each)), self.chain[-1])

    def policy_of(self, receipt: Receipt) -> Policy:
        """The policy stored with a receipt. Raises PolicyError, OutputError."""
        return self.published.writing_run(receipt).policy

    def attempt(self, what: str, work: Callable[[], T]) -> T | None:
        """Result of the work; None if it fails, and then the part is listed as not shown."""
        try:
            return work()
        except MinimizeError as error:
            self.hide(what, hidden_reason(error))
        return None

    def hide(self, what: str, reason: str) -> None:
        """List a part as not shown."""
        if HiddenPart(what, reason) not in self.hidden:
            self.hidden.append(HiddenPart(what, reason))


def _with_counts(
    folder: Location, chain: Sequence[Receipt], keys: Keyring | None, *, sealed: bool
) -> tuple[Receipt, ...]:
    """The receipts with the counts that may be shown, also those of older versions, or with the sealed ones."""
    if not sealed:
        return tuple(shown_receipt(each) for each in chain)
    if keys is None:
        raise KeyringError("sealed counts cannot be opened without the keyring", hint="Pass --keys FILE.")
    return tuple(read_exact_receipt(folder, each, keys) for each in chain)


def open_report(output: LocationLike, request: ReportRequest) -> ReportContext:
    """Open an output and check its receipts. Signatures and the chain are checked only with a keyring.

    Raises OutputError if there are no receipts or one is damaged, ConfigurationError if the given pipeline does not exist,
    KeyringError for such a keyring, CheckFailed if receipts contradict each other or their signatures.
    """
    folder = parse_output_location(output)
    chain = load_receipts(folder)
    if not chain:
        raise OutputError("the output has no receipts: nothing was published yet", hint="Run `minimize run` first.")
    hidden: list[HiddenPart] = []
    job = _find_pipeline(folder, chain, request, hidden)
    keys = find_keyring(request.keys, local_path(folder) if job is None else job.folder)
    if keys is None:
        hidden.append(HiddenPart("signatures of the receipts", "no keyring was found"))
    else:
        _check_receipts(chain, keys)
    shown = _with_counts(folder, chain, keys, sealed=request.sealed_counts)
    policies = PolicyCache(() if job is None else job.policy.purposes)
    return ReportContext(PublishedOutput(folder, chain, keys, job, policies), shown, request, hidden)


def reads_source(receipt: Receipt) -> bool:
    """Whether the records of a receipt were read from their source."""
    return receipt.kind in ("run", "replay") or (receipt.kind == "retract" and receipt.from_ == "source")


def hidden_reason(error: MinimizeError) -> str:
    """Why a part is not shown. Gives only the kind of error, because messages contain local paths."""
    return next((why for kind, why in _HIDDEN_REASONS if isinstance(error, kind)), "it could not be read")


def _find_pipeline(
    folder: Location, chain: tuple[Receipt, ...], request: ReportRequest, hidden: list[HiddenPart]
) -> Pipeline | None:
    try:
        return find_pipeline(folder, chain[-1], request.pipeline)
    except ConfigurationError as error:
        if request.pipeline is not None:
            raise
        why = hidden_reason(error)
    hidden.append(HiddenPart("the current pipeline and policy", why))
    return None


def _check_receipts(chain: tuple[Receipt, ...], keys: Keyring) -> None:
    faults = [*check_chain(chain, keys), *check_file_history(chain)]
    if faults:
        message = "the receipts fail their check, so no report is made"
        raise CheckFailed(message, hint="Run `minimize verify` for details.", findings=faults)
