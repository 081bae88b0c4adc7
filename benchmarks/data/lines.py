"""The same events as NDJSON: a few lines in ten thousand are faulty, a few in a thousand carry a field that nobody declared."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from benchmarks.data.texts import joined

FAULTY, STRANGE = 1e-4, 1e-3
BROKEN = (
    '{"event_id": "x", "tenant_id": ',
    '{"event_id":"x","tenant_id":"t","event_time":"2026-11-20T10:00:00Z","device_id":"d","battery_pct":"87"}',
    '{"event_id":"x","tenant_id":"t","event_time":"yesterday","device_id":"d"}',
    '{"event_id":"x","tenant_id":"t","event_time":"2026-11-20T10:00:00Z"}',
    '{"event_id":"x","tenant_id":"t","event_time":"2026-11-20T10:00:00Z","device_id":"d","contacts":[]}',
    '{"event_id":"x","tenant_id":"t","event_time":"2026-11-20T10:00:00Z","device_id":"d","free_storage_bytes":1.5}',
)
"""Malformed, of a wrong type (twice), no time, without a subject, forbidden."""
STRANGERS = (',"debug_build":"nightly"', ',"beta_ring":3')


def rendered(table: pa.Table, seed: tuple[int, ...]) -> tuple[pa.StringArray, pa.StringArray]:
    """The lines of a table, and those of them that are not faulty."""
    random = np.random.default_rng(seed)
    whole = table.combine_chunks()
    members = [_member(name, whole[name].combine_chunks()) for name in table.column_names]
    body = pc.binary_join_element_wise(*members, ",", null_handling="skip")
    lines = joined("{", body, _strangers(random, len(body)), "}")
    faulty = pa.array(random.random(len(lines)) < FAULTY)
    broken = pa.array(BROKEN).take(pa.array(random.integers(0, len(BROKEN), len(lines))))
    return pc.if_else(faulty, broken, lines), lines.filter(pc.invert(faulty))


def _member(name: str, values: pa.Array) -> pa.StringArray:
    if pa.types.is_string(values.type):
        return joined(f'"{name}":"', values, '"')
    if pa.types.is_timestamp(values.type):
        return joined(f'"{name}":"', pc.strftime(values, "%Y-%m-%dT%H:%M:%SZ"), '"')
    return joined(f'"{name}":', values.cast(pa.string()))


def _strangers(random: np.random.Generator, count: int) -> pa.StringArray:
    none = len(STRANGERS)
    which = np.where(random.random(count) < STRANGE, random.integers(0, none, count), none)
    return pa.array([*STRANGERS, ""]).take(pa.array(which))
