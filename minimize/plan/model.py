"""Model of a plan: fields, outputs, encryption, index.

Fields and their cases, aggregates, outputs; how outputs are encrypted, whether records are indexed, the plan as HTML.

Columns and outputs have a category, by how far they can be linked to a person: identified, pseudonymized or aggregated.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from fractions import Fraction
from itertools import groupby
from typing import Any, Literal

import pyarrow as pa

from minimize.aggregates.definition import AggregateDefinition, LateWindow
from minimize.arrow.pointers import Pointer
from minimize.disclosure_risk.requirement import Requirement
from minimize.errors import Finding
from minimize.forms.values import EncryptBy
from minimize.keys.parquet_encryption import column_category, has_unusable_name
from minimize.pages import Table, html_fragment
from minimize.plan.request import FieldRelease, field_releases
from minimize.policy.aggregate_forms import AggregateModel
from minimize.policy.condition import Condition
from minimize.policy.model import Field, Policy, Role
from minimize.policy.pipeline import ENCRYPTED_CATEGORIES, EncryptModel, Pipeline, stricter_encryption
from minimize.policy.risk_forms import BoundAction, RiskModel
from minimize.policy.treatments import Treatment
from minimize.records import RECORDS
from minimize.results import Line, Paragraph
from minimize.techniques import Residual, Technique, TechniqueStep
from minimize.techniques.base import RESIDUAL_ORDER, leaves_word
from minimize.text import brief_number
from minimize.times import duration_text

FieldAction = Literal["keep", "drop", "gate", "transform"]
Category = Literal["identified", "pseudonymized", "aggregated"]


@dataclass(frozen=True, slots=True)
class CaseBranch:
    """One treatment of a value: the chain of steps, or None to drop it (null in that record)."""

    when: Condition | None
    steps: tuple[TechniqueStep, ...] | None

    @property
    def keeps_value(self) -> bool:
        """Whether the value is released unchanged."""
        return self.steps is not None and all(step.changes_nothing for step in self.steps)


@dataclass(frozen=True, slots=True)
class FieldPlan:
    """The treatment of one field under this purpose: its action (`keep`, `drop`, `gate` or `transform`), techniques and residual.

    Example:
        In the folder that `minimize sample demo --out demo` makes:

        >>> import minimize
        >>> field = minimize.plan_for("pipelines/device_telemetry").fields["ip_address"]
        >>> field.action, field.technique, field.residual
        ('transform', ('truncate_ip',), 'coarse')
    """

    field: Field
    """The field of the policy."""
    pointer: Pointer
    """The place of the value in a record."""
    inputs: tuple[Pointer, ...]
    """The raw leaves that it is derived from: itself, or those of `from`."""
    takes: pa.DataType
    """The type of its raw leaf (a struct of the inputs for `from`)."""
    gives: pa.DataType | None
    """The type of its released leaf; None if it is absent from the output."""
    measured: pa.DataType | None
    """The type that aggregates see, for a field with `in_aggregates`."""
    action: FieldAction
    """`keep`, `drop`, `gate` (each record decides) or `transform`."""
    technique: tuple[str, ...]
    """The names of the techniques, in order; one after the other, or one for each case."""
    why: str
    """The reason, in words."""
    residual: Residual | None
    """What a reader can learn about a value in the worst case; None if nothing is released."""
    category: Category | None
    """How far the column can be linked to a person; None if nothing is released."""
    branches: tuple[CaseBranch, ...]
    """The cases in order: the first whose condition is true decides. The last has no condition."""

    @property
    def key(self) -> str:
        """The field's key in the policy."""
        return self.field.key

    @property
    def place(self) -> Pointer:
        """The raw leaf that has one value for each value of the field: itself, or the innermost of its inputs."""
        return max(self.inputs, key=lambda pointer: len(pointer.stars))

    @property
    def leaves(self) -> str | None:
        """The earlier word for the residual, as JSON has it under `leaves`."""
        return leaves_word(self.residual)

    @property
    def steps(self) -> tuple[TechniqueStep, ...]:
        """Every step of every branch, in order."""
        return tuple(step for branch in self.branches for step in branch.steps or ())

    @property
    def coarser_forms(self) -> tuple[Technique, ...] | None:
        """The techniques that make ever coarser forms of its released values, if a search chooses its level.

        Empty for a field with a fixed level; None if `auto` is not the last step of its only treatment.
        """
        chosen = [step for step in self.steps if step.coarser_forms]
        if not chosen:
            return ()
        treatments = [branch.steps for branch in self.branches if branch.steps is not None]
        is_last = len(treatments) == 1 and len(chosen) == 1 and treatments[0][-1] is chosen[0]
        return chosen[0].coarser_forms if is_last else None

    def to_json(self) -> dict[str, Any]:
        """The field as `plan --json` prints it."""
        words: Any = self.technique[0] if len(self.technique) == 1 else list(self.technique) or None
        return {
            "action": self.action,
            "technique": words,
            "why": self.why,
            "residual": self.residual,
            "leaves": self.leaves,
            "category": self.category,
            "role": self.field.role,
            "role_stated": self.field.stated_role is not None,
            "type": None if self.gives is None else str(self.gives),
        }


