"""Data for a recipient: the fields to send, the form of each or the rule that withholds it, and the recipient's own keys.

Also the functions that a pipeline can feed.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from types import MappingProxyType
from typing import Final

from minimize.errors import RefusalReason
from minimize.governance.sharing.released_output import InputPolicy
from minimize.keys import Keyring
from minimize.plan.model import case_branches
from minimize.plan.request import allows_purpose, is_released
from minimize.policy.describe import treatment_text
from minimize.policy.fields import locates_finely
from minimize.policy.model import Field, Policy
from minimize.policy.pipeline import Pipeline
from minimize.policy.treatments import DROP, Treatment
from minimize.recipients import Function, Recipient, Recipients, SharedField
from minimize.recipients.model import PASSTHROUGH
from minimize.recipients.rules import Party, purpose_reasons, rule_reason
from minimize.results import JsonResult
from minimize.techniques import TechniqueStep
from minimize.techniques.keep import Keep
from minimize.techniques.pseudonymize import Pseudonymize
from minimize.verification.declared_forms import DeclaredColumn
from minimize.verification.rules import StepView

RECIPIENT_MARK: Final = "@"


@dataclass(frozen=True, slots=True)
class RecipientKeys:
    """A keyring that also derives a key from each of its keys for each recipient (HKDF-SHA-256, RFC 5869)."""

    keys: Keyring

    def bytes_of(self, name: str, version: int | None = None) -> bytes:
        """The key's bytes. Raises KeyringError."""
        key, mark, recipient = name.partition(RECIPIENT_MARK)
        if not mark:
            return self.keys.bytes_of(name, version)
        return self.keys.subkey(key, f"recipient/{recipient}", version)

    def version_of(self, name: str) -> int:
        """The newest version of the key that it is derived from. Raises KeyringError."""
        return self.keys.version_of(name.partition(RECIPIENT_MARK)[0])


def recipient_key_name(name: str, recipient: str) -> str:
    """The name of a recipient's own key.

    >>> recipient_key_name("device", "apple")
    'device@apple'
    """
    return f"{name}{RECIPIENT_MARK}{recipient}"


@dataclass(frozen=True, slots=True)
class FieldDecision(JsonResult):
    """The decision on one field: the form in which it is sent, or the rule that withholds it."""

    key: str
    form: str | None
    why: str
    rule: str | None = None
    json_names = "form why rule"


_WITHHELD_HINTS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "outside_manifest": "Request other fields: those of the function are in the file of the recipient.",
        "outside_contract": "Request other fields, or record a contract that permits it.",
        "outside_policy": "Request other fields: `minimize plan PIPELINE` shows what the policy releases.",
        "unaskable": "Release the column that its `collect_if` reads, or request other fields.",
        "no_connector": "Call `minimize.share` with `connector=`: only a program can pass a secret on.",
    }
)
"""What to do about a requested field that is withheld, by rule."""


@dataclass(frozen=True, slots=True)
class RecipientPolicy:
    """The policy of a payload, and the decision on each field of the policy and the manifest."""

    policy: Policy
    decisions: Mapping[str, FieldDecision]
    secrets: tuple[str, ...] = ()
    """Pass-through secrets: gated like other fields, passed to the connector only, never part of the payload."""

    @property
    def sent_fields(self) -> tuple[str, ...]:
        """The keys of the fields to send, including pass-through secrets, in the policy's order."""
        return tuple(key for key in self.policy.fields if self.decisions[key].form is not None)

    @property
    def connector_policy(self) -> Policy:
        """The policy of the connector's data: the payload, and the secrets unchanged."""
        secrets = {key: self.policy.fields[key].model_copy(update={"do": (Keep(),)}) for key in self.secrets}
        return self.policy.model_copy(update={"fields": {**self.policy.fields, **secrets}})

    def withheld_reasons(self, columns: Collection[str] | None) -> Iterator[RefusalReason]:
        """Yields the reasons to withhold the requested fields, or all fields."""
        named = (
            self.decisions
            if columns is None
            else {key: self.decisions[key] for key in columns if key in self.decisions}
        )
        by_rule: dict[str, list[FieldDecision]] = {}
        for decision in named.values():
            if decision.rule is not None and decision.rule != "not_asked":
                by_rule.setdefault(decision.rule, []).append(decision)
        for rule, decisions in by_rule.items():
            hint = _WITHHELD_HINTS.get(rule, "")
            yield rule_reason(rule, decisions[0].why, fields=[decision.key for decision in decisions], hint=hint)


