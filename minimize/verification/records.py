"""Checks of records: columns and metadata, each value by condition and form, counts against the receipt."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from typing import Any, Final

import pyarrow as pa
import pyarrow.parquet as pq

from minimize.arrow.pointers import STAR, Pointer
from minimize.errors import Finding
from minimize.receipts import Receipt
from minimize.verification.evidence import Evidence, EvidenceFile, EvidenceRun, new_finding
from minimize.verification.files import open_file, read_schema
from minimize.verification.policy_reading import FieldView, PolicyView
from minimize.verification.rules import (
    RULES,
    ColumnContext,
    RuleUnavailable,
    StepView,
    ValueRule,
    chain_rule,
    may_identify,
    may_locate,
    output_family,
    type_family,
)
from minimize.verification.values import (
    RareValues,
    RetentionCounter,
    condition_fields,
    condition_holds,
    count_noncanonical,
    distinct_rows,
    ids_shown_as_is,
    leaf_values,
    schema_leaves,
    top_fields,
)

_KEY_FAMILIES: Final = ("string", "integer", "double", "decimal", "boolean", "timestamp", "date", "binary")
"""Possible types of map keys. The policy does not declare their type; they have the type of the source."""
_PLAIN_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_-]{0,63}")
_CATEGORY_ORDER: Final = ("aggregated", "pseudonymized", "identified")


def check_columns(
    schema: pa.Schema, hive: frozenset[str], policy: PolicyView, receipt: Receipt, place: str
) -> Iterator[Finding]:
    """V020 to V024 for one file. `hive`: the columns in its path."""
    types_by_pointer = dict(schema_leaves(schema, released_fields(policy).keys()))
    for pointer, type_ in types_by_pointer.items():
        view = policy.fields.get(pointer)
        if view is None:
            yield new_finding(
                "V020", "the policy does not declare this column", file=place, field=_masked_pointer(pointer, policy)
            )
        elif not view.chains:
            yield new_finding("V021", "the policy drops this column", file=place, field=view.key)
        else:
            yield from _type_findings(view, type_, place)
            yield from _metadata_findings(view, schema.field(pointer.top), receipt, place)
    yield from _folder_findings(hive, policy, place)
    for pointer, view in released_fields(policy).items():
        if pointer not in types_by_pointer and not view.optional and pointer.top not in hive:
            yield new_finding(
                "V022", "the policy releases this column, but the file does not have it", file=place, field=view.key
            )


def _masked_pointer(pointer: Pointer, policy: PolicyView) -> str:
    """An undeclared path. Parts that do not look like a name become a star, because they could be values."""
    declared = {
        declared_pointer.parts[:length]
        for declared_pointer in policy.fields
        for length in range(1, len(declared_pointer.parts) + 1)
    }
    parts = [
        part
        if not isinstance(part, str) or pointer.parts[: place + 1] in declared or _PLAIN_NAME.fullmatch(part)
        else STAR
        for place, part in enumerate(pointer.parts)
    ]
    return str(Pointer(tuple(parts)))


def _folder_findings(hive: frozenset[str], policy: PolicyView, place: str) -> Iterator[Finding]:
    """Columns in the path of a file. Only plain, kept fields are allowed, because folder names are widely visible."""
    for name in sorted(hive):
        view = policy.fields.get(Pointer((name,)))
        if view is None:
            yield new_finding(
                "V020",
                "a folder name contains a field that is not declared",
                file=place,
                field=_masked_pointer(Pointer((name,)), policy),
            )
        elif not view.is_kept_as_is or view.role != "plain":
            yield new_finding(
                "V021", "a folder name contains a field that is not plain and kept unchanged", file=place, field=name
            )


def check_category(category: str, schema: pa.Schema, policy: PolicyView, place: str) -> Iterator[Finding]:
    """V025: columns and the records output state at least their actual category."""
    for pointer, view in released_fields(policy).items():
        if pointer.top not in schema.names or not _is_identified(view):
            continue
        if category != "identified":
            yield new_finding(
                "V025", f"the column is identified, but the output only {category}", file=place, field=view.key
            )
        if _metadata_value(schema.field(pointer.top), view, "category") != "identified":
            yield new_finding(
                "V025", "the column is identified, but its metadata says otherwise", file=place, field=view.key
            )
    if category not in _CATEGORY_ORDER[1:]:
        yield new_finding("V025", "the category of records must be pseudonymized or identified", file=place)


def released_fields(policy: PolicyView) -> Mapping[Pointer, FieldView]:
    """The released fields under the purpose of the run."""
    return {pointer: view for pointer, view in policy.fields.items() if view.chains}


def _is_identified(view: FieldView) -> bool:
    """Whether a person can be recognized from the released form of a field, or reached or found by it."""
    if view.role == "free_text":
        return True
    kept = any(all(map(may_identify, chain)) for chain in view.chains)
    names = [name for name in map(_name, view.personal) if not _MEASURED.match(name)]
    if kept and (view.role == "identifier" or any(map(_REACHES.search, names))):
        return True
    coordinate = any(map(_COORDINATE.search, names))
    located = any(all(may_locate(step, coordinate=coordinate) for step in chain) for chain in view.chains)
    return located and bool(view.personal)


_REACHES: Final = re.compile(r"(?:^|_)(?:e?mail(?:_address)?|(?:tele)?phone(?:_number)?|(?:home|postal|org)_address)$")
"""Names of e-mail addresses, telephone numbers and postal addresses."""
_MEASURED: Final = re.compile(r"(?:avg|count|has|is|max|min|num|total)_")
_COORDINATE: Final = re.compile(r"(?:^|_)(?:lat|latitude|lon|lng|longitude|gps)$")


def _name(pointer: Pointer) -> str:
    """The last part of a path in lower case, its words joined by underscores."""
    last = next((part for part in reversed(pointer.parts) if isinstance(part, str)), "")
    return re.sub(r"[^a-z0-9]+", "_", re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", last).lower())


def _type_findings(view: FieldView, type_: pa.DataType, place: str) -> Iterator[Finding]:
    came = (type_family(type_), *_KEY_FAMILIES) if view.pointer.is_keys else (view.type,)
    expected_families = {output_family(chain, family) for chain in view.chains for family in came}
    if type_family(type_) not in expected_families:
        yield new_finding(
            "V023",
            f"the type is {type_}, but must be {' or '.join(sorted(expected_families))}",
            file=place,
            field=view.key,
        )
    narrow = any(chain[-1].technique in ("age", "size") for chain in view.chains)
    if narrow and type_ != pa.int32():
        yield new_finding("V023", f"the type is {type_}, but must be int32", file=place, field=view.key)
    if view.type.startswith("decimal(") and pa.types.is_decimal(type_):
        precision, scale = (int(part) for part in view.type[8:-1].split(","))
        if type_.scale > scale or type_.precision - type_.scale > precision - scale:
            yield new_finding("V023", f"the type is {type_}, but must be {view.type}", file=place, field=view.key)


def _metadata_findings(view: FieldView, column: pa.Field, receipt: Receipt, place: str) -> Iterator[Finding]:
    technique = _metadata_value(column, view, "technique")
    if technique != ",".join(view.techniques):
        yield new_finding("V024", "the metadata does not name the technique", file=place, field=view.key)
    if any(step.technique in RULES and RULES[step.technique].keyed for chain in view.chains for step in chain):
        keys = (_metadata_value(column, view, "key") or "").split(",")
        if not set(keys) <= set(receipt.keys):
            yield new_finding("V024", "the metadata does not name a key of the receipt", file=place, field=view.key)
    if not _metadata_value(column, view, "category"):
        yield new_finding("V024", "the metadata does not name a category", file=place, field=view.key)


def _metadata_value(column: pa.Field, view: FieldView, what: str) -> str | None:
    metadata = column.metadata or {}
    name = f"minimize:{what}" if view.pointer.is_flat else f"minimize:{what}{view.pointer}"
    value = metadata.get(name.encode())
    return None if value is None else value.decode()


@dataclass(slots=True)
class FieldJudge:
    """Checks one field: which branches may have treated a value, and whether it has the form of one of them."""

    view: FieldView
    policy: PolicyView
    place: ColumnContext
    _misshapen: int = 0
    _not_allowed: int = 0
    _rules: list[ValueRule | None] = field(default_factory=list)
    _missing: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        for branch in self.view.branches:
            self._rules.append(None if branch.chain is None else self._rule(branch.chain))

    def unchecked(self, place: str) -> Iterator[Finding]:
        """Findings about files that the rules need and that are missing."""
        for name in dict.fromkeys(self._missing):
            message = f"`{name}` is not stored with the receipt, or has no rule"
            yield new_finding("V034", message, file=place, field=self.view.key)

    def findings(self, place: str) -> Iterator[Finding]:
        """Findings since the last call."""
        if self._misshapen:
            words = ", ".join(self.view.techniques)
            message = f"{self._misshapen} distinct values do not have the form of {words}"
            yield new_finding("V030", message, file=place, field=self.view.key)
        if self._not_allowed:
            message = f"{self._not_allowed} distinct values are present although a condition does not hold"
            yield new_finding("V031", message, file=place, field=self.view.key)
        self._misshapen = self._not_allowed = 0

    def add_batch(self, batch: pa.RecordBatch, leaves: Mapping[Pointer, pa.DataType]) -> None:
        """Add one batch."""
        leaf = leaf_values(batch, self.view.pointer)
        deciding_pointers = [pointer for pointer in self._deciding_fields() if pointer in leaves]
        deciding = [leaf_values(batch, pointer).values.take(leaf.rows) for pointer in deciding_pointers]
        if pa.types.is_list(leaf.values.type) or pa.types.is_map(leaf.values.type):
            return
        for value, *shown in distinct_rows([leaf.values, *deciding]):
            self._judge(value, self._certain(dict(zip(deciding_pointers, shown, strict=True))))

    def _rule(self, chain: Sequence[StepView]) -> ValueRule:
        try:
            return chain_rule(chain, self.place)
        except RuleUnavailable as lacking:
            self._missing.append(str(lacking))
        return lambda value: True

    def _deciding_fields(self) -> list[Pointer]:
        """The fields that decide about this one and that the output has unchanged."""
        conditions = [self.view.collect_if, *(branch.when for branch in self.view.branches)]
        pointers = {pointer for condition in conditions if condition for pointer in condition_fields(condition)}
        views = released_fields(self.policy)
        return sorted(
            (each for each in pointers if not each.stars and each in views and views[each].is_kept_as_is), key=str
        )

    def _certain(self, shown: Mapping[Pointer, Any]) -> dict[Pointer, Any]:
        """Values that are certainly those that conditions read. A null of a gated field may have been a value."""
        fields = self.policy.fields
        return {each: value for each, value in shown.items() if value is not None or not fields[each].is_gated}

    def _judge(self, value: Any, shown: Mapping[Pointer, Any]) -> None:
        if self.view.collect_if and condition_holds(self.view.collect_if, shown) is False:
            self._not_allowed += 1
            return
        rules = [rule for rule in self._candidates(shown) if rule is not None]
        if not rules:
            self._not_allowed += 1
        elif not any(rule(value) for rule in rules):
            self._misshapen += 1

    def _candidates(self, shown: Mapping[Pointer, Any]) -> Iterator[ValueRule | None]:
        """The rules of the branches that may apply: up to the first whose condition certainly holds."""
        for branch, rule in zip(self.view.branches, self._rules, strict=True):
            outcome = True if branch.when is None else condition_holds(branch.when, shown)
            if outcome is not False:
                yield rule
            if outcome:
                return


@dataclass(slots=True)
class ShownCounts:
    """Counts of released values of one run's records, over all its files in force."""

    run: EvidenceRun
    policy: PolicyView
    files: int = 0
    shown: Counter[Pointer] = field(default_factory=Counter)

    def add(self, files: int, shown: Mapping[Pointer, int]) -> None:
        """Add the counts of some files."""
        self.files += files
        self.shown.update(shown)

    def contradictions(self) -> Iterator[Finding]:
        """V032, if all files of the run are still in force."""
        receipt = self.run.receipt
        if not self.run.is_first or self.files != len(receipt.outputs["records"].files):
            return
        for pointer, shown in self.shown.items():
            view = self.policy.fields[pointer]
            counted = receipt.fields.get(view.key)
            if counted is None or counted.values is None:
                continue
            due = counted.values - (counted.gated or 0) - (counted.unparsable or 0) - (counted.dropped or 0)
            if shown > due or (shown < due and not _may_be_missing(view)):
                message = f"the file has {shown} values, but the receipt counts {due}"
                yield new_finding("V032", message, file=self.run.place, field=view.key)


