"""Changes of a pipeline: its aggregates, then its head and its records output. Its policy is compared elsewhere."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final

from minimize.aggregates import Measure
from minimize.policy.describe import condition_text
from minimize.policy.model import AggregateModel, DeduplicateModel, GroupKeyModel, Pipeline, RecordsModel
from minimize.review.changes import GradedChange, change_text, list_text, retention_text, value_text
from minimize.review.grades import (
    CATEGORY_LIMITS,
    ENCRYPTION_ORDER,
    Grade,
    change_loosens,
    condition_grade,
    higher_tightens,
    join_grades,
    lower_tightens,
    ranked_comparison,
    setting_tightens,
    time_unit_grade,
)
from minimize.times import duration_text

_NAMED_PARAMETERS: Final = ("name", "of")


def aggregate_changes(old: Pipeline, new: Pipeline, name: str, file: str | None) -> Iterator[GradedChange]:
    """Changes of one aggregate."""
    before, after = old.aggregates.get(name), new.aggregates.get(name)
    if before is None or after is None:
        grade: Grade = "tightens" if after is None else "loosens"
        message = "aggregate removed" if after is None else "aggregate added"
        yield GradedChange("J032", grade, message, file, new.line_of("aggregates", name), name)
        return
    for code, key, words, grade in _aggregate_parts(name, before, after, old, new):
        if words[0] != words[1] or grade != "neutral":
            yield GradedChange(
                code, grade, f"{key}: {change_text(*words)}", file, new.line_of("aggregates", name, key), name
            )


def _aggregate_parts(
    name: str, old: AggregateModel, new: AggregateModel, was: Pipeline, now: Pipeline
) -> Iterator[tuple[str, str, tuple[str, str], Grade]]:
    yield "J036", "group_by", (_keys_text(old), _keys_text(new)), group_keys_grade(old.group_by, new.group_by)
    yield "J037", "measures", (_measures_text(old), _measures_text(new)), measures_grade(old.measures, new.measures)
    yield "J038", "suppress", (_suppress_text(old), _suppress_text(new)), _suppress_grade(old, new)
    rounds = [None if each.round is None else each.round.counts_to for each in (old, new)]
    yield "J038", "round", (value_text(rounds[0]), value_text(rounds[1])), higher_tightens(*rounds)
    yield (
        "J033",
        "must_be",
        (value_text(old.must_be), value_text(new.must_be)),
        ranked_comparison(CATEGORY_LIMITS)(old.must_be, new.must_be),
    )
    encrypt = (old.encrypt or was.demanded, new.encrypt or now.demanded)
    yield "J034", "encrypt", encrypt, ranked_comparison(ENCRYPTION_ORDER)(*encrypt)
    kept = (_retention_text(old), _retention_text(new))
    yield "J040", "retention", kept, _retention_grade(old, new, was.retention_of(name), now.retention_of(name))
    yield "J031", "late", (_late_text(old), _late_text(new)), "neutral"


def _retention_text(each: AggregateModel) -> str:
    return "kept as long as records" if each.retention is None else retention_text(each.retention)


def _retention_grade(old: AggregateModel, new: AggregateModel, was: timedelta | None, now: timedelta | None) -> Grade:
    """The grade of a change of the aggregate's own retention; J020 grades the policy's."""
    return "neutral" if old.retention is None and new.retention is None else lower_tightens(was, now)


def _late_text(each: AggregateModel) -> str:
    return "nothing" if each.late is None else duration_text(each.late)


def group_keys_grade(old: Mapping[str, GroupKeyModel], new: Mapping[str, GroupKeyModel]) -> Grade:
    """Grade of a change of group keys. Fewer or coarser keys tighten, because groups become larger."""
    removed, added = old.keys() - new.keys(), new.keys() - old.keys()
    return join_grades(
        [*_added_and_removed(removed, added), *(_key_grade(old[name], new[name]) for name in old.keys() & new.keys())]
    )


def _added_and_removed(removed: Collection[str], come: Collection[str]) -> list[Grade]:
    found: list[Grade] = ["tightens" for _ in removed]
    found.extend("loosens" for _ in come)
    return found


def _key_grade(old: GroupKeyModel, new: GroupKeyModel) -> Grade:
    if old.field != new.field:
        return "loosens"
    if old.to is None or new.to is None:
        return setting_tightens(old.to, new.to)
    return time_unit_grade(old.to, new.to)


def measures_grade(old: Mapping[str, Measure], new: Mapping[str, Measure]) -> Grade:
    """Grade of a change of measures. A new measure and a changed one loosen."""
    removed, added = old.keys() - new.keys(), new.keys() - old.keys()
    return join_grades(
        [
            *_added_and_removed(removed, added),
            *(
                change_loosens(_measure_parameters(old[name]), _measure_parameters(new[name]))
                for name in old.keys() & new.keys()
            ),
        ]
    )


def _measure_parameters(measure: Measure) -> dict[str, Any]:
    return {"name": measure.name, **measure.model_dump()}


def _keys_text(each: AggregateModel) -> str:
    return ", ".join(f"{name} ({key.field}{f' by {key.to}' if key.to else ''})" for name, key in each.group_by.items())


def _measures_text(each: AggregateModel) -> str:
    return ", ".join(f"{name} ({_measure_text(measure)})" for name, measure in each.measures.items())


def _measure_text(measure: Measure) -> str:
    more = [
        f"{key} {value}"
        for key, value in measure.model_dump(exclude_unset=True).items()
        if key not in _NAMED_PARAMETERS
    ]
    return " ".join(filter(None, [measure.name, measure.of or "", *more]))


def _suppress_text(each: AggregateModel) -> str:
    rule = each.suppress
    return f"below {rule.below} of {rule.counting or 'the subject'}"


def _suppress_grade(old: AggregateModel, new: AggregateModel) -> Grade:
    was, now = old.suppress, new.suppress
    return join_grades((higher_tightens(was.below, now.below), change_loosens(was.counting, now.counting)))


@dataclass(frozen=True, slots=True)
class PipelinePart:
    """One part of a pipeline on both sides: code of its change, keys in the file, grade."""

    code: str
    keys: tuple[str, ...]
    before: str
    after: str
    grade: Grade


def pipeline_changes(old: Pipeline, new: Pipeline, file: str | None) -> Iterator[GradedChange]:
    """Changes of a pipeline, except those of its policy."""
    for part in (*_head_parts(old, new), *_records_parts(old.records, new.records, old, new)):
        if part.before != part.after or part.grade != "neutral":
            message = f"{'.'.join(part.keys)}: {change_text(part.before, part.after)}"
            yield GradedChange(part.code, part.grade, message, file, new.line_of(*part.keys))
    for name in {**old.aggregates, **new.aggregates}:
        yield from aggregate_changes(old, new, name, file)


def _head_parts(old: Pipeline, new: Pipeline) -> Iterator[PipelinePart]:
    yield PipelinePart("J029", ("pipeline",), old.pipeline, new.pipeline, "neutral")
    yield PipelinePart("J030", ("purpose",), old.purpose, new.purpose, change_loosens(old.purpose, new.purpose))
    for name in ("path", "format"):
        yield PipelinePart("J031", ("source", name), getattr(old.source, name), getattr(new.source, name), "neutral")
    sender = _sender_text(old), _sender_text(new)
    yield PipelinePart("J031", ("source", "recipient"), *sender, _sender_grade(old, new))
    having = old.source.having, new.source.having
    yield PipelinePart(
        "J031",
        ("source", "having"),
        list_text(having[0]),
        list_text(having[1]),
        change_loosens(set(having[0]), set(having[1])),
    )
    settings: Grade = "neutral" if old.settings and new.settings else _settings_grade(old.settings, new.settings)
    yield PipelinePart("J031", ("settings",), value_text(old.settings), value_text(new.settings), settings)
    yield PipelinePart("J031", ("output",), old.output, new.output, "neutral")
    for name in ("fail_above", "stop_above"):
        before, after = getattr(old.quarantine, name), getattr(new.quarantine, name)
        yield PipelinePart(
            "J039", ("quarantine", name), value_text(before), value_text(after), lower_tightens(before, after)
        )


def _sender_text(job: Pipeline) -> str:
    return (
        f"{job.source.function} of {job.source.recipient}"
        if job.source.is_received
        else "the organization's own records"
    )


def _sender_grade(old: Pipeline, new: Pipeline) -> Grade:
    """Grade of a change of sender. A third party as sender tightens, because consent then decides about each record."""
    if not old.source.is_received and new.source.is_received:
        return "tightens"
    return change_loosens(_sender_text(old), _sender_text(new))


def _settings_grade(old: str | None, new: str | None) -> Grade:
    """Grade of a change of settings. Adding them loosens: without settings every feature is off."""
    return "neutral" if old == new else "loosens" if old is None else "tightens"


def _records_parts(
    old: RecordsModel | None, new: RecordsModel | None, was: Pipeline, now: Pipeline
) -> Iterator[PipelinePart]:
    if old is None or new is None:
        grade: Grade = "neutral" if old is new else "loosens" if old is None else "tightens"
        words = ["written" if each is not None else "not written" for each in (old, new)]
        yield PipelinePart("J032", ("records",), words[0], words[1], grade)
        return
    yield PipelinePart(
        "J033",
        ("records", "must_be"),
        value_text(old.must_be),
        value_text(new.must_be),
        ranked_comparison(CATEGORY_LIMITS)(old.must_be, new.must_be),
    )
    levels = now.policy.levels if was.policy.levels == now.policy.levels else ()
    yield PipelinePart(
        "J035",
        ("records", "collect_if"),
        condition_text(old.collect_if) if old.collect_if is not None else "always",
        condition_text(new.collect_if) if new.collect_if is not None else "always",
        condition_grade(old.collect_if, new.collect_if, levels),
    )
    once = setting_tightens(old.deduplicate, new.deduplicate)
    yield PipelinePart(
        "J035", ("records", "deduplicate"), _deduplicate_text(old.deduplicate), _deduplicate_text(new.deduplicate), once
    )
    yield PipelinePart("J034", ("records", "encrypt"), *_encryption_texts(was, now))
    yield PipelinePart(
        "J031", ("records", "partition_by"), list_text(old.partition_by), list_text(new.partition_by), "neutral"
    )
    yield PipelinePart("J031", ("records", "index"), value_text(old.index), value_text(new.index), "neutral")


def _deduplicate_text(each: DeduplicateModel | None) -> str:
    return "every record" if each is None else f"one record per {each.per} and {', '.join(each.by)}"


def _encryption_texts(was: Pipeline, now: Pipeline) -> tuple[str, str, Grade]:
    """Encryption as the pipeline sets it, else as the configuration requires it. A key per folder is stricter than one key."""
    sides = []
    for each in (was, now):
        own = None if each.records is None else each.records.encrypt
        sides.append((each.demanded if own is None else own.by, None if own is None else own.per))
    (by, per), (by_now, per_now) = sides
    words = [f"{kind}, per {each}" if each else kind for kind, each in sides]
    return (
        words[0],
        words[1],
        join_grades(
            (
                ranked_comparison(ENCRYPTION_ORDER)(by, by_now),
                setting_tightens(per, per_now) if by == by_now else "neutral",
            )
        ),
    )
