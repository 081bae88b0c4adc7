"""Whether a records file has the columns that the policy keeps: no others, of the right types, with the right metadata."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Final

import pyarrow as pa

from minimize.errors import Finding
from minimize.pointer import STAR, Pointer
from minimize.receipt import Receipt
from minimize.verification.codes import found
from minimize.verification.leaves import outline
from minimize.verification.policy import FieldView, PolicyView, StepView
from minimize.verification.rules import family_of, given_family

_KEYED: Final = frozenset({"pseudonymize", "tokenize", "shift_dates"})
_STILL_NAMES: Final = frozenset(
    {"keep", "mask", "tokenize", "redact", "clip", "round", "bin", "map", "keep_host", "shift_dates"}
)
_KEYS: Final = ("string", "integer", "double", "decimal", "boolean", "timestamp", "date", "binary")
"""What the keys of a map can be. The policy declares no type of theirs: they have that of the source."""
_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_-]{0,63}")
_ORDER: Final = ("aggregated", "pseudonymized", "identified")


def check_columns(
    schema: pa.Schema, hive: frozenset[str], policy: PolicyView, receipt: Receipt, place: str
) -> Iterator[Finding]:
    """V020 to V024 for one file. `hive` are the columns that stand in its path."""
    there = dict(outline(schema, released(policy).keys()))
    for pointer, type_ in there.items():
        view = policy.fields.get(pointer)
        if view is None:
            yield found("V020", "the policy does not declare it", file=place, field=_shown(pointer, policy))
        elif not view.chains:
            yield found("V021", "the policy drops it", file=place, field=view.key)
        else:
            yield from _type(view, type_, place)
            yield from _metadata(view, schema.field(pointer.top), receipt, place)
    yield from _folders(hive, policy, place)
    for pointer, view in released(policy).items():
        if pointer not in there and not view.optional and pointer.top not in hive:
            yield found("V022", "the policy keeps it", file=place, field=view.key)


def _shown(pointer: Pointer, policy: PolicyView) -> str:
    """A path that nobody declared, with a star for each part that does not look like a name: names can be values."""
    declared = {each.parts[:length] for each in policy.fields for length in range(1, len(each.parts) + 1)}
    parts = [
        part if not isinstance(part, str) or pointer.parts[: place + 1] in declared or _NAME.fullmatch(part) else STAR
        for place, part in enumerate(pointer.parts)
    ]
    return str(Pointer(tuple(parts)))


def _folders(hive: frozenset[str], policy: PolicyView, place: str) -> Iterator[Finding]:
    """Names of folders are read like columns, and by more people: only plain fields may stand there."""
    for name in sorted(hive):
        view = policy.fields.get(Pointer((name,)))
        if view is None:
            yield found(
                "V020",
                "a folder is named by a field that is not declared",
                file=place,
                field=_shown(Pointer((name,)), policy),
            )
        elif not view.is_kept_as_is or view.role != "plain":
            yield found("V021", "a folder is named by a field that is not plain and kept", file=place, field=name)


def check_category(category: str, schema: pa.Schema, policy: PolicyView, place: str) -> Iterator[Finding]:
    """V025: no column and no records output is shown in a lower category than it has."""
    for pointer, view in released(policy).items():
        if pointer.top not in schema.names or not _names_somebody(view):
            continue
        if category != "identified":
            yield found("V025", f"it is identified, the output only {category}", file=place, field=view.key)
        if _told(schema.field(pointer.top), view, "category") != "identified":
            yield found("V025", "it is identified, and its metadata does not say so", file=place, field=view.key)
    if category not in _ORDER[1:]:
        yield found("V025", "records are pseudonymized at least", file=place)


def released(policy: PolicyView) -> Mapping[Pointer, FieldView]:
    """The fields that the records show under the purpose of the run."""
    return {pointer: view for pointer, view in policy.fields.items() if view.chains}


def _names_somebody(view: FieldView) -> bool:
    kept = any(all(_still_names(step) for step in chain) for chain in view.chains)
    return view.role == "free_text" or (view.role == "identifier" and kept)


def _still_names(step: StepView) -> bool:
    return step.word in _STILL_NAMES or (step.word == "top" and int(step.given.get("at_least", 10)) < 10)


def _type(view: FieldView, type_: pa.DataType, place: str) -> Iterator[Finding]:
    came = (family_of(type_), *_KEYS) if view.pointer.is_keys else (view.type,)
    wanted = {given_family(chain, each) for chain in view.chains for each in came}
    if family_of(type_) not in wanted:
        yield found("V023", f"{type_} where {' or '.join(sorted(wanted))} is due", file=place, field=view.key)
    narrow = any(chain[-1].word in ("age", "size") for chain in view.chains)
    if narrow and type_ != pa.int32():
        yield found("V023", f"{type_} where int32 is due", file=place, field=view.key)
    if view.type.startswith("decimal(") and pa.types.is_decimal(type_):
        precision, scale = (int(part) for part in view.type[8:-1].split(","))
        if type_.scale > scale or type_.precision - type_.scale > precision - scale:
            yield found("V023", f"{type_} where {view.type} is due", file=place, field=view.key)


def _metadata(view: FieldView, column: pa.Field, receipt: Receipt, place: str) -> Iterator[Finding]:
    told = _told(column, view, "technique")
    if told != ",".join(view.words):
        yield found("V024", "it does not name the technique", file=place, field=view.key)
    if any(step.word in _KEYED for chain in view.chains for step in chain):
        keys = (_told(column, view, "key") or "").split(",")
        if not set(keys) <= set(receipt.keys):
            yield found("V024", "it does not name a key of the receipt", file=place, field=view.key)
    if not _told(column, view, "category"):
        yield found("V024", "it does not name a category", file=place, field=view.key)


def _told(column: pa.Field, view: FieldView, what: str) -> str | None:
    metadata = column.metadata or {}
    name = f"minimize:{what}" if view.pointer.is_flat else f"minimize:{what}{view.pointer}"
    value = metadata.get(name.encode())
    return None if value is None else value.decode()