@dataclass(frozen=True, slots=True)
class AggregatePlan:
    """One table, checked: its model, what its tally needs, and how long it waits for late rows. A roll-up has no tally."""

    name: str
    model: AggregateModel
    definition: AggregateDefinition
    late: LateWindow | None = None

    @property
    def is_rollup(self) -> bool:
        """Whether it sums the shown rows of another table."""
        return self.definition.rolls_up is not None

    @property
    def figures_text(self) -> str:
        """Whether its statistics have noise or are exact, with the stated reason, for those who review it."""
        exact = self.model.exact
        return "statistics have noise" if exact is None else f"statistics are exact (reason: {exact.because})"


@dataclass(frozen=True, slots=True)
class OutputPlan:
    """One output: its category and its schema."""

    category: Category
    schema: pa.Schema


@dataclass(frozen=True, slots=True)
class RiskPlan:
    """The bound on the disclosure risk of the records, checked: what it reads of a batch, and what it requires."""

    model: RiskModel
    quasi_identifiers: tuple[str, ...]
    """The keys of the fields that make the combinations, in the order of the pipeline."""
    sensitive: tuple[str, ...]
    person: Pointer | None
    """The raw leaf whose distinct values are the persons; None if rows are counted."""
    folds_case: bool
    """Whether subjects that differ only in case are one person."""
    requirement: Requirement
    levelled: tuple[str, ...] = ()
    """The quasi-identifiers whose level the search chooses."""
    is_removal: bool = False
    """Whether the run removes data. It is never refused: records that miss the bound are removed with it."""

    @property
    def action(self) -> BoundAction:
        """What becomes of records that miss the bound."""
        return "suppress" if self.is_removal and self.model.otherwise == "refuse" else self.model.otherwise

    @property
    def needs_first_pass(self) -> bool:
        """Whether all records must be counted before the first is written."""
        return self.action != "refuse"

    @property
    def suppress_at_most(self) -> Fraction:
        """The share of the records that may be removed, as it is written."""
        return (
            Fraction(1) if self.action == "suppress" and self.is_removal else Fraction(str(self.model.suppress_at_most))
        )


def as_removal(plan: Plan) -> Plan:
    """The plan of a run that removes data, whose bound on disclosure risk refuses nothing."""
    return plan if plan.risk is None else replace(plan, risk=replace(plan.risk, is_removal=True))


