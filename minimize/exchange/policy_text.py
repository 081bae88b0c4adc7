"""A policy's text for a dataset that a document describes: every field is dropped, and above it stands what is proposed."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Final

from minimize.drafting.first import SCHEMAS
from minimize.drafting.look import Look
from minimize.drafting.propose import Proposal, proposal
from minimize.drafting.rules import DROP, keyed
from minimize.drafting.seen import Seen
from minimize.errors import ConfigurationError
from minimize.exchange.base import Column, Described
from minimize.pointer import Pointer
from minimize.policy.init import can_be_declared, guessed, head_line, key_text, name_from, quoted, type_text

_CLOSED: Final = frozenset({"secret", "free_text", "sensitive"})
"""Roles for which nothing but dropping is proposed."""
_HEAD: Final = """\
# yaml-language-server: $schema={schema}
# Drafted from {source}. Every field is dropped; keep only what a purpose needs, as coarse as it can be.
# What is proposed counts once it is accepted, by hand or: minimize init DIR --accept FIELD. Then: minimize lint, minimize plan.
"""


def policy_text(described: Described, source: str) -> str:
    """The text of the policy; it loads without faults, whatever the document says.

    Takes what was described, and the name of the format that it was read from. Raises ConfigurationError where no field is left.
    """
    columns = {each.pointer: each for each in described.columns if can_be_declared(each.pointer, each.type)}
    if not columns:
        raise ConfigurationError("the document describes no field that a policy could name")
    lines = [*_head(described, columns), "fields:"]
    proposals = _proposals(described, columns)
    for pointer, column in columns.items():
        is_map = column.type == "map" and any(each != pointer and each.within(pointer) for each in columns)
        lines += [*(f"  # {line}" for line in proposals[pointer].lines), _line(column, keyed_by_values=is_map)]
    lines += [
        f"  # {quoted(name)}: {why}; dropped, as is all that is not named" for name, why in described.left_out.items()
    ]
    if described.never:
        lines += ["never:", *(f"  - {quoted(pointer.forbidden_text)}" for pointer in described.never)]
    return _HEAD.format(schema=f"{SCHEMAS}/policy.json", source=source) + "\n".join(lines) + "\n"


def _head(described: Described, columns: Mapping[Pointer, Column]) -> Iterator[str]:
    for remark in described.remarks:
        yield from textwrap.wrap(_plain(remark), 118, initial_indent="# ", subsequent_indent="#   ")
    yield f"policy: {name_from(described.name)}"
    yield f"version: {described.version}"
    yield f"owner: {quoted(described.owner)}" if described.owner else "owner: nobody@example.com"
    yield f"purposes: [{', '.join(described.purposes or ('operations',))}]"
    guesses = guessed({pointer: column.type for pointer, column in columns.items()})
    for word in ("tenant", "subject", "time", "record"):
        said = described.parts.get(word)
        yield head_line(word, guesses.get(word)) if said is None else f"{word}: {key_text(Pointer.parse(said))}"
    if described.retention is not None:
        yield f"{'' if 'time' in described.parts else '# '}retention: {described.retention}"


def _proposals(described: Described, columns: Mapping[Pointer, Column]) -> dict[Pointer, Proposal]:
    guesses = guessed({pointer: column.type for pointer, column in columns.items()})
    words = {pointer: word for word, pointer in guesses.items()}
    tenant = guesses.get("tenant")
    found: dict[Pointer, Proposal] = {}
    for pointer, column in columns.items():
        per = key_text(tenant) if tenant is not None and tenant != pointer else None
        look = Look(1, 0, 1, {column.kind: 1.0} if column.kind else {})
        found[pointer] = _agreed(column, Seen(pointer, column.type, look, words.get(pointer), per))
    return found


def _agreed(column: Column, seen: Seen) -> Proposal:
    """The proposal that the field's own rule makes, as far as the document does not say better."""
    found = proposal(seen)
    said = (*((column.said,) if column.said else ()), *found.reasons)
    do = found.do if column.do is None else column.do
    if column.role in _CLOSED:
        do = DROP
    elif column.role == "identifier" and "pseudonymize" not in do:
        do = DROP if column.do is None else keyed(seen)
    return replace(found, role=column.role or found.role, do=do, reasons=said)


def _line(column: Column, *, keyed_by_values: bool) -> str:
    said = [f"type: {type_text(column.type)}"]
    said += [f"role: {column.role}"] if column.role else []
    said += ["required: true"] if column.required else []
    said += [f"about: {quoted(column.about)}"] if column.about else []
    said += [f"unit: {quoted(column.unit)}"] if column.unit else []
    said += ["do: drop", *(["keys: drop"] if keyed_by_values else [])]
    return f"  {key_text(column.pointer)}: {{{', '.join(said)}}}"


def _plain(remark: str) -> str:
    """A remark without what would end its line."""
    return "".join(char if char.isprintable() else " " for char in remark)
