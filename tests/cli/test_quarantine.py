from __future__ import annotations

from tests.cli.command import Command
from tests.job.house import DAY, House, event, events


def test_it_counts_by_code_field_and_file(house: House, command: Command) -> None:
    house.brings([*events(30), "broken", event(31, storage="much"), event(32, storage="little")])
    house.run()
    said = command("quarantine", "show", house.out)
    assert said.code == 0
    assert [line.split() for line in said.out.splitlines() if "ndjson" in line] == [
        ["wrong_type", "/storage", f"{DAY}/a.ndjson.gz", "2"],
        ["malformed", f"{DAY}/a.ndjson.gz", "1"],
    ]
    assert "3 records in quarantine" in said.out


def test_for_machines_it_gives_groups(house: House, command: Command) -> None:
    house.brings([*events(30), "broken"])
    house.run()
    said = command("quarantine", "show", house.out, "--json")
    group = {"code": "malformed", "field": None, "file": f"{DAY}/a.ndjson.gz", "rows": 1}
    assert said.json == {"rows": 1, "groups": [group]}


def test_it_counts_what_would_pass_now_where_that_is_asked(house: House, command: Command) -> None:
    house.brings([*events(30), "broken", event(31, contacts=["x"])])
    house.run()
    house.policy(never=None)
    said = command("quarantine", "show", house.out, "--check", "--keys", house.keys, "--json")
    assert {group["code"]: group["passing"] for group in said.json["groups"]} == {"forbidden_field": 1, "malformed": 0}


def test_an_empty_quarantine_says_so(house: House, command: Command) -> None:
    house.brings(events(30))
    house.run()
    assert command("quarantine", "show", house.out).out == "nothing is in quarantine\n"
    assert command("quarantine", "show", house.out, "--json").json == {"rows": 0, "groups": []}
