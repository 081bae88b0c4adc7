"""Sealed bytes: AES-SIV (RFC 5297), the same for the same content, place and key, so that files can be made again."""

from __future__ import annotations

from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESSIV

OVERHEAD: Final = 16
"""Bytes that a seal adds."""


class Seal:
    """Seals bytes for a place, and opens them there and nowhere else. What is printed of it is not the key."""

    def __init__(self, key: bytes) -> None:
        """Takes 64 bytes (AES-256) or 32 (AES-128)."""
        self._siv = AESSIV(key)

    def seal(self, content: bytes, *place: bytes) -> bytes:
        """The sealed bytes. Takes at least one byte, and the words that say where they belong."""
        return self._siv.encrypt(content, list(place))

    def opened(self, sealed: bytes, *place: bytes) -> bytes | None:
        """What was sealed, or None where it was not sealed with this key for this place."""
        try:
            return self._siv.decrypt(sealed, list(place))
        except (InvalidTag, ValueError):
            return None
