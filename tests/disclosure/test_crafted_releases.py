"""Attacks by further releases of a date: other outputs, other pipelines, other names of tables. All count, through the ledger."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest
import time_machine

import minimize
from tests.commands import command
from tests.disclosure.crafted import PIPELINE, crafted, figure, read, run, table, write
from tests.disclosure.test_crafted_attacks import BITS, ORG, Found, check_attack
from tests.project import AT, DAY, Project, write_yaml

TABLE = {"t": table({"n": "count"})}


@pytest.fixture(name="project")
def _project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    """A crafted project in the current folder, whose runs use the ledger of its configuration."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MINIMIZE_LEDGER", raising=False)
    made = crafted(tmp_path)
    made.pipeline(aggregates=TABLE)
    return made


def people(project: Project, count: int, day: str = DAY) -> None:
    """The date has so many people."""
    at = f"{day}T08:00:00Z"
    project.records(({"org": "acme", "badge": f"B-{number:03}", "at": at} for number in range(count)), day)


def another(project: Project, name: str = "other", **changes: Any) -> Path:
    """Another pipeline of the same source, with the same policy."""
    own = {"pipeline": name, "output": f"../{name}_out", "policy": "../policy.yaml", "aggregates": TABLE}
    path = {"path": "../data/{date}/*.ndjson.gz", "format": "ndjson"}
    write_yaml(project.folder / name / "pipeline.yaml", {**PIPELINE, **own, "source": path, **changes})
    return project.folder / name


def publish(
    project: Project, hour: int, count: int, *options: object, pipeline: Path | None = None, day: str = DAY
) -> str:
    """Runs a pipeline by the command over so many people, and gives what it logs."""
    people(project, count, day)
    with time_machine.travel(AT.replace(hour=hour)):
        made = command("run", pipeline or project.folder, "--date", day, *options)
    assert made.code == 0, made.err
    return made.err


def numbers(output: Path) -> list[int | None]:
    """The number of the release of each run of an output, in order; None for one that published no table."""
    receipts = [minimize.Receipt.from_json(path.read_bytes()) for path in (output / "runs").glob("*/receipt.json")]
    found = []
    for receipt in sorted(receipts, key=lambda receipt: receipt.sequence):
        releases = [list((part.releases or {}).values()) for name, part in receipt.outputs.items() if name != "records"]
        found += [each[0].number if each else None for each in releases]
    return found


def verify(project: Project, *outputs: Path) -> None:
    for output in outputs:
        minimize.verify(output, keys=project.keys, ledger=project.folder / "ledger.db")


def test_a_rerun_into_another_output_counts_on(project: Project) -> None:
    for hour, count in enumerate((40, 41, 42)):
        publish(project, hour, count)
    other = project.folder / "elsewhere"
    assert "t of 2026-11-24: no table is published" in publish(project, 3, 43, "--output", other)
    assert numbers(project.out) == [1, 2, 3]
    assert numbers(other) == [None]
    assert minimize.files(other, "t") == []
    verify(project, project.out, other)


def test_figures_that_are_published_already_may_be_published_elsewhere(project: Project) -> None:
    for hour, count in enumerate((40, 41, 42)):
        publish(project, hour, count)
    other = project.folder / "elsewhere"
    publish(project, 3, 41, "--output", other)
    assert numbers(other) == [2]
    publish(project, 4, 42, "--output", other)
    assert numbers(other) == [2, 3]
    assert read(project, "t", other) == read(project, "t")
    verify(project, other)


def test_releases_into_another_output_leave_fewer_to_the_first(project: Project) -> None:
    publish(project, 0, 40)
    for hour, count in enumerate((41, 42), 1):
        publish(project, hour, count, "--output", project.folder / "elsewhere")
    publish(project, 3, 43)
    assert (numbers(project.out), numbers(project.folder / "elsewhere")) == ([1, None], [2, 3])
    verify(project, project.out)


def test_a_new_pipeline_of_the_source_counts_on(project: Project) -> None:
    for hour, count in enumerate((40, 41, 42)):
        publish(project, hour, count)
    other = another(project)
    publish(project, 3, 43, pipeline=other)
    assert numbers(project.folder / "other_out") == [None]


def test_a_pipeline_that_was_there_before_the_date_has_its_first_release_free(project: Project) -> None:
    other, before = another(project), "2026-11-23"
    publish(project, 0, 40, pipeline=other, day=before)
    for hour, count in enumerate((40, 41, 42), 1):
        publish(project, hour, count)
    for hour, count in enumerate((43, 44), 4):
        publish(project, hour, count, pipeline=other)
    assert numbers(project.out) == [1, 2, 3]
    assert numbers(project.folder / "other_out") == [1, 1, None]
    verify(project, project.out, project.folder / "other_out")


