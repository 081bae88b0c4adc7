"""Evidence: finding codes, the runs of an output with receipts and policies, checks of the receipts.

Finds which run wrote which file. Receipts are checked for counts of fields, one ledger, and consent for third-
party data.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from types import MappingProxyType
from typing import Any, Final

from minimize.arrow.pointers import Pointer
from minimize.errors import Finding, OutputError, Severity
from minimize.keys import Kms
from minimize.receipts import (
    ANNOTATING_KINDS,
    FieldReceipt,
    FileRef,
    Receipt,
    ReceiptFile,
    RowCounts,
    files_in_force,
    quarantine_files_in_force,
    retained_sketches,
    sha256_text,
)
from minimize.stores import Location, relative_path
from minimize.verification.policy_reading import (
    FieldView,
    PolicyView,
    UnreadableDocument,
    aggregate_retentions,
    read_chain,
    read_document,
    read_policy,
)

CODES: Final = MappingProxyType(
    {
        "V001": "a receipt is missing or cannot be read, or no output stands here",
        "V002": "the sequence of receipts has a gap or a double",
        "V003": "a receipt does not carry the digest of the one before",
        "V004": "a receipt is not signed by a known key",
        "V005": "a receipt does not balance",
        "V006": "receipts contradict each other about files",
        "V007": "a run folder without a receipt: a publication that was not finished",
        "V008": "the end of the chain is not anchored: receipts that were cut off its end are not missed",
        "V009": "the ledger tells of another end of the chain: receipts were cut off, or the ledger is not the output's",
        "V010": "a policy, pipeline or other file beside a receipt is missing, or is not the one that the receipt names",
        "V011": "a file of the set in force is missing",
        "V012": "a file has another digest than its receipt says",
        "V013": "a file has another number of rows than its receipt says",
        "V014": "a file is there that no receipt put in force",
        "V015": "a partition has no _SUCCESS",
        "V016": "a file stands in a place that its receipt cannot have meant",
        "V017": "a file cannot be read as Parquet",
        "V018": "an index does not hold what its file of records holds",
        "V019": "indexes or sketches could not be opened, as only the keyring opens them",
        "V020": "a column that the policy does not declare",
        "V021": "a column that the policy drops",
        "V022": "a column that the policy keeps is missing",
        "V023": "a column has another type than its technique gives",
        "V024": "a column's metadata does not say what the policy says",
        "V025": "a category is lower than its columns require",
        "V030": "values do not have the form that the technique gives",
        "V031": "values are there that a condition does not allow",
        "V032": "counts of a field in the receipt contradict the technique or the file",
        "V033": "rare values are shown",
        "V034": "a hierarchy is missing, so that its labels could not be checked",
        "V035": "rows are shown that were past their retention when they were written",
        "V036": "values are shown that were past the retention of their feature when they were written",
        "V037": "rows are shown whose event time was too far in the future when they were written",
        "V038": "a tenant or a subject is shown that is not in its canonical form",
        "V040": "the columns of an aggregate are not those of its definition",
        "V041": "a group of fewer subjects than allowed is shown",
        "V042": "counts are not rounded as the aggregate says",
        "V043": "an aggregate shows its subjects or a field that is dropped",
        "V044": "an aggregate shows one group twice",
        "V045": "a statistic lies outside what its values allow",
        "V046": "groups are shown that were past the aggregate's retention when they were written",
        "V050": "a quarantine file has other columns than the six",
        "V051": "a quarantine file says something else than codes and pointers",
        "V052": "a quarantine file and its receipt count differently",
        "V060": "a file is not encrypted as its receipt or its pipeline says",
        "V061": "encrypted columns were not checked, as there are no keys for them",
        "V062": "encrypted columns could not be opened with this keyring",
        "V063": "a receipt names another ledger than the one before, and does not adopt it",
        "V064": "a receipt that only records a decision changes files or counts rows",
        "V065": "a receipt of what a third party sent does not say that consents were asked, or lacks the manifest",
        "V066": "what a third party sent is kept in a form that its manifest does not have",
        "V070": "receipts before the one that was named, and the content of their files, were not checked",
        "V071": "sketches do not open as those of their aggregate and date",
    }
)
_WARNINGS: Final = frozenset({"V007", "V008", "V019", "V038", "V061", "V070"})


def new_finding(
    code: str, message: str, *, file: str | None = None, field: str | None = None, hint: str = ""
) -> Finding:
    """A finding with the severity of its code."""
    severity: Severity = "warning" if code in _WARNINGS else "error"
    return Finding(code, message, severity, hint, file, None, field)


QUARANTINE: Final = "quarantine"
RUNS: Final = "runs"
_RETENTION_PIPELINE: Final = "retention_pipeline.yaml"


@dataclass(frozen=True, slots=True)
class ParsedDocuments:
    """The policies and pipelines of one output, each parsed once: most receipts carry the same bytes."""

    pipelines: dict[bytes, Mapping[str, Any]] = field(default_factory=dict, repr=False)
    policies: dict[tuple[bytes, str], PolicyView] = field(default_factory=dict, repr=False)

    def pipeline(self, content: bytes) -> Mapping[str, Any]:
        """The pipeline of these bytes. Raises Unreadable."""
        if content not in self.pipelines:
            self.pipelines[content] = read_document(content)
        return self.pipelines[content]

    def policy(self, content: bytes, purpose: str) -> PolicyView:
        """The policy of these bytes. Raises Unreadable."""
        if (content, purpose) not in self.policies:
            self.policies[content, purpose] = read_policy(content, purpose)
        return self.policies[content, purpose]


@dataclass(frozen=True, slots=True)
class EvidenceRun:
    """One receipt, its folder, and what its policy and pipeline say (None where they cannot be read).

    retention  the policy whose retention was applied: another than `policy` where files keep the one they were written under
    spans      the retention of aggregates that have one of their own, in nanoseconds, as it was applied
    """

    receipt: Receipt
    folder: Location
    policy: PolicyView | None
    pipeline: Mapping[str, Any] | None
    retention: PolicyView | None = None
    spans: Mapping[str, int] = field(default_factory=dict)

    @property
    def is_first(self) -> bool:
        """Whether its files were made from a source, rather than from files that stood."""
        return self.receipt.kind in ("run", "replay") or self.receipt.from_ == "source"

    @property
    def limits_future(self) -> bool:
        """Whether the event times of its files were limited when they were read; older versions, whose receipts name no ledger,
        did not limit them."""
        return self.is_first and self.receipt.audit is not None and self.receipt.audit.ledger is not None

    @property
    def place(self) -> str:
        """The receipt's path, relative to the output folder."""
        return f"{RUNS}/{self.folder.name}/receipt.json"


