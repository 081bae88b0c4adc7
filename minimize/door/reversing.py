"""Tokens of a `tokenize`d column turned back into what they stand for.

A token alone says nothing of whose it is: it is looked for in the rows that the grant opens, and only one that stands there is
turned back, with the key version and the `per` of its row.
"""

from __future__ import annotations

import hmac
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

import pyarrow as pa

from minimize.door.asking import Reversal
from minimize.door.facts import FIELD, Opened
from minimize.door.flow import seen
from minimize.door.refusing import no_column
from minimize.door.shaping import Shape, shape
from minimize.door.where import IN, Condition
from minimize.governance.access import Decision
from minimize.keys import Keyring
from minimize.policy.fields import ways_of
from minimize.policy.model import Policy
from minimize.techniques import Context
from minimize.techniques.tokenize import Tokenize

KEY: Final = b"minimize:key"
SUBJECT: Final = "subject"
PURPOSE: Final = "door/value"
ANSWER: Final = pa.schema([pa.field("token", pa.string()), pa.field("value", pa.string())])


@dataclass(frozen=True, slots=True)
class Sealed:
    """How a column of one file was tokenized: its field, the technique, the key's version, and the column of its `per`."""

    field: str
    technique: Tokenize
    version: int
    per: str | None


def values_of(opened: Opened, decision: Decision, column: str, tokens: Sequence[str], keys: Keyring) -> dict[str, str]:
    """By token what it stands for, of those that stand in rows in scope; others are left out.

    Raises RefusedError (B004) where the column was not tokenized, or is shown in another form; KeyringError where a key version
    is missing.
    """
    if decision.views.get(column):
        raise no_column("a column that a view shows in another form cannot be turned back")
    wanted = shape(opened.facts, decision, (column,), (Condition(column, IN, tuple(tokens)),), decision.at)
    found: dict[str, str] = {}
    for one, sealed in _files(opened, column):
        beside = wanted if sealed.per is None else _beside(wanted, sealed.per)
        for batch in seen(one, beside):
            found |= _turned(batch, column, sealed, keys, wanted)
    return {token: found[token] for token in tokens if token in found}


def answer(tokens: Sequence[str], found: Mapping[str, str]) -> pa.Table:
    """Each token with its value; null for one that was not found."""
    return pa.table([pa.array(tokens, pa.string()), pa.array(map(found.get, tokens), pa.string())], schema=ANSWER)


def value_name(keys: Keyring, reversal: Reversal, token: str) -> str:
    """What the audit log calls a value: the same for the same token of the same column, and nothing else."""
    version = keys.version_of(SUBJECT)
    said = json.dumps([reversal.dataset, reversal.column, token]).encode()
    return f"{SUBJECT}/{version}:{hmac.digest(keys.subkey(SUBJECT, PURPOSE, version), said, 'sha256').hex()}"


def _files(opened: Opened, column: str) -> Iterator[tuple[Opened, Sealed]]:
    """Each file that has the column, by itself, and how it was tokenized there."""
    facts = opened.facts
    for file, schema in zip(facts.files, facts.schemas, strict=True):
        if column in schema.names:
            sealed = _sealed(schema, schema.field(column), facts.policies[file.path])
            yield replace(opened, facts=replace(facts, files=(file,), schemas=(schema,))), sealed


def _sealed(schema: pa.Schema, column: pa.Field, policy: Policy) -> Sealed:
    said = column.metadata or {}
    key = said.get(FIELD, b"").decode()
    ways = (
        [] if key not in policy.fields else [way[-1] for way in ways_of(policy.fields[key]) if not isinstance(way, str)]
    )
    tokenized = {way for way in ways if isinstance(way, Tokenize)}
    technique = tokenized.pop() if len(tokenized) == 1 else None
    if technique is None:
        raise no_column("a column that was not tokenized cannot be turned back")
    versions = dict(each.split("/") for each in said.get(KEY, b"").decode().split(",") if each)
    per = None if technique.per is None else _kept(schema, technique.per)
    if technique.key not in versions or (technique.per is not None and per is None):
        raise no_column("a column whose key or `per` the output does not tell cannot be turned back")
    return Sealed(key, technique, int(versions[technique.key]), per)


def _kept(schema: pa.Schema, key: str) -> str | None:
    """The column of a field, where it stands as it came in."""
    wanted = {FIELD: key.encode(), b"minimize:technique": b"keep"}
    return next((each.name for each in schema if wanted.items() <= (each.metadata or {}).items()), None)


def _beside(wanted: Shape, per: str) -> Shape:
    """The same rows, with the column that their tokens are particular to: it stays here."""
    field = wanted.released.field(per)
    return replace(wanted, shown=(*wanted.shown, per), schema=wanted.schema.append(field))


def _turned(batch: pa.RecordBatch, column: str, sealed: Sealed, keys: Keyring, wanted: Shape) -> dict[str, str]:
    tokens = batch.column(column)
    plain = tokens.cast(pa.string())
    beside = {} if sealed.per is None else {sealed.technique.per or "": batch.column(sealed.per)}
    context = Context(sealed.field, wanted.at, keys, beside)
    values = sealed.technique.detokenize(plain, context, sealed.version).values
    pairs = zip(plain.to_pylist(), values.to_pylist(), strict=True)
    return {token: value for token, value in pairs if token is not None and value is not None}
