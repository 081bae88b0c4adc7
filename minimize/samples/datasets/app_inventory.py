"""`app_inventory`: which applications are on managed devices, or should be."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from minimize.samples import collection
from minimize.samples.apps import APPS, IDS, VERSIONS, size, version
from minimize.samples.base import DAY, HOUR_STEP, Dataset, Rows, Slice, delayed
from minimize.samples.devices import ANDROID, IPHONE, MAC, WINDOWS, Devices
from minimize.samples.lines import concatenated
from minimize.samples.values import Ints, Random, only, picked, taken, weighted

STATES = ("installed", "notInstalled", "pendingInstall", "notApplicable")
STATE_SHARES = (82, 8, 6, 4)
MISSING = 1
ERRORS = ("0x87D1041C", "0x87D13B9F", "0x80073CF9", "0x87D300C9")
FOLDERS = ("C:\\Program Files\\", "/Applications/", "/private/var/containers/", "/data/app/")
OWN_FOLDERS = (("C:\\Users\\", "\\AppData\\Local\\"), ("/Users/", "/Applications/"))


class AppInventory(Dataset[Devices]):
    """A record for each device and application."""

    population = Devices
    subject = "device_id"
    daily = 4
    fewest = 8
    facts = ("device_id", "device_type", "owner_type", "operating_system")
    settings_by = (collection.levels, collection.app_inventory)
    wrong = (("app_size_bytes", 1.5), ("managed", "no"), ("app_name", ["Mail"]))

    def __init__(self, per_day: int, seed: int) -> None:
        super().__init__(per_day, seed)
        self._apps = self.members.apps
        self._starts = np.cumsum(self._apps.counts) - self._apps.counts

    def rows(self, part: Slice, random: Random) -> Rows:
        """The applications of a device together, once a day; of more rows than there are applications, again."""
        pair = np.arange(part.start, part.start + part.count) % len(self._apps.devices)
        device = self._apps.devices[pair]
        start = part.midnight + device * HOUR_STEP % (DAY - 60_000)
        events, arrival = delayed(start + random.integers(0, 60_000, part.count), random)
        return Rows(device[arrival], events[arrival], (pair - self._starts[device])[arrival], random)

    def columns(self, rows: Rows) -> dict[str, pa.Array]:
        """The application, and whether it could be installed; the service tries that with managed ones only."""
        pair = self._starts[rows.members] + rows.turns
        app, step, managed = self._apps.apps[pair], self._apps.versions[pair], self._apps.managed[pair] > 0
        state = np.where(managed, weighted(rows.random, len(rows), STATE_SHARES), 0)
        failed = np.isin(state, MISSING) & rows.chance(0.6)
        on_windows = np.isin(self.members.kind[rows.members], WINDOWS)
        known = [(app, step) for app in range(len(APPS)) for step in range(VERSIONS)]
        return {
            "app_id": picked(IDS, app),
            "app_name": picked(APPS, app),
            "app_version": picked([version(*each) for each in known], app * VERSIONS + step),
            "app_size_bytes": picked([size(*each) for each in known], app * VERSIONS + step),
            "install_location": only(self._locations(rows.members, app, managed), state == 0).dictionary_encode(),
            "managed": pa.array(managed),
            "modern": pa.array(on_windows & (app % 3 == 0)),
            "install_state": picked(STATES, state),
            "install_succeeded": only(pa.array(~failed), failed | (managed & (state == 0))),
            "install_error_code": rows.pick(ERRORS, 0.8, failed),
        }

    def _locations(self, devices: Ints, app: Ints, managed: np.ndarray) -> pa.StringArray:
        """A path; of an application that a person installed on a computer, with their name."""
        kind = self.members.kind[devices]
        platform = np.select([kind == WINDOWS, kind == MAC, (kind >= IPHONE) & (kind < ANDROID)], [0, 1, 2], 3)
        name = concatenated(picked(FOLDERS, platform).cast(pa.string()), picked(APPS, app).cast(pa.string()))
        users = self.members.users
        before, after = (
            picked([folder[side] for folder in OWN_FOLDERS], np.minimum(platform, 1)).cast(pa.string())
            for side in (0, 1)
        )
        own = concatenated(
            before, taken(users.user_name, self.members.holder[devices]), after, picked(APPS, app).cast(pa.string())
        )
        return pc.if_else(pa.array((platform < 2) & ~managed), own, name)
