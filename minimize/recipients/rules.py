"""Rules that forbid sending or receiving data: the party, conditions that do not depend on tenants, and the refusals."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Final

from minimize.config import Config
from minimize.errors import NotPermitted, RefusalReason
from minimize.recipients.load import Recipients, load_configured_recipients
from minimize.recipients.model import Direction, Function, Recipient
from minimize.stores import PathText
from minimize.text import did_you_mean

_CONSENT_HINT: Final = (
    "Run `minimize consent show --recipient {recipient} --function {function}`: it lists the tenants."
)
_CONTRACT_HINT: Final = "Run `minimize contract show`: it lists the contracts of each tenant."
_UNAUTHORIZED: Final[Mapping[str, str]] = {
    "none": "the tenant has not authorized the function",
    "requested": "the tenant has not answered the request to authorize the function",
    "unconfirmed": "no second person has confirmed the document by which the tenant authorized the function",
}
"""Why no authorization is recorded, by the state of the tenant's authorization."""


@dataclass(frozen=True, slots=True)
class RefusalRule:
    """A rule that forbids a transfer: its code, its name, and its meaning in the table of codes.

    If the rule withholds the rows of some tenants, `tenant_text` is the message (by default the meaning), `tenant_hint` the hint.
    """

    code: str
    name: str
    about: str
    tenant_text: str = ""
    tenant_hint: str = _CONSENT_HINT


REFUSAL_RULES: Final[Mapping[str, RefusalRule]] = {
    rule.name: rule
    for rule in (
        RefusalRule("N001", "empty_manifest", "the manifest of the recipient is empty: nothing is shared with it"),
        RefusalRule("N002", "not_in_manifest", "the manifest does not have the function"),
        RefusalRule(
            "N003",
            "direction",
            "the function has the wrong direction: inbound and not outbound, or outbound and not inbound",
        ),
        RefusalRule("N004", "outside_manifest", "the function of the manifest does not have the field"),
        RefusalRule(
            "N010",
            "no_contract",
            "the processor has no contract, or tenants have no contract with the independent controller",
            "the tenant has no contract with the recipient",
            "Run `minimize contract record TENANT {recipient} --reference REFERENCE --offered --document FILE`.",
        ),
        RefusalRule(
            "N011",
            "contract_not_in_force",
            "a contract is not in force",
            "the tenant's contract with the recipient is not in force",
            _CONTRACT_HINT,
        ),
        RefusalRule(
            "N012",
            "no_transmission",
            "the contract permits no transmission",
            "the tenant's contract with the recipient permits no transmission",
            _CONTRACT_HINT,
        ),
        RefusalRule(
            "N013",
            "outside_contract",
            "the contract does not permit the field",
            "the tenant's contract with the recipient does not permit all of these fields",
            "Request only the permitted fields, or record a contract that permits the others.",
        ),
        RefusalRule("N014", "not_listed", "a processor is not on the list of subprocessors"),
        RefusalRule(
            "N015",
            "requires",
            "a prerequisite of the function, such as an account, is not confirmed for tenants",
            "a prerequisite of the function is not confirmed for the tenant",
            "Run `minimize functions list TENANT`, then `minimize functions confirm`.",
        ),
        RefusalRule("N016", "no_connector", "a pass-through secret was not given"),
        RefusalRule("N017", "no_tenant", "records name no tenant, so that no authorization can apply"),
        RefusalRule("N020", "purpose", "the policy does not list the purpose, or the function has another purpose"),
        RefusalRule("N021", "outside_policy", "the policy does not release the field for the purpose"),
        RefusalRule("N022", "unaskable", "the condition of a field reads data that the output no longer holds"),
        RefusalRule(
            "N030",
            "no_consent",
            "tenants have not authorized the function",
        ),
        RefusalRule("N031", "refused", "tenants refused the authorization", "the tenant refused the authorization"),
        RefusalRule(
            "N032", "withdrawn", "tenants withdrew their authorization", "the tenant withdrew its authorization"
        ),
        RefusalRule(
            "N033", "expired", "the tenants' authorization has expired", "the tenant's authorization has expired"
        ),
        RefusalRule(
            "N034",
            "not_yet",
            "the tenants' authorization is not valid yet",
            "the tenant's authorization is not valid yet",
        ),
        RefusalRule("N035", "other_text", "tenants authorized another text", "the tenant authorized another text"),
        RefusalRule(
            "N036", "other_purpose", "tenants authorized another purpose", "the tenant authorized another purpose"
        ),
        RefusalRule(
            "N037", "other_standing", "the recipient has since changed between processor and independent controller"
        ),
        RefusalRule(
            "N038",
            "other_fields",
            "tenants authorized other fields, or another form of the fields",
            "the tenant's authorization does not cover these fields in this form",
        ),
        RefusalRule(
            "N039",
            "no_explicit_consent",
            "the administrator of tenants did not explicitly authorize an independent controller",
            "the recipient is an independent controller, which each tenant must authorize",
        ),
        RefusalRule(
            "N040", "collection_off", "records are withheld by collection settings, conditions, retention or an erasure"
        ),
        RefusalRule("N041", "incomplete", "records have no tenant, or lack a field that the policy requires"),
        RefusalRule("N042", "nothing_left", "nothing is left to send"),
        RefusalRule("N050", "category", "the category of the payload exceeds `must_be`"),
        RefusalRule("N051", "differs", "the payload is not as declared"),
        RefusalRule("N052", "consent_ended", "the tenants' authorization ended while the payload was made"),
        RefusalRule("N053", "threshold", "an aggregate was published under a lower threshold than today's"),
    )
}


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
        rule=rule,
        code=REFUSAL_RULES[rule].code,
        message=message,
        tenants=tenants,
        rows=rows,
        fields=tuple(fields),
        hint=hint,
    )


def tenant_reason(
    word: str, tenants: int | None, rows: int | None, recipient: Recipient, function: str
) -> RefusalReason:
    """The reason why the rows of some tenants are withheld; `word` is the state of their authorizations, or another rule.

    The numbers of tenants and rows are None if they are not known. No tenant is named, because the text may be shown to
    others than the tenant: the hint is the command that lists them.
    """
    independent, missing = recipient.standing == "independent_controller", _UNAUTHORIZED.get(word)
    rule = REFUSAL_RULES[word if missing is None else "no_explicit_consent" if independent else "no_consent"]
    text = rule.tenant_text or rule.about
    if missing is not None:
        text = f"{text}: {missing}" if independent else missing
    hint = rule.tenant_hint.format(recipient=recipient.recipient, function=function)
    return rule_reason(rule.name, text, tenants=tenants, rows=rows, hint=hint)


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
        if self.recipient.standing == "processor":
            yield from self._contract()
        if not all(self.recipients.is_listed(self.recipient, day) for day in self.days):
            hint = "Add an entry to the list: a processor must be listed."
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
        """The rules about the contract of the organization with its processor."""
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
