"""Typed model of a pipeline: policy, purpose, source, records output, aggregates, quarantine limits."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Literal

from minimize.aggregates import Measure
from minimize.policy.condition import Condition
from minimize.policy.model import FrozenModel, Policy
from minimize.stores import Location, LocationLike, parse_output_location

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
