"""In which forms a subject stands in the outputs of a house: in files in force, and in those that today's policy makes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from functools import partial
from typing import Final

from minimize.encryption import unless_shredded
from minimize.errors import MinimizeError
from minimize.governance.retention.clock import Clock
from minimize.governance.retention.forms import AS_IT_CAME, Column, Pinned, Way, rotations
from minimize.governance.retention.ordered import named_in, periods
from minimize.governance.retention.rules import Rules, fields_of
from minimize.governance.retention.tokens import form_tokens
from minimize.governance.retention.whose import Pair
from minimize.governance.retention.written import Reading, Written, writers
from minimize.io.history import has_runs
from minimize.io.published import receipts
from minimize.io.stored import open_stored
from minimize.job.origin import pipeline_behind
from minimize.keys import Keyring, find_kms
from minimize.policy.fields import is_dropped
from minimize.policy.model import Policy
from minimize.policy.pipeline import Pipeline
from minimize.receipt import Receipt, in_force
from minimize.stores import Place

LONGEST: Final = timedelta(days=400)
"""How far back periods are told of where a policy keeps records forever."""


@dataclass(frozen=True, slots=True)
class Told:
    """Tokens of a subject's forms by the name of the way that leads there, and the outputs that could not be looked at."""

    forms: dict[str, tuple[str, ...]] = field(repr=False)
    missed: tuple[str, ...] = ()


def forms_told(
    pairs: Sequence[Pair], outputs: Iterable[Place], at: datetime, keys: Keyring, by: str | None = None
) -> list[Told]:
    """How subjects stand in outputs, as tokens; and how they may in files that are written yet, about times up to this one.

    Takes each subject with its tenant, and the field that has such ids (None: each policy's subject); gives what is told of
    each, in their order.
    """
    forms = [{AS_IT_CAME: form_tokens(keys, tenant, [subject])} for subject, tenant in pairs]
    missed: list[str] = []
    for output in outputs:
        found = _found(output, at, keys, by)
        if found is None:
            missed.append(str(output))
        for name, column, way in _ways(found or ()):
            if name in forms[0]:
                continue
            for told, (_, tenant), form in zip(forms, pairs, column.forms_along(way, pairs), strict=True):
                told[name] = form_tokens(keys, tenant, [] if form is None else [form])
    return [Told(told, tuple(missed)) for told in forms]


def _ways(columns: Iterable[Column]) -> Iterator[tuple[str, Column, Way]]:
    yield from ((column.name_of(way), column, way) for column in columns for way in column.ways or ())


def _found(output: Place, at: datetime, keys: Keyring, by: str | None) -> list[Column] | None:
    """The columns by which subjects are found in an output; None where it cannot be looked at."""
    try:
        chain = receipts(output) if has_runs(output) else ()
        job = None if not chain else pipeline_behind(output, chain[-1], None)
        return [] if job is None else [*_standing(output, chain, job, keys, by), *_to_come(job.policy, at, keys, by)]
    except (MinimizeError, OSError):
        return None


def _standing(
    output: Place, chain: tuple[Receipt, ...], job: Pipeline, keys: Keyring, by: str | None
) -> Iterator[Column]:
    wrote, reading = writers(chain), Reading(job.policy.purposes)
    known = {run.run_id: Written(output, run, reading) for run in wrote.values()}
    kms = find_kms(keys, job.folder)
    for file in in_force(chain).get("records", ()):
        stored = unless_shredded(partial(open_stored, output, file.path, kms))
        if stored is None:
            continue
        policy = known[wrote[file.path].run_id].policy
        rules = Rules(pointers=fields_of(policy, stored.whole))
        subject = named_in(policy, rules, Clock.of(policy, stored.whole), stored, keys, by)[1]
        if subject is not None and isinstance(subject.column, Column):
            yield subject.column


def _to_come(policy: Policy, at: datetime, keys: Keyring, by: str | None) -> Iterator[Column]:
    """The subject's column as today's policy writes it, with the keys of today."""
    key = policy.subject if by is None else by
    if key is None or key not in policy.fields or is_dropped(policy.fields[key]):
        return
    column, units = Column(policy, key, Pinned(keys, {})), rotations(policy, key)
    yield replace(column, times=tuple(periods(at - (policy.retention or LONGEST), at, units))) if units else column
