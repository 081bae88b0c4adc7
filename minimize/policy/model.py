"""Typed models of policy and pipeline files.

Fields, features, levels, purposes, retention; then source, records, aggregates, quarantine limits.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Literal, get_args

from pydantic import AfterValidator, BaseModel, ConfigDict
from pydantic_core import PydanticCustomError

from minimize.aggregates import Measure
from minimize.arrow.pointers import Pointer
from minimize.identifiers import CaseFolding
from minimize.policy.condition import Condition
from minimize.policy.describe import policy_html
from minimize.settings.evaluation import FeatureSwitch
from minimize.sources import FORMATS
from minimize.stores import Location, LocationLike, parse_output_location
from minimize.techniques import TechniqueStep

Role = Literal["identifier", "quasi", "sensitive", "plain", "free_text", "secret"]
Holder = Literal["admin", "user", "developer"]
HOLDERS: tuple[Holder, ...] = get_args(Holder)
DROP: Literal["drop"] = "drop"

Treatment = Literal["drop"] | tuple[TechniqueStep, ...]
"""Drop, or a chain of steps; `keep` is a chain of one `Keep`."""


class FrozenModel(BaseModel):
    """Base class of all models of a policy or pipeline: immutable, and unknown keys are rejected."""

    model_config = ConfigDict(defer_build=True, frozen=True, extra="forbid", arbitrary_types_allowed=True)


class FeatureModel(FrozenModel):
    """An optional kind of collection. The default is off."""

    about: str = ""
    retention: timedelta | None = None
    holders: tuple[Holder, ...] = ()
    per_subject: bool = False
    """Whether collection needs a subject's own setting in addition to that of the tenant."""


class FieldCase(FrozenModel):
    """A treatment of a value, and the condition under which it is applied."""

    when: Condition
    do: Treatment


class Field(FrozenModel):
    """One field: its type and role, the conditions of its collection, and its treatment."""

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
    """The treatment of the keys of a map, which are a separate field (`keys_field`)."""
    about: str = ""
    unit: str = ""
    line: int | None = None

    @property
    def pointer(self) -> Pointer:
        """The pointer of the value in a record and in the output."""
        return Pointer.parse(self.key)

    @property
    def keys_field(self) -> Field | None:
        """The keys of a map as a field; None if `keys` is not set."""
        if self.keys is None:
            return None
        given = {"role": self.role, "purposes": self.purposes, "about": self.about and f"keys of: {self.about}"}
        return Field(key=str(self.pointer.keys), type="string", do=self.keys, line=self.line, **given)

    @property
    def is_gated(self) -> bool:
        """Whether its collection depends on a setting or a condition."""
        return bool(self.feature or self.level or self.collect_if)


class RecordsGate(FrozenModel):
    """The gate of whole records."""

    collect_if: Condition | None = None
    feature: str | None = None
    level: str | None = None


class PolicyApproval(FrozenModel):
    """The approver of a policy, the day (UTC), and the digest of the approved content."""

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
    """How far an event time may be after the time of the run."""
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
    """`sha256:` of the content of the file, independent of its layout, without `approved`; empty if it was not read."""
    lines: Mapping[tuple[str, ...], int] = {}
    """The lines of the file's keys, by paths of at most three keys."""

    @property
    def folding(self) -> CaseFolding:
        """Whether tenants and subjects that differ only in case are the same. A technique of their field decides it."""
        return CaseFolding(tenant=self.folds_case(self.tenant), subject=self.folds_case(self.subject))

    def switch(self, feature: str) -> FeatureSwitch | None:
        """The rules by which settings decide on a feature; None for an unknown feature."""
        found = self.features.get(feature)
        return None if found is None else FeatureSwitch(feature, found.holders, found.per_subject)

    def folds_case(self, key: str | None) -> bool:
        """Whether values of a field that differ only in case are the same id."""
        field = self.fields.get(key or "")
        if field is None:
            return False
        chains = (field.do, field.otherwise, *(case.do for case in field.cases), field.in_aggregates)
        return any(_folds_case(chain) for chain in chains if chain != DROP)

    def _repr_html_(self) -> str:
        return policy_html(self)


