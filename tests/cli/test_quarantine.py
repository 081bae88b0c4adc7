from __future__ import annotations

from tests.commands import Command
from tests.project import DAY, Project, event, events


def test_it_counts_by_code_field_and_file(project: Project, command: Command) -> None:
    project.records([*events(30), "broken", event(31, storage="much"), event(32, storage="little")])
    project.run()
    said = command("quarantine", "show", project.out)
    assert said.code == 0
    assert [line.split() for line in said.out.splitlines() if "ndjson" in line] == [
        ["wrong_type", "/storage", f"{DAY}/a.ndjson.gz", "2"],
        ["malformed", f"{DAY}/a.ndjson.gz", "1"],
    ]
    assert "3 records in quarantine" in said.out


def test_for_machines_it_gives_groups(project: Project, command: Command) -> None:
    project.records([*events(30), "broken"])
    project.run()
    said = command("quarantine", "show", project.out, "--json")
    group = {"code": "malformed", "field": None, "file": f"{DAY}/a.ndjson.gz", "rows": 1}
    assert said.json == {"rows": 1, "groups": [group]}


def test_it_counts_what_would_pass_now_where_that_is_asked(project: Project, command: Command) -> None:
    project.records([*events(30), "broken", event(31, contacts=["x"])])
    project.run()
    project.policy(never=None)
    said = command("quarantine", "show", project.out, "--check", "--keys", project.keys, "--json")
    assert {group["code"]: group["passing"] for group in said.json["groups"]} == {"forbidden_field": 1, "malformed": 0}


def test_an_empty_quarantine_says_so(project: Project, command: Command) -> None:
    project.records(events(30))
    project.run()
    assert command("quarantine", "show", project.out).out == "nothing is in quarantine\n"
    assert command("quarantine", "show", project.out, "--json").json == {"rows": 0, "groups": []}
