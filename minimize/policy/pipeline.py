"""Model of a pipeline file: source, records, aggregates and limits of the quarantine."""

from __future__ import annotations

import logging
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import timedelta
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, Any, Final, Literal, get_args

import pydantic
from pydantic import (
    GetCoreSchemaHandler,
    GetJsonSchemaHandler,
    ValidationInfo,
    WithJsonSchema,
    WrapValidator,
)
from pydantic import ValidatorFunctionWrapHandler as Handler
from pydantic.json_schema import JsonSchemaValue, SkipJsonSchema
from pydantic_core import CoreSchema, core_schema

from minimize.forms import Expected, Form, Reading, form_error, is_read, when_read
from minimize.forms.values import (
    NAME_PATTERN,
    CategoryLimit,
    CategoryName,
    EncryptBy,
    Name,
    ShareLimit,
    read_encryption_word,
)
from minimize.policy.aggregate_forms import AggregateModel, OutputName, rollup_name
from minimize.policy.condition import FormCondition
from minimize.policy.model import ON_PREMISES_PURPOSE, ConfiguredForm, Policy, Purpose
from minimize.policy.names import FieldKey, FieldKeys, PolicyReading, names_of
from minimize.policy.risk_forms import RiskModel
from minimize.settings.tenants import OutputRegion
from minimize.sources import FORMATS
from minimize.stores import Location, LocationLike, location_error, parse_output_location
from minimize.techniques.parameters import SETTING_TIGHTENS, UNSETTING_TIGHTENS
from minimize.text import did_you_mean

log = logging.getLogger("minimize")

DataKind = Literal["service", "telemetry"]
ENCRYPTED_CATEGORIES: Final[Mapping[EncryptBy, tuple[CategoryName, ...]]] = MappingProxyType(
    {"off": (), "identified": ("identified",), "by_category": ("identified", "pseudonymized")}
)
"""The categories of the columns that are encrypted. Each word encrypts more than the word before it."""


def stricter_encryption(*words: EncryptBy) -> EncryptBy:
    """The word that encrypts the most columns.

    >>> stricter_encryption("identified", "off")
    'identified'
    """
    return max(words, key=[*ENCRYPTED_CATEGORIES].index)


def _valid_location(text: str, _: Reading) -> str:
    """A path, or the URI of a store, which must not contain a secret."""
    wrong = location_error(text)
    if wrong is not None:
        raise form_error("P006", wrong.message, wrong.hint)
    return text


def _only_date_placeholder(path: str, _: Reading) -> str:
    unknown = [f"{{{name}}}" for name in re.findall(r"\{(.*?)\}", path) if name != "date"]
    if unknown:
        raise form_error("P006", f"unknown placeholder {', '.join(unknown)} in `path`; only {{date}} is valid")
    return path


def _known_format(name: str, _: Reading) -> str:
    if name in FORMATS:
        return name
    raise form_error("P007", f"unknown format `{name}`", did_you_mean(name, FORMATS))


class _FormatSchema:
    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        return {"enum": [*FORMATS]}


LocationText = Annotated[str, when_read(_valid_location)]
RecipientFunctionName = Annotated[
    str,
    pydantic.Field(pattern=rf"^{NAME_PATTERN}\.{NAME_PATTERN}$"),
    Expected("must name a function", hint="Write RECIPIENT.FUNCTION, such as `apple.push`."),
]
SourceFormatName = Annotated[str, when_read(_known_format), _FormatSchema()]


class SourceModel(Form):
    """The source of the records."""

    noun = "`source`"

    path: Annotated[LocationText, when_read(_only_date_placeholder)] = pydantic.Field(
        description="A file, folder or glob, relative to the pipeline's folder; or the URI of an object store (s3://, gs://, "
        "abfs://) that contains no credentials. `{date}` is the batch date."
    )
    format: SourceFormatName = pydantic.Field(description="The format of the files.")
    recipient: str | None = pydantic.Field(
        None,
        description="The third party that sends the records. The tenant's authorization then decides on each record.",
    )
    function: str | None = pydantic.Field(None, description="The inbound function of its manifest.")
    only_for: RecipientFunctionName | None = pydantic.Field(
        None,
        description="The outbound function, as RECIPIENT.FUNCTION, that the records are collected for. A record is collected "
        "only while its tenant has turned the function on.",
        examples=["apple.push"],
    )

    @property
    def is_received(self) -> bool:
        """Whether a third party sends the records, so consent decides on each record."""
        return self.recipient is not None

    @property
    def deciding_function(self) -> tuple[str, str] | None:
        """The third party and its function whose consents decide on each record; None if no consent decides.

        It is the function that sends the records, or the only one that they are collected for.
        """
        if self.only_for is not None:
            recipient, _, function = self.only_for.partition(".")
            return recipient, function
        return None if self.recipient is None or self.function is None else (self.recipient, self.function)

    def check(self, reading: Reading) -> None:
        """A recipient and its function are named together, and records that a third party sends serve no function alone."""
        if self.only_for is not None and self.recipient is not None:
            message = "`source` has both `recipient` and `only_for`"
            hint = "Remove one: the consent to receive the records already decides on each of them."
            reading.fault("P005", message, "only_for", hint=hint)
        if (self.recipient is None) != (self.function is None):
            present, missing = ("function", "recipient") if self.recipient is None else ("recipient", "function")
            hint = f"Add `{missing}`, or remove `{present}`."
            reading.fault("P005", f"`source` has `{present}` but not `{missing}`", present, hint=hint)


