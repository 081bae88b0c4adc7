"""The applications that devices of the world have."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from minimize.samples.values import Ints, Random

APPS = (
    "Company Portal", "Mail", "Calendar", "Browser", "Files", "Notes", "Chat", "Meetings",
    "Tasks", "Maps", "Camera", "Music", "Podcasts", "News", "Weather", "Bank of Example",
    "Pregnancy Diary", "Prayer Times", "Dating Example", "Union Members", "Chess", "Crossword", "Runner", "Recipes",
    "Photos", "Scanner", "Inventory", "Timesheet", "Expenses", "VPN Client", "Authenticator", "Whiteboard",
    "Translator", "Drive", "Wallet", "Train Times", "Bus Times", "Parcel", "Radio", "Torch",
)  # fmt: skip
IDS = tuple(f"example.app.{app:03}" for app in range(len(APPS)))
VERSIONS = 6
MANAGED = 12
"""The first so many can be managed."""
_SHARES = (0.9 / np.arange(1, len(APPS) + 1) ** 0.9).astype(np.float32)
"""How many of the devices have each."""


@dataclass(frozen=True, slots=True)
class Installed:
    """Applications of devices, device by device.

    devices   the number of the device that has each
    apps      its place among `APPS`
    versions  which of its `VERSIONS`
    managed   1 if the organization manages it
    counts    how many each device has
    """

    devices: Ints
    apps: Ints
    versions: Ints
    managed: Ints
    counts: Ints

    @property
    def lists(self) -> pa.ListArray:
        """A list for each device, of dictionary-encoded applications."""
        codes = (self.apps * VERSIONS + self.versions) * 2 + self.managed
        offsets = np.append(0, np.cumsum(self.counts)).astype(np.int32)
        elements = pa.DictionaryArray.from_arrays(pa.array(codes.astype(np.int32)), _every())
        return pa.ListArray.from_arrays(pa.array(offsets), elements)


def installed(which: Random, versions: Random, managed: Random, count: int) -> Installed:
    """What so many devices have installed, from a generator for each column."""
    devices, apps = np.nonzero(which.random((count, len(APPS)), np.float32) < _SHARES)
    return Installed(
        devices,
        apps,
        versions.integers(0, VERSIONS, len(apps)),
        (apps < MANAGED) * managed.integers(0, 2, len(apps)),
        np.bincount(devices, minlength=count),
    )


def version(app: int, step: int) -> str:
    """The text of an application's version."""
    return f"{1 + app % 9}.{step}.{app}"


def size(app: int, step: int) -> int:
    """The bytes of an application."""
    return 1_000_000 + 350_000 * app + step


def _every() -> pa.StructArray:
    """Every application in every version, unmanaged and managed."""
    rows = [(app, step, managed) for app in range(len(APPS)) for step in range(VERSIONS) for managed in (False, True)]
    return pa.StructArray.from_arrays(
        [
            pa.array([IDS[app] for app, _, _ in rows]),
            pa.array([APPS[app] for app, _, _ in rows]),
            pa.array([version(app, step) for app, step, _ in rows]),
            pa.array([managed for _, _, managed in rows]),
            pa.array([size(app, step) for app, step, _ in rows]),
        ],
        names=["id", "name", "version", "managed", "bundle_size"],
    )
