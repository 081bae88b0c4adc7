"""The fields of each dataset and their types, which policies and manifests rely on."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from minimize_samples import DATASETS, NAMES
from minimize_samples.dataset import Slice

from ..made import DAY, dataset, records

LETTERS = {
    "s": pa.string(),
    "i": pa.int64(),
    "d": pa.float64(),
    "b": pa.bool_(),
    "t": pa.timestamp("ms", "UTC"),
    "D": pa.date32(),
    "[s]": pa.list_(pa.string()),
    "{}": pa.map_(pa.string(), pa.string()),
    "apps": pa.list_(
        pa.struct(
            [(name, pa.string()) for name in ("id", "name", "version")]
            + [("managed", pa.bool_()), ("bundle_size", pa.int64())]
        )
    ),
    "hardware": pa.struct([("total_storage_bytes", pa.int64()), ("memory_bytes", pa.int64()), ("cpu", pa.string())]),
    "network": pa.struct([("type", pa.string()), ("ssid", pa.string())]),
    "resources": pa.list_(pa.struct([(name, pa.string()) for name in ("type", "id", "name")])),
    "changes": pa.list_(pa.struct([(name, pa.string()) for name in ("name", "old_value", "new_value")])),
}
FIELDS = {
    "device_telemetry": """
        device_id device_type owner_type operating_system management_agent user_id user_principal_name device_name
        serial_number imei wifi_mac phone_number carrier activation_lock_bypass_code manufacturer model
        enrolled_date_time:t bios_date:D os_installed:D os_language is_encrypted:b is_supervised:b lost_mode:b labels:{}
        hardware:hardware ip_address latitude:d longitude:d os_version security_patch:D battery_pct:d free_storage_bytes:i
        compliance_state jail_broken:b portal_opens:i network:network apps:apps support_note""",
    "usage_events": """
        sdk_user_id display_name user_email device_id management_mode platform platform_version app_version sdk_version
        event_type session_guid correlation_id client_ip page_url feature_name command_name error_code feedback use_count:i
        response_time_ms:i duration_ms:i install_succeeded:b""",
    "device_inventory": """
        device_id user_id user_display_name user_principal_name device_name management_name serial_number imei meid iccid
        wifi_mac mac_address phone_number directory_device_id management_id account_id eas_device_id apple_id udid android_id
        windows_id partner_tenant_id device_type owner_type operating_system os_version manufacturer model
        enrolled_date_time:t activation_lock_bypass_code certificate_private_key""",
    "hardware_inventory": """
        device_id device_type owner_type manufacturer model operating_system os_version os_build total_storage_bytes:i
        free_storage_bytes:i memory_bytes:i cpu cpu_cores:i architecture tpm_version bios_date:D firmware_version carrier
        cellular_technology battery_health_pct:d is_encrypted:b jail_broken:b compliance_state""",
    "app_inventory": """
        device_id device_type owner_type operating_system app_id app_name app_version app_size_bytes:i install_location
        managed:b modern:b install_state install_succeeded:b install_error_code""",
    "enrollments": """
        device_id user_id user_principal_name serial_number device_type owner_type operating_system os_version
        enrollment_type succeeded:b failure_category failure_reason duration_ms:i""",
    "managed_apps": """
        user_id user_principal_name device_id app_instance_id app_id app_version sdk_version operating_system
        platform_version device_tag device_health management_mode encryption_key last_check_in:t""",
    "audit_events": """
        operation activity component category result correlation_id actor_id actor_principal_name actor_type
        actor_application actor_ip actor_permissions:[s] resources:resources changed_properties:changes""",
    "administrators": """
        admin_id account_id first_name last_name user_name user_principal_name phone_number owner_email directory_id
        roles:[s] payment_method payment_card_last4 payment_card_token subscription_key partner_tenant_id""",
    "console_usage": """
        admin_id session_guid correlation_id page control action use_count:i duration_ms:i browser client_ip search_text""",
    "support_cases": """
        case_id message_number:i contact_id contact_name contact_phone contact_email device_id incident_id product_area
        severity state channel subject_line message agent_name""",
    "site_summary": """
        site_id product_version diagnostic_level client_count:i os_version os_device_count:i tpm_version tpm_device_count:i
        error_code error_count:i database_size_gb:d cpu server_age_months:i site_name server_name contact_name contact_email
        server_ip postal_address""",
}


def fields(name: str) -> dict[str, Any]:
    words = ["event_id", "tenant_id", "event_time:t", *FIELDS[name].split()]
    return {field: LETTERS[letter or "s"] for field, _, letter in (word.partition(":") for word in words)}


def test_every_dataset_of_the_service_can_be_made() -> None:
    assert set(FIELDS) <= set(NAMES)


@pytest.mark.parametrize("name", FIELDS)
@pytest.mark.parametrize("count", [0, 50])
def test_a_table_has_these_fields_of_these_types(name: str, count: int) -> None:
    made = dataset(name).records(Slice(DAY, 0, count, count), np.random.default_rng(1)).table()
    assert {field.name: field.type for field in made.schema} == fields(name)


@pytest.mark.parametrize("name", FIELDS)
def test_each_field_is_there_and_a_null_is_not(name: str) -> None:
    made = records(name)
    assert {field for record in made for field in record} == set(fields(name))
    assert None not in [value for record in made for value in record.values()]


@pytest.mark.parametrize("name", FIELDS)
def test_each_record_has_its_id_tenant_subject_and_time(name: str) -> None:
    made = records(name)
    assert all({"event_id", "tenant_id", "event_time", DATASETS[name].subject} <= record.keys() for record in made)
    assert len({record["event_id"] for record in made}) == len(made)


@pytest.mark.parametrize("name", FIELDS)
def test_a_field_has_a_value_of_another_type_by_mistake(name: str) -> None:
    assert {field for field, _ in DATASETS[name].wrong} <= fields(name).keys()