def _may_be_missing(view: FieldView) -> bool:
    """Whether a counted value may be missing. The key of a map is removed with the values that a gate removes."""
    return view.pointer.is_keys or any(_may_lose(step) for chain in view.chains for step in chain)


def _may_lose(step: StepView) -> bool:
    """Whether a step may return null for a value, as open-ended bins do."""
    has_open_ends = step.technique == "bin" and "edges" in step.parameters
    return has_open_ends or (step.technique in RULES and RULES[step.technique].may_lose)


RECORDS: Final = "records"
_BATCH_ROWS: Final = 1 << 17


def check_records(evidence: Evidence) -> Iterator[Finding]:
    """V020 to V035 for every file of the records in force, partition by partition, under the run that wrote it."""
    files = [standing for standing in evidence.files if standing.name == RECORDS]
    counts_by_run: dict[str, ShownCounts] = {}
    for _, group in groupby(files, key=lambda file: (file.root, file.run.receipt.run_id)):
        partition = list(group)
        run = partition[0].run
        if run.policy is not None:
            judged = _PartitionCheck(evidence, run, run.policy)
            yield from judged.check(partition)
            counts_by_run.setdefault(run.receipt.run_id, ShownCounts(run, run.policy)).add(
                len(partition) - judged.closed, judged.shown
            )
    for counts in counts_by_run.values():
        yield from counts.contradictions()


