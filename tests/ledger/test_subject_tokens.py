"""A subject's token is keyed, and tells tenants and subjects apart."""

from __future__ import annotations

import hashlib
import hmac
import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from minimize.errors import KeyringError
from minimize.identifiers import canonical_text
from minimize.keys import Keyring, add_key
from minimize.ledger.subject_tokens import subject_token, token_version
from tests.ledger.ledgers import NOW
from tests.project import write_keyring

TEXT = st.text(max_size=12)


def test_a_token_names_its_key_and_shows_nothing(keys: Keyring) -> None:
    token = subject_token(keys, "north", "device-7")
    assert re.fullmatch(r"subject/1:[0-9a-f]{64}", token)
    said = hmac.new(keys.subkey("subject", "ledger"), b'["north","device-7"]', hashlib.sha256).hexdigest()
    assert token == f"subject/1:{said}"


@pytest.fixture(name="shared", scope="module")
def _shared(tmp_path_factory: pytest.TempPathFactory) -> Keyring:
    return write_keyring(tmp_path_factory.mktemp("keys") / "test.keys")


@given(one=st.tuples(TEXT, TEXT), other=st.tuples(TEXT, TEXT))
@example(one=("", ""), other=("", " "))
def test_no_two_subjects_share_a_token(shared: Keyring, one: tuple[str, str], other: tuple[str, str]) -> None:
    are_same = [*map(canonical_text, one)] == [*map(canonical_text, other)]
    assert (subject_token(shared, *one) == subject_token(shared, *other)) == are_same


def test_an_older_version_is_still_found(keys: Keyring) -> None:
    before = subject_token(keys, "north", "device-7")
    newer = add_key(keys.path, "subject", now=NOW)
    assert subject_token(newer, "north", "device-7", 1) == before
    assert subject_token(newer, "north", "device-7").startswith("subject/2:")
    with pytest.raises(KeyringError):
        subject_token(newer, "north", "device-7", 9)


@pytest.mark.parametrize(
    "text", ["d1", "", "subject/1", "subject/x:" + 64 * "0", "device/1:" + 64 * "0", "subject/1:0"]
)
def test_a_text_that_is_no_token_has_no_version(text: str) -> None:
    assert token_version(text) is None
