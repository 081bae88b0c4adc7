from __future__ import annotations

import pytest

from minimize.policy.value_kinds import VALUE_KINDS, contains_personal_data, kinds_of_value

OF_A_KIND = {
    "email": "ann@example.com",
    "uuid": "5e9d8f9e-fd59-4b29-aee5-5c6f46360fc0",
    "hash": "5d41402abc4b2a76b9719d911017c592",
    "token": "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJ4In0.c2lnbmF0dXJl",
    "opaque": "q7Zk2Lw9Xc4Vt8Rb1Np",
    "mac": "02:ad:46:f2:18:64",
    "ip": "2001:db8::1",
    "url": "https://example.com/a?b=c",
    "iban": "GB82WEST12345698765432",
    "imei": "001017006574951",
    "card": "4111111111111111",
    "position": "48.8566, 2.3522",
    "time": "2026-11-24T00:00:53.784Z",
    "version": "10.0.19045.3803",
    "phone": "+33639985825",
    "postal_code": "SW1A 1AA",
    "path": "C:\\Users\\ann\\notes.txt",
}


@pytest.mark.parametrize("kind", VALUE_KINDS)
def test_a_text_of_a_kind_is_recognized(kind: str) -> None:
    assert kind in kinds_of_value(OF_A_KIND[kind])


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("001017006574952", "imei"),  # the check digit is another
        ("4111111111111112", "card"),
        ("GB82WEST12345698765431", "iban"),
        ("256.1.1.1", "ip"),
        ("write to ann@example.com", "email"),
        ("91.5, 2.3522", "position"),
        ("18.1", "version"),  # a number as well
        ("2026-13-01", "time"),
    ],
)
def test_what_only_looks_alike_is_not(text: str, kind: str) -> None:
    assert kind not in kinds_of_value(text)


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("{5E9D8F9E-FD59-4B29-AEE5-5C6F46360FC0}", "uuid"),
        ("urn:uuid:5e9d8f9e-fd59-4b29-aee5-5c6f46360fc0", "uuid"),
        ("2fd4e1c67a2d28fced849ee1bb76e7391b93eb12", "hash"),
        ("9F86D081884C7D659A2FEAA0C55AD015A3BF4F1B2B0B822CD15D6C15B0F00A08", "hash"),
        ("n4bQgYhMfWWaL+qgxVrQFaO/TxsrC4Is0V1sFbDwCgg=", "hash"),
        ("9774d56d682e549c", "opaque"),  # an Android ID: 64 bits in hexadecimal
        ("W9pX3b_k-2LmQ8vT1aZr7YcN", "opaque"),
    ],
)
def test_identifiers_without_meaning_are_recognized(text: str, kind: str) -> None:
    assert kind in kinds_of_value(text)


@pytest.mark.parametrize(
    "text",
    [
        "com.example.app.module2", "ConnectionTimeoutException404Handler", "SM-G998B", "2026-11-24T00:00:53",
        "portrait_secondary_2", "windows10-x64-19041-release", "12345678901234567890", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
        "en_US",
        "v2_beta_rollout_wave_3", "11111111111111111111111111111111", "MODEL2024PROMAXTITANIUM",
    ],
)  # fmt: skip
def test_words_and_numbers_are_no_identifiers_without_meaning(text: str) -> None:
    assert kinds_of_value(text).isdisjoint({"uuid", "hash", "token", "opaque"})


def test_something_personal_is_seen_within_a_text() -> None:
    assert contains_personal_data("call +33639985825 today")
    assert not contains_personal_data("the screen is black")
