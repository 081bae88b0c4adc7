"""A measure that the package does not know: one class and one row in the table, and every command treats it like its own."""

from __future__ import annotations

import ast
import shutil
from collections.abc import Mapping
from fractions import Fraction
from pathlib import Path
from typing import Any, ClassVar, Self

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import minimize
from minimize.aggregates import MEASURES
from minimize.aggregates.base import NUMBERS, FieldTypes, Measure, MeasureTally, MeasureTerms
from minimize.aggregates.exact_sums import ExactSums, ExactTotal, GroupSums
from minimize.aggregates.tally import AggregateTally
from minimize.arrow.dictionaries import Codes, decode_dictionary
from minimize.errors import PolicyError, RefusedError, VerificationError
from minimize.spill import HashWords
from minimize.verification.aggregates import MEASURE_RULES, MeasureRule
from tests.aggregates.test_tally import batch, definition, devices
from tests.commands import command
from tests.contract.test_independent_modules import graph
from tests.project import FIELDS, Project, event, events, without_none
from tests.runs.test_late_aggregates import LATE, at, crowd
from tests.runs.test_late_aggregates import batch as day_of

pytestmark = pytest.mark.usefixtures("own_ledger")


class Dispersion(Measure):
    """The population variance of the values that are not null.

    Takes integers and doubles: a decimal would be rounded before it is squared. Gives a double, from exact sums, rounded once.
    Null if fewer than `below` subjects contribute a value.
    """

    name: ClassVar[str] = "dispersion"
    about: ClassVar[str] = "the population variance, rounded once"
    takes = FieldTypes("integers and doubles", lambda type_: pa.types.is_integer(type_) or pa.types.is_floating(type_))
    result_type = pa.float64()
    shown_values = "none"
    hidden_cells = "together"
    of: str

    def start(self, type_: pa.DataType | None, terms: MeasureTerms) -> MeasureTally:
        """An empty tally."""
        return DispersionTally()


class DispersionTally:
    """Counts, exact sums and exact sums of squares per group."""

    def __init__(self) -> None:
        self._counts, self._sums, self._squares = GroupSums(), ExactSums(), ExactSums()

    def observe(self, groups: Codes, values: pa.Array, subjects: HashWords) -> None:
        """Adds rows. The square of a double is the sum of four products of its halves, none of which is rounded."""
        numbers = decode_dictionary(values).cast(pa.float64()).to_numpy(zero_copy_only=False)
        scaled = numbers * (2**27 + 1)
        high = scaled - (scaled - numbers)
        low = numbers - high
        self._counts.count(groups)
        self._sums.add(groups, pa.array(numbers))
        for product in (high * high, high * low, high * low, low * low):
            self._squares.add(groups, pa.array(product))

    def merge(self, other: Self, groups: Codes) -> None:
        """Merges another tally."""
        self._counts.merge(other._counts, groups)
        self._sums.merge(other._sums, groups)
        self._squares.merge(other._squares, groups)

    def settle(self, groups: Codes) -> pa.Array:
        """The dispersion of each group; null if it has no value."""
        parts = zip(
            self._counts.select(groups).tolist(), self._sums.totals(groups), self._squares.totals(groups), strict=True
        )
        return pa.array(
            [float(exact(squares) / n - (exact(sums) / n) ** 2) if n else None for n, sums, squares in parts],
            pa.float64(),
        )


class Guess(Measure):
    """A figure that states nothing about itself but the fields that it takes."""

    name: ClassVar[str] = "guess"
    about: ClassVar[str] = "a figure"
    takes = NUMBERS
    result_type = pa.float64()
    of: str

    def start(self, type_: pa.DataType | None, terms: MeasureTerms) -> MeasureTally:
        """The tally of the mean."""
        return MEASURES["mean"](of=self.of).start(type_, terms)


def exact(total: ExactTotal) -> Fraction:
    return total.units * Fraction(2) ** total.exponent