@dataclass(frozen=True, slots=True)
class EvidenceFile:
    """One file of the set in force, under its output's name, and the run that wrote it."""

    name: str
    file: ReceiptFile
    run: EvidenceRun

    @property
    def date(self) -> str | None:
        """The date of its partition."""
        return next((part[5:] for part in PurePosixPath(self.file.path).parts if part.startswith("date=")), None)

    @property
    def root(self) -> str:
        """The folder of its partition, relative to the output folder."""
        return self.name if self.date is None else f"{self.name}/date={self.date}"

    @property
    def hive(self) -> frozenset[str]:
        """The names of the columns that stand in its path."""
        parts = PurePosixPath(self.file.path).parts[1:-1]
        return frozenset(part.partition("=")[0] for part in parts if "=" in part and not part.startswith("date="))


@dataclass(frozen=True, slots=True)
class Evidence:
    """Everything that is checked.

    runs      the receipts that are checked, with what is stored next to them
    files  the files in force that one of these receipts wrote
    earlier   the receipts before these, which are read and not checked
    earlier_files      the files in force that an earlier receipt wrote: only that they are there is checked
    sketches  files that are gone, whose sketches are in force, with the run that removed them
    """

    output: Location
    runs: tuple[EvidenceRun, ...]
    files: tuple[EvidenceFile, ...]
    names: frozenset[str]
    findings: tuple[Finding, ...]
    kms: Kms | None = None
    """Who keeps the master keys of encrypted files; None where nobody was named."""
    is_output: bool = True
    """Whether anything was ever published here: else there is nothing to check."""
    earlier: tuple[Receipt, ...] = ()
    earlier_files: tuple[EvidenceFile, ...] = ()
    sketches: tuple[EvidenceFile, ...] = ()

    @property
    def receipts(self) -> tuple[Receipt, ...]:
        """The receipts that are checked, by sequence."""
        return tuple(run.receipt for run in self.runs)

    @property
    def history(self) -> tuple[Receipt, ...]:
        """All receipts, by sequence."""
        return (*self.earlier, *self.receipts)


