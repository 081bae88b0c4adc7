"""Typed model of a policy: fields, features, levels, purposes, retention, approval."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict

from minimize.arrow.pointers import Pointer
from minimize.identifiers import CaseFolding
from minimize.policy.condition import Condition
from minimize.policy.describe import policy_html
from minimize.settings.model import FeatureSwitch
from minimize.techniques import TechniqueStep

Role = Literal["identifier", "quasi", "sensitive", "plain", "free_text", "secret"]
Holder = Literal["admin", "user", "developer"]
DROP: Literal["drop"] = "drop"

Treatment = Literal["drop"] | tuple[TechniqueStep, ...]
"""Drop, or a chain of steps; `keep` is a chain of one `Keep`."""


class FrozenModel(BaseModel):
    """The manners of every record of a policy or pipeline: frozen, and no key that is not declared."""

    model_config = ConfigDict(defer_build=True, frozen=True, extra="forbid", arbitrary_types_allowed=True)


class FeatureModel(FrozenModel):
    """An optional kind of collection, off unless a setting turns it on."""

    about: str = ""
    retention: timedelta | None = None
    holders: tuple[Holder, ...] = ()
    per_subject: bool = False
    """Whether it is collected only for subjects that have it on by a setting of their own, next to their tenant's."""


class FieldCase(FrozenModel):
    """One way to treat a value, and the condition under which it is taken."""

    when: Condition
    do: Treatment


class Field(FrozenModel):
    """One field: what it is, when it may be collected, and what becomes of it."""

    key: str
    type: str
    role: Role = "plain"
    do: Treatment = DROP
    cases: tuple[FieldCase, ...] = ()
    otherwise: Treatment = DROP
    feature: str | None = None
    level: str | None = None
    purposes: tuple[str, ...] = ()
    collect_if: Condition | None = None
    from_: tuple[str, ...] = ()
    in_aggregates: tuple[TechniqueStep, ...] = ()
    required: bool = False
    optional: bool = False
    keys: Treatment | None = None
    """What becomes of the keys of a map; they are a field of their own (`keys_field`)."""
    about: str = ""
    unit: str = ""
    line: int | None = None

    @property
    def pointer(self) -> Pointer:
        """Where the value stands in a record (and in the output)."""
        return Pointer.parse(self.key)

    @property
    def keys_field(self) -> Field | None:
        """The keys of a map as the field that they are; None where nothing is said of them."""
        if self.keys is None:
            return None
        given = {"role": self.role, "purposes": self.purposes, "about": self.about and f"keys of: {self.about}"}
        return Field(key=str(self.pointer.keys), type="string", do=self.keys, line=self.line, **given)

    @property
    def is_gated(self) -> bool:
        """Whether a setting or a condition decides about it."""
        return bool(self.feature or self.level or self.collect_if)


class RecordsGate(FrozenModel):
    """What may become of whole records."""

    collect_if: Condition | None = None
    feature: str | None = None
    level: str | None = None


class PolicyApproval(FrozenModel):
    """Who approved a policy, on which day (UTC), and the digest of the form that they approved."""

    by: str
    on: str
    digest: str


class Policy(FrozenModel):
    """For one dataset: which fields may be kept, for which purposes, in what form, for how long."""

    policy: str
    version: int
    owner: str = ""
    purposes: tuple[str, ...]
    tenant: str | None = None
    subject: str | None = None
    time: str | None = None
    record: str | None = None
    retention: timedelta | None = None
    future: timedelta = timedelta(hours=24)
    """How far an event time may lie after the time of the run."""
    levels: tuple[str, ...] = ()
    features: Mapping[str, FeatureModel] = {}
    fields: Mapping[str, Field]
    never: tuple[Pointer, ...] = ()
    records: RecordsGate = RecordsGate()
    approved: PolicyApproval | None = None
    path: Path | None = None
    digest: str = ""
    """`sha256:` of the file's bytes; empty for a policy that was not loaded from a file."""
    form: str = ""
    """`sha256:` of what the file says, however it is laid out, without `approved`; empty for one that was not read."""
    lines: Mapping[tuple[str, ...], int] = {}
    """Where the file's keys stand, by their path of at most three keys."""

    @property
    def folding(self) -> CaseFolding:
        """Whether tenants and subjects that differ in case alone are the same: a technique of their field says so."""
        return CaseFolding(tenant=self.folds_case(self.tenant), subject=self.folds_case(self.subject))

    def switch(self, feature: str) -> FeatureSwitch | None:
        """How settings decide a feature; None for one that the policy does not have."""
        found = self.features.get(feature)
        return None if found is None else FeatureSwitch(feature, found.holders, found.per_subject)

    def folds_case(self, key: str | None) -> bool:
        """Whether values of a field that differ in case alone are the same id."""
        field = self.fields.get(key or "")
        if field is None:
            return False
        chains = (field.do, field.otherwise, *(case.do for case in field.cases), field.in_aggregates)
        return any(_folds_case(chain) for chain in chains if chain != DROP)

    def _repr_html_(self) -> str:
        return policy_html(self)


def _folds_case(chain: Sequence[TechniqueStep]) -> bool:
    """Whether a chain folds what came in; a step after one that changes it folds something else."""
    first = next((step for step in chain if step.leaves != "everything"), None)
    return first is not None and first.folds
