"""`test`: a pipeline over its fixtures. Finds the fixtures, tries their records, compares the rows.

    tests/NAME.pass.ndjson            every record is released
    tests/NAME.fail.ndjson            no record is released
    tests/NAME.REASON.fail.ndjson     … for this reason: a quarantine code, or the rule that gated it
    tests/NAME.expect.ndjson          the released rows of NAME.pass.ndjson (or .csv, .parquet)
    tests/expect.ndjson               the released rows of all `pass` files, in order of their names
    tests/expect.AGGREGATE.ndjson     the rows of an aggregate over all of them
    tests/settings.csv                collection settings that replace the pipeline's
    tests/consents.csv                consents to inbound data: tenant_id, state, valid_from
    tests/fixtures.yaml               attacks on the released records, and how often they may succeed

A test writes no file, no ledger entry and no key.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any, Final, Self

import pyarrow as pa

from minimize.consent import Consents, current_terms
from minimize.consent.terms import DPV_STATES, TenantAgreements
from minimize.datasets.pipelines import LEDGER_SETTINGS, pipeline_from
from minimize.disclosure_risk.attacks import measure_attacks
from minimize.disclosure_risk.attacks.base import AttackResult
from minimize.errors import ConfigurationError, redact_errors
from minimize.keys import Keyring
from minimize.ledger.kinds import ConsentAct, PrerequisiteAct
from minimize.plan import Plan
from minimize.policy.fixture_forms import FixtureAttacks
from minimize.policy.pipeline import Pipeline
from minimize.recipients import Contract
from minimize.recipients.load import TenantContract
from minimize.recipients.rules import Party
from minimize.records import RECORDS, REJECT_CODES
from minimize.results import Line
from minimize.review.fixture_attacks import FIXTURE_FILE, broken_limits, fixture_records, load_fixture_file
from minimize.review.published_attacks import attack_table
from minimize.review.trial import Trial, TriedRecord, latest_event_time, trial_keyring
from minimize.runs.deciding_function import find_deciding_function
from minimize.runs.inputs import SubjectActs
from minimize.settings import SettingsRows, load_settings
from minimize.sources import FORMATS, format_by_name, format_suffixes
from minimize.sources.ndjson import NDJSON
from minimize.stores import PathText
from minimize.text import count_noun, did_you_mean, place_text
from minimize.times import EPOCH, parse_time, seconds_text, time_text
from minimize.workspace import Workspace

FIXTURES_FOLDER: Final = "tests"
SETTINGS_FILE: Final = "settings.csv"
CONSENTS_FILE: Final = "consents.csv"
FAILURE_REASONS: Final = (
    *REJECT_CODES,
    *("setting", "condition", "retention", "consent", "deduplicated"),
)
"""Reasons for which a record is not released."""
EXPECTED_MARK: Final = "expect"


@dataclass(frozen=True, slots=True)
class FailingFixture:
    """A file of records that must not be released, and the expected reason; None means any."""

    path: Path
    reason: str | None


@dataclass(frozen=True, slots=True)
class ExpectedTable:
    """A file of expected rows, the files whose records produce them, and the output that contains them."""

    path: Path
    of: tuple[Path, ...]
    output: str = RECORDS


@dataclass(frozen=True, slots=True)
class Fixtures:
    """Content of a folder of fixtures."""

    folder: Path
    passing: tuple[Path, ...]
    failing: tuple[FailingFixture, ...]
    expecting: tuple[ExpectedTable, ...]
    attacks: FixtureAttacks | None = None
    """The attacks on the released records of the passing files."""

    @classmethod
    def from_folder(cls, folder: Path) -> Self:
        """The fixtures of a folder. Raises ConfigurationError if there are none, and for an unknown name; PolicyError for faults
        of `fixtures.yaml`."""
        files = sorted(path for path in folder.iterdir() if path.is_file()) if folder.is_dir() else []
        passing = tuple(path for path in files if path.name.endswith(".pass.ndjson"))
        failing = tuple(
            FailingFixture(path, _failure_reason(path)) for path in files if path.name.endswith(".fail.ndjson")
        )
        tables = [path for path in files if format_by_name(path) and EXPECTED_MARK in path.stem.split(".")]
        if not passing and not failing:
            hint = (
                "Write records that must be released to NAME.pass.ndjson, and those that must not to NAME.fail.ndjson."
            )
            raise ConfigurationError(f"no fixtures in {folder}", hint=hint)
        file = load_fixture_file(folder)
        attacks = None if file is None else file.attacks
        return cls(folder, passing, failing, tuple(_expected_table(path, passing) for path in tables), attacks)

    def attacked_files(self, attacks: FixtureAttacks) -> tuple[Path, ...]:
        """The passing files whose released records are attacked. Raises ConfigurationError for an unknown name."""
        by_name = {path.name.removesuffix(".pass.ndjson"): path for path in self.passing}
        unknown = [name for name in attacks.records if name not in by_name]
        if unknown:
            message = f"{self.folder / FIXTURE_FILE} names {unknown[0]}.pass.ndjson, which does not exist"
            raise ConfigurationError(message, hint=did_you_mean(unknown[0], by_name))
        return tuple(by_name[name] for name in attacks.records) or self.passing

    @property
    def files(self) -> tuple[Path, ...]:
        """Every file of records."""
        return (*self.passing, *(each.path for each in self.failing))

    @property
    def settings(self) -> Path | None:
        """The file of settings; None if there is none."""
        path = self.folder / SETTINGS_FILE
        return path if path.is_file() else None

    @property
    def consents(self) -> Path | None:
        """The file of consents; None if there is none."""
        path = self.folder / CONSENTS_FILE
        return path if path.is_file() else None


def _failure_reason(path: Path) -> str | None:
    name = path.name.removesuffix(".fail.ndjson")
    _, dot, reason = name.rpartition(".")
    if dot and reason not in FAILURE_REASONS:
        hint = did_you_mean(reason, FAILURE_REASONS)
        raise ConfigurationError(f"{path} names an unknown reason", hint=hint)
    return reason if dot else None


def _expected_table(path: Path, passing: tuple[Path, ...]) -> ExpectedTable:
    first, _, output = path.stem.partition(".")
    if first == EXPECTED_MARK:
        return ExpectedTable(path, passing, output or RECORDS)
    name = path.stem.removesuffix(f".{EXPECTED_MARK}")
    sources = tuple(each for each in passing if each.name == f"{name}.pass.ndjson")
    if not sources:
        raise ConfigurationError(
            f"{path} expects rows of {name}.pass.ndjson, which does not exist", hint="Use the same NAME in both files."
        )
    return ExpectedTable(path, sources)


JsonRow = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class RowDifference:
    """One difference: code, row (from 1), column, expected and found value. Values are shown only on request."""

    code: str
    message: str
    row: int | None = None
    column: str | None = None
    expected: Any = field(default=None, repr=False)
    found: Any = field(default=None, repr=False)


class TextCell(str):
    """A value of a format without types: a text that may represent any type. An empty text is null."""

    __slots__ = ()


def read_expected_rows(path: Path) -> list[JsonRow]:
    """The rows of a file in a source format. Raises ConfigurationError if it cannot be read."""
    rows: list[JsonRow] | None = None
    try:
        rows = _read_rows(path)
    except (OSError, ValueError, pa.ArrowException) as error:
        problem = type(error).__name__
    if rows is None:
        raise ConfigurationError(f"{path} cannot be read ({problem})", hint=f"Use one of {format_suffixes()}.")
    return rows


def _read_rows(path: Path) -> list[JsonRow]:
    format_ = FORMATS.get(format_by_name(path), NDJSON)
    rows = [row for _, row in format_.read_rows(path)[1]]
    if not all(isinstance(row, dict) for row in rows):
        raise ValueError("a row has no names")
    to_value = _json_value if format_.has_types else TextCell
    return [{key: to_value(value) for key, value in row.items()} for row in rows]


def json_rows(table: pa.Table) -> list[JsonRow]:
    """The rows of a table, with JSON values."""
    return [{key: _json_value(value) for key, value in row.items()} for row in table.to_pylist()]


def _json_value(value: Any) -> Any:
    if isinstance(value, datetime):
        return time_text(value)
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, Decimal):
        return str(value)
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, list | tuple):
        return [_json_value(each) for each in value]
    return {key: _json_value(each) for key, each in value.items()} if isinstance(value, dict) else value


def row_differences(
    released: Sequence[JsonRow], expected: Sequence[JsonRow], keyed: Collection[str]
) -> Iterator[RowDifference]:
    """Differences between found and expected rows, compared in order, column by column.

    A missing expected value is null. `keyed`: columns whose values depend on keys. There, any text may represent a value, but
    always the same text for the same value.
    """
    if len(released) != len(expected):
        yield RowDifference("F004", f"{len(released)} rows are released, {len(expected)} were expected")
    names = {name for row in expected for name in row}
    columns = dict.fromkeys(name for row in (*released, *expected) for name in row)
    for name in columns:
        if any(row.get(name) is not None for row in released) and name not in names:
            yield RowDifference("F005", "the column is released, but was not expected", column=name)
        elif names and released and name not in released[0]:
            yield RowDifference("F005", "the column was expected, but the output does not have it", column=name)
        else:
            yield from _column_differences(name, released, expected, name in keyed)


def _column_differences(
    name: str, released: Sequence[JsonRow], expected: Sequence[JsonRow], keyed: bool
) -> Iterator[RowDifference]:
    forth: dict[str, str] = {}
    back: dict[str, str] = {}
    for number, (row, expected_row) in enumerate(zip(released, expected, strict=False), 1):
        released_value, expected_value = row.get(name), expected_row.get(name)
        if not (
            _is_consistent_substitute(released_value, expected_value, forth, back)
            if keyed
            else is_same_value(released_value, expected_value)
        ):
            yield RowDifference(
                code="F006",
                message="the released value differs from the expected one",
                row=number,
                column=name,
                expected=expected_value,
                found=released_value,
            )


def _is_consistent_substitute(released: Any, expected: Any, forth: dict[str, str], back: dict[str, str]) -> bool:
    """Whether the same text represents the same value in all rows so far, and no other."""
    if released is None or expected is None or expected == "":
        return released is None and (expected is None or expected == "")
    released_text, expected_text = json.dumps(released, sort_keys=True), json.dumps(expected, sort_keys=True)
    return (
        forth.setdefault(expected_text, released_text) == released_text
        and back.setdefault(released_text, expected_text) == expected_text
    )


def is_same_value(released: Any, expected: Any) -> bool:
    """Whether a value equals the expected one, in the spelling of either file format.

    >>> is_same_value("2026-11-24T10:00:00Z", "2026-11-24T11:00:00+01:00"), is_same_value(80.0, TextCell("80"))
    (True, True)
    >>> is_same_value(True, 1), is_same_value(None, TextCell(""))
    (False, True)
    """
    if isinstance(expected, TextCell):
        expected = None if expected == "" else expected if isinstance(released, str) else _parse_json(expected)
    if isinstance(released, dict) and isinstance(expected, dict):
        return all(is_same_value(released.get(key), expected.get(key)) for key in {**released, **expected})
    if isinstance(released, list) and isinstance(expected, list):
        return len(released) == len(expected) and all(map(is_same_value, released, expected))
    if isinstance(released, bool) or isinstance(expected, bool):
        return released is expected
    return released == expected or (
        isinstance(released, str) and isinstance(expected, str) and _same_time(released, expected)
    )


def _parse_json(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return str(text)


def _same_time(released: str, expected: str) -> bool:
    try:
        times = [datetime.fromisoformat(text) for text in (released, expected)]
    except ValueError:
        return False
    return all(time.tzinfo is not None for time in times) and times[0] == times[1]


@dataclass(frozen=True, slots=True)
class FixtureFailure:
    """One failed expectation: code, file, line of a record or number of a row, and field."""

    code: str
    message: str
    file: str
    line: int | None = None
    field: str | None = None
    expected: Any = None
    found: Any = None

    def to_json(self, show: bool) -> dict[str, Any]:
        """The failure as `test --json` prints it. Values of fixtures are included only with `show`."""
        body = {"code": self.code, "message": self.message, "file": self.file, "line": self.line, "field": self.field}
        return {**body, "expected": self.expected, "found": self.found} if show and self.code == "F006" else body

    def text(self, show: bool) -> str:
        """The failure as a line. Values of fixtures are included only with `show`."""
        field = f" {self.field}:" if self.field else ""
        values = f" (expected {self.expected!r}, released {self.found!r})" if show and self.code == "F006" else ""
        return f"{place_text(self.file, self.line)}: {self.code}{field} {self.message}{values}"


@dataclass(frozen=True, slots=True)
class FixtureResults:
    """Result of a test: time of the trial, number of records tried and of rows compared, failures."""

    at: datetime
    records: int
    rows: int
    failures: tuple[FixtureFailure, ...]
    attacks: tuple[AttackResult, ...] = ()
    """The attacks on released records; empty if the fixtures ask for none."""
    show: bool = False
    """Whether the JSON form and the text contain the values that differ."""

    @property
    def exit_code(self) -> int:
        """1 if an expectation failed."""
        return int(bool(self.failures))

    def to_json(self) -> dict[str, Any]:
        """The results as the JSON object that `test --json` prints."""
        counts = {"at": self.at.isoformat(), "records": self.records, "rows": self.rows}
        attacks = {"attacks": [result.to_json() for result in self.attacks]} if self.attacks else {}
        failures = [failure.to_json(self.show) for failure in self.failures]
        return {"ok": not self.failures, **counts, "failures": failures, **attacks}

    def lines(self) -> Iterator[Line]:
        """The attacks, the failures, and the numbers of records and rows."""
        if self.attacks:
            yield attack_table(self.attacks)
        yield from (each.text(self.show) for each in self.failures)
        verdict = count_noun(len(self.failures), "failure") if self.failures else "all passed"
        tested = f"{self.records:,} records tested, {self.rows:,} rows compared"
        yield f"{tested}, as of {seconds_text(self.at)}: {verdict}"


@redact_errors
def try_fixtures(
    pipeline: Pipeline | PathText,
    *,
    now: datetime,
    at: datetime | str | None = None,
    settings: Any = None,
    show: bool = False,
) -> FixtureResults:
    """Try the fixtures in the folder `tests` next to a pipeline.

    Takes the pipeline; now; the time of the trial (`at`); settings that replace `tests/settings.csv` and the pipeline's own.
    `show` includes the values that differ in the results.
    `at` defaults to the latest event time of the fixtures, so that they do not age; to now if no record has a time.
    Raises the errors that `run` raises before it reads, and ConfigurationError if there are no fixtures.
    """
    job = pipeline_from(pipeline)
    fixtures = Fixtures.from_folder(job.folder / FIXTURES_FOLDER)
    when = parse_time(at, "at") or latest_event_time(job, fixtures.files, NDJSON, now) or now
    people = SubjectActs(consents=_fixture_consents(job, fixtures.consents, when))
    trying = _FixtureRun(job, when, trial_keyring(job.policy, now), _fixture_settings(job, fixtures, settings), people)
    return trying.run_all(fixtures, show)


def _fixture_settings(job: Pipeline, fixtures: Fixtures, path: Any) -> SettingsRows | None:
    """Settings of the trial. Settings in a ledger are not read, because a test has no keys for the subject tokens."""
    settings = fixtures.settings if path is None else path
    if settings is not None:
        return load_settings(settings).with_folding(job.policy.settings_folding, job.policy.levels)
    return None if job.settings == LEDGER_SETTINGS else Workspace(pipeline=job).load_settings()


def _fixture_consents(job: Pipeline, file: Path | None, at: datetime) -> Consents | None:
    """Consents of a fixture, to the manifest's current terms, of tenants with a contract and all prerequisites.

    Raises ConfigurationError if the file cannot be read.
    """
    deciding = find_deciding_function(job, at)
    if deciding is None or file is None or deciding.party.manifest is None:
        return None
    terms, columns = (
        current_terms(deciding.party.recipient, deciding.party.function).text,
        ("tenant_id", "state", "valid_from"),
    )
    acts = list[ConsentAct]()
    for row in read_expected_rows(file):
        tenant, state, since = (str(row.get(name) or "") for name in columns)
        if state not in DPV_STATES or not tenant or not since:
            hint = (
                f"Use the columns tenant_id, state ({', '.join(DPV_STATES)}) and valid_from (ISO 8601 with an offset)."
            )
            raise ConfigurationError(f"{file} has a row that is not a consent", hint=hint)
        parties = (tenant, deciding.name, deciding.party.function)
        valid_from = parse_time(since, f"a valid_from of {file}") or at
        acts.append(ConsentAct(*parties, state, terms, "", valid_from, None, valid_from))
    return Consents(tuple(acts), _fixture_agreements(deciding.party, sorted({act.tenant_id for act in acts})))


def _fixture_agreements(party: Party, tenants: Sequence[str]) -> TenantAgreements:
    """Contracts and prerequisites that always hold, so that the consents of a fixture decide."""
    name, manifest = party.recipient.recipient, party.manifest
    if manifest is None:
        return TenantAgreements()
    always = Contract(reference="test", from_=date.min, permits_transmission=True, permitted_fields=manifest.sent)
    return TenantAgreements(
        prerequisites=tuple(
            PrerequisiteAct(tenant, name, word, "confirmed", "test", "", EPOCH, permissions=manifest.permissions)
            for tenant in tenants
            for word in manifest.requires
        ),
        filed=tuple(TenantContract(**always.model_dump(), tenant=tenant, recipient=name) for tenant in tenants),
    )


@dataclass(frozen=True, slots=True)
class _FixtureRun:
    """A pipeline, as of a time, with keys, settings and consents for a trial."""

    job: Pipeline
    at: datetime
    keys: Keyring
    settings: SettingsRows | None
    people: SubjectActs

    def run_all(self, fixtures: Fixtures, show: bool) -> FixtureResults:
        """The results of all fixtures."""
        trial = self.start_trial(fixtures.passing)
        passed = list(trial.tried())
        failed = [(each, list(self.start_trial((each.path,)).tried())) for each in fixtures.failing]
        failures = [*map(_unreleased_failure, (each for each in passed if each.outcome != "leaves"))]
        failures += [failure for fixture, records in failed for failure in _released_failures(fixture, records)]
        rows = 0
        for table in fixtures.expecting:
            count, differing = _compare_output(trial, table, [record for record in passed if record.file in table.of])
            rows, failures = rows + count, [*failures, *differing]
        attacks = self.attack_records(trial, fixtures, passed)
        if fixtures.attacks is not None:
            failures += _attack_failures(fixtures.folder / FIXTURE_FILE, fixtures.attacks, attacks)
        tried_count = len(passed) + sum(len(tried) for _, tried in failed)
        return FixtureResults(self.at, tried_count, rows, tuple(failures), attacks, show)

    def attack_records(
        self, trial: Trial, fixtures: Fixtures, passed: Sequence[TriedRecord]
    ) -> tuple[AttackResult, ...]:
        """The attacks on the released records that the fixtures name; none if they ask for none."""
        if fixtures.attacks is None:
            return ()
        attacked_files = fixtures.attacked_files(fixtures.attacks)
        released = trial.rows([each for each in passed if each.file in attacked_files and each.outcome == "leaves"])
        return tuple(measure_attacks(fixture_records(fixtures.attacks, self.job.policy, released)))

    def start_trial(self, files: Sequence[Path]) -> Trial:
        """A trial over some files."""
        return Trial.of(self.job, files, self.at, self.settings, self.keys, NDJSON, self.people)


def _unreleased_failure(tried: TriedRecord) -> FixtureFailure:
    message = f"the record is not released: {tried.reason}"
    return FixtureFailure("F001", message, str(tried.file), tried.line, tried.path)


def _released_failures(failing: FailingFixture, tried: Sequence[TriedRecord]) -> list[FixtureFailure]:
    file = str(failing.path)
    release_failures = [
        FixtureFailure("F002", "the record is released", file, record.line)
        for record in tried
        if record.outcome == "leaves"
    ]
    misjudged = [each for each in tried if each.outcome != "leaves" and failing.reason not in (None, each.reason)]
    words = "the record is not released, but for another reason"
    return [
        *release_failures,
        *(FixtureFailure("F003", f"{words}: {record.reason}", file, record.line, record.path) for record in misjudged),
    ]


def _attack_failures(path: Path, attacks: FixtureAttacks, results: Sequence[AttackResult]) -> Iterator[FixtureFailure]:
    for name, message in broken_limits(attacks, results):
        yield FixtureFailure("F007", message, str(path), field=name)


def _compare_output(
    trial: Trial, expecting: ExpectedTable, tried: Sequence[TriedRecord]
) -> tuple[int, list[FixtureFailure]]:
    """Number of rows compared, and the differences. Raises ConfigurationError if the output does not exist."""
    leaving = [each for each in tried if each.outcome == "leaves"]
    tables = {RECORDS: trial.rows(leaving)} if expecting.output == RECORDS else trial.aggregates(leaving)
    if expecting.output not in tables:
        raise _missing_output_error(trial.job.plan, expecting, tables)
    released, expected = json_rows(tables[expecting.output]), read_expected_rows(expecting.path)
    keyed = _keyed_columns(trial.job.plan, expecting.output)
    return len(released), [
        _difference_failure(expecting.path, difference) for difference in row_differences(released, expected, keyed)
    ]


def _missing_output_error(plan: Plan, expecting: ExpectedTable, tables: Collection[str]) -> ConfigurationError:
    """The error for an aggregate that waits for late rows, or that does not exist."""
    if expecting.output in plan.aggregates:
        message = f"{expecting.path} is for an aggregate with a late window (`late`), which a test cannot complete"
        hint = "Run `minimize run` with another --output: its rows depend on batches and earlier receipts."
        return ConfigurationError(message, hint=hint)
    message = f"{expecting.path} is for `{expecting.output}`, but the pipeline has no such output"
    return ConfigurationError(message, hint=did_you_mean(expecting.output, tables))


def _keyed_columns(plan: Plan, output: str) -> frozenset[str]:
    """The columns of an output whose values depend on keys."""
    keyed = {key: each for key, each in plan.fields.items() if any(step.key_names for step in each.steps)}
    if output == RECORDS:
        return frozenset(each.pointer.top for each in keyed.values())
    return frozenset(name for name, key in plan.aggregates[output].model.group_by.items() if key.field in keyed)


def _difference_failure(path: Path, difference: RowDifference) -> FixtureFailure:
    return FixtureFailure(
        code=difference.code,
        message=difference.message,
        file=str(path),
        line=difference.row,
        field=difference.column,
        expected=difference.expected,
        found=difference.found,
    )
