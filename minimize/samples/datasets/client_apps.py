"""Datasets of applications: usage events of the client application, check-ins of managed applications."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from minimize.samples import arrays, collection_settings
from minimize.samples.arrays import Ints, Random, null_unless, pool_values
from minimize.samples.dataset import DAY_MILLISECONDS, Dataset, SampleRows, Slice, delay_events
from minimize.samples.devices import APP_IDS, APP_VERSIONS, MANAGED_APPS, app_version
from minimize.samples.populations import MANAGEMENT_MODES, Clients

EVENT_KINDS = (
    "app_launch", "enrollment_call", "sdk_action", "page_view", "page_action", "crash",
    "failure.network", "failure.runtime", "failure.task_schedule", "failure.enrollment", "failure.aad_auth",
)  # fmt: skip
EVENT_WEIGHTS = (20, 5, 20, 25, 20, 2, 3, 2, 1, 1, 1)
CRASH_KIND = 5
USED_FEATURES = tuple(
    f"company_portal.{name}" for name in ("devices", "apps", "sync", "support", "profile", "news", "reset_passcode")
)
PORTAL_PAGES = tuple(
    f"https://user{row}@portal.example:443/{feature}?id={row}" for row, feature in enumerate(USED_FEATURES)
)
COMMANDS = ("sync", "enroll", "retire", "check_compliance", "install_app")
CLIENT_ERRORS = ("0x87D1041C", "0x80070005", "0x87D13B9F", "0x80180014", "0x8018002A")


class UsageEvents(Dataset[Clients]):
    """Users and what they do in a day, some of them more than others."""

    population = Clients
    subject = "sdk_user_id"
    daily = 8
    facts = (
        *("sdk_user_id", "display_name", "user_email", "device_id", "management_mode", "platform"),
        *("platform_version", "app_version", "sdk_version"),
    )
    settings_by = (
        collection_settings.level_settings,
        collection_settings.sdk_settings,
        collection_settings.own_usage_settings,
    )
    wrong = (("use_count", "three"), ("response_time_ms", 12.5))

    def rows(self, part: Slice, random: Random) -> SampleRows:
        """Events at any time in the slice's part of the day."""
        user = arrays.random_codes(random, part.count, self.members.count, 0.3)
        span = max(1, DAY_MILLISECONDS * part.count // max(1, part.day_total))
        start = part.midnight + DAY_MILLISECONDS * part.start // max(1, part.day_total)
        events, arrival = delay_events(start + random.integers(0, span, part.count), random)
        return SampleRows(user[arrival], events[arrival], arrival, random)

    def columns(self, rows: SampleRows) -> dict[str, pa.Array]:
        """What happened."""
        random, count = rows.random, len(rows)
        kind = arrays.weighted_codes(random, count, EVENT_WEIGHTS)
        failed, used = kind >= CRASH_KIND, (kind > 1) & (kind < CRASH_KIND)
        response = np.minimum(random.lognormal(5.3, 0.8, count), 120_000).astype(np.int64)
        return {
            "event_type": pool_values(EVENT_KINDS, kind),
            "session_guid": self._sessions(rows),
            "correlation_id": rows.guids(),
            "client_ip": pool_values(self.addresses, rows.members * 11 % len(self.addresses)),
            "page_url": rows.pick(PORTAL_PAGES, where=rows.chance(0.4)),
            "feature_name": rows.pick(USED_FEATURES, 0.8, used),
            "command_name": rows.pick(COMMANDS, 0.8, kind == 2),
            "use_count": null_unless(pa.array(1 + random.poisson(1.2, count)), used),
            "response_time_ms": null_unless(pa.array(response), ~failed),
            "duration_ms": pa.array(response * 3 + 7),
            "install_succeeded": null_unless(pa.array(rows.chance(0.96)), kind == 1),
            "error_code": rows.pick(CLIENT_ERRORS, 0.8, failed),
            "feedback": rows.pick(self.world.people.notes, where=rows.chance(0.02)),
        }

    def _sessions(self, rows: SampleRows) -> pa.StringArray:
        """A session for each user and quarter of a day."""
        number: Ints = rows.members * 31 + rows.times // (DAY_MILLISECONDS // 4)
        sessions = arrays.guids(rows.random, 1 + len(rows) // 3)
        return sessions.take(pa.array(number % len(sessions)))


INSTANCES = 2
"""Of each user."""
HEALTH_STATES = ("healthy", "notAvailable", "unhealthy")
HOUR_MILLISECONDS = 3_600_000


class ManagedApps(Dataset[Clients]):
    """Each user has some instances, each of which checks in once a day."""

    population = Clients
    subject = "user_id"
    daily = INSTANCES
    facts = (
        *("user_id", "user_principal_name", "device_id", "sdk_version", "operating_system", "platform_version"),
        "device_tag",
    )
    settings_by = (collection_settings.level_settings, collection_settings.sdk_settings)
    wrong = (("last_check_in", 20_261_124), ("sdk_version", 3.2))

    def __init__(self, per_day: int, seed: int) -> None:
        super().__init__(per_day, seed)
        draw, count = self.members.draw, self.members.count * INSTANCES
        self._ids = arrays.guids(draw("app_instance_id"), count)
        self._keys = arrays.secrets(draw("encryption_key"), count)
        self._apps = arrays.random_codes(draw("app"), count, MANAGED_APPS, 0.8)

    def fixed_columns(self) -> dict[str, pa.Array]:
        """With enrolment, application and device are managed."""
        mode = pool_values(MANAGEMENT_MODES[:2], np.where(self.members.is_enrolled, 0, 1))
        return {**super().fixed_columns(), "management_mode": mode}

    def columns(self, rows: SampleRows) -> dict[str, pa.Array]:
        """The instance and its state."""
        instance = rows.members * INSTANCES + rows.turns % INSTANCES
        app = self._apps[instance]
        versions = [app_version(each, step) for each in range(MANAGED_APPS) for step in range(APP_VERSIONS)]
        earlier = rows.random.integers(HOUR_MILLISECONDS, 24 * HOUR_MILLISECONDS, len(rows))
        return {
            "app_instance_id": self._ids.take(pa.array(instance)),
            "app_id": pool_values(APP_IDS, app),
            "app_version": pool_values(versions, app * APP_VERSIONS + instance % APP_VERSIONS),
            "device_health": rows.pick(HEALTH_STATES, 1.8),
            "encryption_key": self._keys.take(pa.array(instance)),
            "last_check_in": arrays.timestamp_array(rows.times - earlier),
        }
