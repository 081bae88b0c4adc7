"""`managed_apps`: instances of managed applications check in, on managed devices and on others."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from minimize.samples import collection, values
from minimize.samples.apps import IDS, MANAGED, VERSIONS, version
from minimize.samples.base import Dataset, Rows
from minimize.samples.clients import MODES, Clients
from minimize.samples.values import picked

INSTANCES = 2
"""Of each user."""
HEALTH = ("healthy", "notAvailable", "unhealthy")
HOUR = 3_600_000


class ManagedApps(Dataset[Clients]):
    """Each user has some instances, each of which checks in once a day."""

    population = Clients
    subject = "user_id"
    daily = INSTANCES
    facts = (
        *("user_id", "user_principal_name", "device_id", "sdk_version", "operating_system", "platform_version"),
        "device_tag",
    )
    settings_by = (collection.levels, collection.sdk)
    wrong = (("last_check_in", 20_261_124), ("sdk_version", 3.2))

    def __init__(self, per_day: int, seed: int) -> None:
        super().__init__(per_day, seed)
        draw, count = self.members.draw, self.members.count * INSTANCES
        self._ids = values.guids(draw("app_instance_id"), count)
        self._keys = values.secrets(draw("encryption_key"), count)
        self._apps = values.codes(draw("app"), count, MANAGED, 0.8)

    def fixed_columns(self) -> dict[str, pa.Array]:
        """With enrolment, application and device are managed."""
        mode = picked(MODES[:2], np.where(self.members.is_enrolled, 0, 1))
        return {**super().fixed_columns(), "management_mode": mode}

    def columns(self, rows: Rows) -> dict[str, pa.Array]:
        """The instance and its state."""
        instance = rows.members * INSTANCES + rows.turns % INSTANCES
        app = self._apps[instance]
        versions = [version(each, step) for each in range(MANAGED) for step in range(VERSIONS)]
        earlier = rows.random.integers(HOUR, 24 * HOUR, len(rows))
        return {
            "app_instance_id": self._ids.take(pa.array(instance)),
            "app_id": picked(IDS, app),
            "app_version": picked(versions, app * VERSIONS + instance % VERSIONS),
            "device_health": rows.pick(HEALTH, 1.8),
            "encryption_key": self._keys.take(pa.array(instance)),
            "last_check_in": values.instants(rows.times - earlier),
        }
