"""Two states of a pipeline compared."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from minimize.policy.pipeline import Deduplicate, Pipeline, RecordsModel
from minimize.policy.words import condition_text
from minimize.review.aggregates import aggregate_changes
from minimize.review.change import Change
from minimize.review.conditions import condition_grade
from minimize.review.grades import Grade, changed, joined, lower, ranked, said
from minimize.review.words import CATEGORIES, ENCRYPTED, arrow, listed, plain


@dataclass(frozen=True, slots=True)
class Told:
    """A part of a pipeline on both sides: the code of its change, its keys in the file, and the grade."""

    code: str
    keys: tuple[str, ...]
    before: str
    after: str
    grade: Grade


def pipeline_changes(old: Pipeline, new: Pipeline, file: str | None) -> Iterator[Change]:
    """What changed about a pipeline, its policy aside."""
    for told in (*_head(old, new), *_records(old.records, new.records, old, new)):
        if told.before != told.after or told.grade != "neutral":
            message = f"{'.'.join(told.keys)}: {arrow(told.before, told.after)}"
            yield Change(told.code, told.grade, message, file, new.line_of(*told.keys))
    for name in {**old.aggregates, **new.aggregates}:
        yield from aggregate_changes(old, new, name, file)


def _head(old: Pipeline, new: Pipeline) -> Iterator[Told]:
    yield Told("J029", ("pipeline",), old.pipeline, new.pipeline, "neutral")
    yield Told("J030", ("purpose",), old.purpose, new.purpose, changed(old.purpose, new.purpose))
    for name in ("path", "format"):
        yield Told("J031", ("source", name), getattr(old.source, name), getattr(new.source, name), "neutral")
    sender = _sender(old), _sender(new)
    yield Told("J031", ("source", "recipient"), *sender, _sent(old, new))
    having = old.source.having, new.source.having
    yield Told(
        "J031", ("source", "having"), listed(having[0]), listed(having[1]), changed(set(having[0]), set(having[1]))
    )
    settings: Grade = "neutral" if old.settings and new.settings else _turned_on(old.settings, new.settings)
    yield Told("J031", ("settings",), plain(old.settings), plain(new.settings), settings)
    yield Told("J031", ("output",), old.output, new.output, "neutral")
    for name in ("fail_above", "stop_above"):
        before, after = getattr(old.quarantine, name), getattr(new.quarantine, name)
        yield Told("J039", ("quarantine", name), plain(before), plain(after), lower(before, after))


def _sender(job: Pipeline) -> str:
    return f"{job.source.function} of {job.source.recipient}" if job.source.is_received else "our own records"


def _sent(old: Pipeline, new: Pipeline) -> Grade:
    """Of what a third party sends, consent decides about each record; of records of our own it does not."""
    if not old.source.is_received and new.source.is_received:
        return "tightens"
    return changed(_sender(old), _sender(new))


def _turned_on(old: str | None, new: str | None) -> Grade:
    """Without settings every feature is off."""
    return "neutral" if old == new else "loosens" if old is None else "tightens"


def _records(old: RecordsModel | None, new: RecordsModel | None, was: Pipeline, now: Pipeline) -> Iterator[Told]:
    if old is None or new is None:
        grade: Grade = "neutral" if old is new else "loosens" if old is None else "tightens"
        words = ["written" if each is not None else "not written" for each in (old, new)]
        yield Told("J032", ("records",), words[0], words[1], grade)
        return
    yield Told(
        "J033",
        ("records", "must_be"),
        plain(old.must_be),
        plain(new.must_be),
        ranked(CATEGORIES)(old.must_be, new.must_be),
    )
    levels = now.policy.levels if was.policy.levels == now.policy.levels else ()
    yield Told(
        "J035",
        ("records", "collect_if"),
        condition_text(old.collect_if) if old.collect_if is not None else "always",
        condition_text(new.collect_if) if new.collect_if is not None else "always",
        condition_grade(old.collect_if, new.collect_if, levels),
    )
    once = said(old.deduplicate, new.deduplicate)
    yield Told("J035", ("records", "deduplicate"), _once(old.deduplicate), _once(new.deduplicate), once)
    yield Told("J034", ("records", "encrypt"), *_encrypt(was, now))
    yield Told("J031", ("records", "partition_by"), listed(old.partition_by), listed(new.partition_by), "neutral")
    yield Told("J031", ("records", "index"), plain(old.index), plain(new.index), "neutral")


def _once(each: Deduplicate | None) -> str:
    return "all that arrive" if each is None else f"one a {each.per} for {', '.join(each.by)}"


def _encrypt(was: Pipeline, now: Pipeline) -> tuple[str, str, Grade]:
    """As what is said, else as the house demands it; keys of their own for each folder are more than one for all."""
    sides = []
    for each in (was, now):
        own = None if each.records is None else each.records.encrypt
        sides.append((each.demanded if own is None else own.by, None if own is None else own.per))
    (by, per), (by_now, per_now) = sides
    words = [f"{kind}, per {each}" if each else kind for kind, each in sides]
    return (
        words[0],
        words[1],
        joined((ranked(ENCRYPTED)(by, by_now), said(per, per_now) if by == by_now else "neutral")),
    )
