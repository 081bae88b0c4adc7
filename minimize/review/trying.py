"""`test`: a pipeline over the fixtures that stand beside it. Nothing of it stays: no file, no entry in a ledger, no key."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from os import PathLike
from pathlib import Path
from typing import Any

from minimize.consent import Consents, terms_of
from minimize.consent.states import STATES
from minimize.errors import ConfigurationError, without_values
from minimize.job.collecting import LEDGER, load_job_settings
from minimize.job.erasing import People
from minimize.job.given import as_pipeline
from minimize.job.sender import sender_of
from minimize.keys import Keyring
from minimize.plan import Plan
from minimize.policy.faults import did_you_mean
from minimize.policy.pipeline import Pipeline
from minimize.review.expected import Difference, differences, expected_rows, plain_rows
from minimize.review.fixtures import FOLDER, RECORDS, Expecting, Failing, Fixtures
from minimize.review.trial import Trial, Tried, keys_for, latest
from minimize.settings import SettingsRows, load_settings
from minimize.times import moment

PathLike_ = str | PathLike[str]


@dataclass(frozen=True, slots=True)
class Failure:
    """One thing that is not as a fixture says: its code, the file, the line of a record or the number of a row, and the field."""

    code: str
    message: str
    file: str
    line: int | None = None
    field: str | None = None
    expected: Any = None
    found: Any = None

    def as_json(self, show: bool) -> dict[str, Any]:
        """The failure as `test --json` prints it; values of fixtures where somebody wants to see them."""
        said = {"code": self.code, "message": self.message, "file": self.file, "line": self.line, "field": self.field}
        return {**said, "expected": self.expected, "found": self.found} if show and self.code == "F006" else said


@dataclass(frozen=True, slots=True)
class Trials:
    """What came of the fixtures: as of when, how many records were tried and rows compared, and what is not as they say."""

    at: datetime
    records: int
    rows: int
    failures: tuple[Failure, ...]

    def as_json(self, show: bool = False) -> dict[str, Any]:
        """What `test --json` prints."""
        found = [each.as_json(show) for each in self.failures]
        return {
            "ok": not found,
            "at": self.at.isoformat(),
            "records": self.records,
            "rows": self.rows,
            "failures": found,
        }


@without_values
def try_fixtures(
    pipeline: Pipeline | PathLike_, *, now: datetime, at: datetime | str | None = None, settings: Any = None
) -> Trials:
    """Tries the fixtures in the folder `tests` beside a pipeline.

    Takes the pipeline; now, and as of when it is tried (the latest event time of the fixtures, so that they do not age; now
    where they have none); settings in place of `tests/settings.csv` and the pipeline's own. Raises what `run` raises before it
    reads, and ConfigurationError where there are no fixtures.
    """
    job = as_pipeline(pipeline)
    fixtures = Fixtures.of(job.folder / FOLDER)
    when = moment(at, "at") or latest(job, fixtures.files) or now
    people = People(consents=_consents(job, fixtures.consents, when))
    trying = _Trying(job, when, keys_for(job.policy, now), _settings(job, fixtures, settings), people)
    return Trials(when, *trying.all(fixtures))


def _settings(job: Pipeline, fixtures: Fixtures, given: Any) -> SettingsRows | None:
    """The settings that count; a ledger is not asked, for its subjects are told by keys that a test does not have."""
    own = fixtures.settings if given is None else given
    if own is not None:
        return load_settings(own).compared(job.policy.folding)
    return None if job.settings == LEDGER else load_job_settings(None, job)


def _consents(job: Pipeline, file: Path | None, at: datetime) -> Consents | None:
    """The consents of a fixture: to the terms that the manifest has now. Raises ConfigurationError where it cannot be read."""
    from minimize.ledger.consents import Act

    sender = sender_of(job, at)
    if sender is None or file is None or sender.party.manifest is None:
        return None
    terms, columns = terms_of(sender.party.recipient, sender.party.function).text, ("tenant_id", "state", "valid_from")
    acts = list[Act]()
    for row in expected_rows(file):
        tenant, state, since = (str(row.get(name) or "") for name in columns)
        if state not in STATES or not tenant or not since:
            hint = f"tenant_id, state ({', '.join(STATES)}), valid_from (ISO 8601 with an offset)"
            raise ConfigurationError(f"{file} has a row that is no consent", hint=hint)
        whose = (tenant, sender.name, sender.party.function)
        valid_from = moment(since, f"a valid_from of {file}") or at
        acts.append(Act(*whose, state, terms, "", valid_from, None, valid_from))
    return Consents(tuple(acts))


@dataclass(frozen=True, slots=True)
class _Trying:
    """A pipeline, as of a time, with keys, settings and consents for a trial."""

    job: Pipeline
    at: datetime
    keys: Keyring
    settings: SettingsRows | None
    people: People

    def all(self, fixtures: Fixtures) -> tuple[int, int, tuple[Failure, ...]]:
        """How many records were tried, how many rows compared, and everything that is not as fixtures say."""
        trial = self.over(fixtures.passing)
        passed = list(trial.tried())
        failed = [(each, list(self.over((each.path,)).tried())) for each in fixtures.failing]
        failures = [*map(_kept_back, (each for each in passed if each.fate != "leaves"))]
        failures += [failure for each, tried in failed for failure in _let_through(each, tried)]
        rows = 0
        for each in fixtures.expecting:
            count, differing = _compared(trial, each, [one for one in passed if one.file in each.of])
            rows, failures = rows + count, [*failures, *differing]
        return len(passed) + sum(len(tried) for _, tried in failed), rows, tuple(failures)

    def over(self, files: Sequence[Path]) -> Trial:
        """A trial over some files."""
        return Trial.of(self.job, files, self.at, self.settings, self.keys, people=self.people)


def _kept_back(tried: Tried) -> Failure:
    message = f"the record does not leave: {tried.reason}"
    return Failure("F001", message, str(tried.file), tried.line, tried.path)


def _let_through(failing: Failing, tried: Sequence[Tried]) -> list[Failure]:
    file = str(failing.path)
    left = [Failure("F002", "the record leaves", file, each.line) for each in tried if each.fate == "leaves"]
    other = [each for each in tried if each.fate != "leaves" and failing.reason not in (None, each.reason)]
    words = "the record does not leave, for another reason"
    return [*left, *(Failure("F003", f"{words}: {each.reason}", file, each.line, each.path) for each in other)]


def _compared(trial: Trial, expecting: Expecting, tried: Sequence[Tried]) -> tuple[int, list[Failure]]:
    """How many rows of an output were compared, and what differs. Raises ConfigurationError for an output that is not there."""
    leaving = [each for each in tried if each.fate == "leaves"]
    tables = {RECORDS: trial.rows(leaving)} if expecting.output == RECORDS else trial.aggregates(leaving)
    if expecting.output not in tables:
        raise _not_tried(trial.job.plan, expecting, tables)
    found, expected = plain_rows(tables[expecting.output]), expected_rows(expecting.path)
    keyed = _keyed(trial.job.plan, expecting.output)
    return len(found), [_failure(expecting.path, each) for each in differences(found, expected, keyed)]


def _not_tried(plan: Plan, expecting: Expecting, tables: Collection[str]) -> ConfigurationError:
    """Why an aggregate is not compared: it waits for late rows, or there is none of this name."""
    if expecting.output in plan.aggregates:
        message = f"{expecting.path} is of an aggregate that waits for late rows (`late`), and these are not tried"
        hint = (
            "what it publishes depends on batches and earlier receipts: `minimize run` into another --output shows it"
        )
        return ConfigurationError(message, hint=hint)
    message = f"{expecting.path} is of `{expecting.output}`, and the pipeline has no such output"
    return ConfigurationError(message, hint=did_you_mean(expecting.output, tables))


def _keyed(plan: Plan, output: str) -> frozenset[str]:
    """The columns of an output whose values depend on keys."""
    keyed = {key: each for key, each in plan.fields.items() if any(step.key_names for step in each.steps)}
    if output == RECORDS:
        return frozenset(each.pointer.top for each in keyed.values())
    return frozenset(name for name, key in plan.aggregates[output].model.group_by.items() if key.field in keyed)


def _failure(path: Path, each: Difference) -> Failure:
    return Failure(each.code, each.message, str(path), each.row, each.column, each.expected, each.found)
