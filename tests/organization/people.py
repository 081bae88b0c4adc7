"""The persons and devices of the organization: each has an id in every id space, and each id is one marked text of its own."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Final

TENANTS: Final = ("contoso", "fabrikam", "tailspin")
PERSONS: Final = 40
DEVICES: Final = 60
SHARED_EVERY: Final = 10
"""Every tenth device has two users."""

USER: Final = "user"
DEVICE: Final = "device"

PERSON_FIELDS: Final = {
    "user_id": USER,
    "sdk_user_id": USER,
    "contact_id": USER,
    "admin_id": USER,
    "actor_id": USER,
    "user_guid": USER,
    "user_aad_id": USER,
    "directory_id": "directory_user",
    "user_principal_name": "principal",
    "actor_principal_name": "principal",
    "user_email": "principal",
    "contact_email": "principal",
    "owner_email": "principal",
    "device_assigned_by": "principal",
    "user_name": "account_name",
    "apple_id": "apple_id",
    "managed_apple_id_upn": "managed_apple_id",
    "appleUserId": "apple_number",
    "facilitatorMemberId": "facilitator",
    "google_user": "google_user",
    "display_name": "name",
    "user_display_name": "name",
    "contact_name": "name",
    "first_name": "first_name",
    "last_name": "last_name",
    "adminName": "name",
    "adminEmail": "principal",
    "phone_number": "phone",
    "contact_phone": "phone",
    "payment_card_last4": "card",
}
"""The id space of each field that names a person. Ids of one space are equal in all datasets."""
DEVICE_FIELDS: Final = {
    "device_id": DEVICE,
    "device_aad_id": "directory_device",
    "directory_device_id": "directory_device",
    "management_id": "management",
    "management_name": "management_name",
    "eas_device_id": "exchange",
    "serial_number": "serial",
    "SerialNumber": "serial",
    "imei": "imei",
    "IMEI": "imei",
    "meid": "meid",
    "MEID": "meid",
    "iccid": "iccid",
    "udid": "udid",
    "UDID": "udid",
    "android_id": "android",
    "windows_id": "windows",
    "jamf_id": "jamf",
    "wifi_mac": "mac",
    "mac_address": "mac",
    "wifi_mac_address": "mac",
    "secondary_mac_address": "second_mac",
    "device_name": "device_name",
    "device_tag": "device_tag",
    "asset_tag": "asset",
}
"""The id space of each field that names a device."""


@dataclass(frozen=True)
class Person:
    """A person of a tenant."""

    number: int

    @property
    def tenant(self) -> str:
        return TENANTS[self.number % len(TENANTS)]

    @cached_property
    def ids(self) -> dict[str, str]:
        """The person's id in each space."""
        number = self.number
        ids = {
            space: f"prs{number:02}-{space.replace('_', '')}-q{number * 7919 % 99991:05}z"
            for space in _spaces(PERSON_FIELDS)
        }
        return ids | {
            "principal": f"prs{number:02}.q{number * 6007 % 9973:04}z@{self.tenant}.example",
            "phone": f"+3363998{number:02}{number * 41 % 97:02}",
            "card": f"{9000 + number}",
        }


@dataclass(frozen=True)
class Device:
    """A device of a tenant, and the persons who use it."""

    number: int

    @property
    def tenant(self) -> str:
        return TENANTS[self.number % len(TENANTS)]

    @property
    def is_corporate(self) -> bool:
        return self.number % 3 != 1 or self.number % 2 == 0

    @cached_property
    def ids(self) -> dict[str, str]:
        """The device's id in each space."""
        number = self.number
        ids = {
            space: f"dvc{number:02}-{space.replace('_', '')}-k{number * 7907 % 99991:05}y"
            for space in _spaces(DEVICE_FIELDS)
        }
        return ids | {
            "imei": f"35693803{number:02}{number * 7129 % 99991:05}",
            "mac": f"02:7d:{number:02x}:5c:{number * 37 % 256:02x}:e1",
            "second_mac": f"02:7e:{number:02x}:5d:{number * 41 % 256:02x}:e2",
        }

    @cached_property
    def users(self) -> tuple[Person, ...]:
        """The owner, and for every tenth device a second person of the tenant."""
        own = [each for each in persons() if each.tenant == self.tenant]
        place = self.number // len(TENANTS)
        second = [own[(place + 5) % len(own)]] if self.number % SHARED_EVERY == 0 else []
        return (own[place % len(own)], *second)


def _spaces(fields: dict[str, str]) -> list[str]:
    return sorted(set(fields.values()))


def persons() -> list[Person]:
    """All persons."""
    return [Person(number) for number in range(PERSONS)]


def devices() -> list[Device]:
    """All devices."""
    return [Device(number) for number in range(DEVICES)]


Subject = Person | Device
