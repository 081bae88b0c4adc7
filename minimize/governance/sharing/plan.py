"""Plan of a share: resolve the arguments, read the data's schema, bind the plan, collect every rule against it.

Faults of configuration raise at once. Rules against the share are collected and raised together.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from minimize.errors import ConfigurationError, Finding, OutputError, PolicyError, RefusalReason
from minimize.governance.sharing.connector import Connector, as_rereadable, check_secrets
from minimize.governance.sharing.recipient_fields import RecipientKeys, RecipientPolicy, compose_policy, declare_forms
from minimize.governance.sharing.released_output import (
    InputPolicy,
    aggregate_model,
    aggregate_policy,
    input_policy_for,
    read_groups,
    reasons_against_aggregate,
    settings_for_output,
)
from minimize.keys import Keyring, find_kms, require_keyring
from minimize.ledger import Address, find_ledger
from minimize.ledger.ledger import open_ledger
from minimize.output import reader
from minimize.output.folder import RUNS
from minimize.plan import Plan, bind, category, request
from minimize.plan.model import Category
from minimize.policy.load import load_policy
from minimize.policy.model import Pipeline, Policy, RecordsGate, RecordsModel
from minimize.recipients import Function, Recipient, Recipients
from minimize.recipients.rules import Party, find_party, purpose_reasons, rule_reason
from minimize.runs.inputs import LEDGER_SETTINGS, load_pipeline_settings, pipeline_from
from minimize.runs.minimizer import RereadableSource, require_keys
from minimize.settings import SettingsRows, load_settings
from minimize.settings.erasures import RecordedErasures
from minimize.settings.tokenized import load_ledger_settings
from minimize.sources import FORMATS
from minimize.sources.base import SourceRequest
from minimize.sources.memory import memory_source
from minimize.stores import PathText
from minimize.verification.declared_forms import DeclaredColumn

"""Makes a call with what it is given, and keeps nothing of the secrets in it."""


@dataclass(frozen=True, slots=True)
class ShareArguments:
    """What an act is asked with: each as it was given, None where nothing was."""

    policy: Policy | PathText | None = None
    pipeline: Pipeline | PathText | None = None
    settings: Any = None
    keys: Keyring | PathText | None = None
    ledger: PathText | None = None
    recipients: Recipients | PathText | None = None


@dataclass(frozen=True, slots=True)
class ResolvedShare:
    """Everything that stands before data is looked at.

    moments     the moments at which all must hold; settings count as of the last
    requested_fields    the fields that were asked for; None for all that may leave
    existing  what is there of what functions require
    connector makes the recipient's call, where secrets pass through it
    """

    party: Party
    policy: Policy
    job: Pipeline | None
    purpose: str | None
    keys: Keyring
    settings: SettingsRows | None
    ledger: Address
    folder: Path
    moments: tuple[datetime, ...]
    requested_fields: tuple[str, ...] | None
    existing: frozenset[str]
    must_be: str | None
    connector: Connector | None = None

    @property
    def share_time(self) -> datetime:
        """The time of the act."""
        return self.moments[-1]

    @property
    def recipient(self) -> Recipient:
        """Who is to get it."""
        return self.party.recipient

    def erasure_fields(self) -> frozenset[str]:
        """The fields that are read to know whose records must not leave, because somebody is gone who is named by them."""
        if not self.ledger.exists:
            return frozenset()
        with open_ledger(self.ledger) as ledger:
            return RecordedErasures.from_ledger(ledger).fields

    def records_pipeline(self, composed: RecipientPolicy, function: Function, records: RecordsModel) -> Pipeline | None:
        """The pipeline as far as its records go, under the policy of what leaves."""
        if self.job is None:
            return None
        changes = {"policy": composed.policy, "purpose": function.purpose, "records": records, "aggregates": {}}
        return self.job.model_copy(update=changes)


def resolve_share(
    recipient: str | Recipient,
    function: str,
    places: ShareArguments,
    *,
    whens: tuple[datetime, ...],
    purpose: str | None = None,
    fields: Collection[str] | None = None,
    existing: Collection[str] = (),
    must_be: str | None = None,
    connector: Connector | None = None,
) -> ResolvedShare:
    """Everything that an act was asked, found. Raises ConfigurationError and its kin."""
    job, policy = _resolve_policy(places)
    folder = _base_folder(job, policy)
    keys = require_keyring(places.keys, folder, "no keyring, and every disclosure is signed")
    if policy.tenant is None:
        raise ConfigurationError("the policy names no tenant, so that nobody can be asked", hint="say `tenant: FIELD`")
    output = None if job is None else job.folder / job.output
    ledger = find_ledger(places.ledger, start=folder, output=output)
    known = None if job is None or job.records is None else job.records.must_be
    return ResolvedShare(
        party=find_party(recipient, function, "outbound", places.recipients, folder, whens),
        policy=policy,
        job=job,
        purpose=purpose,
        keys=keys,
        settings=_resolve_settings(places.settings, job, policy, keys, ledger),
        ledger=ledger,
        folder=folder,
        moments=whens,
        requested_fields=None if fields is None else tuple(fields),
        existing=frozenset(existing),
        must_be=must_be or known,
        connector=connector,
    )


def open_source(data: Any, request: SourceRequest) -> RereadableSource:
    """The data as a source: a file by its ending, else data in memory. Raises SchemaError with the whole diff.

    Raises OutputError for an output folder in which no run has published.
    """
    if not isinstance(data, str | os.PathLike):
        return memory_source(data, request)
    path = Path(data)
    kinds = {".parquet": "parquet", ".csv": "csv", ".ndjson": "ndjson", ".jsonl": "ndjson"}
    kind = next((kinds[ending] for ending in path.suffixes if ending in kinds), None)
    if path.is_dir() or not path.suffix:
        raise OutputError(
            f"nothing was published in {path} yet", hint="run the pipeline first: `minimize run PIPELINE`"
        )
    if kind is None or not path.is_file():
        raise ConfigurationError("the data's path is no file that can be read", hint="a .parquet, .ndjson or .csv file")
    return RereadableFiles(FORMATS[kind]([path], path.parent, request))


def open_output(data: Any, keys: Keyring) -> Any:
    """The records in force, where data is the folder of an output, opened with its keys; else data as it was given.

    Files whose keys were destroyed are left out, with a warning.
    """
    if isinstance(data, str | os.PathLike) and (Path(data) / RUNS).is_dir():
        return reader.read_output(Path(data), kms=find_kms(keys, data), without_destroyed=True)
    return data


@dataclass(frozen=True, slots=True)
class RereadableFiles:
    """Files as a source that can be read again."""

    source: Any
    is_rereadable: bool = True

    @property
    def schema(self) -> Any:
        """As the files have it."""
        return self.source.schema

    @property
    def parts(self) -> Any:
        """The files."""
        return self.source.parts

    def only(self, keys: Collection[str]) -> RereadableFiles:
        """The same with no more than these fields."""
        return replace(self, source=self.source.only(keys))


def _resolve_policy(places: ShareArguments) -> tuple[Pipeline | None, Policy]:
    if (places.policy is None) == (places.pipeline is None):
        raise ConfigurationError("sharing needs a policy or a pipeline, one of them", hint="policy=… or pipeline=…")
    if places.pipeline is not None:
        job = pipeline_from(places.pipeline)
        return job, job.policy
    policy = places.policy
    return None, policy if isinstance(policy, Policy) else load_policy(os.fspath(policy or ""))


def _base_folder(job: Pipeline | None, policy: Policy) -> Path:
    if job is not None:
        return job.folder
    return Path.cwd() if policy.path is None else policy.path.parent


def _resolve_settings(
    settings: Any, job: Pipeline | None, policy: Policy, keys: Keyring, ledger: Address
) -> SettingsRows | None:
    place = ledger.path if ledger.url is None else ledger.url
    if job is not None:
        return load_pipeline_settings(settings, job, keys, None, place)
    if not (isinstance(settings, str) and settings == LEDGER_SETTINGS):
        return None if settings is None else load_settings(settings).with_folding(policy.folding)
    with open_ledger(ledger) as book:
        return load_ledger_settings(book, keys).with_folding(policy.folding)


@dataclass(frozen=True, slots=True)
class SharePlan:
    """An act as far as it could be planned.

    data      as it is read: an output's records, where its folder was given
    data_policy       the policy of the data: of what a run released only what stands there
    function  what the manifest says; None where it does not know the function
    plan      None where no field may leave, or the purpose is none of the policy's
    connector_plan    the same with the secrets that pass through; None where none do
    settings  as the data's rows can be held against them
    declared_forms  by field the form that what leaves must have
    is_aggregate   whether its rows are groups of an aggregate
    reasons_against   the rules against all of it
    """

    data: Any = field(repr=False)
    data_policy: Policy
    function: Function | None = None
    recipient_policy: RecipientPolicy | None = None
    source: RereadableSource | None = field(default=None, repr=False)
    plan: Plan | None = None
    connector_plan: Plan | None = None
    settings: SettingsRows | None = field(default=None, repr=False)
    declared_forms: Mapping[str, DeclaredColumn] = field(default_factory=dict)
    is_aggregate: bool = False
    reasons_against: tuple[RefusalReason, ...] = ()

    @property
    def secrets(self) -> frozenset[str]:
        """The secrets that only pass through."""
        return frozenset(() if self.recipient_policy is None else self.recipient_policy.secrets)

    @property
    def category(self) -> Category | None:
        """Of the payload; None where none could be planned."""
        if self.plan is None:
            return None
        return "aggregated" if self.is_aggregate else self.plan.outputs["records"].category


def plan_share(share: ResolvedShare, arguments: Any) -> SharePlan:
    """The plan of an act. Raises PolicyError, SchemaError and KeyringError: faults of configuration come before refusals."""
    function = share.party.manifest
    data, start, against = _open_input(share, function, arguments)
    against = [*share.party.objections(share.existing), *against]
    if function is None:
        return SharePlan(data, start.policy, reasons_against=tuple(against))
    made = compose_policy(
        start, function, share.recipient, share.requested_fields, connected=share.connector is not None
    )
    wrong = [*purpose_reasons(share.purpose, function, share.policy.purposes)]
    against += [*wrong, *_withheld_reasons(made, share)]
    if wrong or not made.sent_fields:
        return SharePlan(data, start.policy, function, made, reasons_against=tuple(against))
    _check_technique_inputs(made, share)
    job = share.records_pipeline(made, function, start.records_model(None if share.job is None else share.job.records))
    source = open_source(data, request(made.connector_policy, function.purpose, job, share.erasure_fields()))
    plan = bind(made.policy, source.schema, purpose=function.purpose, pipeline=job)
    joined = (
        bind(made.connector_policy, source.schema, purpose=function.purpose, pipeline=job) if made.secrets else None
    )
    require_keys(plan, RecipientKeys(share.keys))
    check_secrets(joined, made.secrets, source)
    done = SharePlan(
        data=data,
        data_policy=start.policy,
        function=function,
        recipient_policy=made,
        source=source,
        plan=plan,
        connector_plan=joined,
        settings=settings_for_output(share.settings, share.policy, start, share.keys, share.share_time),
        declared_forms=declare_forms(share.policy, function, share.recipient, made, start),
        is_aggregate=start.aggregated,
    )
    return replace(done, reasons_against=(*against, *_category_reasons(done, plan, (share.must_be, function.must_be))))


def _open_input(
    share: ResolvedShare, function: Function | None, arguments: Any
) -> tuple[Any, InputPolicy, list[RefusalReason]]:
    """The data as it is read, the policy that it has, and what stands against an aggregate as it is."""
    if function is None or function.aggregate is None:
        found = open_output(arguments, share.keys)
        data = found if share.connector is None else as_rereadable(found)
        return data, input_policy_for(share.policy, _arrow_schema(data)), []
    model = aggregate_model(share.job, function.aggregate)
    data = read_groups(arguments, function.aggregate, share.keys)
    reasons = [*reasons_against_aggregate(arguments, function.aggregate, model, share.keys)]
    return data, aggregate_policy(share.policy, model, data.schema), reasons


def tenant_column_source(planned_: SharePlan) -> RereadableSource:
    """The data with nothing but its tenants, for an act that is refused whatever they agreed to."""
    policy = planned_.data_policy
    fields = {key: each for key, each in policy.fields.items() if key == policy.tenant}
    changes = {"fields": fields, "subject": None, "time": None, "record": None, "records": RecordsGate(), "never": ()}
    return open_source(planned_.data, request(policy.model_copy(update=changes), None))


def _withheld_reasons(composed: RecipientPolicy, share: ResolvedShare) -> Iterator[RefusalReason]:
    """Fields that were asked for and stay; where nothing at all is left, everything that stays."""
    if share.requested_fields is not None:
        yield from composed.withheld_reasons(share.requested_fields)
    elif not composed.sent_fields:
        yield from composed.withheld_reasons(None)
    if not composed.sent_fields:
        yield rule_reason("nothing_left", "no field is left that policy, manifest and contract all let out")


def _category_reasons(planned_: SharePlan, plan: Plan, limits: tuple[str | None, ...]) -> Iterator[RefusalReason]:
    """Whether the payload is above what the caller, the pipeline or the manifest says it must be."""
    found: Any = planned_.category
    limit: Any = min((each for each in limits if each is not None), key=category.CATEGORY_ORDER.index, default=None)
    if category.exceeds(found, limit):
        culprits = [key for key, each in plan.fields.items() if category.exceeds(each.category or "aggregated", limit)]
        yield rule_reason("category", f"the payload is {found} and must be {limit}", fields=culprits)


def _check_technique_inputs(composed: RecipientPolicy, share: ResolvedShare) -> None:
    """What a step of the manifest reads beside its own value must be a field of the policy."""
    fields = composed.policy.fields
    steps = ((key, step) for key in composed.sent_fields for way in _technique_chains(fields[key]) for step in way)
    missing = sorted({(key, name) for key, step in steps for name in step.reads() if name not in fields})
    if missing:
        file = None if share.recipient.path is None else str(share.recipient.path)
        found = [
            Finding("P010", f"its technique reads `{name}`, which the policy does not name", field=key, file=file)
            for key, name in missing
        ]
        raise PolicyError("the manifest reads fields that the policy does not name", findings=found)


def _technique_chains(each: Any) -> Iterator[Any]:
    yield from (way for way in (each.do, each.otherwise, *(case.do for case in each.cases)) if not isinstance(way, str))


def _arrow_schema(data: Any) -> pa.Schema:
    """The schema of Arrow data and of a Parquet file: other kinds cannot say that a run has released them."""
    schema = getattr(data, "schema", None)
    if isinstance(data, str | os.PathLike) and Path(data).suffix == ".parquet":
        with suppress(pa.ArrowException, OSError):
            schema = pq.read_schema(Path(data))
    return schema if isinstance(schema, pa.Schema) else pa.schema([])