def compose_policy(
    entry: InputPolicy,
    function: Function,
    recipient: Recipient,
    columns: Collection[str] | None,
    *,
    permitted: frozenset[str] | None = None,
    connected: bool = False,
) -> RecipientPolicy:
    """Composes the policy of a payload: each field is treated first by the policy, then by the manifest.

    Takes the requested fields, and those that contracts permit; None for no limit. Secrets pass through only if a connector is
    given (`connected`).
    """
    policy, manifest = entry.policy, function.shared
    released = entry.columns is not None
    decider = _FieldDecider(function, permitted, columns, entry.undecidable, connected=connected, released=released)
    keys = dict.fromkeys([*policy.fields, *manifest, *function.pass_through_fields])
    decisions = {key: decider.decide(key, policy.fields.get(key)) for key in keys}
    decisions |= {key: _outside_manifest(key, function) for key in columns or () if key not in decisions}
    fields = {
        key: _shared_field(field, manifest[key], recipient.recipient, entry.linking_keys.get(key))
        if decisions[key].form is not None and key in manifest
        else _unreleased_field(field)
        for key, field in policy.fields.items()
    }
    payload_policy = policy.model_copy(update={"fields": fields})
    for key, decision in decisions.items():
        if decision.form is not None and key in manifest:
            decisions[key] = FieldDecision(key, "; ".join(_form_texts(payload_policy.fields[key])), decision.why)
    return RecipientPolicy(
        payload_policy, decisions, tuple(key for key in function.pass_through_fields if decisions[key].form is not None)
    )


@dataclass(frozen=True, slots=True)
class _FieldDecider:
    """Decides on fields by policy, manifest, contract and the caller's arguments."""

    function: Function
    permitted: frozenset[str] | None
    requested: Collection[str] | None
    undecidable: Collection[str]
    connected: bool
    released: bool
    """Whether the data is output of a run, which lacks the fields that the policy drops."""

    def decide(self, key: str, field: Field | None) -> FieldDecision:
        """Decides whether a field is sent. If not, names the rule that withholds it."""
        function, passes = self.function, key in self.function.pass_through_fields
        if key not in function.shared and not passes:
            return _outside_manifest(key, function)
        if field is None:
            return FieldDecision(key, None, self._absent(passes=passes), "outside_policy")
        if self.permitted is not None and key not in self.permitted:
            return FieldDecision(key, None, "no contract permits it", "outside_contract")
        if not allows_purpose(field, function.purpose):
            return FieldDecision(
                key, None, f"the policy permits it only for {', '.join(field.purposes)}", "outside_policy"
            )
        if key in self.undecidable:
            return FieldDecision(key, None, "the output lacks a column that its condition reads", "unaskable")
        if passes and field.role != "secret":
            return FieldDecision(key, None, "the policy does not declare it a secret", "outside_policy")
        if not passes and not is_released(field):
            return FieldDecision(key, None, "the policy drops it", "outside_policy")
        if self.requested is not None and key not in self.requested:
            return FieldDecision(key, None, "it was not requested", "not_asked")
        if passes and not self.connected:
            return FieldDecision(key, None, "it is passed to a connector alone, and none was given", "no_connector")
        return FieldDecision(key, PASSTHROUGH if passes else "", f"{function.name} sends it")

    def _absent(self, *, passes: bool) -> str:
        if not self.released:
            return "the policy does not contain it"
        return "the output does not contain it" + ("; secrets are read from the source" if passes else "")


def _outside_manifest(key: str, function: Function) -> FieldDecision:
    return FieldDecision(key, None, f"the function {function.name} does not send it", "outside_manifest")


def _unreleased_field(field: Field) -> Field:
    """The field as an optional input of gates and techniques. It is never released."""
    changes = {"do": DROP, "cases": (), "otherwise": DROP, "in_aggregates": (), "optional": not field.required}
    return field.model_copy(update=changes)


def _shared_field(field: Field, shared: SharedField, recipient: str, linked: str | None) -> Field:
    steps = tuple(_with_recipient_key(step, recipient) for step in shared.chain)
    cases = tuple(
        case.model_copy(update={"do": _append_steps(case.do, steps, recipient, linked)}) for case in field.cases
    )
    changes = {"cases": cases, "in_aggregates": ()}
    word = "otherwise" if field.cases else "do"
    return field.model_copy(update={**changes, word: _append_steps(getattr(field, word), steps, recipient, linked)})


def _append_steps(
    first: Treatment, manifest_steps: tuple[TechniqueStep, ...], recipient: str, linked: str | None
) -> Treatment:
    """The policy's steps, then the manifest's. Linking pseudonyms use a different key for each recipient."""
    if isinstance(first, str):
        return DROP
    steps = [step for step in (*first, *manifest_steps) if not step.changes_nothing]
    links = [name for step in first if step.is_pseudonym() for name in step.key_names]
    links += [] if linked is None else [linked]
    if links and not any(step.is_pseudonym() for step in manifest_steps):
        steps.append(Pseudonymize(key=recipient_key_name(links[-1], recipient)))
    return tuple(steps) or (Keep(),)


def _with_recipient_key(step: TechniqueStep, recipient: str) -> TechniqueStep:
    """The step with the recipient's own key."""
    if not step.key_names:
        return step
    (name,) = step.key_names
    return step.model_copy(update={"key": recipient_key_name(name, recipient)})


def _form_texts(field: Field) -> Iterable[str]:
    return dict.fromkeys(
        "dropped" if branch.steps is None else treatment_text(branch.steps) for branch in case_branches(field)
    )


