"""Cryptographic primitives: subkeys (HKDF), Ed25519 signatures, AES-CMAC of many messages at once, AES-SIV for sealed bytes."""

from __future__ import annotations

import base64
import contextlib
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final, Protocol, Self

import numpy as np
import numpy.typing as npt
from cryptography.exceptions import InvalidSignature, InvalidTag
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.ciphers import Cipher, CipherContext, modes
from cryptography.hazmat.primitives.ciphers.aead import AESSIV
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_public_key

from minimize.errors import KeyringError

SUBKEY_BYTES: Final = 32
SIGNING_PURPOSE: Final = "signing/ed25519"
_PEM_BLOCK: Final = re.compile(rb"-----BEGIN PUBLIC KEY-----.+?-----END PUBLIC KEY-----\n?", re.DOTALL)


class Signer(Protocol):
    """Signs content, for example a keyring."""

    def sign(self, content: bytes) -> tuple[str, bytes]:
        """The id of the signing key, and its signature over the content."""
        ...


class Verifier(Protocol):
    """Verifies signatures: a keyring, or public keys."""

    def verify_signature(self, content: bytes, signature: bytes, key: str) -> bool:
        """Whether the signing key of this id made the signature over the content."""
        ...


class PublicKeys:
    """The public halves of signing keys. A PEM block has no id, so each of them is tried."""

    def __init__(self, pem: bytes) -> None:
        """Takes one or more PEM blocks. Raises KeyringError if none is an Ed25519 public key."""
        self._blocks: tuple[bytes, ...] = tuple(
            block for block in _PEM_BLOCK.findall(pem) if _load_public_key(block) is not None
        )
        if not self._blocks:
            raise KeyringError(
                "the file contains no Ed25519 public key in PEM form",
                hint="Create one with `minimize keys public FILE`.",
            )

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Self:
        """The public keys of a PEM file. Raises KeyringError."""
        content: bytes | None = None
        with contextlib.suppress(OSError):
            content = Path(path).read_bytes()
        if content is None:
            raise KeyringError(
                f"the public key file {path} cannot be read", hint="Create one with `minimize keys public FILE`."
            )
        return cls(content)

    def verify_signature(self, content: bytes, signature: bytes, key: str) -> bool:
        """Whether one of these keys made the signature. The id is not checked."""
        return any(is_valid_signature(block, content, signature) for block in self._blocks)


def sign_as_text(content: bytes, signer: Signer) -> tuple[str, str]:
    """The id of the signing key, and its signature over the content in base64. Raises KeyringError without a signing key."""
    key, signature = signer.sign(content)
    return key, base64.b64encode(signature).decode("ascii")


def is_signed(content: bytes, signature: str, key: str, verifier: Verifier) -> bool:
    """Whether the signing key of this id made the signature, which is in base64. Invalid base64 is not a signature."""
    try:
        value = base64.b64decode(signature, validate=True)
    except ValueError:
        return False
    return verifier.verify_signature(content, value, key)


def derive_subkey(secret: bytes, purpose: str) -> bytes:
    """32 bytes for one purpose.

    >>> derive_subkey(bytes(32), "a") == derive_subkey(bytes(32), "a") != derive_subkey(bytes(32), "b")
    True
    """
    info = f"minimize/{purpose}".encode()
    return HKDF(algorithm=SHA256(), length=SUBKEY_BYTES, salt=None, info=info).derive(secret)


def sign_content(secret: bytes, content: bytes) -> bytes:
    """Signs with the key that is derived from this secret."""
    return _private_key(secret).sign(content)


def public_pem(secret: bytes) -> bytes:
    """The public key derived from this secret, as PEM."""
    return _private_key(secret).public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


def is_valid_signature(pem: bytes, content: bytes, signature: bytes) -> bool:
    """Whether the key of this PEM block made the signature."""
    public = _load_public_key(pem)
    if public is None:
        return False
    try:
        public.verify(signature, content)
    except InvalidSignature:
        return False
    return True


def _private_key(secret: bytes) -> Ed25519PrivateKey:
    return Ed25519PrivateKey.from_private_bytes(derive_subkey(secret, SIGNING_PURPOSE))


def _load_public_key(pem: bytes) -> Ed25519PublicKey | None:
    try:
        key = load_pem_public_key(pem)
    except ValueError:
        return None
    return key if isinstance(key, Ed25519PublicKey) else None


BLOCK_BYTES: Final = 16
"""Bytes of a block, and of a tag."""
MESSAGES_AT_ONCE: Final = 1 << 14
"""Messages processed together, so that they fit into the cache of the processor."""
Bytes = npt.NDArray[np.uint8]
Words = npt.NDArray[np.uint64]
Offsets = npt.NDArray[np.int64]


