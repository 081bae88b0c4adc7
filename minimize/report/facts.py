"""Facts of a report: rounded counts, then the facts of each section.

The page, the JSON and the summary are made of nothing else. Counts are rounded to the nearest 5; 1 to 4 are "fewer
than 5". Sums are made of rounded parts only.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields, is_dataclass
from datetime import datetime
from typing import Any, Final, Literal, Self

from minimize.times import time_text

ROUNDING_STEP: Final = 5


@dataclass(frozen=True, slots=True)
class RoundedCount:
    """A rounded count.

    Totals are added up from rounded parts, never rounded from exact ones: so no difference of a total and its other parts
    tells more of a part than the part itself does.

    value   a multiple of five
    few     how many parts of it are too small to say how small
    hidden  whether it is not shown, or a part of it is not

    >>> rounded = RoundedCount.rounded
    >>> [str(rounded(number)) for number in (0, 3, 5, 1_234)]
    ['0', 'fewer than 5', '5', '1,235']
    >>> str(rounded(12) + rounded(2)), str(rounded(1_200) + rounded(2)), str(rounded(1) + rounded(2))
    ('10 or more', '1,200', 'fewer than 9')
    """

    value: int = 0
    few: int = 0
    hidden: bool = False

    @classmethod
    def rounded(cls, number: int) -> Self:
        """An exact count, rounded."""
        return (
            cls(0, int(number > 0))
            if number < ROUNDING_STEP
            else cls((number + ROUNDING_STEP // 2) // ROUNDING_STEP * ROUNDING_STEP)
        )

    @classmethod
    def total(cls, parts: Iterable[RoundedCount]) -> Self:
        """The sum of parts."""
        each = tuple(parts)
        if any(part.hidden for part in each):
            return cls(hidden=True)
        return cls(sum(part.value for part in each), sum(part.few for part in each))

    def __add__(self, other: RoundedCount) -> RoundedCount:
        return RoundedCount.total((self, other))

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
        """Whether no part of it is large enough to be told."""
        return self.few > 0 and not self.value

    @property
    def is_open(self) -> bool:
        """Whether small parts that are left out of the value can come to a twentieth of it or more."""
        return not self.is_few and (self.upper_bound - 1) * 20 >= self.value > 0

    @property
    def upper_bound(self) -> int:
        """What it is fewer than, where it is few: each small part is at most one less than the step."""
        return self.few * (ROUNDING_STEP - 1) + 1

    def as_json(self) -> int | str:
        """The number, or words where small parts leave it open."""
        return str(self) if self.is_few or self.is_open or self.hidden else self.value

    def share(self, whole: RoundedCount) -> float | None:
        """Which part of a whole it is, from rounded figures alone; None where that cannot be said."""
        return None if self.is_few or self.hidden or not whole.value else min(1.0, self.value / whole.value)


def percent_text(share: float | None) -> str:
    """A share in words.

    >>> [percent_text(share) for share in (None, 0.0, 0.004, 0.256, 0.997, 1.0)]
    ['', '0%', 'under 1%', '26%', 'over 99%', '100%']
    """
    if share is None:
        return ""
    if 0 < share < 0.01:
        return "under 1%"
    return "over 99%" if 0.99 < share < 1 else f"{share:.0%}"


ApprovalAnswer = Literal["yes", "no", "unknown"]
PartitionState = Literal["kept", "soon", "overdue", "without end"]


@dataclass(frozen=True, slots=True)
class HiddenPart:
    """A part that is not shown, or not whole, and why."""

    what: str
    why: str


@dataclass(frozen=True, slots=True)
class RowFlow:
    """What came in and what became of it. `read` is the sum of the others."""

    written: RoundedCount
    gated: Mapping[str, RoundedCount]
    quarantined: Mapping[str, RoundedCount]
    suppressed: RoundedCount
    deduplicated: RoundedCount

    @property
    def parts(self) -> dict[str, RoundedCount]:
        """What became of the rows read, written ones first."""
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
    """Rows that went after they had been written, by a kind of receipt and by reason."""

    kind: str
    receipts: int
    last: datetime
    gated: Mapping[str, RoundedCount]


@dataclass(frozen=True, slots=True)
class OutputFacts:
    """One output as it stands.

    suppressed  groups that were too small
    deferred    rows of an aggregate that keep their former figures, or are absent, until more subjects have changed
    encrypted   whether it has columns under master keys
    """

    name: str
    category: str
    rows: RoundedCount
    files: int
    dates: int
    suppressed: RoundedCount | None
    deferred: RoundedCount | None
    encrypted: bool


@dataclass(frozen=True, slots=True)
class PrecisionLoss:
    """How much precision was given up, in bits: a number, or why there is none; `how` says how it was worked out."""

    number: float | None
    how: str
    at_least: bool = False

    def __str__(self) -> str:
        if self.number is None:
            return "unknown"
        return f"{'at least ' if self.at_least else ''}{self.number:.1f}"


@dataclass(frozen=True, slots=True)
class FieldFacts:
    """One field: the form in which it came, that in which it left, and what became of its values.

    values    non-null values of written records; None where nobody counted
    changed   values that left in another form
    dropped   values that did not leave: gated, dropped by a case, or not to be treated
    before    distinct values that came in
    after     distinct values that stand
    """

    key: str
    type: str
    role: str
    form: str
    leaves: str
    conditions: tuple[str, ...]
    values: RoundedCount | None
    changed: RoundedCount | None
    dropped: Mapping[str, RoundedCount]
    before: RoundedCount | None
    before_how: str
    after: RoundedCount | None
    after_how: str
    bits: PrecisionLoss

    @property
    def lost(self) -> RoundedCount:
        """Values that did not leave."""
        return RoundedCount.total(self.dropped.values())

    @property
    def is_dropped(self) -> bool:
        """Whether the field never leaves."""
        return self.leaves == "absent"


@dataclass(frozen=True, slots=True)
class TenantGroupFacts:
    """A tenant with its name, or several of many that have the same on now.

    on     per feature whether it is on now
    share  per feature the part of the time for which it was on
    """

    tenants: int
    names: tuple[str, ...]
    on: Mapping[str, bool]
    share: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class CollectionFacts:
    """Which features tenants have turned on: how many over time, and tenant by tenant; `rest` are not shown."""

    tenants: int
    moments: tuple[datetime, ...]
    on: Mapping[str, tuple[int, ...]]
    about: Mapping[str, str]
    groups: tuple[TenantGroupFacts, ...]
    rest: int


@dataclass(frozen=True, slots=True)
class PartitionFacts:
    """One batch date as it stands, and when nothing of it may be left."""

    date: str
    rows: RoundedCount
    gone_by: datetime | None
    state: PartitionState


@dataclass(frozen=True, slots=True)
class DueRemoval:
    """What must go now: an output's rows and values on one date."""

    output: str
    date: str
    rows: Mapping[str, RoundedCount]
    values: RoundedCount


