"""Collection settings as the gate asks for them, whatever their storage: schema, feature switches, and the protocol."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Final, Protocol

import pyarrow as pa

SETTINGS_SCHEMA = pa.schema(
    [
        ("tenant_id", pa.string()),
        ("subject", pa.string()),
        ("setting", pa.string()),
        ("value", pa.string()),
        ("holder", pa.string()),
        ("valid_from", pa.timestamp("us", "UTC")),
        ("recorded_at", pa.timestamp("us", "UTC")),
    ]
)


OWN_ON_LIMIT: Final = timedelta(hours=24)
"""How long a subject's own `on` of a `per_subject` feature counts from its `valid_from`. An `off` counts without end."""


@dataclass(frozen=True, slots=True)
class FeatureSwitch:
    """How settings decide a feature.

    holders      who may turn it on; empty for anyone
    per_subject  whether it is on only for subjects that have a setting of their own, next to their tenant's; their own `on`
                 counts for 24 hours (`OWN_ON_LIMIT`)
    """

    name: str
    holders: tuple[str, ...] = ()
    per_subject: bool = False

    @property
    def of_tenants(self) -> FeatureSwitch:
        """The tenant's part of it alone: what a tenant must turn on before any subject can be."""
        return replace(self, per_subject=False)


class Settings(Protocol):
    """Who turned which feature on or off, when; as seen at one run time."""

    @property
    def digest(self) -> str:
        """`sha256:` over the rows in a canonical order."""
        ...

    def feature_on(
        self, switch: FeatureSwitch, tenants: pa.Array, subjects: pa.Array | None, times: pa.Array | None
    ) -> pa.BooleanArray:
        """Per record: whether the feature was on when the event happened *and* is on at the run's `at`.

        Takes tenants and subjects (string, dictionary-encoded or not), compared by their canonical form, and event times
        (timestamp), equally long; null anywhere is off, no times means that only `at` decides. Without subjects a feature
        that is `per_subject` is off. Gives no nulls.
        """
        ...

    def level_at_least(
        self, level: str, levels: Sequence[str], tenants: pa.Array, subjects: pa.Array | None, times: pa.Array | None
    ) -> pa.BooleanArray:
        """Per record: whether the level in force is this one or higher, at event time and at the run's `at`."""
        ...
