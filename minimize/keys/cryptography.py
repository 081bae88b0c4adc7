"""Cryptographic primitives: subkeys (HKDF), Ed25519 signatures, keyed BLAKE2b, CBC-MAC, AES-SIV for sealed bytes."""

from __future__ import annotations

import base64
import contextlib
import os
import re
from functools import lru_cache, partial
from hashlib import blake2b
from itertools import pairwise
from pathlib import Path
from typing import Final, Protocol, Self

import numpy as np
import numpy.typing as npt
from cryptography.exceptions import InvalidSignature, InvalidTag
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.ciphers import Cipher, CipherContext
from cryptography.hazmat.primitives.ciphers.aead import AESSIV
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import ECB
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_public_key

from minimize.errors import KeyringError

SUBKEY_BYTES: Final = 32
SIGNING_PURPOSE: Final = "signing/ed25519"
_PEM_BLOCK: Final = re.compile(rb"-----BEGIN PUBLIC KEY-----.+?-----END PUBLIC KEY-----\n?", re.DOTALL)


class Verifier(Protocol):
    """Verifies signatures: a keyring, or public keys."""

    def verify_signature(self, content: bytes, signature: bytes, key: str) -> bool:
        """Whether the signing key of this id made the signature over the content."""
        ...


class Signer(Verifier, Protocol):
    """Signs content and verifies its signatures, for example a keyring."""

    def sign(self, content: bytes) -> tuple[str, bytes]:
        """The id of the signing key, and its signature over the content."""
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


@lru_cache(maxsize=16)  # a keyring asks for it at each verification
def public_pem(secret: bytes) -> bytes:
    """The public key derived from this secret, as PEM."""
    return _private_key(secret).public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


_MAX_REMEMBERED_BYTES: Final = 1 << 12
"""Maximum bytes of signed content whose verification is remembered. Acts are shorter, most receipts are longer."""


def is_valid_signature(pem: bytes, content: bytes, signature: bytes) -> bool:
    """Whether the key of this PEM block made the signature."""
    verify = _verify_remembered if len(content) <= _MAX_REMEMBERED_BYTES else _verify
    return verify(pem, content, signature)


def _verify(pem: bytes, content: bytes, signature: bytes) -> bool:
    public = _load_public_key(pem)
    if public is None:
        return False
    try:
        public.verify(signature, content)
    except InvalidSignature:
        return False
    return True


_verify_remembered = lru_cache(maxsize=1 << 13)(_verify)  # a share and a server read the same acts again and again


@lru_cache(maxsize=4)  # deriving the key takes longer than signing with it
def _private_key(secret: bytes) -> Ed25519PrivateKey:
    return Ed25519PrivateKey.from_private_bytes(derive_subkey(secret, SIGNING_PURPOSE))


@lru_cache(maxsize=16)  # parsing the key takes as long as verifying with it
def _load_public_key(pem: bytes) -> Ed25519PublicKey | None:
    try:
        key = load_pem_public_key(pem)
    except ValueError:
        return None
    return key if isinstance(key, Ed25519PublicKey) else None


HASH_BYTES: Final = 16
"""Bytes of a keyed hash."""
Bytes = npt.NDArray[np.uint8]
Offsets = npt.NDArray[np.int64]


class KeyedHash:
    """BLAKE2b with a key (RFC 7693) of many messages. Its `repr` does not contain the key.

    >>> KeyedHash(bytes(16)).tags(np.frombuffer(b"one, two", np.uint8), np.array([0, 3, 8])).shape
    (2, 16)
    """

    def __init__(self, key: bytes, domain: bytes = b"") -> None:
        """Takes at most 64 bytes, and at most 16 that name a domain. Hashes of different domains are independent."""
        self._start = blake2b(key=key, person=domain, digest_size=HASH_BYTES)

    def tags(self, content: Bytes, offsets: Offsets) -> Bytes:
        """One row of 16 bytes per message.

        Takes messages in the layout of Arrow: their bytes one after another, the offset of each, and the end of the last one.
        """
        data, begin, tags = content[offsets[0] : offsets[-1]].tobytes(), self._start.copy, bytearray()
        for first, end in pairwise((offsets - offsets[0]).tolist()):
            state = begin()
            state.update(data[first:end])
            tags += state.digest()
        return np.frombuffer(tags, np.uint8).reshape(-1, HASH_BYTES)


BLOCK_BYTES: Final = 16


class BlockMac:
    """CBC-MAC with AES-256 of many messages at once: a pseudorandom function if no message is the beginning of another.

    Two of n messages of m blocks have the same tag with a probability of about (n * m)**2 / 2**128. Source: Bellare, Kilian and
    Rogaway, The security of the cipher block chaining message authentication code, 2000. Its `repr` does not contain the key.

    >>> BlockMac(bytes(32)).tags(np.zeros((3, 4), np.uint64)).shape
    (3, 2)
    """

    def __init__(self, key: bytes) -> None:
        """Takes 32 bytes."""
        self._cipher = Cipher(AES(key), ECB())  # of single blocks; `tags` chains them

    def tags(self, rows: npt.NDArray[np.uint64], blocks: npt.NDArray[np.int64] | None = None) -> npt.NDArray[np.uint64]:
        """One row of two words per message. Takes rows of an even number of words, and the blocks of each (None: all)."""
        encrypt = partial(_encrypt, self._cipher.encryptor())
        state = encrypt(rows[:, :2])
        for place in range(1, rows.shape[1] // 2):
            block = rows[:, 2 * place : 2 * place + 2]
            if blocks is None:
                state = encrypt(state ^ block)
                continue
            longer = np.flatnonzero(blocks > place)
            state[longer] = encrypt(state[longer] ^ block[longer])
        return state


def _encrypt(encryptor: CipherContext, blocks: npt.NDArray[np.uint64]) -> npt.NDArray[np.uint64]:
    """Blocks of two words, each encrypted by itself."""
    sealed = encryptor.update(np.ascontiguousarray(blocks).data.cast("B")) if blocks.size else b""
    return np.frombuffer(bytearray(sealed), np.uint64).reshape(-1, 2)


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