def gather_evidence(output: Location, kms: Kms | None = None, *, first: int = 1) -> Evidence:
    """What the folder holds; `first` is the sequence of the first receipt that is checked.

    Raises OutputError where there is no folder.
    """
    if not output.is_dir():
        raise OutputError(f"there is no output folder {output}")
    if not (output / RUNS).is_dir():
        return Evidence(output, (), (), frozenset(), (_no_output_finding(output),), kms, is_output=False)
    documents = ParsedDocuments()
    read = [_read_run(folder, documents, first) for folder in _run_folders(output / RUNS)]
    every = sorted((run for run, _ in read if run is not None), key=lambda run: run.receipt.sequence)
    findings = [finding for _, findings in read for finding in findings]
    runs = tuple(run for run in every if run.receipt.sequence >= first)
    if not every:
        findings.append(new_finding("V001", "no receipt is here that can be read", file=RUNS))
    elif not runs:
        findings.append(
            new_finding("V001", f"there is no receipt from {first} on: the last is {len(every)}", file=RUNS)
        )
    names = frozenset(files_in_force(run.receipt for run in every)) | {QUARANTINE}
    standing = list(_files_in_force(every))
    return Evidence(
        output,
        runs,
        tuple(each for each in standing if each.run.receipt.sequence >= first),
        names,
        tuple(findings),
        kms,
        earlier=tuple(run.receipt for run in every if run.receipt.sequence < first),
        earlier_files=tuple(each for each in standing if each.run.receipt.sequence < first),
        sketches=tuple(_sketches_without_files(every)),
    )


def _sketches_without_files(runs: Sequence[EvidenceRun]) -> Iterator[EvidenceFile]:
    by = {each.path: run for run in runs for each in run.receipt.kept_sketches or ()}
    for each in retained_sketches(run.receipt for run in runs):
        file = ReceiptFile(each.of, 0, "", sketches=FileRef(each.path, each.digest))
        yield EvidenceFile(PurePosixPath(each.of).parts[0], file, by[each.path])


def _no_output_finding(folder: Location) -> Finding:
    hint = f"name the folder that holds `{RUNS}`; where that was removed, put it back"
    if (folder / "pipeline.yaml").is_file():
        hint = "this is a pipeline: name the folder of its `output`"
    return new_finding("V001", "no output of minimize stands here", hint=hint)


def _run_folders(runs: Location) -> list[Location]:
    found: list[Location] = [*runs.iterdir()] if runs.is_dir() else []
    return sorted((each for each in found if each.is_dir()), key=str)


def _read_run(folder: Location, documents: ParsedDocuments, first: int) -> tuple[EvidenceRun | None, list[Finding]]:
    path = folder / "receipt.json"
    place = f"{RUNS}/{folder.name}/receipt.json"
    if not path.is_file():
        return None, [new_finding("V007", "no receipt: a publication was not finished here", file=place)]
    try:
        receipt = Receipt.from_json(path.read_bytes())
    except (OutputError, OSError):
        return None, [new_finding("V001", "the receipt cannot be read", file=place)]
    if receipt.run_id != folder.name:
        return None, [new_finding("V001", "the receipt is that of another run", file=place)]
    if receipt.sequence < first:
        return EvidenceRun(receipt, folder, None, None), []
    return _read_attachments(receipt, folder, documents)


