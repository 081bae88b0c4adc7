"""`hardware_inventory`: what managed devices are made of, and in what condition they are."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from minimize.samples.base import Dataset, Rows
from minimize.samples.devices import Devices


class HardwareInventory(Dataset[Devices]):
    """A record for each device and inventory."""

    population = Devices
    subject = "device_id"
    facts = (
        *(
            "device_id",
            "device_type",
            "owner_type",
            "manufacturer",
            "model",
            "operating_system",
            "os_version",
            "os_build",
        ),
        *("total_storage_bytes", "memory_bytes", "cpu", "cpu_cores", "architecture", "tpm_version", "bios_date"),
        *("firmware_version", "carrier", "cellular_technology", "is_encrypted", "jail_broken", "compliance_state"),
    )
    wrong = (("battery_health_pct", "good"), ("cpu_cores", 7.5), ("is_encrypted", "yes"))

    def columns(self, rows: Rows) -> dict[str, pa.Array]:
        """What wears."""
        free = self.members.storage[rows.members] * rows.random.beta(2, 4, len(rows))
        return {
            "free_storage_bytes": pa.array(free.astype(np.int64)),
            "battery_health_pct": pa.array(np.round(100 * rows.random.beta(12, 2, len(rows)), 1)),
        }
