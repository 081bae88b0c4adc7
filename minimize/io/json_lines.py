"""Lines of NDJSON read one by one, gathered into a chunk."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from typing import Any

import pyarrow as pa

from minimize.io.base import Carried, Chunk, Reject, Request
from minimize.io.columnar import Bound
from minimize.io.json_strict import Fault, Malformed, build, fault, parse, undeclared
from minimize.io.lines import LIMIT, length
from minimize.io.project import rows_only
from minimize.io.rows import SUBJECTS
from minimize.io.shape import Node
from minimize.pointer import Part, Pointer


class Gathered:
    """What lines read one by one have come to."""

    def __init__(self, bound: Bound, root: Node) -> None:
        self._bound, self._root = bound, root
        self._records: list[Any] = []
        self._places: list[int] = []
        self._rejects: list[Reject] = []
        self._extra: dict[tuple[Part, ...], tuple[int, set[str]]] = {}

    def take(self, position: int, line: bytes) -> None:
        """Takes one line in."""
        if length(line) > LIMIT:
            self.too_large(position)
            return
        record = None
        with suppress(Malformed):
            record = parse(line)
        found = Fault("malformed") if record is None else fault(record, self._bound.request, self._root)
        if found is not None or record is None:
            self._reject(position, found or Fault("malformed"))
        else:
            self._keep(position, record)

    def too_large(self, position: int) -> Gathered:
        """Takes note of a line that is too long."""
        self._reject(position, Fault("too_large"))
        return self

    def chunk(self) -> Chunk:
        """The lines as a chunk."""
        schema = self._bound.schema
        values = pa.array(self._records, pa.struct(list(schema)))
        carried = {Pointer(parts): Carried(count, _ten(some)) for parts, (count, some) in self._extra.items()}
        return Chunk(
            records=pa.RecordBatch.from_struct_array(values) if schema.names else rows_only(len(values)),
            read=len(self._records) + len(self._rejects),
            rejects=tuple(self._rejects),
            undeclared=carried,
            positions=pa.array(self._places, pa.int64()),
        )

    def _reject(self, position: int, found: Fault) -> None:
        self._rejects.append(Reject(position, "byte", found.field, found.code))

    def _keep(self, position: int, record: Mapping[str, Any]) -> None:
        self._records.append(build(record, self._root, pa.struct(list(self._bound.schema))))
        self._places.append(position)
        subject = subject_of(record, self._bound.request)
        for parts in undeclared(record, self._root):
            count, some = self._extra.get(parts, (0, set()))
            self._extra[parts] = (count + 1, some | {subject} if subject is not None and len(some) < SUBJECTS else some)


def subject_of(record: Mapping[str, Any], request: Request) -> str | None:
    """Whose record it is, as text."""
    value: Any = record
    for part in request.subject.parts if request.subject else ():
        value = value.get(part) if isinstance(value, dict) else None
    return None if value is None or isinstance(value, dict | list) else str(value)


def _ten(subjects: set[str]) -> frozenset[str]:
    return frozenset(sorted(subjects)[:SUBJECTS])
