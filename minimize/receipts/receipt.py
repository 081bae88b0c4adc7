"""Receipt of one change to an output: counts, digests and key ids; no values.

In this order: the balance of its numbers; the summary as text and HTML tables; the receipt, its JSON and its signature.
"""

from __future__ import annotations

import base64
import binascii
import copy
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, fields, replace
from functools import cached_property, lru_cache
from typing import Annotated, Any, Final, Literal, Self

from pydantic import AwareDatetime, TypeAdapter, ValidationError
from pydantic import Field as Alias

from minimize.errors import CheckFailed, OutputError, VerificationError
from minimize.keys import Verifier
from minimize.keys.cryptography import Signer, sign_as_text
from minimize.pages import Table, html_fragment
from minimize.receipts.parts import (
    AuditHead,
    BackfillRef,
    CompanionFile,
    DecidingFunctionReceipt,
    DigestRef,
    FieldReceipt,
    GatedRows,
    InputFile,
    LedgerAdoption,
    PolicyRef,
    QuarantineEntry,
    ReceiptFile,
    ReceiptKind,
    RegionRef,
    RetractionSource,
    RiskEntry,
    RowCounts,
    RunOrigin,
    Signature,
    WrittenOutput,
    canonical_json,
    sha256_text,
)
from minimize.records import RECORDS, FileRef
from minimize.results import OMIT_IF_NONE, json_object
from minimize.text import brief_number, count_noun, format_number, json_text, labelled_lines


def imbalances(receipt: Receipt) -> list[str]:
    """The numbers that do not balance, in words and counts; empty if all do. Sealed counts are not checked."""
    return [f"{what}: {first} is not {second}" for what, first, second in _equations(receipt) if first != second] + [
        f"{what} is below zero" for what, count in _all_counts(receipt) if count < 0
    ]


def _equations(receipt: Receipt) -> Iterator[tuple[str, int, int]]:
    quarantine = receipt.quarantine
    if not receipt.rows.is_sealed:
        yield from _row_equations(receipt)
    yield "quarantine.rows and by_code", quarantine.rows, sum(quarantine.by_code.values())
    if quarantine.files:
        yield "quarantine.rows and its files", quarantine.rows, sum(file.rows for file in quarantine.files)
    for name, output in receipt.outputs.items():
        yield f"the rows of {name} and its files", output.rows, sum(file.rows for file in output.files)


def _row_equations(receipt: Receipt) -> Iterator[tuple[str, int, int]]:
    rows = receipt.rows.by_result
    yield (
        "rows.read and the sum of written, gated and other rows",
        rows["read"],
        sum(rows.get(name, 0) for name in _OUTCOMES),
    )
    yield "rows.gated and gated_by", rows.get("gated", 0), sum(receipt.gated_by.reasons.values())
    yield "rows.quarantined and quarantine.rows", rows.get("quarantined", 0), receipt.quarantine.rows
    if "records" in receipt.outputs:
        yield "rows.written and the records output", rows["written"], receipt.outputs["records"].rows
    if receipt.inputs:
        yield "rows.read and the inputs", rows["read"], sum(each.rows or 0 for each in receipt.inputs)


def _all_counts(receipt: Receipt) -> Iterator[tuple[str, int]]:
    for name, count in receipt.rows.by_result.items():
        yield f"rows.{name}", count
    for name, count in receipt.gated_by.reasons.items():
        yield f"gated_by.{name}", count
    for code, count in receipt.quarantine.by_code.items():
        yield f"quarantine.by_code.{code}", count


_OUTCOMES = ("written", "gated", "quarantined", "suppressed", "deduplicated")
_LABEL_WIDTH = 24
_SUMMARY_WIDTH = 100
FIGURES_UNCHANGED = "published tables do not change when records are removed; they end with their retention"
"""Why a table keeps its statistics although records that they count were removed."""
_ALREADY_RELEASED = (
    "statistics of a date are published a limited number of times, exact ones once; later data are not in them"
)
"""Why a run keeps a table."""


def receipt_summary(receipt: Receipt, width: int = _SUMMARY_WIDTH) -> str:
    """The change as lines of text, without a final newline: what was dropped, gated, transformed, suppressed."""
    return "\n".join([_title(receipt), *labelled_lines(_summary_lines(receipt), _LABEL_WIDTH, width)])


