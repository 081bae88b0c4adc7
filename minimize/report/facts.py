"""Facts of a report: rounded counts, then the facts of each section.

Page, JSON and summary use nothing else. Counts are rounded to the nearest 5; 1 to 4 are "fewer
than 5". Sums are made of rounded parts only.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final, Literal, Self

from minimize.results import OMIT_IF_EMPTY, JsonResult, json_object
from minimize.runs.releases import older_text
from minimize.techniques.base import RESIDUAL_ORDER
from minimize.text import join_names

ROUNDING_STEP: Final = 5


@dataclass(frozen=True, slots=True)
class RoundedCount:
    """A rounded count.

    Totals are sums of rounded parts, never rounded exact sums. So the difference between a total and its other parts
    reveals no more about a part than the part itself.

    >>> rounded = RoundedCount.rounded
    >>> [str(rounded(number)) for number in (0, 3, 5, 1_234)]
    ['0', 'fewer than 5', '5', '1,235']
    >>> str(rounded(12) + rounded(2)), str(rounded(1_200) + rounded(2)), str(rounded(1) + rounded(2))
    ('10 or more', '1,200', 'fewer than 9')
    """

    value: int = 0
    """A multiple of five, or a number that is public."""
    few: int = 0
    """Number of parts that are too small to be shown."""
    hidden: bool = False
    """Whether the count, or a part of it, is not shown."""

    @classmethod
    def rounded(cls, number: int) -> Self:
        """An exact count, rounded."""
        return (
            cls(0, int(number > 0))
            if number < ROUNDING_STEP
            else cls((number + ROUNDING_STEP // 2) // ROUNDING_STEP * ROUNDING_STEP)
        )

    @classmethod
    def public(cls, number: int) -> Self:
        """A number that everybody who has the output can count, such as the rows of a published table: as it is."""
        return cls(number)

    @classmethod
    def total(cls, parts: Iterable[RoundedCount]) -> Self:
        """The sum of parts."""
        counts = tuple(parts)
        if any(part.hidden for part in counts):
            return cls(hidden=True)
        return cls(sum(part.value for part in counts), sum(part.few for part in counts))

    def __add__(self, addend: RoundedCount) -> RoundedCount:
        return RoundedCount.total((self, addend))

    def __bool__(self) -> bool:
        return self.few > 0 or self.value > 0 or self.hidden

    def __str__(self) -> str:
        if self.hidden:
            return "not shown"
        if self.is_few:
            return f"fewer than {self.upper_bound}"
        return f"{self.value:,}{' or more' if self.is_open else ''}"

    @property
    def is_few(self) -> bool:
        """Whether every part is too small to be shown."""
        return self.few > 0 and not self.value

    @property
    def is_open(self) -> bool:
        """Whether the small parts left out of the value can be a twentieth of it or more."""
        return not self.is_few and (self.upper_bound - 1) * 20 >= self.value > 0

    @property
    def upper_bound(self) -> int:
        """Upper bound (exclusive) of a total of small parts. Each small part is at most one less than the step."""
        return self.few * (ROUNDING_STEP - 1) + 1

    def to_json(self) -> int | str:
        """The number, or text if small parts leave it open."""
        return str(self) if self.is_few or self.is_open or self.hidden else self.value

    def share(self, whole: RoundedCount) -> float | None:
        """The share of a whole, from rounded figures only; None if it is unknown."""
        return None if self.is_few or self.hidden or not whole.value else min(1.0, self.value / whole.value)


ApprovalAnswer = Literal["yes", "no"]
RESIDUALS_BY_RISK: Final = (*reversed(RESIDUAL_ORDER), "")
"""Residuals, the most revealing first; empty if nothing is released."""
ROLE_ORDER: Final = ("identifier", "secret", "free_text", "sensitive", "quasi")
"""The roles by risk; all others come last."""
PartitionState = Literal["kept", "soon", "overdue", "without end"]


@dataclass(frozen=True, slots=True)
class HiddenPart:
    """A part that is not shown, or not shown in full, and the reason."""

    what: str
    why: str


@dataclass(frozen=True, slots=True)
class RowFlow(JsonResult):
    """Rows read and their outcomes. `read` is the sum of the other counts."""

    written: RoundedCount
    gated: Mapping[str, RoundedCount]
    quarantined: Mapping[str, RoundedCount]
    suppressed: RoundedCount
    deduplicated: RoundedCount
    json_names = "read written gated quarantined suppressed deduplicated"

    @property
    def parts(self) -> dict[str, RoundedCount]:
        """Outcomes of the rows read, written ones first."""
        return {
            "written": self.written,
            "gated": RoundedCount.total(self.gated.values()),
            "quarantined": RoundedCount.total(self.quarantined.values()),
            "suppressed": self.suppressed,
            "deduplicated": self.deduplicated,
        }

    @property
    def read(self) -> RoundedCount:
        """All rows read."""
        return RoundedCount.total(self.parts.values())


@dataclass(frozen=True, slots=True)
class RemovalFacts:
    """Rows removed after they were written, by kind of receipt and reason."""

    kind: str
    receipts: int
    last: datetime
    gated: Mapping[str, RoundedCount]


@dataclass(frozen=True, slots=True)
class OutputFacts:
    """One output in its current state."""

    name: str
    category: str
    rows: RoundedCount
    """The number of rows in force: of records rounded by date, of a table exact."""
    files: int
    dates: int
    suppressed: RoundedCount | None
    """Number of groups that were too small."""
    count_sd: float | None
    """The standard deviation of the noise of counts of subjects; None if figures are exact, or for records."""
    encrypted: bool
    """Whether columns are encrypted under master keys."""
    older: tuple[str, ...] = field(default=(), metadata=OMIT_IF_EMPTY)
    """The dates of a table whose figures are older than the data of the last run."""

    @property
    def older_text(self) -> str:
        """That its figures of some dates are older than the data of the last run; empty if they are not."""
        return older_text(self.older) if self.older else ""

    @property
    def encryption_text(self) -> str:
        """Whether the output is encrypted, after its category. It is not mentioned if the output has no identified column."""
        if self.encrypted:
            return ", encrypted"
        return ", not encrypted" if self.category == "identified" else ""


@dataclass(frozen=True, slots=True)
class MeasureFacts:
    """The published figures of one measure of a table."""

    name: str
    phrase: str
    figures: tuple[float | None, ...]
    """The figure of each row; None where it is not shown."""
    deviations: tuple[float, ...] | None = None
    """The standard deviation of the noise of each; None if figures are exact, or if the noise has no size in their unit."""
    note: str = field(default="", metadata=OMIT_IF_EMPTY)
    """What a reader of the deviations, or of their absence, must know."""


@dataclass(frozen=True, slots=True)
class TableFacts:
    """The figures of a table of aggregates on its newest date, as published, not rounded."""

    name: str
    date: str | None
    rows: tuple[str, ...]
    """The label of each row: the values of the keys by which rows differ."""
    same: tuple[str, ...]
    """The values of the other keys, with their names."""
    measures: tuple[MeasureFacts, ...]
    undrawn: tuple[str, ...]
    """The measures whose figures are not single numbers."""
    is_exact: bool
    """Whether its figures have no noise."""

    @property
    def title(self) -> str:
        """The table and its date."""
        return f"{self.name} on {self.date}" if self.date else self.name


@dataclass(frozen=True, slots=True)
class FieldFacts(JsonResult):
    """One field: type in the source, released form, and outcomes of its values."""

    key: str
    type: str
    role: str
    form: str
    leaves: Literal["present", "statistics", "absent"]
    conditions: tuple[str, ...]
    values: RoundedCount | None
    """Non-null values of written records; None if they were not counted."""
    changed: RoundedCount | None
    """Values released in another form."""
    dropped: Mapping[str, RoundedCount]
    """Values not released: gated, dropped by a case, or not treatable."""
    before: RoundedCount | None
    """Distinct values in the source."""
    before_how: str
    after: RoundedCount | None
    """Distinct values in the files in force."""
    after_how: str
    outputs: tuple[str, ...] = ()
    """The outputs with its values, or with figures or groups of them."""
    is_unchanged: bool = False
    """Whether its values are released as they are: by the policy, or because the technique changed none."""
    residual: str = ""
    """What a reader can learn about a value in the worst case, as in `RESIDUALS_BY_RISK`."""
    json_names = (
        "key type role form leaves conditions values changed dropped before before_how after after_how outputs residual"
    )

    @property
    def needs_attention(self) -> bool:
        """Whether its values are released unchanged, or can be found, opened or linked."""
        return self.residual in RESIDUALS_BY_RISK[:4]

    @property
    def concerns_person(self) -> bool:
        """Whether its role says that its values identify or describe a person."""
        return self.role in ROLE_ORDER

    @property
    def risk_rank(self) -> tuple[int, int]:
        """Its place among the fields by risk: its role, then its residual."""
        role = ROLE_ORDER.index(self.role) if self.concerns_person else len(ROLE_ORDER)
        return role, RESIDUALS_BY_RISK.index(self.residual) if self.residual in RESIDUALS_BY_RISK else 0

    @property
    def lost(self) -> RoundedCount:
        """Number of values that were not released."""
        return RoundedCount.total(self.dropped.values())

    @property
    def is_dropped(self) -> bool:
        """Whether the field is in no output."""
        return self.leaves == "absent"

    @property
    def is_only_counted(self) -> bool:
        """Whether the field is only in statistics."""
        return self.leaves == "statistics"


@dataclass(frozen=True, slots=True)
class SizeFacts:
    """The persons whose rarest combination is shared by a number of persons in a range, and their records."""

    shared_by: str
    persons: RoundedCount
    records: RoundedCount


@dataclass(frozen=True, slots=True)
class AttackFacts:
    """How often an attack on the records succeeds, next to its control. Rates are rounded to a hundredth, risks as well."""

    name: str
    attempt: str
    """What is attempted, in words."""
    sensitive: str
    """The field that is guessed; empty if the attack guesses none."""
    rate: float | None
    low: float | None
    """The lower end of the 95 % interval of the rate."""
    high: float | None
    control: float | None
    """The rate against people who are held out; None without a control."""
    risk: float | None


@dataclass(frozen=True, slots=True)
class BoundFacts:
    """What the last run of a batch date states about the bound on disclosure risk."""

    date: str
    measures: Mapping[str, float]
    """The figure of the worst combination by measure; empty without records."""
    removed: RoundedCount
    levels: Mapping[str, str]
    """The chosen form of each field with `auto`."""
    loss: float | None
    lower_bound: float | None
    proven: bool | None


@dataclass(frozen=True, slots=True)
class RiskFacts:
    """What can still be learned from the records in force. `k` and `k_of_rows` are exact, because they name no combination."""

    quasi_identifiers: tuple[str, ...]
    """The measured fields; empty if no field is known to attackers."""
    sensitive: tuple[str, ...] = ()
    person: str | None = None
    """The field that identifies persons; None if each record counts as one."""
    records: RoundedCount = field(default_factory=RoundedCount)
    persons: RoundedCount = field(default_factory=RoundedCount)
    k: int | None = None
    """The number of persons who share the rarest combination; None without records."""
    k_of_rows: int | None = None
    unique_persons: RoundedCount = field(default_factory=RoundedCount)
    unique_rows: RoundedCount = field(default_factory=RoundedCount)
    """Rows whose combination occurs once."""
    sizes: tuple[SizeFacts, ...] = ()
    unique_without: Mapping[str, RoundedCount] = field(default_factory=dict)
    """By field, the persons who stay unique without it."""
    measures: Mapping[str, Mapping[str, float | None]] = field(default_factory=dict)
    """By sensitive field, the figure of the worst combination by measure."""
    attacks: tuple[AttackFacts, ...] = ()
    bound: str = ""
    """The bound of the pipeline in words; empty without one."""
    bound_by_date: tuple[BoundFacts, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def known_fields(self) -> str:
        """The measured fields as text; of many, the first and the number of the others."""
        return join_names(self.quasi_identifiers)


@dataclass(frozen=True, slots=True)
class TenantGroupFacts:
    """One tenant with its name, or a group of tenants with the same features on now."""

    tenants: int
    names: tuple[str, ...]
    on: Mapping[str, bool]
    """Per feature, whether it is on now."""
    share: Mapping[str, float]
    """Per feature, the share of the time during which it was on."""


@dataclass(frozen=True, slots=True)
class CollectionFacts:
    """Features that tenants turned on: counts over time, and by tenant. `rest`: number of tenants not shown."""

    tenants: int
    moments: tuple[datetime, ...]
    on: Mapping[str, tuple[int, ...]]
    about: Mapping[str, str]
    groups: tuple[TenantGroupFacts, ...]
    rest: int


@dataclass(frozen=True, slots=True)
class PartitionFacts:
    """One batch date, and the time by which all of it must be removed."""

    date: str
    rows: RoundedCount
    gone_by: datetime | None
    state: PartitionState


@dataclass(frozen=True, slots=True)
class DueRemoval:
    """Rows and values of an output on one date that are due for removal now."""

    output: str
    date: str
    rows: Mapping[str, RoundedCount]
    values: RoundedCount


@dataclass(frozen=True, slots=True)
class OpenEvents:
    """Open events of one kind: their number, the number of overdue ones, and the first deadline."""

    kind: str
    events: int
    overdue: int
    by: datetime


@dataclass(frozen=True, slots=True)
class RetentionFacts:
    """Retention of an output. `due` is None if it was not computed. `aggregates`: those with a retention of their own."""

    retention: str
    features: Mapping[str, str]
    partitions: tuple[PartitionFacts, ...]
    due: tuple[DueRemoval, ...] | None
    events: tuple[OpenEvents, ...]
    aggregates: Mapping[str, str] = field(default_factory=dict)

    @property
    def overdue(self) -> int:
        """Number of overdue removals and events."""
        late = sum(each.state == "overdue" for each in self.partitions)
        return max(late, len(self.due or ())) + sum(each.overdue for each in self.events)


@dataclass(frozen=True, slots=True)
class FunctionFacts:
    """One function of a recipient: tenants with and without a valid consent, disclosures, recalls by state."""

    name: str
    direction: str
    purpose: str
    fields: int
    consented: int | None = None
    not_consented: int | None = None
    acts: int | None = None
    rows: RoundedCount | None = None
    last: datetime | None = None
    recalls: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class RecipientFacts:
    """A third party in its current state."""

    name: str
    standing: str
    contract: str
    may_act: bool
    functions: tuple[FunctionFacts, ...]

    @property
    def is_active(self) -> bool:
        """Whether a tenant was asked about one of its functions, or data was sent; also if that is not known."""
        return any(
            each.acts is None or each.acts or each.consented or each.not_consented or each.recalls
            for each in self.functions
        )


@dataclass(frozen=True, slots=True)
class RunFacts:
    """One receipt of a run."""

    sequence: int
    run_id: str
    kind: str
    at: datetime
    dates: tuple[str, ...]
    policy: str
    flow: RowFlow
    in_force: bool
    allowed: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class PolicyFacts:
    """A version of the policy: number of its runs, and whether policy and pipeline were approved for all of them."""

    name: str
    version: int
    digest: str
    runs: int
    first: datetime
    last: datetime
    approved: ApprovalAnswer

    @property
    def approval_text(self) -> str:
        """The answer in words."""
        return "approved" if self.approved == "yes" else "not approved"


@dataclass(frozen=True, slots=True)
class ReportFacts:
    """All facts of a report about one output."""

    pipeline: str
    purposes: tuple[str, ...]
    at: datetime
    dates: tuple[str, ...]
    receipts: int
    signatures: str
    flow: RowFlow
    removals: tuple[RemovalFacts, ...]
    outputs: tuple[OutputFacts, ...]
    fields: tuple[FieldFacts, ...]
    undeclared: Mapping[str, RoundedCount]
    collection: CollectionFacts | None
    retention: RetentionFacts
    sharing: tuple[RecipientFacts, ...] | None
    runs: tuple[RunFacts, ...]
    policies: tuple[PolicyFacts, ...]
    hidden: tuple[HiddenPart, ...]
    missing_protections: tuple[str, ...]
    """Protections that the configuration does not have, in words."""
    risk: RiskFacts | None = None
    """What can still be learned; None without records, or if they cannot be read."""
    tables: tuple[TableFacts, ...] = field(default=(), metadata=OMIT_IF_EMPTY)
    """The tables whose figures are shown on request."""
    counted_twice: tuple[str, ...] = field(default=(), metadata=OMIT_IF_EMPTY)
    """Batch dates that several of the counted runs read, so that their rows count more than once."""
    quarantine_limit: float | None = None
    """The share of quarantined rows above which a run of the current pipeline warns; None without a limit."""

    @property
    def are_signatures_checked(self) -> bool:
        """Whether the signatures of the receipts were checked."""
        return not self.signatures.startswith("not checked")

    @property
    def released_by_risk(self) -> list[FieldFacts]:
        """The released fields, those that reveal most about a person first."""
        return sorted((each for each in self.fields if not each.is_dropped), key=lambda field: field.risk_rank)

    @property
    def quiet_recipients(self) -> tuple[RecipientFacts, ...]:
        """The recipients without an authorization, a disclosure or a recall."""
        return tuple(each for each in self.sharing or () if not each.is_active)

    @property
    def dropped(self) -> int:
        """Number of fields that are in no output."""
        return sum(each.is_dropped for each in self.fields)

    @property
    def only_counted(self) -> int:
        """Number of fields that are only in statistics."""
        return sum(each.is_only_counted for each in self.fields)

    @property
    def changed_fields(self) -> int:
        """Number of fields whose values are released in another form."""
        return len(self.fields) - self.dropped - self.only_counted - self.unchanged

    @property
    def unchanged(self) -> int:
        """Number of fields whose values are released as they are."""
        return sum(each.is_unchanged for each in self.fields)

    def to_json(self) -> dict[str, Any]:
        """The facts as the JSON object that `report --json` prints."""
        rounding = (
            "counts to the nearest 5, 1 to 4 as `fewer than 5`; totals are sums of rounded parts; "
            "numbers of rows of tables of aggregates are exact"
        )
        exception = "; figures of `tables` are as published" if self.tables else ""
        return {**json_object(self), "rounding": rounding + exception}
