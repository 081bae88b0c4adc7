"""Evidence: finding codes, the runs of an output with receipts and policies, checks of the receipts.

Finds the run that wrote each file. Checks the field counts of receipts, that they name one ledger, and the consent for
third-party data.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import PurePosixPath
from types import MappingProxyType
from typing import Any, Final

from minimize.arrow.pointers import Pointer
from minimize.checkpoints import checkpoint
from minimize.errors import Finding, KeyringError, OutputError, Severity, VerificationError
from minimize.keys import Keyring, Kms, Verifier
from minimize.receipts import (
    ANNOTATING_KINDS,
    FieldReceipt,
    Receipt,
    ReceiptFile,
    RowCounts,
    files_in_force,
    quarantine_files_in_force,
    restricted_files_in_force,
    sha256_text,
)
from minimize.receipts.receipt import imbalances
from minimize.receipts.shown_counts import SEALED_COUNTS_FILE, open_counts, shown_receipt
from minimize.stores import Location, relative_path
from minimize.text import count_noun
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
        "V001": "a receipt is missing or unreadable, or the folder is not an output",
        "V002": "the sequence of receipts has a gap or a duplicate",
        "V003": "a receipt does not contain the digest of the previous one",
        "V004": "a receipt is not signed by a known key",
        "V005": "a receipt does not balance",
        "V006": "receipts contradict each other about files",
        "V007": "a run folder without a receipt: a publication that was not finished",
        "V008": "no ledger confirms the last receipt: missing receipts at the end are not detected",
        "V009": "the ledger records another end of the chain: receipts are missing, or it is not the output's ledger",
        "V010": "a file stored with a receipt is missing or differs from the receipt",
        "V011": "a file in force is missing",
        "V012": "the digest of a file differs from its receipt",
        "V013": "the number of rows of a file differs from its receipt",
        "V014": "a file exists that no receipt put in force",
        "V015": "a partition has no _SUCCESS",
        "V016": "a file is in a place that does not match its receipt",
        "V017": "a file cannot be read as Parquet",
        "V018": "the content of a subject index differs from its file of records",
        "V019": "indexes were not checked, because only the keyring opens them",
        "V020": "a column that the policy does not declare",
        "V021": "a column that the policy drops",
        "V022": "a column that the policy keeps is missing",
        "V023": "the type of a column is not the one that its technique returns",
        "V024": "the metadata of a column differs from the policy",
        "V025": "a category is lower than its columns require",
        "V030": "values do not have the form that the technique returns",
        "V031": "values are present although a condition forbids them",
        "V032": "counts of a field in the receipt contradict the technique or the file",
        "V033": "rare values are present",
        "V034": "a hierarchy is missing or a technique has no rule, so values were not checked",
        "V035": "rows were already past their retention when they were written",
        "V036": "values were already past the retention of their feature when they were written",
        "V037": "the event time of rows was too far in the future when they were written",
        "V038": "ids of tenants or subjects are not in canonical form",
        "V040": "the columns of an aggregate differ from its definition",
        "V041": "a group has fewer subjects than allowed",
        "V042": "counts are not rounded as the aggregate requires",
        "V043": "an aggregate shows its subjects or a dropped field",
        "V044": "an aggregate has the same group twice",
        "V045": "a statistic is outside the bounds of its values",
        "V046": "groups were already past the retention of the aggregate when they were written",
        "V047": "the statistics of a measure cannot be checked, because there is no rule for it",
        "V048": "the noise of an aggregate is not the one that its pipeline defines",
        "V049": "a mean or sum with noise is not on its grid, or the two contradict each other",
        "V050": "a quarantine file does not have exactly the six required columns",
        "V051": "a quarantine file contains more than codes and pointers",
        "V052": "the counts of a quarantine file differ from its receipt",
        "V053": "a date has more releases of an aggregate than its pipeline permits",
        "V054": "an equal release of an aggregate has other bytes than before",
        "V055": "equal rows of a release have different statistics in two aggregates",
        "V056": "a roll-up is not the sums over the rows of its table",
        "V060": "a file is not encrypted as its receipt or pipeline requires",
        "V061": "encrypted columns were not checked, because their keys are not available",
        "V062": "encrypted columns could not be opened with this keyring",
        "V063": "a receipt names another ledger than the previous one, without adopting it",
        "V064": "a receipt that may only record a decision changes files or counts rows",
        "V065": "a receipt of data that consents decide on does not record their check, or lacks the manifest",
        "V066": "inbound data is kept in a form that its manifest does not have",
        "V070": "receipts before the given one, and the content of their files, were not checked",
        "V072": "the algorithm of a digest in a receipt is not known",
        "V080": "subject indexes have an earlier format, so searches read the files of records",
        "V081": "subject indexes have a format that this version does not know, and were not checked",
        "V082": "sealed counts were not checked, because only the keyring opens them",
        "V083": "sealed counts of a receipt are damaged or contradict it: restore them from a backup",
        "V090": "records miss the bound on disclosure risk that their pipeline states",
    }
)
_WARNINGS: Final = frozenset({"V007", "V008", "V019", "V038", "V061", "V070", "V080", "V081", "V082"})


def new_finding(
    code: str, message: str, *, file: str | None = None, field: str | None = None, hint: str = ""
) -> Finding:
    """A finding with the severity of its code."""
    severity: Severity = "warning" if code in _WARNINGS else "error"
    return Finding(code=code, message=message, severity=severity, hint=hint, file=file, line=None, field=field)


QUARANTINE: Final = "quarantine"
RESTRICTED: Final = "restricted"
RUNS: Final = "runs"
_RETENTION_PIPELINE: Final = "retention_pipeline.yaml"


@dataclass(frozen=True, slots=True)
class ParsedDocuments:
    """The policies and pipelines of one output, each parsed once, because most receipts have the same bytes."""

    pipelines: dict[bytes, Mapping[str, Any]] = field(default_factory=dict, repr=False)
    policies: dict[tuple[bytes, str], PolicyView] = field(default_factory=dict, repr=False)

    def pipeline(self, content: bytes) -> Mapping[str, Any]:
        """The pipeline of these bytes. Raises UnreadableDocument."""
        if content not in self.pipelines:
            self.pipelines[content] = read_document(content)
        return self.pipelines[content]

    def policy(self, content: bytes, purpose: str) -> PolicyView:
        """The policy of these bytes. Raises UnreadableDocument."""
        if (content, purpose) not in self.policies:
            checkpoint("policy.read", content)
            self.policies[content, purpose] = read_policy(content, purpose)
        return self.policies[content, purpose]


@dataclass(frozen=True, slots=True)
class EvidenceRun:
    """One receipt, its folder, and its policy and pipeline (None if they cannot be read)."""

    receipt: Receipt
    folder: Location
    policy: PolicyView | None
    pipeline: Mapping[str, Any] | None
    retention: PolicyView | None = None
    """The policy whose retention was applied; differs from `policy` if files keep the policy of their first run."""
    spans: Mapping[str, int] = field(default_factory=dict)
    """The applied retention of aggregates that have their own, in nanoseconds."""

    @property
    def is_first(self) -> bool:
        """Whether its files were made from a source, not from published files."""
        return self.receipt.kind in ("run", "replay") or self.receipt.from_ == "source"

    @property
    def limits_future(self) -> bool:
        """Whether event times were limited when the source was read. Older versions, whose receipts name no ledger, did not
        limit them."""
        return self.is_first and self.receipt.audit is not None and self.receipt.audit.ledger is not None

    @property
    def place(self) -> str:
        """The receipt's path, relative to the output folder."""
        return f"{RUNS}/{self.folder.name}/receipt.json"


