"""Canonical form of receipts: digests, run ids, and the canonical bytes of JSON (RFC 8785)."""

from __future__ import annotations

import hashlib
import json
import secrets
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final

import rfc8785

_ENCODER: Final = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), sort_keys=True)
_LARGEST_INTEGER: Final = 2**53 - 1


def new_run_id(started: datetime, suffix: str | None = None) -> str:
    """A unique id that sorts by the second of the run's start and is safe as a file name.

    Takes the run's start (with a time zone), and the 12 hexadecimal digits at the end of the id if the caller must know it
    earlier.

    >>> new_run_id(datetime(2026, 11, 25, 8, 30, tzinfo=UTC), "0123456789ab")
    '20261125T083000Z-0123456789ab'
    """
    return f"{started.astimezone(UTC):%Y%m%dT%H%M%SZ}-{secrets.token_hex(6) if suffix is None else suffix}"


def sha256_text(content: bytes) -> str:
    """The digest of these bytes as in receipts: `sha256:` and hexadecimal digits."""
    return "sha256:" + hashlib.sha256(content).hexdigest()


def canonical_json(document: Mapping[str, Any]) -> bytes:
    """The canonical bytes of a JSON object (RFC 8785): equal objects have equal bytes.

    The encoder of Python writes the same bytes if there is no float and every key is ASCII. It takes an eighth of the time, which
    is more than half of reading a receipt.

    >>> canonical_json({"b": 1, "a": "é"}).decode()
    '{"a":"é","b":1}'
    """
    return _ENCODER.encode(document).encode() if _is_plain(document) else bytes(rfc8785.dumps(document))


def _is_plain(value: Any) -> bool:
    """Whether Python and RFC 8785 write a value alike. Keys of ASCII have the same order as UTF-16 and as code points."""
    kind = type(value)
    if kind is str or value is None or kind is bool:
        return True
    if kind is int:
        return bool(-_LARGEST_INTEGER <= value <= _LARGEST_INTEGER)
    if kind is dict:
        return all(type(key) is str and key.isascii() for key in value) and all(map(_is_plain, value.values()))
    return kind is list and all(map(_is_plain, value))