@pytest.mark.parametrize("is_added", [False, True])
def test_a_table_of_another_name_counts_on(project: Project, is_added: bool) -> None:
    for hour, count in enumerate((40, 41, 42)):
        publish(project, hour, count)
    more = {"renamed": table({"people": {"count_distinct": "badge"}})}
    project.pipeline(aggregates={**TABLE, **more} if is_added else more)
    err = publish(project, 3, 43)
    assert "renamed of 2026-11-24: no table is published" in err
    assert minimize.files(project.out, "renamed") == []
    verify(project, project.out)


def test_without_these_rules_a_further_release_would_have_new_noise(project: Project) -> None:
    """The control: a date with more releases has other figures each time, which could be averaged."""
    project.pipeline(aggregates={"t": table({"n": "count"}, noise={"releases": 99})})
    seen = set()
    for hour, count in enumerate((40, 41, 40, 42, 43)):
        publish(project, hour, count, "--output", project.folder / f"out{hour}")
        seen.add(read(project, "t", project.folder / f"out{hour}")["acme"][0]["n"])
    assert [numbers(project.folder / f"out{hour}") for hour in range(5)] == [[1], [2], [1], [3], [4]]
    assert len(seen) > 2


# Keys that imply each other, in two pipelines of one source.


def people_elsewhere(project: Project) -> Found:
    """Whether somebody lives outside the city of a country: the people of the country, less those of its only large city."""
    project.pipeline(aggregates={"countries": table({"n": "count"}, "region")})
    other = another(project, "cities", aggregates={"cities": table({"n": "count"}, "site")})
    write(
        project,
        lambda org, i: {"region": f"r{org}", "site": f"elsewhere {org}" if i == 39 and BITS[org] else f"city {org}"},
    )
    run(project)
    with time_machine.travel(AT):
        made = command("run", other, "--date", DAY)
    assert made.code == 0, made.err
    countries, cities = read(project, "countries"), read(project, "cities", project.folder / "cities_out")
    found: list[bool | None] = []
    for number, org in enumerate(ORG):
        more = figure(countries[org], "n", region=f"r{number}") - figure(cities[org], "n", site=f"city {number}")
        found.append((more > 0) == BITS[number])
    return found


def test_a_country_minus_its_city_does_not_reveal_people_elsewhere(project: Project) -> None:
    check_attack(people_elsewhere, project, 56)


EXACT = {"exact": {"because": "the contract says so"}}


@pytest.mark.parametrize("first", [EXACT, {}])
@pytest.mark.parametrize("second", [EXACT, {}])
def test_exact_figures_of_a_date_are_published_by_one_output(
    project: Project, first: dict[str, Any], second: dict[str, Any]
) -> None:
    """Two exact tables, or an exact and a noisy one, would show single people and the lasting noise of rows."""
    project.pipeline(aggregates={"t": table({"n": "count"}, **first)})
    publish(project, 0, 40)
    assert read(project, "t")
    project.pipeline(aggregates={"t": table({"n": "count"}, **second)})
    other = project.folder / "elsewhere"
    publish(project, 1, 41, "--output", other)
    assert (minimize.files(other, "t") == []) == bool(first or second)
    verify(project, project.out)


def test_exact_figures_of_another_date_may_be_published_elsewhere(project: Project) -> None:
    project.pipeline(aggregates={"t": table({"n": "count"}, **EXACT)})
    publish(project, 0, 40, day="2026-11-23")
    other = project.folder / "elsewhere"
    publish(project, 1, 41, "--output", other)
    assert read(project, "t", other)


@pytest.mark.parametrize("spelling", ["absolute", "link", "wildcards"])
def test_another_spelling_of_the_source_counts_on(project: Project, spelling: str) -> None:
    for hour, count in enumerate((40, 41, 42)):
        publish(project, hour, count)
    (project.folder / "linked").symlink_to(project.folder / "data", target_is_directory=True)
    data = {
        "absolute": f"{project.folder}/data/{{date}}/*",
        "link": "../linked/{date}/*",
        "wildcards": "../data/{date}/**",
    }
    other = another(project, source={"path": f"{data[spelling]}.ndjson.gz", "format": "ndjson"})
    publish(project, 3, 43, pipeline=other)
    assert numbers(project.folder / "other_out") == [None]
    publish(project, 4, 42, pipeline=other)
    assert numbers(project.folder / "other_out") == [None, 3]
    assert read(project, "t", project.folder / "other_out") == read(project, "t")


def test_an_output_that_was_restored_from_an_older_copy_counts_on(project: Project) -> None:
    publish(project, 0, 40)
    shutil.copytree(project.out, project.folder / "copy")
    for hour, count in enumerate((41, 42), 1):
        publish(project, hour, count)
    shutil.rmtree(project.out)
    shutil.copytree(project.folder / "copy", project.out)
    publish(project, 3, 43)
    assert numbers(project.out) == [1, None]
    publish(project, 4, 42)
    assert numbers(project.out) == [1, None, 3]