def _folds_case(chain: Sequence[TechniqueStep]) -> bool:
    """Whether a chain folds the case of the raw value. A step after a changed value does not count."""
    first = next((step for step in chain if step.leaves != "everything"), None)
    return first is not None and first.folds


TimeUnit = Literal["minute", "hour", "day", "week", "month", "quarter", "year"]
CategoryName = Literal["identified", "pseudonymized", "aggregated"]
EncryptBy = Literal["none", "by_category"]


def _known_format(name: str) -> str:
    if name in FORMATS:
        return name
    expected = ", ".join(f"'{each}'" for each in FORMATS)
    raise PydanticCustomError("literal_error", "unknown format", {"expected": expected})


SourceFormatName = Annotated[str, AfterValidator(_known_format)]


class SourceModel(FrozenModel):
    """The source of records. `path` is as in the file: relative to the pipeline's folder, with `{date}` for the batch date.

    recipient  the third party that sends the records; None for the organization's own records
    function   the inbound function of its manifest
    having     prerequisites of the function that are met
    """

    path: str
    format: SourceFormatName
    recipient: str | None = None
    function: str | None = None
    having: tuple[str, ...] = ()

    @property
    def is_received(self) -> bool:
        """Whether a third party sends the records, so consent decides on each record."""
        return self.recipient is not None


class DeduplicateModel(FrozenModel):
    """Of the records of one day with equal values in these fields, only the earliest is kept."""

    by: tuple[str, ...]
    per: Literal["day"] = "day"


class EncryptModel(FrozenModel):
    """How an output is encrypted at rest. `per` is a column of `partition_by`; each of its folders has separate keys."""

    by: EncryptBy = "none"
    per: str | None = None


class RecordsModel(FrozenModel):
    """The records output."""

    must_be: CategoryName | None = None
    partition_by: tuple[str, ...] = ()
    index: bool = True
    """Whether files have an index of subjects, if the records contain the subject's column."""
    collect_if: Condition | None = None
    deduplicate: DeduplicateModel | None = None
    encrypt: EncryptModel | None = None
    """None if the pipeline does not set it; then `demanded` applies."""


class GroupKeyModel(FrozenModel):
    """One group key: a field in its released form, a time possibly at a coarser unit."""

    field: str
    to: TimeUnit | None = None


class SuppressModel(FrozenModel):
    """Groups with fewer distinct subjects than `below` are suppressed."""

    below: int = 10
    counting: str | None = None
    """A field's key. The default is the policy's subject."""


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
    """How long its groups are kept. The default is the retention of the policy."""
    must_be: CategoryName | None = None
    encrypt: EncryptBy | None = None
    """Aggregated columns are never encrypted."""


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
    """The lines of the file's keys, by paths of at most three keys."""
    demanded: EncryptBy = "none"
    """The encryption that `minimize.yaml` requires of every output; it applies if the pipeline does not set `encrypt`."""

    def retention_of(self, name: str) -> timedelta | None:
        """How long an output is kept: the aggregate's own retention, else that of the policy; None for no limit."""
        model = self.aggregates.get(name)
        return self.policy.retention if model is None or model.retention is None else model.retention

    @property
    def own_retentions(self) -> dict[str, timedelta]:
        """The retention of each aggregate that has its own."""
        return {name: each.retention for name, each in self.aggregates.items() if each.retention is not None}

    @property
    def folder(self) -> Path:
        """The base folder of relative paths."""
        return Path() if self.path is None else self.path.parent

    def target(self, output: LocationLike | None = None) -> Location:
        """The location of the output: as in the file, or the given replacement. Raises OutputError for an invalid URI."""
        return parse_output_location(self.output, self.folder) if output is None else parse_output_location(output)

    def line_of(self, *path: str) -> int | None:
        """The line of a key in the file, or of the nearest key above it."""
        found = (self.lines.get(path[:length]) for length in range(len(path), 0, -1))
        return next((line for line in found if line is not None), None)