def _read_attachments(
    receipt: Receipt, folder: Location, documents: ParsedDocuments
) -> tuple[EvidenceRun, list[Finding]]:
    findings = list(_attachment_findings(receipt, folder))
    policy, pipeline, retention, spans = None, None, None, dict[str, int]()
    try:
        policy = documents.policy((folder / "policy.yaml").read_bytes(), receipt.purpose)
        pipeline = documents.pipeline((folder / "pipeline.yaml").read_bytes())
        applied = None if receipt.retention is None else (folder / "retention.yaml").read_bytes()
        retention = policy if applied is None else documents.policy(applied, receipt.purpose)
        later = _RETENTION_PIPELINE in receipt.files
        spans = aggregate_retentions(
            documents.pipeline((folder / _RETENTION_PIPELINE).read_bytes()) if later else pipeline
        )
    except (OSError, UnreadableDocument):
        findings.append(new_finding("V010", "policy and pipeline cannot be read", file=f"{RUNS}/{folder.name}"))
    if policy is not None and (policy.name, policy.version) != (receipt.policy.name, receipt.policy.version):
        findings.append(
            new_finding("V010", "the policy has another name or version", file=f"{RUNS}/{folder.name}/policy.yaml")
        )
    return EvidenceRun(receipt, folder, policy, pipeline, retention, spans), findings


def _attachment_findings(receipt: Receipt, folder: Location) -> Iterator[Finding]:
    """Every file beside the receipt has its digest in it, and every digest its file."""
    digests = {**receipt.files, "policy.yaml": receipt.policy.digest}
    there = {str(relative_path(path, folder)): path for path in folder.rglob("*") if path.is_file()}
    del there["receipt.json"]
    for name in sorted(digests.keys() | there.keys() | {"pipeline.yaml"}):
        place = f"{RUNS}/{folder.name}/{name}"
        if name not in there:
            yield new_finding("V010", "missing", file=place)
        elif name not in digests:
            yield new_finding("V010", "its digest is not in the receipt", file=place)
        elif sha256_text(there[name].read_bytes()) != digests[name]:
            yield new_finding("V010", "another digest than the receipt says", file=place)


def _files_in_force(runs: Sequence[EvidenceRun]) -> Iterator[EvidenceFile]:
    writers = {file.path: run for run in runs for file in _written_files(run.receipt)}
    receipts = [run.receipt for run in runs]
    for name, files in {**files_in_force(receipts), QUARANTINE: quarantine_files_in_force(receipts)}.items():
        for file in files:
            yield EvidenceFile(name, file, writers[file.path])


def _written_files(receipt: Receipt) -> Iterator[ReceiptFile]:
    for output in receipt.outputs.values():
        yield from output.files
    yield from receipt.quarantine.files


def check_counts(evidence: Evidence) -> Iterator[Finding]:
    """V032, for every field of every receipt."""
    for run in evidence.runs:
        views = {} if run.policy is None else {view.key: view for view in run.policy.fields.values()}
        for key, counted in run.receipt.fields.items() if run.policy is not None else ():
            fault = _count_fault(counted, views.get(key), run.is_first)
            if fault:
                yield new_finding("V032", fault, file=run.place, field=key)


def _count_fault(counted: FieldReceipt, view: FieldView | None, first: bool) -> str | None:
    lost = counted.gated + counted.unparsable + counted.dropped
    if view is None:
        return "counts a field that the policy does not declare"
    if counted.values is None:
        return "does not count a field that is released" if view.chains else None
    if lost > counted.values or counted.changed > counted.values:
        return "more values were lost or changed than there were"
    shifts = [chain[-1].technique == "shift_dates" for chain in view.chains]
    if first and shifts and all(shifts) and counted.changed < counted.values - lost:
        return "dates were not shifted: a shift is never nothing"
    return None


