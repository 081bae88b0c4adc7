"""Application inventories: a list of installed applications for each device."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from minimize.samples import lines, values
from minimize.samples.lines import member, texts
from minimize.samples.values import Random

APPS = (
    "Company Portal", "Mail", "Calendar", "Browser", "Files", "Notes", "Chat", "Meetings",
    "Tasks", "Maps", "Camera", "Music", "Podcasts", "News", "Weather", "Bank of Example",
    "Pregnancy Diary", "Prayer Times", "Dating Example", "Union Members", "Chess", "Crossword", "Runner", "Recipes",
    "Photos", "Scanner", "Inventory", "Timesheet", "Expenses", "VPN Client", "Authenticator", "Whiteboard",
    "Translator", "Drive", "Wallet", "Train Times", "Bus Times", "Parcel", "Radio", "Torch",
)  # fmt: skip
VERSIONS = 6
MANAGED = 12
"""The first so many can be managed."""


def inventories(count: int, random: Random) -> pa.StringArray:
    """A JSON list for each device: none to a dozen applications; a few lists are empty or null."""
    sizes = random.binomial(14, 0.4, count).astype(np.int32)
    sizes[random.random(count) < 0.03] = 0
    total = int(sizes.sum())
    app = values.codes(random, total, len(APPS), 0.9)
    picks = (app * VERSIONS + random.integers(0, VERSIONS, total)) * 2 + (app < MANAGED) * random.integers(0, 2, total)
    lists = lines.array(_pool().take(pa.array(picks)), pa.array(sizes))
    null = random.random(count) < 0.01
    return pc.if_else(pa.array(null), "null", lists)


def _pool() -> pa.StringArray:
    """Every application in every version, unmanaged and managed."""
    rows = [
        (app, version, managed) for app in range(len(APPS)) for version in range(VERSIONS) for managed in (False, True)
    ]
    columns = [
        member("id", texts([f"example.app.{app:03}" for app, _, _ in rows])),
        member("name", texts([APPS[app] for app, _, _ in rows])),
        member("version", texts([f"{1 + app % 9}.{version}.{app}" for app, version, _ in rows])),
        member("managed", lines.numbers(pa.array([managed for _, _, managed in rows]))),
        member(
            "bundle_size", lines.numbers(pa.array([1_000_000 + 350_000 * app + version for app, version, _ in rows]))
        ),
    ]
    return lines.record(columns)
