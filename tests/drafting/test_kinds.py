from __future__ import annotations

import pytest

from minimize.drafting.kinds import KINDS, holds_personal, kinds_of

OF_A_KIND = {
    "email": "ann@example.com",
    "uuid": "5e9d8f9e-fd59-4b29-aee5-5c6f46360fc0",
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


@pytest.mark.parametrize("kind", KINDS)
def test_a_text_of_a_kind_is_recognized(kind: str) -> None:
    assert kind in kinds_of(OF_A_KIND[kind])


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
    assert kind not in kinds_of(text)


def test_something_personal_is_seen_within_a_text() -> None:
    assert holds_personal("call +33639985825 today")
    assert not holds_personal("the screen is black")
