"""Typed model of policy and pipeline files.

Fields, features, levels, purposes, retention; then source, records, aggregates, quarantine limits.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Literal, get_args

from pydantic import BaseModel, ConfigDict

from minimize.aggregates import Measure
from minimize.arrow.pointers import Pointer
from minimize.identifiers import CaseFolding
from minimize.policy.condition import Condition
from minimize.policy.describe import policy_html
from minimize.settings.evaluation import FeatureSwitch
from minimize.stores import Location, LocationLike, parse_output_location
from minimize.techniques import TechniqueStep

Role = Literal["identifier", "quasi", "sensitive", "plain", "free_text", "secret"]
Holder = Literal["admin", "user", "developer"]
HOLDERS: tuple[Holder, ...] = get_args(Holder)
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


TimeUnit = Literal["minute", "hour", "day", "week", "month", "quarter", "year"]
CategoryName = Literal["identified", "pseudonymized", "aggregated"]
EncryptBy = Literal["none", "by_category"]


class SourceModel(FrozenModel):
    """Where records come from. `path` is as written: relative to the pipeline's folder, with `{date}` for the batch date.

    recipient  the third party that sends the records; None for records of our own
    function   the function of its manifest by which it sends them
    having     prerequisites of the function that are met
    """

    path: str
    format: Literal["ndjson", "csv", "parquet"]
    recipient: str | None = None
    function: str | None = None
    having: tuple[str, ...] = ()

    @property
    def is_received(self) -> bool:
        """Whether a third party sends the records, so that consent decides about each of them."""
        return self.recipient is not None


class DeduplicateModel(FrozenModel):
    """Of the records of one day that agree in these fields only the earliest stays."""

    by: tuple[str, ...]
    per: Literal["day"] = "day"


class EncryptModel(FrozenModel):
    """How an output is encrypted at rest. With `per`, a column of `partition_by`, each of its folders has keys of its own."""

    by: EncryptBy = "none"
    per: str | None = None


class RecordsModel(FrozenModel):
    """The records output."""

    must_be: CategoryName | None = None
    partition_by: tuple[str, ...] = ()
    index: bool = True
    """Whether files get an index by which subjects are found, where the records hold the subject's column."""
    collect_if: Condition | None = None
    deduplicate: DeduplicateModel | None = None
    encrypt: EncryptModel | None = None
    """None where the pipeline says nothing: then what the house demands counts."""


class GroupKeyModel(FrozenModel):
    """One group key: a field in its released form, a time possibly at a coarser unit."""

    field: str
    to: TimeUnit | None = None


class SuppressModel(FrozenModel):
    """Groups with fewer distinct subjects than `below` are absent."""

    below: int = 10
    counting: str | None = None
    """A field's key; the policy's subject where nothing is said."""


class RoundModel(FrozenModel):
    """Counts are rounded to the nearest multiple."""

    counts_to: int


class AggregateModel(FrozenModel):
    """Counts and statistics per group, small groups suppressed."""

    group_by: Mapping[str, GroupKeyModel]
    measures: Mapping[str, Measure]
    suppress: SuppressModel = SuppressModel()
    round: RoundModel | None = None
    late: timedelta | None = None
    retention: timedelta | None = None
    """How long its groups are kept; as long as the policy says where the pipeline says nothing."""
    must_be: CategoryName | None = None
    encrypt: EncryptBy | None = None
    """What is aggregated stays open whatever is said."""


class QuarantineModel(FrozenModel):
    """Shares of the rows read; None is no limit."""

    fail_above: float | None = None
    stop_above: float | None = None


class Pipeline(FrozenModel):
    """One scheduled job."""

    pipeline: str
    policy: Policy
    """Loaded from the file that the pipeline names."""
    purpose: str
    source: SourceModel
    settings: str | None = None
    output: str
    records: RecordsModel | None = RecordsModel()
    aggregates: Mapping[str, AggregateModel] = {}
    quarantine: QuarantineModel = QuarantineModel()
    path: Path | None = None
    digest: str = ""
    lines: Mapping[tuple[str, ...], int] = {}
    """Where the file's keys stand, by their path of at most three keys."""
    demanded: EncryptBy = "none"
    """What the house demands of every output, where the pipeline says nothing of `encrypt`."""

    def retention_of(self, name: str) -> timedelta | None:
        """How long an output is kept: an aggregate as it says itself, else as the policy says; None for no limit."""
        model = self.aggregates.get(name)
        return self.policy.retention if model is None or model.retention is None else model.retention

    @property
    def own_retentions(self) -> dict[str, timedelta]:
        """The aggregates that have a retention of their own."""
        return {name: each.retention for name, each in self.aggregates.items() if each.retention is not None}

    @property
    def folder(self) -> Path:
        """The folder that relative paths start from."""
        return Path() if self.path is None else self.path.parent

    def target(self, output: LocationLike | None = None) -> Location:
        """Where the output stands: as written, or what stands in for it. Raises OutputError for a URI that cannot be one."""
        return parse_output_location(self.output, self.folder) if output is None else parse_output_location(output)

    def line_of(self, *path: str) -> int | None:
        """Where a key stands in the file, or the nearest one above it."""
        found = (self.lines.get(path[:length]) for length in range(len(path), 0, -1))
        return next((line for line in found if line is not None), None)