@dataclass(frozen=True, slots=True)
class EvidenceFile:
    """One file in force, its output's name, and the run that wrote it."""

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
        """The names of the columns in its path."""
        parts = PurePosixPath(self.file.path).parts[1:-1]
        return frozenset(part.partition("=")[0] for part in parts if "=" in part and not part.startswith("date="))


@dataclass(frozen=True, slots=True)
class Evidence:
    """All data that a verification checks."""

    output: Location
    runs: tuple[EvidenceRun, ...]
    """The receipts to check, with their attachments."""
    files: tuple[EvidenceFile, ...]
    """The files in force that one of these receipts wrote."""
    names: frozenset[str]
    findings: tuple[Finding, ...]
    kms: Kms | None = None
    """The KMS that holds the master keys of encrypted files; None if none is configured."""
    is_output: bool = True
    """Whether the folder is an output. If not, there is nothing to check."""
    earlier: tuple[Receipt, ...] = ()
    """The receipts before these, which are read but not checked."""
    earlier_files: tuple[EvidenceFile, ...] = ()
    """The files in force that an earlier receipt wrote; only their presence is checked."""
    restricted: tuple[EvidenceFile, ...] = ()
    """The sealed files with the records of restricted subjects."""

    @property
    def receipts(self) -> tuple[Receipt, ...]:
        """The receipts to check, by sequence."""
        return tuple(run.receipt for run in self.runs)

    @property
    def history(self) -> tuple[Receipt, ...]:
        """All receipts, by sequence."""
        return (*self.earlier, *self.receipts)


