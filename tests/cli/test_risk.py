"""`minimize risk`: of a file, of an output, of a pipeline, and what an account sees of it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click
import pyarrow as pa
import pyarrow.csv as pc
import pyarrow.parquet as pq
import pytest

import minimize
from minimize.cli.risk import GroupWithArgument, risk_group
from minimize.datasets.reader import read
from minimize.results import LIMITED_TO_SCOPE
from tests.commands import Command
from tests.project import Builds, Project, event
from tests.world import World

TABLE = pa.table(
    {
        "age": [34, 34, 51, 34],
        "city": ["Bonn", "Bonn", "Ulm", None],
        "illness": ["flu", "none", "flu", "none"],
        "patient": [1, 2, 2, 3],
    }
)
COLUMNS = ("--quasi", "age", "--quasi", "city", "--sensitive", "illness", "--person", "patient")


@pytest.fixture(name="folder")
def _folder(tmp_path: Path) -> Path:
    pq.write_table(TABLE, tmp_path / "patients.parquet")
    pc.write_csv(TABLE, tmp_path / "patients.csv")
    return tmp_path


@pytest.mark.parametrize("name", ["patients.parquet", "patients.csv"])
def test_a_file_is_measured_as_a_data_frame_is(folder: Path, command: Command, name: str) -> None:
    body = command("risk", folder / name, *COLUMNS, "--json").json
    expected: dict[str, Any] = minimize.risk(TABLE, ["age", "city"], ["illness"], "patient").to_json()
    body.pop("notes", None)
    assert body == expected


def test_a_population_is_a_file_or_a_number(folder: Path, command: Command) -> None:
    named = ("risk", folder / "patients.csv", "--quasi", "age", "--json")
    of_file = command(*named, "--population", folder / "patients.parquet").json["population"]
    assert (of_file["members"], of_file["unique_persons"]) == (4, 1)
    of_size = command(*named, "--population", "400").json["population"]
    assert (of_size["members"], of_size["sampling_fraction"], of_size["journalist"]) == (400, 0.01, None)


def test_a_page_is_written_without_a_value(folder: Path, command: Command) -> None:
    page = folder / "risk.html"
    result = command("risk", folder / "patients.parquet", *COLUMNS, "--html", page)
    assert (result.code, page.name in result.out) == (0, True)
    text = page.read_text("utf-8")
    assert "How unique are the people in this data?" in text
    assert not any(value in text for value in ("Bonn", "Ulm", "flu"))


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("patients.parquet",), "Pass --quasi COLUMN. The columns are age, city, illness, patient."),
        (("patients.csv", "--quasi", "citty"), "Did you mean `city`?"),
        (("patients.csv", "--quasi", "age", "--sensitive", "age"), "age is both a quasi-identifier and sensitive"),
        (("patients.csv", "--quasi", "age", "--population", "0"), "size of the population"),
        (("patients.csv", "--quasi", "age", "--date", "2026-11-24"), "--date is for outputs"),
        (("missing.csv", "--quasi", "age"), "missing.csv: the file or folder does not exist"),
        (
            ("patients.csv", "--quasi", "age", "--population", "missing.parquet"),
            "missing.parquet: the file does not exist",
        ),
        (("patients.csv", "--quasi", "age", "--population", "notes.txt"), "notes.txt is not a file"),
        (("damaged.parquet", "--quasi", "age"), "damaged"),
        ((".",), "not an output folder"),
    ],
)
def test_what_cannot_be_measured_is_an_error_without_a_value(
    folder: Path, command: Command, monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...], message: str
) -> None:
    (folder / "damaged.parquet").write_bytes(b"PAR1 Bonn PAR1")
    (folder / "notes.txt").write_text("Bonn")
    monkeypatch.chdir(folder)
    result = command("risk", *words)
    assert result.code == 2
    assert message in result.err
    assert not any(value in result.err for value in ("Bonn", "Ulm", "flu"))


def test_a_population_without_the_quasi_identifiers_is_refused(folder: Path, command: Command) -> None:
    pq.write_table(TABLE.select(["age"]), folder / "ages.parquet")
    result = command("risk", folder / "patients.csv", *COLUMNS, "--population", folder / "ages.parquet")
    assert (result.code, "the population has no column city" in result.err) == (2, True)


def test_records_of_a_csv_file_that_cannot_be_read_are_counted(folder: Path, command: Command) -> None:
    (folder / "ragged.csv").write_text("age,city\n34,Bonn\n51\n34,Bonn\n")
    body = command("risk", folder / "ragged.csv", "--quasi", "age", "--json").json
    assert (body["records"], body["k"]) == (2, 2)
    assert body["notes"] == ["1 record of the file cannot be read and is not measured"]


def released_content(project: Project) -> None:
    project.records([event(number % 12, minutes=number) for number in range(60)])
    project.run()


@pytest.fixture(name="released")
def _released(builds: Builds, project: Project) -> Project:
    return builds.fill(project, released_content)


@pytest.mark.parametrize("place", ["out", "pipeline"])
def test_an_output_is_measured_by_its_policy(released: Project, command: Command, place: str) -> None:
    named = released.out if place == "out" else released.folder
    body = command("risk", named, "--keys", released.keys, "--json").json
    table = read(released.out, keys=released.keys)
    quasi = body["quasi_identifiers"]
    assert set(quasi) <= {"event_time", "model", "latitude"}
    assert {"event_time", "model"} <= set(quasi)
    expected = minimize.risk(table, quasi, person="device_id")
    assert body["person"] == "device_id"
    assert (body["records"], body["persons"], body["k"]) == (expected.records, expected.persons, expected.k)
    assert body["unique_without"] == dict(expected.unique_without)


def test_fields_of_an_output_can_be_named(released: Project, command: Command) -> None:
    words = ("--quasi", "model", "--person", "tenant_id", "--keys", released.keys)
    body = command("risk", released.out, *words, "--json").json
    table = read(released.out, keys=released.keys)
    assert body["persons"] == len(table["tenant_id"].unique())
    assert body["combinations"] == len(table["model"].unique())


def test_a_date_without_records_is_an_error(released: Project, command: Command) -> None:
    result = command("risk", released.out, "--keys", released.keys, "--date", "2001-01-01")
    assert (result.code, "no records in force" in result.err) == (2, True)


def test_a_tenant_administrator_sees_the_risk_of_the_own_tenants(world: World) -> None:
    from tests.cli.permission_table import prepare

    prepare(world)
    everything, limited = (
        json.loads(world.command(account, "risk", "usage/out", "--quasi", "app_id", "--json").out)
        for account in ("pia", "tess")
    )
    assert "limited_to_tenants_in_scope" not in everything
    assert limited["limited_to_tenants_in_scope"] is True
    table = read(world.folder / "usage" / "out", keys=world.folder / "test.keys")
    own = table.filter(pa.compute.equal(table["tenant_id"], "north"))
    assert (everything["records"], limited["records"]) == (len(table), len(own))
    assert LIMITED_TO_SCOPE in world.command("tess", "risk", "usage/out", "--quasi", "app_id").out


def test_a_first_word_that_names_a_command_is_the_command(folder: Path, command: Command) -> None:
    called = []
    group = GroupWithArgument("risk", params=risk_group.params, callback=lambda **_: None, invoke_without_command=True)
    group.add_command(click.Command("attack", callback=lambda: called.append("attack")))
    group.main(["attack"], standalone_mode=False)
    assert called == ["attack"]
    group.main([str(folder / "patients.csv"), "--quasi", "age"], standalone_mode=False)
    group.main(["./attack", "--quasi", "age"], standalone_mode=False)
    assert called == ["attack"]


def test_a_pipeline_that_never_ran_says_so(project: Project, command: Command) -> None:
    refused = command("risk", project.folder, "--keys", project.keys)
    assert refused.code == 2
    assert "nothing has been published to this output (hint: Run `minimize run` first.)" in refused.err


def test_a_page_of_many_fields_names_the_first_and_has_no_empty_section(folder: Path, command: Command) -> None:
    names = [f"field_{number}" for number in range(30)]
    pq.write_table(pa.table({name: [1] * 20 for name in names}), folder / "wide.parquet")
    words = [word for name in names for word in ("--quasi", name)]
    assert command("risk", folder / "wide.parquet", *words, "--html", folder / "risk.html").code == 0
    page = (folder / "risk.html").read_text("utf-8")
    assert "field_11 and 18 more" in page
    assert "Which attribute makes persons unique" not in page
