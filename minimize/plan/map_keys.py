"""The keys of maps as fields of a plan: they are values, and leave only if the policy says so."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace

import pyarrow as pa

from minimize.nested import leaf_type
from minimize.plan.model import Branch, FieldPlan
from minimize.pointer import Pointer
from minimize.policy.model import Field


def with_map_keys(fields: Mapping[str, FieldPlan], source: pa.Schema) -> dict[str, FieldPlan]:
    """The fields, and behind them the dropped keys of each map of which the policy says nothing.

    Keys leave beside values: where no value of their map leaves, they do not leave either.
    """
    settled = {key: _settled(field, fields) for key, field in fields.items()}
    known = {field.pointer for field in settled.values()}
    return settled | {str(keys): _dropped(keys) for keys in dict.fromkeys(_maps(settled, source)) if keys not in known}


def _settled(field: FieldPlan, fields: Mapping[str, FieldPlan]) -> FieldPlan:
    if not field.pointer.is_keys or field.gives is None:
        return field
    star = field.pointer.stars[-1]
    if any(other.gives is not None and other.pointer.within(star) for other in fields.values()):
        return field
    return replace(
        field,
        gives=None,
        action="drop",
        technique=("drop",),
        why="no value of the map leaves",
        leaves=None,
        category=None,
        branches=(Branch(None, None),),
    )


def _maps(fields: Mapping[str, FieldPlan], source: pa.Schema) -> Iterator[Pointer]:
    """The keys of the maps that released fields stand in."""
    for field in fields.values():
        for star in field.pointer.stars if field.gives is not None and not field.field.from_ else ():
            container = Pointer(star.parts[:-1])
            if pa.types.is_map(leaf_type(source, container)):
                yield container.keys


def _dropped(keys: Pointer) -> FieldPlan:
    return FieldPlan(
        field=Field(key=str(keys), type="string"),
        pointer=keys,
        inputs=(keys,),
        takes=pa.null(),
        gives=None,
        measured=None,
        action="drop",
        technique=("drop",),
        why="keys of a map are dropped unless the policy says `keys:`",
        leaves=None,
        category=None,
        branches=(Branch(None, None),),
    )
