from __future__ import annotations

import pytest

from minimize.arrow.pointers import Pointer
from minimize.policy.roles import certain_role, suggested_role, words_of_name


@pytest.mark.parametrize(
    ("name", "role"),
    [
        ("phone", "identifier"), ("phoneNumber", "identifier"), ("e-mail", "identifier"), ("emailAddress", "identifier"),
        ("IMEI", "identifier"), ("serialNumber", "identifier"), ("wifiMacAddress", "identifier"), ("UDID", "identifier"),
        ("user_principal_name", "identifier"), ("userId", "identifier"), ("deviceName", "identifier"), ("ssn", "identifier"),
        ("ip", "quasi"), ("ipAddress", "quasi"), ("latitude", "quasi"), ("date_of_birth", "quasi"), ("SSID", "quasi"),
        ("passcode", "secret"), ("apiToken", "secret"), ("activationLockBypassCode", "secret"),
        ("comment", "free_text"), ("support_note", "free_text"), ("/device/imei", "identifier"), ("/a/*/imei", "identifier"),
    ],
)  # fmt: skip
def test_a_name_gives_a_role_away(name: str, role: str | None) -> None:
    assert certain_role(Pointer.parse(name)) == role


@pytest.mark.parametrize(
    "name",
    [
        *("login", "accountNumber", "mobile", "vin", "fingerprint", "addr", "personNo"),
        *("kundennummer", "identifiant", "nif", "steuerId"),
    ],
)
def test_names_of_persons_accounts_and_vehicles_are_identifiers(name: str) -> None:
    assert certain_role(Pointer.parse(name)) == "identifier"


@pytest.mark.parametrize("name", ["login_count", "last_login", "mobile_enabled", "build_fingerprint", "account_type"])
def test_names_of_their_properties_are_not(name: str) -> None:
    assert certain_role(Pointer.parse(name)) is None


@pytest.mark.parametrize("name", ["battery", "machine", "shipping", "macro", "stage", "tenant_id", "chip", "/ips/*"])
def test_other_names_give_nothing_away(name: str) -> None:
    assert certain_role(Pointer.parse(name)) is None


@pytest.mark.parametrize(
    ("name", "role"),
    [("event_time", "quasi"), ("osVersion", "quasi"), ("event_id", "identifier"), ("description", "free_text")],
)
def test_some_names_suggest_a_role(name: str, role: str) -> None:
    assert suggested_role(Pointer.parse(name)) == role


# Names from public schemas: Mozilla Glean and Firefox pings, OpenTelemetry semantic conventions, Segment, Snowplow,
# Google Analytics, Amplitude, Mixpanel, AppsFlyer, Sentry, Android, Apple, Windows diagnostic data, VS Code, Microsoft Intune.
IDENTIFIERS = [
    "clientId", "client_id", "clientID", "client-id", "CLIENT_ID", "clientid", "clientId2", "client.id",
    "legacy_telemetry_client_id", "app_install_id", "installId", "user_hash", "userHash", "profile_group_id",
    "usage_profile_id", "ecosystem_user_id", "previous_session_id", "subsessionId", "session.id", "ga_session_id",
    "enduser.id", "user.hash", "user_pseudo_id", "user_ids", "anonymousId", "anonymous_id", "distinct_id",
    "$distinct_id", "amplitude_id", "appsflyer_id", "braze_id", "firebase_instance_id", "idfa", "idfv", "IDFA",
    "gaid", "aaid", "adid", "gps_adid", "oaid", "android_id", "androidId", "ANDROID_ID", "gclid", "fbclid",
    "domain_userid", "network_userid", "domain_sessionid", "refr_domain_userid", "user_fingerprint", "visitorId",
    "cookie_id", "machineId", "sqmId", "devDeviceId", "MachineGuid", "azureADDeviceId", "userLocalId", "hostId",
    "host.id", "service.instance.id", "member_uuid", "deviceUUID", "uuid", "memberGUIDs", "customer_user_id",
    "player_id", "employeeNumber", "patient_id", "userKey", "device_id_sha256", "emailMd5", "username", "nickname",
    "screen_name", "identifierForVendor", "imeisv", "ecid", "push_device_token", "/user/id", "/session/id",
    "/device/*/uuid", "/client/hash", "/client_id/value", "IPv6ClientId",
]  # fmt: skip
SECRETS = [
    "sessionToken", "session_token", "login_token", "accessToken", "oauth_token", "csrfToken",
]  # fmt: skip
NO_IDENTIFIERS = [
    "valid", "invalid", "width", "idle_time", "idleTime", "grid", "paid", "fluid", "hybrid", "void", "avoid", "solid",
    "midi", "video", "android", "android_version", "androidVersion", "android_sdk_int", "session_count",
    "sessionCount", "token_count", "tokens_used", "hash_rate", "hashrate", "hash_algorithm", "client_version",
    "clientVersion", "client_type", "user_count", "users", "user_agent_type", "domain_sessionidx", "session_duration",
    "session_index", "session_number", "client_port_number", "device_type", "device_model", "device_model_id",
    "device_count", "install_date", "install_source", "installed", "profile_count", "profile_days", "user_role",
    "user_role_id", "user_id_count", "has_user_id", "email_verified", "mac_version", "ip_version", "phone_type",
    "password_length", "num_devices", "is_mac", "product_id", "category_id", "experiment_id", "build_id",
    "build_hash", "commit_hash", "app_version", "os_version", "tenant_id", "country_id", "feature_id", "screen_width",
    "screen_id", "thread_id", "process_id", "cookie_consent", "cookies_enabled", "machine_type", "host_os",
    "instance_count", "identity_provider", "idx", "ids_enabled", "keyboard", "key_count", "public_key_algorithm",
    "tokenizer", "hashtag_count", "client_mode", "visit_count", "message_count", "battery_level", "/grid/valid",
    "/client/version",
]  # fmt: skip


@pytest.mark.parametrize("name", IDENTIFIERS)
def test_a_name_of_a_telemetry_schema_is_an_identifier(name: str) -> None:
    assert certain_role(Pointer.parse(name)) == "identifier"


@pytest.mark.parametrize("name", SECRETS)
def test_an_access_token_is_a_secret(name: str) -> None:
    assert certain_role(Pointer.parse(name)) == "secret"


@pytest.mark.parametrize("name", NO_IDENTIFIERS)
def test_a_name_that_contains_the_letters_of_one_is_none(name: str) -> None:
    assert certain_role(Pointer.parse(name)) is None


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("clientID", "client_id"),
        ("HTTPClientIDs", "http_client_id"),
        ("IPv6Address", "ipv6_address"),
        ("device-id_2", "device_id_2"),
        ("user2Id", "user_2_id"),
        ("wiFiMacAddress", "wi_fi_mac_address"),
    ],
)
def test_a_name_is_split_into_words(name: str, words: str) -> None:
    assert "_".join(words_of_name(name)) == words