def receipt_html(receipt: Receipt) -> str:
    """The change as HTML tables; all texts are escaped."""
    return html_fragment(
        _title(receipt),
        Table(
            "rows",
            tuple(receipt.rows.by_result),
            [[format_number(count) for count in receipt.rows.by_result.values()]],
            numbers=0,
        ),
        Table(
            "reasons and undeclared fields",
            ("", "rows"),
            [[what, format_number(n)] for what, n in _row_causes(receipt)],
            numbers=1,
        ),
        Table(
            "fields",
            ("field", "did", "values", "changed", "gated", "unparsable", "dropped"),
            [[name, *_field_cells(field)] for name, field in receipt.fields.items()],
            numbers=2,
        ),
        Table(
            "outputs",
            ("output", "category", "rows", "files"),
            [[name, *_output_cells(output)] for name, output in receipt.outputs.items()],
            numbers=2,
        ),
    )


def _title(receipt: Receipt) -> str:
    dates = f" for {', '.join(receipt.dates)}" if receipt.dates else ""
    return f"{receipt.pipeline}: {receipt.kind} {receipt.run_id}{dates}, purpose {receipt.purpose}"


def _summary_lines(receipt: Receipt) -> Iterable[tuple[str, str]]:
    yield "rows", _rows_text(receipt.rows)
    yield "rows gated by", _named_counts(_gate_reasons(receipt))
    yield "quarantined as", _named_counts(receipt.quarantine.by_code.items())
    fields = receipt.fields
    outputs = {name: receipt.outputs_of(name) for name in fields}
    recorded = {name: field for name, field in fields.items() if RECORDS in outputs[name]}
    yield "dropped", ", ".join(name for name, names in outputs.items() if not names)
    yield (
        "only in statistics",
        ", ".join(
            f"{name} ({', '.join(statistics)})"
            for name, statistics in outputs.items()
            if statistics and name not in recorded
        ),
    )
    yield "undeclared, dropped", _named_counts(receipt.undeclared.items())
    yield "values gated", _field_counts(fields, "gated")
    yield "values dropped by case", _field_counts(fields, "dropped")
    yield (
        "transformed",
        ", ".join(
            f"{name} ({_techniques_text(field)})"
            for name, field in recorded.items()
            if field.is_treated and not field.is_unchanged
        ),
    )
    unchanged = ((name, field) for name, field in recorded.items() if field.is_unchanged)
    yield "treated, but unchanged", ", ".join(f"{name} ({_techniques_text(field)})" for name, field in unchanged)
    yield "could not be treated", _field_counts(fields, "unparsable")
    yield "kept as they are", ", ".join(name for name, field in recorded.items() if field.did == "keep")
    yield "lint errors allowed", ", ".join(receipt.allowed or ())
    for name, output in receipt.outputs.items():
        yield name, _output_line(output)
    if receipt.risk is not None:
        yield "disclosure risk", risk_text(receipt.risk)
    why = _ALREADY_RELEASED if receipt.reads_source else FIGURES_UNCHANGED
    for name, dates in (receipt.stays or {}).items():
        yield name, f"keeps statistics for {', '.join(dates) or 'all'}: {why}"


def risk_text(risk: RiskEntry) -> str:
    """The measured risk in words. For example: "k 12, l 3, t 0.21; 14 records suppressed"."""
    if risk.k is None:
        return "no records"
    measures = {"k": risk.k, "l": risk.l, "t": risk.t, **(risk.measures or {})}
    text = ", ".join(f"{name} {brief_number(value)}" for name, value in measures.items() if value is not None)
    text += f"; {count_noun(risk.suppressed, 'record')} suppressed" if risk.suppressed else ""
    if risk.levels:
        text += "; levels " + ", ".join(f"{name} {level}" for name, level in risk.levels.items())
    if risk.loss is not None:
        text += f"; loss {brief_number(risk.loss)}"
        text += "" if risk.lower_bound is None else f", at least {brief_number(risk.lower_bound)}"
    return text