class Cmac:
    """AES-CMAC of many messages. Its `repr` does not contain the key.

    >>> Cmac(bytes(16)).tags(np.frombuffer(b"one, two", np.uint8), np.array([0, 3, 8])).shape
    (2, 16)
    """

    def __init__(self, key: bytes) -> None:
        """Takes 16, 24 or 32 bytes."""
        self._cipher = Cipher(AES(key), modes.ECB())
        zero = int.from_bytes(self._cipher.encryptor().update(bytes(BLOCK_BYTES)))
        self._whole, self._padded = _block_words(_double_block(zero)), _block_words(_double_block(_double_block(zero)))

    def tags(self, content: Bytes, offsets: Offsets) -> Bytes:
        """One row of 16 bytes per message.

        Takes messages in the layout of Arrow: their bytes one after another, the offset of each, and the end of the last one.
        """
        starts, lengths = offsets[:-1], offsets[1:] - offsets[:-1]
        tags = np.empty((len(lengths), BLOCK_BYTES), np.uint8)
        for length in _unique_lengths(lengths).tolist():
            for some in _chosen_portions(lengths == length):
                tags[some] = self._tags_of_length(_padded_rows(content, starts[some], length), length)
        return tags

    def _tags_of_length(self, rows: Words, length: int) -> Bytes:
        """The tags of messages of one length, padded to whole blocks: rows × blocks × 2 words."""
        rows[:, -1] ^= self._whole if length and length % BLOCK_BYTES == 0 else self._padded
        encryptor, state = self._cipher.encryptor(), np.zeros((len(rows), 2), np.uint64)
        for block in range(rows.shape[1]):
            state = _encrypt_blocks(encryptor, state ^ rows[:, block])
        return state.view(np.uint8)


def _chosen_portions(chosen: npt.NDArray[np.bool_]) -> Iterator[slice | Offsets]:
    """The chosen positions in portions; slices if all positions are chosen."""
    if chosen.all():
        yield from (slice(first, first + MESSAGES_AT_ONCE) for first in range(0, len(chosen), MESSAGES_AT_ONCE))
        return
    places = np.flatnonzero(chosen)
    yield from (places[first : first + MESSAGES_AT_ONCE] for first in range(0, len(places), MESSAGES_AT_ONCE))


def _encrypt_blocks(encryptor: CipherContext, blocks: Words) -> Words:
    out = np.empty(blocks.nbytes + BLOCK_BYTES - 1, np.uint8)
    encryptor.update_into(blocks.data.cast("B"), out.data)
    return out[: blocks.nbytes].view(np.uint64).reshape(-1, 2)


def _padded_rows(content: Bytes, starts: Offsets, length: int) -> Words:
    """Messages of one length as rows of whole blocks. An incomplete block is padded with a one bit and zeros."""
    blocks = max(1, -(-length // BLOCK_BYTES))
    rows = np.zeros((len(starts), blocks * BLOCK_BYTES), np.uint8)
    rows[:, :length] = _gather_messages(content, starts, length)
    rows[:, length : length + 1] = 0x80
    return rows.view(np.uint64).reshape(-1, blocks, 2)


def _gather_messages(content: Bytes, starts: Offsets, length: int) -> Bytes:
    """The messages as rows; without copying one by one if they follow one another."""
    first, end = int(starts[0]), int(starts[-1]) + length
    if end - first == len(starts) * length:
        return content[first:end].reshape(len(starts), length)
    found: Bytes = content[starts[:, None] + np.arange(length)]
    return found


def _unique_lengths(numbers: Offsets) -> Offsets:
    """The distinct numbers in order. Sorting is faster here than the hash table of `np.unique`."""
    if not len(numbers) or numbers.min() == numbers.max():
        return numbers[:1]
    ordered = np.sort(numbers)
    return ordered[np.diff(ordered, prepend=-1) > 0]


def _double_block(block: int) -> int:
    """A block multiplied by two in the finite field of CMAC."""
    return ((block << 1) & ((1 << 128) - 1)) ^ (0x87 if block >> 127 else 0)


def _block_words(block: int) -> Words:
    return np.frombuffer(block.to_bytes(BLOCK_BYTES), np.uint64)


SEAL_BYTES: Final = 16
"""Bytes that sealing adds."""


class Sealer:
    """Seals bytes for one place (AES-SIV); they open for the same place only. Its `repr` does not contain the key."""

    def __init__(self, key: bytes) -> None:
        """Takes 64 bytes (AES-256) or 32 (AES-128)."""
        self._siv = AESSIV(key)

    def seal(self, content: bytes, *place: bytes) -> bytes:
        """The sealed bytes. Takes at least one byte, and the names of the place where they belong."""
        return self._siv.encrypt(content, list(place))

    def open(self, sealed: bytes, *place: bytes) -> bytes | None:
        """The content; None if it was not sealed with this key for this place."""
        try:
            return self._siv.decrypt(sealed, list(place))
        except (InvalidTag, ValueError):
            return None
