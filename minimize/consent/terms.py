"""Terms and states of a consent (authorization by a tenant): text, purpose, recipient's role, and the form of each field.

The states are mapped to terms of the Data Privacy Vocabulary (dpv:).

What sharing needs besides the authorization, per tenant: a contract with an independent controller, and confirmed prerequisites.

A contract with a processor is the organization's own (GDPR Art. 28(4)). It is in the recipient's file.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, date, datetime, time
from functools import cached_property
from types import MappingProxyType
from typing import Any, Final, TypeAlias, TypeVar

from minimize.errors import PolicyError
from minimize.identifiers import canonical_text
from minimize.ledger.clock import known_times
from minimize.ledger.kinds import ContractAct, PrerequisiteAct
from minimize.receipts.parts import sha256_text
from minimize.recipients import Contract, Function, Recipient, SharedField
from minimize.recipients.load import TenantContract, contract_from_terms, contract_terms
from minimize.recipients.model import ADMIN_CONSENT, EARLIER_STANDINGS
from minimize.techniques import TechniqueStep
from minimize.text import did_you_mean
from minimize.times import time_text, utc_now

DPV_STATES: Final[Mapping[str, str]] = MappingProxyType(
    {
        "requested": "ConsentRequested",
        "unconfirmed": "ConsentRequested",
        "given": "ConsentGiven",
        "renewed": "RenewedConsentGiven",
        "refused": "ConsentRefused",
        "withdrawn": "ConsentWithdrawn",
        "expired": "ConsentExpired",
    }
)
"""Maps each state to its term in the Data Privacy Vocabulary (dpv:)."""
VALID_STATES: Final = frozenset({"given", "renewed"})
"""The states with a valid consent."""
PENDING_STATES: Final = frozenset({"requested", "unconfirmed"})
"""The states in which the tenant was asked, or its document waits for a second person. They change no consent."""
ENDING_STATES: Final = frozenset({"refused", "withdrawn", "expired"})
"""The states that end every act recorded before them."""

NO_CONSENT_REASONS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "none": "no authorization was requested or given",
        "requested": "requested, but not answered",
        "unconfirmed": "given by a document that no second person has confirmed",
        "not_yet": "given, but not valid yet",
        "refused": "refused",
        "withdrawn": "withdrawn",
        "expired": "expired",
        "other_text": "given for another version of the text",
        "other_purpose": "given for another purpose or direction",
        "other_standing": "given to a recipient in another role",
        "other_fields": "given for other fields or for another form of them",
        "no_function": "the recipient has no such function",
    }
)
"""Why there is no valid authorization, by stable reason."""


@dataclass(frozen=True, slots=True)
class ConsentTerms:
    """The content of a function's file at the time of a request or consent."""

    direction: str
    standing: str
    purpose: str
    text_version: int
    forms: Mapping[str, str]
    """Treatment of each field, as JSON; fields that are not sent are absent."""

    @property
    def text(self) -> str:
        """The terms as JSON, as stored in the ledger. Equal terms give equal text."""
        return _canonical_json({**asdict(self), "forms": dict(self.forms)})

    @property
    def digest(self) -> str:
        """A value that is equal for equal terms."""
        return sha256_text(self.text.encode())

    def coverage_gap(self, terms: ConsentTerms, fields: Collection[str]) -> str | None:
        """Why a consent to these terms does not cover other terms, for some of their fields; None if it does.

        >>> agreed = ConsentTerms("outbound", "processor", "operations", 1, {"model": "keep"})
        >>> agreed.coverage_gap(ConsentTerms("outbound", "processor", "operations", 2, {"model": "keep"}), ["model"])
        'other_text'
        """
        if self.standing != terms.standing:
            return "other_standing"
        if (self.purpose, self.direction) != (terms.purpose, terms.direction):
            return "other_purpose"
        if self.text_version != terms.text_version:
            return "other_text"
        agreed = all(field in terms.forms and self.forms.get(field) == terms.forms[field] for field in fields)
        return None if agreed else "other_fields"


def current_terms(recipient: Recipient, function: str) -> ConsentTerms:
    """The current terms of a recipient's function, from its file. Raises PolicyError if the recipient has no such function."""
    manifest = recipient.function(function)
    if manifest is None:
        hint = did_you_mean(function, recipient.functions) or "Add the function to the recipient's file."
        raise PolicyError(f"{recipient.recipient} has no function `{function}`", hint=hint)
    return _build_terms(recipient, manifest)


def parse_terms(text: str) -> ConsentTerms:
    """Parses the terms stored in the ledger."""
    content: dict[str, Any] = json.loads(text)
    standing = EARLIER_STANDINGS.get(content["standing"], content["standing"])
    return ConsentTerms(**content | {"standing": standing})


def _build_terms(recipient: Recipient, function: Function) -> ConsentTerms:
    about = "" if function.aggregate is None else f"{function.aggregate}: "
    forms = {key: about + _field_form(field) for key, field in function.fields.items() if field.chain or field.passes}
    return ConsentTerms(function.direction, recipient.standing, function.purpose, function.text_version, forms)


