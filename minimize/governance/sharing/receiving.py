"""What third parties send: received as a pipeline like any other (`receive_dates`), or in memory (`receive`).

Either asks manifest, contract, prerequisites and consent before anything is kept, and tells the audit log.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from os import PathLike
from pathlib import Path
from typing import Any, Final

import pyarrow as pa

from minimize.consent import ConsentPeriods, Consents, load_consents
from minimize.consent.answer import Answer
from minimize.errors import (
    ConfigurationError,
    KeyringError,
    NotPermitted,
    PolicyError,
    Reason,
    SchemaError,
    without_values,
)
from minimize.governance.access.gate import gate
from minimize.governance.sharing.connecting import Connector, at_once, hand_on
from minimize.io.memory import MemorySource, memory, take
from minimize.job.dates import Wanted
from minimize.job.given import as_pipeline
from minimize.job.job import Instead, RunResult, run_dates
from minimize.job.sender import refused, tell
from minimize.keys import Keyring, find_keyring
from minimize.ledger import Address, Event, actor_of
from minimize.ledger.event import Plain
from minimize.ledger.received import received_event
from minimize.minimizer import Account, Minimizer, Tally, bound_to, releasing
from minimize.nested import leaf
from minimize.plan.request import request
from minimize.pointer import Pointer
from minimize.policy.load import load_policy
from minimize.policy.model import DROP, Field, Policy
from minimize.policy.pipeline import Pipeline
from minimize.recipients import Function, Recipient, inbound
from minimize.recipients.party import Party, party
from minimize.recipients.refusals import of_tenants, reason
from minimize.settings.ledger_erasures import named_ledger
from minimize.switching import House
from minimize.techniques.keep import Keep
from minimize.times import moment

PathLike_ = str | PathLike[str]
TENANT: Final = "tenant_id"


def receive_dates(
    job: Pipeline, recipient: str, function: str, wanted: Wanted, instead: Instead, **options: Any
) -> RunResult:
    """Runs the dates that are wanted of a pipeline that receives from a third party. Takes and raises what `run_dates` does.

    Raises ConfigurationError for a pipeline that receives something else, and AccessDenied (3) for a caller who may not.
    """
    check_source(job, recipient, function)
    house = House(instead.ledger, None if instead.output is None else str(instead.output), job, instead.keys)
    gate("share/receive", house, datetime.now(UTC), about=recipient)
    return run_dates(job, wanted, instead, **options)


def check_source(job: Pipeline, recipient: str, function: str) -> None:
    """Raises ConfigurationError for a pipeline that receives something else."""
    source = job.source
    if (source.recipient, source.function) != (recipient, function):
        own = f"{source.function} of {source.recipient}" if source.is_received else "records of our own"
        message = f"the pipeline {job.pipeline} takes {own}, and not {function} of {recipient}"
        raise ConfigurationError(message, hint="`source` of pipeline.yaml names recipient and function")


@without_values
def receive(
    data: Any,
    *,
    sender: str | Recipient,
    function: str,
    purpose: str | None = None,
    keys: Any = None,
    recipients: Any = None,
    at: datetime | str | None = None,
    connector: Connector | None = None,
    policy: Policy | PathLike_ | None = None,
    pipeline: Pipeline | PathLike_ | None = None,
    tenant: str = TENANT,
    existing: Collection[str] = (),
    settings: Any = None,
    ledger: PathLike_ | None = None,
) -> Any:
    """What a third party sent, in memory, as manifest, contract and consent let it be kept.

    Takes what `apply` takes; the policy, or the pipeline whose policy counts, which may keep less than the manifest; without
    either the manifest itself is the policy, and `tenant` names the field that holds each record's tenant. `existing` are
    prerequisites of the function that are met, beside those that the pipeline names. Consents are those of the ledger (else
    MINIMIZE_LEDGER, else that of the configuration). Of secrets that pass through, those of the records that are kept go to the
    `connector`, once, as a table of their columns in the order of the rows that came; they are never stored, logged or counted
    here.
    Gives the kind of `data`. A record whose tenant's consent does not cover the function, when it arrived (the policy's `time`)
    and now, is left out; so is one without a tenant. Nulls: as `apply` treats them. What remains guessable: what the manifest's
    techniques leave.
    Raises NotPermitted with every reason where nothing may be received, also if no record's tenant agreed; KeyringError without
    a keyring, as the audit log is told; PolicyError for a policy that keeps more than the manifest.
    """
    job = None if pipeline is None else as_pipeline(pipeline)
    now = datetime.now(UTC)
    when = moment(at, "at") or now
    asked = _asked(sender, function, recipients, job, policy, tenant, keys, ledger, when, now)
    house = House(ledger=ledger, pipeline=job, keys=asked.keys)
    gate("share/receive", house, now, about=asked.name)
    met = {*existing, *(() if job is None else job.source.having)}
    against = list(asked.against(met, purpose))
    if against or asked.party.manifest is None:
        raise asked.refused(against, now)
    if asked.keys is None:
        raise KeyringError(
            "no keyring, and the audit log is told of what is received", hint="--keys FILE or MINIMIZE_KEYS"
        )
    found = asked.party.manifest
    whole = at_once(data) if connector is not None and found.passing else data
    bound, source = asked.bound(whole, settings, ledger, now)
    given = bound.through(source, whole, when, asked.periods)
    account = bound.last
    if account is not None and asked.lacks_consent(account, whole, when, now):
        raise asked.refused(asked.lacking(whole, when, now, account.read), now)
    counts = (
        {} if account is None or not account.complete else {"rows": account.returned} | _without_consent(account.gated)
    )
    tell(asked.ledger, asked.keys, asked.event(counts, now))
    if connector is not None and found.passing:
        hand_on(connector, asked.secrets(whole, settings, ledger, when))
    return given


@dataclass(frozen=True, slots=True)
class _Received:
    """What a call of `receive` was asked, resolved.

    ledger   where the consents are; a place where nothing is, if nothing names one
    periods  when tenants agreed
    """

    party: Party
    policy: Policy
    is_own: bool
    """Whether the caller gave the policy, rather than it being made of the manifest."""
    keys: Keyring | None = field(repr=False)
    ledger: Address
    consents: Consents = field(repr=False)
    periods: ConsentPeriods = field(repr=False)

    @property
    def name(self) -> str:
        return self.party.recipient.recipient

    def against(self, existing: Collection[str], purpose: str | None) -> Iterator[Reason]:
        """Every rule against receiving anything."""
        yield from self.party.against(existing)
        found = self.party.manifest
        if found is not None and purpose not in (None, found.purpose):
            yield reason("purpose", f"{found.name} is for {found.purpose}, and not for {purpose}")
        if found is not None and not self.ledger.exists:
            hint = "ledger=PATH_OR_URL, MINIMIZE_LEDGER, or `ledger:` of minimize.yaml"
            yield reason("no_consent", "there is no ledger in which a consent could be", hint=hint)

    def lacks_consent(self, account: Account, data: Any, when: datetime, now: datetime) -> bool:
        """Whether rows were read, and no row's tenant agreed. Rows without a tenant can be left out as faulty."""
        gated = account.gated.get("consent", 0)
        if not account.read or gated + sum(account.left_out.values()) < account.read:
            return False
        if gated == account.read:
            return True
        seen = self._answer(data, when, now)
        return gated > 0 if seen is None else not seen.valid.true_count

    def lacking(self, data: Any, when: datetime, now: datetime, rows: int) -> list[Reason]:
        """Why no record's tenant agreed."""
        independent = self.party.recipient.standing == "independent"
        seen = self._answer(data, when, now)
        if seen is None or not len(seen.places):
            return [of_tenants("none", 0, rows, independent=independent)]
        reasons = seen.why.fill_null("not_yet").value_counts().to_pylist()
        counts = seen.tenants
        return [
            of_tenants(each["values"], counts.get(each["values"], 0), each["counts"], independent=independent)
            for each in sorted(reasons, key=lambda each: str(each["values"]))
        ]

    def _answer(self, data: Any, when: datetime, now: datetime) -> Answer | None:
        """The consents of the rows' tenants, also of faulty rows; None for data that can be read only once."""
        key = self.policy.tenant
        if key is None or not take(data, ()).again:
            return None
        optional = {key: self.policy.fields[key].model_copy(update={"optional": True, "required": False})}
        policy = Policy(
            policy=self.policy.policy, version=1, purposes=self.policy.purposes, tenant=key, fields=optional
        )
        source = memory(data, request(policy, self.policy.purposes[0], None, frozenset({key})))
        names = [leaf(chunk.records, Pointer.parse(key)).values for part in source.parts for chunk in part.read()]
        tenants = pa.chunked_array([each.cast(pa.string()) for each in names], pa.string())
        return self.consents.at(max(when, now)).valid(self.party.recipient, self.party.function, tenants)

    def bound(
        self, data: Any, settings: Any, ledger: PathLike_ | None, now: datetime
    ) -> tuple[Minimizer, MemorySource]:
        """The policy bound to data. Raises NotPermitted for data that does not name a tenant."""
        try:
            return self._bound(self.policy, data, settings, ledger)
        except SchemaError as error:
            fields = {finding.field for finding in error.findings}
            if self.is_own or fields != {self.policy.tenant}:
                raise
        hint = "tenant=FIELD names the column that has each record's tenant"
        message = f"the records have no column {self.policy.tenant}, so that no tenant's consent can be asked for"
        raise self.refused([reason("no_tenant", message, hint=hint)], now)

    def secrets(self, data: Any, settings: Any, ledger: PathLike_ | None, when: datetime) -> pa.Table:
        """The secrets that pass through, of the records that are kept, without anything beside them."""
        passing = () if self.party.manifest is None else self.party.manifest.passing
        there = take(data, passing).schema.names
        names = [name for name in passing if name in there]
        secret = {name: _field(self.party.manifest, name).model_copy(update={"do": (Keep(),)}) for name in names}
        rest = {key: each.model_copy(update=_DROPPED) for key, each in self.policy.fields.items()}
        policy = self.policy.model_copy(update={"fields": {**rest, **secret}})
        bound, source = self._bound(policy, data, settings, ledger)
        released = releasing(bound.job(when, self.periods), source, bound.bound, Tally())
        return pa.Table.from_batches([batch for _, batch in released], schema=bound.bound.schema)

    def _bound(
        self, policy: Policy, data: Any, settings: Any, ledger: PathLike_ | None
    ) -> tuple[Minimizer, MemorySource]:
        purpose = None if self.party.manifest is None else self.party.manifest.purpose
        return bound_to(policy, data, purpose, settings, self.keys, ledger)

    def refused(self, reasons: Collection[Reason], now: datetime) -> NotPermitted:
        """The error with these reasons, of which the audit log was told."""
        return refused(self.name, self.party.function, tuple(reasons), self.ledger, self.keys, now)

    def event(self, counts: Mapping[str, int], now: datetime) -> Event:
        """What the audit log is told."""
        said: dict[str, Plain] = {"recipient": self.name, "function": self.party.function, **counts}
        return received_event(self.name, self.party.function, said, actor=actor_of(), now=now)


