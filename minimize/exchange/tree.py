"""Fields by their pointers as a tree, in the order in which a policy names them."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

from minimize.pointer import STAR, Pointer
from minimize.policy.model import Field


@dataclasses.dataclass(slots=True)
class Branch:
    """A place of a record: a field, a list (or map) of something, or an object with names."""

    field: Field | None = None
    items: Branch | None = None
    named: dict[str, Branch] = dataclasses.field(default_factory=dict)


def tree_of(fields: Mapping[Pointer, Field]) -> Branch:
    """The tree of these fields.

    >>> root = tree_of({Pointer.parse("/apps/*/name"): Field(key="/apps/*/name", type="string")})
    >>> list(root.named["apps"].items.named)
    ['name']
    """
    root = Branch()
    for pointer, declared in fields.items():
        here = root
        for part in () if pointer.is_keys else pointer.parts:
            if part is STAR:
                here.items = here.items or Branch()
                here = here.items
            else:
                here = here.named.setdefault(str(part), Branch())
        if not pointer.is_keys:
            here.field = declared
    return root