@dataclass(frozen=True, slots=True, repr=False)
class Plan:
    """A policy bound to a schema and a purpose: what a run would do with each field. `plan_for` makes one, without reading data.

    Print its `lines`, or show it in a notebook. Its `digest` is in the receipt of each run.

    Example:
        In the folder that `minimize sample demo --out demo` makes:

        >>> import minimize
        >>> plan = minimize.plan_for("pipelines/device_telemetry")
        >>> plan.fields["device_id"].residual, plan.fields["device_id"].category, plan.outputs["records"].category
        ('linkable', 'pseudonymized', 'pseudonymized')
    """

    policy: Policy
    """The policy."""
    pipeline: Pipeline | None
    """The pipeline; None for a plan for data in memory."""
    purpose: str | None
    """The purpose."""
    source: pa.Schema
    """The schema of the source, as far as it is read."""
    fields: Mapping[str, FieldPlan]
    """The treatment of each field, by its key."""
    aggregates: Mapping[str, AggregatePlan]
    """The tables of aggregates, by name."""
    outputs: Mapping[str, OutputPlan]
    """The category and the schema of each output, by name."""
    risk: RiskPlan | None
    """The bound on the disclosure risk of the records."""
    keys: frozenset[str]
    """The names of the keys that a run needs."""
    reveals: Mapping[str, str]
    """Per field with a condition, and under `records` for whole records: what the outcome reveals."""
    digest: str
    """`sha256:` of the plan's JSON: equal plans have equal digests."""

    def __repr__(self) -> str:
        return f"Plan({self.policy.policy} version {self.policy.version} for {self.purpose}, {len(self.fields)} fields)"

    def to_json(self) -> dict[str, Any]:
        """The plan as `plan --json` prints it."""
        released = self.releases
        outputs: dict[str, dict[str, str]] = {
            name: {"category": output.category} for name, output in self.outputs.items()
        }
        if self.pipeline is not None and "records" in outputs:
            outputs["records"] |= {"index": plan_subject_index(self).explanation}
        for name in outputs:
            words = describe_encryption(self, name)
            outputs[name] |= {"encrypt": words} if words else {}
        for name, span in self.own_retentions.items():
            outputs[name] |= {"retention": duration_text(span)}
        for name in self.aggregates:
            outputs[name] |= {"statistics": (text := describe_noise(self, name)), "figures": text}
        if self.risk is not None and RECORDS in outputs:
            outputs[RECORDS] |= {"risk": self.risk.model.text}
        return {
            "policy": {"name": self.policy.policy, "version": self.policy.version, "digest": self.policy.digest},
            "purpose": self.purpose,
            "fields": {key: field.to_json() | {"outputs": released[key].outputs} for key, field in self.fields.items()},
            "outputs": outputs,
            "keys": sorted(self.keys),
            "reveals": dict(self.reveals),
            "digest": self.digest,
        }

    def lines(self) -> Iterator[Line]:
        """The fields, the outputs with their category, and what conditions reveal."""
        yield _title(self)
        released = self.releases
        if self.deciding_function is not None:
            recipient, function = self.deciding_function
            yield Paragraph(f"a record is kept only if its tenant has turned on {function} of {recipient}", "  ")
        fields = [
            (
                key,
                each.field.stated_role or "–",
                each.action,
                each.residual or "–",
                _treatment_text(each, released[key]),
            )
            for key, each in self.fields.items()
        ]
        yield Table("", ("field", "role", "action", "residual", "treatment and reason"), fields)
        for name, output in self.outputs.items():
            yield f"{name}: {output.category}"
            about = [", ".join(output.schema.names)]
            about += [plan_subject_index(self).explanation] if name == "records" and self.pipeline is not None else []
            about += [describe_noise(self, name) if name in self.aggregates else ""]
            about += [describe_encryption(self, name)]
            about += [self.risk.model.text] if name == RECORDS and self.risk is not None else []
            about += [f"kept for {duration_text(self.own_retentions[name])}"] if name in self.own_retentions else []
            yield from (Paragraph(each, "  ") for each in about if each)
        if self.reveals:
            yield from ("", "the presence of a value or record reveals:")
        for what, keys in groupby(sorted(self.reveals, key=self.reveals.__getitem__), self.reveals.__getitem__):
            yield Paragraph(f"{', '.join(keys)}: {what}", "  ")
        if self.keys:
            yield from ("", f"keys needed: {', '.join(sorted(self.keys))}")

    @property
    def deciding_function(self) -> tuple[str, str] | None:
        """The third party and its function whose authorization by tenants decides on each record; None if none decides."""
        return None if self.pipeline is None else self.pipeline.source.deciding_function

    @property
    def releases(self) -> Mapping[str, FieldRelease]:
        """The release of each field."""
        return field_releases(self)

    @property
    def own_retentions(self) -> Mapping[str, timedelta]:
        """The retention of each planned aggregate that has its own."""
        spans = {} if self.pipeline is None else self.pipeline.own_retentions
        return {name: span for name, span in spans.items() if name in self.outputs}

    def _repr_html_(self) -> str:
        return plan_html(self)


