"""Figures of a table in a report: what is drawn, with which error bars, and for whom."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import minimize
from minimize.errors import ConfigurationError
from minimize.report.facts import MeasureFacts, TableFacts
from minimize.report.figures import Figure, table_figures
from tests.commands import command
from tests.project import AT, DAY, Builds, Project, event, write_yaml
from tests.report.telling import facts, report
from tests.world import access_file, assignment

SIZES = {"A": 14, "B": 40, "C": 90, "D": 60, "E": 3}
MEASURES: dict[str, Any] = {
    "devices": {"count_distinct": "device_id"},
    "battery": {"mean": "battery"},
    "drained": {"sum": "battery"},
    "north": {"share": {"of": "tenant_id", "is": "north"}},
    "tenants": {"histogram": "tenant_id"},
    "storage": {"quantile": {"of": "storage", "q": 0.5}},
}
SUPPRESS = {"below": 10, "counting": "device_id"}
NOISY = {"suppress": SUPPRESS, "per_subject": {"rows": 1}}
KEYS = {"day": {"event_time": "day"}, "model": "model"}


def fill(project: Project, aggregates: dict[str, Any]) -> None:
    project.policy({"model": {"type": "string", "do": "keep"}})
    project.pipeline(aggregates=aggregates)
    rows = [
        event(at, device_id=f"{model}{at}", model=model, event_time=f"{DAY}T10:00:00Z")
        for model, size in SIZES.items()
        for at in range(size)
    ]
    project.records(rows)
    project.run()


def noisy_content(project: Project) -> None:
    uncounted = {"group_by": {"model": "model"}, "measures": {"battery": MEASURES["battery"]}, **NOISY}
    fill(project, {"devices": {"group_by": KEYS, "measures": MEASURES, **NOISY}, "uncounted": uncounted})


def exact_content(project: Project) -> None:
    exact = {"suppress": SUPPRESS, "exact": {"because": "contract"}}
    fill(project, {"devices": {"group_by": KEYS, "measures": {"devices": MEASURES["devices"]}, **exact}})


@pytest.fixture(name="noisy")
def _noisy(builds: Builds, project: Project) -> Project:
    return builds.fill(project, noisy_content)


@pytest.fixture(name="exact")
def _exact(builds: Builds, project: Project) -> Project:
    return builds.fill(project, exact_content)


def table_of(project: Project, name: str = "devices") -> TableFacts:
    (table,) = facts(project, tables=[name]).tables
    return table


def measure_of(project: Project, measure: str, table: str = "devices") -> MeasureFacts:
    return next(each for each in table_of(project, table).measures if each.name == measure)


def drawn(project: Project, measure: str, table: str = "devices") -> Figure:
    return next(each for each in table_figures(table_of(project, table)) if each.title == measure)


def test_figures_are_those_that_were_published(noisy: Project) -> None:
    published = {row["model"]: row for row in minimize.read(noisy.out, "devices").to_pylist()}
    table = table_of(noisy)
    assert (table.title, table.same) == (f"devices on {DAY}", (f"day {DAY}",))
    assert set(table.rows) == set(published) >= {"B", "C", "D"}
    for each in table.measures:
        assert dict(zip(table.rows, each.figures, strict=True)) == {
            key: row[each.name] for key, row in published.items()
        }
    assert table.undrawn == ("tenants",)


def test_error_bars_are_those_of_the_noise(noisy: Project) -> None:
    devices, battery, north = (measure_of(noisy, name) for name in ("devices", "battery", "north"))
    numbers, means, shares = (np.array(each.figures, np.float64) for each in (devices, battery, north))
    assert devices.deviations == pytest.approx([2.828] * len(numbers))
    there = ~np.isnan(means)
    assert np.array(battery.deviations)[there] == pytest.approx((2.828 * np.hypot(100, means - 50) / numbers)[there])
    there = ~np.isnan(shares)
    assert there.any()
    assert np.array(north.deviations)[there] == pytest.approx((2.828 * np.hypot(1, shares) / numbers)[there])


def test_rows_are_drawn_from_the_largest_on_with_their_error_in_words(noisy: Project) -> None:
    figure = drawn(noisy, "devices")
    assert [row.label for row in figure.rows][:3] == ["C", "D", "B"]
    assert all(row.figure.endswith(" ± 2.8") for row in figure.rows)
    assert "± 1 standard deviation (sd)" in figure.sentence
    for row in figure.rows:
        assert row.mark is not None
        assert row.mark.at == pytest.approx(row.mark.start + row.mark.width / 2)
        assert 0 <= row.mark.start < row.mark.start + row.mark.width <= 100


def test_exact_figures_have_no_error_bars_and_the_page_states_it(exact: Project) -> None:
    figure = drawn(exact, "devices")
    assert figure.sentence == "The figures are exact, so that they have no error bars."
    assert [row.figure for row in figure.rows] == ["90", "60", "40", "14"]
    assert {row.mark.width for row in figure.rows if row.mark} == {0}
    assert '<rect class="deviation"' not in report(exact, tables=["devices"]).html()


def test_a_quantile_has_its_noise_in_the_rank(noisy: Project) -> None:
    assert drawn(noisy, "storage").sentence.startswith(
        "There are no error bars. The noise is not in the unit of the figures"
    )


def test_without_a_number_of_subjects_the_bars_are_upper_limits(noisy: Project) -> None:
    measure = measure_of(noisy, "battery", "uncounted")
    assert "upper limits" in measure.note
    assert min(measure.deviations or ()) >= 2.828 * 100 / 13


@pytest.mark.parametrize(("count", "rest"), [(57, "Only the 40 largest of 57 figures are drawn."), (40, "")])
def test_a_long_table_is_shortened_and_the_page_states_it(count: int, rest: str) -> None:
    rows = tuple(f"site {number}" for number in range(count))
    measure = MeasureFacts("devices", "count", tuple(map(float, range(100, 100 + count))), (2.8,) * count)
    (figure,) = table_figures(TableFacts("devices", None, rows, (), (measure,), (), is_exact=False))
    assert (len(figure.rows), figure.rows[0].label, figure.rows[-1].label) == (40, rows[-1], rows[count - 40])
    assert figure.rest[: len(rest) or None] == rest


def test_figures_that_are_not_shown_are_counted() -> None:
    measure = MeasureFacts("share", "share of a", (0.5, None, None), (0.1, 0.1, 0.1))
    empty = MeasureFacts("none", "share of b", (None, None, None), (0.1, 0.1, 0.1))
    (figure,) = table_figures(TableFacts("t", None, ("a", "b", "c"), (), (measure, empty), (), is_exact=False))
    assert figure.sentence.endswith("2 rows have no figure, because too few subjects have a value.")


def test_nothing_is_drawn_unless_it_is_named(noisy: Project) -> None:
    page = report(noisy, tables=["devices"]).html()
    assert page.count('<rect class="deviation"') > 8
    assert '<li><span class="label">C</span>' in page
    bare = report(noisy)
    assert "Figures of tables" not in bare.html()
    assert "tables" not in bare.to_json()


@pytest.mark.parametrize(("name", "hint"), [("devces", "Did you mean `devices`?"), ("records", "devices, uncounted")])
def test_only_tables_of_aggregates_have_figures(noisy: Project, name: str, hint: str) -> None:
    with pytest.raises(ConfigurationError, match=f"no table `{name}`") as caught:
        report(noisy, tables=[name])
    assert hint in caught.value.hint


@pytest.mark.parametrize(
    ("roles", "table", "code"),
    [
        (("auditor",), (), 0),
        (("auditor",), ("devices",), 3),
        (("auditor", "analyst"), ("devices",), 0),
        (("auditor", "one_table"), ("devices",), 0),
        (("auditor", "one_table"), ("devices", "uncounted"), 3),
    ],
)
def test_it_needs_the_permission_to_read_the_table(
    noisy: Project, monkeypatch: pytest.MonkeyPatch, roles: tuple[str, ...], table: tuple[str, ...], code: int
) -> None:
    scopes: dict[str, dict[str, Any]] = {"one_table": {"datasets": ["checkins/devices"]}}
    known = {"one_table": {"copy": "analyst"}}
    assignments = [assignment(role, "ann@example.com", **scopes.get(role, {})) for role in roles]
    write_yaml(noisy.folder / "access.yaml", access_file(*assignments, roles=known))
    (noisy.folder / "minimize.yaml").write_text("access: access.yaml\nencrypt: off\n")
    monkeypatch.setenv("MINIMIZE_ACTOR", "ann@example.com")
    asked = [option for name in table for option in ("--table", name)]
    said = command("report", noisy.out, "--keys", noisy.keys, "--at", f"{AT:%Y-%m-%dT%H:%M:%SZ}", *asked)
    assert said.code == code, said.err
    assert ("with error bars" in said.out) == (code == 0 and bool(table))


def test_the_json_form_has_all_figures(noisy: Project, tmp_path: Path) -> None:
    asked = ("report", noisy.out, "--keys", noisy.keys, "--table", "devices", "--json")
    (table,) = command(*asked).json["tables"]
    assert [each["name"] for each in table["measures"]] == ["devices", "battery", "drained", "north", "storage"]
    assert len(table["measures"][0]["deviations"]) == len(table["rows"])
