"""Datasets of partners: Android management, Jamf compliance and threat defense."""

from __future__ import annotations

from datetime import datetime, timedelta

import numpy as np
from minimize_samples.devices import IPAD, IPHONE

from minimize.recipients import load_recipient
from tests.golden.runner import ROOT
from tests.samples.made import dataset, records, settings

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


GOOGLE_ANDROID_MANAGEMENT_SYNC = records("google_android_management_sync", 300)


NAMES = ("tenant_id", "enterpriseId", "serviceAccountName", "serviceAccountKeys")


def test_a_tenant_has_one_enterprise_and_one_service_account_with_its_key() -> None:
    pairs = {tuple(record[name] for name in NAMES) for record in GOOGLE_ANDROID_MANAGEMENT_SYNC}
    assert [len({pair[place] for pair in pairs}) for place in range(4)] == [6] * 4


def test_the_enterprises_are_those_to_which_devices_belong() -> None:
    sent = {record["enterprise_id"] for record in records("google_android_management", 300)}
    assert {record["enterpriseId"] for record in GOOGLE_ANDROID_MANAGEMENT_SYNC} >= sent


def test_addresses_are_of_domains_that_do_not_exist() -> None:
    assert all(record["adminEmail"].endswith(".example") for record in GOOGLE_ANDROID_MANAGEMENT_SYNC)


JAMF_COMPLIANCE = records("jamf_compliance", 300)


def lasting(record: dict[str, str]) -> timedelta:
    times = [datetime.fromisoformat(record[name]) for name in ("received_at", "last_check_in")]
    return times[0] - times[1]


def test_they_are_macs_with_names_of_their_own() -> None:
    assert {(record["os"], record["platform"]) for record in JAMF_COMPLIANCE} == {("macOS", "Mac")}
    for name in ("device_aad_id", "udid", "serial_number", "jamf_id"):
        assert len({record[name] for record in JAMF_COMPLIANCE}) == 300


def test_most_were_seen_within_a_day_and_none_after_the_message_arrived() -> None:
    ages = [lasting(record) for record in JAMF_COMPLIANCE]
    assert min(ages) >= timedelta(0)
    assert 0.6 < sum(age < timedelta(days=1) for age in ages) / len(ages) < 1


def test_the_recorded_state_does_not_follow_from_that() -> None:
    old = {record["inventory_state"] for record in JAMF_COMPLIANCE if lasting(record) > timedelta(days=1)}
    assert old == {"activated", "deactivated"}


THREAT_DEFENSE_APP_SYNC = records("threat_defense_app_sync", 400)


def test_a_device_has_each_application_once() -> None:
    pairs = [(record["device_id"], record["app_id"]) for record in THREAT_DEFENSE_APP_SYNC]
    assert len(set(pairs)) == len(pairs) == 400


def test_only_iphones_and_ipads_have_them() -> None:
    members = dataset("threat_defense_app_sync", 400).members
    assert set(np.unique(members.devices.kind[members.device])) == {IPHONE, IPAD}


def test_a_version_begins_with_its_short_form() -> None:
    assert all(record["version"].startswith(f"{record['short_version']}.") for record in THREAT_DEFENSE_APP_SYNC)


def test_some_are_managed_and_a_few_have_no_valid_signature() -> None:
    assert {record["managed"] for record in THREAT_DEFENSE_APP_SYNC} == {True, False}
    assert 0 < sum(not record["validated"] for record in THREAT_DEFENSE_APP_SYNC) < 40


def test_the_inventory_is_on_in_some_tenants() -> None:
    assert {row.setting for row in settings("threat_defense_app_sync")} == {"app_inventory"}


THREAT_DEFENSE_THREAT_STATE = records("threat_defense_threat_state")


def test_the_states_are_those_that_the_manifest_lists() -> None:
    recipient = load_recipient(ROOT / "pipelines" / "recipients" / "threat_defense.yaml")
    listed = recipient.functions["threat_state"].fields["threat_state"].values
    assert {record["threat_state"] for record in THREAT_DEFENSE_THREAT_STATE} == set(listed)


def test_some_devices_had_no_contact_for_weeks_and_count_as_threatened_all_the_same() -> None:
    old = {
        record["threat_state"]
        for record in THREAT_DEFENSE_THREAT_STATE
        if datetime.fromisoformat(record["received_at"]) - datetime.fromisoformat(record["last_contact"])
        > timedelta(days=7)
    }
    assert {"secured", "highSeverity"} <= old


def test_a_device_is_an_iphone_or_ipad_under_the_id_that_the_vendor_gets() -> None:
    devices = dataset("device_inventory", 12_000).members
    kinds = dict(zip(devices.threat_defense_id.to_pylist(), devices.device_type.to_pylist(), strict=True))
    assert {kinds[record["device_id"]] for record in THREAT_DEFENSE_THREAT_STATE} == {"iphone", "ipad"}
