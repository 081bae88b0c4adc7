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

from minimize.consent import Consents, load_agreements, load_consents
from minimize.datasets import reader
from minimize.datasets.pipelines import LEDGER_SETTINGS
from minimize.errors import ConfigurationError, Finding, OutputError, PolicyError, RefusalReason, SourceError
from minimize.governance.sharing.connector import Connector, as_rereadable, check_secrets
from minimize.governance.sharing.recipient_fields import (
    RecipientKeys,
    RecipientPolicy,
    coarse_positions,
    compose_policy,
    declare_forms,
)
from minimize.governance.sharing.released_output import (
    InputPolicy,
    aggregate_model,
    aggregate_policy,
    input_policy_for,
    read_groups,
    reasons_against_aggregate,
    settings_for_output,
)
from minimize.keys import Keyring, find_kms
from minimize.ledger import Address
from minimize.ledger.acts import ActReader
from minimize.plan import Plan, bind
from minimize.plan import model as model_module
from minimize.plan import request as source_request
from minimize.plan.model import Category
from minimize.policy.fields import all_fields_named
from minimize.policy.load import load_policy
from minimize.policy.model import Policy, RecordsGate
from minimize.policy.pipeline import Pipeline, RecordsModel
from minimize.recipients import Function, Recipient, Recipients
from minimize.recipients.rules import Party, find_party, purpose_reasons, rule_reason
from minimize.records import RUNS
from minimize.runs.minimizer import RereadableSource, require_keys
from minimize.settings import SettingsRows, load_settings
from minimize.settings.erasures import RecordedErasures
from minimize.settings.tokenized import load_ledger_settings
from minimize.sources import FORMATS, format_by_name, format_suffixes
from minimize.sources.base import SourceRequest
from minimize.sources.files import FilePart
from minimize.sources.memory import memory_source
from minimize.stores import PathText
from minimize.times import parse_time
from minimize.verification.declared_forms import DeclaredColumn
from minimize.workspace import Workspace

"""Sends a table to the recipient. Must not store the secrets in it."""


@dataclass(frozen=True, slots=True)
class ShareRequest:
    """A share that a caller asks for. None means not given."""

    recipient: str | Recipient
    """The recipient, or its name."""
    function: str
    policy: Policy | PathText | None = None
    """The policy of the data, if there is no pipeline."""
    settings: Any = None
    """Settings instead of those of the pipeline."""
    recipients: Recipients | PathText | None = None
    """The folder of recipients."""
    purpose: str | None = None
    fields: Collection[str] | None = None
    """Fields to send; None for all permitted fields."""
    must_be: str | None = None
    """The highest category that the records may have."""
    at: datetime | str | None = None
    """A time at which the rules must also hold; a dry run evaluates them as of this time only."""
    connector: Connector | None = None
    """Calls the recipient if there are pass-through secrets."""
    dry_run: bool = False
    """Whether nothing is sent."""

    @property
    def recipient_name(self) -> str:
        """The name of the recipient."""
        return self.recipient if isinstance(self.recipient, str) else self.recipient.recipient

    def moments(self, now: datetime) -> tuple[datetime, ...]:
        """The times at which all rules must hold: now and a requested later time. A dry run checks the requested time only."""
        at = parse_time(self.at, "at")
        if at is not None and (self.dry_run or at > now):
            return (at,) if self.dry_run else (now, at)
        return (now,)


