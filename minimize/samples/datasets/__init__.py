"""The datasets of a device-management service, one module each."""

from __future__ import annotations

from typing import Any

from minimize.samples.base import Dataset
from minimize.samples.datasets.administrators import AdministratorAccounts
from minimize.samples.datasets.app_inventory import AppInventory
from minimize.samples.datasets.audit_events import AuditEvents
from minimize.samples.datasets.console_usage import ConsoleUsage
from minimize.samples.datasets.device_inventory import DeviceInventory
from minimize.samples.datasets.device_telemetry import DeviceTelemetry
from minimize.samples.datasets.enrollments import Enrollments
from minimize.samples.datasets.hardware_inventory import HardwareInventory
from minimize.samples.datasets.managed_apps import ManagedApps
from minimize.samples.datasets.site_summary import SiteSummary
from minimize.samples.datasets.support_cases import SupportCases
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
}