def _rows_text(rows: RowCounts) -> str:
    if rows.is_sealed:
        return f"about {format_number(rows.read)} read; the exact counts are sealed, because they would reveal small groups"
    counts = {name: rows.by_result.get(name, 0) for name in _OUTCOMES}
    results = " + ".join(
        f"{format_number(count)} {name}" for name, count in counts.items() if count or name == "written"
    )
    return f"{format_number(rows.read)} read = {results}"


def _field_counts(fields: Mapping[str, FieldReceipt], what: str) -> str:
    counts = [(name, getattr(field, what), field.values) for name, field in fields.items()]
    return ", ".join(
        f"{name} {format_number(count)} of {format_number(values or 0)}" for name, count, values in counts if count
    )


def _gate_reasons(receipt: Receipt) -> list[tuple[str, int]]:
    return list(receipt.gated_by.reasons.items())


def _row_causes(receipt: Receipt) -> Iterable[tuple[str, int]]:
    yield from ((f"gated by {name}", count) for name, count in _gate_reasons(receipt) if count)
    yield from ((f"quarantined as {code}", count) for code, count in receipt.quarantine.by_code.items())
    yield from ((f"undeclared {name}, dropped", count) for name, count in receipt.undeclared.items())


def _named_counts(counts: Iterable[tuple[str, int]]) -> str:
    return ", ".join(f"{name} {format_number(count)}" for name, count in counts if count)


def _output_line(output: WrittenOutput) -> str:
    text = f"{count_noun(output.rows, 'row')} in {count_noun(len(output.files), 'file')}, {output.category}"
    text += ", with noise" if output.noise is not None else ", exact" if output.exact_of is not None else ""
    return text + (f"; {format_number(output.too_late)} too late" if output.too_late else "")


def _techniques_text(field: FieldReceipt) -> str:
    return field.did if isinstance(field.did, str) else " → ".join(field.did)


def _field_cells(field: FieldReceipt) -> list[str]:
    values = "not counted" if field.values is None else format_number(field.values)
    counts = (field.changed, field.gated, field.unparsable, field.dropped)
    if field.is_sealed:
        return [_techniques_text(field), *["sealed"] * (1 + len(counts))]
    return [_techniques_text(field), values, *("" if count is None else format_number(count) for count in counts)]


def _output_cells(output: WrittenOutput) -> list[str]:
    return [output.category, format_number(output.rows), format_number(len(output.files))]


RECEIPT_FORMAT: Final = 1


_SIGNATURE_KEYS: Final = {part.name for part in fields(Signature)}
"""The only keys of a signature, which is the one part that is not signed."""


