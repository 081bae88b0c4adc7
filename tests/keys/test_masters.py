"""How master keys are named."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from minimize.errors import KeyringError
from minimize.keys.masters import Master, is_master, master_name
from minimize.keys.store import NAME


@given(st.text(max_size=200))
def test_every_tenant_has_a_key_that_a_keyring_can_name(tenant: str) -> None:
    assert NAME.fullmatch(master_name("pseudonymized", tenant))


@given(st.text(max_size=60), st.text(max_size=60))
def test_two_tenants_never_share_a_key(one: str, other: str) -> None:
    assert (master_name("identified", one) == master_name("identified", other)) == (one == other)


@given(st.text(max_size=60))
def test_an_id_names_its_version_again(tenant: str) -> None:
    master = Master(master_name("identified", tenant), 7)
    assert Master.parse(master.id) == master


@pytest.mark.parametrize(
    "text", ["", "device/1", "encrypt.x", "encrypt.x/0", "encrypt.x/-1", "encrypt.x/1/2", "encrypt./1"]
)
def test_what_names_no_master_key_is_refused(text: str) -> None:
    with pytest.raises(KeyringError):
        Master.parse(text)


def test_keys_of_techniques_are_no_master_keys() -> None:
    assert [is_master(name) for name in ("device", "encrypt.footer", "encrypted")] == [False, True, False]
