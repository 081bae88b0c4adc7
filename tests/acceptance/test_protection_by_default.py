"""What would reveal persons is refused without an `encrypt` line or access rules, unless the configuration states `off`."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

import minimize
from minimize.errors import RefusedError
from minimize.keys.parquet_footer import read_encrypted_columns
from minimize.runs.inspection import make_plan
from tests.commands import command
from tests.project import DAY, Project, events, new_project, table, write_yaml
from tests.world import World

KEPT = {"model": {"type": "string", "role": "identifier", "do": "keep"}}


def configure(project: Project, *lines: str) -> None:
    (project.folder / "minimize.yaml").write_text("".join(f"{line}\n" for line in lines))


@pytest.fixture(name="project")
def _project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    """A project that releases an identifier, and whose configuration says nothing about encryption."""
    monkeypatch.chdir(tmp_path)
    made = new_project(tmp_path, lasting=True)
    configure(made)
    made.policy(KEPT)
    made.pipeline(records={"must_be": "identified"}, aggregates=None)
    made.records(events(20))
    return made


def codes(error: RefusedError) -> list[str]:
    return [finding.code for finding in error.findings]


def test_a_run_that_would_write_identified_columns_unencrypted_is_refused(project: Project) -> None:
    with pytest.raises(RefusedError) as caught:
        project.run(date=DAY, at=None)
    assert (caught.value.exit_code, codes(caught.value)) == (3, ["R009"])
    hint = caught.value.findings[0].hint
    assert "encrypt: identified" in hint
    assert "encrypt: off" in hint
    assert not project.out.exists()


def test_it_is_refused_before_the_source_is_read(project: Project) -> None:
    source = project.lines(f"data/{DAY}/a.ndjson.gz", [])
    source.write_bytes(b"no gzip")
    with pytest.raises(RefusedError):
        project.run(date=DAY, at=None)


@pytest.mark.parametrize(
    ("lines", "records", "is_encrypted"),
    [
        (["encrypt: identified"], {}, True),
        (["access: {encrypt: identified}"], {}, True),
        (["encrypt: off"], {}, False),
        ([], {"encrypt": "identified"}, True),
        ([], {"encrypt": "off"}, False),
    ],
)
def test_a_line_in_either_file_decides(
    project: Project, lines: list[str], records: dict[str, str], is_encrypted: bool
) -> None:
    configure(project, *lines)
    project.pipeline(records={"must_be": "identified", **records}, aggregates=None)
    project.run(date=DAY, at=None)
    assert bool(project.master_keys()) == is_encrypted


def test_pseudonymized_records_need_no_line(project: Project) -> None:
    project.policy()
    project.run(date=DAY, at=None)
    assert project.rows()


WRITERS = {
    "run": ["run", ".", "--pending"],
    "replay": ["replay", "out", "--pipeline", "."],
    "backfill": ["backfill", "backfill.yaml"],
}


@pytest.mark.parametrize("name", WRITERS)
def test_other_commands_that_write_from_the_source_follow_the_same_rule(project: Project, name: str) -> None:
    configure(project, "encrypt: identified")
    project.records(["no JSON"], name="b")
    project.run(date=DAY, at=None)
    configure(project)
    project.records(events(5, 20), name="c")
    write_yaml(
        project.folder / "backfill.yaml", {"backfill": "b", "pipeline": ".", "reason": "late files", "dates": [DAY]}
    )
    before = project.files()
    made = command(*WRITERS[name], "--keys", project.keys, "--json")
    assert made.code == 3, made.err
    assert "R009" in made.err
    assert project.files() == before


def test_plan_and_lint_report_the_refusal_in_advance(project: Project) -> None:
    assert "R009" in [finding.code for finding in minimize.lint(project.folder)]
    with pytest.raises(RefusedError) as caught:
        make_plan(project.folder)
    assert codes(caught.value) == ["R009"]


def test_data_in_memory_is_not_concerned(project: Project) -> None:
    policy, rows = project.folder / "policy.yaml", table(events(20))
    released = minimize.apply(policy, rows, purpose="service_maintenance", keys=project.keys)
    minimizer = minimize.prepare(policy, rows.schema, purpose="service_maintenance", keys=project.keys)
    assert (
        released.column("model").to_pylist() == minimizer(rows).column("model").to_pylist() == rows["model"].to_pylist()
    )


def test_published_output_stays_readable_and_expires_without_a_line(project: Project) -> None:
    configure(project, "encrypt: identified")
    project.run(date=DAY, at=None)
    configure(project)
    assert minimize.read(project.out, keys=project.keys).num_rows == 20
    assert command("expire", project.out, "--keys", project.keys).code == 0
    assert all(read_encrypted_columns(Path(each)).masters for each in minimize.files(project.out))


REFUSED = [
    "subject view d1 --tenant north",
    "subject export d1 --tenant north --to exported",
    "consent give north vendor sync --evidence FORM",
    "consent withdraw north vendor sync --evidence FORM",
    "consent show",
    "contract record north vendor --reference C-1 --offered",
    "contract show",
    "functions list north",
    "functions request north vendor sync",
    "settings set north location on",
]


@pytest.fixture(name="unruled")
def _unruled(world: World) -> World:
    """The organization, without its `access` line."""
    file = world.folder / "minimize.yaml"
    file.write_text(file.read_text().replace('"access": "access.yaml",', ""))
    assert "access" not in file.read_text()
    return world


@pytest.mark.parametrize("words", REFUSED)
def test_without_access_rules_a_command_about_persons_or_for_tenants_is_refused(unruled: World, words: str) -> None:
    before = unruled.digests()
    made = unruled.command("ann", *words.split(), "--pipeline", "usage", "--json")
    assert (made.code, made.error["code"]) == (3, "R010"), made.err
    assert "access: off" in made.error["hint"]
    assert unruled.digests() == before


@pytest.mark.parametrize("words", ["subject view d1 --tenant north", "contract show", "functions list north"])
def test_with_access_off_written_down_everyone_may(unruled: World, words: str) -> None:
    file = unruled.folder / "minimize.yaml"
    file.write_text(file.read_text().replace("{", '{"access": "off",', 1))
    made = unruled.command("ann", *words.split(), "--pipeline", "usage")
    assert made.code == 0, made.err


def test_the_server_requires_rules_even_with_access_off(unruled: World) -> None:
    file = unruled.folder / "minimize.yaml"
    for text in (file.read_text(), file.read_text().replace("{", '{"access": "off",', 1)):
        file.write_text(text)
        with unruled.as_actor("ann"), pytest.raises(RefusedError) as caught:
            minimize.open_dataset(unruled.usage.out, keys=unruled.keys)
        assert caught.value.code == "R010"


def test_reading_a_folder_in_python_requires_no_permission(unruled: World) -> None:
    with unruled.as_actor("ann", datetime.now(UTC)):
        assert minimize.read(unruled.usage.out, keys=unruled.keys).num_rows
