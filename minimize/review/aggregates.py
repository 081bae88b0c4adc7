"""Two states of an aggregate compared."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from datetime import timedelta
from typing import Any, Final

from minimize.aggregates import Measure
from minimize.policy.pipeline import AggregateModel, Key, Pipeline
from minimize.policy.words import duration
from minimize.review.change import Change
from minimize.review.forms import unit_grade
from minimize.review.grades import Grade, changed, higher, joined, lower, ranked, said
from minimize.review.words import CATEGORIES, ENCRYPTED, arrow, plain, span

_PLAIN: Final = ("name", "of")


def aggregate_changes(old: Pipeline, new: Pipeline, name: str, file: str | None) -> Iterator[Change]:
    """What changed about one aggregate."""
    before, after = old.aggregates.get(name), new.aggregates.get(name)
    if before is None or after is None:
        grade: Grade = "tightens" if after is None else "loosens"
        message = "the aggregate is gone" if after is None else "a new aggregate"
        yield Change("J032", grade, message, file, new.line_of("aggregates", name), name)
        return
    for code, key, words, grade in _parts(name, before, after, old, new):
        if words[0] != words[1] or grade != "neutral":
            yield Change(code, grade, f"{key}: {arrow(*words)}", file, new.line_of("aggregates", name, key), name)


def _parts(
    name: str, old: AggregateModel, new: AggregateModel, was: Pipeline, now: Pipeline
) -> Iterator[tuple[str, str, tuple[str, str], Grade]]:
    yield "J036", "group_by", (_keys(old), _keys(new)), keys_grade(old.group_by, new.group_by)
    yield "J037", "measures", (_measures(old), _measures(new)), measures_grade(old.measures, new.measures)
    yield "J038", "suppress", (_suppress(old), _suppress(new)), _suppress_grade(old, new)
    rounds = [None if each.round is None else each.round.counts_to for each in (old, new)]
    yield "J038", "round", (plain(rounds[0]), plain(rounds[1])), higher(*rounds)
    yield "J033", "must_be", (plain(old.must_be), plain(new.must_be)), ranked(CATEGORIES)(old.must_be, new.must_be)
    encrypt = (old.encrypt or was.demanded, new.encrypt or now.demanded)
    yield "J034", "encrypt", encrypt, ranked(ENCRYPTED)(*encrypt)
    kept = (_retention(old), _retention(new))
    yield "J040", "retention", kept, _retention_grade(old, new, was.retention_of(name), now.retention_of(name))
    yield "J031", "late", (_late(old), _late(new)), "neutral"


def _retention(each: AggregateModel) -> str:
    return "as long as records" if each.retention is None else span(each.retention)


def _retention_grade(old: AggregateModel, new: AggregateModel, was: timedelta | None, now: timedelta | None) -> Grade:
    """The grade of a change of the aggregate's own retention; J020 grades the policy's."""
    return "neutral" if old.retention is None and new.retention is None else lower(was, now)


def _late(each: AggregateModel) -> str:
    return "nothing" if each.late is None else duration(each.late)


def keys_grade(old: Mapping[str, Key], new: Mapping[str, Key]) -> Grade:
    """The grade of a change of group keys: fewer of them, and coarser ones, make larger groups."""
    gone, come = old.keys() - new.keys(), new.keys() - old.keys()
    return joined([*_moved(gone, come), *(_key_grade(old[name], new[name]) for name in old.keys() & new.keys())])


def _moved(gone: Collection[str], come: Collection[str]) -> list[Grade]:
    found: list[Grade] = ["tightens" for _ in gone]
    found.extend("loosens" for _ in come)
    return found


def _key_grade(old: Key, new: Key) -> Grade:
    if old.field != new.field:
        return "loosens"
    if old.to is None or new.to is None:
        return said(old.to, new.to)
    return unit_grade(old.to, new.to)


def measures_grade(old: Mapping[str, Measure], new: Mapping[str, Measure]) -> Grade:
    """The grade of a change of measures: one more tells more, and so may one that is another now."""
    gone, come = old.keys() - new.keys(), new.keys() - old.keys()
    return joined(
        [*_moved(gone, come), *(changed(_spelled(old[name]), _spelled(new[name])) for name in old.keys() & new.keys())]
    )


def _spelled(measure: Measure) -> dict[str, Any]:
    return {"name": measure.name, **measure.model_dump()}


def _keys(each: AggregateModel) -> str:
    return ", ".join(f"{name} ({key.field}{f' by {key.to}' if key.to else ''})" for name, key in each.group_by.items())


def _measures(each: AggregateModel) -> str:
    return ", ".join(f"{name} ({_measure(measure)})" for name, measure in each.measures.items())


def _measure(measure: Measure) -> str:
    more = [f"{key} {value}" for key, value in measure.model_dump(exclude_unset=True).items() if key not in _PLAIN]
    return " ".join(filter(None, [measure.name, measure.of or "", *more]))


def _suppress(each: AggregateModel) -> str:
    said_ = each.suppress
    return f"below {said_.below} of {said_.counting or 'the subject'}"


def _suppress_grade(old: AggregateModel, new: AggregateModel) -> Grade:
    was, now = old.suppress, new.suppress
    return joined((higher(was.below, now.below), changed(was.counting, now.counting)))
