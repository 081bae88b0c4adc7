"""The datasets of a device-management service, one module each."""

from __future__ import annotations

from typing import Any

from minimize.samples.base import Dataset
from minimize.samples.datasets.administrators import AdministratorAccounts
from minimize.samples.datasets.app_inventory import AppInventory
from minimize.samples.datasets.apple_device_enrollment import AppleDeviceEnrollment
from minimize.samples.datasets.apple_device_enrollment_sync import AppleDeviceEnrollmentSync
from minimize.samples.datasets.apple_push import ApplePush
from minimize.samples.datasets.apple_push_authenticate import ApplePushAuthenticate
from minimize.samples.datasets.apple_push_checkout import ApplePushCheckout
from minimize.samples.datasets.apple_push_commands import ApplePushCommands
from minimize.samples.datasets.apple_push_token_update import ApplePushTokenUpdate
from minimize.samples.datasets.apple_volume_purchase import AppleVolumePurchase
from minimize.samples.datasets.apple_volume_purchase_sync import AppleVolumePurchaseSync
from minimize.samples.datasets.audit_events import AuditEvents
from minimize.samples.datasets.console_usage import ConsoleUsage
from minimize.samples.datasets.device_inventory import DeviceInventory
from minimize.samples.datasets.device_telemetry import DeviceTelemetry
from minimize.samples.datasets.enrollments import Enrollments
from minimize.samples.datasets.google_android_management import GoogleAndroidManagement
from minimize.samples.datasets.google_android_management_sync import GoogleAndroidManagementSync
from minimize.samples.datasets.hardware_inventory import HardwareInventory
from minimize.samples.datasets.jamf_compliance import JamfCompliance
from minimize.samples.datasets.managed_apps import ManagedApps
from minimize.samples.datasets.site_summary import SiteSummary
from minimize.samples.datasets.support_cases import SupportCases
from minimize.samples.datasets.support_desk_cases import SupportDeskCases
from minimize.samples.datasets.threat_defense_app_sync import ThreatDefenseAppSync
from minimize.samples.datasets.threat_defense_threat_state import ThreatDefenseThreatState
from minimize.samples.datasets.usage_events import UsageEvents

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
