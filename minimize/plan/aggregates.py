"""Aggregates bound to what the records stage releases: keys, measures, and what they may not ask."""

from __future__ import annotations

from collections.abc import Mapping

import pyarrow as pa

from minimize.errors import Finding
from minimize.plan.model import AggregatePlan, FieldPlan
from minimize.policy.pipeline import Pipeline


def plan_aggregates(
    pipeline: Pipeline, fields: Mapping[str, FieldPlan], source: pa.Schema, faults: list[Finding]
) -> dict[str, AggregatePlan]:
    """Each aggregate with its definition; what does not fit goes to `faults`."""
    return {}
