"""Read a pipeline file: encryption, measures, aggregates, then the pipeline with its source and records."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import Any, Final, get_args

from minimize.aggregates import MEASURES, Measure
from minimize.config import ACCESS_KEYS, load_config
from minimize.policy.faults import FaultList
from minimize.policy.form_values import NAME_PATTERN
from minimize.policy.mapping_reader import DeclaredNames, KeyReader, MappingShape, NodeReaders, read_mapping
from minimize.policy.model import (
    AggregateModel,
    DeduplicateModel,
    EncryptBy,
    EncryptModel,
    GroupKeyModel,
    Pipeline,
    Policy,
    QuarantineModel,
    RecordsModel,
    RoundModel,
    SourceModel,
    SuppressModel,
    TimeUnit,
)
from minimize.policy.policy_reader import read_name
from minimize.policy.purposes import check_purpose
from minimize.policy.value_readers import ConditionReader, read_duration
from minimize.policy.yaml_nodes import YamlNode
from minimize.sources import FORMATS
from minimize.stores import location_error
from minimize.text import did_you_mean

ENCRYPT_WORDS: Final = get_args(EncryptBy)
BY_CATEGORY: Final = "by_category"


def read_encrypt(node: YamlNode, scope: DeclaredNames) -> EncryptModel | None:
    """`none`, `by_category`, or `by_category: {per: FIELD}` for records whose folders have separate keys."""
    if not node.is_mapping:
        by = read_encrypt_word(node.value, node.line, scope.faults)
        return None if by is None else EncryptModel(by=by)
    below = node.get(BY_CATEGORY)
    if below is None or len(node.entries) > 1:
        hint = "Write `encrypt: {by_category: {per: FIELD}}`."
        scope.faults.add("P006", "`encrypt` must have `by_category` as its only key", line=node.line, hint=hint)
        return None
    shape = MappingShape(
        "`by_category`",
        {"per": lambda field: scope.field(field, "per")},
        preset={"by": BY_CATEGORY},
        hidden=frozenset({"by"}),
    )
    return read_mapping(EncryptModel, below, scope.faults, shape)


def read_encrypt_word(word: Any, line: int | None, faults: FaultList) -> EncryptBy | None:
    """`none` or `by_category`."""
    if word in ENCRYPT_WORDS:
        return "by_category" if word == BY_CATEGORY else "none"
    hint = did_you_mean(word, ENCRYPT_WORDS) if isinstance(word, str) else f"Use one of: {', '.join(ENCRYPT_WORDS)}."
    faults.add("P007", "unknown word for `encrypt`", line=line, hint=hint)
    return None


def configured_encryption(start: Path, faults: FaultList) -> EncryptBy:
    """The value of `access: {encrypt: …}` in `minimize.yaml`, for every output. Faults are recorded with the name of that file.

    An unknown word counts as `by_category`.
    """
    config = load_config(start)
    own = FaultList(str(config.path), faults.found)
    for key in config.access.unknown_keys:
        hint = did_you_mean(key.value, ACCESS_KEYS)
        own.add("P004", f"unknown key `{key.value}` in `access`", line=key.line, hint=hint)
    encrypt = config.access.encrypt
    return "none" if encrypt is None else read_encrypt_word(encrypt.value, encrypt.line, own) or "by_category"


@dataclass(frozen=True, slots=True)
class MeasureReader(KeyReader):
    """Reads the measures of one aggregate."""

    def __call__(self, node: YamlNode) -> Measure | None:
        """The measure; None if a fault was recorded."""
        if isinstance(node.value, str):
            return self.named_measure(node.value, YamlNode({}, node.line), node.line)
        if node.is_mapping and len(node.entries) == 1:
            word, below = next(iter(node.entries.items()))
            return self.named_measure(word, below, below.line)
        self.fault("P006", "a measure must be a word, or a word with its field or parameters", node.line)
        return None

    def named_measure(self, word: str, parameters: YamlNode, line: int | None) -> Measure | None:
        """The measure of this word, with these parameters."""
        kind = MEASURES.get(word)
        if kind is None:
            self.fault("P011", f"unknown measure `{word}`", line, did_you_mean(word, MEASURES))
            return None
        node = _measure_parameters(parameters)
        shape = MappingShape(f"`{word}`", key=self.key, code="P013", parameters=True)
        measure = None if node is None else read_mapping(kind, node, self.scope.faults, shape)
        if node is None:
            self.fault("P013", f"`{word}` needs the key of a field, or parameters", line)
            return None
        return None if measure is None else self.resolve_field(measure, line)

    def resolve_field(self, measure: Measure, line: int | None) -> Measure | None:
        """The measure with the declared key of its field."""
        if measure.of is None:
            return measure
        key = self.scope.key_of(measure.of, line, f"`{measure.name}`", self.key)
        return None if key is None else measure.model_copy(update={"of": key})


def _measure_parameters(node: YamlNode) -> YamlNode | None:
    if node.is_mapping:
        return node
    if node.value is None:
        return YamlNode({}, node.line)
    return YamlNode({"of": node}, node.line) if isinstance(node.value, str) else None


RESERVED_OUTPUT_NAMES = ("records", "runs", "quarantine", "index", "erasures", "sketches")
TIME_UNITS: tuple[str, ...] = get_args(TimeUnit)
LONGEST_WAIT: Final = timedelta(days=366)
"""The longest permitted value of `late`."""


@dataclass(frozen=True, slots=True)
class AggregateReader(KeyReader):
    """Reads one aggregate of a pipeline."""

    policy: Policy | None

    def __call__(self, node: YamlNode) -> AggregateModel | None:
        """The aggregate; None if it could not be read."""
        self.check_name(node)
        readers: NodeReaders = {
            "group_by": self.group_by,
            "measures": self.measures,
            "suppress": self.suppress,
            "round": self.round,
            "late": self.late,
            "retention": lambda below: read_duration(below, self.scope, "retention", self.key),
            "encrypt": lambda below: read_encrypt_word(below.value, below.line, self.scope.faults),
        }
        model = read_mapping(
            AggregateModel, node, self.scope.faults, MappingShape("an aggregate", readers, key=self.key)
        )
        if model is not None:
            self.check_columns(model, node)
            self.check_subject(model, node)
        return model

    def check_name(self, node: YamlNode) -> None:
        """The name is valid as the name of a folder next to the records."""
        if self.key in RESERVED_OUTPUT_NAMES:
            self.fault(
                "P015",
                f"`{self.key}` is the name of a folder in every output",
                node.line,
                "Give the aggregate another name.",
            )
        elif not re.fullmatch(NAME_PATTERN, self.key):
            hint = "Use a letter or _, then letters, digits, _ and -."
            self.fault("P015", f"`{self.key}` is not a valid name for an aggregate", node.line, hint)

    def check_columns(self, model: AggregateModel, node: YamlNode) -> None:
        """The names of columns are unique, and none is the name of the partition."""
        for column in [*model.group_by, *model.measures]:
            if column == "date":
                self.fault("P015", "`date` is reserved for the partition", node.line, "Name the column `day`.")
        for column in model.measures:
            if column in model.group_by:
                self.fault(
                    "P018",
                    f"`{column}` is the name of a group and of a measure",
                    node.descend(["measures", column]).line,
                )

    def check_subject(self, model: AggregateModel, node: YamlNode) -> None:
        """A subject is counted."""
        if self.policy is not None and self.policy.subject is None and model.suppress.counting is None:
            hint = "Add `subject: FIELD` to the policy, or `suppress: {counting: FIELD}` to the aggregate."
            self.fault("P017", "an aggregate counts subjects, but the policy names no subject", node.line, hint)

    def group_by(self, node: YamlNode) -> dict[str, GroupKeyModel] | None:
        """The group keys, by column."""
        if not node.is_mapping:
            self.fault("P006", "`group_by` must be a mapping of columns to fields", node.line)
            return None
        found = {column: self.group_key(below) for column, below in node.entries.items()}
        good = {column: key for column, key in found.items() if key is not None}
        return good if len(good) == len(found) else None

    def group_key(self, node: YamlNode) -> GroupKeyModel | None:
        """A field, or `{FIELD: unit}` for a time at a coarser unit."""
        if node.is_mapping and len(node.entries) == 1:
            name, unit = next(iter(node.entries.items()))
            return self.time_key(name, unit)
        key = self.scope.field(node, "group_by", self.key)
        return None if key is None else GroupKeyModel(field=key)

    def time_key(self, name: str, unit: YamlNode) -> GroupKeyModel | None:
        """A field at a time unit."""
        key = self.scope.key_of(name, unit.line, "`group_by`", self.key)
        if unit.value not in TIME_UNITS:
            hint = did_you_mean(str(unit.value), TIME_UNITS) if unit.is_scalar else ""
            self.fault("P007", "unknown time unit in `group_by`", unit.line, hint)
            return None
        return None if key is None else GroupKeyModel.model_validate({"field": key, "to": unit.value})

    def measures(self, node: YamlNode) -> dict[str, Any] | None:
        """The measures, by column."""
        if not node.entries:
            self.fault("P006", "`measures` must be a mapping of columns to measures", node.line)
            return None
        read = MeasureReader(self.scope, self.key)
        found = {column: read(below) for column, below in node.entries.items()}
        good = {column: measure for column, measure in found.items() if measure is not None}
        return good if len(good) == len(found) else None

    def suppress(self, node: YamlNode) -> SuppressModel | None:
        """The minimum number of subjects of a group, and the field that is counted."""
        readers: NodeReaders = {
            "counting": lambda below: self.scope.field(below, "counting", self.key),
            "below": self.positive("below"),
        }
        return read_mapping(SuppressModel, node, self.scope.faults, MappingShape("`suppress`", readers, key=self.key))

    def round(self, node: YamlNode) -> RoundModel | None:
        """The multiple to which counts are rounded."""
        readers: NodeReaders = {"counts_to": self.positive("counts_to")}
        return read_mapping(RoundModel, node, self.scope.faults, MappingShape("`round`", readers, key=self.key))

    def positive(self, word: str) -> Callable[[YamlNode], int | None]:
        """A reader of whole numbers from 1."""

        def read(node: YamlNode) -> int | None:
            if node.positive_integer is None:
                self.fault("P006", f"`{word}` must be a whole number from 1", node.line)
            return node.positive_integer

        return read

    def late(self, node: YamlNode) -> timedelta | None:
        """How long an event day waits for its late rows."""
        if self.policy is not None and self.policy.time is None:
            self.fault("P017", "`late` needs the event time", node.line, "Add `time: FIELD` to the policy.")
        waits = read_duration(node, self.scope, "late", self.key)
        if waits is not None and waits > LONGEST_WAIT:
            self.fault(
                "P006",
                f"`late` must be at most {LONGEST_WAIT.days}d",
                node.line,
                "Use a shorter time; a day is published when it has passed.",
            )
            return None
        return waits


UNREADABLE_POLICY = Policy(policy="", version=1, purposes=(), fields={})
"""Replaces a policy that could not be read; the loader never returns it."""


@dataclass(frozen=True, slots=True)
class PipelineReader:
    """Reads one pipeline with its policy (None if that could not be read)."""

    policy: Policy | None
    scope: DeclaredNames
    added_purposes: tuple[str, ...]

    @classmethod
    def over(
        cls, policy: Policy | None, scope: DeclaredNames, faults: FaultList, configured_purposes: tuple[str, ...]
    ) -> PipelineReader:
        """A reader that records its faults in the list of the pipeline, not in that of the policy."""
        return cls(policy, replace(scope, faults=faults), configured_purposes)

    def __call__(self, root: YamlNode, values: dict[str, Any]) -> Pipeline | None:
        """The pipeline, with stand-ins where there are faults."""
        records = root.entries.get("records")
        wants_none = "aggregates" in root.entries if records is None else records.value is False
        source = SourceModel(path="", format=next(iter(FORMATS)))
        stand_ins = {"pipeline": "", "purpose": "", "output": "", "source": source}
        policy = UNREADABLE_POLICY if self.policy is None else self.policy
        values = values | {"lines": dict(root.key_lines()), "policy": policy}
        hidden = frozenset({"path", "digest", "lines", "demanded"})
        shape = MappingShape("a pipeline", self.readers(policy), values, stand_ins | values, hidden=hidden)
        pipeline = read_mapping(Pipeline, root, self.scope.faults, shape)
        self.named_policy(root)
        if pipeline is None:
            return None
        self.place(pipeline.output, root.descend(["output"]))
        pipeline = pipeline.model_copy(update={"records": None}) if wants_none else pipeline
        self.check(pipeline, root)
        return pipeline

    def named_policy(self, root: YamlNode) -> None:
        """The pipeline names the file of its policy."""
        named = root.get("policy")
        if named is None:
            self.fault("P005", "missing key `policy` in a pipeline", 1, "Add `policy: policy.yaml`.")
        elif not isinstance(named.value, str):
            self.fault("P006", "`policy` must be the path of a file", named.line)

    def readers(self, policy: Policy) -> dict[str, Callable[[YamlNode], Any]]:
        """How the keys of a pipeline are read."""
        return {
            "pipeline": lambda node: read_name(node, "pipeline", self.scope),
            "policy": lambda node: policy,
            "purpose": self.purpose,
            "source": self.source,
            "records": self.records,
            "aggregates": self.aggregates,
            "quarantine": self.quarantine,
        }

    def purpose(self, node: YamlNode) -> str | None:
        """The purpose of every run: known, and listed by the policy."""
        if not isinstance(node.value, str):
            self.fault("P006", "`purpose` must be one purpose", node.line)
            return None
        if not check_purpose(node.value, self.added_purposes, self.scope.faults, node.line):
            return None
        listed = None if self.policy is None else self.policy.purposes
        if listed and node.value not in listed:
            hint = did_you_mean(node.value, listed)
            self.fault("P008", f"the policy does not list the purpose `{node.value}`", node.line, hint)
            return None
        return node.value

    def source(self, node: YamlNode) -> SourceModel | None:
        """The source of the records; `{date}` is the only placeholder."""
        source = read_mapping(SourceModel, node, self.scope.faults, MappingShape("`source`", {"having": self.names}))
        if source is not None and (source.recipient is None) != (source.function is None):
            present, missing = ("function", "recipient") if source.recipient is None else ("recipient", "function")
            hint = f"Add `{missing}`, or remove `{present}`."
            self.fault("P005", f"`source` has `{present}` but not `{missing}`", node.descend([present]).line, hint)
            return None
        if source is not None and source.having and not source.is_received:
            hint = "Add `recipient` and `function`, or remove `having`."
            self.fault(
                "P018", "`having` is only valid in a source with `recipient`", node.descend(["having"]).line, hint
            )
        odd = [] if source is None else [name for name in re.findall(r"\{(.*?)\}", source.path) if name != "date"]
        for name in odd:
            self.fault(
                "P006", f"unknown placeholder {{{name}}} in `path`; only {{date}} is valid", node.descend(["path"]).line
            )
        sound = source is None or self.place(source.path, node.descend(["path"]))
        return source if sound and not odd else None

    def names(self, node: YamlNode) -> tuple[str, ...] | None:
        """A list of names."""
        if node.is_list and all(isinstance(item.value, str) for item in node.items):
            return tuple(str(item.value) for item in node.items)
        self.fault("P006", "`having` must be a list of names", node.line)
        return None

    def place(self, text: str, node: YamlNode) -> bool:
        """Whether a path is valid; the URI of a store must not contain a secret."""
        wrong = location_error(text)
        if wrong is not None:
            self.fault("P006", wrong.message, node.line, wrong.hint)
        return wrong is None

    def records(self, node: YamlNode) -> RecordsModel | None:
        """The records output. The caller handles `false` (no records)."""
        if isinstance(node.value, bool):
            return RecordsModel()
        readers: NodeReaders = {
            "partition_by": lambda below: self.fields(below, "partition_by"),
            "collect_if": ConditionReader(self.scope),
            "deduplicate": self.deduplicate,
            "encrypt": lambda below: read_encrypt(below, self.scope),
        }
        records = read_mapping(RecordsModel, node, self.scope.faults, MappingShape("`records`", readers))
        per = None if records is None or records.encrypt is None else records.encrypt.per
        if records is not None and per is not None and per not in records.partition_by:
            message = f"keys for each `{per}` need a folder for each value"
            self.fault("P020", message, node.descend(["encrypt"]).line, f"Add `partition_by: [{per}]`.")
            return None
        return records

    def deduplicate(self, node: YamlNode) -> DeduplicateModel | None:
        """The fields by which records of a day count as duplicates."""
        if self.policy is not None and self.policy.time is None:
            self.fault("P017", "`deduplicate` needs the event time", node.line, "Add `time: FIELD` to the policy.")
        readers: NodeReaders = {"by": lambda below: self.fields(below, "by")}
        return read_mapping(DeduplicateModel, node, self.scope.faults, MappingShape("`deduplicate`", readers))

    def fields(self, node: YamlNode, what: str) -> tuple[str, ...] | None:
        """A list of fields."""
        found = [self.scope.field(item, what) for item in node.items]
        if not found:
            self.fault("P006", f"`{what}` must be a list of fields", node.line)
            return None
        good = tuple(key for key in found if key is not None)
        return good if len(good) == len(found) else None

    def quarantine(self, node: YamlNode) -> QuarantineModel | None:
        """Shares of the rows read."""
        model = read_mapping(QuarantineModel, node, self.scope.faults, MappingShape("`quarantine`"))
        for word in ("fail_above", "stop_above"):
            share = None if model is None else getattr(model, word)
            if share is not None and not 0 <= share <= 1:
                self.fault("P006", f"`{word}` must be a share of the rows, from 0 to 1", node.descend([word]).line)
                return None
        return model

    def aggregates(self, node: YamlNode) -> dict[str, AggregateModel] | None:
        """The aggregates, by name."""
        if not node.is_mapping:
            self.fault("P006", "`aggregates` must be a mapping of names", node.line)
            return None
        found = {name: AggregateReader(self.scope, name, self.policy)(below) for name, below in node.entries.items()}
        return {name: model for name, model in found.items() if model is not None}

    def check(self, pipeline: Pipeline, root: YamlNode) -> None:
        """A pipeline writes something."""
        if pipeline.records is None and root.get("aggregates") is None:
            self.fault("P005", "the pipeline writes neither records nor aggregates", root.descend(["records"]).line)

    def fault(self, code: str, message: str, line: int | None, hint: str = "") -> None:
        """Records a fault of the pipeline."""
        self.scope.faults.add(code, message, line=line, hint=hint)
