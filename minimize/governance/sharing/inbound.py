"""Data that third parties send: received by a pipeline (`receive_dates`), or in memory (`receive`).

Both check manifest, contract, prerequisites and consent before they store or return anything, and record an audit event.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from os import PathLike
from pathlib import Path
from typing import Any, Final

import pyarrow as pa

from minimize.arrow.nested import leaf
from minimize.arrow.pointers import Pointer
from minimize.config import Config
from minimize.config_search import load_config
from minimize.consent import ConsentPeriods, Consents, load_consents
from minimize.consent.evaluation import ConsentAnswer
from minimize.datasets.pipelines import pipeline_from
from minimize.errors import (
    ConfigurationError,
    KeyringError,
    NotPermitted,
    PolicyError,
    RefusalReason,
    SchemaError,
    redact_errors,
)
from minimize.governance.sharing.connector import Connector, as_rereadable, call_connector
from minimize.keys import Keyring, find_keyring
from minimize.ledger import Actor, Address, AuditEvent, current_actor
from minimize.ledger.audit_event import PlainValue, received_event
from minimize.ledger.ledger import open_ledger
from minimize.plan.request import request
from minimize.policy.load import load_policy
from minimize.policy.model import Field, Policy
from minimize.policy.pipeline import Pipeline
from minimize.policy.treatments import DROP
from minimize.recipients import Function, Recipient, Recipients, inbound
from minimize.recipients.rules import Party, find_party, rule_reason, tenant_reason
from minimize.runs.deciding_function import record_event, refusal_error
from minimize.runs.minimizer import Minimizer, RowCounts, RowTally, bind_to_data, release_batches
from minimize.runs.overrides import require_override
from minimize.runs.resolve import RunRequest
from minimize.runs.runner import Execution, RunResult, run_dates
from minimize.settings.erasures import find_named_ledger
from minimize.sources.memory import MemorySource, memory_source, read_memory
from minimize.stores import PathText
from minimize.techniques.keep import Keep
from minimize.times import parse_time
from minimize.workspace import Workspace

TENANT_FIELD: Final = "tenant_id"


def receive_dates(
    workspace: Workspace, recipient: str, function: str, request: RunRequest, execution: Execution
) -> RunResult:
    """Runs the requested dates of a pipeline that receives from a third party. Exceptions as for `run_dates`.

    Raises ConfigurationError for a pipeline with another source, and AccessDenied (3) for a caller without permission.
    """
    workspace.require("share/receive", about=recipient)
    check_source(workspace.job, recipient, function)
    require_override(workspace, request)
    return run_dates(workspace, request, execution)


def check_source(job: Pipeline, recipient: str, function: str) -> None:
    """Raises ConfigurationError if the pipeline does not receive this function of this recipient."""
    source = job.source
    if (source.recipient, source.function) != (recipient, function):
        source_text = (
            f"{source.function} of {source.recipient}" if source.is_received else "the organization's own records"
        )
        message = f"the pipeline {job.pipeline} reads {source_text}, not {function} of {recipient}"
        raise ConfigurationError(message, hint="Set recipient and function under `source` in pipeline.yaml.")


@redact_errors
def receive(
    data: Any,
    *,
    sender: str | Recipient,
    function: str,
    purpose: str | None = None,
    keys: Keyring | PathText | None = None,
    recipients: Recipients | PathText | None = None,
    at: datetime | str | None = None,
    connector: Connector | None = None,
    policy: Policy | PathText | None = None,
    pipeline: Pipeline | PathText | None = None,
    tenant: str = TENANT_FIELD,
    settings: Any = None,
    ledger: PathText | None = None,
) -> Any:
    """Takes in data of a third party, as far as manifest, contract and authorization by the tenant permit it.

    A record is left out if it has no tenant, or if its tenant's authorization does not cover the function both at its arrival
    (the policy's `time`) and now. Nulls are treated as by `apply`. What can be learned about a value depends on the
    techniques of the manifest, and of the policy if there is one.

    Args:
        data: The received records, as for `apply`.
        sender: The name of the third party, or a loaded Recipient.
        function: Its function, which must be inbound.
        purpose: The purpose. If you pass one, it must be that of the function.
        keys: The keyring or its path. It signs the audit event.
        recipients: The folder of recipients (default: that of the configuration).
        at: The time of the call, with a time zone (default: now).
        connector: A function that is called once with a table of the pass-through secrets of the kept records, in the order of
            the received rows. These secrets are never stored, logged or counted.
        policy: A policy that keeps no more than the manifest. Without one, the manifest is the policy.
        pipeline: A pipeline, for its policy.
        tenant: The field with each record's tenant, if the manifest is the policy.
        settings: The collection settings, as for `apply`.
        ledger: The ledger with the authorizations (default: `MINIMIZE_LEDGER`, else that of the configuration).

    Returns:
        Data of the type of `data`.

    Raises:
        NotPermitted: Nothing may be received, also because no record's tenant has authorized it. `reasons` has every reason.
        PolicyError: The policy keeps more than the manifest, or a file has faults.
        SchemaError: A field is missing, or has a type that its technique does not take.
        KeyringError: There is no keyring, or it lacks a key.
        LedgerError: The ledger cannot be used.

    Example:
        In the folder that `minimize sample demo --out demo` makes:

        >>> import minimize
        >>> import pyarrow as pa
        >>> from datetime import datetime, timezone
        >>> now = datetime.now(timezone.utc)
        >>> records = {"tenant_id": ["contoso"], "device_id": ["d-4711"], "threat_state": ["secured"], "last_contact": [now]}
        >>> whose = {"sender": "threat_defense", "function": "threat_state", "recipients": "pipelines/recipients"}
        >>> minimize.receive(pa.table(records), **whose)["threat_state"].to_pylist()
        ['secured']
    """
    job = None if pipeline is None else pipeline_from(pipeline)
    workspace = Workspace(ledger=ledger, pipeline=job, keys=keys)
    now = workspace.now
    when = parse_time(at, "at") or now
    inbound_request = _resolve_request(workspace, sender, function, recipients, policy, tenant, when)
    workspace = replace(workspace, keys=inbound_request.keys)
    workspace.require("share/receive", about=inbound_request.sender_name)
    inbound_request = replace(inbound_request, settings=settings, actor=workspace.actor)
    reasons = list(inbound_request.reasons_against(purpose))
    if reasons or inbound_request.party.manifest is None:
        raise inbound_request.refuse(reasons, now)
    if inbound_request.keys is None:
        raise KeyringError(
            "no keyring found; one is needed to sign the audit event", hint="Pass --keys FILE or set MINIMIZE_KEYS."
        )
    manifest = inbound_request.party.manifest
    whole = as_rereadable(data) if connector is not None and manifest.pass_through_fields else data
    bound, source = inbound_request.bind(whole, now)
    result = bound.run_source(source, whole, when, inbound_request.periods)
    account = bound.last
    if account is not None and inbound_request.lacks_consent(account, whole, when, now):
        raise inbound_request.refuse(inbound_request.consent_reasons(whole, when, now, account.read), now)
    counts = (
        {} if account is None or not account.complete else {"rows": account.returned} | _consent_counts(account.gated)
    )
    record_event(inbound_request.ledger, inbound_request.keys, inbound_request.event(counts, now))
    if connector is not None and manifest.pass_through_fields:
        call_connector(connector, inbound_request.secrets(whole, when))
    return result


@dataclass(frozen=True, slots=True)
class _InboundRequest:
    """The resolved arguments of a call of `receive`.

    settings, named_ledger  as they were passed
    """

    party: Party
    policy: Policy
    has_given_policy: bool
    """Whether the caller passed the policy. Otherwise it is made from the manifest."""
    keys: Keyring | None = field(repr=False)
    ledger: Address
    """Address of the ledger with the consents; an address that does not exist if none is configured."""
    consents: Consents = field(repr=False)
    periods: ConsentPeriods = field(repr=False)
    """Times during which tenants consented."""
    actor: Actor = field(default_factory=current_actor)
    settings: Any = field(default=None, repr=False)
    named_ledger: PathText | None = None

    @property
    def sender_name(self) -> str:
        return self.party.recipient.recipient

    def reasons_against(self, purpose: str | None) -> Iterator[RefusalReason]:
        """Yields every rule that forbids receiving the data for all tenants."""
        yield from self.party.objections()
        manifest = self.party.manifest
        if manifest is not None and purpose not in (None, manifest.purpose):
            yield rule_reason("purpose", f"the purpose of {manifest.name} is {manifest.purpose}, not {purpose}")
        if manifest is not None and not self.ledger.exists:
            hint = "Pass ledger=PATH_OR_URL, or set MINIMIZE_LEDGER or `ledger:` in minimize.yaml."
            yield rule_reason("no_consent", "there is no ledger with consents", hint=hint)

    def lacks_consent(self, account: RowCounts, data: Any, when: datetime, now: datetime) -> bool:
        """Whether rows were read and no row's tenant consented. Rows without a tenant can be left out as faulty."""
        gated = account.gated.get("consent", 0)
        if not account.read or gated + sum(account.quarantined.values()) < account.read:
            return False
        if gated == account.read:
            return True
        row_consents = self._consents_of_rows(data, when, now)
        return gated > 0 if row_consents is None else not row_consents.valid.true_count

    def consent_reasons(self, data: Any, when: datetime, now: datetime, rows: int) -> list[RefusalReason]:
        """The reasons why no record's tenant consented."""
        recipient, function = self.party.recipient, self.party.function
        row_consents = self._consents_of_rows(data, when, now)
        if row_consents is None or not len(row_consents.places):
            return [tenant_reason("none", None, rows, recipient, function)]
        reasons = row_consents.reasons.fill_null("not_yet").value_counts().to_pylist()
        counts = row_consents.tenants
        return [
            tenant_reason(each["values"], counts.get(each["values"], 0), each["counts"], recipient, function)
            for each in sorted(reasons, key=lambda reason: str(reason["values"]))
        ]

    def _consents_of_rows(self, data: Any, when: datetime, now: datetime) -> ConsentAnswer | None:
        """The consents of the rows' tenants, including faulty rows. None for data that can be read only once."""
        key = self.policy.tenant
        if key is None or not read_memory(data, ()).is_rereadable:
            return None
        optional = {key: self.policy.fields[key].model_copy(update={"optional": True, "required": False})}
        policy = Policy(
            policy=self.policy.policy, version=1, purposes=self.policy.purposes, tenant=key, fields=optional
        )
        source = memory_source(data, request(policy, self.policy.purposes[0], None, frozenset({key})))
        names = [leaf(chunk.records, Pointer.parse(key)).values for part in source.parts for chunk in part.read()]
        tenants = pa.chunked_array([each.cast(pa.string()) for each in names], pa.string())
        return self.consents.effective_at(max(when, now)).permit(self.party.recipient, self.party.function, tenants)

    def bind(self, data: Any, now: datetime) -> tuple[Minimizer, MemorySource]:
        """Binds the policy to data. Raises NotPermitted for data without a tenant column."""
        try:
            return self._bind_policy(self.policy, data)
        except SchemaError as error:
            fields = {finding.field for finding in error.findings}
            if self.has_given_policy or fields != {self.policy.tenant}:
                raise
        hint = "Pass tenant=FIELD with the column that contains each record's tenant."
        message = f"the records have no column {self.policy.tenant}, so no tenant's consent can be checked"
        raise self.refuse([rule_reason("no_tenant", message, hint=hint)], now)

    def secrets(self, data: Any, when: datetime) -> pa.Table:
        """A table of the pass-through secrets of the kept records, without other columns."""
        passing = () if self.party.manifest is None else self.party.manifest.pass_through_fields
        available = read_memory(data, passing).schema.names
        names = [name for name in passing if name in available]
        secret = {
            name: _manifest_field(self.party.manifest, name).model_copy(update={"do": (Keep(),)}) for name in names
        }
        dropped_fields = {key: each.model_copy(update=_DROP_FIELD) for key, each in self.policy.fields.items()}
        policy = self.policy.model_copy(update={"fields": {**dropped_fields, **secret}})
        bound, source = self._bind_policy(policy, data)
        released = release_batches(bound.job(when, self.periods), source, bound.bound, RowTally())
        return pa.Table.from_batches([batch for _, batch in released], schema=bound.bound.schema)

    def _bind_policy(self, policy: Policy, data: Any) -> tuple[Minimizer, MemorySource]:
        purpose = None if self.party.manifest is None else self.party.manifest.purpose
        return bind_to_data(policy, data, purpose, self.settings, self.keys, self.named_ledger)

    def refuse(self, reasons: Collection[RefusalReason], now: datetime) -> NotPermitted:
        """Records the refusal in the audit log and returns the error with these reasons."""
        return refusal_error(
            self.sender_name, self.party.function, tuple(reasons), self.ledger, self.keys, now, self.actor
        )

    def event(self, counts: Mapping[str, int], now: datetime) -> AuditEvent:
        """The audit event of the received data."""
        properties: dict[str, PlainValue] = {"recipient": self.sender_name, "function": self.party.function, **counts}
        return received_event(self.sender_name, self.party.function, properties, actor=self.actor, now=now)


_DROP_FIELD: Final[Mapping[str, Any]] = {"do": DROP, "cases": (), "otherwise": DROP, "in_aggregates": ()}


def _resolve_request(
    workspace: Workspace,
    sender: str | Recipient,
    function: str,
    recipients: Any,
    policy: Policy | PathText | None,
    tenant: str,
    when: datetime,
) -> _InboundRequest:
    """Resolves the arguments. Reads only the ledger. Raises PolicyError, ConfigurationError, LedgerError."""
    job, now = workspace.loaded_pipeline, workspace.now
    if job is not None and policy is not None:
        hint = "Pass one of them. A pipeline has its own policy."
        raise ConfigurationError("both a policy and a pipeline were given", hint=hint)
    loaded_policy = job.policy if job is not None else policy if isinstance(policy, Policy) else None
    loaded_policy = load_policy(os.fspath(policy)) if isinstance(policy, str | PathLike) else loaded_policy
    read_form = (
        job if job is not None else None if loaded_policy is None or loaded_policy.path is None else loaded_policy
    )
    config = load_config() if read_form is None else read_form.config
    party = find_party(sender, function, "inbound", recipients, config, tuple(dict.fromkeys((when, now))))
    if job is not None:
        check_source(job, party.recipient.recipient, function)
    manifest = party.manifest
    applied_policy = loaded_policy or inbound_policy(party.recipient, manifest, tenant)
    faults = [] if manifest is None or loaded_policy is None else inbound.check_policy(loaded_policy, manifest, job)
    if faults:
        message = f"the policy keeps more than {party.recipient.recipient} may send for {function}"
        raise PolicyError(message, findings=faults)
    place: Config | None = config
    if read_form is None:
        place = None if party.recipient.path is None else load_config(party.recipient.path.parent)
    address = find_named_ledger(workspace.ledger, place) or Address(Path("no ledger"), named_by="nothing")
    keyring = find_keyring(workspace.keys, place)
    consents = _load_sender_consents(address, party, keyring, place)
    times, fold = (max(when, now), min(when, now)), applied_policy.folding.tenant
    periods = consents.permitted_periods(party.recipient, function, times[0], also=times[1:], fold=fold)
    return _InboundRequest(
        party,
        applied_policy,
        loaded_policy is not None,
        keyring,
        address,
        consents,
        periods,
        named_ledger=workspace.ledger,
    )


def _load_sender_consents(address: Address, side: Party, keys: Keyring | None, config: Config | None) -> Consents:
    if not address.exists:
        return Consents(())
    with open_ledger(address, verifier=keys) as ledger:
        return load_consents(ledger, config, recipient=side.recipient.recipient)


def inbound_policy(sender: Recipient, function: Function | None, tenant: str = TENANT_FIELD) -> Policy:
    """The manifest of a function as a policy. All fields are optional except the tenant, which is not kept."""
    fields = {key: _manifest_field(function, key) for key in (() if function is None else function.fields)}
    if tenant not in fields:
        fields[tenant] = Field(key=tenant, type="string", about="tenant whose consent is checked")
    return Policy(
        policy=sender.recipient,
        version=1 if function is None else function.text_version,
        purposes=() if function is None else (function.purpose,),
        tenant=tenant,
        fields=fields,
        path=sender.path,
        digest=sender.digest,
    )


def _manifest_field(function: Function | None, key: str) -> Field:
    assert function is not None
    function_field = function.fields[key]
    do = function_field.chain or DROP
    return Field(
        key=key,
        type=function_field.type,
        role=function_field.role,
        do=do,
        about=function_field.about,
        optional=True,
        line=function_field.line,
    )


def _consent_counts(gated: Mapping[str, int]) -> dict[str, int]:
    return {"rows_without_consent": gated.get("consent", 0)}
