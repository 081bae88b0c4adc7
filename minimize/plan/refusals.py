"""What the policy or its promise forbids, found without data."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations

from minimize.aggregates.share import Share
from minimize.errors import Finding
from minimize.plan import category
from minimize.plan.encrypted import encryption_refusals
from minimize.plan.model import AggregatePlan, Plan
from minimize.policy.model import Policy
from minimize.policy.pipeline import Pipeline


def refusals(plan: Plan) -> Iterator[Finding]:
    """Every refusal of a plan, each with what would lift it."""
    yield from _retention_without_time(plan.policy)
    if plan.pipeline is None:
        return
    yield from _groups_without_time(plan.pipeline)
    yield from _too_identified(plan)
    yield from _partitions(plan)
    yield from _in_the_clear(plan)
    for aggregate in plan.aggregates.values():
        yield from _over_in_aggregates(plan, aggregate)
    yield from _shown_in_two_ways(plan)


def _retention_without_time(policy: Policy) -> Iterator[Finding]:
    """Age counts from the event time. Without one every row, or every value of the feature, would be too old."""
    if policy.time is not None:
        return
    limited: list[tuple[str, tuple[str, ...]]] = [
        (f"feature {name}", ("features", name))
        for name, feature in policy.features.items()
        if feature.retention is not None
    ]
    if policy.retention is not None:
        limited.append(("the policy", ("retention",)))
    for who, at in limited:
        message = f"{who} limits retention, and the policy names no event time: everything would be too old"
        file = None if policy.path is None else str(policy.path)
        hint = "name the field that holds the event time: `time: FIELD`"
        yield Finding("R007", message, hint=hint, file=file, line=policy.lines.get(at))


def _groups_without_time(pipeline: Pipeline) -> Iterator[Finding]:
    """The same of aggregates that have a retention of their own."""
    for name in pipeline.own_retentions if pipeline.policy.time is None else ():
        message = f"the aggregate {name} limits retention, and the policy names no event time"
        file = None if pipeline.path is None else str(pipeline.path)
        hint = "name the field that holds the event time: `time: FIELD`"
        yield Finding("R007", message, hint=hint, file=file, line=pipeline.line_of("aggregates", name, "retention"))


def _too_identified(plan: Plan) -> Iterator[Finding]:
    limits = {name: model.must_be for name, model in (plan.pipeline.aggregates if plan.pipeline else {}).items()}
    if plan.pipeline is not None and plan.pipeline.records is not None:
        limits["records"] = plan.pipeline.records.must_be
    for name, output in plan.outputs.items():
        if category.above(output.category, limits.get(name)):
            culprits = [
                key
                for key, field in plan.fields.items()
                if category.above(field.category or "aggregated", limits[name])
            ]
            hint = (
                f"drop, pseudonymize or generalize {', '.join(culprits)}"
                if culprits
                else "records are at least pseudonymized"
            )
            unstated = [key for key in culprits if "role" not in plan.fields[key].field.model_fields_set]
            hint += f"; or state the role of {', '.join(unstated)}" if unstated else ""
            message = f"output {name} is {output.category} and must be {limits[name]}"
            at = ("records", "must_be") if name == "records" else ("aggregates", name, "must_be")
            yield _refused(plan, "R001", message, hint, at=at)


def _partitions(plan: Plan) -> Iterator[Finding]:
    if plan.pipeline is None or plan.pipeline.records is None:
        return
    for key in plan.pipeline.records.partition_by:
        field = plan.fields.get(key)
        if field is None or field.field.role != "plain" or field.gives is None:
            hint = "a partition's value stands in every path: only released fields of role plain"
            yield _refused(plan, "R002", "it cannot be partitioned by", hint, key, at=("records", "partition_by"))


def _in_the_clear(plan: Plan) -> Iterator[Finding]:
    for name, at in encryption_refusals(plan):
        message = f"output {name} would stand in the clear, and the house wants encryption"
        hint = "say `encrypt: by_category`, or nothing; `access: {encrypt: …}` of minimize.yaml demands it"
        yield _refused(plan, "R005", message, hint, at=at)


def _over_in_aggregates(plan: Plan, aggregate: AggregatePlan) -> Iterator[Finding]:
    for name, measure in aggregate.model.measures.items():
        field = plan.fields.get(measure.of or "")
        if field is not None and field.measured is not None and measure.name in ("min", "max", "quantile"):
            message = f"measure {name} of {aggregate.name}: {measure.name} over a field with in_aggregates"
            hint = "it would release single values: use mean, sum or a histogram"
            yield _refused(plan, "R003", message, hint, field.key, at=("aggregates", aggregate.name, "measures"))


def _shown_in_two_ways(plan: Plan) -> Iterator[Finding]:
    """A total of a field in one table, and its values in another one of other groups: nothing compares these figures.

    Tables that are grouped by the field are compared by their counts, if both have one.
    """
    for one, other in combinations(plan.aggregates.values(), 2):
        if one.definition.groups == other.definition.groups:
            continue
        counted = _counts(one) and _counts(other)
        ways, others = _ways(plan, one), _ways(plan, other)
        for key in sorted(ways.keys() & others.keys()):
            if any(_conflict(mine, theirs, counted) for mine in ways[key] for theirs in others[key]):
                message = (
                    f"aggregates {one.name} and {other.name} show {key} in two ways, which together can tell a value"
                )
                hint = "show the field in one way in both, or in one of them alone"
                yield _refused(plan, "R008", message, hint, key, at=("aggregates", other.name))


Way = tuple[str, frozenset[str]]
"""How a table shows a field: by totals, by groups, by numbers of rows with each value, or with some."""


def _ways(plan: Plan, aggregate: AggregatePlan) -> dict[str, set[Way]]:
    """By field how an aggregate shows it."""
    found: dict[str, set[Way]] = {}
    for each in aggregate.definition.measures.values():
        measure, values = each.measure, frozenset[str]()
        kind = {"sum": "total", "mean": "total", "quantile": "total", "histogram": "each"}.get(measure.name)
        if isinstance(measure, Share):
            kind, values = "some", frozenset(map(str, measure.is_))
        if kind is not None:
            found.setdefault(measure.of or "", set()).add((kind, values))
    for key in aggregate.definition.keys.values():
        if plan.fields[key.key].measured is None:
            found.setdefault(key.key, set()).add(("groups", frozenset()))
    return found


def _counts(aggregate: AggregatePlan) -> bool:
    """Whether an aggregate publishes numbers of rows or of subjects."""
    definition = aggregate.definition
    return any(each.measure.of is None or definition.counts_subjects(each) for each in definition.measures.values())


def _conflict(one: Way, other: Way, counted: bool) -> bool:
    kinds = {one[0], other[0]}
    if one == other or ("groups" in kinds and counted):
        return False
    return kinds != {"some", "each"} or len(one[1] or other[1]) > 1


def _refused(
    plan: Plan, code: str, message: str, hint: str, field: str | None = None, *, at: tuple[str, ...]
) -> Finding:
    if plan.pipeline is None:
        return Finding(code, message, hint=hint, field=field)
    path = plan.pipeline.path
    return Finding(
        code, message, hint=hint, file=None if path is None else str(path), line=plan.pipeline.line_of(*at), field=field
    )
