"""A Receipt: counts, digests and key ids of one change to an output; no values."""

from __future__ import annotations

import base64
import binascii
import copy
import json
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from functools import cached_property, lru_cache
from typing import Annotated, Any, Final, Literal, Protocol, Self

from pydantic import AwareDatetime, TypeAdapter, ValidationError
from pydantic import Field as Alias

from minimize.errors import CheckFailed, OutputError, VerificationError
from minimize.keys import Verifier
from minimize.receipt.balance import imbalances
from minimize.receipt.model import (
    OMIT,
    Adoption,
    AuditHead,
    BackfillRef,
    CompanionFile,
    Digest,
    FieldReceipt,
    FileRef,
    GatedBy,
    Input,
    Kind,
    Origin,
    Output,
    PolicyRef,
    Quarantine,
    Received,
    Rows,
    Signature,
    Way,
    jsonable,
)
from minimize.receipt.show import html, summary
from minimize.receipt.words import canonical, sha256_text

FORMAT: Final = 1


_SIGNATURE: Final = {part.name for part in fields(Signature)}
"""Nothing else may stand in a signature: it is the one place that is not signed."""


class Signer(Protocol):
    """Who signs: a keyring."""

    def sign(self, content: bytes) -> tuple[str, bytes]:
        """The id of the signing key, and its signature over the content."""
        ...


