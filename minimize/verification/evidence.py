"""What an output folder says about itself: its runs, their receipts and policies, and who wrote which file."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Any, Final

from minimize.errors import Finding, OutputError
from minimize.keys import Kms
from minimize.receipt import FileRef, OutputFile, Receipt, in_force, kept_sketches, quarantine_in_force, sha256_text
from minimize.stores import Place, relative
from minimize.verification.codes import found
from minimize.verification.policy import PolicyView, Unreadable, document, own_retentions, policy_view

QUARANTINE: Final = "quarantine"
RUNS: Final = "runs"
_PIPELINE_OF_TODAY: Final = "retention_pipeline.yaml"


@dataclass(frozen=True, slots=True)
class Documents:
    """The policies and pipelines of one output, each parsed once: most receipts carry the same bytes."""

    pipelines: dict[bytes, Mapping[str, Any]] = field(default_factory=dict, repr=False)
    policies: dict[tuple[bytes, str], PolicyView] = field(default_factory=dict, repr=False)

    def pipeline(self, content: bytes) -> Mapping[str, Any]:
        """The pipeline of these bytes. Raises Unreadable."""
        if content not in self.pipelines:
            self.pipelines[content] = document(content)
        return self.pipelines[content]

    def policy(self, content: bytes, purpose: str) -> PolicyView:
        """The policy of these bytes. Raises Unreadable."""
        if (content, purpose) not in self.policies:
            self.policies[content, purpose] = policy_view(content, purpose)
        return self.policies[content, purpose]


@dataclass(frozen=True, slots=True)
class Run:
    """One receipt, its folder, and what its policy and pipeline say (None where they cannot be read).

    retention  the policy whose retention was applied: another than `policy` where files keep the one they were written under
    spans      the retention of aggregates that have one of their own, in nanoseconds, as it was applied
    """

    receipt: Receipt
    folder: Place
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
class Standing:
    """One file of the set in force, under its output's name, and the run that wrote it."""

    name: str
    file: OutputFile
    run: Run

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
    standing  the files in force that one of these receipts wrote
    earlier   the receipts before these, which are read and not checked
    kept      the files in force that an earlier receipt wrote: only that they are there is checked
    sketches  files that are gone, whose sketches are in force, with the run that removed them
    """

    output: Place
    runs: tuple[Run, ...]
    standing: tuple[Standing, ...]
    names: frozenset[str]
    findings: tuple[Finding, ...]
    kms: Kms | None = None
    """Who keeps the master keys of encrypted files; None where nobody was named."""
    is_output: bool = True
    """Whether anything was ever published here: else there is nothing to check."""
    earlier: tuple[Receipt, ...] = ()
    kept: tuple[Standing, ...] = ()
    sketches: tuple[Standing, ...] = ()

    @property
    def receipts(self) -> tuple[Receipt, ...]:
        """The receipts that are checked, by sequence."""
        return tuple(run.receipt for run in self.runs)

    @property
    def history(self) -> tuple[Receipt, ...]:
        """All receipts, by sequence."""
        return (*self.earlier, *self.receipts)


def gather(output: Place, kms: Kms | None = None, *, first: int = 1) -> Evidence:
    """What the folder holds; `first` is the sequence of the first receipt that is checked.

    Raises OutputError where there is no folder.
    """
    if not output.is_dir():
        raise OutputError(f"there is no output folder {output}")
    if not (output / RUNS).is_dir():
        return Evidence(output, (), (), frozenset(), (_no_output(output),), kms, is_output=False)
    documents = Documents()
    read = [_run(folder, documents, first) for folder in _folders(output / RUNS)]
    every = sorted((run for run, _ in read if run is not None), key=lambda run: run.receipt.sequence)
    findings = [finding for _, findings in read for finding in findings]
    runs = tuple(run for run in every if run.receipt.sequence >= first)
    if not every:
        findings.append(found("V001", "no receipt is here that can be read", file=RUNS))
    elif not runs:
        findings.append(found("V001", f"there is no receipt from {first} on: the last is {len(every)}", file=RUNS))
    names = frozenset(in_force(run.receipt for run in every)) | {QUARANTINE}
    standing = list(_standing(every))
    return Evidence(
        output,
        runs,
        tuple(each for each in standing if each.run.receipt.sequence >= first),
        names,
        tuple(findings),
        kms,
        earlier=tuple(run.receipt for run in every if run.receipt.sequence < first),
        kept=tuple(each for each in standing if each.run.receipt.sequence < first),
        sketches=tuple(_without_files(every)),
    )


def _without_files(runs: Sequence[Run]) -> Iterator[Standing]:
    by = {each.path: run for run in runs for each in run.receipt.kept_sketches or ()}
    for each in kept_sketches(run.receipt for run in runs):
        file = OutputFile(each.of, 0, "", sketches=FileRef(each.path, each.digest))
        yield Standing(PurePosixPath(each.of).parts[0], file, by[each.path])


def _no_output(folder: Place) -> Finding:
    hint = f"name the folder that holds `{RUNS}`; where that was removed, put it back"
    if (folder / "pipeline.yaml").is_file():
        hint = "this is a pipeline: name the folder of its `output`"
    return found("V001", "no output of minimize stands here", hint=hint)


def _folders(runs: Place) -> list[Place]:
    found: list[Place] = [*runs.iterdir()] if runs.is_dir() else []
    return sorted((each for each in found if each.is_dir()), key=str)


def _run(folder: Place, documents: Documents, first: int) -> tuple[Run | None, list[Finding]]:
    path = folder / "receipt.json"
    place = f"{RUNS}/{folder.name}/receipt.json"
    if not path.is_file():
        return None, [found("V007", "no receipt: a publication was not finished here", file=place)]
    try:
        receipt = Receipt.from_json(path.read_bytes())
    except (OutputError, OSError):
        return None, [found("V001", "the receipt cannot be read", file=place)]
    if receipt.run_id != folder.name:
        return None, [found("V001", "the receipt is that of another run", file=place)]
    if receipt.sequence < first:
        return Run(receipt, folder, None, None), []
    return _with_files(receipt, folder, documents)


def _with_files(receipt: Receipt, folder: Place, documents: Documents) -> tuple[Run, list[Finding]]:
    findings = list(_attachments(receipt, folder))
    policy, pipeline, retention, spans = None, None, None, dict[str, int]()
    try:
        policy = documents.policy((folder / "policy.yaml").read_bytes(), receipt.purpose)
        pipeline = documents.pipeline((folder / "pipeline.yaml").read_bytes())
        applied = None if receipt.retention is None else (folder / "retention.yaml").read_bytes()
        retention = policy if applied is None else documents.policy(applied, receipt.purpose)
        later = _PIPELINE_OF_TODAY in receipt.files
        spans = own_retentions(documents.pipeline((folder / _PIPELINE_OF_TODAY).read_bytes()) if later else pipeline)
    except (OSError, Unreadable):
        findings.append(found("V010", "policy and pipeline cannot be read", file=f"{RUNS}/{folder.name}"))
    if policy is not None and (policy.name, policy.version) != (receipt.policy.name, receipt.policy.version):
        findings.append(
            found("V010", "the policy has another name or version", file=f"{RUNS}/{folder.name}/policy.yaml")
        )
    return Run(receipt, folder, policy, pipeline, retention, spans), findings


def _attachments(receipt: Receipt, folder: Place) -> Iterator[Finding]:
    """Every file beside the receipt has its digest in it, and every digest its file."""
    digests = {**receipt.files, "policy.yaml": receipt.policy.digest}
    there = {str(relative(path, folder)): path for path in folder.rglob("*") if path.is_file()}
    del there["receipt.json"]
    for name in sorted(digests.keys() | there.keys() | {"pipeline.yaml"}):
        place = f"{RUNS}/{folder.name}/{name}"
        if name not in there:
            yield found("V010", "missing", file=place)
        elif name not in digests:
            yield found("V010", "its digest is not in the receipt", file=place)
        elif sha256_text(there[name].read_bytes()) != digests[name]:
            yield found("V010", "another digest than the receipt says", file=place)


def _standing(runs: Sequence[Run]) -> Iterator[Standing]:
    writers = {file.path: run for run in runs for file in _written(run.receipt)}
    receipts = [run.receipt for run in runs]
    for name, files in {**in_force(receipts), QUARANTINE: quarantine_in_force(receipts)}.items():
        for file in files:
            yield Standing(name, file, writers[file.path])


def _written(receipt: Receipt) -> Iterator[OutputFile]:
    for output in receipt.outputs.values():
        yield from output.files
    yield from receipt.quarantine.files