NO_ENCRYPTION = EncryptModel()


def planned_encryption(plan: Plan, name: str) -> EncryptModel:
    """The encryption of an output: as set in the pipeline, else the default of `minimize.yaml`."""
    job = plan.pipeline
    if job is None:
        return NO_ENCRYPTION
    stated = _stated_encryption(plan, name)
    return EncryptModel(by=job.encryption.implied) if stated is None else stated


def encrypted_columns(plan: Plan, name: str) -> list[pa.Field]:
    """The columns in an output's files that are encrypted. Partition columns are in the names of folders, not in the files."""
    records = None if plan.pipeline is None else plan.pipeline.records
    folders = records.partition_by if name == "records" and records is not None else ()
    categories = ENCRYPTED_CATEGORIES[planned_encryption(plan, name).by]
    schema = plan.outputs[name].schema
    return [field for field in schema if field.name not in folders and column_category(field) in categories]


def describe_encryption(plan: Plan, name: str) -> str:
    """The encryption of an output in words; empty if it is not encrypted."""
    encrypt, fields = planned_encryption(plan, name), encrypted_columns(plan, name)
    if not fields:
        return "encrypted by category: aggregated columns are not encrypted" if encrypt.by == "by_category" else ""
    per = f", separate for each {encrypt.per}" if encrypt.per else ""
    keys = " and ".join(sorted({column_category(field) for field in fields}))
    columns = ", ".join(field.name for field in fields)
    return f"{_ENCRYPTED[encrypt.by]} ({keys} keys{per}): {columns}; `SELECT *` needs the keys"


def describe_noise(plan: Plan, name: str) -> str:
    """The noise of the statistics of an aggregate in words, or the reason for which they are exact."""
    aggregate = plan.aggregates[name]
    terms, model, finer_table = aggregate.definition.noise, aggregate.model, aggregate.definition.rolls_up
    if finer_table is not None:
        return f"statistics are sums over the rows of {finer_table} that are shown; a subject in several rows counts in each"
    if terms is None:
        return f"statistics are exact, because: {'' if model.exact is None else model.exact.because}"
    size, below = brief_number(float(terms.total_sd)), model.suppress.below
    rows = f"a row is shown if {below} subjects are in it, and {below + terms.margin} or more by the noisy number"
    return f"statistics have noise: a number of subjects has a standard deviation of {size}; {rows}"


_ENCRYPTED: Mapping[EncryptBy, str] = {
    "identified": "identified columns are encrypted",
    "by_category": "encrypted by category",
}


def encryption_refusals(plan: Plan) -> Iterator[tuple[str, tuple[str, ...]]]:
    """The outputs that the pipeline encrypts less than `minimize.yaml` requires, with the responsible key."""
    required: EncryptBy = "off" if plan.pipeline is None else plan.pipeline.encryption.required
    for name in plan.outputs:
        stated = _stated_encryption(plan, name)
        if stated is not None and stricter_encryption(stated.by, required) != stated.by:
            yield name, ("records", "encrypt") if name == "records" else ("aggregates", name, "encrypt")


