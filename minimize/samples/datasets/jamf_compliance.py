"""`jamf_compliance`: how the Macs of an organization are, as Jamf Pro reports it: hardware that no compliance rule reads, too."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from minimize.samples import values
from minimize.samples.base import Rows
from minimize.samples.received import Received, earlier
from minimize.samples.selection import Macs
from minimize.samples.values import picked

SAME = {
    "device_aad_id": "directory_device_id",
    "user_aad_id": "user_id",
    "user_email": "user_principal_name",
    "device_name": "device_name",
    "udid": "udid",
    "serial_number": "serial_number",
    "mac_address": "mac_address",
    "secondary_mac_address": "wifi_mac",
    "os_version": "os_version",
    "architecture": "architecture",
    "total_ram": "memory_bytes",
    "model": "model",
    "make": "manufacturer",
    "cores": "cpu_cores",
    "processor_type": "cpu",
}
"""The names that Jamf has for what is known of the device."""


class JamfCompliance(Received[Macs]):
    """A message about each Mac and day."""

    population = Macs
    subject = "device_aad_id"
    facts = ()
    constant = (
        ("boot_rom", "10151.101.3"),
        ("bus_speed", 0),
        ("cache_size", 4096),
        ("nic_speed", "1 Gb/s"),
        ("processors", 1),
        ("os", "macOS"),
        ("platform", "Mac"),
        ("processor_speed", 4050),
        ("ram_slots_free", 0),
        ("smc_version", "1.0"),
    )
    wrong = (("passcode_length", "eight"), ("filevault_encrypted", "yes"))

    def fixed_columns(self) -> dict[str, pa.Array]:
        """The Mac, and its hardware."""
        members = self.members
        number = pa.array(np.arange(members.count) + 1).cast(pa.string())
        return {
            **super().fixed_columns(),
            **{name: members.of_device(column) for name, column in SAME.items()},
            "jamf_id": number,
            "model_identifier": pc.binary_join_element_wise("Mac15,", number, ""),
            "battery_capacity": pa.array(members.draw("battery").integers(70, 101, members.count)),
        }

    def columns(self, rows: Rows) -> dict[str, pa.Array]:
        """When it was seen last, and how it is protected."""
        return {
            "inventory_state": rows.pick(("activated", "deactivated"), 2.0),
            "last_check_in": earlier(rows, (0.9, 20), (80, 20)),
            "filevault_encrypted": pa.array(rows.chance(0.9)),
            "gatekeeper_status": rows.pick(("APP_STORE", "APP_STORE_AND_IDENTIFIED_DEVELOPERS", "DISABLED"), 1.0),
            "system_integrity_protection": pa.array(rows.chance(0.97)),
            "prevent_auto_login": pa.array(rows.chance(0.95)),
            "passcode_length": picked((4, 6, 8, 10, 12), values.weighted(rows.random, len(rows), (2, 10, 50, 20, 18))),
            "password_type": rows.pick(("alphanumeric", "simple", "unknown"), 1.5),
            "min_character_sets": picked((0, 1, 2, 3), rows.codes(4)),
            "password_expiration_days": picked((90, 180, 365), rows.codes(3)),
            "password_history": picked((0, 5, 10), rows.codes(3)),
            "domain_join": pa.array(rows.chance(0.4)),
        }