def gather_evidence(output: Location, kms: Kms | None = None, *, first: int = 1) -> Evidence:
    """Collect the evidence in an output folder. `first` is the sequence of the first receipt to check.

    Raises OutputError if the folder does not exist.
    """
    if not output.is_dir():
        raise OutputError(f"{output}: the output folder does not exist", hint="Check the path.")
    if not (output / RUNS).is_dir():
        return Evidence(
            output=output,
            runs=(),
            files=(),
            names=frozenset(),
            findings=(_no_output_finding(output),),
            kms=kms,
            is_output=False,
        )
    documents = ParsedDocuments()
    read = [_read_run(folder, documents, first) for folder in _run_folders(output / RUNS)]
    all_runs = sorted((run for run, _ in read if run is not None), key=lambda run: run.receipt.sequence)
    findings = [finding for _, findings in read for finding in findings]
    runs = tuple(run for run in all_runs if run.receipt.sequence >= first)
    if not all_runs:
        findings.append(new_finding("V001", "the output has no readable receipt", file=RUNS))
    elif not runs:
        findings.append(
            new_finding(
                "V001", f"there is no receipt with number {first} or higher: the last one is {len(all_runs)}", file=RUNS
            )
        )
    names = frozenset(files_in_force(run.receipt for run in all_runs)) | {QUARANTINE}
    in_force = list(_files_in_force(all_runs))
    return Evidence(
        output=output,
        runs=runs,
        files=tuple(each for each in in_force if each.run.receipt.sequence >= first),
        names=names,
        findings=tuple(findings),
        kms=kms,
        earlier=tuple(run.receipt for run in all_runs if run.receipt.sequence < first),
        earlier_files=tuple(each for each in in_force if each.run.receipt.sequence < first),
        restricted=tuple(_restricted_files(all_runs)),
    )


def _restricted_files(runs: Sequence[EvidenceRun]) -> Iterator[EvidenceFile]:
    runs_by_path = {file.path: run for run in runs for file in run.receipt.restricted or ()}
    for file in restricted_files_in_force(run.receipt for run in runs):
        yield EvidenceFile(RESTRICTED, file, runs_by_path[file.path])


def _no_output_finding(folder: Location) -> Finding:
    hint = f"Pass the folder that contains `{RUNS}`. If `{RUNS}` was removed, restore it."
    if (folder / "pipeline.yaml").is_file():
        hint = "This is a pipeline. Pass the folder of its `output`."
    return new_finding("V001", "the folder is not an output", hint=hint)


def _run_folders(runs: Location) -> list[Location]:
    entries: list[Location] = [*runs.iterdir()] if runs.is_dir() else []
    return sorted((each for each in entries if each.is_dir()), key=str)


def _read_run(folder: Location, documents: ParsedDocuments, first: int) -> tuple[EvidenceRun | None, list[Finding]]:
    path = folder / "receipt.json"
    place = f"{RUNS}/{folder.name}/receipt.json"
    if not path.is_file():
        return None, [new_finding("V007", "the run has no receipt, so its publication was not finished", file=place)]
    try:
        receipt = Receipt.from_json(path.read_bytes())
    except (OutputError, OSError):
        return None, [new_finding("V001", "the receipt cannot be read", file=place)]
    if receipt.run_id != folder.name:
        return None, [new_finding("V001", "the receipt belongs to another run", file=place)]
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
    return EvidenceRun(
        receipt=receipt, folder=folder, policy=policy, pipeline=pipeline, retention=retention, spans=spans
    ), findings


