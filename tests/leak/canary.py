"""Planted values, and every form in which one could hide."""

from __future__ import annotations

import base64
import json
import struct
from collections.abc import Iterator
from dataclasses import dataclass


@dataclass(frozen=True)
class Canary:
    """A value that must not be found, and the place where it was planted."""

    place: str
    value: str | int | float

    def forms(self) -> Iterator[bytes]:
        """Its bytes in every encoding that a writer might use."""
        if isinstance(self.value, str):
            yield from _text_forms(self.value)
        else:
            yield from _number_forms(self.value)
            yield from _text_forms(repr(self.value))


def _text_forms(text: str) -> Iterator[bytes]:
    raw = text.encode()
    yield raw
    yield text.encode("utf-16-le")
    yield text.encode("utf-16-be")
    yield json.dumps(text)[1:-1].encode()
    yield raw.hex().encode()
    yield raw.hex().upper().encode()
    for shift in range(3):
        yield _inner_base64(raw, shift)


def _inner_base64(raw: bytes, shift: int) -> bytes:
    """The characters that any Base64 of a text that holds `raw` at this alignment must contain."""
    coded = base64.b64encode(b"\0" * shift + raw)
    lead = 0 if shift == 0 else 4
    return coded[lead : len(coded) - 4]


def _number_forms(number: float) -> Iterator[bytes]:
    if isinstance(number, int):
        yield struct.pack("<q", number)
        yield struct.pack(">q", number)
    else:
        yield struct.pack("<d", number)
        yield struct.pack(">d", number)
