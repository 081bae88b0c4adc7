"""How entries of the audit log hang together: each digest is over the entry's number, its event and the digest before.

digest     sha256 of the canonical JSON (RFC 8785) of {"event", "previous", "sequence"}
signature  Ed25519 over the canonical JSON of {"audit": 1, "head", "sequence"}: every entry was the log's head once
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from minimize.keys import Verifier
from minimize.receipt import canonical, sha256_text

FORMAT: Final = 1


@dataclass(frozen=True, slots=True)
class Head:
    """The end of a log: how many entries it has, and the digest of the last."""

    sequence: int
    digest: str | None = None


EMPTY: Final = Head(0)


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry of the log. `event` is the canonical text; `key` is the id of the key that signed (`signing/1`)."""

    sequence: int
    previous: str | None
    event: str
    digest: str
    key: str
    signature: str

    @property
    def head(self) -> Head:
        """The log's head when this was its last entry."""
        return Head(self.sequence, self.digest)


def digest_of(sequence: int, previous: str | None, event: Mapping[str, Any]) -> str:
    """The digest of an entry."""
    return sha256_text(canonical({"event": event, "previous": previous, "sequence": sequence}))


def signed_bytes(head: Head) -> bytes:
    """What a head's signature is over."""
    return canonical({"audit": FORMAT, "head": head.digest, "sequence": head.sequence})


def is_signed(entry: Entry, verifier: Verifier) -> bool:
    """Whether a key that is known here signed this entry as the head."""
    try:
        value = base64.b64decode(entry.signature, validate=True)
    except (binascii.Error, ValueError):
        return False
    return verifier.verify_signature(signed_bytes(entry.head), value, entry.key)
