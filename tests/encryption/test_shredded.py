"""What goes over many files goes on without those whose keys were destroyed."""

from __future__ import annotations

import pytest

from minimize.errors import KeyringError
from minimize.keys.keyring import KEY_DESTROYED
from minimize.keys.parquet_encryption import unless_shredded


def _raises(code: str) -> int:
    raise KeyringError("no key", code=code)


def test_what_can_be_read_is_given() -> None:
    assert unless_shredded(lambda: 7) == 7


def test_a_destroyed_key_gives_nothing() -> None:
    assert unless_shredded(lambda: _raises(KEY_DESTROYED)) is None


def test_a_key_that_is_only_missing_here_is_an_error() -> None:
    with pytest.raises(KeyringError):
        unless_shredded(lambda: _raises("E204"))