def unencrypted_identified_columns(plan: Plan) -> list[str]:
    """The identified columns of the records that would be written unencrypted, although no `encrypt` line says so."""
    job = plan.pipeline
    if job is None or job.encryption.is_stated or RECORDS not in plan.outputs:
        return []
    if _stated_encryption(plan, RECORDS) is not None:
        return []
    return [field.name for field in plan.outputs[RECORDS].schema if column_category(field) == "identified"]


def encryption_faults(plan: Plan) -> Iterator[Finding]:
    """P117: columns that should be encrypted, but whose names Arrow cannot encrypt."""
    for name in plan.outputs:
        for field in encrypted_columns(plan, name):
            if has_unusable_name(field):
                path = None if plan.pipeline is None else plan.pipeline.path
                yield Finding(
                    "P117",
                    "Arrow cannot encrypt a column with this name",
                    hint="Rename it: names must not contain `,`, `;` or `:`, or start or end with a space.",
                    file=None if path is None else str(path),
                    field=field.name,
                )


def _stated_encryption(plan: Plan, name: str) -> EncryptModel | None:
    job = plan.pipeline
    if job is None or (name == "records" and job.records is None):
        return None
    if name == "records" and job.records is not None:
        return job.records.encrypt
    encryption = job.tables[name].encrypt
    return None if encryption is None else EncryptModel(by=encryption)


@dataclass(frozen=True, slots=True)
class SubjectIndexPlan:
    """The path of the indexed column; None without an index. The explanation states the reason."""

    subject: Pointer | None
    explanation: str


def plan_subject_index(plan: Plan) -> SubjectIndexPlan:
    """The subject index of a plan's records.

    Records have an index if the policy names a subject whose field is released as text, whole numbers or bytes, unless the
    pipeline has `records: {index: false}`.
    """
    reason = _index_obstacle(plan)
    field = plan.fields.get(plan.policy.subject or "")
    if reason or field is None:
        return SubjectIndexPlan(None, f"no index: {reason}")
    return SubjectIndexPlan(field.pointer, f"an encrypted index by {field.key}; reading it needs the keyring")


def _index_obstacle(plan: Plan) -> str:
    records = None if plan.pipeline is None else plan.pipeline.records
    field = plan.fields.get(plan.policy.subject or "")
    if records is None or "records" not in plan.outputs:
        return "no records are written"
    if not records.index:
        return "the pipeline has `index: false`"
    if field is None:
        return "the policy names no subject"
    if field.gives is None:
        return f"{field.key} is not released"
    if field.key in records.partition_by:
        return f"the records of each {field.key} have their own folder"
    return "" if _is_indexable(field) else f"{field.key} is released as {field.gives}"


def _is_indexable(field: FieldPlan) -> bool:
    tests = (pa.types.is_string, pa.types.is_large_string, pa.types.is_integer, pa.types.is_binary)
    return any(test(field.gives) for test in (*tests, pa.types.is_large_binary))


_FIELD_HEADINGS = (
    *("field", "role", "action", "released in", "technique", "residual", "category", "what happens, and why"),
)


def plan_html(plan: Plan) -> str:
    """The plan as HTML, every text escaped: the fields, the outputs, what conditions reveal."""
    released = plan.releases
    index = plan_subject_index(plan).explanation if plan.pipeline is not None and "records" in plan.outputs else ""
    encrypted = [f"{name}: {words}" for name in plan.outputs if (words := describe_encryption(plan, name))]
    noise = [f"{name}: {describe_noise(plan, name)}" for name in plan.aggregates]
    kept = [f"{name}: kept for {duration_text(span)}" for name, span in plan.own_retentions.items()]
    keys = f"keys needed: {', '.join(sorted(plan.keys))}" if plan.keys else ""
    outputs = [(name, output.category, ", ".join(output.schema.names)) for name, output in plan.outputs.items()]
    return html_fragment(
        _title(plan),
        Table("fields", _FIELD_HEADINGS, [_field_cells(field, released[key]) for key, field in plan.fields.items()]),
        Table("outputs", ("output", "category", "columns"), outputs),
        Table("what the presence of a value (or record) reveals", ("field", "reveals"), [*plan.reveals.items()]),
        f"records: {index}" if index else "",
        *noise,
        *encrypted,
        *kept,
        keys,
    )


