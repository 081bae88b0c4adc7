"""`enrollments`: attempts to enrol devices, and why they failed."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from minimize.samples.base import Dataset, Rows
from minimize.samples.devices import DEDICATED, MAC, WINDOWS, WORK, Devices
from minimize.samples.values import Ints, codes, only, picked

TYPES = (
    "UserEnrollment", "DeviceEnrollmentManager", "AppleBulkWithUser", "AppleBulkWithoutUser", "WindowsAzureADJoin",
    "WindowsBulkUserless", "AndroidEnterpriseWorkProfile", "AndroidEnterpriseDedicated",
)  # fmt: skip
USERLESS = (3, 5, 7)
FAILURES = (
    ("EnrollmentRestrictionsEnforced", "DeviceCapReached"),
    ("Authentication", "CredentialsRejected"),
    ("Authorization", "UserLicenseMissing"),
    ("UserAbandonment", "UserCancelled"),
    ("ClientDisconnected", "ConnectionLost"),
    ("EnrollmentRestrictionsEnforced", "PlatformBlocked"),
    ("DeviceNotSupported", "OsVersionTooOld"),
    ("UserValidation", "UserNotFound"),
    ("Authentication", "TokenExpired"),
    ("AccountValidation", "AccountSuspended"),
    ("DeviceNotSupported", "ModelNotCertified"),
    ("BadRequest", "RequestMalformed"),
    ("FeatureNotSupported", "FeatureNotLicensed"),
    ("InMaintenance", "ServiceUnderRepair"),
    ("Unknown", "CauseUnclassified"),
    ("Not Available", "CauseNotReported"),
    ("Not Applicable", "EnrollmentWithdrawn"),
)
"""Categories and reasons, the most frequent first."""


class Enrollments(Dataset[Devices]):
    """Attempts, of which one in five fails; four kinds of enrolment name no user."""

    population = Devices
    subject = "device_id"
    facts = ("device_id", "serial_number", "device_type", "owner_type", "operating_system", "os_version")
    wrong = (("duration_ms", "long"), ("succeeded", "yes"))

    def fixed_columns(self) -> dict[str, pa.Array]:
        """The type of a device's enrolment, and its user if that type has one."""
        kinds = self._types()
        with_user = ~np.isin(kinds, USERLESS)
        return {
            **super().fixed_columns(),
            "user_id": only(self.members.user_id, with_user),
            "user_principal_name": only(self.members.user_principal_name, with_user),
            "enrollment_type": picked(TYPES, kinds),
        }

    def columns(self, rows: Rows) -> dict[str, pa.Array]:
        """What came of it."""
        succeeded = rows.chance(0.8)
        failure = codes(rows.random, len(rows), len(FAILURES), 1.0)
        duration = rows.random.lognormal(10.2, 0.7, len(rows)).astype(np.int64)
        return {
            "succeeded": pa.array(succeeded),
            "failure_category": picked([category for category, _ in FAILURES], failure, ~succeeded),
            "failure_reason": picked([reason for _, reason in FAILURES], failure, ~succeeded),
            "duration_ms": pa.array(duration),
        }

    def _types(self) -> Ints:
        """Corporate devices are enrolled in bulk or by their user, others by their user."""
        devices, draw = self.members, self.members.draw("enrollment_type")
        chosen = draw.random(devices.count)
        bulk = np.where(devices.is_apple, np.where(chosen < 0.7, 2, 3), np.where(chosen < 0.85, 4, 5))
        by_user = np.where(chosen < 0.95, 0, 1)
        in_bulk = ~devices.is_personal & (devices.kind >= WINDOWS) & (devices.is_apple | (devices.kind < MAC))
        kinds = np.where(in_bulk, bulk, by_user)
        return np.select([devices.kind == DEDICATED, devices.kind == WORK], [7, 6], kinds)
