"""Collection over time: which features tenants have turned on. Settings of single persons are never shown."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from minimize.policy.model import Policy
from minimize.report.context import ReportContext
from minimize.report.facts import CollectionFacts, TenantGroupFacts
from minimize.report.rounded_counts import ROUNDING_STEP
from minimize.runs.provenance import load_pipeline_settings, origin_place
from minimize.settings import SettingsRows
from minimize.settings.effective import ExplainableSettings

Bools = npt.NDArray[np.bool_]
MOMENTS_SHOWN: Final = 24
LONGEST_PERIOD: Final = timedelta(days=366)
MOST_NAMED_TENANTS: Final = 30
"""More tenants than these are shown in groups that have the same on, without their names."""
MOST_GROUPS: Final = 12
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


def collection_facts(context: ReportContext) -> CollectionFacts | None:
    """The map; None where the policy asks no settings, or nothing names any. Raises PolicyError, LedgerError, KeyringError."""
    job = context.pipeline
    if job is None:
        return None
    policy = job.policy
    rows = output_settings(context)
    if not (policy.features or policy.levels[1:]) or rows is None or not rows.table.num_rows:
        return None
    return collection_of_settings(policy, rows, context.request.at)


def output_settings(context: ReportContext) -> SettingsRows | None:
    """The settings that the output's runs ask: what was given, else what the last receipt or the pipeline names."""
    job, origin = context.pipeline, context.newest.origin
    if job is None:
        return None
    written = None if origin is None else origin_place(context.output, origin.settings)
    said = context.request.settings if context.request.settings is not None else written
    if origin is not None and origin.settings == "ledger" and context.request.settings is None:
        said = "ledger"
    return load_pipeline_settings(said, job, context.keys, context.output, context.request.ledger)


def collection_of_settings(policy: Policy, rows: SettingsRows, at: datetime) -> CollectionFacts:
    """The map of some settings, as a run at this time sees them."""
    tenants = pc.unique(rows.table["tenant_id"]).sort()
    seen, moments = rows.effective_at(at), _spaced_moments(rows, at)
    states = {
        name: np.stack([_tenants_turned_on(policy, seen.as_of(_micros(when)), name, tenants) for when in moments])
        for name in _switch_names(policy)
    }
    groups = _tenant_groups(tenants.to_pylist(), states)[:MOST_GROUPS]
    return CollectionFacts(
        len(tenants),
        moments,
        {name: tuple(int(on) for on in state.sum(axis=1)) for name, state in states.items()},
        {name: _switch_description(policy, name) for name in states},
        groups,
        len(tenants) - sum(group.tenants for group in groups),
    )


def _switch_names(policy: Policy) -> list[str]:
    return [*policy.features, *(f"level {name}" for name in policy.levels[1:])]


def _switch_description(policy: Policy, name: str) -> str:
    feature = policy.features.get(name)
    return "this level or a higher one" if feature is None else feature.about


def _tenants_turned_on(policy: Policy, effective: ExplainableSettings, name: str, tenants: pa.Array) -> Bools:
    switch = policy.switch(name)
    if switch is not None:
        found = effective.feature_on(switch.of_tenants, tenants, None, None)
    else:
        found = effective.level_at_least(name.removeprefix("level "), policy.levels, tenants, None, None)
    return np.asarray(found.to_numpy(zero_copy_only=False), np.bool_)


def _spaced_moments(rows: SettingsRows, at: datetime) -> tuple[datetime, ...]:
    """Evenly spaced, from the first setting (or a year ago) to now."""
    first = pc.min(rows.table["valid_from"]).as_py()
    start = max(min(first, at - timedelta(days=1)), at - LONGEST_PERIOD)
    return tuple(at - (at - start) * (1 - step / (MOMENTS_SHOWN - 1)) for step in range(MOMENTS_SHOWN))


def _tenant_groups(tenants: Sequence[str], states: Mapping[str, Bools]) -> tuple[TenantGroupFacts, ...]:
    """Each tenant by itself; of many those that have the same on now, as far as they are not too few, the largest first."""
    if len(tenants) <= MOST_NAMED_TENANTS:
        return tuple(_tenant_group([place], tenants, states) for place in range(len(tenants)))
    now = np.stack([state[-1] for state in states.values()]).T
    _, places = np.unique(now, axis=0, return_inverse=True)
    flat = places.reshape(-1)
    sizes = np.bincount(flat)
    order = [int(each) for each in np.argsort(-sizes, kind="stable") if sizes[each] >= ROUNDING_STEP]
    return tuple(_tenant_group(np.flatnonzero(flat == each).tolist(), (), states) for each in order)


def _tenant_group(places: Sequence[int], tenants: Sequence[str], states: Mapping[str, Bools]) -> TenantGroupFacts:
    return TenantGroupFacts(
        len(places),
        tuple(tenants[place] for place in places) if tenants else (),
        {name: bool(state[-1, places[0]]) for name, state in states.items()},
        {name: float(state[:, places].mean()) for name, state in states.items()},
    )


def _micros(when: datetime) -> int:
    return (when - _EPOCH) // timedelta(microseconds=1)