@dataclass(slots=True)
class _PartitionCheck:
    """Checks the records of one date and run, with one check per field, because some rules need all values of a date."""

    evidence: Evidence
    run: EvidenceRun
    policy: PolicyView
    judges: dict[Pointer, FieldJudge] = field(default_factory=dict)
    rare: dict[Pointer, RareValues] = field(default_factory=dict)
    shown: Counter[Pointer] = field(default_factory=Counter)
    closed: int = 0
    """Number of files whose values could not be read."""

    def check(self, files: Sequence[EvidenceFile]) -> Iterator[Finding]:
        """Findings about these files."""
        risk = self.run.receipt.risk
        is_complete = risk is None or not risk.suppressed  # a bound removed records after the values were counted
        if self.run.is_first and is_complete:  # rare values are decided once, over all rows of a date
            kept = self.policy.subject in set(ids_shown_as_is(self.policy))
            self.rare = {view.pointer: RareValues(step, is_kept=kept) for view, step in top_fields(self.policy)}
        for standing in files:
            schema, file = read_schema(self.evidence, standing), open_file(self.evidence, standing)
            if schema is not None:
                yield from self._schema(schema, standing)
            if file is not None:
                yield from self._values(file, standing.file.path)
            self.closed += file is None
        for pointer, rare_values in self.rare.items():
            if rare_values.count() and not self.closed:
                message = f"{rare_values.count()} values have fewer subjects than `at_least`"
                yield new_finding("V033", message, file=files[0].root, field=self.policy.fields[pointer].key)

    def _schema(self, schema: pa.Schema, file: EvidenceFile) -> Iterator[Finding]:
        receipt, place = self.run.receipt, file.file.path
        yield from check_columns(schema, file.hive, self.policy, receipt, place)
        yield from check_category(receipt.outputs[RECORDS].category, schema, self.policy, place)
        for pointer, type_ in self._leaves(schema).items():
            if pointer not in self.judges:
                judge = FieldJudge(self.policy.fields[pointer], self.policy, ColumnContext(type_, self.run.folder))
                self.judges[pointer] = judge
                yield from judge.unchecked(self.run.place)

    def _values(self, file: pq.ParquetFile, place: str) -> Iterator[Finding]:
        leaves = self._leaves(file.schema_arrow)
        retention = RetentionCounter(self.policy, self.run.retention or self.policy, self.run.receipt.at)
        past = ahead = 0
        outlived: Counter[Pointer] = Counter()
        ids, strange = leaves.keys() & set(ids_shown_as_is(self.policy)), Counter[Pointer]()
        subject = self.policy.subject if self.policy.subject in leaves else None
        for batch in file.iter_batches(_BATCH_ROWS):
            past += retention.count_past(batch, leaves)
            ahead += retention.count_future(batch, leaves) if self.run.limits_future else 0
            outlived.update(retention.count_outlived(batch, leaves))
            for pointer in leaves:
                values = leaf_values(batch, pointer).values
                self.shown[pointer] += len(values) - values.null_count
                self.judges[pointer].add_batch(batch, leaves)
            strange.update({pointer: count_noncanonical(leaf_values(batch, pointer).values) for pointer in ids})
            for pointer in leaves.keys() & self.rare.keys():
                self.rare[pointer].add_batch(batch, pointer, subject)
        for pointer in leaves:
            yield from self.judges[pointer].findings(place)
        if past:
            yield new_finding("V035", f"{past} distinct times are older than the retention of the policy", file=place)
        if ahead:
            yield new_finding("V037", f"{ahead} distinct times are later than the policy's `future` allows", file=place)
        for pointer, count in (+strange).items():
            message = f"{count} values are not in canonical form"
            yield new_finding("V038", message, file=place, field=self.policy.fields[pointer].key)
        for pointer, count in outlived.items():
            message = f"{count} values are older than the retention of their feature"
            yield new_finding("V036", message, file=place, field=self.policy.fields[pointer].key)

    def _leaves(self, schema: pa.Schema) -> dict[Pointer, pa.DataType]:
        views = released_fields(self.policy)
        return {pointer: type_ for pointer, type_ in schema_leaves(schema, views.keys()) if pointer in views}
