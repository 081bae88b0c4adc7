"""Checks of receipts: counts of fields against their techniques, one ledger, consent for third-party data.

The manifest of a third party is stored with each receipt. It is read here, without the loader.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from minimize.arrow.pointers import Pointer
from minimize.errors import Finding
from minimize.receipts import ANNOTATING_KINDS, FieldReceipt, RowCounts
from minimize.verification.evidence import Evidence, EvidenceRun
from minimize.verification.findings import new_finding
from minimize.verification.policy_reading import FieldView, UnreadableDocument, read_chain, read_document


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
    for pointer, field in ({} if policy is None else policy.fields).items():
        own = None if pointer in added and pointer not in manifest else manifest.get(pointer, ())
        if own is not None and not all(_starts_with(chain, own) for chain in _released_chains(field)):
            message = "what the third party sent is kept in a form that its manifest does not have"
            yield new_finding("V066", message, file=run.place, field=field.key)


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