@dataclass(frozen=True, slots=True)
class ResolvedShare:
    """A share whose policy, recipient and settings were found, before data is read."""

    workspace: Workspace
    ledger: Address
    request: ShareRequest
    party: Party
    policy: Policy
    settings: SettingsRows | None
    moments: tuple[datetime, ...]
    """Times at which all rules must hold; settings are evaluated as of the last one."""
    must_be: str | None
    """The highest category that the records may have."""

    @property
    def job(self) -> Pipeline | None:
        """The pipeline of the data, if there is one."""
        return self.workspace.loaded_pipeline

    @property
    def keyring(self) -> Keyring:
        """The keyring, which signs the disclosure."""
        return self.workspace.keyring("disclosure")

    def consents(self, acts: ActReader) -> Consents:
        """The consents to this recipient, and its contracts."""
        return load_consents(acts, self.workspace.config, recipient=self.recipient.recipient)

    @property
    def share_time(self) -> datetime:
        """The time of the share."""
        return self.moments[-1]

    @property
    def recipient(self) -> Recipient:
        """The recipient of the share."""
        return self.party.recipient

    def permitted_fields(self) -> frozenset[str] | None:
        """The fields that the contract of a processor, or of at least one tenant with an independent controller, permits.

        None if there is no such contract, so that the share is refused or no tenant's rows are sent.
        """
        if self.recipient.standing == "processor":
            contract = self.recipient.contract
            return None if contract is None else contract.transmitted_fields
        if not self.ledger.exists:
            return None
        with self.workspace.open_ledger(signs=True) as ledger:
            config, name = self.workspace.config, self.recipient.recipient
            known = load_agreements(ledger, config, recipient=name)
        return known.permitted_fields(self.recipient, self.share_time.date(), self.share_time)

    def naming_fields(self, policy: Policy) -> frozenset[str]:
        """The fields of a policy that are read because erasures or settings name subjects by them."""
        named = frozenset() if self.settings is None else all_fields_named(policy, self.settings.fields)
        if not self.ledger.exists:
            return named
        with self.workspace.open_ledger(signs=True) as ledger:
            return named | all_fields_named(policy, RecordedErasures.from_ledger(ledger).names)

    def records_pipeline(self, composed: RecipientPolicy, function: Function, records: RecordsModel) -> Pipeline | None:
        """The pipeline with its rules on whole records, under the policy of the payload."""
        if self.job is None:
            return None
        changes = {"policy": composed.policy, "purpose": function.purpose, "records": records, "aggregates": {}}
        return self.job.model_copy(update=changes)


def resolve_share(workspace: Workspace, request: ShareRequest) -> ResolvedShare:
    """Finds what a share needs: policy, recipient, settings and keyring. Raises ConfigurationError and its subclasses.

    Takes the workspace with the pipeline, if there is one. Without one, the policy determines the configuration.
    """
    job, policy = _resolve_policy(workspace, request)
    job_workspace = Workspace(
        workspace.ledger,
        pipeline=job,
        keys=workspace.keys,
        found_config=(job or policy).config,
        clock=workspace.clock,
        ledgers=workspace.ledgers,
    )
    job_workspace.keyring("disclosure")
    if policy.tenant is None:
        raise ConfigurationError(
            "the policy names no tenant, so consent cannot be checked", hint="Add `tenant: FIELD`."
        )
    ledger = job_workspace.address
    moments = request.moments(workspace.now)
    party = find_party(
        request.recipient, request.function, "outbound", request.recipients, job_workspace.config, moments
    )
    category_limit = None if job is None or job.records is None else job.records.must_be
    settings = _resolve_settings(job_workspace, request.settings, policy)
    return ResolvedShare(
        job_workspace, ledger, request, party, policy, settings, moments, request.must_be or category_limit
    )


def open_source(data: Any, request: SourceRequest) -> RereadableSource:
    """Opens the data as a source: a file by its extension, else data in memory. Raises SchemaError with the whole diff.

    Raises OutputError for an output folder without a published run.
    """
    if not isinstance(data, str | os.PathLike):
        return memory_source(data, request)
    path = Path(data)
    format_ = FORMATS.get(format_by_name(path))
    if path.is_dir() or not path.suffix:
        raise OutputError(
            f"no run has published to {path} yet", hint="Run the pipeline first: `minimize run PIPELINE`."
        )
    if format_ is None or not path.is_file():
        hint = f"Pass a file that ends in {format_suffixes()}, also with .gz or .zst."
        raise ConfigurationError("the file type of the data is not supported", hint=hint)
    return RereadableFiles(format_.bind([FilePart(path, path.parent)], request))


