from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import load_pem_public_key
from hypothesis import given, settings
from hypothesis import strategies as st

from minimize.errors import KeyringError
from minimize.keys import Keyring, PublicKeys, add_key, new_keyring
from minimize.keys.cryptography import derive_subkey, public_pem, sign_content
from tests.hypothesis_profiles import examples

NOW = datetime(2026, 11, 25, tzinfo=UTC)


@pytest.fixture
def keyring(tmp_path: Path) -> Keyring:
    return new_keyring(tmp_path / "demo.keys", now=NOW)


def test_a_signature_is_known_by_the_keyring(keyring: Keyring) -> None:
    key, signature = keyring.sign(b"content")
    assert key == "signing/1"
    assert len(signature) == 64
    assert keyring.verify_signature(b"content", signature, key)


def test_a_changed_content_is_not(keyring: Keyring) -> None:
    key, signature = keyring.sign(b"content")
    assert not keyring.verify_signature(b"Content", signature, key)


def test_a_signature_that_was_known_does_not_fit_anything_else(keyring: Keyring) -> None:
    key, signature = keyring.sign(b"content")
    other, version = keyring.sign(b"other")[1], "signing/2"
    assert [keyring.verify_signature(b"content", signature, key) for _ in range(2)] == [True, True]
    assert not keyring.verify_signature(b"content", other, key)
    assert not keyring.verify_signature(b"content", signature, version)
    assert not keyring.verify_signature(b"other", signature, key)


def test_a_signature_of_an_unknown_version_is_not(keyring: Keyring) -> None:
    _, signature = keyring.sign(b"content")
    assert not keyring.verify_signature(b"content", signature, "signing/2")
    assert not keyring.verify_signature(b"content", signature, "subject/1")


def test_the_public_key_alone_knows_a_signature(keyring: Keyring) -> None:
    key, signature = keyring.sign(b"content")
    public = PublicKeys(keyring.public_key_pem())
    assert public.verify_signature(b"content", signature, key)
    assert not public.verify_signature(b"contenT", signature, key)
    assert not public.verify_signature(b"content", b"short", key)


def test_the_public_key_is_pem_that_other_tools_read(keyring: Keyring) -> None:
    key, signature = keyring.sign(b"content")
    public = load_pem_public_key(keyring.public_key_pem())
    assert isinstance(public, Ed25519PublicKey)
    public.verify(signature, b"content")
    assert key == "signing/1"


def test_old_signatures_stay_known_after_a_new_signing_key(keyring: Keyring) -> None:
    old = keyring.sign(b"content")
    renewed = add_key(keyring.path, "signing", now=NOW)
    new = renewed.sign(b"content")
    public = PublicKeys(renewed.public_key_pem())
    assert (old[0], new[0]) == ("signing/1", "signing/2")
    assert renewed.verify_signature(b"content", old[1], old[0])
    assert public.verify_signature(b"content", old[1], old[0])
    assert public.verify_signature(b"content", new[1], new[0])
    assert not renewed.verify_signature(b"content", old[1], new[0])


def test_public_keys_of_a_file(keyring: Keyring, tmp_path: Path) -> None:
    (tmp_path / "public.pem").write_bytes(keyring.public_key_pem())
    key, signature = keyring.sign(b"content")
    assert PublicKeys.load(tmp_path / "public.pem").verify_signature(b"content", signature, key)


def test_a_public_key_file_that_is_none_is_refused(tmp_path: Path) -> None:
    (tmp_path / "public.pem").write_bytes(b"-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n")
    with pytest.raises(KeyringError, match="no Ed25519 public key"):
        PublicKeys.load(tmp_path / "public.pem")
    with pytest.raises(KeyringError, match="cannot be read"):
        PublicKeys.load(tmp_path / "none.pem")


def test_signing_without_a_signing_key_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "bare.keys"
    path.write_text('{"keyring": 1, "keys": {}}')
    path.chmod(0o600)
    bare = Keyring.load(path)
    with pytest.raises(KeyringError, match="key signing is not in the keyring"):
        bare.sign(b"content")
    with pytest.raises(KeyringError, match="key signing is not in the keyring"):
        bare.public_key_pem()


def test_derivation_is_rfc_5869_with_an_empty_salt() -> None:
    import hmac

    secret, info = bytes(range(32)), b"minimize/purpose"
    pseudorandom = hmac.digest(bytes(32), secret, "sha256")
    assert derive_subkey(secret, "purpose") == hmac.digest(pseudorandom, info + b"\x01", "sha256")


@settings(max_examples=examples(25))
@given(content=st.binary(max_size=200), flip=st.integers(0, 511))
def test_no_flipped_bit_of_a_signature_is_accepted(content: bytes, flip: int) -> None:
    secret = bytes(range(32))
    signature = bytearray(sign_content(secret, content))
    public = PublicKeys(public_pem(secret))
    assert public.verify_signature(content, bytes(signature), "signing/1")
    signature[flip // 8] ^= 1 << (flip % 8)
    assert not public.verify_signature(content, bytes(signature), "signing/1")