@dataclass(frozen=True, slots=True)
class OpenEvents:
    """Events of one kind that are not carried out: how many, how many of them too late, and the first date due."""

    kind: str
    events: int
    overdue: int
    by: datetime


@dataclass(frozen=True, slots=True)
class RetentionFacts:
    """What is removed when. `due` is None where nobody looked; `aggregates` have a retention of their own."""

    retention: str
    features: Mapping[str, str]
    partitions: tuple[PartitionFacts, ...]
    due: tuple[DueRemoval, ...] | None
    events: tuple[OpenEvents, ...]
    aggregates: Mapping[str, str] = field(default_factory=dict)

    @property
    def overdue(self) -> int:
        """How many things should have happened by now."""
        late = sum(each.state == "overdue" for each in self.partitions)
        return max(late, len(self.due or ())) + sum(each.overdue for each in self.events)


@dataclass(frozen=True, slots=True)
class FunctionFacts:
    """One function of a recipient: tenants whose consent holds and whose does not, acts of sharing, recalls by state."""

    name: str
    direction: str
    purpose: str
    fields: int
    consented: int | None
    not_consented: int | None
    acts: int | None
    rows: RoundedCount | None
    last: datetime | None
    recalls: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class RecipientFacts:
    """A third party as it stands."""

    name: str
    standing: str
    contract: str
    may_act: bool
    functions: tuple[FunctionFacts, ...]


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


@dataclass(frozen=True, slots=True)
class PolicyFacts:
    """A version of the policy that ran, how often, and whether it was approved."""

    name: str
    version: int
    digest: str
    runs: int
    first: datetime
    last: datetime
    approved: ApprovalAnswer


@dataclass(frozen=True, slots=True)
class ReportFacts:
    """Everything that a report tells of an output."""

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

    def as_json(self) -> dict[str, Any]:
        """The facts as the JSON object that `report --json` prints."""
        body: dict[str, Any] = json_value(self)
        return {
            **body,
            "rounding": "counts to the nearest 5, 1 to 4 as `fewer than 5`; totals are sums of rounded parts",
        }


def json_value(value: Any) -> Any:
    """A part as JSON."""
    if isinstance(value, RoundedCount):
        return value.as_json()
    if isinstance(value, RowFlow):
        return {
            "read": json_value(value.read),
            **{each.name: json_value(getattr(value, each.name)) for each in fields(value)},
        }
    if is_dataclass(value):
        return {each.name: json_value(getattr(value, each.name)) for each in fields(value)}
    if isinstance(value, datetime):
        return time_text(value)
    if isinstance(value, Mapping):
        return {key: json_value(each) for key, each in value.items()}
    return [json_value(each) for each in value] if isinstance(value, tuple) else value
