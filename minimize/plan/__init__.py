"""The plan: a policy bound to a schema and a purpose, by names. This package makes all checks that need no data.

`request` lists the fields to read from a source. `bind` makes the plan from the source's schema. Engines bind keys and settings.
"""

from __future__ import annotations

from minimize.plan.bind import bind
from minimize.plan.model import AggregatePlan, CaseBranch, Category, FieldPlan, OutputPlan, Plan
from minimize.plan.request import request

__all__ = ["AggregatePlan", "CaseBranch", "Category", "FieldPlan", "OutputPlan", "Plan", "bind", "request"]
