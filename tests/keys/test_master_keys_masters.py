"""How master keys are named."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from minimize.errors import KeyringError
from minimize.keys.keyring import KEY_NAME
from minimize.keys.master_keys import MasterKey, is_master_key, master_key_name


@given(st.text(max_size=200))
def test_every_tenant_has_a_key_that_a_keyring_can_name(tenant: str) -> None:
    assert KEY_NAME.fullmatch(master_key_name("pseudonymized", tenant))


@given(st.text(max_size=60), st.text(max_size=60))
def test_two_tenants_never_share_a_key(one: str, other: str) -> None:
    assert (master_key_name("identified", one) == master_key_name("identified", other)) == (one == other)


@given(st.text(max_size=60))
def test_an_id_names_its_version_again(tenant: str) -> None:
    master = MasterKey(master_key_name("identified", tenant), 7)
    assert MasterKey.parse(master.id) == master


@pytest.mark.parametrize(
    "text", ["", "device/1", "encrypt.x", "encrypt.x/0", "encrypt.x/-1", "encrypt.x/1/2", "encrypt./1"]
)
def test_what_names_no_master_key_is_refused(text: str) -> None:
    with pytest.raises(KeyringError):
        MasterKey.parse(text)


def test_keys_of_techniques_are_no_master_keys() -> None:
    assert [is_master_key(name) for name in ("device", "encrypt.footer", "encrypted")] == [False, True, False]
