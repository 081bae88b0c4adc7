"""Re-identification: reverse tokens of a `tokenize`d column.

A token alone does not identify its subject. It is searched in the rows that the grant permits, and reversed only if it is
found there, with the key version and the `per` value of its row.
"""

from __future__ import annotations

import hmac
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

import pyarrow as pa

from minimize.access import AccessDecision
from minimize.keys import Keyring
from minimize.keys.keyring import SUBJECT_KEY
from minimize.policy.fields import treatments_of
from minimize.policy.model import Policy
from minimize.server.errors import column_error
from minimize.server.request import IN, FilterCondition, ReidentifyRequest
from minimize.server.snapshot import FIELD_METADATA, OpenSnapshot, unchanged_column
from minimize.server.stream import viewed_batches
from minimize.server.view import ReadView, bind_view
from minimize.techniques import Context
from minimize.techniques.tokenize import Tokenize

KEY_METADATA: Final = b"minimize:key"
VALUE_PURPOSE: Final = "door/value"
ANSWER_SCHEMA: Final = pa.schema([pa.field("token", pa.string()), pa.field("value", pa.string())])


@dataclass(frozen=True, slots=True)
class TokenizedColumn:
    """Tokenization of a column of one file: its field, the technique, the key version, and the column of its `per`."""

    field: str
    technique: Tokenize
    version: int
    per: str | None


def reverse_tokens(
    opened: OpenSnapshot, decision: AccessDecision, column: str, tokens: Sequence[str], keys: Keyring
) -> dict[str, str]:
    """Original values by token, for tokens in rows in scope. Other tokens are left out.

    Raises RefusedError (B004) if the column was not tokenized or is shown in another form; KeyringError if a key version is
    missing.
    """
    if decision.views.get(column):
        raise column_error("tokens of a column that a view shows in another form cannot be reversed")
    wanted = bind_view(
        opened.snapshot, decision, (column,), (FilterCondition(column, IN, tuple(tokens)),), decision.decided_at
    )
    found: dict[str, str] = {}
    for one, sealed in _tokenized_files(opened, column):
        view = wanted if sealed.per is None else _with_per_column(wanted, sealed.per)
        for batch in viewed_batches(one, view):
            found |= _reverse_batch(batch, column, sealed, keys, wanted)
    return {token: found[token] for token in tokens if token in found}


def answer_table(tokens: Sequence[str], found: Mapping[str, str]) -> pa.Table:
    """Each token with its value; null if it was not found."""
    return pa.table(
        [pa.array(tokens, pa.string()), pa.array(map(found.get, tokens), pa.string())], schema=ANSWER_SCHEMA
    )


def value_digest(keys: Keyring, reversal: ReidentifyRequest, token: str) -> str:
    """Name of a value in the audit log: a keyed digest of dataset, column and token."""
    version = keys.version_of(SUBJECT_KEY)
    content = json.dumps([reversal.dataset, reversal.column, token]).encode()
    return f"{SUBJECT_KEY}/{version}:{hmac.digest(keys.subkey(SUBJECT_KEY, VALUE_PURPOSE, version), content, 'sha256').hex()}"


def _tokenized_files(opened: OpenSnapshot, column: str) -> Iterator[tuple[OpenSnapshot, TokenizedColumn]]:
    """Each file that has the column, as a snapshot of its own, with the tokenization of the column."""
    facts = opened.snapshot
    for file, schema in zip(facts.files, facts.schemas, strict=True):
        if column in schema.names:
            sealed = _tokenized_column(schema, schema.field(column), facts.policies[file.path])
            yield replace(opened, snapshot=replace(facts, files=(file,), schemas=(schema,))), sealed


def _tokenized_column(schema: pa.Schema, column: pa.Field, policy: Policy) -> TokenizedColumn:
    metadata = column.metadata or {}
    key = metadata.get(FIELD_METADATA, b"").decode()
    ways = (
        []
        if key not in policy.fields
        else [way[-1] for way in treatments_of(policy.fields[key]) if not isinstance(way, str)]
    )
    tokenized = {way for way in ways if isinstance(way, Tokenize)}
    technique = tokenized.pop() if len(tokenized) == 1 else None
    if technique is None:
        raise column_error("the column was not tokenized, so its values cannot be reversed")
    versions = dict(each.split("/") for each in metadata.get(KEY_METADATA, b"").decode().split(",") if each)
    per = None if technique.per is None else unchanged_column(schema, technique.per)
    if technique.key not in versions or (technique.per is not None and per is None):
        raise column_error("the tokens cannot be reversed: the output does not name the key or the `per` column")
    return TokenizedColumn(key, technique, int(versions[technique.key]), per)


def _with_per_column(view: ReadView, per: str) -> ReadView:
    """The view with the `per` column of the tokens, which is not sent."""
    field = view.released.field(per)
    return replace(view, shown=(*view.shown, per), schema=view.schema.append(field))


def _reverse_batch(
    batch: pa.RecordBatch, column: str, sealed: TokenizedColumn, keys: Keyring, view: ReadView
) -> dict[str, str]:
    tokens = batch.column(column)
    plain = tokens.cast(pa.string())
    companions = {} if sealed.per is None else {sealed.technique.per or "": batch.column(sealed.per)}
    context = Context(sealed.field, view.decided_at, keys, companions)
    values = sealed.technique.detokenize(plain, context, sealed.version).values
    pairs = zip(plain.to_pylist(), values.to_pylist(), strict=True)
    return {token: value for token, value in pairs if token is not None and value is not None}