class DeduplicateModel(Form):
    """Of the records of a day with equal values in these fields, the earliest is kept."""

    noun = "`deduplicate`"

    by: FieldKeys = pydantic.Field(description="Records with equal values in all these fields are duplicates.")
    per: Literal["day"] = pydantic.Field("day", description="The span of time within which records are duplicates.")

    def check(self, reading: Reading) -> None:
        """The earliest record needs an event time."""
        names = names_of(reading)
        if names.keys is not None and names.time is None:
            reading.fault("P017", "`deduplicate` needs the event time", hint="Add `time: FIELD` to the policy.")


@dataclass(frozen=True, slots=True)
class ConfiguredEncryption:
    """The encryption that `minimize.yaml` sets for all pipelines."""

    default: EncryptBy = "off"
    """Applies if a pipeline does not set `encrypt`."""
    required: EncryptBy = "off"
    """The least that a pipeline may set."""
    is_stated: bool = False
    """Whether a line of the file states either of them."""

    @property
    def implied(self) -> EncryptBy:
        """The encryption of an output whose pipeline does not set `encrypt`."""
        return stricter_encryption(self.default, self.required)


class EncryptModel(Form):
    """The keys of an output that is encrypted at rest."""

    noun = "`encrypt`"

    by: SkipJsonSchema[EncryptBy] = "off"
    per: FieldKey | None = pydantic.Field(
        None, description="A column of `partition_by`. Each of its folders has separate keys."
    )


class _EncryptType:
    """In a file: a word, or `{WORD: {per: FIELD}}` for records whose folders have separate keys."""

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.with_info_wrap_validator_function(self._read, handler(source))

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        words = {word: handler(schema) for word, categories in ENCRYPTED_CATEGORIES.items() if categories}
        keyed = {"type": "object", "properties": words, "additionalProperties": False}
        return {"anyOf": [{"enum": list(get_args(EncryptBy))}, {**keyed, "minProperties": 1, "maxProperties": 1}]}

    def _read(self, value: Any, handler: Handler, info: ValidationInfo) -> Any:
        if not is_read(info):
            return handler(value)
        if not isinstance(value, Mapping):
            return handler({"by": read_encryption_word(value)})
        word = next(
            (word for word, categories in ENCRYPTED_CATEGORIES.items() if categories and [*value] == [word]), None
        )
        if word is None:
            hint = "Write `encrypt: {by_category: {per: FIELD}}`."
            raise form_error("P006", "`encrypt` must have `by_category` or `identified` as its only key", hint)
        return handler(value[word]).model_copy(update={"by": word})


class RecordsModel(Form):
    """The records output."""

    noun = "`records`"

    must_be: CategoryLimit = pydantic.Field(None, description="The highest permitted category of the output.")
    partition_by: FieldKeys = pydantic.Field((), description="Levels of folders below `date=`.")
    index: bool = pydantic.Field(
        True, description="Whether files have an index of subjects. Without it, all records are read to find a subject."
    )
    collect_if: FormCondition | None = pydantic.Field(None, description="Collected only if this condition is true.")
    deduplicate: Annotated[DeduplicateModel | None, SETTING_TIGHTENS] = None
    risk: Annotated[RiskModel | None, SETTING_TIGHTENS] = pydantic.Field(
        None, description="The bound on what combinations of values disclose. Without one, they are not bounded."
    )
    encrypt: Annotated[EncryptModel, _EncryptType()] | None = pydantic.Field(
        None, description="How columns are encrypted at rest. The default is set by minimize.yaml."
    )

    def check(self, reading: Reading) -> None:
        """Each value with its own keys has its own folder."""
        per = None if self.encrypt is None else self.encrypt.per
        if per is not None and per not in self.partition_by:
            message = f"keys for each `{per}` need a folder for each value"
            reading.fault("P020", message, "encrypt", hint=f"Add `partition_by: [{per}]`.")


