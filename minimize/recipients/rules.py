"""Rules that forbid sending or receiving data: the party, conditions that do not depend on tenants, and the refusals."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from types import MappingProxyType
from typing import Final

from minimize.config import Config
from minimize.errors import NotPermitted, RefusalReason
from minimize.recipients.load import Recipients, load_configured_recipients
from minimize.recipients.model import Direction, Function, Recipient
from minimize.stores import PathText
from minimize.text import did_you_mean

RULE_CODES: Final[Mapping[str, str]] = MappingProxyType(
    {
        "empty_manifest": "N001",
        "not_in_manifest": "N002",
        "direction": "N003",
        "outside_manifest": "N004",
        "no_contract": "N010",
        "contract_not_in_force": "N011",
        "no_transmission": "N012",
        "outside_contract": "N013",
        "not_listed": "N014",
        "requires": "N015",
        "no_connector": "N016",
        "no_tenant": "N017",
        "purpose": "N020",
        "outside_policy": "N021",
        "unaskable": "N022",
        "no_consent": "N030",
        "refused": "N031",
        "withdrawn": "N032",
        "expired": "N033",
        "not_yet": "N034",
        "other_text": "N035",
        "other_purpose": "N036",
        "other_standing": "N037",
        "other_fields": "N038",
        "no_explicit_consent": "N039",
        "collection_off": "N040",
        "incomplete": "N041",
        "nothing_left": "N042",
        "category": "N050",
        "differs": "N051",
        "consent_ended": "N052",
        "threshold": "N053",
    }
)
_TENANT_MESSAGES: Final[Mapping[str, str]] = MappingProxyType(
    {
        "no_consent": "no consent covers them",
        "refused": "consent was refused",
        "withdrawn": "consent was withdrawn",
        "expired": "consent has expired",
        "not_yet": "consent is not valid yet",
        "other_text": "consent was given to another text",
        "other_purpose": "consent was given for another purpose",
        "other_standing": "the recipient has since changed between agent and independent",
        "other_fields": "consent does not cover these fields in this form",
        "no_explicit_consent": "the recipient is independent, and no administrator has explicitly agreed",
        "no_contract": "the tenant has no contract with the recipient",
        "contract_not_in_force": "the tenant's contract with the recipient is not in force",
        "no_transmission": "the tenant's contract with the recipient permits no transmission",
        "outside_contract": "the tenant's contract with the recipient does not permit all of these fields",
        "requires": "a prerequisite of the function is not confirmed for the tenant",
    }
)


_TENANT_HINTS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "no_contract": "Run `minimize contract record TENANT RECIPIENT --reference REFERENCE --offered`.",
        "contract_not_in_force": "Run `minimize contract show`.",
        "no_transmission": "Run `minimize contract show`.",
        "outside_contract": "Request only the permitted fields, or record a contract that permits the others.",
        "requires": "Run `minimize functions list TENANT`, then `minimize functions confirm`.",
    }
)


def rule_reason(
    rule: str,
    message: str,
    *,
    tenants: int | None = None,
    rows: int | None = None,
    fields: Sequence[str] = (),
    hint: str = "",
) -> RefusalReason:
    """The refusal reason of a rule."""
    return RefusalReason(
        rule=rule, code=RULE_CODES[rule], message=message, tenants=tenants, rows=rows, fields=tuple(fields), hint=hint
    )


def tenant_reason(word: str, tenants: int | None, rows: int | None, *, independent: bool) -> RefusalReason:
    """The reason why the rows of some tenants are withheld; `word` is the state of their consents, or another rule.

    The numbers of tenants and rows are None if they are not known.
    """
    lacking = word in ("none", "requested", "unconfirmed")
    rule = ("no_explicit_consent" if independent else "no_consent") if lacking else word
    return rule_reason(
        rule,
        _TENANT_MESSAGES[rule],
        tenants=tenants,
        rows=rows,
        hint=_TENANT_HINTS.get(
            rule, "Run `minimize consent show`, or `minimize consent why TENANT RECIPIENT FUNCTION`."
        ),
    )


def refusal_error(
    recipient: str, function: str, reasons: Sequence[RefusalReason], direction: Direction = "outbound"
) -> NotPermitted:
    """The error that lists all reasons."""
    count, way = len(reasons), "go to" if direction == "outbound" else "be received from"
    noun = "1 reason" if count == 1 else f"{count} reasons"
    return NotPermitted(f"nothing may {way} {recipient} for {function}: {noun}", reasons=reasons)


def payload_differs_error(what: str) -> NotPermitted:
    """The error of a payload that is not as declared."""
    message = "the payload is not as declared and was not sent"
    return NotPermitted(message, reasons=[rule_reason("differs", what)])


@dataclass(frozen=True, slots=True)
class Party:
    """The recipient and function of a transfer, and the days to check: the day of the evaluation, and today."""

    recipients: Recipients
    recipient: Recipient
    function: str
    direction: Direction
    days: tuple[date, ...]

    @property
    def manifest(self) -> Function | None:
        """The function in the manifest; None if there is none in this direction."""
        manifest = self.recipient.function(self.function)
        return manifest if manifest is not None and manifest.direction == self.direction else None

    def objections(self) -> Iterator[RefusalReason]:
        """Every rule that forbids the transfer for all tenants."""
        yield from self._manifest()
        if self.recipient.standing == "agent":
            yield from self._contract()
        if not all(self.recipients.is_listed(self.recipient, day) for day in self.days):
            hint = "Add an entry to the list: an agent must be listed."
            yield rule_reason(
                "not_listed", f"{self.recipient.recipient} is not on the list of subprocessors", hint=hint
            )

    def _manifest(self) -> Iterator[RefusalReason]:
        name, manifest = self.recipient.recipient, self.recipient
        if not manifest.functions or (manifest.on_premises and self.direction == "outbound"):
            yield rule_reason("empty_manifest", f"the manifest of {name} is empty: nothing is shared with it")
        elif manifest.function(self.function) is None:
            hint = did_you_mean(self.function, manifest.functions)
            yield rule_reason("not_in_manifest", f"the manifest of {name} has no function {self.function}", hint=hint)
        elif self.manifest is None:
            yield rule_reason("direction", f"{self.function} of {name} is not {self.direction}")

    def _contract(self) -> Iterator[RefusalReason]:
        """The rules about the contract of the organization with its agent."""
        contract, name = self.recipient.contract, self.recipient.recipient
        if contract is None:
            yield rule_reason("no_contract", f"there is no contract with {name}", hint="Add `contract:` to its file.")
            return
        if not all(contract.holds(day) for day in self.days):
            yield rule_reason("contract_not_in_force", f"the contract {contract.reference} is not in force")
        if self.direction == "outbound" and not contract.permits_transmission:
            yield rule_reason("no_transmission", f"the contract {contract.reference} permits no transmission")


def find_party(
    recipient: str | Recipient,
    function: str,
    direction: Direction,
    recipients: Recipients | PathText | None,
    config: Config,
    whens: tuple[datetime, ...],
) -> Party:
    """The party of a transfer. Raises PolicyError for an unknown recipient."""
    known = load_configured_recipients(recipients, config)
    who = recipient if isinstance(recipient, Recipient) else known.load(recipient)
    return Party(known, who, function, direction, tuple(dict.fromkeys(when.date() for when in whens)))


def purpose_reasons(purpose: str | None, function: Function, listed: Sequence[str]) -> Iterator[RefusalReason]:
    """Reasons if the purpose is not that of the function, or the policy does not list it."""
    if purpose is not None and purpose != function.purpose:
        yield rule_reason("purpose", f"{function.name} has the purpose {function.purpose}, not {purpose}")
    if function.purpose not in listed:
        hint = f"Add it to the policy, which lists {', '.join(listed)}."
        yield rule_reason("purpose", f"the policy does not list the purpose {function.purpose}", hint=hint)
