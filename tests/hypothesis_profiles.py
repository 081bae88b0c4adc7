"""How many examples Hypothesis tries, and whether they are the same in each run.

default  few, the same in each run: what `make test` gives a developer
ci       more, the same in each run
nightly  many, drawn anew in each run (`make nightly`). A falsified example is printed with its blob and becomes a test.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Final

from hypothesis import HealthCheck, settings

USUAL: Final = 100
"""The number of examples that `examples` takes as its scale: Hypothesis's own default."""
PROFILES: Final = {"default": 30, "ci": 100, "nightly": 1000}


def load_profile() -> None:
    """Registers the profiles and loads the one that the environment selects."""
    for name, count in PROFILES.items():
        settings.register_profile(
            name,
            max_examples=count,
            derandomize=name != "nightly",
            database=None,
            deadline=None,
            print_blob=True,
            suppress_health_check=[HealthCheck.too_slow],
        )
    settings.load_profile(profile_name(os.environ))


def profile_name(environ: Mapping[str, str]) -> str:
    """The profile named by HYPOTHESIS_PROFILE, else `ci` if CI is set, else `default`."""
    return environ.get("HYPOTHESIS_PROFILE") or ("ci" if environ.get("CI") else "default")


def examples(count: int) -> int:
    """How many examples a property gets that would have `count` where others have 100.

    Takes the number for properties whose examples are expensive, or need many; so each profile changes these, too.
    """
    return max(1, count * settings().max_examples // USUAL)