def declare_forms(
    policy: Policy, function: Function, recipient: Recipient, composed: RecipientPolicy, entry: InputPolicy
) -> dict[str, DeclaredColumn]:
    """The declared form of each sent field, by key. Pass-through secrets are unchanged.

    A step that depends on all rows of a date is left out for an output: several dates may contain more values.
    """
    whole = composed if entry.aggregated else compose_policy(InputPolicy(policy, {}), function, recipient, None)
    keys = [key for key in composed.sent_fields if key not in composed.secrets]
    return {key: _declare_form(whole.policy.fields[key], by_date=entry.columns is not None) for key in keys}


def _declare_form(field: Field, *, by_date: bool) -> DeclaredColumn:
    chains = [branch.steps for branch in case_branches(field) if branch.steps is not None]
    views = tuple(tuple(step_view(step) for step in chain if not (by_date and step.needs_all_rows)) for chain in chains)
    files = (step.reference_file for chain in chains for step in reversed(chain))
    return DeclaredColumn(views, next((file.path.parent for file in files if file is not None), Path()))


def coarse_positions(
    policy: Policy, function: Function, recipient: Recipient, composed: RecipientPolicy, entry: InputPolicy
) -> frozenset[str]:
    """The sent fields of an output whose declared form shows no position more finely than 10 km.

    The run has applied the policy already, and the payload is checked for the declared form.
    """
    if entry.columns is None or entry.aggregated:
        return frozenset()
    whole = compose_policy(InputPolicy(policy, {}), function, recipient, None).policy.fields
    keys = (key for key in composed.sent_fields if key not in composed.secrets)
    return frozenset(key for key in keys if not _locates_finely(whole[key], policy))


def _locates_finely(field: Field, policy: Policy) -> bool:
    chains = (branch.steps for branch in case_branches(field) if branch.steps is not None)
    checked = [[step for step in chain if not step.needs_all_rows] for chain in chains]
    return locates_finely(checked, (field, *(policy.fields[key] for key in field.from_)))


def step_view(step: TechniqueStep) -> StepView:
    """A step in the form that the rules read: its name, and its options as in a policy file."""
    return StepView(step.name, step.model_dump(by_alias=True, exclude_none=True))


@dataclass(frozen=True, slots=True)
class EligibleFunction:
    """A function that a pipeline can feed. The printed form is `google (android_management)`."""

    recipient: str
    function: Function

    def __str__(self) -> str:
        return f"{self.recipient} ({self.function.name})"

    def sends(self, key: str) -> bool:
        """Whether the function sends a field, including as a pass-through secret."""
        return self.function.aggregate is None and (
            key in self.function.shared or key in self.function.pass_through_fields
        )


def eligible_functions(
    job: Pipeline, all_recipients: Recipients, on: date, recipients: Sequence[Recipient] | None = None
) -> Iterator[EligibleFunction]:
    """The functions that a pipeline can feed on a day, by recipient.

    Reads the files of the recipients unless loaded `recipients` are given. A function is eligible if all of these hold:

    - The contract of the file is in force, and a recipient that is a processor is on the list of subprocessors.
    - The policy lists the function's purpose.
    - The policy releases every field that is not optional, or the field is a pass-through secret.
    """
    for recipient in map(all_recipients.load, all_recipients.names()) if recipients is None else recipients:
        for function in recipient.outbound:
            party = Party(all_recipients, recipient, function.name, "outbound", (on,))
            if not any(party.objections()) and _is_offered(recipient, on) and _is_eligible(job, recipient, function):
                yield EligibleFunction(recipient.recipient, function)


def _is_offered(recipient: Recipient, on: date) -> bool:
    """Whether the file has a contract that permits transmission: with the processor, or the one that is offered to tenants."""
    return recipient.contract is not None and recipient.contract.permits_transmission and recipient.contract.holds(on)


def _is_eligible(job: Pipeline, recipient: Recipient, function: Function) -> bool:
    policy = job.policy
    if (
        job.purpose != function.purpose
        or any(purpose_reasons(None, function, policy.purposes))
        or policy.tenant is None
    ):
        return False
    required = {key for key, field in function.fields.items() if (field.chain or field.passes) and not field.optional}
    if function.aggregate is None:
        permitted = None if recipient.contract is None else recipient.contract.transmitted_fields
        composed = compose_policy(
            InputPolicy(policy, {}), function, recipient, None, permitted=permitted, connected=True
        )
        sent = set(composed.sent_fields)
    else:
        sent = _permitted_columns(job, recipient, function.aggregate)
    return bool(sent) and required <= sent


def _permitted_columns(job: Pipeline, recipient: Recipient, name: str) -> set[str]:
    """The columns of an aggregate that the contract permits. Empty if it is not grouped by tenant."""
    model, contract = job.tables.get(name), recipient.contract
    if model is None or contract is None or job.policy.tenant not in {key.field for key in model.group_by.values()}:
        return set()
    return {column for column in (*model.group_by, *model.measures) if contract.permits(column)}