_DROPPED: Final[Mapping[str, Any]] = {"do": DROP, "cases": (), "otherwise": DROP, "in_aggregates": ()}


def _asked(
    sender: str | Recipient,
    function: str,
    recipients: Any,
    job: Pipeline | None,
    policy: Policy | PathLike_ | None,
    tenant: str,
    keys: Any,
    ledger: PathLike_ | None,
    when: datetime,
    now: datetime,
) -> _Received:
    """Everything resolved, nothing read but the ledger. Raises PolicyError, ConfigurationError, LedgerError."""
    if job is not None and policy is not None:
        raise ConfigurationError("a policy and a pipeline were given", hint="one of them: a pipeline has its policy")
    given = job.policy if job is not None else policy if isinstance(policy, Policy) else None
    given = load_policy(os.fspath(policy)) if isinstance(policy, str | PathLike) else given
    start = None if given is None or given.path is None else given.path.parent
    start = job.folder if job is not None else start
    side = party(sender, function, "inbound", recipients, start or Path.cwd(), tuple(dict.fromkeys((when, now))))
    if job is not None:
        check_source(job, side.recipient.recipient, function)
    found = side.manifest
    own = given or inbound_policy(side.recipient, found, tenant)
    wrong = [] if found is None or given is None else inbound.faults(given, found, job)
    if wrong:
        message = f"the policy is not what {side.recipient.recipient} may send by {function}"
        raise PolicyError(message, findings=wrong)
    place = start or (None if side.recipient.path is None else side.recipient.path.parent)
    address = named_ledger(ledger, place) or Address(Path("no ledger"), named_by="nothing")
    consents = _consents(address, side)
    times, fold = (max(when, now), min(when, now)), own.folding.tenant
    periods = ConsentPeriods.of(consents, side.recipient, function, times[0], also=times[1:], fold=fold)
    return _Received(side, own, given is not None, find_keyring(keys, place), address, consents, periods)


def _consents(address: Address, side: Party) -> Consents:
    from minimize.ledger.ledger import open_ledger

    if not address.exists:
        return Consents(())
    with open_ledger(address) as ledger:
        return load_consents(ledger, recipient=side.recipient.recipient)


def inbound_policy(sender: Recipient, function: Function | None, tenant: str = TENANT) -> Policy:
    """The manifest of a function as a policy: a message need not have every field, but for its tenant, which is not kept."""
    fields = {key: _field(function, key) for key in (() if function is None else function.fields)}
    if tenant not in fields:
        fields[tenant] = Field(key=tenant, type="string", about="whose consent is asked for")
    return Policy(
        policy=sender.recipient,
        version=1 if function is None else function.text_version,
        purposes=() if function is None else (function.purpose,),
        tenant=tenant,
        fields=fields,
        path=sender.path,
        digest=sender.digest,
    )


def _field(function: Function | None, key: str) -> Field:
    assert function is not None
    each = function.fields[key]
    return Field(key=key, type=each.type, role=each.role, do=each.do, about=each.about, optional=True, line=each.line)


def _without_consent(gated: Mapping[str, int]) -> dict[str, int]:
    return {"rows_without_consent": gated.get("consent", 0)}