def open_output(data: Any, keys: Keyring) -> Any:
    """Opens the records in force if `data` is an output folder. Returns other data unchanged.

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
        """The schema of the files."""
        return self.source.schema

    @property
    def parts(self) -> Any:
        """The files."""
        return self.source.parts

    def only(self, keys: Collection[str]) -> RereadableFiles:
        """The same source, restricted to these fields."""
        return replace(self, source=self.source.only(keys))


def _resolve_policy(workspace: Workspace, request: ShareRequest) -> tuple[Pipeline | None, Policy]:
    job, policy = workspace.loaded_pipeline, request.policy
    if (policy is None) == (job is None):
        raise ConfigurationError("sharing needs either a policy or a pipeline", hint="Pass policy=… or pipeline=….")
    if job is not None:
        return job, job.policy
    return None, policy if isinstance(policy, Policy) else load_policy(os.fspath(policy or ""))


def _resolve_settings(workspace: Workspace, settings: Any, policy: Policy) -> SettingsRows | None:
    if workspace.pipeline is not None:
        return workspace.load_settings(settings)
    if not (isinstance(settings, str) and settings == LEDGER_SETTINGS):
        return (
            None if settings is None else load_settings(settings).with_folding(policy.settings_folding, policy.levels)
        )
    with workspace.open_ledger(signs=True) as ledger:
        return load_ledger_settings(ledger).with_folding(policy.settings_folding, policy.levels)


@dataclass(frozen=True, slots=True)
class SharePlan:
    """The plan of a share, as far as it could be made."""

    data: Any = field(repr=False)
    """Data to read; the records in force if an output folder was given."""
    data_policy: Policy
    """Policy of the data; for output of a run, only the released columns."""
    function: Function | None = None
    """Function in the manifest; None if the manifest does not contain it."""
    recipient_policy: RecipientPolicy | None = None
    source: RereadableSource | None = field(default=None, repr=False)
    plan: Plan | None = None
    """None if no field may be sent, or the policy does not list the purpose."""
    connector_plan: Plan | None = None
    """Plan that includes the pass-through secrets; None without secrets."""
    settings: SettingsRows | None = field(default=None, repr=False)
    """Collection settings in a form that the rows of the data can be matched with."""
    declared_forms: Mapping[str, DeclaredColumn] = field(default_factory=dict)
    """Form that each sent field must have."""
    is_aggregate: bool = False
    """Whether the rows are groups of an aggregate."""
    reasons_against: tuple[RefusalReason, ...] = ()
    """Rules that forbid the whole share."""

    @property
    def secrets(self) -> frozenset[str]:
        """The pass-through secrets."""
        return frozenset(() if self.recipient_policy is None else self.recipient_policy.secrets)

    @property
    def category(self) -> Category | None:
        """The category of the payload. None if no payload could be planned."""
        if self.plan is None:
            return None
        return "aggregated" if self.is_aggregate else self.plan.outputs["records"].category


def plan_share(share: ResolvedShare, arguments: Any) -> SharePlan:
    """Plans a share. Raises PolicyError, SchemaError and KeyringError: faults of configuration precede refusals."""
    function = share.party.manifest
    data, start, reasons = _open_input(share, function, arguments)
    reasons = [*share.party.objections(), *reasons]
    if function is None:
        return SharePlan(data, start.policy, reasons_against=tuple(reasons))
    composed = compose_policy(
        start,
        function,
        share.recipient,
        share.request.fields,
        permitted=share.permitted_fields(),
        connected=share.request.connector is not None,
    )
    purpose_faults = [*purpose_reasons(share.request.purpose, function, share.policy.purposes)]
    reasons += [*purpose_faults, *_withheld_reasons(composed, share)]
    if purpose_faults or not composed.sent_fields:
        return SharePlan(data, start.policy, function, composed, reasons_against=tuple(reasons))
    _check_technique_inputs(composed, share)
    job = share.records_pipeline(
        composed, function, start.records_model(None if share.job is None else share.job.records)
    )
    also = share.naming_fields(composed.connector_policy)
    source = open_source(data, source_request(composed.connector_policy, function.purpose, job, also))
    coarse = coarse_positions(share.policy, function, share.recipient, composed, start)
    plan = bind(composed.policy, source.schema, purpose=function.purpose, pipeline=job, coarse=coarse)
    joined = (
        bind(composed.connector_policy, source.schema, purpose=function.purpose, pipeline=job, coarse=coarse)
        if composed.secrets
        else None
    )
    require_keys(plan, RecipientKeys(share.keyring))
    check_secrets(joined, composed.secrets, source)
    share_plan = SharePlan(
        data=data,
        data_policy=start.policy,
        function=function,
        recipient_policy=composed,
        source=source,
        plan=plan,
        connector_plan=joined,
        settings=settings_for_output(share.settings, share.policy, start, share.keyring, share.share_time),
        declared_forms=declare_forms(share.policy, function, share.recipient, composed, start),
        is_aggregate=start.aggregated,
    )
    return replace(
        share_plan, reasons_against=(*reasons, *_category_reasons(share_plan, plan, (share.must_be, function.must_be)))
    )


def _open_input(
    share: ResolvedShare, function: Function | None, arguments: Any
) -> tuple[Any, InputPolicy, list[RefusalReason]]:
    """The data to read, its policy, and the reasons against sharing an aggregate unchanged."""
    if function is None or function.aggregate is None:
        output = open_output(arguments, share.keyring)
        data = output if share.request.connector is None else as_rereadable(output)
        return data, input_policy_for(share.policy, _arrow_schema(data)), []
    model = aggregate_model(share.job, function.aggregate)
    data = read_groups(arguments, function.aggregate, share.keyring)
    reasons = [*reasons_against_aggregate(arguments, function.aggregate, model, share.keyring)]
    return data, aggregate_policy(share.policy, model, data.schema), reasons


def tenant_column_source(planned_: SharePlan) -> RereadableSource:
    """The data restricted to its tenants, for a share that is refused regardless of consents."""
    policy = planned_.data_policy
    fields = {key: each for key, each in policy.fields.items() if key == policy.tenant}
    changes = {"fields": fields, "subject": None, "time": None, "record": None, "records": RecordsGate(), "never": ()}
    return open_source(planned_.data, source_request(policy.model_copy(update=changes), None))


def _withheld_reasons(composed: RecipientPolicy, share: ResolvedShare) -> Iterator[RefusalReason]:
    """The reasons to withhold requested fields. If no field is left, the reasons to withhold each field."""
    if share.request.fields is not None:
        yield from composed.withheld_reasons(share.request.fields)
    elif not composed.sent_fields:
        yield from composed.withheld_reasons(None)
    if not composed.sent_fields:
        yield rule_reason("nothing_left", "policy, recipient and contract together permit no field")


def _category_reasons(planned_: SharePlan, plan: Plan, limits: tuple[str | None, ...]) -> Iterator[RefusalReason]:
    """The reason if the payload's category exceeds the limit of the caller, the pipeline or the manifest."""
    category: Any = planned_.category
    limit: Any = min((each for each in limits if each is not None), key=model_module.CATEGORY_ORDER.index, default=None)
    if model_module.exceeds(category, limit):
        culprits = [
            key for key, each in plan.fields.items() if model_module.exceeds(each.category or "aggregated", limit)
        ]
        hint = "Request other fields, or coarsen these in the policy or in the file of the recipient."
        message = f"the payload is {category}, but must be {limit} at most"
        yield rule_reason("category", message, fields=culprits, hint=hint)