@dataclass(frozen=True, kw_only=True, repr=False)
class Receipt:
    """What one run (or expiry, correction, deletion …) did to an output.

    sequence   1 for the first receipt of an output, one more for each that follows
    previous   the digest of the receipt before; None for the first
    plan       the digest of the plan's canonical form
    replaces   files that this one's files stand in for
    removes    files that are gone without another in their place
    skipped    batch dates that were left alone, and why (`shrunk`: files that were read before are gone;
               `stopped`: too much in quarantine; the guide names them all)
    voids      the run that a receipt of kind `void` declares not to count
    reason     why, in the operator's words
    origin     where pipeline, input and settings lay, relative to the output folder, as far as that may be told
    backfill   the backfill that the run was part of
    retention  the policy whose retention was applied, where files keep the one that they were written under
    stays      aggregates that stand as they were though records behind them are gone: per name the dates
    kept_sketches  sketches whose files this one removes, because the pipeline no longer has their table
    from_      what a retraction was made from (`from` in JSON)
    files      digests of what stands beside the receipt (`policy.yaml`, `pipeline.yaml`, `columns.md`, hierarchies), by name
    audit      the ledger's audit log as it was then; absent where the change was told to no ledger
    erasures   the sealed list of erasures that was used; absent where nobody was erased
    received   the third party that sent the records, and what was asked about it; absent for records of our own
    adopts     why an output is continued with the ledger that `audit` names
    """

    receipt: Literal[1] = FORMAT
    kind: Kind = "run"
    run_id: str
    sequence: int
    previous: str | None = None
    pipeline: str
    purpose: str
    engine: str
    at: AwareDatetime
    at_given: bool = False
    started: AwareDatetime
    finished: AwareDatetime
    dates: tuple[str, ...] = ()
    policy: PolicyRef
    plan: Digest
    settings: Digest | None = None
    keys: tuple[str, ...] = ()
    versions: Mapping[str, str] = field(default_factory=dict)
    inputs: tuple[Input, ...] = ()
    rows: Rows = field(default_factory=Rows)
    gated_by: GatedBy = field(default_factory=GatedBy)
    fields: Mapping[str, FieldReceipt] = field(default_factory=dict)
    undeclared: Mapping[str, int] = field(default_factory=dict)
    outputs: Mapping[str, Output] = field(default_factory=dict)
    replaces: tuple[FileRef, ...] = ()
    removes: tuple[FileRef, ...] = ()
    quarantine: Quarantine = field(default_factory=Quarantine)
    skipped: Mapping[str, str] | None = field(default=None, metadata=OMIT)
    backfill: BackfillRef | None = field(default=None, metadata=OMIT)
    retention: PolicyRef | None = field(default=None, metadata=OMIT)
    stays: Mapping[str, tuple[str, ...]] | None = field(default=None, metadata=OMIT)
    kept_sketches: tuple[CompanionFile, ...] | None = field(default=None, metadata=OMIT)
    from_: Annotated[Way | None, Alias(alias="from")] = field(default=None, metadata=OMIT)
    voids: str | None = field(default=None, metadata=OMIT)
    reason: str | None = field(default=None, metadata=OMIT)
    files: Mapping[str, str] = field(default_factory=dict)
    origin: Origin | None = field(default=None, metadata=OMIT)
    audit: AuditHead | None = field(default=None, metadata=OMIT)
    erasures: Digest | None = field(default=None, metadata=OMIT)
    received: Received | None = field(default=None, metadata=OMIT)
    adopts: Adoption | None = field(default=None, metadata=OMIT)
    signature: Signature | None = None

    @classmethod
    def from_json(cls, text: str | bytes) -> Receipt:
        """The receipt that this JSON says. What a later version added is kept: digest and signature cover it.

        Raises OutputError where it is no receipt.
        """
        parsed = _parsed(text)
        if parsed is None:
            raise OutputError("this is no receipt that this version can read")
        raw, receipt, digest = parsed
        object.__setattr__(receipt, "_raw", raw)
        object.__setattr__(receipt, "digest", digest)  # known already: canonical JSON is the costly part of it
        return receipt

    def as_json(self) -> dict[str, Any]:
        """The receipt as the JSON object of its file; as it was read, where it was read."""
        raw = getattr(self, "_raw", None)
        return jsonable(self) if raw is None else copy.deepcopy(raw)

    def to_json(self) -> str:
        """The text of `receipt.json`."""
        return json.dumps(self.as_json(), indent=2, ensure_ascii=False) + "\n"

    @cached_property
    def digest(self) -> str:
        """`sha256:` of the canonical bytes, signature included: the `previous` of the next receipt."""
        return sha256_text(canonical(self.as_json()))

    def check(self) -> None:
        """Raises CheckFailed where the receipt does not balance."""
        faults = imbalances(self)
        if faults:
            raise CheckFailed(f"the receipt of {self.run_id} does not balance: {'; '.join(faults)}")

    def signed(self, signer: Signer) -> Self:
        """The receipt with its signature. Raises CheckFailed where it does not balance, KeyringError without a signing key."""
        self.check()
        key, value = signer.sign(self._unsigned())
        return replace(self, signature=Signature("ed25519", key, base64.b64encode(value).decode("ascii")))

    def verify(self, verifier: Verifier) -> None:
        """Raises VerificationError where the signature is missing or not one of the verifier's."""
        value = _decoded(self.signature)
        if self.signature is None or value is None or set(self.as_json()["signature"]) != _SIGNATURE:
            raise VerificationError(f"the receipt of {self.run_id} is not signed")
        if not verifier.verify_signature(self._unsigned(), value, self.signature.key):
            raise VerificationError(f"the signature of the receipt of {self.run_id} is not by a key that is known here")

    def summary(self, width: int = 100) -> str:
        """What happened, as a few lines for people, of at most so many characters where words allow."""
        return summary(self, width)

    def __repr__(self) -> str:
        return (
            f"Receipt({self.kind} {self.run_id} of {self.pipeline}, sequence {self.sequence}, {self.rows.written} rows)"
        )

    def _unsigned(self) -> bytes:
        return canonical({key: value for key, value in self.as_json().items() if key != "signature"})

    def _repr_html_(self) -> str:
        return html(self)


@lru_cache(maxsize=512)
def _parsed(text: str | bytes) -> tuple[dict[str, Any], Receipt, str] | None:
    try:
        raw = json.loads(text, object_pairs_hook=_once)
        digest = sha256_text(canonical(raw))
        return raw, _adapter().validate_json(json.dumps(raw), strict=True), digest
    except (ValueError, ValidationError, RecursionError):
        return None


@lru_cache(maxsize=1)
def _adapter() -> TypeAdapter[Receipt]:
    return TypeAdapter(Receipt)


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    if len(dict(pairs)) != len(pairs):
        raise ValueError("a key stands twice")
    return dict(pairs)


def _decoded(signature: Signature | None) -> bytes | None:
    if signature is None or signature.algorithm != "ed25519":
        return None
    try:
        return base64.b64decode(signature.value, validate=True)
    except (binascii.Error, ValueError):
        return None
