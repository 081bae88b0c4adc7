from __future__ import annotations

import pytest

from minimize.governance.access.model import Permission, highest_or_none, parse_permission, parse_permissions
from minimize.plan.category import CATEGORY_ORDER


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("dataset/read:identified", Permission("dataset/read", "identified")),
        ("dataset/read", Permission("dataset/read")),
        ("grant/approve:pseudonymized", Permission("grant/approve", "pseudonymized")),
        ("audit/read", Permission("audit/read")),
        ("audit/read:identified", None),
        ("dataset/read:secret", None),
        ("dataset/read:", None),
        ("dataset", None),
        ("dataset/write", None),
        ("", None),
    ],
)
def test_a_permission_is_a_resource_an_operation_and_of_data_a_category(text: str, expected: Permission | None) -> None:
    assert parse_permission(text) == expected
    assert expected is None or str(expected) == text


def test_what_is_no_permission_raises() -> None:
    with pytest.raises(ValueError, match="no permission"):
        parse_permissions("audit/read", "audit/burn")


def test_a_permission_reaches_down_and_a_denial_up() -> None:
    some = Permission("dataset/read", "pseudonymized")
    assert [some.allows("dataset/read", each) for each in CATEGORY_ORDER] == [True, True, False]
    assert [some.denies("dataset/read", each) for each in CATEGORY_ORDER] == [False, True, True]
    assert not some.denies("dataset/read")
    assert Permission("dataset/read").denies("dataset/read", "aggregated")
    assert not some.allows("audit/read")


def test_seeing_is_not_writing() -> None:
    assert not Permission("audit/read").writes
    assert not Permission("dataset/read", "identified").writes
    assert Permission("settings/set").writes
    assert Permission("audit/truncate").writes


def test_the_highest_category_of_none_is_none() -> None:
    assert highest_or_none(()) is None
    assert highest_or_none(("aggregated", "identified")) == "identified"