@dataclass(frozen=True, kw_only=True, repr=False)
class Receipt:
    """The signed record of one change to an output: a run, an expiry, a correction, a deletion and so on.

    It has counts, digests and names, and no value of a record. `run` returns one, and `runs/RUN_ID/receipt.json` has the same.
    Print it for a summary; a notebook shows it as a table.

    Example:
        In the folder that `minimize sample demo --out demo` makes:

        >>> import minimize
        >>> receipt = minimize.run("pipelines/device_telemetry", date=day)
        >>> receipt.kind, receipt.pipeline, "records" in receipt.outputs
        ('run', 'device_telemetry', True)
        >>> receipt.fields["device_id"].did
        'pseudonymize'
    """

    receipt: Literal[1] = RECEIPT_FORMAT
    """The version of the format."""
    kind: ReceiptKind = "run"
    """What changed the output: `run`, `expire`, `retract`, `delete` and so on."""
    run_id: str
    """The id of the change, and the name of its folder below `runs/`."""
    sequence: int
    """1 for the first receipt of an output, then ascending without gaps."""
    previous: str | None = None
    """The digest of the previous receipt; None for the first."""
    pipeline: str
    """The name of the pipeline."""
    purpose: str
    """The purpose."""
    engine: str
    """The engine, `local` or `spark`."""
    at: AwareDatetime
    """The time of the change, in UTC, as of which settings, retention and ages were decided."""
    at_given: bool = False
    """Whether the caller named that time."""
    started: AwareDatetime
    """When the change began, in UTC."""
    finished: AwareDatetime
    """When it was ready to publish, in UTC."""
    dates: tuple[str, ...] = ()
    """The batch dates (YYYY-MM-DD); empty for a source without dates."""
    policy: PolicyRef
    """Name, version and digest of the policy."""
    plan: DigestRef
    """The digest of the plan's canonical form."""
    settings: DigestRef | None = None
    """The digest of the collection settings; None without settings."""
    keys: tuple[str, ...] = ()
    """The ids of the keys that were used, such as `device/1`."""
    versions: Mapping[str, str] = field(default_factory=dict)
    """The versions of minimize, Python and the libraries."""
    inputs: tuple[InputFile, ...] = ()
    """The files that were read, with their digests."""
    rows: RowCounts = field(default_factory=RowCounts)
    """The rows read, by result."""
    gated_by: GatedRows = field(default_factory=GatedRows)
    """The rows that may not be collected, by reason."""
    fields: Mapping[str, FieldReceipt] = field(default_factory=dict)
    """What was done with each field of the policy, with counts of values."""
    undeclared: Mapping[str, int] = field(default_factory=dict)
    """The fields that the policy does not name and that were dropped, with the number of their values."""
    outputs: Mapping[str, WrittenOutput] = field(default_factory=dict)
    """The published outputs by name: category, rows, files."""
    replaces: tuple[FileRef, ...] = ()
    """Files that the files of this receipt replace."""
    removes: tuple[FileRef, ...] = ()
    """Files that were removed without a replacement."""
    quarantine: QuarantineEntry = field(default_factory=QuarantineEntry)
    """The quarantined rows by code, and their files."""
    skipped: Mapping[str, str] | None = field(default=None, metadata=OMIT_IF_NONE)
    """Batch dates that were skipped, with reasons (`shrunk`: files that were read earlier are missing; `stopped`: too much in
    quarantine; the guide lists them all)."""
    backfill: BackfillRef | None = field(default=None, metadata=OMIT_IF_NONE)
    """The backfill that the run was part of."""
    risk: RiskEntry | None = field(default=None, metadata=OMIT_IF_NONE)
    """The measured disclosure risk of the records; absent for a pipeline that does not bound it."""
    retention: PolicyRef | None = field(default=None, metadata=OMIT_IF_NONE)
    """The policy whose retention was applied, if files keep the policy under which they were written."""
    stays: Mapping[str, tuple[str, ...]] | None = field(default=None, metadata=OMIT_IF_NONE)
    """Aggregates that are unchanged although records that they count were removed: per name the dates."""
    kept_sketches: tuple[CompanionFile, ...] | None = field(default=None, metadata=OMIT_IF_NONE)
    """Sketches whose files this change removes; earlier versions only."""
    key_checks: Mapping[str, str] | None = field(default=None, metadata=OMIT_IF_NONE)
    """The check value of each key of techniques and of the subject index, to notice another key with its id."""
    restricted: tuple[ReceiptFile, ...] | None = field(default=None, metadata=OMIT_IF_NONE)
    """The sealed files with the records of restricted subjects that this change removed from the data roots."""
    from_: Annotated[RetractionSource | None, Alias(alias="from")] = field(default=None, metadata=OMIT_IF_NONE)
    """The origin of the rows of a retraction (`from` in JSON)."""
    voids: str | None = field(default=None, metadata=OMIT_IF_NONE)
    """The run that a receipt of kind `void` declares invalid."""
    republish: bool | None = field(default=None, metadata=OMIT_IF_NONE)
    """Whether the dates of the void run may have one more release of exact statistics, by an act in the ledger."""
    reason: str | None = field(default=None, metadata=OMIT_IF_NONE)
    """The operator's reason."""
    files: Mapping[str, str] = field(default_factory=dict)
    """Digests of the attachments (`policy.yaml`, `pipeline.yaml`, `columns.md`, hierarchies), by name."""
    origin: RunOrigin | None = field(default=None, metadata=OMIT_IF_NONE)
    """Paths of pipeline, input and settings, relative to the output folder, unless they may contain a value."""
    audit: AuditHead | None = field(default=None, metadata=OMIT_IF_NONE)
    """The head of the ledger's audit log at that time; absent if the change was recorded in no ledger."""
    erasures: DigestRef | None = field(default=None, metadata=OMIT_IF_NONE)
    """The encrypted erasure list that was applied; absent if there were no erasures."""
    received: DecidingFunctionReceipt | None = field(default=None, metadata=OMIT_IF_NONE)
    """The third party that sent the records, with contract and consents; absent for the organization's own records."""
    only_for: DecidingFunctionReceipt | None = field(default=None, metadata=OMIT_IF_NONE)
    """The function that the records are collected for, with contract and consents; absent if they serve more."""
    region: RegionRef | None = field(default=None, metadata=OMIT_IF_NONE)
    """The region whose rows the output contains; absent if no regions were configured."""
    adopts: LedgerAdoption | None = field(default=None, metadata=OMIT_IF_NONE)
    """Why the output is continued with the ledger that `audit` names."""
    allowed: tuple[str, ...] | None = field(default=None, metadata=OMIT_IF_NONE)
    """The codes of the lint errors that the run was allowed to have."""
    signature: Signature | None = None
    """The signature over everything else."""

    def outputs_of(self, key: str) -> tuple[str, ...]:
        """The outputs with values of a field, or with statistics of them.

        In a receipt of an earlier version, a field whose values were read although records drop it counts as in statistics.

        Args:
            key: The key of the field in the policy.

        Returns:
            The names of the outputs.

        Raises:
            KeyError: The receipt has no such field.
        """
        field = self.fields[key]
        if field.outputs is not None:
            return field.outputs
        others = tuple(name for name in self.outputs if name != RECORDS)
        if field.did == "drop":
            return others if field.values is not None else ()
        return (RECORDS,) if RECORDS in self.outputs else others

    @property
    def reads_source(self) -> bool:
        """Whether its records were read from their source, not from published files."""
        return self.kind in ("run", "replay") or self.from_ == "source"

    @property
    def quarantine_share(self) -> float:
        """Share of the rows read that are quarantined, 0 to 1; of the rounded number if the exact one is sealed."""
        read = self.rows.read
        return min(1.0, self.quarantine.rows / read) if read else 0.0

    @property
    def published_rows(self) -> int:
        """The rows written, according to the balance; the rows of all outputs if the exact counts are sealed."""
        written = self.rows.written
        return sum(output.rows for output in self.outputs.values()) if written is None else written

    @property
    def deciding_function(self) -> DecidingFunctionReceipt | None:
        """The third party's function whose consents decided on the records; None if no consent decided."""
        return self.received or self.only_for

    @classmethod
    def from_json(cls, text: str | bytes) -> Receipt:
        """Reads a receipt. Keys of later versions are kept, because digest and signature cover them.

        Args:
            text: The content of a `receipt.json`.

        Returns:
            The receipt. Its signature is not checked: call `verify`.

        Raises:
            OutputError: The text is not a receipt.
        """
        parsed = _parse_receipt(text)
        if parsed is None:
            raise OutputError("this version cannot read the receipt")
        raw, receipt, digest = parsed
        vars(receipt).update(_raw=raw, digest=digest)  # stored as `cached_property` does; the digest is expensive
        return receipt

    @classmethod
    def from_document(cls, document: Mapping[str, Any]) -> Receipt | None:
        """Reads a receipt from a JSON object.

        Args:
            document: The JSON object.

        Returns:
            The receipt; None if it is not one.
        """
        try:
            return _receipt_adapter().validate_json(json.dumps(_with_sealed_counts(document)), strict=True)
        except (ValueError, ValidationError, RecursionError):
            return None

    def to_json(self) -> dict[str, Any]:
        """The receipt as the JSON object of its file; unchanged if it was read from a file."""
        return copy.deepcopy(self._document)

    @property
    def _document(self) -> dict[str, Any]:
        """The JSON object, which must not be changed."""
        raw: dict[str, Any] | None = getattr(self, "_raw", None)
        return json_object(self) if raw is None else raw

    def file_text(self) -> str:
        """The text of `receipt.json`."""
        return json_text(self.to_json())

    @cached_property
    def digest(self) -> str:
        """`sha256:` of the canonical bytes including the signature: the `previous` of the next receipt."""
        return sha256_text(canonical_json(self._document))

    def check(self) -> None:
        """Raises CheckFailed if the receipt does not balance."""
        faults = imbalances(self)
        if faults:
            raise CheckFailed(f"the receipt of {self.run_id} does not balance: {'; '.join(faults)}")

    def with_signature(self, signer: Signer) -> Self:
        """Signs the receipt (Ed25519, RFC 8032).

        Args:
            signer: A keyring.

        Returns:
            The receipt with its signature.

        Raises:
            CheckFailed: The counts of the receipt do not balance.
            KeyringError: The keyring has no signing key.
        """
        self.check()
        return replace(self, signature=Signature("ed25519", *sign_as_text(self._unsigned(), signer)))

    def verify(self, verifier: Verifier) -> None:
        """Checks the signature.

        Args:
            verifier: A keyring, or public keys.

        Raises:
            VerificationError: The signature is missing, or not by a key of the verifier.
        """
        value = _decode_signature(self.signature)
        if self.signature is None or value is None or set(self._document["signature"]) != _SIGNATURE_KEYS:
            raise VerificationError(f"the receipt of {self.run_id} is not signed")
        if not verifier.verify_signature(self._unsigned(), value, self.signature.key):
            raise VerificationError(f"the receipt of {self.run_id} is signed with an unknown key")

    def is_signed_by(self, verifier: Verifier) -> bool:
        """Whether it has a signature by a key of the verifier.

        Args:
            verifier: A keyring, or public keys.
        """
        try:
            self.verify(verifier)
        except VerificationError:
            return False
        return True

    def summary(self, width: int = 100) -> str:
        """The change in a few lines of text.

        Args:
            width: About how many characters a line has at most.
        """
        return receipt_summary(self, width)

    def __repr__(self) -> str:
        return f"Receipt({self.kind} {self.run_id} of {self.pipeline}, sequence {self.sequence}, {self.published_rows} rows)"

    def _unsigned(self) -> bytes:
        return canonical_json({key: value for key, value in self._document.items() if key != "signature"})

    def _repr_html_(self) -> str:
        return receipt_html(self)


