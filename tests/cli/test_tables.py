"""Plans and rows on a terminal of 80 or 100 columns, and in a pipe."""

from __future__ import annotations

from pathlib import Path

import click
import pyarrow as pa
import pytest

from minimize.cli.printing import print_result
from minimize.plan import Plan
from minimize.runs.inspection import PlanPreview
from tests.plan.make import pipeline_plan

LONG = "/hardware_of_the_device/a_name_that_is_longer_than_its_column"


@pytest.fixture(name="plan")
def _plan(tmp_path: Path) -> Plan:
    gated = {"type": "string", "do": "keep", "collect_if": {"owner_type": "corporate"}}
    return pipeline_plan(
        tmp_path, {"model": gated, "carrier": gated, LONG.strip("/").replace("/", "_"): {"type": "string"}}
    )


@pytest.fixture(name="wide", params=[80, 100])
def _wide(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> int:
    """A terminal of so many columns."""
    monkeypatch.setenv("COLUMNS", str(request.param))
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("TERM", "xterm")
    return int(request.param)


def printed_rows(plan: Plan, rows: pa.Table, capsys: pytest.CaptureFixture[str]) -> list[str]:
    """The lines after the plan."""
    print_result(PlanPreview(plan, rows=rows), as_json=False)
    shown = lines(capsys)
    return shown[next(number for number, line in enumerate(shown) if "row" in line and "release" in line) :]


def lines(capsys: pytest.CaptureFixture[str]) -> list[str]:
    return click.unstyle(capsys.readouterr().out).splitlines()


def test_a_plan_fits_the_terminal(plan: Plan, wide: int, capsys: pytest.CaptureFixture[str]) -> None:
    print_result(plan, as_json=False)
    assert max(map(len, lines(capsys))) <= wide


def test_no_name_is_cut_short(plan: Plan, wide: int, capsys: pytest.CaptureFixture[str]) -> None:
    print_result(plan, as_json=False)
    assert not [line for line in lines(capsys) if "…" in line]


def test_rows_that_are_too_wide_are_printed_one_field_per_line(
    plan: Plan, wide: int, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = pa.table({f"column_{number}": ["some text", None] for number in range(20)})
    shown = printed_rows(plan, rows, capsys)
    assert [line.split()[:2] for line in shown if "column_19" in line] == [["column_19", "some"], ["column_19", "null"]]
    assert max(map(len, shown)) <= wide


def test_rows_that_fit_are_a_table(plan: Plan, capsys: pytest.CaptureFixture[str]) -> None:
    shown = printed_rows(plan, pa.table({"a": ["x", None], "b": [1, 2]}), capsys)
    assert [line.split() for line in shown if line.strip() and "─" not in line] == [
        ["released", "rows"],
        ["a", "b"],
        ["x", "1"],
        ["null", "2"],
    ]


def test_an_empty_result_prints_that_no_row_would_be_released(plan: Plan, capsys: pytest.CaptureFixture[str]) -> None:
    assert printed_rows(plan, pa.table({"a": pa.array([], pa.string())}), capsys)[0] == "no row would be released"


def test_in_a_pipe_no_line_ends_in_blanks(plan: Plan, capsys: pytest.CaptureFixture[str]) -> None:
    print_result(plan, as_json=False)
    assert not [line for line in lines(capsys) if line.endswith(" ")]


def test_fields_with_the_same_revealing_condition_are_printed_together(
    plan: Plan, capsys: pytest.CaptureFixture[str]
) -> None:
    print_result(plan, as_json=False)
    assert "  model, carrier: whether owner_type is corporate" in lines(capsys)