def _attachment_findings(receipt: Receipt, folder: Location) -> Iterator[Finding]:
    """V010: each file stored with the receipt has its digest there, and each digest has its file."""
    digests = {**receipt.files, "policy.yaml": receipt.policy.digest}
    paths_by_name = {str(relative_path(path, folder)): path for path in folder.rglob("*") if path.is_file()}
    del paths_by_name["receipt.json"]
    for name in sorted(digests.keys() | paths_by_name.keys() | {"pipeline.yaml"}):
        place = f"{RUNS}/{folder.name}/{name}"
        if name not in paths_by_name:
            yield new_finding("V010", "missing", file=place)
        elif name not in digests:
            yield new_finding("V010", "the receipt does not contain the digest of the file", file=place)
        elif sha256_text(paths_by_name[name].read_bytes()) != digests[name]:
            yield new_finding("V010", "the digest differs from the receipt", file=place)


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


def check_sealed_counts(evidence: Evidence, verifier: Verifier) -> Iterator[Finding]:
    """V005, V032 and V083 for the sealed counts of every receipt; V082 if they cannot be opened with this key."""
    unopened, exact = 0, dict[str, Receipt]()
    for run in evidence.runs:
        name = SEALED_COUNTS_FILE
        if name not in run.receipt.files:
            continue
        path = f"{RUNS}/{run.folder.name}/{name}"
        if not isinstance(verifier, Keyring):
            unopened += 1
            continue
        try:
            content = (run.folder / name).read_bytes()
            receipt = exact[run.receipt.run_id] = open_counts(run.receipt, content, verifier)
        except KeyringError:
            unopened += 1
        except (OSError, VerificationError):
            yield new_finding("V083", "the sealed counts cannot be opened as those of the receipt", file=path)
        else:
            yield from (new_finding("V005", f"does not balance: {fault}", file=path) for fault in imbalances(receipt))
            if run.is_first and shown_receipt(receipt).to_json() != _unsigned_json(run.receipt):
                yield new_finding("V083", "the receipt shows other counts than its sealed counts allow", file=run.place)
    yield from check_counts(evidence, exact)
    if unopened:
        message = f"the sealed counts of {count_noun(unopened, 'receipt')} were not checked"
        yield new_finding("V082", message, hint="Verify with the keyring: pass --keys FILE.")


def _unsigned_json(receipt: Receipt) -> dict[str, Any]:
    return replace(receipt, signature=None).to_json()


def check_counts(evidence: Evidence, exact: Mapping[str, Receipt] = MappingProxyType({})) -> Iterator[Finding]:
    """V032, for every field of every receipt. Takes the receipts with their exact counts, by run, where these are sealed."""
    for run in evidence.runs:
        views = {} if run.policy is None else {view.key: view for view in run.policy.fields.values()}
        receipt = exact.get(run.receipt.run_id, run.receipt)
        for key, counted in receipt.fields.items() if run.policy is not None else ():
            fault = _count_fault(counted, views.get(key), run.is_first)
            if fault:
                yield new_finding("V032", fault, file=run.place, field=key)


def _count_fault(counted: FieldReceipt, view: FieldView | None, first: bool) -> str | None:
    if view is None:
        return "the receipt counts a field that the policy does not declare"
    if counted.changed is None:  # sealed
        return None
    lost = (counted.gated or 0) + (counted.unparsable or 0) + (counted.dropped or 0)
    if counted.values is None:
        return "the receipt does not count a released field" if view.chains else None
    if lost > counted.values or counted.changed > counted.values:
        return "the receipt counts more lost or changed values than values"
    shifts = [chain[-1].technique == "shift_dates" for chain in view.chains]
    if first and shifts and all(shifts) and counted.changed < counted.values - lost:
        return "dates were not shifted, although a shift is never zero"
    return None


def check_ledgers(evidence: Evidence) -> Iterator[Finding]:
    """V063 and V064, receipt by receipt."""
    ledger: str | None = None
    for run in evidence.runs:
        receipt = run.receipt
        named = None if receipt.audit is None else receipt.audit.ledger
        if ledger is not None and named not in (None, ledger) and receipt.kind != "adopt":
            hint = "Check the configured ledger. If the change is intended, run `minimize runs adopt-ledger`."
            yield new_finding(
                "V063", "the receipt names another ledger than the previous one", file=run.place, hint=hint
            )
        ledger = named or ledger
        if receipt.kind in ANNOTATING_KINDS and (
            receipt.outputs or receipt.replaces or receipt.removes or receipt.inputs or receipt.rows != RowCounts()
        ):
            yield new_finding("V064", f"a receipt of kind {receipt.kind} changes files or counts rows", file=run.place)


