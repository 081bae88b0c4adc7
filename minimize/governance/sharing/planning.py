"""An act planned: what of the data may leave, and every rule against it that needs no record."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from minimize.errors import Finding, PolicyError, Reason
from minimize.governance.sharing.asked import Asked, opened, source_of
from minimize.governance.sharing.composing import Composed, composed
from minimize.governance.sharing.connecting import at_once, check_joined
from minimize.governance.sharing.declaring import declared
from minimize.governance.sharing.grouped import grouped, groups, model_of, not_as_defined
from minimize.governance.sharing.keyed import RecipientKeys
from minimize.governance.sharing.released import Entry, entry
from minimize.governance.sharing.switches import switches
from minimize.minimizer import Rereadable, require_keys
from minimize.plan import Plan, bind, category, request
from minimize.plan.model import Category
from minimize.policy.model import Policy, Records
from minimize.recipients import Function
from minimize.recipients.party import purpose_reasons
from minimize.recipients.refusals import reason
from minimize.settings import SettingsRows
from minimize.verification.forms import Declared


@dataclass(frozen=True, slots=True)
class Planned:
    """An act as far as it could be planned.

    data      as it is read: an output's records, where its folder was given
    own       the policy of the data: of what a run released only what stands there
    function  what the manifest says; None where it does not know the function
    plan      None where no field may leave, or the purpose is none of the policy's
    joined    the same with the secrets that pass through; None where none do
    settings  as the data's rows can be held against them
    declared  by field the form that what leaves must have
    grouped   whether its rows are groups of an aggregate
    against   the rules against all of it
    """

    data: Any = field(repr=False)
    own: Policy
    function: Function | None = None
    composed: Composed | None = None
    source: Rereadable | None = field(default=None, repr=False)
    plan: Plan | None = None
    joined: Plan | None = None
    settings: SettingsRows | None = field(default=None, repr=False)
    declared: Mapping[str, Declared] = field(default_factory=dict)
    grouped: bool = False
    against: tuple[Reason, ...] = ()

    @property
    def passing(self) -> frozenset[str]:
        """The secrets that only pass through."""
        return frozenset(() if self.composed is None else self.composed.passing)

    @property
    def category(self) -> Category | None:
        """Of the payload; None where none could be planned."""
        if self.plan is None:
            return None
        return "aggregated" if self.grouped else self.plan.outputs["records"].category


def planned(asked: Asked, given: Any) -> Planned:
    """The plan of an act. Raises PolicyError, SchemaError and KeyringError: faults of configuration come before refusals."""
    function = asked.party.manifest
    data, start, against = _started(asked, function, given)
    against = [*asked.party.against(asked.existing), *against]
    if function is None:
        return Planned(data, start.policy, against=tuple(against))
    made = composed(start, function, asked.recipient, asked.wanted, connected=asked.connector is not None)
    wrong = [*purpose_reasons(asked.purpose, function, asked.policy.purposes)]
    against += [*wrong, *_missing(made, asked)]
    if wrong or not made.sent:
        return Planned(data, start.policy, function, made, against=tuple(against))
    _check_reads(made, asked)
    job = asked.pipeline(made, function, start.records(None if asked.job is None else asked.job.records))
    source = source_of(data, request(made.joined, function.purpose, job, asked.deciding()))
    plan = bind(made.policy, source.schema, purpose=function.purpose, pipeline=job)
    joined = bind(made.joined, source.schema, purpose=function.purpose, pipeline=job) if made.passing else None
    require_keys(plan, RecipientKeys(asked.keys))
    check_joined(joined, made.passing, source)
    done = Planned(
        data=data,
        own=start.policy,
        function=function,
        composed=made,
        source=source,
        plan=plan,
        joined=joined,
        settings=switches(asked.rows, asked.policy, start, asked.keys, asked.at),
        declared=declared(asked.policy, function, asked.recipient, made, start),
        grouped=start.aggregated,
    )
    return replace(done, against=(*against, *_too_identified(done, plan, (asked.must_be, function.must_be))))


def _started(asked: Asked, function: Function | None, given: Any) -> tuple[Any, Entry, list[Reason]]:
    """The data as it is read, the policy that it has, and what stands against an aggregate as it is."""
    if function is None or function.aggregate is None:
        found = opened(given, asked.keys)
        data = found if asked.connector is None else at_once(found)
        return data, entry(asked.policy, _schema(data)), []
    model = model_of(asked.job, function.aggregate)
    data = groups(given, function.aggregate, asked.keys)
    reasons = [*not_as_defined(given, function.aggregate, model, asked.keys)]
    return data, grouped(asked.policy, model, data.schema), reasons


def tenants_alone(planned_: Planned) -> Rereadable:
    """The data with nothing but its tenants, for an act that is refused whatever they agreed to."""
    policy = planned_.own
    fields = {key: each for key, each in policy.fields.items() if key == policy.tenant}
    changes = {"fields": fields, "subject": None, "time": None, "record": None, "records": Records(), "never": ()}
    return source_of(planned_.data, request(policy.model_copy(update=changes), None))


def _missing(made: Composed, asked: Asked) -> Iterator[Reason]:
    """Fields that were asked for and stay; where nothing at all is left, everything that stays."""
    if asked.wanted is not None:
        yield from made.lacking(asked.wanted)
    elif not made.sent:
        yield from made.lacking(None)
    if not made.sent:
        yield reason("nothing_left", "no field is left that policy, manifest and contract all let out")


def _too_identified(planned_: Planned, plan: Plan, limits: tuple[str | None, ...]) -> Iterator[Reason]:
    """Whether the payload is above what the caller, the pipeline or the manifest says it must be."""
    found: Any = planned_.category
    limit: Any = min((each for each in limits if each is not None), key=category.ORDER.index, default=None)
    if category.above(found, limit):
        culprits = [key for key, each in plan.fields.items() if category.above(each.category or "aggregated", limit)]
        yield reason("category", f"the payload is {found} and must be {limit}", fields=culprits)


def _check_reads(made: Composed, asked: Asked) -> None:
    """What a step of the manifest reads beside its own value must be a field of the policy."""
    fields = made.policy.fields
    steps = ((key, step) for key in made.sent for way in _ways(fields[key]) for step in way)
    missing = sorted({(key, name) for key, step in steps for name in step.reads() if name not in fields})
    if missing:
        file = None if asked.recipient.path is None else str(asked.recipient.path)
        found = [
            Finding("P010", f"its technique reads `{name}`, which the policy does not name", field=key, file=file)
            for key, name in missing
        ]
        raise PolicyError("the manifest reads fields that the policy does not name", findings=found)


def _ways(each: Any) -> Iterator[Any]:
    yield from (way for way in (each.do, each.otherwise, *(case.do for case in each.cases)) if not isinstance(way, str))


def _schema(data: Any) -> pa.Schema:
    """The schema of Arrow data and of a Parquet file: other kinds cannot say that a run has released them."""
    schema = getattr(data, "schema", None)
    if isinstance(data, str | os.PathLike) and Path(data).suffix == ".parquet":
        with suppress(pa.ArrowException, OSError):
            schema = pq.read_schema(Path(data))
    return schema if isinstance(schema, pa.Schema) else pa.schema([])
