"""Who manages devices, and who pays."""

from __future__ import annotations

from ..made import records

RECORDS = records("administrators")


def test_an_administrator_has_one_record_a_day() -> None:
    assert len({record["admin_id"] for record in RECORDS}) == len(RECORDS)


def test_payment_is_the_accounts() -> None:
    names = ("account_id", "owner_email", "payment_method", "payment_card_token", "subscription_key")
    assert len({tuple(record.get(name) for name in names) for record in RECORDS}) == 6


def test_only_who_pays_by_card_has_one() -> None:
    assert {record["payment_method"] for record in RECORDS} == {"card", "invoice"}
    for record in RECORDS:
        assert (
            (record["payment_method"] == "card") == ("payment_card_token" in record) == ("payment_card_last4" in record)
        )


def test_some_have_several_roles() -> None:
    assert {len(record["roles"]) for record in RECORDS} == {1, 2}


def test_the_same_administrators_use_the_console() -> None:
    users = {record["admin_id"]: record["tenant_id"] for record in records("console_usage")}
    assert users.items() <= {record["admin_id"]: record["tenant_id"] for record in RECORDS}.items()