def check_ledgers(evidence: Evidence) -> Iterator[Finding]:
    """V063 and V064, receipt by receipt."""
    ledger: str | None = None
    for run in evidence.runs:
        receipt = run.receipt
        named = None if receipt.audit is None else receipt.audit.ledger
        if ledger is not None and named not in (None, ledger) and receipt.kind != "adopt":
            hint = "was it run with another ledger? `minimize runs adopt-ledger` records that it is meant"
            yield new_finding("V063", "names another ledger than the receipt before", file=run.place, hint=hint)
        ledger = named or ledger
        if receipt.kind in ANNOTATING_KINDS and (
            receipt.outputs or receipt.replaces or receipt.removes or receipt.inputs or receipt.rows != RowCounts()
        ):
            yield new_finding("V064", f"a receipt of kind {receipt.kind} changes files or counts rows", file=run.place)


MANIFEST: Final = "recipient.yaml"
_FIELD_KEYS: Final = frozenset({"type", "role", "do", "row", "about", "example"})
"""What the mapping of a manifest's field may say beside its technique."""
Manifest = Mapping[Pointer, tuple[str, ...]]
"""The words of the techniques by field; none for a field that is dropped or passes through."""


def check_received(evidence: Evidence) -> Iterator[Finding]:
    """V065 and V066, receipt by receipt."""
    for run in evidence.runs:
        source = (run.pipeline or {}).get("source")
        sender = source.get("recipient") if isinstance(source, Mapping) else None
        if not run.is_first or (sender is None and run.receipt.received is None):
            continue
        yield from _received_findings(run, source if isinstance(source, Mapping) else {})


def _received_findings(run: EvidenceRun, source: Mapping[str, Any]) -> Iterator[Finding]:
    received = run.receipt.received
    said = None if received is None else (received.recipient, received.function)
    if received is None or said != (source.get("recipient"), source.get("function")):
        message = "the receipt does not say that consent was asked for what the third party of its pipeline sends"
        yield new_finding("V065", message, file=run.place)
        return
    if run.receipt.files.get(MANIFEST) != received.manifest:
        yield new_finding("V065", "the manifest beside the receipt is not the one that it names", file=run.place)
        return
    try:
        manifest = _read_manifest((run.folder / MANIFEST).read_bytes(), received.function)
    except (OSError, UnreadableDocument):
        yield new_finding("V065", "the manifest beside the receipt cannot be read", file=run.place)
        return
    policy = run.policy
    added = set() if policy is None else {policy.tenant, policy.time} - {policy.subject, policy.record}
    for pointer, policy_field in ({} if policy is None else policy.fields).items():
        own = None if pointer in added and pointer not in manifest else manifest.get(pointer, ())
        if own is not None and not all(_starts_with(chain, own) for chain in _released_chains(policy_field)):
            message = "what the third party sent is kept in a form that its manifest does not have"
            yield new_finding("V066", message, file=run.place, field=policy_field.key)


def _read_manifest(content: bytes, function: str) -> Manifest:
    """The fields of a function. Raises Unreadable."""
    try:
        fields = read_document(content)["functions"][function]["fields"]
        return {Pointer.parse(str(key)): _technique_names(raw) for key, raw in fields.items()}
    except (KeyError, TypeError, ValueError, AttributeError):
        pass
    raise UnreadableDocument


def _technique_names(raw: Any) -> tuple[str, ...]:
    whole = isinstance(raw, Mapping) and not _FIELD_KEYS.isdisjoint(raw)
    said = raw.get("do", "drop") if whole else raw
    chain = None if said == "pass_through" else read_chain(said)
    return () if chain is None else tuple(step.technique for step in chain)


def _released_chains(field: FieldView) -> list[tuple[str, ...]]:
    """The words of every chain by which something of the field may leave."""
    chains = [*field.chains, *([field.measured] if field.measured else [])]
    return [tuple(step.technique for step in chain) for chain in chains]


def _starts_with(words: Sequence[str], manifest: Sequence[str]) -> bool:
    """Whether a chain does what the manifest's does first. Keeping does nothing; without a chain nothing may leave."""
    own, first = ([word for word in chain if word != "keep"] for chain in (words, manifest))
    return bool(manifest) and own[: len(first)] == first
