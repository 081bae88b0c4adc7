"""The entries of the catalogue: each dataset, each of its fields, each output."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from minimize.catalog.gather import Known
from minimize.catalog.model import Dataset, FieldEntry, OutputEntry
from minimize.exchange.meanings import meanings
from minimize.governance.sharing import Fed
from minimize.plan import Plan
from minimize.plan.columns import form_text
from minimize.plan.encrypted import encrypted_in_words
from minimize.plan.model import FieldPlan
from minimize.policy.pipeline import SourceModel
from minimize.policy.words import chain_text, duration, gate_texts

ABSENT = "absent"
UNLIMITED = "no limit is stated"


def dataset(known: Known) -> Dataset:
    """The entry of one pipeline."""
    plan, job = known.plan, known.job
    policy = plan.policy
    return Dataset(
        name=job.pipeline,
        policy=policy.policy,
        version=policy.version,
        owner=policy.owner,
        purpose=job.purpose,
        source=_source(job.source),
        kept=UNLIMITED if policy.retention is None else duration(policy.retention),
        features=tuple(_feature(plan, name) for name in policy.features),
        never=tuple(each.forbidden_text for each in policy.never),
        fields=tuple(_field(plan, field, known.fed) for field in plan.fields.values()),
        outputs=tuple(_output(plan, name) for name in plan.outputs),
    )


def kept(plan: Plan, field: FieldPlan) -> str:
    """For how long a field is kept: as its feature says, else as the policy does."""
    feature = plan.policy.features.get(field.field.feature or "")
    spans = [each for each in (plan.policy.retention, feature.retention if feature else None) if each is not None]
    return duration(min(spans)) if spans else UNLIMITED


def _source(source: SourceModel) -> str:
    return f"{source.format} from {source.recipient} ({source.function})" if source.is_received else source.format


def _field(plan: Plan, field: FieldPlan, fed: Sequence[Fed]) -> FieldEntry:
    declared = field.field
    return FieldEntry(
        key=field.key,
        meaning=declared.about,
        unit=declared.unit,
        role=declared.role,
        category=field.category or "",
        before=str(declared.type),
        after="; ".join(_after(field)),
        leaves=field.leaves or "",
        purposes=declared.purposes or plan.policy.purposes,
        collected="; ".join(gate_texts(plan.policy, declared)),
        kept="" if field.gives is None and field.measured is None else kept(plan, field),
        outputs=tuple(name for name in plan.outputs if field.key in _inputs(plan, name)),
        recipients=tuple(str(each) for each in fed if each.sends(field.key)),
    )


def _after(field: FieldPlan) -> Iterator[str]:
    yield ABSENT if field.gives is None else form_text(field)
    if field.field.in_aggregates and field.measured is not None:
        yield f"in aggregates {chain_text(field.field.in_aggregates)}"


def _inputs(plan: Plan, name: str) -> set[str]:
    """The fields that an output's columns are made from."""
    return {key for meaning in meanings(plan, name).values() for key in meaning.inputs}


def _feature(plan: Plan, name: str) -> str:
    feature = plan.policy.features[name]
    said = [feature.about, f"kept {duration(feature.retention)}" if feature.retention else ""]
    said.append(f"turned on by {' or '.join(feature.holders)} alone" if feature.holders else "")
    said.append("only for subjects for whom it is turned on one by one" if feature.per_subject else "")
    return "; ".join([f"{name}: {said[0]}" if said[0] else name, *filter(None, said[1:])])


def _output(plan: Plan, name: str) -> OutputEntry:
    aggregate = plan.aggregates.get(name)
    below = "" if aggregate is None else f"groups of fewer than {aggregate.model.suppress.below} subjects"
    below += f"; kept {duration(plan.own_retentions[name])}" if name in plan.own_retentions else ""
    output = plan.outputs[name]
    columns = tuple(".".join(path) for path in meanings(plan, name))
    return OutputEntry(name, output.category, columns, encrypted_in_words(plan, name), below)
