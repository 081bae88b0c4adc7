from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from minimize.techniques.email_domain import EmailDomain

Run = Callable[..., list[Any]]


@pytest.mark.parametrize(
    ("address", "domain"),
    [
        ("John@Contoso.com", "contoso.com"),
        ("a.b+c@Mail.Example.co.uk", "mail.example.co.uk"),
        ('"odd@quoted name"@example.org', "example.org"),
        ("ann@bücher.example", "bücher.example"),
        (" ann@example.com. ", "example.com"),
    ],
)
def test_the_domain_in_lower_case(run: Run, address: str, domain: str) -> None:
    assert run(EmailDomain(), [address]) == [domain]


@pytest.mark.parametrize(
    "text",
    ["", "@", "ann", "@example.com", "ann@", "ann@home", "ann@b@example.com", "Ann <ann@example.com>", "see @ noon.today",
     "ann@[192.0.2.1]", "ann@exa mple.com", "ann@-x.com", "ann@a..com", '"@example.com'],
)  # fmt: skip
def test_a_text_that_is_no_address_cannot_be_treated(run: Run, untreated: Run, text: str) -> None:
    assert run(EmailDomain(), [text]) == [None]
    assert untreated(EmailDomain(), [text]) == [True]


@given(st.emails())
def test_nothing_of_the_mailbox_is_left(run: Run, address: str) -> None:
    [domain] = run(EmailDomain(), [address])
    assert domain == address.rpartition("@")[2].lower()