def _field_form(field: SharedField) -> str:
    if field.passes:
        return "pass_through"
    return _canonical_json([_step_form(step) for step in field.chain])


def _step_form(step: TechniqueStep) -> dict[str, Any]:
    """A step with its parameters. A file that it reads is identified by its digest, not only by its name."""
    parameters, file = step.model_dump(mode="json", by_alias=True), step.reference_file
    return {step.name: parameters if file is None else {**parameters, "digest": file.digest}}


def _canonical_json(value: Any) -> str:
    return json.dumps(value, sort_keys=True, separators=(",", ":"))


T = TypeVar("T")
Parties = tuple[str, str]
"""A recipient and a tenant in canonical form."""
_Index: TypeAlias = tuple[dict[Parties, list[T]], dict[Parties, list[T]]]
"""Entries by parties; in the second, tenants that differ only in case are one tenant."""
NO_END: Final = datetime.max.replace(tzinfo=UTC)
"""The end of a contract without an end."""


@dataclass(frozen=True)
class TenantAgreements:
    """The contracts of tenants and their confirmed prerequisites, in the order of recording."""

    contracts: tuple[ContractAct, ...] = ()
    prerequisites: tuple[PrerequisiteAct, ...] = ()
    filed: tuple[TenantContract, ...] = ()
    """The contracts of the configured file. If the ledger has contracts of a tenant and recipient, these replace the contracts of
    the file."""
    read_at: datetime = field(default_factory=utc_now, compare=False, repr=False)
    """The time at which the agreements were read."""

    def contracts_of(self, recipient: str, tenant: str, run: datetime, *, fold: bool = False) -> list[Contract]:
        """All contracts of a tenant with a recipient as known at a time, in the order of recording; also ended ones."""
        parties = recipient, canonical_text(tenant, fold=fold)
        acts = [act for act in self._acts[fold].get(parties, ()) if act.recorded_at <= run]
        if not acts:
            return [*self._filed[fold].get(parties, ())]
        last = {act.reference: act for act in acts}
        return [contract_from_terms(act.terms) for act in last.values()]

    def contract_on(self, recipient: str, tenant: str, on: date, run: datetime) -> Contract | None:
        """The contract in force on a day, as known at a time. Of several, the one that was recorded last."""
        contracts = [each for each in self.contracts_of(recipient, tenant, run) if each.holds(on)]
        return contracts[-1] if contracts else None

    def permitted_fields(self, recipient: Recipient, on: date, run: datetime) -> frozenset[str] | None:
        """The fields that the contract of at least one tenant permits; None if no contract that permits transmission is in
        force."""
        names = {tenant for who, tenant in (*self._acts[False], *self._filed[False]) if who == recipient.recipient}
        contracts = [self.contract_on(recipient.recipient, name, on, run) for name in names]
        permitting = [each for each in contracts if each is not None and each.permits_transmission]
        return frozenset(key for contract in permitting for key in contract.permitted_fields) if permitting else None

    def gap(
        self,
        recipient: Recipient,
        function: Function,
        tenant: str,
        run: datetime,
        whens: Collection[datetime],
        fields: Collection[str],
    ) -> str | None:
        """The rule that forbids moving the data of a tenant; None if its contract and prerequisites permit it.

        run     the time as of which acts are known; `whens` are the times at which the contract must be in force
        fields  the fields to send
        """
        contract_gap = self.contract_gap(recipient, function, tenant, run, whens, fields)
        return contract_gap or (
            "requires" if self.unconfirmed_prerequisites(recipient, function, tenant, run) else None
        )

    def contract_gap(
        self,
        recipient: Recipient,
        function: Function,
        tenant: str,
        run: datetime,
        whens: Collection[datetime],
        fields: Collection[str],
    ) -> str | None:
        """The rule about contracts that forbids moving the data of a tenant. None for a processor."""
        if recipient.standing == "processor":
            return None
        name = recipient.recipient
        if not self.contracts_of(name, tenant, run):
            return "no_contract"
        contracts = [self.contract_on(name, tenant, when.astimezone(UTC).date(), run) for when in whens]
        if None in contracts:
            return "contract_not_in_force"
        if function.direction == "inbound":
            return None
        if not all(each is not None and each.permits_transmission for each in contracts):
            return "no_transmission"
        permitted = all(each is not None and each.transmitted_fields.issuperset(fields) for each in contracts)
        return None if permitted else "outside_contract"

    def unconfirmed_prerequisites(
        self, recipient: Recipient, function: Function, tenant: str, run: datetime, *, fold: bool = False
    ) -> tuple[str, ...]:
        """The prerequisites of a function that are not confirmed for a tenant, as known at a time."""
        states = self._confirmed[fold].get((recipient.recipient, canonical_text(tenant, fold=fold)), ())
        last = {act.requirement: act for act in states if act.recorded_at <= run}
        return tuple(name for name in function.requires if not _is_confirmed(last.get(name), function))

    def periods(
        self, recipient: str, function: Function, tenant: str, run: datetime, *, fold: bool = False
    ) -> list[tuple[datetime, datetime]]:
        """The periods in which a contract of a tenant permits a function, ascending and without overlaps, as known at a time.

        A contract permits an outbound function if it permits to transmit at least one of its fields.
        """
        spans = sorted(
            (_midnight(each.from_), NO_END if each.until is None else _midnight(each.until))
            for each in self.contracts_of(recipient, tenant, run, fold=fold)
            if (each.until is None or each.from_ < each.until)
            and (function.direction == "inbound" or not each.transmitted_fields.isdisjoint(function.sent))
        )
        merged: list[tuple[datetime, datetime]] = []
        for start, end in spans:
            if merged and start <= merged[-1][1]:
                merged[-1] = merged[-1][0], max(end, merged[-1][1])
            else:
                merged.append((start, end))
        return merged

    def change_times(self, recipient: str) -> Iterator[datetime]:
        """The times at which a contract with a recipient begins or ends, or an act about it or a prerequisite was recorded."""
        contracts = [contract_from_terms(act.terms) for act in self._known_contracts if act.recipient == recipient]
        for entry in (*contracts, *(entry for entry in self.filed if entry.recipient == recipient)):
            yield _midnight(entry.from_)
            if entry.until is not None:
                yield _midnight(entry.until)
        yield from (act.recorded_at for act in self._known_contracts if act.recipient == recipient)
        yield from (act.recorded_at for act in self._known_prerequisites if act.recipient == recipient)

    def content(self, recipient: str, run: datetime) -> Mapping[str, Any]:
        """Everything about one recipient that is known at a time, as JSON."""
        contracts = [
            {"tenant": act.tenant_id, **act.terms, "recorded_at": time_text(act.recorded_at)}
            for act in self._known_contracts
            if act.recipient == recipient and act.recorded_at <= run
        ]
        filed = [{"tenant": each.tenant, **contract_terms(each)} for each in self.filed if each.recipient == recipient]
        confirmed = [
            [act.tenant_id, act.requirement, act.state, *act.permissions, time_text(act.recorded_at)]
            for act in self._known_prerequisites
            if act.recipient == recipient and act.recorded_at <= run
        ]
        return {"contracts": contracts, "filed": filed, "prerequisites": confirmed}

    @cached_property
    def _known_contracts(self) -> tuple[ContractAct, ...]:
        """The acts about contracts. An end that a clock ahead has recorded has the time from which it counts."""
        known = known_times([act.recorded_at for act in self.contracts], self.read_at)
        return tuple(
            _ended_at(act, time) if act.state == "ended" and time < act.recorded_at else act
            for act, time in zip(self.contracts, known, strict=True)
        )

    @cached_property
    def _known_prerequisites(self) -> tuple[PrerequisiteAct, ...]:
        """The acts about prerequisites; likewise."""
        known = known_times([act.recorded_at for act in self.prerequisites], self.read_at)
        return tuple(
            replace(act, recorded_at=time) if act.state == "revoked" else act
            for act, time in zip(self.prerequisites, known, strict=True)
        )

    @cached_property
    def _acts(self) -> _Index[ContractAct]:
        return _by_parties((act.recipient, act.tenant_id, act) for act in self._known_contracts)

    @cached_property
    def _filed(self) -> _Index[TenantContract]:
        return _by_parties((each.recipient, each.tenant, each) for each in self.filed)

    @cached_property
    def _confirmed(self) -> _Index[PrerequisiteAct]:
        return _by_parties((act.recipient, act.tenant_id, act) for act in self._known_prerequisites)


NO_AGREEMENTS: Final = TenantAgreements()


def _ended_at(act: ContractAct, known_at: datetime) -> ContractAct:
    """The end of a contract as known at a time. A day of the end that a person stated is kept."""
    recorded_on = act.recorded_at.astimezone(UTC).date().isoformat()
    until = known_at.astimezone(UTC).date().isoformat() if act.terms["until"] == recorded_on else act.terms["until"]
    return replace(act, recorded_at=known_at, terms={**act.terms, "until": until})


def _is_confirmed(act: PrerequisiteAct | None, function: Function) -> bool:
    """Whether the last act about a prerequisite confirms it for a function; of permissions, exactly those that it uses."""
    if act is None or act.state != "confirmed":
        return False
    return act.requirement != ADMIN_CONSENT or set(act.permissions) == set(function.permissions)


def _by_parties(entries: Iterable[tuple[str, str, T]]) -> _Index[T]:
    indexes: _Index[T] = ({}, {})
    for recipient, tenant, entry in entries:
        for fold, index in zip((False, True), indexes, strict=True):
            index.setdefault((recipient, canonical_text(tenant, fold=fold)), []).append(entry)
    return indexes


def _midnight(day: date) -> datetime:
    return datetime.combine(day, time(), UTC)