@cache
def _log_former_key(file: str | None, former: str, current: str) -> None:
    """Logs the current name of a key, once for each file: a command may read a pipeline more than once."""
    place = "" if file is None else f"{file}: "
    log.warning("%s`quarantine: %s` is now `%s`", place, former, current, extra={"code": "W070"})


class QuarantineModel(Form):
    """Limits as shares of the rows read. The default is no limit."""

    noun = "`quarantine`"

    warn_above: ShareLimit = pydantic.Field(None, description="Above this share the run publishes, and exits with 4.")
    abort_above: ShareLimit = pydantic.Field(None, description="Above this share nothing is published.")
    fail_above: ShareLimit = pydantic.Field(None, description="The former name of `warn_above`.")
    stop_above: ShareLimit = pydantic.Field(None, description="The former name of `abort_above`.")

    def check(self, reading: Reading) -> None:
        """A limit is written once. A former name is logged."""
        for key, former in (("warn_above", "fail_above"), ("abort_above", "stop_above")):
            if getattr(self, former) is None:
                continue
            _log_former_key(reading.faults.file, former, key)
            if getattr(self, key) is not None:
                message = f"`{former}` is the former name of `{key}`, and both are written"
                reading.fault("P018", message, former, hint=f"Leave out `{former}`.")

    @property
    def warning_share(self) -> float | None:
        """The share above which a run that has published exits with 4."""
        return self.fail_above if self.warn_above is None else self.warn_above

    @property
    def highest_share(self) -> float | None:
        """The share above which nothing is published."""
        return self.stop_above if self.abort_above is None else self.abort_above


@dataclass(slots=True)
class PipelineReading(PolicyReading):
    """The reading of a pipeline with its policy, which is loaded first; None if it could not be read."""

    policy: Policy | None = None


UNREADABLE_POLICY: Final = Policy.model_construct(policy="", version=1, purposes=(), fields={})
"""Replaces a policy that could not be read; the loader never returns it."""


def _loaded_policy(value: Any, handler: Handler, info: ValidationInfo) -> Any:
    if not isinstance(info.context, PipelineReading):
        return handler(value)
    if not isinstance(value, str):
        raise form_error("P006", "`policy` must be the path of a file")
    return info.context.policy or UNREADABLE_POLICY


def _listed_by_policy(purpose: str, reading: Reading) -> str:
    listed = names_of(reading).purposes
    if listed and purpose not in listed:
        hint = did_you_mean(purpose, listed)
        raise form_error("P008", f"the policy does not list the purpose `{purpose}`", hint)
    return purpose


def _records_or_flag(value: Any, handler: Handler, info: ValidationInfo) -> Any:
    """In a file, `false` writes no records, and `true` the default."""
    if is_read(info) and isinstance(value, bool):
        return RecordsModel() if value else None
    return handler(value)


class _FlagSchema:
    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        return {"anyOf": [handler(schema), {"type": "boolean"}]}


