"""Whether what a third party sent was kept as its manifest lets it, and its receipts say that consents were asked.

The manifest that counted stands beside each receipt. It is read here by itself, without the loader.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from minimize.errors import Finding
from minimize.pointer import Pointer
from minimize.verification.codes import found
from minimize.verification.evidence import Evidence, Run
from minimize.verification.policy import FieldView, Unreadable, chain_view, document

MANIFEST: Final = "recipient.yaml"
_WORDS: Final = frozenset({"type", "role", "do", "row", "about", "example"})
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
        yield from _of_run(run, source if isinstance(source, Mapping) else {})


def _of_run(run: Run, source: Mapping[str, Any]) -> Iterator[Finding]:
    received = run.receipt.received
    said = None if received is None else (received.recipient, received.function)
    if received is None or said != (source.get("recipient"), source.get("function")):
        message = "the receipt does not say that consent was asked for what the third party of its pipeline sends"
        yield found("V065", message, file=run.place)
        return
    if run.receipt.files.get(MANIFEST) != received.manifest:
        yield found("V065", "the manifest beside the receipt is not the one that it names", file=run.place)
        return
    try:
        manifest = _manifest((run.folder / MANIFEST).read_bytes(), received.function)
    except (OSError, Unreadable):
        yield found("V065", "the manifest beside the receipt cannot be read", file=run.place)
        return
    policy = run.policy
    added = set() if policy is None else {policy.tenant, policy.time} - {policy.subject, policy.record}
    for pointer, field in ({} if policy is None else policy.fields).items():
        own = None if pointer in added and pointer not in manifest else manifest.get(pointer, ())
        if own is not None and not all(_begins(chain, own) for chain in _chains(field)):
            message = "what the third party sent is kept in a form that its manifest does not have"
            yield found("V066", message, file=run.place, field=field.key)


def _manifest(content: bytes, function: str) -> Manifest:
    """The fields of a function. Raises Unreadable."""
    try:
        fields = document(content)["functions"][function]["fields"]
        return {Pointer.parse(str(key)): _words(raw) for key, raw in fields.items()}
    except (KeyError, TypeError, ValueError, AttributeError):
        pass
    raise Unreadable


def _words(raw: Any) -> tuple[str, ...]:
    whole = isinstance(raw, Mapping) and not _WORDS.isdisjoint(raw)
    said = raw.get("do", "drop") if whole else raw
    chain = None if said == "pass_through" else chain_view(said)
    return () if chain is None else tuple(step.word for step in chain)


def _chains(field: FieldView) -> list[tuple[str, ...]]:
    """The words of every chain by which something of the field may leave."""
    chains = [*field.chains, *([field.measured] if field.measured else [])]
    return [tuple(step.word for step in chain) for chain in chains]


def _begins(words: Sequence[str], manifest: Sequence[str]) -> bool:
    """Whether a chain does what the manifest's does first. Keeping does nothing; without a chain nothing may leave."""
    own, first = ([word for word in chain if word != "keep"] for chain in (words, manifest))
    return bool(manifest) and own[: len(first)] == first
