"""Content sealed under the `subject` key: it opens in its place alone, under the version that its first line names."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from minimize.errors import KeyringError
from minimize.keys import Keyring, add_key, new_keyring
from minimize.keys.keyring import open_content, seal_content, sealed_version

PURPOSES = ("test/1", "test/2")
NOW = datetime(2026, 11, 25, tzinfo=UTC)


@pytest.fixture
def keys(tmp_path: Path) -> Keyring:
    return new_keyring(tmp_path / "keyring.json", now=NOW)


def test_content_opens_in_its_place_alone(keys: Keyring) -> None:
    sealed = seal_content(b"content", keys, PURPOSES, b"here")
    assert sealed.startswith(b"subject/1\n")
    assert b"content" not in sealed
    assert open_content(sealed, keys, PURPOSES, b"here") == b"content"
    assert open_content(sealed, keys, PURPOSES, b"there") is None
    assert open_content(sealed, keys, ("test/2", "test/1"), b"here") is None


def test_an_older_version_of_the_key_opens_what_was_sealed_with_it(keys: Keyring) -> None:
    sealed = seal_content(b"content", keys, PURPOSES)
    newer = add_key(keys.path, "subject", now=NOW)
    assert sealed_version(seal_content(b"content", newer, PURPOSES)) == 2
    assert open_content(sealed, newer, PURPOSES) == b"content"


def test_a_version_that_the_keyring_does_not_have_is_an_error(keys: Keyring) -> None:
    sealed = seal_content(b"content", keys, PURPOSES).replace(b"subject/1", b"subject/7", 1)
    with pytest.raises(KeyringError, match="subject/7"):
        open_content(sealed, keys, PURPOSES)


@pytest.mark.parametrize("head", [b"", b"subject", b"subject/", b"subject/x", b"subject/-1", b"signing/1", b"\xff/1"])
def test_content_without_a_version_is_an_error(head: bytes, keys: Keyring) -> None:
    with pytest.raises(ValueError, match="no version of the key `subject`"):
        open_content(head + b"\n" + bytes(32), keys, PURPOSES)
