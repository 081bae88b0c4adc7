"""Models of the aggregates in a pipeline file: groups, measures, threshold, noise or exact statistics, roll-ups."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from datetime import timedelta
from types import MappingProxyType
from typing import Annotated, Any, Final

import pydantic
from pydantic import BeforeValidator, GetCoreSchemaHandler, GetJsonSchemaHandler, ValidationInfo, WithJsonSchema
from pydantic import ValidatorFunctionWrapHandler as Handler
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, core_schema

from minimize.aggregates.definition import STANDARD_DEVIATIONS, TIME_UNITS, StandardDeviation, TimeUnit
from minimize.forms import Expected, Form, NotEmpty, Reading, form_error, is_read, when_read
from minimize.forms.values import (
    NAME_PATTERN,
    CategoryLimit,
    Duration,
    EncryptBy,
    PositiveInteger,
    read_encryption_word,
)
from minimize.policy.model import name_schema
from minimize.policy.names import FieldKey, names_of
from minimize.policy.treatments import FormMeasure
from minimize.techniques.parameters import (
    HIGHER_TIGHTENS,
    LOWER_TIGHTENS,
    NEUTRAL,
    SETTING_TIGHTENS,
    UNSETTING_TIGHTENS,
    Order,
)
from minimize.text import did_you_mean


class GroupKeyModel(Form):
    """One group key: a field in its released form, a time possibly at a coarser unit."""

    noun = "a group key"

    field: FieldKey
    to: TimeUnit | None = None


class _GroupKeyType:
    """In a file: a field, or `{FIELD: unit}` for a time at a coarser unit."""

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.with_info_wrap_validator_function(self._read, handler(source))

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        timed = {
            "type": "object",
            "description": "A time at a unit that is not finer than the released one.",
            "additionalProperties": {"enum": list(TIME_UNITS)},
            "minProperties": 1,
            "maxProperties": 1,
        }
        return {"anyOf": [{"type": "string", "description": "A field."}, timed]}

    def _read(self, value: Any, handler: Handler, info: ValidationInfo) -> Any:
        if not is_read(info):
            return handler(value)
        if not isinstance(value, Mapping) or len(value) != 1:
            return handler({"field": value})
        field, unit = next(iter(value.items()))
        if unit not in TIME_UNITS:
            hint = did_you_mean(unit, TIME_UNITS) if isinstance(unit, str) else ""
            raise form_error("P007", "unknown time unit in `group_by`", hint)
        return handler({"field": field, "to": unit})


class SuppressModel(Form):
    """The minimum number of subjects of published groups. Groups with fewer are suppressed."""

    noun = "`suppress`"

    below: Annotated[PositiveInteger, HIGHER_TIGHTENS] = pydantic.Field(
        10, description="Groups with fewer subjects are suppressed."
    )
    counting: FieldKey | None = pydantic.Field(
        None, description="The field that is counted. The default is the policy's subject."
    )


class RoundModel(Form):
    """Rounding of counts to the nearest multiple."""

    noun = "`round`"

    counts_to: Annotated[PositiveInteger, HIGHER_TIGHTENS] = pydantic.Field(description="The multiple.")


def _read_deviation(value: Any) -> Any:
    """A standard deviation as its word. A file has a number."""
    return f"{value:g}" if isinstance(value, int | float) and not isinstance(value, bool) else value


_DEVIATION_HINT: Final = f"Use one of: {', '.join(STANDARD_DEVIATIONS)}."
Deviation = Annotated[
    StandardDeviation,
    BeforeValidator(_read_deviation),
    Expected("must be a number for which the noise is tabulated", hint=_DEVIATION_HINT),
    Order(lambda old, new: float(new) > float(old)),
    WithJsonSchema({"enum": [float(sd) if "." in sd else int(sd) for sd in STANDARD_DEVIATIONS]}),
]


class NoiseModel(Form):
    """The noise of the statistics of an aggregate."""

    noun = "`noise`"

    sd: Deviation = pydantic.Field(
        "2",
        description="The standard deviation of each of the two draws that a number of subjects has.",
        json_schema_extra={"default": 2},
    )
    releases: Annotated[PositiveInteger, LOWER_TIGHTENS] = pydantic.Field(
        3, description="How many different releases a date may have. A run with the same statistics is no new release."
    )


class ExactModel(Form):
    """The statement that the statistics of an aggregate have no noise. It is then the only aggregate of its source."""

    noun = "`exact`"
    examples = MappingProxyType({"because": '"contract, annex 3"'})

    because: Annotated[str, pydantic.Field(pattern=r"\S"), Expected("must state the reason in words"), NEUTRAL] = (
        pydantic.Field(description="The reason, for those who review the pipeline.")
    )


MOST_PER_SUBJECT: Final = 100_000
"""The largest number of rows or values that one subject can contribute to a row of an aggregate."""
_Limit = Annotated[
    int,
    LOWER_TIGHTENS,
    pydantic.Field(ge=1, le=MOST_PER_SUBJECT),
    Expected(f"must be a whole number from 1 to {MOST_PER_SUBJECT}"),
]


class PerSubjectModel(Form):
    """What one subject contributes to a row of an aggregate at most. The noise grows with it."""

    noun = "`per_subject`"

    rows: _Limit = pydantic.Field(1, description="Rows of the group, and values of each measured field.")
    values: _Limit = pydantic.Field(1, description="Distinct values of a field that `count_distinct` counts.")


RESERVED_OUTPUT_NAMES: Final = ("records", "runs", "quarantine", "index", "erasures", "sketches", "restricted")
LONGEST_WAIT: Final = timedelta(days=366)
"""The longest permitted value of `late`."""


def _short_enough(late: timedelta, _: Reading) -> timedelta:
    if late > LONGEST_WAIT:
        hint = "Use a shorter time; a day is published when it has passed."
        raise form_error("P006", f"`{{key}}` must be at most {LONGEST_WAIT.days}d", hint)
    return late


def _output_name(name: str, _: Reading) -> str:
    if name in RESERVED_OUTPUT_NAMES:
        message = f"`{name}` is the name of a folder in every output"
        raise form_error("P015", message, "Give the aggregate another name.", is_named=True)
    if not re.fullmatch(NAME_PATTERN, name):
        hint = "Use a letter or _, then letters, digits, _ and -."
        raise form_error("P015", f"`{name}` is not a valid name for an aggregate", hint, is_named=True)
    return name


ColumnName = Annotated[str, WithJsonSchema({"type": "string", "not": {"const": "date"}})]
OutputName = Annotated[str, when_read(_output_name), name_schema(*RESERVED_OUTPUT_NAMES)]


def rollup_name(name: str, groups: Iterable[str]) -> str:
    """The name of the coarser table of an aggregate by some of its groups.

    >>> rollup_name("billing", ["tenant", "region"]), rollup_name("billing", [])
    ('billing_by_tenant_region', 'billing_total')
    """
    columns = "_".join(groups)
    return f"{name}_by_{columns}" if columns else f"{name}_total"


class AggregateModel(Form):
    """Counts and statistics per group, small groups suppressed."""

    noun = "an aggregate"
    is_named = True
    examples = MappingProxyType(
        {
            "group_by": "{tenant: tenant_id, day: {event_time: day}}",
            "measures": "{records: count}",
            "exact": '{because: "contract, annex 3"}',
            "noise": "{sd: 2, releases: 3}",
            "per_subject": "{rows: 24}",
        }
    )

    group_by: Mapping[ColumnName, Annotated[GroupKeyModel, _GroupKeyType()]] = pydantic.Field(
        description="The fields whose values make a group, by column. Without one, all records are one group."
    )
    measures: Annotated[Mapping[ColumnName, FormMeasure], NotEmpty()] = pydantic.Field(
        description="The statistics of each group, by column."
    )
    suppress: SuppressModel = SuppressModel()
    round: Annotated[RoundModel | None, SETTING_TIGHTENS] = pydantic.Field(
        None, description="Only for exact statistics: noise hides more than rounding."
    )
    noise: NoiseModel = pydantic.Field(
        NoiseModel(), description="The noise of the statistics. Every aggregate has it by default."
    )
    exact: Annotated[ExactModel | None, UNSETTING_TIGHTENS] = pydantic.Field(
        None, description="Publishes statistics without noise: one table for a source, once for each date."
    )
    per_subject: PerSubjectModel = PerSubjectModel()
    rollups: Annotated[
        tuple[tuple[ColumnName, ...], ...],
        Expected(
            "must be a list of lists of groups", hint="For example: `rollups: [[tenant], []]`. `[]` is the total."
        ),
    ] = pydantic.Field(
        (),
        description="Coarser tables of exact statistics, each by some of the groups: sums over the rows that are shown. "
        "Their names are `NAME_by_GROUP` (several groups with `_` between them), and `NAME_total` for `[]`.",
    )
    late: Annotated[Duration, when_read(_short_enough)] | None = pydantic.Field(
        None, description="How long an event day waits for its late rows."
    )
    retention: Duration | None = pydantic.Field(
        None, description="How long groups are kept, by their event time. The default is the retention of the policy."
    )
    must_be: CategoryLimit = pydantic.Field(None, description="The highest permitted category of the output.")
    encrypt: Annotated[EncryptBy, BeforeValidator(read_encryption_word)] | None = pydantic.Field(
        None, description="Aggregated columns are never encrypted."
    )

    def check(self, reading: Reading) -> None:
        """The names of its columns are valid and unique; subjects are counted; its statistics are exact, or have noise."""
        names = names_of(reading)
        self._check_exactness(reading)
        if "date" in (*self.group_by, *self.measures):
            reading.fault("P015", "`date` is reserved for the partition", hint="Name the column `day`.")
        for column in self.measures:
            if column in self.group_by:
                message = f"`{column}` is the name of a group and of a measure"
                reading.fault("P018", message, "measures", column, hint="Rename one of them.")
        if names.keys is not None and names.subject is None and self.suppress.counting is None:
            hint = "Add `subject: FIELD` to the policy, or `suppress: {counting: FIELD}` to the aggregate."
            reading.fault("P017", "an aggregate counts subjects, but the policy names no subject", hint=hint)
        if self.late is not None and names.keys is not None and names.time is None:
            reading.fault("P017", "`late` needs the event time", "late", hint="Add `time: FIELD` to the policy.")

    def rollup_tables(self, name: str) -> dict[str, AggregateModel]:
        """The coarser tables of the aggregate of this name, by name. Their groups are in the order of the aggregate."""
        tables = {}
        for columns in self.rollups:
            groups = {column: key for column, key in self.group_by.items() if column in columns}
            tables[rollup_name(name, groups)] = self.model_copy(update={"group_by": groups, "rollups": ()})
        return tables

    def _check_exactness(self, reading: Reading) -> None:
        """Statistics with noise are not rounded and have no roll-ups; exact ones have no noise."""
        if self.exact is None:
            if self.round is not None:
                hint = "Remove `round`: the noise hides more than rounding does."
                reading.fault("P018", "`round` is for exact statistics only", "round", hint=hint)
            if self.rollups:
                hint = "Remove `rollups`, and add an aggregate for each: it has a noise of its own."
                reading.fault("P018", "`rollups` are for exact statistics only", "rollups", hint=hint)
            return
        if "noise" in self.model_fields_set:
            hint = "Remove one: statistics with noise are the default."
            reading.fault("P018", "an aggregate has both `noise` and `exact`", "exact", hint=hint)
        if "per_subject" in self.model_fields_set:
            hint = "Remove `per_subject`: it limits what noise must hide."
            reading.fault("P018", "`per_subject` has no effect on exact statistics", "per_subject", hint=hint)
        self._check_rollups(reading)

    def _check_rollups(self, reading: Reading) -> None:
        """A roll-up has some of the groups of its aggregate, and no two have the same."""
        group_sets: set[frozenset[str]] = set()
        for columns in self.rollups:
            groups = frozenset(columns)
            unknown = [column for column in columns if column not in self.group_by]
            if unknown:
                hint = did_you_mean(unknown[0], self.group_by)
                reading.fault("P010", f"`{unknown[0]}` is not a group of the aggregate", "rollups", hint=hint)
            elif groups == frozenset(self.group_by) or groups in group_sets or len(groups) < len(columns):
                hint = "Name some of the groups, each once. `[]` is the total."
                reading.fault("P018", "a roll-up repeats groups, or is no coarser table", "rollups", hint=hint)
            group_sets.add(groups)