def literal(values: list[float]) -> float:
    """The population variance of doubles, worked out with fractions."""
    numbers = [Fraction(value) for value in values]
    mean = sum(numbers) / len(numbers)
    return float(sum((number - mean) ** 2 for number in numbers) / len(numbers))


@pytest.fixture(autouse=True)
def _table(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(MEASURES, "dispersion", Dispersion)
    monkeypatch.setitem(MEASURES, "guess", Guess)


@pytest.fixture(name="rule", autouse=True)
def _rule(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(MEASURE_RULES, "dispersion", MeasureRule(bounds=lambda view: (0, None)))
    monkeypatch.setitem(MEASURE_RULES, "guess", MeasureRule())


EXACT = {"exact": {"because": "its statistics have no noise"}}
SPREAD: dict[str, Any] = {
    "spread": {
        "group_by": {"tenant": "tenant_id"},
        "measures": {"events": "count", "charge": {"dispersion": "battery"}},
        "suppress": {"below": 3, "counting": "device_id"},
        **EXACT,
    }
}


def spread(measure: Any = None, **more: Any) -> dict[str, Any]:
    """The aggregate with another measure, or other keys."""
    body = SPREAD["spread"]
    measures = body["measures"] if measure is None else {"events": "count", "charge": measure}
    return {"spread": {**body, "measures": measures, **more}}


def by_tenant(records: list[dict[str, Any]]) -> dict[str, float]:
    """The dispersion of each tenant's values, as `in_aggregates` clips them."""
    values: dict[str, list[float]] = {}
    for record in records:
        values.setdefault(record["tenant_id"], []).append(min(max(record["battery"], 0.0), 100.0))
    return {tenant: literal(numbers) for tenant, numbers in values.items()}


def published(project: Project) -> dict[str, float]:
    return {row["tenant"]: row["charge"] for row in project.rows("spread")}


def lint_codes(project: Project) -> list[str]:
    return [each["code"] for each in command("lint", project.folder, "--json").json["findings"]]


@pytest.fixture(name="fleet")
def _fleet(project: Project) -> Project:
    project.pipeline(aggregates=SPREAD)
    for name in range(3):
        project.records(events(60, first=60 * name), name=f"f{name}")
    return project


def test_it_runs_and_verifies(fleet: Project) -> None:
    fleet.run()
    assert published(fleet) == by_tenant(events(180))
    minimize.verify(fleet.out, keys=fleet.keys)


@pytest.mark.parametrize("measure", ["dispersion", "guess"])
def test_a_table_with_noise_refuses_it_and_names_what_is_possible(fleet: Project, measure: str) -> None:
    fleet.pipeline(aggregates={"spread": without_none(spread({measure: "battery"}, exact=None)["spread"])})
    with pytest.raises(RefusedError) as caught:
        fleet.run()
    (refusal,) = (each for each in caught.value.findings if each.code == "R024")
    assert refusal.field == "battery"
    assert refusal.message == f"measure charge of spread: the statistics of {measure} cannot have noise"
    noisy = refusal.hint.split("(")[1].split(")")[0].split(", ")
    assert noisy == [name for name, kind in MEASURES.items() if kind.takes_noise]
    assert {"mean", "quantile"} <= set(noisy)
    assert measure not in noisy
    assert "exact: {because: …}" in refusal.hint
    assert "R024" in lint_codes(fleet)
    fleet.pipeline(aggregates=spread({measure: "battery"}))
    assert "R024" not in lint_codes(fleet)


def test_a_figure_that_breaks_its_rule_is_found(fleet: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(MEASURE_RULES, "dispersion", MeasureRule(bounds=lambda view: (0, 1)))
    fleet.run()
    with pytest.raises(VerificationError) as caught:
        minimize.verify(fleet.out, keys=fleet.keys)
    assert {each.code for each in caught.value.findings} == {"V045"}


@pytest.mark.parametrize("rows", [60, 0])
def test_verification_refuses_it_without_a_rule(project: Project, rows: int, monkeypatch: pytest.MonkeyPatch) -> None:
    project.pipeline(aggregates=SPREAD)
    project.records(events(rows))
    project.run()
    monkeypatch.delitem(MEASURE_RULES, "dispersion")
    with pytest.raises(VerificationError) as caught:
        minimize.verify(project.out, keys=project.keys)
    assert [(each.code, each.field) for each in caught.value.findings] == [("V047", "charge")]


def test_lint_and_run_refuse_it_without_a_rule(fleet: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(MEASURE_RULES, "dispersion")
    assert "P124" in {each.code for each in minimize.lint(fleet.folder, keys=fleet.keys)}
    with pytest.raises(PolicyError) as caught:
        fleet.run()
    assert [each.code for each in caught.value.findings] == ["P124"]


PACKAGE = Path(minimize.__file__).parent
DISTINCT_NAMES = {"mean", "quantile", "histogram"}
"""Names of measures that mean nothing else."""


def test_no_other_module_names_a_measure() -> None:
    places = set()
    for path in PACKAGE.rglob("*.py"):
        words = {node.value for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Constant)}
        folder, name = path.relative_to(PACKAGE).parts[0], path.stem
        places |= {(folder, name, word) for word in words & DISTINCT_NAMES if name != word}
    assert {folder for folder, _, _ in places} == {"verification"}, places


def test_only_the_table_imports_a_measure() -> None:
    modules = {kind.__module__ for kind in MEASURES.values()} - {__name__}
    importers = {each for module in modules for each in graph().find_modules_that_directly_import(module)}
    assert importers == {"minimize.aggregates"}


def test_every_measure_of_the_package_has_a_rule() -> None:
    assert MEASURES.keys() == MEASURE_RULES.keys()


def test_parallel_shares_and_spill_files_change_nothing(fleet: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("minimize.engines.passes.MIN_SHARE_BYTES", 1)
    monkeypatch.setattr("os.sched_getaffinity", lambda _: {0, 1, 2})
    monkeypatch.setattr("minimize.aggregates.tally._MIN_ROWS", 1)
    monkeypatch.setattr("minimize.spill.spill_file._MIN_BYTES", 0)
    monkeypatch.setenv("MINIMIZE_MEMORY", "1")
    fleet.run()
    assert published(fleet) == by_tenant(events(180))


def test_it_is_null_if_few_subjects_contribute_a_value(project: Project) -> None:
    project.pipeline(aggregates=SPREAD)
    few = [event(number, battery=None) if number % 22 > 3 else event(number) for number in range(0, 88, 2)]
    project.records(few)
    project.run()
    (row,) = project.rows("spread")
    assert (row["events"], row["charge"]) == (44, None)


def test_an_event_day_is_published_when_its_late_window_has_closed(project: Project) -> None:
    late = {"daily": {**LATE["daily"], "measures": {"charge": {"dispersion": "battery"}}, **EXACT}}
    project.pipeline(aggregates=late, settings=None)
    late_rows = crowd(20, range(5, 9))
    for number, records in ((20, crowd(20)), (21, crowd(21) + late_rows[:2]), (22, crowd(22) + late_rows[2:])):
        project.records(records, day=day_of(number))
        project.run(date=day_of(number), at=at(number))
    (row,) = project.rows("daily")
    assert row["charge"] == literal([record["battery"] for record in crowd(20, range(9))])
    minimize.verify(project.out, keys=project.keys)


def test_its_columns_are_documented(fleet: Project) -> None:
    receipt = fleet.run()
    page = (fleet.out / "runs" / receipt.run_id / "columns.md").read_text()
    assert "| charge | double | dispersion of battery | exact | based on fewer than 3 subjects |" in page
    metadata = pq.read_schema(minimize.files(fleet.out, "spread")[0]).field("charge").metadata
    assert (metadata[b"minimize:measure"], metadata[b"minimize:field"]) == (b"dispersion", b"battery")


@pytest.mark.parametrize(
    "arguments",
    [("plan", "."), ("report", "out", "--html", "page.html"), ("docs", ".")],
    ids=str,
)
def test_pages_and_plans_are_written(fleet: Project, arguments: tuple[str, ...]) -> None:
    fleet.run()
    done = command(*arguments)
    assert done.code == 0, done.err


def test_its_schema_is_part_of_the_pipeline_schema() -> None:
    schema = command("schema", "pipeline").json
    assert {each.get("title") for each in schema["$defs"]["FormMeasure"]["anyOf"]} >= {"dispersion", "mean"}


def test_lint_requires_bounds_for_it_and_warns_next_to_rounded_counts(project: Project) -> None:
    project.pipeline(aggregates=spread(suppress={"below": 10}))
    assert not {"L060", "L062", "L066"} & {*lint_codes(project)}
    project.pipeline(aggregates=spread(suppress={"below": 10}, round={"counts_to": 5}))
    assert "L066" in lint_codes(project)
    project.policy({"battery": {"type": "double", "do": "keep"}})
    assert "L060" in lint_codes(project)


@pytest.mark.parametrize(
    ("field", "code"), [("model", "A006"), ("storage", "P114"), ("unknown", "P010"), ("event_id", "P113")]
)
def test_plan_refuses_fields_that_it_does_not_take(fleet: Project, field: str, code: str) -> None:
    fleet.pipeline(aggregates=spread({"dispersion": field}))
    with pytest.raises(PolicyError) as caught:
        fleet.run()
    assert code in {each.code for each in caught.value.findings}


SIZES = [*devices(30, size=1.0), *devices(12, start=30, size=2.0)]


@pytest.mark.parametrize(
    ("word", "hidden", "is_null"),
    [
        ("dispersion", 0, False),
        ("dispersion", 1, True),
        ("dispersion", 12, False),
        ("guess", 0, False),
        ("guess", 12, True),
    ],
)
def test_next_to_a_histogram_it_does_not_disclose_hidden_cells(word: str, hidden: int, *, is_null: bool) -> None:
    measures: dict[str, Any] = {"cells": ("histogram", "size"), "charge": (word, "size")}
    rows = [*SIZES]
    for number in range(hidden):
        rows += devices(1, start=42 + number, size=50.0 + number)
    tally = AggregateTally(definition((), below=10, **measures))
    tally.observe(batch(rows))
    (row,) = tally.settle().table.to_pylist()
    assert (row["charge"] is None) is is_null


def test_a_measure_that_states_nothing_is_treated_as_the_most_revealing(project: Project) -> None:
    guess = spread({"guess": "battery"}, suppress={"below": 10}, round={"counts_to": 5})
    project.policy({"battery": {"type": "double", "do": "keep"}})
    project.pipeline(aggregates=guess)
    assert {"L060", "L062", "L066"} <= {*lint_codes(project)}
    project.policy({"battery": FIELDS["battery"]})
    with pytest.raises(RefusedError) as caught:
        project.run()
    assert {each.code for each in caught.value.findings} == {"R003"}
    project.pipeline(aggregates=spread({"guess": "storage"}))
    with pytest.raises(PolicyError) as wrong:
        project.run()
    assert {each.code for each in wrong.value.findings} == {"P114"}


@pytest.mark.parametrize(
    ("before", "after", "grade"),
    [
        (None, {"dispersion": "battery"}, "loosens"),
        ({"dispersion": "battery"}, None, "tightens"),
        ({"mean": "battery"}, {"dispersion": "battery"}, "loosens"),
    ],
)
def test_diff_grades_it(
    project: Project,
    tmp_path_factory: pytest.TempPathFactory,
    before: Mapping[str, Any] | None,
    after: Mapping[str, Any] | None,
    grade: str,
) -> None:
    def write(measure: Mapping[str, Any] | None) -> None:
        charge = {} if measure is None else {"charge": measure}
        project.pipeline(aggregates=spread() | {"spread": {**SPREAD["spread"], "measures": {"n": "count", **charge}}})

    write(before)
    old = tmp_path_factory.mktemp("old")
    shutil.copytree(project.folder, old, dirs_exist_ok=True)
    write(after)
    (change,) = command("diff", old, project.folder, "--json").json["changes"]
    assert (change["code"], change["grade"]) == ("J037", grade)
