"""Datasets of Apple's services: device enrollment, push notifications and volume purchase."""

from __future__ import annotations

from minimize_samples.world import World

from tests.samples.made import dataset, records

RECORDS = records("apple_device_enrollment", 300)


def test_a_device_is_assigned_alone_or_with_others_of_its_tenant() -> None:
    tenants = {record["serial_number"]: record["tenant_id"] for record in RECORDS}
    assert {len(record["devices"]) for record in RECORDS} == {1, 2, 3}
    for record in RECORDS:
        assert record["devices"][0] == record["serial_number"]
        assert {tenants[serial] for serial in record["devices"]} == {record["tenant_id"]}


def test_a_server_belongs_to_one_tenant() -> None:
    servers = {(record["tenant_id"], record["server_uuid"], record["server_token"]) for record in RECORDS}
    assert len(servers) == len({record["tenant_id"] for record in RECORDS}) == 6


def test_systems_go_with_families() -> None:
    assert {(record["os"], record["device_family"]) for record in RECORDS} == {
        ("OSX", "Mac"),
        ("iOS", "iPhone"),
        ("iOS", "iPad"),
    }


def test_a_few_profiles_are_in_a_state_that_apple_does_not_know() -> None:
    states = [record["profile_status"] for record in RECORDS]
    assert set(states) == {"empty", "assigned", "pushed", "removed", "expired"}
    assert 0 < states.count("expired") < 20


def test_the_optional_fields_are_missing_for_some_tenants() -> None:
    for key in ("support_phone_number", "support_email_address", "department"):
        assert 1 < len({record["tenant_id"] for record in RECORDS if key in record}) < 6


def test_some_descriptions_hold_the_address_of_a_user() -> None:
    assert 0 < sum("@" in record["description"] for record in RECORDS) < 120


APPLE_DEVICE_ENROLLMENT_SYNC = records("apple_device_enrollment_sync", 300)


SENT = records("apple_device_enrollment", 300)


def test_it_contains_for_each_device_what_apple_was_sent() -> None:
    names = ("serial_number", "asset_tag", "profile_uuid", "description")
    sent = {tuple(record.get(name) for name in names) for record in SENT}
    assert {tuple(record.get(name) for name in names) for record in APPLE_DEVICE_ENROLLMENT_SYNC} == sent


def test_a_profile_was_assigned_before_the_message_arrived() -> None:
    times = ("device_assigned_date", "profile_assign_time", "profile_push_time")
    assert all(record[name] < record["received_at"] for record in APPLE_DEVICE_ENROLLMENT_SYNC for name in times)


def test_some_states_are_not_known_to_the_manifest() -> None:
    assert {record["profile_status"] for record in APPLE_DEVICE_ENROLLMENT_SYNC} == {
        "pushed",
        "assigned",
        "empty",
        "removed",
        "expired",
    }


APPLE_PUSH = records("apple_push", 200)


def test_every_device_of_apple_has_a_token_and_a_magic_string_of_its_own() -> None:
    devices = {record["device_id"] for record in APPLE_PUSH}
    assert len(devices) == len({record["Token"] for record in APPLE_PUSH}) == 200
    assert len({record["PushMagic"] for record in APPLE_PUSH}) == 200


def test_they_are_the_same_on_the_next_day() -> None:
    tokens = {record["device_id"]: record["Token"] for record in APPLE_PUSH}
    assert tokens == {record["device_id"]: record["Token"] for record in records("apple_push", 200, 1)}


APPLE_PUSH_AUTHENTICATE = records("apple_push_authenticate", 200)


def test_each_device_has_its_names() -> None:
    assert (
        len({record["UDID"] for record in APPLE_PUSH_AUTHENTICATE})
        == len({record["SerialNumber"] for record in APPLE_PUSH_AUTHENTICATE})
        == 200
    )
    assert {record["MessageType"] for record in APPLE_PUSH_AUTHENTICATE} == {"Authenticate"}


def test_only_phones_and_tablets_have_an_imei() -> None:
    assert 0 < sum("IMEI" in record for record in APPLE_PUSH_AUTHENTICATE) < len(APPLE_PUSH_AUTHENTICATE)


def test_the_devices_of_a_tenant_listen_to_one_topic() -> None:
    pairs = {(record["tenant_id"], record["Topic"]) for record in APPLE_PUSH_AUTHENTICATE}
    assert len(pairs) == len({tenant for tenant, _ in pairs}) == len({topic for _, topic in pairs})


