"""Which features tenants have turned on, over time: by whole tenants, for what single persons say is nobody's to see."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from minimize.job.collecting import load_job_settings
from minimize.job.origin import place_of
from minimize.policy.model import Policy
from minimize.report.facts import Collection, TenantGroup
from minimize.report.rounding import STEP
from minimize.report.standing import Standing
from minimize.settings import SettingsRows
from minimize.settings.seen import Explained

Bools = npt.NDArray[np.bool_]
MOMENTS: Final = 24
LONGEST: Final = timedelta(days=366)
NAMED: Final = 30
"""More tenants than these are shown in groups that have the same on, without their names."""
GROUPS: Final = 12
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


def collection_of(standing: Standing) -> Collection | None:
    """The map; None where the policy asks no settings, or nothing names any. Raises PolicyError, LedgerError, KeyringError."""
    job = standing.job
    if job is None:
        return None
    policy = job.policy
    rows = settings_of(standing)
    if not (policy.features or policy.levels[1:]) or rows is None or not rows.table.num_rows:
        return None
    return mapped(policy, rows, standing.asked.at)


def settings_of(standing: Standing) -> SettingsRows | None:
    """The settings that the output's runs ask: what was given, else what the last receipt or the pipeline names."""
    job, origin = standing.job, standing.newest.origin
    if job is None:
        return None
    written = None if origin is None else place_of(standing.output, origin.settings)
    said = standing.asked.settings if standing.asked.settings is not None else written
    if origin is not None and origin.settings == "ledger" and standing.asked.settings is None:
        said = "ledger"
    return load_job_settings(said, job, standing.keys, standing.output, standing.asked.ledger)


def mapped(policy: Policy, rows: SettingsRows, at: datetime) -> Collection:
    """The map of some settings, as a run at this time sees them."""
    tenants = pc.unique(rows.table["tenant_id"]).sort()
    seen, moments = rows.at(at), _moments(rows, at)
    states = {
        name: np.stack([_on(policy, seen.as_of(_micros(when)), name, tenants) for when in moments])
        for name in _names(policy)
    }
    groups = _groups(tenants.to_pylist(), states)[:GROUPS]
    return Collection(
        len(tenants),
        moments,
        {name: tuple(int(on) for on in state.sum(axis=1)) for name, state in states.items()},
        {name: _about(policy, name) for name in states},
        groups,
        len(tenants) - sum(group.tenants for group in groups),
    )


def _names(policy: Policy) -> list[str]:
    return [*policy.features, *(f"level {name}" for name in policy.levels[1:])]


def _about(policy: Policy, name: str) -> str:
    feature = policy.features.get(name)
    return "this level or a higher one" if feature is None else feature.about


def _on(policy: Policy, seen: Explained, name: str, tenants: pa.Array) -> Bools:
    switch = policy.switch(name)
    if switch is not None:
        found = seen.feature_on(switch.of_tenants, tenants, None, None)
    else:
        found = seen.level_at_least(name.removeprefix("level "), policy.levels, tenants, None, None)
    return np.asarray(found.to_numpy(zero_copy_only=False), np.bool_)


def _moments(rows: SettingsRows, at: datetime) -> tuple[datetime, ...]:
    """Evenly spaced, from the first setting (or a year ago) to now."""
    first = pc.min(rows.table["valid_from"]).as_py()
    start = max(min(first, at - timedelta(days=1)), at - LONGEST)
    return tuple(at - (at - start) * (1 - step / (MOMENTS - 1)) for step in range(MOMENTS))


def _groups(tenants: Sequence[str], states: Mapping[str, Bools]) -> tuple[TenantGroup, ...]:
    """Each tenant by itself; of many those that have the same on now, as far as they are not too few, the largest first."""
    if len(tenants) <= NAMED:
        return tuple(_group([place], tenants, states) for place in range(len(tenants)))
    now = np.stack([state[-1] for state in states.values()]).T
    _, places = np.unique(now, axis=0, return_inverse=True)
    flat = places.reshape(-1)
    sizes = np.bincount(flat)
    order = [int(each) for each in np.argsort(-sizes, kind="stable") if sizes[each] >= STEP]
    return tuple(_group(np.flatnonzero(flat == each).tolist(), (), states) for each in order)


def _group(places: Sequence[int], tenants: Sequence[str], states: Mapping[str, Bools]) -> TenantGroup:
    return TenantGroup(
        len(places),
        tuple(tenants[place] for place in places) if tenants else (),
        {name: bool(state[-1, places[0]]) for name, state in states.items()},
        {name: float(state[:, places].mean()) for name, state in states.items()},
    )


def _micros(when: datetime) -> int:
    return (when - _EPOCH) // timedelta(microseconds=1)
