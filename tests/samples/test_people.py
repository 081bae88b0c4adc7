"""Pools of invented people."""

import re
import sys
from ipaddress import ip_address, ip_network

import numpy as np
import pytest

from minimize.errors import ConfigurationError
from minimize.samples.world import DOCUMENTATION_NETWORKS, ascii_letters, ip_addresses, name_pool, phone_numbers

FICTION = r"\+1[0-9]{3}55501[0-9]{2}|\+447700900[0-9]{3}|\+3363998[0-9]{4}"


def test_the_same_seed_gives_the_same_people() -> None:
    assert name_pool(3, 4) == name_pool(3, 4)
    assert name_pool(3, 4) != name_pool(4, 4)


def test_names_in_addresses_are_ascii() -> None:
    assert [ascii_letters(name) for name in ("Zoé", "O'Neil", "Groß", "李")] == ["zoe", "oneil", "gro", "someone"]


def test_notes_hold_what_redaction_looks_for() -> None:
    notes = "\n".join(name_pool(1, 10).notes)
    assert "@mail.example" in notes
    assert "+1202555" in notes
    assert "203.0.113." in notes


def test_telephone_numbers_are_kept_for_fiction() -> None:
    assert all(re.fullmatch(FICTION, number) for number in phone_numbers())


def test_addresses_are_kept_for_documentation() -> None:
    networks = [ip_network(text) for text in (*DOCUMENTATION_NETWORKS, "2001:db8::/32")]
    for text in ip_addresses(np.random.default_rng(1), 100):
        if text in ("n/a", "unknown"):
            continue
        address = ip_address(re.sub(r"\]:443$|^\[|%en0$", "", text))
        plain = getattr(address, "ipv4_mapped", None) or address
        assert any(plain in network for network in networks)


def test_without_faker_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "faker", None)
    with pytest.raises(ConfigurationError) as refused:
        name_pool(1, 1)
    assert "minimize[samples]" in refused.value.hint
