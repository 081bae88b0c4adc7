"""`device_inventory`: who and what each managed device is."""

from __future__ import annotations

import pyarrow as pa

from minimize.samples.base import Dataset, Rows
from minimize.samples.devices import Devices


class DeviceInventory(Dataset[Devices]):
    """A record for each device and inventory, with every identifier that the service has."""

    population = Devices
    subject = "device_id"
    facts = (
        *("device_id", "user_id", "user_display_name", "user_principal_name", "device_name", "management_name"),
        *("serial_number", "imei", "meid", "iccid", "wifi_mac", "mac_address", "phone_number", "directory_device_id"),
        *("management_id", "account_id", "eas_device_id", "apple_id", "udid", "android_id", "windows_id"),
        *("partner_tenant_id", "device_type", "owner_type", "operating_system", "os_version", "manufacturer", "model"),
        *("enrolled_date_time", "activation_lock_bypass_code", "certificate_private_key"),
    )
    wrong = (("os_version", 18.1), ("enrolled_date_time", 20_261_124))

    def columns(self, rows: Rows) -> dict[str, pa.Array]:
        """Nothing changes from record to record."""
        return {}
