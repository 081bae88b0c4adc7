"""What a run has released already, as a policy sees it: nothing is done to it twice, and what it links is known."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

import pyarrow as pa

from minimize.errors import ConfigurationError
from minimize.nested import leaf_type
from minimize.plan.request import is_released
from minimize.pointer import Pointer
from minimize.policy.model import DROP, Field, Policy, Records, Role
from minimize.techniques import plain
from minimize.techniques.base import family
from minimize.techniques.keep import Keep

POLICY: Final = b"minimize:policy"
LINKING: Final = ("pseudonymize", "tokenize")


@dataclass(frozen=True, slots=True)
class Entry:
    """A policy for data as it is: raw, or released by a run; `linked` has the key of each column of pseudonyms or tokens."""

    policy: Policy
    linked: Mapping[str, str]


def entry(policy: Policy, schema: pa.Schema) -> Entry:
    """The policy for data of this schema.

    Of what a run released each column that the policy still releases is taken as it stands; features and levels are asked
    again, conditions were decided in the run. Raises ConfigurationError where no column says whose the records are.
    """
    if POLICY not in (schema.metadata or {}):
        return Entry(policy, {})
    found = {key: told for key in policy.fields if (told := _told(schema, Pointer.parse(key))) is not None}
    if policy.tenant not in found:
        hint = "release the tenant's field as it is"
        raise ConfigurationError("the output does not hold the tenant, so that nobody can be asked", hint=hint)
    fields = {key: _as_released(policy.fields[key], *told) for key, told in found.items()}
    own = {word: value if (value := getattr(policy, word)) in found else None for word in ("subject", "time", "record")}
    records = Records(feature=policy.records.feature, level=policy.records.level)
    linked = {key: _key(told) for key, (_, told) in found.items() if set(_techniques(told)) & set(LINKING)}
    return Entry(policy.model_copy(update={"fields": fields, "records": records, "never": (), **own}), linked)


def _told(schema: pa.Schema, pointer: Pointer) -> tuple[pa.DataType, Mapping[str, str]] | None:
    """The type of a leaf, and what its column says of it; None where it is not there."""
    if pointer.top not in schema.names:
        return None
    kind: pa.DataType | None = None
    with suppress(KeyError, ValueError, TypeError, IndexError, AttributeError):
        kind = plain(leaf_type(schema, pointer))
    metadata = {name.decode(): text.decode() for name, text in (schema.field(pointer.top).metadata or {}).items()}
    behind = "" if pointer.is_flat else str(pointer)
    told = {word: metadata.get(f"minimize:{word}{behind}", "") for word in ("technique", "leaves", "category", "key")}
    return None if kind is None or not told["technique"] else (kind, told)


def _as_released(field: Field, kind: pa.DataType, told: Mapping[str, str]) -> Field:
    changes = {
        "type": _word(kind),
        "role": _role(field.role, told["category"]),
        "do": (Keep(),) if is_released(field) else DROP,
        "cases": (),
        "otherwise": DROP,
        "collect_if": None,
        "from_": (),
        "in_aggregates": (),
        "optional": True,
    }
    return field.model_copy(update=changes)


def _role(role: Role, told: str) -> Role:
    """An identifier that is only a pseudonym by now is no identifier; what is identified stays so."""
    return "quasi" if role == "identifier" and told == "pseudonymized" else role


def _word(kind: pa.DataType) -> str:
    return f"decimal({kind.precision},{kind.scale})" if pa.types.is_decimal(kind) else str(family(kind))


def _techniques(told: Mapping[str, str]) -> list[str]:
    return told["technique"].split(",")


def _key(told: Mapping[str, str]) -> str:
    return told["key"].split(",")[-1].partition("/")[0]
