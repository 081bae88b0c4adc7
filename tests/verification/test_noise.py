"""Figures with noise: receipts, releases, margins, grids and equal rows; outputs of runs with noise pass verification."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

import minimize
from minimize.aggregates.definition import STANDARD_DEVIATIONS, NoiseTerms
from minimize.aggregates.noisy_figures import from_grid, power_of_ten_below, to_grid
from minimize.receipts import CompanionFile, NoiseEntry, Receipt
from minimize.verification.noise import grid_exponent, is_on_grid, read_noise
from tests.project import NOISY_AGGREGATES, Project, event

from .make import OutputWriter, policy

FIELDS: dict[str, Any] = {
    "device": {"type": "string", "role": "identifier", "do": {"pseudonymize": {"key": "device"}}},
    "version": {"type": "string", "do": {"truncate_version": {"parts": 2}}},
    "battery": {"type": "double", "do": {"bin": {"width": 10}}, "in_aggregates": {"clip": {"min": 0, "max": 100}}},
    "mode": {"type": "string", "do": "keep"},
}

FLEET: dict[str, Any] = {
    "group_by": {"version": "version"},
    "measures": {"devices": {"count_distinct": "device"}},
    "suppress": {"below": 10, "counting": "device"},
}

STATED, MARK = NoiseEntry("2", 3, 1, "p"), "a" * 32

CELLS = pa.list_(pa.struct([("value", pa.string()), ("count", pa.int64())]))


def table(**columns: Any) -> pa.Table:
    """A row of 10.0 with 40 devices, and one of 11.0 with 13, the smallest number that is published."""
    found = {"version": ["10.0", "11.0"], "devices": [40, 13], **columns}
    return pa.table({name: each for name, each in found.items() if each is not None})


def publish(
    writer: OutputWriter, figures: pa.Table | None = None, aggregates: dict[str, Any] | None = None, **options: Any
) -> Receipt:
    tables = {"fleet": table() if figures is None else figures, **options.pop("others", {})}
    defined = {"pipeline": "p", "aggregates": aggregates or {"fleet": FLEET}}
    if writer.receipts:
        writer.remove(writer.receipts[-1])
        options["replaces"] = writer.refs(writer.receipts[-1])
    return writer.run(policy(FIELDS), tables, pipeline=defined, **{"noise": STATED, "mark": MARK, **options})


def codes(writer: OutputWriter, measure: Any, values: Any, type_: pa.DataType | None = None, **more: Any) -> list[str]:
    """The codes of a table with one more measure."""
    measures = {**FLEET["measures"], "x": measure, **more.pop("measures", {})}
    columns = {"x": pa.array(values, type_), **more.pop("columns", {})}
    publish(writer, table(**columns), {"fleet": {**FLEET, "measures": measures, **more}})
    return writer.codes()


def test_figures_with_noise_are_accepted(writer: OutputWriter) -> None:
    publish(writer)
    assert writer.codes() == []


@pytest.mark.parametrize(
    "stated",
    [
        NoiseEntry("1", 2, 1, "p"),
        NoiseEntry("2", 2, 1, "p"),
        NoiseEntry("2", 3, 2, "p"),
        NoiseEntry("1.5", 3, 1, "p"),
        None,
    ],
)
def test_other_noise_than_the_pipeline_defines_is_found(writer: OutputWriter, stated: NoiseEntry | None) -> None:
    publish(writer, noise=stated)
    assert writer.codes() == ["V048"]


@pytest.mark.parametrize(("sd", "margin"), [(1, 2), (1.5, 3), ("2.5", 4), (5, 8)])
def test_noise_of_another_size_is_accepted_if_the_pipeline_defines_it(
    writer: OutputWriter, sd: Any, margin: int
) -> None:
    figures = table(devices=[40, 10 + margin])
    publish(writer, figures, {"fleet": {**FLEET, "noise": {"sd": sd}}}, noise=NoiseEntry(str(sd), margin, 1, "p"))
    assert writer.codes() == []


def test_noise_of_exact_figures_is_found(writer: OutputWriter) -> None:
    exact = {"fleet": {**FLEET, "exact": {"because": "a test"}}}
    publish(writer, aggregates=exact, mark=None)
    assert writer.codes() == ["V048"]


def test_a_table_without_a_release_is_found(writer: OutputWriter) -> None:
    publish(writer, mark=None)
    assert writer.codes() == ["V048"]


def test_a_table_of_an_earlier_version_is_accepted(writer: OutputWriter) -> None:
    receipt = publish(writer, table(devices=[40, 10]), noise=None, mark=None)
    assert writer.codes() == ["V048"]
    writer.receipts.clear()
    (file,) = receipt.outputs["fleet"].files
    sketches = (CompanionFile("sketches/fleet/date=2026-11-24/x-0.sealed", "blake3:00", file.path),)
    writer.sign(replace(receipt, outputs={"fleet": replace(receipt.outputs["fleet"], sketches=sketches)}))
    assert writer.codes() == []


@pytest.mark.parametrize(("devices", "found"), [(13, []), (12, ["V041"]), (9, ["V041"])])
def test_a_count_of_subjects_exceeds_the_threshold_by_the_margin(
    writer: OutputWriter, devices: int, found: list[str]
) -> None:
    publish(writer, table(devices=[40, devices]))
    assert writer.codes() == found


@pytest.mark.parametrize(
    ("cells", "found"),
    [
        ([("a", 20), ("b", 13)], []),
        ([("a", 20), ("b", 12)], ["V041"]),
        ([("a", 20), (None, None)], ["V041"]),
    ],
)
def test_a_small_cell_is_absent(writer: OutputWriter, cells: list[Any], found: list[str]) -> None:
    values = [[{"value": value, "count": count} for value, count in cells], []]
    assert codes(writer, {"histogram": "mode"}, values, CELLS) == found


@pytest.mark.parametrize(
    ("share", "found"),
    [(0.5, []), (0.2, []), (0.1, ["V041"]), (0.9, ["V041"]), (0.0, ["V041"]), (1.0, ["V041"])],
)
def test_a_share_has_enough_subjects_on_both_sides(writer: OutputWriter, share: float, found: list[str]) -> None:
    assert codes(writer, {"share": {"of": "mode", "is": "a"}}, [share, None], pa.float64()) == found


@pytest.mark.parametrize(("mean", "found"), [(55.0, []), (55.5, ["V049"]), (101.0, ["V045"])])
def test_a_mean_is_on_its_grid(writer: OutputWriter, mean: float, found: list[str]) -> None:
    """At most 90 of 40 devices by their noisy number can have a value: the standard deviation of the mean is 3.1 or more."""
    assert codes(writer, {"mean": "battery"}, [mean, None], pa.float64()) == found


@pytest.mark.parametrize(("mean", "found"), [(0.55, []), (0.6, []), (0.555, ["V049"])])
def test_the_grid_is_in_proportion_to_the_bounds(writer: OutputWriter, mean: float, found: list[str]) -> None:
    clipped = {**FIELDS["battery"], "in_aggregates": {"clip": {"min": 0, "max": 1}}}
    measures = {**FLEET["measures"], "x": {"mean": "battery"}}
    defined = {"pipeline": "p", "aggregates": {"fleet": {**FLEET, "measures": measures}}}
    figures = table(x=pa.array([mean, None], pa.float64()))
    writer.run(policy({**FIELDS, "battery": clipped}), {"fleet": figures}, pipeline=defined, noise=STATED, mark=MARK)
    assert writer.codes() == found


@pytest.mark.parametrize(("total", "found"), [(2200.0, []), (2250.0, ["V049"]), (2201.0, ["V049"])])
def test_a_sum_is_on_its_grid(writer: OutputWriter, total: float, found: list[str]) -> None:
    assert codes(writer, {"sum": "battery"}, [total, None], pa.float64()) == found


@pytest.mark.parametrize(("total", "found"), [(2200.0, []), (4900.0, []), (9900.0, ["V049"])])
def test_a_sum_is_the_mean_times_a_number_of_values(writer: OutputWriter, total: float, found: list[str]) -> None:
    """40 subjects, by their noisy number; at most 88 can have a value, by theirs."""
    sums = {"measures": {"y": {"sum": "battery"}}, "columns": {"y": pa.array([total, None], pa.float64())}}
    assert codes(writer, {"mean": "battery"}, [55.0, None], pa.float64(), **sums) == found


@pytest.mark.parametrize(("marks", "found"), [("aab", []), ("abc", []), ("abcd", ["V053"]), ("abcda", ["V053"])])
def test_a_date_has_few_releases(writer: OutputWriter, marks: str, found: list[str]) -> None:
    for mark in marks:
        publish(writer, table(devices=[40 + ord(mark), 13]), mark=mark * 32)
    assert writer.codes() == found


def test_the_number_of_releases_is_that_of_the_pipeline(writer: OutputWriter) -> None:
    single = {"fleet": {**FLEET, "noise": {"releases": 1}}}
    publish(writer, aggregates=single)
    assert writer.codes() == []
    publish(writer, table(devices=[41, 13]), single, mark="b" * 32)
    assert writer.codes() == ["V053"]


@pytest.mark.parametrize(("devices", "found"), [(40, []), (41, ["V054"])])
def test_an_equal_release_has_equal_bytes(writer: OutputWriter, devices: int, found: list[str]) -> None:
    publish(writer)
    publish(writer, table(devices=[devices, 13]))
    assert writer.codes() == found


EXACT: dict[str, Any] = {"fleet": {**FLEET, "exact": {"because": "a test"}}}


def test_exact_figures_are_published_once(writer: OutputWriter) -> None:
    publish(writer, aggregates=EXACT, noise=None, mark=None)
    assert writer.codes() == []
    publish(writer, aggregates=EXACT, noise=None, mark=None)
    assert writer.codes() == ["V053"]


def test_a_table_whose_groups_are_past_their_retention_is_no_release(writer: OutputWriter) -> None:
    publish(writer, aggregates=EXACT, noise=None, mark=None)
    publish(writer, table().slice(0, 0), EXACT, noise=None, mark=None)
    assert writer.codes() == []


@pytest.mark.parametrize(
    ("permits", "found"), [([{}], ["V053"]), ([{"republish": True}], []), ([{}, {"republish": True}], [])]
)
def test_exact_figures_are_published_again_if_a_void_receipt_permits_it(
    writer: OutputWriter, permits: list[dict[str, Any]], found: list[str]
) -> None:
    first = publish(writer, aggregates=EXACT, noise=None, mark=None)
    defined = {"pipeline": "p", "aggregates": EXACT}
    for each in permits:
        void: dict[str, Any] = {"kind": "void", "voids": first.run_id, "reason": "a wrong file", **each}
        writer.run(policy(FIELDS), {}, pipeline=defined, **void)
    writer.remove(first)
    tables, replaced = {"fleet": table()}, writer.refs(first)
    second = writer.run(policy(FIELDS), tables, pipeline=defined, replaces=replaced)
    assert writer.codes() == found
    writer.remove(second)
    writer.run(policy(FIELDS), tables, pipeline=defined, replaces=writer.refs(second))
    assert writer.codes() == [*found, "V053"]


@pytest.mark.parametrize(("permits", "found"), [([True], []), ([True, True], ["V006"]), ([None, None], ["V006"])])
def test_a_run_is_reopened_once(writer: OutputWriter, permits: list[bool | None], found: list[str]) -> None:
    first = publish(writer, aggregates=EXACT, noise=None, mark=None)
    for each in permits:
        void: dict[str, Any] = {"kind": "void", "voids": first.run_id, "reason": "a wrong file", "republish": each}
        writer.run(policy(FIELDS), {}, pipeline={"pipeline": "p", "aggregates": EXACT}, **void)
    assert writer.codes() == found


def test_a_receipt_that_declares_a_run_void_changes_no_file(writer: OutputWriter) -> None:
    first = publish(writer, aggregates=EXACT, noise=None, mark=None)
    void: dict[str, Any] = {"kind": "void", "voids": first.run_id, "reason": "a wrong file"}
    writer.remove(first)
    defined = {"pipeline": "p", "aggregates": EXACT}
    writer.run(policy(FIELDS), {}, pipeline=defined, replaces=writer.refs(first), **void)
    assert "V064" in writer.codes()


ROLLED: dict[str, Any] = {"fleet": {**EXACT["fleet"], "rollups": [[]]}}


@pytest.mark.parametrize(
    ("total", "found"),
    [([53], []), ([54], ["V056"]), ([], ["V056"]), ([53, 53], ["V044", "V056"])],
)
def test_a_roll_up_is_the_sums_over_the_rows_of_its_table(
    writer: OutputWriter, total: list[int], found: list[str]
) -> None:
    others = {"fleet_total": pa.table({"devices": pa.array(total, pa.int64())})}
    publish(writer, aggregates=ROLLED, others=others, noise=None, mark=None)
    assert writer.codes() == found


@pytest.mark.parametrize(
    ("sums", "of", "found"),
    [
        ([0.1, 0.2], 0.3, ["V056"]),
        ([0.1, 0.2], 0.1 + 0.2, []),
        ([1e16, None], 1e16, []),
        ([None, None], None, []),
        ([None, None], 0.0, ["V056"]),
    ],
)
def test_a_sum_of_a_roll_up_is_exact_and_rounded_once(
    writer: OutputWriter, sums: list[float | None], of: float | None, found: list[str]
) -> None:
    fleet = {**ROLLED["fleet"], "measures": {**FLEET["measures"], "x": {"sum": "battery"}}}
    others = {"fleet_total": pa.table({"devices": [53], "x": pa.array([of], pa.float64())})}
    shown = table(x=pa.array(sums, pa.float64()))
    publish(writer, shown, {"fleet": fleet}, others=others, noise=None, mark=None)
    assert writer.codes() == found


@pytest.mark.parametrize(("devices", "found"), [([40, 13], []), ([41, 13], ["V055"])])
def test_equal_rows_are_equal_in_all_tables(writer: OutputWriter, devices: list[int], found: list[str]) -> None:
    other = {**FLEET, "group_by": {"os": "version"}, "measures": {"number": {"count_distinct": "device"}}}
    named = table(devices=devices).rename_columns(["os", "number"])
    publish(writer, aggregates={"fleet": FLEET, "other": other}, others={"other": named})
    assert writer.codes() == found


@pytest.mark.parametrize("change", [{"suppress": {"below": 11, "counting": "device"}}, {"per_subject": {"rows": 2}}])
def test_rows_of_other_terms_may_differ(writer: OutputWriter, change: dict[str, Any]) -> None:
    others = {"other": table(devices=[41, 14])}
    publish(writer, aggregates={"fleet": FLEET, "other": {**FLEET, **change}}, others=others)
    assert writer.codes() == []


@pytest.mark.parametrize("sd", STANDARD_DEVIATIONS)
def test_deviation_and_margin_are_those_of_the_figures(sd: Any) -> None:
    view, terms = read_noise({"noise": {"sd": float(sd)}}), NoiseTerms(sd)
    assert view is not None
    assert (view.total_sd, view.margin) == (terms.total_sd, terms.margin)


@given(st.fractions(Fraction(1, 10**9), 10**9), st.fractions(-(10**6), 10**6))
def test_the_grid_is_that_of_the_figures(limit: Fraction, figure: Fraction) -> None:
    exponent = power_of_ten_below(limit)
    assert grid_exponent(limit) == exponent
    value = from_grid(to_grid(figure.numerator, figure.denominator, exponent), exponent)
    assert is_on_grid(value, exponent)
    assert not is_on_grid(value + 10.0**exponent / 2, exponent)


PER_SUBJECT = {"rows": 30}

MEASURES: dict[str, Any] = {
    "events": "count",
    "devices": {"count_distinct": "device_id"},
    "battery": {"mean": "battery"},
    "drained": {"sum": "battery"},
    "models": {"histogram": "model"},
    "plain": {"share": {"of": "model", "is": "A"}},
    "tenants": {"count_distinct": "tenant_id"},
}

TABLES: dict[str, Any] = {
    "total": {"group_by": {}, "measures": MEASURES, "per_subject": PER_SUBJECT, "suppress": {"below": 3}},
    "again": {
        "group_by": {},
        "measures": {"number": {"count_distinct": "device_id"}, "mean": {"mean": "battery"}},
        "per_subject": PER_SUBJECT,
        "suppress": {"below": 3},
    },
    "by_tenant": {
        "group_by": {"tenant": "tenant_id"},
        "measures": {**MEASURES, "models": "count"},
        "per_subject": PER_SUBJECT,
        "suppress": {"below": 3},
    },
}


def publish_run(project: Project, count: int, **options: Any) -> minimize.Receipt:
    project.records([event(number, device_id=f"d{number % 60}") for number in range(count)])
    return project.run(ledger=project.folder / "ledger.db", **options)


@pytest.fixture(name="noisy")
def _noisy(project: Project) -> Project:
    project.pipeline(aggregates=TABLES)
    return project


def marks(receipt: minimize.Receipt) -> dict[str, Any]:
    return {name: dict(output.releases or {}) for name, output in receipt.outputs.items() if name != "records"}


def digests(receipt: minimize.Receipt) -> dict[str, Any]:
    return {
        name: [file.digest for file in output.files] for name, output in receipt.outputs.items() if name != "records"
    }


def test_a_run_with_noise_is_verified(noisy: Project) -> None:
    receipt = publish_run(noisy, 240)
    assert [len(noisy.rows(name)) for name in TABLES] == [1, 1, 2]
    assert {output.noise.sd for name, output in receipt.outputs.items() if output.noise} == {"2"}
    minimize.verify(noisy.out, keys=noisy.keys)


def test_equal_and_other_releases_are_verified(noisy: Project) -> None:
    first, again, other = publish_run(noisy, 240), publish_run(noisy, 240), publish_run(noisy, 241)
    assert marks(first) == marks(again) != marks(other)
    assert digests(first) == digests(again)
    minimize.verify(noisy.out, keys=noisy.keys)


def test_after_the_last_release_tables_stay(noisy: Project) -> None:
    receipts = [publish_run(noisy, count) for count in (240, 241, 242, 243)]
    assert [bool(receipt.outputs["total"].files) for receipt in receipts] == [True, True, True, False]
    minimize.verify(noisy.out, keys=noisy.keys)


def test_default_tables_of_tests_are_verified(project: Project) -> None:
    project.pipeline(aggregates=NOISY_AGGREGATES)
    publish_run(project, 400)
    assert project.rows("per_model")
    minimize.verify(project.out, keys=project.keys)
