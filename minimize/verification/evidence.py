"""Evidence: the runs of an output folder with their receipts and policies, and which run wrote which file."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Any, Final

from minimize.errors import Finding, OutputError
from minimize.keys import Kms
from minimize.receipts import (
    FileRef,
    Receipt,
    ReceiptFile,
    files_in_force,
    quarantine_files_in_force,
    retained_sketches,
    sha256_text,
)
from minimize.stores import Location, relative_path
from minimize.verification.findings import new_finding
from minimize.verification.policy_reading import (
    PolicyView,
    UnreadableDocument,
    aggregate_retentions,
    read_document,
    read_policy,
)

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