APPLE_PUSH_CHECKOUT = records("apple_push_checkout", 200)


def test_they_are_devices_that_checked_in_at_the_same_topic() -> None:
    known = {(record["UDID"], record["Topic"]) for record in records("apple_push_authenticate", 200)}
    assert {(record["UDID"], record["Topic"]) for record in APPLE_PUSH_CHECKOUT} == known


def test_it_has_no_other_field() -> None:
    envelope = {"message_id", "received_at", "tenant_id"}
    assert {name for record in APPLE_PUSH_CHECKOUT for name in record} == envelope | {"MessageType", "Topic", "UDID"}


APPLE_PUSH_COMMANDS = records("apple_push_commands")


def test_most_commands_succeed() -> None:
    states = [record["Status"] for record in APPLE_PUSH_COMMANDS]
    assert set(states) == {"Acknowledged", "NotNow", "Error"}
    assert states.count("Acknowledged") > states.count("Error")


def test_some_errors_are_free_text_with_an_address_of_the_documentation_in_it() -> None:
    errors = [record["ErrorChain"] for record in APPLE_PUSH_COMMANDS if "ErrorChain" in record]
    assert 0 < len(errors) < len(APPLE_PUSH_COMMANDS) / 4
    assert {text for text in errors if "@" in text} == {
        "MCProfileErrorDomain 1009: the account ann@mail.example is set up already"
    }


def test_each_command_is_another_one() -> None:
    assert len({record["CommandUUID"] for record in APPLE_PUSH_COMMANDS}) == len(APPLE_PUSH_COMMANDS)


APPLE_PUSH_TOKEN_UPDATE = records("apple_push_token_update", 200)


SECRETS = ("Token", "PushMagic", "UnlockToken")


def test_every_device_has_secrets_of_its_own() -> None:
    assert len({record["UDID"] for record in APPLE_PUSH_TOKEN_UPDATE}) == 200
    assert [len({record[name] for record in APPLE_PUSH_TOKEN_UPDATE}) for name in SECRETS] == [200] * 3


def test_the_first_two_are_those_that_are_needed_to_push_to_devices() -> None:
    sent = {(record["Token"], record["PushMagic"]) for record in records("apple_push", 200)}
    assert {(record["Token"], record["PushMagic"]) for record in APPLE_PUSH_TOKEN_UPDATE} == sent


APPLE_VOLUME_PURCHASE = records("apple_volume_purchase", 200)


def test_the_account_is_the_administrators_and_the_same_for_the_whole_tenant() -> None:
    accounts = {(record["tenant_id"], record["managed_apple_id_upn"]) for record in APPLE_VOLUME_PURCHASE}
    assert len(accounts) == len({record["tenant_id"] for record in APPLE_VOLUME_PURCHASE}) == 6


def test_users_and_devices_are_those_of_the_world() -> None:
    members = dataset("apple_volume_purchase", 200).members
    users = members.devices.users
    guids = dict(zip(users.user_id.to_pylist(), users.apple_user_guid.to_pylist(), strict=True))
    assert isinstance(members.world, World)
    assert all(guids[record["user_id"]] == record["user_guid"] for record in APPLE_VOLUME_PURCHASE)
    assert len({record["serial_number"] for record in APPLE_VOLUME_PURCHASE}) == 200


APPLE_VOLUME_PURCHASE_SYNC = records("apple_volume_purchase_sync", 300)


def test_licences_in_use_retired_and_available_are_all_that_there_are() -> None:
    parts = ("assignedCount", "retiredCount", "availableCount")
    assert {sum(record[name] for name in parts) - record["totalCount"] for record in APPLE_VOLUME_PURCHASE_SYNC} == {0}


def test_an_application_has_one_name_and_one_id() -> None:
    names = ("adamId", "bundleId", "appName")
    apps = {tuple(record[name] for name in names) for record in APPLE_VOLUME_PURCHASE_SYNC}
    assert [len({app[place] for app in apps}) for place in range(3)] == [len(apps)] * 3


def test_a_tenant_has_one_organization() -> None:
    pairs = {
        (record["tenant_id"], record["organizationId"], record["location"]) for record in APPLE_VOLUME_PURCHASE_SYNC
    }
    assert len(pairs) == 6
