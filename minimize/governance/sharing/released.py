"""What a run has released already, as a policy sees it: nothing is done to it twice, and what it links is known."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

import pyarrow as pa

from minimize.errors import ConfigurationError
from minimize.governance.sharing.again import NEVER, askable, asked_again
from minimize.nested import leaf_type
from minimize.pointer import Pointer
from minimize.policy.condition import Condition
from minimize.policy.model import DROP, Field, Policy, Role
from minimize.policy.pipeline import RecordsModel
from minimize.techniques import plain
from minimize.techniques.base import family

POLICY: Final = b"minimize:policy"
LINKING: Final = ("pseudonymize", "tokenize")


Told = Mapping[str, str]
"""What a column says of itself: technique, leaves, category, key."""


@dataclass(frozen=True, slots=True)
class Entry:
    """A policy for data as it is: raw, or released by a run.

    linked   the key of each column of pseudonyms or tokens
    lost     the fields of which nobody can tell any more whether they may be collected
    columns  what each released column says of itself; None for raw data
    aggregated  whether its rows are groups
    """

    policy: Policy
    linked: Mapping[str, str]
    lost: frozenset[str] = frozenset()
    columns: Mapping[str, Told] | None = None
    aggregated: bool = False

    def records(self, asked: RecordsModel | None) -> RecordsModel:
        """What the pipeline says of records: duplicates are gone after a run, and its condition is asked again."""
        said = (asked or RecordsModel()).model_copy(update={"must_be": None, "partition_by": ()})
        if self.columns is None:
            return said
        if self.aggregated:
            return RecordsModel()
        return said.model_copy(update={"deduplicate": None, "collect_if": _again(said.collect_if, self.columns)})


def entry(policy: Policy, schema: pa.Schema) -> Entry:
    """The policy for data of this schema.

    Of what a run released each column that the policy still releases is taken as it stands. Features, levels and conditions
    are asked again; where a row no longer holds what a condition reads, nothing leaves by it. Raises ConfigurationError where
    no column says whose the records are.
    """
    if POLICY not in (schema.metadata or {}):
        return Entry(policy, {})
    found = {key: told for key in policy.fields if (told := _told(schema, Pointer.parse(key))) is not None}
    if policy.tenant not in found:
        hint = "release the tenant's field as it is"
        raise ConfigurationError("the output does not hold the tenant, so that nobody can be asked", hint=hint)
    columns = {key: told for key, (_, told) in found.items()}
    again = {key: asked_again(policy.fields[key], _held(columns)) for key in found}
    fields = {key: _as_released(again[key] or _dropped(policy.fields[key]), *told) for key, told in found.items()}
    own = {word: value if (value := getattr(policy, word)) in found else None for word in ("subject", "time", "record")}
    whole = policy.records.model_copy(update={"collect_if": _again(policy.records.collect_if, columns)})
    linked = {key: key_in(told) for key, told in columns.items() if set(_techniques(told)) & set(LINKING)}
    changed = policy.model_copy(update={"fields": fields, "records": whole, "never": (), **own})
    return Entry(changed, linked, frozenset(key for key, each in again.items() if each is None), columns)


def _held(columns: Mapping[str, Told]) -> frozenset[str]:
    """The fields whose values stand as they came in."""
    return frozenset(key for key, told in columns.items() if set(_techniques(told)) == {"keep"})


def _again(condition: Condition | None, columns: Mapping[str, Told]) -> Condition | None:
    """A condition on whole records; what can never be said to hold lets none through."""
    return None if condition is None else askable(condition, _held(columns)) or NEVER


def _dropped(field: Field) -> Field:
    return field.model_copy(update={"do": DROP, "cases": (), "otherwise": DROP, "collect_if": None})


def _told(schema: pa.Schema, pointer: Pointer) -> tuple[pa.DataType, Mapping[str, str]] | None:
    """The type of a leaf, and what its column says of it; None where it is not there."""
    if pointer.top not in schema.names:
        return None
    kind: pa.DataType | None = None
    with suppress(KeyError, ValueError, TypeError, IndexError, AttributeError):
        kind = plain(leaf_type(schema, pointer))
    told = told_of(schema, pointer.top, "" if pointer.is_flat else str(pointer))
    return None if kind is None or not told["technique"] else (kind, told)


def told_of(schema: pa.Schema, column: str, behind: str = "") -> Told:
    """What a column says of itself, or of the leaf `behind` its name."""
    metadata = {name.decode(): text.decode() for name, text in (schema.field(column).metadata or {}).items()}
    return {word: metadata.get(f"minimize:{word}{behind}", "") for word in ("technique", "leaves", "category", "key")}


def _as_released(field: Field, kind: pa.DataType, told: Mapping[str, str]) -> Field:
    changes = {
        "type": type_word(kind),
        "role": _role(field.role, told["category"]),
        "from_": (),
        "in_aggregates": (),
        "optional": True,
    }
    return field.model_copy(update=changes)


def _role(role: Role, told: str) -> Role:
    """An identifier that is only a pseudonym by now is no identifier; what is identified stays so."""
    return "quasi" if role == "identifier" and told == "pseudonymized" else role


def type_word(kind: pa.DataType) -> str:
    """The policy's word for a type."""
    return f"decimal({kind.precision},{kind.scale})" if pa.types.is_decimal(kind) else str(family(kind))


def _techniques(told: Mapping[str, str]) -> list[str]:
    return told["technique"].split(",")


def key_in(told: Mapping[str, str]) -> str:
    """The name of the key that a column was made with last."""
    return told["key"].split(",")[-1].partition("/")[0]
