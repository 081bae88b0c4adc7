"""A plan: a policy bound to a schema and a purpose, by names. Every check that needs no data is made here.

`request` says what to ask of a source, `bind` makes the plan from what the source offers; engines bind keys and settings.
"""

from __future__ import annotations

from minimize.plan.bind import bind
from minimize.plan.model import AggregatePlan, CaseBranch, Category, FieldPlan, OutputPlan, Plan
from minimize.plan.request import request

__all__ = ["AggregatePlan", "CaseBranch", "Category", "FieldPlan", "OutputPlan", "Plan", "bind", "request"]
