"""Context of a report: the output, its receipts, the keyring, and the reasons why a part cannot be shown.

Rows read and written: runs, later removals, outputs, and the versions of the policy with their approval.

Each part is rounded by itself. The number of rows of a published table is public, and exact.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import chain, groupby
from typing import Final, TypeVar

from minimize.aggregates.definition import total_deviation
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
from minimize.keys import Keyring, Kms
from minimize.output.folder import RESTRICTED, read_exact_receipt
from minimize.policy.model import Policy
from minimize.policy.pipeline import Pipeline
from minimize.receipts import Receipt, check_chain, check_file_history, files_in_force
from minimize.receipts.shown_counts import shown_receipt
from minimize.records import RECORDS
from minimize.report.facts import (
    ApprovalAnswer,
    HiddenPart,
    OutputFacts,
    PolicyFacts,
    RemovalFacts,
    RoundedCount,
    RowFlow,
    RunFacts,
)
from minimize.runs.releases import older_tables
from minimize.stores import Location, PathText
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
    (AccessDenied, "no role of this account permits it; run `minimize access explain`"),
    (RefusedError, "the keyring or the ledger is not the one that the receipts name; pass --keys and --ledger"),
    (CheckFailed, "a check failed; run `minimize verify`"),
)


@dataclass(frozen=True, slots=True)
class ReportRequest:
    """Options of a report: its time; settings and recipients that replace those in the receipts; whether the source is read
    again; whether the sealed counts of receipts are opened; the tables whose figures are shown."""

    at: datetime
    settings: PathText | None = None
    recipients: PathText | None = None
    source: bool = False
    sealed_counts: bool = False
    tables: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ReportContext:
    """An output with everything that its report needs."""

    published: PublishedOutput
    """The output, its receipts as they were signed, keyring and pipeline."""
    workspace: Workspace
    """The workspace of the output, with its pipeline and keyring if they were found."""
    chain: tuple[Receipt, ...]
    """The receipts with the counts that the report shows: without those of small groups, or with the sealed ones."""
    request: ReportRequest
    hidden: list[HiddenPart] = field(default_factory=list)
    """Parts that cannot be shown, added while the report is made."""

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


def open_report(workspace: Workspace, request: ReportRequest) -> ReportContext:
    """Open an output and check its receipts. Signatures and the chain are checked only with a keyring.

    Raises OutputError if there are no receipts or one is damaged, ConfigurationError if the given pipeline does not exist,
    KeyringError for such a keyring, CheckFailed if receipts contradict each other or their signatures.
    """
    folder = workspace.target
    chain = workspace.load_receipts()
    if not chain:
        raise OutputError("the output has no receipts: nothing was published yet", hint="Run `minimize run` first.")
    hidden: list[HiddenPart] = []
    job = _find_pipeline(workspace, chain, hidden)
    bound = workspace if job is None else workspace.with_pipeline(job)
    keys = bound.keyring_or_none
    if keys is None:
        hidden.append(HiddenPart("signatures of the receipts", "no keyring was found"))
    else:
        _check_receipts(chain, keys)
    shown = _with_counts(folder, chain, keys, sealed=request.sealed_counts)
    policies = PolicyCache(() if job is None else job.policy.purposes, bound.config)
    return ReportContext(PublishedOutput(folder, chain, keys, job, policies), bound, shown, request, hidden)


def reads_source(receipt: Receipt) -> bool:
    """Whether the records of a receipt were read from their source."""
    return receipt.kind in ("run", "replay") or (receipt.kind == "retract" and receipt.from_ == "source")


def hidden_reason(error: MinimizeError) -> str:
    """Why a part is not shown. Gives only the kind of error, because messages contain local paths."""
    return next((why for kind, why in _HIDDEN_REASONS if isinstance(error, kind)), "it could not be read")


def _find_pipeline(workspace: Workspace, chain: tuple[Receipt, ...], hidden: list[HiddenPart]) -> Pipeline | None:
    try:
        return find_pipeline(workspace.target, chain[-1], workspace.pipeline)
    except ConfigurationError as error:
        if workspace.pipeline is not None:
            raise
        why = hidden_reason(error)
    hidden.append(HiddenPart("the current pipeline and policy", why))
    return None


def _check_receipts(chain: tuple[Receipt, ...], keys: Keyring) -> None:
    faults = [*check_chain(chain, keys), *check_file_history(chain)]
    if faults:
        message = "the receipts fail their check, so no report is made"
        raise CheckFailed(message, hint="Run `minimize verify` for details.", findings=faults)


def approval_answer(receipts: Sequence[Receipt]) -> ApprovalAnswer:
    """Whether policy and pipeline of all these receipts were approved as they were used."""
    is_approved = receipts and all(receipt.policy.approved is not None for receipt in receipts)
    return "yes" if is_approved else "no"


def row_flow(receipt: Receipt) -> RowFlow:
    """Rows read and written in one run. Sealed counts are not shown."""
    rows = receipt.rows
    return RowFlow(
        written=_shown_count(rows.written),
        gated=gated_rows(receipt),
        quarantined={code: RoundedCount.rounded(number) for code, number in sorted(receipt.quarantine.by_code.items())},
        suppressed=_shown_count(rows.suppressed),
        deduplicated=_shown_count(rows.deduplicated),
    )


def _shown_count(count: int | None) -> RoundedCount:
    return RoundedCount(hidden=True) if count is None else RoundedCount.rounded(count)


def gated_rows(receipt: Receipt) -> dict[str, RoundedCount]:
    """Reasons for which whole rows were gated or removed, with their counts."""
    count_by_reason = {reason: RoundedCount.rounded(rows) for reason, rows in receipt.gated_by.reasons.items()}
    return {reason: count for reason, count in count_by_reason.items() if count}


def total_flow(flows: Sequence[RowFlow]) -> RowFlow:
    """The sum over several runs."""
    return RowFlow(
        written=RoundedCount.total(each.written for each in flows),
        gated=sum_counts(each.gated for each in flows),
        quarantined=sum_counts(each.quarantined for each in flows),
        suppressed=RoundedCount.total(each.suppressed for each in flows),
        deduplicated=RoundedCount.total(each.deduplicated for each in flows),
    )


def sum_counts(mappings: Iterable[Mapping[str, RoundedCount]]) -> dict[str, RoundedCount]:
    """Sums of counts by name."""
    counts_by_name: dict[str, list[RoundedCount]] = {}
    for name, count in chain.from_iterable(mapping.items() for mapping in mappings):
        counts_by_name.setdefault(name, []).append(count)
    return {name: RoundedCount.total(counts) for name, counts in sorted(counts_by_name.items())}


def current_runs(receipts: Iterable[Receipt]) -> list[Receipt]:
    """The last run of each batch date, in order. The files in force come from these runs."""
    last: dict[str, Receipt] = {}
    for receipt in filter(reads_source, receipts):
        last.update(dict.fromkeys(receipt.dates or ("",), receipt))
    return sorted(
        {receipt.sequence: receipt for receipt in last.values()}.values(), key=lambda receipt: receipt.sequence
    )


def dates_counted_twice(receipts: Iterable[Receipt]) -> list[str]:
    """The batch dates that several of the current runs read: one of several dates, and a later one of some of them."""
    times = Counter(date for receipt in current_runs(receipts) for date in receipt.dates)
    return sorted(date for date, number in times.items() if number > 1)


def run_facts(receipts: Sequence[Receipt]) -> Iterator[RunFacts]:
    """Each run separately, including replaced ones."""
    current = {each.sequence for each in current_runs(receipts)}
    for receipt in filter(reads_source, receipts):
        yield RunFacts(
            sequence=receipt.sequence,
            run_id=receipt.run_id,
            kind=receipt.kind,
            at=receipt.at,
            dates=receipt.dates,
            policy=f"{receipt.policy.name} {receipt.policy.version}",
            flow=row_flow(receipt),
            in_force=receipt.sequence in current,
            allowed=receipt.allowed or (),
        )


def removal_facts(receipts: Iterable[Receipt]) -> Iterator[RemovalFacts]:
    """Rows removed after they were written, by kind of receipt."""
    later = sorted((receipt for receipt in receipts if not reads_source(receipt)), key=lambda receipt: receipt.kind)
    for kind, group in groupby(later, key=lambda receipt: receipt.kind):
        removals = list(group)
        yield RemovalFacts(
            kind, len(removals), max(each.at for each in removals), sum_counts(map(gated_rows, removals))
        )


def output_facts(receipts: Sequence[Receipt]) -> Iterator[OutputFacts]:
    """The outputs, each with the suppressed groups of its runs."""
    older, written = older_tables(receipts), [each.outputs for each in current_runs(receipts)]
    last = {name: output for receipt in receipts for name, output in receipt.outputs.items()}
    for name, files in files_in_force(receipts).items():
        output_receipts = [each[name] for each in written if name in each]
        noise = last[name].noise
        rows = [file.rows for file in files]
        small = [
            RoundedCount.rounded(receipt.groups_suppressed)
            for receipt in output_receipts
            if receipt.groups_suppressed is not None
        ]
        yield OutputFacts(
            name=name,
            category=last[name].category,
            rows=RoundedCount.total(
                map(RoundedCount.rounded if name in (RECORDS, RESTRICTED) else RoundedCount.public, rows)
            ),
            files=len(files),
            dates=len({file.path.split("/")[1] for file in files if "/date=" in file.path}),
            suppressed=RoundedCount.total(small) if small else None,
            count_sd=None if noise is None else float(total_deviation(noise.sd)),
            encrypted=any(file.keys for file in files),
            older=older.get(name, ()),
        )


def policy_facts(receipts: Iterable[Receipt]) -> Iterator[PolicyFacts]:
    """The versions of the policy, oldest first."""
    receipts_by_digest: dict[str, list[Receipt]] = {}
    for receipt in filter(reads_source, receipts):
        receipts_by_digest.setdefault(receipt.policy.digest, []).append(receipt)
    for digest, policy_receipts in receipts_by_digest.items():
        policy = policy_receipts[-1].policy
        first, last = min(each.at for each in policy_receipts), max(each.at for each in policy_receipts)
        yield PolicyFacts(
            name=policy.name,
            version=policy.version,
            digest=digest,
            runs=len(policy_receipts),
            first=first,
            last=last,
            approved=approval_answer(policy_receipts),
        )
