"""`console_usage`: what administrators do in the console."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from minimize.samples import collection, values
from minimize.samples.base import Dataset, Rows
from minimize.samples.devices import Devices
from minimize.samples.values import picked
from minimize.samples.world import Administrators

PAGES = ("devices", "apps", "compliance", "users", "reports", "enrolment", "roles", "tenant_status", "support")
CONTROLS = ("list", "filter", "details", "export", "toolbar", "search_box")
ACTIONS = ("view", "click", "search", "save")
SEARCH = 2
BROWSERS = ("Edge 130", "Chrome 130", "Firefox 132", "Safari 18")
SEARCHED = 100
"""So many devices, of any tenant, are searched for."""


class ConsoleUsage(Dataset[Administrators]):
    """A dozen acts of each administrator in a day."""

    population = Administrators
    subject = "admin_id"
    daily = 12
    facts = ("admin_id",)
    settings_by = (collection.levels, collection.usage)
    wrong = (("use_count", "twice"), ("duration_ms", 0.5))

    def __init__(self, per_day: int, seed: int) -> None:
        super().__init__(per_day, seed)
        devices = Devices(self.world, SEARCHED)
        names = ("user_display_name", "serial_number", "device_name", "phone_number")
        known = [text for column in devices.facts(names).values() for text in column.drop_null().to_pylist()]
        self._searches = [*known, "not compliant", "error 0x87D1041C", "203.0.113.7", "iOS 18"]

    def fixed_columns(self) -> dict[str, pa.Array]:
        """The browser."""
        return {**super().fixed_columns(), "browser": self.members.pick("browser", BROWSERS, 0.9)}

    def columns(self, rows: Rows) -> dict[str, pa.Array]:
        """The act."""
        action = rows.codes(len(ACTIONS), 0.8)
        sessions = values.guids(rows.random, 1 + len(rows) // 4)
        return {
            "session_guid": sessions.take(pa.array((rows.members + rows.turns // 4 * 31) % len(sessions))),
            "correlation_id": rows.guids(),
            "page": rows.pick(PAGES, 0.8),
            "control": picked(
                CONTROLS, np.where(action == SEARCH, len(CONTROLS) - 1, rows.codes(len(CONTROLS) - 1, 0.6))
            ),
            "action": picked(ACTIONS, action),
            "use_count": pa.array(1 + rows.random.poisson(0.8, len(rows))),
            "duration_ms": pa.array(rows.random.lognormal(6.5, 1.0, len(rows)).astype(np.int64)),
            "client_ip": picked(self.addresses, rows.members * 13 % len(self.addresses)),
            "search_text": rows.pick(self._searches, where=action == SEARCH),
        }
