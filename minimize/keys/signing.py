"""Subkeys by purpose (HKDF, RFC 5869) and Ed25519 signatures (RFC 8032)."""

from __future__ import annotations

import contextlib
import os
import re
from pathlib import Path
from typing import Final, Protocol, Self

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_public_key

from minimize.errors import KeyringError

SUBKEY_BYTES: Final = 32
SIGNING_PURPOSE: Final = "signing/ed25519"
_PEM_BLOCK: Final = re.compile(rb"-----BEGIN PUBLIC KEY-----.+?-----END PUBLIC KEY-----\n?", re.DOTALL)


class Verifier(Protocol):
    """Who can tell whether a signature is ours: a keyring, or public keys alone."""

    def verify_signature(self, content: bytes, signature: bytes, key: str) -> bool:
        """Whether the signing key of this id made the signature over the content."""
        ...


class PublicKeys:
    """The public halves of signing keys. A PEM block has no id, so each of them is tried."""

    def __init__(self, pem: bytes) -> None:
        """Takes one or more PEM blocks. Raises KeyringError where none is an Ed25519 public key."""
        self._blocks: tuple[bytes, ...] = tuple(
            block for block in _PEM_BLOCK.findall(pem) if _load_public_key(block) is not None
        )
        if not self._blocks:
            raise KeyringError("no Ed25519 public key in PEM form was given", hint="minimize keys public FILE")

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Self:
        """The public keys of a PEM file. Raises KeyringError."""
        content: bytes | None = None
        with contextlib.suppress(OSError):
            content = Path(path).read_bytes()
        if content is None:
            raise KeyringError(f"the public key file {path} cannot be read", hint="minimize keys public FILE")
        return cls(content)

    def verify_signature(self, content: bytes, signature: bytes, key: str) -> bool:
        """Whether one of these keys made the signature; the id is taken as said."""
        return any(is_valid_signature(block, content, signature) for block in self._blocks)


def derive_subkey(secret: bytes, purpose: str) -> bytes:
    """32 bytes for one purpose.

    >>> derive_subkey(bytes(32), "a") == derive_subkey(bytes(32), "a") != derive_subkey(bytes(32), "b")
    True
    """
    info = f"minimize/{purpose}".encode()
    return HKDF(algorithm=SHA256(), length=SUBKEY_BYTES, salt=None, info=info).derive(secret)


def sign_content(secret: bytes, content: bytes) -> bytes:
    """The signature of the key that this secret stands for."""
    return _private_key(secret).sign(content)


def public_pem(secret: bytes) -> bytes:
    """The public half of the key that this secret stands for, as PEM."""
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
