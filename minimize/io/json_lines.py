"""Lines of NDJSON read one by one, gathered into a chunk."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from typing import Any

import pyarrow as pa

from minimize.canonical import canonical_text
from minimize.io.base import Carried, Chunk, Reject, Request
from minimize.io.columnar import Bound
from minimize.io.forbidden import holds_key
from minimize.io.ids import blank_ids, value_at, with_canonical_ids
from minimize.io.json_build import Seen, Wrong, reader
from minimize.io.json_strict import Fault, Malformed, build, fault, lacks, parse, undeclared
from minimize.io.lines import LIMIT, length
from minimize.io.project import rows_only
from minimize.io.rows import SUBJECTS
from minimize.io.shape import Node
from minimize.io.undeclared import PATHS, added
from minimize.pointer import Part, Pointer


class Extra:
    """What records carry undeclared: how many, and up to ten subjects of each path; of many paths `bounded`."""

    def __init__(self, request: Request, root: Node) -> None:
        self._request, self._root = request, root
        self._found: dict[tuple[Part, ...], tuple[int, set[str]]] = {}
        self._held: dict[Pointer, Carried] = {}

    def take(self, record: Mapping[str, Any]) -> None:
        """Takes a good record in."""
        paths = undeclared(record, self._root)
        subject = subject_of(record, self._request) if paths else None
        for parts in paths:
            count, some = self._found.get(parts, (0, set()))
            self._found[parts] = (
                count + 1,
                some | {subject} if subject is not None and len(some) < SUBJECTS else some,
            )
        if len(self._found) > 2 * PATHS:
            self.carried()

    def carried(self) -> dict[Pointer, Carried]:
        """All of it, by path."""
        found = (
            (Pointer(parts), Carried(count, _ten(some), self._request.rank(Pointer(parts))))
            for parts, (count, some) in self._found.items()
        )
        self._held = added([self._held, dict(found)])
        self._found.clear()
        return self._held


class Gathered:
    """What lines read one by one have come to."""

    def __init__(self, bound: Bound, root: Node) -> None:
        self._bound, self._root = bound, root
        self._type = pa.struct(list(bound.schema))
        self._records: list[Any] = []
        self._places: list[int] = []
        self._rejects: list[Reject] = []
        self._extra = Extra(bound.request, root)
        self._read = reader(root, self._type)
        self._never = tuple(pointer.top for pointer in bound.request.never)
        self._any_depth = frozenset(bound.request.any_depth)
        self._required = tuple(field.pointer.parts for field in bound.request.fields if field.required)

    def take(self, position: int, line: bytes) -> None:
        """Takes one line in."""
        if length(line) > LIMIT:
            self.too_large(position)
            return
        record = None
        with suppress(Malformed):
            record = parse(line)
        if record is None:
            self._reject(position, Fault("malformed"))
        elif not self._taken(position, record):
            self._judge(position, record)

    def too_large(self, position: int) -> Gathered:
        """Takes note of a line that is too long."""
        self._reject(position, Fault("too_large"))
        return self

    def chunk(self) -> Chunk:
        """The lines as a chunk."""
        values = pa.array(self._records, self._type)
        records = pa.RecordBatch.from_struct_array(values) if self._bound.schema.names else rows_only(len(values))
        return Chunk(
            records=with_canonical_ids(records, self._bound.request.ids),
            read=len(self._records) + len(self._rejects),
            rejects=tuple(self._rejects),
            undeclared=self._extra.carried(),
            positions=pa.array(self._places, pa.int64()),
            unit="byte",
        )

    def _reject(self, position: int, found: Fault) -> None:
        self._rejects.append(Reject(position, "byte", found.field, found.code))

    def _taken(self, position: int, record: Mapping[str, Any]) -> bool:
        """Keeps a record that is beyond doubt; False, and nothing is kept, where there is any."""
        seen: Seen = []
        try:
            held = self._read(record, seen)
        except Wrong:
            return False
        if any(top in record for top in self._never) or any(lacks(record, parts) for parts in self._required):
            return False
        if self._any_depth and holds_key(record, self._any_depth):
            return False
        if blank_ids(record, self._bound.request.ids):
            return False
        self._keep(position, record, held, bool(seen))
        return True

    def _judge(self, position: int, record: Mapping[str, Any]) -> None:
        found = fault(record, self._bound.request, self._root)
        if found is not None:
            self._reject(position, found)
        else:
            self._keep(position, record, build(record, self._root, self._type), True)

    def _keep(self, position: int, record: Mapping[str, Any], held: Any, extra: bool) -> None:
        self._records.append(held)
        self._places.append(position)
        if extra:
            self._extra.take(record)


def subject_of(record: Mapping[str, Any], request: Request) -> str | None:
    """Whose record it is, as text."""
    value = record if request.subject is None else value_at(record, request.subject)
    return None if value is None or isinstance(value, dict | list) else canonical_text(str(value), fold=True) or None


def _ten(subjects: set[str]) -> frozenset[str]:
    return frozenset(sorted(subjects)[:SUBJECTS])
