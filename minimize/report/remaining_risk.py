"""What can still be learned from the records in force of an output: measured, attacked, and next to the bound of the pipeline.

Only the columns of quasi-identifiers, sensitive fields and the subject are read. Numbers of persons and rows are rounded, and so
are rates of attacks. No value and no combination is shown.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Final

import pyarrow as pa

from minimize.access.permissions import ALL_TENANTS
from minimize.disclosure_risk.attacks import measure_attacks
from minimize.disclosure_risk.attacks.base import AttackedRecords, AttackResult
from minimize.disclosure_risk.risk import Risk
from minimize.policy.model import Policy
from minimize.policy.pipeline import Pipeline
from minimize.policy.risk_forms import RiskModel
from minimize.receipts import Receipt
from minimize.receipts.chain import risk_by_date
from minimize.records import RECORDS
from minimize.report.context import ReportContext, current_runs
from minimize.report.facts import AttackFacts, BoundFacts, RiskFacts, RoundedCount, SizeFacts
from minimize.report.measured_risk import QUASI, PublishedRecords, RiskRequest
from minimize.techniques.chosen_level import ChosenLevel
from minimize.text import format_number

MOST_ATTACKED: Final = 1_000_000
"""Records are attacked up to this number, because an attack holds them in memory."""
_SENSITIVE: Final = "sensitive"


def risk_facts(context: ReportContext) -> RiskFacts | None:
    """What can still be learned from the records in force; None without records.

    Raises KeyringError if a column cannot be read, OutputError if files are missing or their columns cannot be compared.
    """
    if not context.published.files(RECORDS):
        return None
    job = context.published.writing_run(context.newest).loaded_pipeline
    bound = None if job.records is None else job.records.risk
    records = PublishedRecords(context.published, RiskRequest())
    chosen = _chosen_fields(records, job.policy, bound)
    measured = _measure(replace(records, request=chosen)) if chosen.quasi else RiskFacts(())
    return replace(
        measured,
        bound="" if bound is None else bound.text,
        bound_by_date=tuple(_bound_by_date(current_runs(context.chain), job)),
    )


def _chosen_fields(records: PublishedRecords, policy: Policy, bound: RiskModel | None) -> RiskRequest:
    """The fields of the bound, and without one those with the roles `quasi` and `sensitive`, as far as they are released."""
    released = records.single_keys
    known = bound.quasi_identifiers if bound is not None else _fields_of_role(policy, QUASI)
    sensitive = bound.sensitive if bound is not None else _fields_of_role(policy, _SENSITIVE)
    return RiskRequest(
        tuple(key for key in known if key in released and key != policy.subject),
        tuple(key for key in sensitive if key in released and key != policy.subject),
    )


def _fields_of_role(policy: Policy, role: str) -> tuple[str, ...]:
    return tuple(key for key, each in policy.fields.items() if each.role == role)


def _measure(records: PublishedRecords) -> RiskFacts:
    """The figures of the chosen columns, and the attacks on them unless there are too many records."""
    chosen = records.measured_columns
    tally, attacked_batches, count = chosen.tally(), [], 0
    for batch in records.batches(ALL_TENANTS):
        tally.observe(batch)
        count += batch.num_rows
        if count <= MOST_ATTACKED:
            attacked_batches.append(batch)
    risk = Risk.of_combinations(tally.settle(), chosen.person, notes=chosen.notes)
    if count > MOST_ATTACKED:
        note = f"the records are not attacked, because they are more than {format_number(MOST_ATTACKED)}"
        return _facts_of(risk, (), (note,))
    if not attacked_batches:
        return _facts_of(risk, ())
    attacked = AttackedRecords(pa.Table.from_batches(attacked_batches), chosen.quasi, chosen.sensitive, chosen.person)
    return _facts_of(risk, measure_attacks(attacked))


def _facts_of(risk: Risk, attacks: Sequence[AttackResult], notes: tuple[str, ...] = ()) -> RiskFacts:
    rounded = RoundedCount.rounded
    return RiskFacts(
        quasi_identifiers=risk.quasi_identifiers,
        sensitive=risk.sensitive,
        person=risk.person,
        records=rounded(risk.records),
        persons=rounded(risk.persons),
        k=risk.k,
        k_of_rows=risk.k_of_records,
        unique_persons=rounded(risk.unique.persons),
        unique_rows=rounded(risk.unique.records),
        sizes=tuple(SizeFacts(each.label, rounded(each.persons), rounded(each.records)) for each in risk.sizes),
        unique_without={name: rounded(count) for name, count in risk.unique_without.items()},
        measures=risk.measures,
        attacks=tuple(map(_attack_facts, attacks)),
        notes=(*risk.notes, *notes),
    )


def _attack_facts(result: AttackResult) -> AttackFacts:
    low, high = result.attack.interval or (None, None)
    control = None if result.control is None else result.control.rate
    rates = (result.attack.rate, low, high, control, result.risk)
    rate, low, high, control, risk = (None if each is None else round(each, 2) for each in rates)
    return AttackFacts(result.name, result.title, result.sensitive or "", rate, low, high, control, risk)


def _bound_by_date(receipts: Sequence[Receipt], job: Pipeline) -> Iterator[BoundFacts]:
    """What the last run of each batch date states, by date."""
    for date, entry in risk_by_date(receipts).items():
        measures = {"k": entry.k, "l": entry.l, "t": entry.t, **(entry.measures or {})}
        yield BoundFacts(
            date=date,
            measures={name: figure for name, figure in measures.items() if figure is not None},
            removed=RoundedCount.rounded(entry.suppressed),
            levels=_level_phrases(job, entry.levels or {}),
            loss=entry.loss,
            lower_bound=entry.lower_bound,
            proven=entry.proven,
        )


def _level_phrases(job: Pipeline, levels: Mapping[str, int]) -> dict[str, str]:
    """The form of each field at its level, in words."""
    return {key: _level_phrase(job, key, level) for key, level in levels.items()}


def _level_phrase(job: Pipeline, key: str, level: int) -> str:
    field = job.policy.fields.get(key)
    last = None if field is None or isinstance(field.do, str) or not field.do else field.do[-1]
    if not isinstance(last, ChosenLevel):
        return f"level {level}"
    return "nothing" if level >= last.root else (last.finest, *last.coarser_forms)[level].phrase()
