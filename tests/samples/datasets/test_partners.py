"""Android devices as Google's management gets them."""

from __future__ import annotations

from tests.samples.made import records

RECORDS = records("google_android_management", 400)


def test_dedicated_devices_have_no_user() -> None:
    assert 0 < sum("user_id" not in record for record in RECORDS) < 200


def test_a_work_profile_has_an_account_of_21_digits() -> None:
    accounts = [record["google_user"] for record in RECORDS if "google_user" in record]
    assert 0 < len(accounts) < 400
    assert all(len(account) == 21 and account.isdigit() for account in accounts)


def test_some_devices_have_a_meid_and_some_get_a_new_passcode() -> None:
    for key in ("meid", "newPassword"):
        assert 0 < sum(key in record for record in RECORDS) < 100


def test_policies_and_service_accounts_are_those_of_the_tenant() -> None:
    domains = {(record["tenant_id"], record["policy_body"].rpartition("@")[2]) for record in RECORDS}
    keys = {(record["tenant_id"], record["service_account_key"]) for record in RECORDS}
    assert len(domains) == len(keys) == len({record["tenant_id"] for record in RECORDS}) == 6
