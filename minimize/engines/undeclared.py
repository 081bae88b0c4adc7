"""Names can be values: which undeclared paths a receipt may show."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from minimize.io.base import Carried
from minimize.pointer import STAR, Part, Pointer
from minimize.techniques.redact import hits

SUBJECTS = 10
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_-]{0,63}\Z")


def shown(undeclared: Mapping[Pointer, Carried], declared: Iterable[Pointer]) -> dict[str, int]:
    """Counts by path as receipts show them.

    A part that the policy does not declare is shown only if it looks like a name, no `redact` pattern hits it, and ten
    subjects carry it; else it counts under `*`.
    """
    known = parts_of(declared)
    counts: dict[str, int] = {}
    for pointer, carried in undeclared.items():
        text = str(veiled(pointer, carried, known))
        counts[text] = counts.get(text, 0) + carried.records
    return dict(sorted(counts.items()))


def parts_of(declared: Iterable[Pointer]) -> set[tuple[Part, ...]]:
    """Every declared path and everything above it."""
    return {pointer.parts[:length] for pointer in declared for length in range(1, len(pointer.parts) + 1)}


def veiled(pointer: Pointer, carried: Carried, known: set[tuple[Part, ...]]) -> Pointer:
    """The path with a star for each part that may be a value; `known` are the parts that the policy says itself."""
    parts: list[Part] = []
    for index, part in enumerate(pointer.parts):
        declared = pointer.parts[: index + 1] in known
        parts.append(part if declared or not isinstance(part, str) or _is_name(part, carried) else STAR)
    return Pointer(tuple(parts))


def _is_name(part: str, carried: Carried) -> bool:
    return len(carried.subjects) >= SUBJECTS and _NAME.match(part) is not None and not hits(part)