def _title(plan: Plan) -> str:
    return f"{plan.policy.policy} version {plan.policy.version}, purpose {plan.purpose or '(none)'}"


def _treatment_text(field: FieldPlan, release: FieldRelease) -> str:
    """Treatment and reason, and where the values leave if it is not in the records."""
    if release.state == "statistics":
        return f"{field.why}; only in {release}"
    return f"{field.why}; in no output" if field.gives is not None and release.state != "records" else field.why


def _field_cells(field: FieldPlan, release: FieldRelease) -> Sequence[str]:
    technique = " → ".join(field.technique)
    return (
        field.key,
        field.field.stated_role or "–",
        field.action,
        str(release),
        technique,
        field.residual or "–",
        field.category or "",
        field.why,
    )


def case_branches(field: Field) -> tuple[CaseBranch, ...]:
    """The cases in order, then what happens otherwise; one unconditional branch for a field without cases."""
    if not field.cases:
        return (CaseBranch(None, _chain_steps(field.do)),)
    return (
        *(CaseBranch(case.when, _chain_steps(case.do)) for case in field.cases),
        CaseBranch(None, _chain_steps(field.otherwise)),
    )


def _chain_steps(do: Treatment) -> tuple[TechniqueStep, ...] | None:
    return None if do == "drop" else do


CATEGORY_ORDER: tuple[Category, ...] = ("aggregated", "pseudonymized", "identified")


def least_revealing(chain: Iterable[Residual]) -> Residual:
    """The residual of a chain: that of its least revealing step.

    >>> least_revealing(["original", "guessable"])
    'guessable'
    """
    return min(chain, key=RESIDUAL_ORDER.index, default="original")


def most_revealing(branches: Iterable[Residual]) -> Residual:
    """The residual of a field from those of its branches."""
    return max(branches, key=RESIDUAL_ORDER.index, default="coarse")


def step_residual(step: TechniqueStep, roles: Collection[Role]) -> Residual:
    """The residual of a step, for a field that is derived from fields of these roles."""
    return step.residual_for(identifier="identifier" in roles)


def category_named(name: str) -> Category:
    """The category with a name that a receipt states. An unknown one counts as identified."""
    return next((each for each in CATEGORY_ORDER if each == name), "identified")


def released_column_category(role: Role, residual: Residual) -> Category:
    """The category of a released column.

    >>> cases = (("identifier", "linkable"), ("identifier", "guessable"), ("free_text", "coarse"))
    >>> [released_column_category(*case) for case in cases]
    ['pseudonymized', 'identified', 'identified']
    """
    if role == "free_text":
        return "identified"
    if role == "identifier" and RESIDUAL_ORDER.index(residual) >= RESIDUAL_ORDER.index("guessable"):
        return "identified"
    return "pseudonymized"


def records_category(columns: Iterable[Category]) -> Category:
    """The category of a records output: the highest of its columns, at least pseudonymized."""
    return highest_category([*columns, "pseudonymized"])


def highest_category(categories: Iterable[Category]) -> Category:
    """The highest of some categories. A derived field has the highest category of its inputs."""
    return max(categories, key=CATEGORY_ORDER.index)


def exceeds(category: Category, limit: Category | None) -> bool:
    """Whether a category exceeds the `must_be` of an output."""
    return limit is not None and CATEGORY_ORDER.index(category) > CATEGORY_ORDER.index(limit)
