"""The datasets of a device-management service."""

from __future__ import annotations

from typing import Any

from minimize_samples.dataset import Dataset
from minimize_samples.datasets.administration import AdministratorAccounts, AuditEvents, ConsoleUsage, SiteSummary
from minimize_samples.datasets.apple import (
    AppleDeviceEnrollment,
    AppleDeviceEnrollmentSync,
    ApplePush,
    ApplePushAuthenticate,
    ApplePushCheckout,
    ApplePushCommands,
    ApplePushTokenUpdate,
    AppleVolumePurchase,
    AppleVolumePurchaseSync,
)
from minimize_samples.datasets.managed_devices import (
    AppInventory,
    DeviceInventory,
    DeviceTelemetry,
    Enrollments,
    HardwareInventory,
    ManagedApps,
    UsageEvents,
)
from minimize_samples.datasets.partners import (
    GoogleAndroidManagement,
    GoogleAndroidManagementSync,
    JamfCompliance,
    ThreatDefenseAppSync,
    ThreatDefenseThreatState,
)
from minimize_samples.datasets.support import SupportCases, SupportDeskCases

DATASETS: dict[str, type[Dataset[Any]]] = {
    "device_telemetry": DeviceTelemetry,
    "usage_events": UsageEvents,
    "device_inventory": DeviceInventory,
    "hardware_inventory": HardwareInventory,
    "app_inventory": AppInventory,
    "enrollments": Enrollments,
    "managed_apps": ManagedApps,
    "audit_events": AuditEvents,
    "administrators": AdministratorAccounts,
    "console_usage": ConsoleUsage,
    "support_cases": SupportCases,
    "site_summary": SiteSummary,
    "apple_device_enrollment": AppleDeviceEnrollment,
    "apple_push": ApplePush,
    "apple_volume_purchase": AppleVolumePurchase,
    "google_android_management": GoogleAndroidManagement,
    "support_desk_cases": SupportDeskCases,
    "threat_defense_app_sync": ThreatDefenseAppSync,
    "apple_push_authenticate": ApplePushAuthenticate,
    "apple_push_token_update": ApplePushTokenUpdate,
    "apple_push_checkout": ApplePushCheckout,
    "apple_push_commands": ApplePushCommands,
    "apple_device_enrollment_sync": AppleDeviceEnrollmentSync,
    "apple_volume_purchase_sync": AppleVolumePurchaseSync,
    "google_android_management_sync": GoogleAndroidManagementSync,
    "jamf_compliance": JamfCompliance,
    "threat_defense_threat_state": ThreatDefenseThreatState,
}