@lru_cache(maxsize=512)
def _parse_receipt(text: str | bytes) -> tuple[dict[str, Any], Receipt, str] | None:
    try:
        raw = json.loads(text, object_pairs_hook=_unique_keys)
        digest = sha256_text(canonical_json(raw))
    except (ValueError, RecursionError):
        return None
    receipt = Receipt.from_document(raw) if isinstance(raw, dict) else None
    return None if receipt is None else (raw, receipt, digest)


_SEALABLE_COUNTS: Final = {
    "rows": ("written", "gated", "quarantined", "suppressed", "deduplicated"),
    "gated_by": ("setting", "condition", "retention", "erased"),
    "fields": ("changed", "gated", "unparsable", "dropped"),
}


def _with_sealed_counts(document: Mapping[str, Any]) -> dict[str, Any]:
    """The document with null for each count that is absent because it is sealed."""
    absent = {part: dict.fromkeys(names) for part, names in _SEALABLE_COUNTS.items()}
    filled = dict(document)
    for part in ("rows", "gated_by"):
        if isinstance(filled.get(part), dict):
            filled[part] = absent[part] | filled[part]
    if isinstance(filled.get("fields"), dict):
        filled["fields"] = {
            name: absent["fields"] | field if isinstance(field, dict) else field
            for name, field in filled["fields"].items()
        }
    if isinstance(filled.get("inputs"), list):
        filled["inputs"] = [{"rows": None} | each if isinstance(each, dict) else each for each in filled["inputs"]]
    return filled


@lru_cache(maxsize=1)
def _receipt_adapter() -> TypeAdapter[Receipt]:
    return TypeAdapter(Receipt)


def _unique_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    if len(dict(pairs)) != len(pairs):
        raise ValueError("duplicate key")
    return dict(pairs)


def _decode_signature(signature: Signature | None) -> bytes | None:
    if signature is None or signature.algorithm != "ed25519":
        return None
    try:
        return base64.b64decode(signature.value, validate=True)
    except (binascii.Error, ValueError):
        return None