MANIFEST: Final = "recipient.yaml"
_FIELD_KEYS: Final = frozenset({"type", "role", "do", "row", "about", "example"})
"""Keys of a field in a manifest other than its technique."""
Manifest = Mapping[Pointer, tuple[str, ...]]
"""Names of the techniques by field; empty for a field that is dropped or passed through."""


def check_received(evidence: Evidence) -> Iterator[Finding]:
    """V065 and V066, receipt by receipt."""
    for run in evidence.runs:
        source = (run.pipeline or {}).get("source")
        named = dict(source) if isinstance(source, Mapping) else {}
        recorded = (run.receipt.received, run.receipt.only_for)
        if not run.is_first or (recorded == (None, None) and not {"recipient", "only_for"} & named.keys()):
            continue
        yield from _deciding_function_findings(run, named)


def _deciding_function_findings(run: EvidenceRun, source: Mapping[str, Any]) -> Iterator[Finding]:
    received, only_for = run.receipt.received, run.receipt.only_for
    recorded = received or only_for
    entries = [(each.recipient, each.function, each is only_for) for each in (received, only_for) if each is not None]
    if recorded is None or entries != [_named_function(source)]:
        message = "the receipt does not record the check of consents for the function that its pipeline's source names"
        yield new_finding("V065", message, file=run.place)
        return
    if run.receipt.files.get(MANIFEST) != recorded.manifest:
        yield new_finding(
            "V065", "the manifest stored with the receipt is not the one that the receipt names", file=run.place
        )
        return
    if received is None:
        return
    try:
        manifest = _read_manifest((run.folder / MANIFEST).read_bytes(), received.function)
    except (OSError, UnreadableDocument):
        yield new_finding("V065", "the manifest stored with the receipt cannot be read", file=run.place)
        return
    policy = run.policy
    added = set() if policy is None else {policy.tenant, policy.time} - {policy.subject, policy.record}
    for pointer, policy_field in ({} if policy is None else policy.fields).items():
        manifest_chain = None if pointer in added and pointer not in manifest else manifest.get(pointer, ())
        if manifest_chain is not None and not all(
            _starts_with(chain, manifest_chain) for chain in _released_chains(policy_field)
        ):
            message = "the field is kept in a form that the manifest of its sender does not have"
            yield new_finding("V066", message, file=run.place, field=policy_field.key)


def _named_function(source: Mapping[str, Any]) -> tuple[Any, Any, bool]:
    """The recipient and function that the source of a pipeline names, and whether the records are collected for it."""
    if "only_for" in source:
        recipient, _, function = str(source["only_for"]).partition(".")
        return recipient, function, True
    return source.get("recipient"), source.get("function"), False


def _read_manifest(content: bytes, function: str) -> Manifest:
    """The fields of a function in a manifest. Raises UnreadableDocument."""
    try:
        fields = read_document(content)["functions"][function]["fields"]
        return {Pointer.parse(str(key)): _technique_names(raw) for key, raw in fields.items()}
    except (KeyError, TypeError, ValueError, AttributeError):
        pass
    raise UnreadableDocument


def _technique_names(raw: Any) -> tuple[str, ...]:
    whole = isinstance(raw, Mapping) and not _FIELD_KEYS.isdisjoint(raw)
    treatment = raw.get("do", "drop") if whole else raw
    chain = None if treatment == "pass_through" else read_chain(treatment)
    return () if chain is None else tuple(step.technique for step in chain)


def _released_chains(field: FieldView) -> list[tuple[str, ...]]:
    """Names of the techniques of each chain that can release the field."""
    chains = [*field.chains, *([field.measured] if field.measured else [])]
    return [tuple(step.technique for step in chain) for chain in chains]


def _starts_with(words: Sequence[str], manifest: Sequence[str]) -> bool:
    """Whether a chain begins with the manifest's chain. `keep` is ignored; without a chain nothing may be released."""
    chain_words, first = ([word for word in chain if word != "keep"] for chain in (words, manifest))
    return bool(manifest) and chain_words[: len(first)] == first
