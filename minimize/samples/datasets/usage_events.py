"""`usage_events`: what people do with the client application; the end user holds the switch, the developer another one."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from minimize.samples import collection, values
from minimize.samples.base import DAY, Dataset, Rows, Slice, delayed
from minimize.samples.clients import Clients
from minimize.samples.values import Ints, Random, only, picked

KINDS = (
    "app_launch", "enrollment_call", "sdk_action", "page_view", "page_action", "crash",
    "failure.network", "failure.runtime", "failure.task_schedule", "failure.enrollment", "failure.aad_auth",
)  # fmt: skip
WEIGHTS = (20, 5, 20, 25, 20, 2, 3, 2, 1, 1, 1)
CRASH = 5
FEATURES = tuple(
    f"company_portal.{name}" for name in ("devices", "apps", "sync", "support", "profile", "news", "reset_passcode")
)
PAGES = tuple(f"https://user{row}@portal.example:443/{feature}?id={row}" for row, feature in enumerate(FEATURES))
COMMANDS = ("sync", "enroll", "retire", "check_compliance", "install_app")
ERRORS = ("0x87D1041C", "0x80070005", "0x87D13B9F", "0x80180014", "0x8018002A")


class UsageEvents(Dataset[Clients]):
    """Users and what they do in a day, some of them more than others."""

    population = Clients
    subject = "sdk_user_id"
    daily = 8
    facts = (
        *("sdk_user_id", "display_name", "user_email", "device_id", "management_mode", "platform"),
        *("platform_version", "app_version", "sdk_version"),
    )
    settings_by = (collection.levels, collection.sdk, collection.own_usage)
    wrong = (("use_count", "three"), ("response_time_ms", 12.5))

    def rows(self, part: Slice, random: Random) -> Rows:
        """Events at any time in the slice's part of the day."""
        user = values.codes(random, part.count, self.members.count, 0.3)
        span = max(1, DAY * part.count // max(1, part.of))
        start = part.midnight + DAY * part.start // max(1, part.of)
        events, arrival = delayed(start + random.integers(0, span, part.count), random)
        return Rows(user[arrival], events[arrival], arrival, random)

    def columns(self, rows: Rows) -> dict[str, pa.Array]:
        """What happened."""
        random, count = rows.random, len(rows)
        kind = values.weighted(random, count, WEIGHTS)
        failed, used = kind >= CRASH, (kind > 1) & (kind < CRASH)
        response = np.minimum(random.lognormal(5.3, 0.8, count), 120_000).astype(np.int64)
        return {
            "event_type": picked(KINDS, kind),
            "session_guid": self._sessions(rows),
            "correlation_id": rows.guids(),
            "client_ip": picked(self.addresses, rows.members * 11 % len(self.addresses)),
            "page_url": rows.pick(PAGES, where=rows.chance(0.4)),
            "feature_name": rows.pick(FEATURES, 0.8, used),
            "command_name": rows.pick(COMMANDS, 0.8, kind == 2),
            "use_count": only(pa.array(1 + random.poisson(1.2, count)), used),
            "response_time_ms": only(pa.array(response), ~failed),
            "duration_ms": pa.array(response * 3 + 7),
            "install_succeeded": only(pa.array(rows.chance(0.96)), kind == 1),
            "error_code": rows.pick(ERRORS, 0.8, failed),
            "feedback": rows.pick(self.world.people.notes, where=rows.chance(0.02)),
        }

    def _sessions(self, rows: Rows) -> pa.StringArray:
        """A session for each user and quarter of a day."""
        number: Ints = rows.members * 31 + rows.times // (DAY // 4)
        sessions = values.guids(rows.random, 1 + len(rows) // 3)
        return sessions.take(pa.array(number % len(sessions)))