def _check_technique_inputs(composed: RecipientPolicy, share: ResolvedShare) -> None:
    """Raises PolicyError if a technique in the manifest reads a field that the policy does not contain."""
    fields = composed.policy.fields
    steps = ((key, step) for key in composed.sent_fields for way in _technique_chains(fields[key]) for step in way)
    missing = sorted({(key, name) for key, step in steps for name in step.reads() if name not in fields})
    if missing:
        file = None if share.recipient.path is None else str(share.recipient.path)
        findings = [
            Finding("P010", f"the technique reads `{name}`, which is not in the policy", field=key, file=file)
            for key, name in missing
        ]
        raise PolicyError("the manifest reads fields that are not in the policy", findings=findings)


def _technique_chains(policy_field: Any) -> Iterator[Any]:
    yield from (
        way
        for way in (policy_field.do, policy_field.otherwise, *(case.do for case in policy_field.cases))
        if not isinstance(way, str)
    )


def _arrow_schema(data: Any) -> pa.Schema:
    """The schema of Arrow data or of a file with columns. Other formats cannot record that a run released them."""
    schema = getattr(data, "schema", None)
    if isinstance(data, str | os.PathLike):
        format_ = FORMATS.get(format_by_name(Path(data)))
        if format_ is not None and format_.read_schema is not None:
            with suppress(SourceError):
                schema = format_.read_schema(FilePart(Path(data), Path(data).parent))
    return schema if isinstance(schema, pa.Schema) else pa.schema([])