class Pipeline(ConfiguredForm):
    """One scheduled job: a policy, a purpose, a source and an output.

    Example:
        In the folder that `minimize sample demo --out demo` makes:

        >>> import minimize
        >>> pipeline = minimize.load_pipeline("pipelines/device_telemetry")
        >>> pipeline.pipeline, pipeline.purpose
        ('device_telemetry', 'service_maintenance')
    """

    noun = "a pipeline"

    pipeline: Name = pydantic.Field(description="The pipeline's name.")
    policy: Annotated[Policy, WrapValidator(_loaded_policy), WithJsonSchema({"type": "string"})] = pydantic.Field(
        description="The policy's file, relative to this one."
    )
    purpose: Annotated[Purpose, when_read(_listed_by_policy)] = pydantic.Field(
        description="The purpose of every run; the policy must list it."
    )
    data: DataKind = pydantic.Field(
        "service", description="The kind of the data. Outputs of service data and of telemetry have separate roots."
    )
    source: SourceModel
    settings: str | None = pydantic.Field(
        None, description="The collection settings: a file, relative to this one, or `ledger`."
    )
    output: LocationText = pydantic.Field(
        description="The output folder, relative to this file; or the URI of an object store (s3://, gs://, abfs://) without "
        "credentials, which needs a ledger elsewhere."
    )
    records: Annotated[RecordsModel | None, WrapValidator(_records_or_flag), _FlagSchema(), UNSETTING_TIGHTENS] = (
        pydantic.Field(RecordsModel(), description="The records output. With `false`, no records are written.")
    )
    aggregates: Mapping[OutputName, AggregateModel] = pydantic.Field(
        {}, description="Counts and statistics per group, by name."
    )
    quarantine: QuarantineModel = QuarantineModel()
    digest: SkipJsonSchema[str] = ""
    form: SkipJsonSchema[str] = ""
    """`sha256:` of the content of the file, independent of its layout; empty if it was not read."""
    lines: SkipJsonSchema[Mapping[tuple[str, ...], int]] = pydantic.Field({})
    """The lines of the file's keys, by paths of at most three keys."""
    encryption: SkipJsonSchema[ConfiguredEncryption] = ConfiguredEncryption()
    region: SkipJsonSchema[OutputRegion | None] = None
    """The region whose rows a run writes; None if no regions are configured, or the pipeline is not bound to one yet."""

    stand_ins = MappingProxyType(
        {
            "pipeline": "",
            "policy": UNREADABLE_POLICY,
            "purpose": "",
            "source": SourceModel(path="", format=next(iter(FORMATS))),
            "output": "",
        }
    )

    @classmethod
    def implied_values(cls, written: Collection[str]) -> Mapping[str, Any]:
        """A pipeline with aggregates writes no records unless it says so."""
        return {"records": False} if "aggregates" in written and "records" not in written else {}

    def check(self, reading: Reading) -> None:
        """A pipeline writes something, and only data that is received has the purpose of the on-premises product's data."""
        if self.purpose == ON_PREMISES_PURPOSE and not self.source.is_received:
            message = f"the purpose {ON_PREMISES_PURPOSE} is for data that the on-premises product sends"
            hint = "Name its function under `source`, or use another purpose."
            reading.fault("P008", message, "purpose", hint=hint)
        if self.records is None and reading.node.get("aggregates") is None:
            reading.fault("P005", "the pipeline writes neither records nor aggregates", "records")
        self._check_rollup_names(reading)

    def _check_rollup_names(self, reading: Reading) -> None:
        """The name of each roll-up is that of a folder, and of no other table."""
        names = {*self.aggregates}
        for name, model in self.aggregates.items():
            for groups in dict.fromkeys(frozenset(columns) for columns in model.rollups):
                table = rollup_name(name, [column for column in model.group_by if column in groups])
                if not re.fullmatch(NAME_PATTERN, table):
                    hint = "Name groups with letters, digits, _ and -."
                    message = "a roll-up has the names of its groups in its own, which is not valid"
                    reading.fault("P015", message, "aggregates", name, "rollups", hint=hint)
                elif table in names:
                    message = f"two tables have the name `{table}`"
                    hint = "Rename a group or an aggregate."
                    reading.fault("P018", message, "aggregates", name, "rollups", hint=hint)
                names.add(table)

    @property
    def tables(self) -> dict[str, AggregateModel]:
        """The tables that a run publishes, by name: each aggregate, and after it its roll-ups."""
        return {
            table: each
            for name, model in self.aggregates.items()
            for table, each in {name: model, **model.rollup_tables(name)}.items()
        }

    def retention_of(self, name: str) -> timedelta | None:
        """How long an output is kept: the aggregate's own retention, else that of the policy; None for no limit."""
        model = self.tables.get(name)
        return self.policy.retention if model is None or model.retention is None else model.retention

    @property
    def own_retentions(self) -> dict[str, timedelta]:
        """The retention of each table whose aggregate has its own."""
        return {name: each.retention for name, each in self.tables.items() if each.retention is not None}

    @property
    def run_name(self) -> str:
        """The name under which runs are observed: that of the pipeline, with the region if there is one."""
        return self.pipeline if self.region is None else f"{self.pipeline}.{self.region.name}"

    @property
    def folder(self) -> Path:
        """The base folder of relative paths."""
        return Path() if self.path is None else self.path.parent

    def target(self, output: LocationLike | None = None) -> Location:
        """The location of the output: the given replacement, or as in the file; below the root of the region, if there is one.
        Raises OutputError for an invalid URI."""
        if output is not None:
            return parse_output_location(output)
        location = parse_output_location(self.output, self.folder)
        return location if self.region is None else self.region.root / self.data / location.name

    def line_of(self, *path: str) -> int | None:
        """The line of a key in the file, or of the nearest key above it."""
        lines = (self.lines.get(path[:length]) for length in range(len(path), 0, -1))
        return next((line for line in lines if line is not None), None)
