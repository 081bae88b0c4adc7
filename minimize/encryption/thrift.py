"""Thrift's compact protocol, as far as a Parquet footer needs it: structs by field number, nothing interpreted.

Source: https://github.com/apache/thrift/blob/master/doc/specs/thrift-compact-protocol.md
"""

from __future__ import annotations

from typing import Any, Final

Struct = dict[int, Any]
TRUE, FALSE, BYTE, DOUBLE, BINARY, LIST, SET, MAP, STRUCT = 1, 2, 3, 7, 8, 9, 10, 11, 12
INTEGERS: Final = frozenset((4, 5, 6))
DEEPEST: Final = 32


class Compact:
    """A cursor over the bytes. Raises ValueError, IndexError where they are none of Thrift's.

    >>> Compact(bytes([0x15, 0x02, 0x18, 0x01, 0x61, 0x00])).struct()
    {1: 1, 2: b'a'}
    """

    def __init__(self, content: bytes) -> None:
        self._content, self._at = content, 0

    def struct(self, depth: int = 0, until: int | None = None) -> Struct:
        """The struct here, up to one of its fields where that is all that is wanted. A list of structs that ends it is read to
        its first."""
        if depth > DEEPEST:
            raise ValueError("nested too deeply")
        found: Struct = {}
        number = 0
        while head := self._byte():
            step, kind = head >> 4, head & 15
            number = number + step if step else self._zigzag()
            if kind in (TRUE, FALSE):
                found[number] = kind == TRUE
                continue
            found[number] = self._value(kind, depth, first=number == until)
            if number == until:
                break
        return found

    def _value(self, kind: int, depth: int, *, first: bool = False) -> Any:
        if kind in INTEGERS:
            return self._zigzag()
        if kind == BINARY:
            return self._take(self._varint())
        if kind == STRUCT:
            return self.struct(depth + 1)
        if kind in (LIST, SET):
            return self._list(depth, first=first)
        if kind == MAP:
            return self._map(depth)
        return self._take({TRUE: 1, FALSE: 1, BYTE: 1, DOUBLE: 8}[kind])

    def _list(self, depth: int, *, first: bool) -> list[Any]:
        head = self._byte()
        size = head >> 4 if head >> 4 < 15 else self._varint()
        if size > len(self._content):
            raise ValueError("a list longer than its bytes")
        return [self._value(head & 15, depth + 1) for _ in range(min(size, 1) if first else size)]

    def _map(self, depth: int) -> dict[Any, Any]:
        size = self._varint()
        if not size:
            return {}
        if size > len(self._content):
            raise ValueError("a map longer than its bytes")
        kinds = self._byte()
        pairs = ((self._value(kinds >> 4, depth + 1), self._value(kinds & 15, depth + 1)) for _ in range(size))
        return {str(key): value for key, value in pairs}

    def _byte(self) -> int:
        self._at += 1
        return self._content[self._at - 1]

    def _take(self, size: int) -> bytes:
        if size > len(self._content) - self._at:
            raise IndexError("past the end")
        self._at += size
        return self._content[self._at - size : self._at]

    def _varint(self) -> int:
        value = shift = 0
        while (byte := self._byte()) & 0x80:
            value, shift = value | (byte & 0x7F) << shift, shift + 7
            if shift > 63:
                raise ValueError("a number that is too long")
        return value | byte << shift

    def _zigzag(self) -> int:
        value = self._varint()
        return (value >> 1) ^ -(value & 1)
