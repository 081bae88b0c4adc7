"""One policy made of what the house's policy lets out and what the manifest and the contract take of it."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass

from minimize.errors import Reason
from minimize.governance.sharing.keyed import key_for
from minimize.governance.sharing.released import LINKING, Entry
from minimize.plan.fields import branches_of
from minimize.plan.request import for_purpose, is_released
from minimize.policy.model import DROP, Do, Field, Policy
from minimize.policy.words import chain_text
from minimize.recipients import Contract, Function, Recipient, Shared
from minimize.recipients.model import THROUGH
from minimize.recipients.refusals import reason
from minimize.techniques import Step
from minimize.techniques.keep import Keep
from minimize.techniques.pseudonymize import Pseudonymize


@dataclass(frozen=True, slots=True)
class Fate:
    """What becomes of one field: the form in which it leaves, or the rule by which it stays."""

    key: str
    form: str | None
    why: str
    rule: str | None = None

    def as_json(self) -> dict[str, str | None]:
        """The fate as a JSON object."""
        return {"form": self.form, "why": self.why, "rule": self.rule}


@dataclass(frozen=True, slots=True)
class Composed:
    """The policy under which things leave, and what becomes of each field of the policy and the manifest.

    passing  the secrets that only pass through a connector: gated like the rest, and never part of what leaves otherwise
    """

    policy: Policy
    fates: Mapping[str, Fate]
    passing: tuple[str, ...] = ()

    @property
    def sent(self) -> tuple[str, ...]:
        """The keys of the fields that leave, those that pass through included, in the policy's order."""
        return tuple(key for key in self.policy.fields if self.fates[key].form is not None)

    @property
    def joined(self) -> Policy:
        """The policy of what the connector gets: the payload, and the secrets as they are."""
        secrets = {key: self.policy.fields[key].model_copy(update={"do": (Keep(),)}) for key in self.passing}
        return self.policy.model_copy(update={"fields": {**self.policy.fields, **secrets}})

    def lacking(self, wanted: Collection[str] | None) -> Iterator[Reason]:
        """Why the fields that were asked for by name, or all of them, do not leave."""
        named = self.fates if wanted is None else {key: self.fates[key] for key in wanted if key in self.fates}
        by_rule: dict[str, list[Fate]] = {}
        for fate in named.values():
            if fate.rule is not None and fate.rule != "not_asked":
                by_rule.setdefault(fate.rule, []).append(fate)
        for rule, fates in by_rule.items():
            yield reason(rule, fates[0].why, fields=[fate.key for fate in fates])


def composed(
    entry: Entry, function: Function, recipient: Recipient, wanted: Collection[str] | None, *, connected: bool = False
) -> Composed:
    """The policy of what leaves for a recipient's function: each field first as ours has it, then as the manifest does.

    Secrets pass through only where somebody is `connected`.
    """
    policy, manifest = entry.policy, function.shared
    released = entry.columns is not None
    asked = _Asked(function, recipient.contract, wanted, entry.lost, connected=connected, released=released)
    keys = dict.fromkeys([*policy.fields, *manifest, *function.passing])
    fates = {key: asked.fate(key, policy.fields.get(key)) for key in keys}
    fates |= {key: _unknown(key, function) for key in wanted or () if key not in fates}
    fields = {
        key: _shared(field, manifest[key], recipient.recipient, entry.linked.get(key))
        if fates[key].form is not None and key in manifest
        else _stays(field)
        for key, field in policy.fields.items()
    }
    own = policy.model_copy(update={"fields": fields})
    for key, fate in fates.items():
        if fate.form is not None and key in manifest:
            fates[key] = Fate(key, "; ".join(_forms(own.fields[key])), fate.why)
    return Composed(own, fates, tuple(key for key in function.passing if fates[key].form is not None))


@dataclass(frozen=True, slots=True)
class _Asked:
    """What decides about a field beside the policy."""

    function: Function
    contract: Contract | None
    wanted: Collection[str] | None
    lost: Collection[str]
    connected: bool
    released: bool
    """Whether the data is the output of a run, which lacks what the policy drops."""

    def fate(self, key: str, field: Field | None) -> Fate:
        """Whether a field leaves, and by which rule it stays where it does not."""
        function, passes = self.function, key in self.function.passing
        if key not in function.shared and not passes:
            return _unknown(key, function)
        if field is None:
            return Fate(key, None, self._absent(passes=passes), "outside_policy")
        if self.contract is not None and not self.contract.permits(key):
            return Fate(key, None, f"the contract {self.contract.reference} does not permit it", "outside_contract")
        if not for_purpose(field, function.purpose):
            return Fate(key, None, f"the policy has it only for {', '.join(field.purposes)}", "outside_policy")
        if key in self.lost:
            return Fate(key, None, "the output does not hold what its condition reads", "unaskable")
        if passes and field.role != "secret":
            return Fate(key, None, "the policy does not call it a secret", "outside_policy")
        if not passes and not is_released(field):
            return Fate(key, None, "the policy drops it", "outside_policy")
        if self.wanted is not None and key not in self.wanted:
            return Fate(key, None, "it was not asked for", "not_asked")
        if passes and not self.connected:
            return Fate(key, None, "it passes through a connector alone, and none was given", "no_connector")
        return Fate(key, THROUGH if passes else "", f"{function.name} sends it")

    def _absent(self, *, passes: bool) -> str:
        if not self.released:
            return "the policy does not name it"
        return "the output does not hold it" + ("; secrets are read from the source" if passes else "")


def _unknown(key: str, function: Function) -> Fate:
    return Fate(key, None, f"the manifest's {function.name} does not send it", "outside_manifest")


def _stays(field: Field) -> Field:
    """Read where a gate or a technique asks for it, and never released: who shares need not even have it at hand."""
    changes = {"do": DROP, "cases": (), "otherwise": DROP, "in_aggregates": (), "optional": not field.required}
    return field.model_copy(update=changes)


def _shared(field: Field, shared: Shared, recipient: str, linked: str | None) -> Field:
    steps = tuple(_keyed(step, recipient) for step in shared.chain)
    cases = tuple(case.model_copy(update={"do": _then(case.do, steps, recipient, linked)}) for case in field.cases)
    changes = {"cases": cases, "in_aggregates": ()}
    word = "otherwise" if field.cases else "do"
    return field.model_copy(update={**changes, word: _then(getattr(field, word), steps, recipient, linked)})


def _then(first: Do, then: tuple[Step, ...], recipient: str, linked: str | None) -> Do:
    """Our steps, then the manifest's. What links records here gets another name for each recipient."""
    if isinstance(first, str):
        return DROP
    steps = [step for step in (*first, *then) if not isinstance(step, Keep)]
    links = [name for step in first if step.name in LINKING for name in step.key_names]
    links += [] if linked is None else [linked]
    if links and not any(step.name in LINKING for step in then):
        steps.append(Pseudonymize(key=key_for(links[-1], recipient)))
    return tuple(steps) or (Keep(),)


def _keyed(step: Step, recipient: str) -> Step:
    """The step with the recipient's own key."""
    if not step.key_names:
        return step
    (name,) = step.key_names
    return step.model_copy(update={"key": key_for(name, recipient)})


def _forms(field: Field) -> Iterable[str]:
    return dict.fromkeys(
        "dropped" if branch.steps is None else chain_text(branch.steps) for branch in branches_of(field)
    )
