"""What a command tells others of a run: log, lineage, metrics."""

from __future__ import annotations

import json

from tests.cli.command import Command, Said
from tests.job.house import DAY, LASTING, House, events

WHEN = "2026-11-25T00:00:00Z"


def ran(command: Command, house: House, *more: object) -> Said:
    return command("run", house.folder, "--at", WHEN, "--output", house.out, "--keys", house.keys, *more)


def test_the_log_for_machines_ends_with_the_figures_of_the_run(house: House, command: Command) -> None:
    house.brings([*events(30), "broken"])
    lines = [json.loads(line) for line in ran(command, house, "--log-format", "json").err.splitlines()]
    assert [line["code"] for line in lines] == ["I001"]
    assert all(set(line) == {"ts", "level", "code", "run_id", "msg", "data"} for line in lines)
    figures = lines[-1]["data"]
    assert (figures["kind"], figures["pipeline"], figures["dates"]) == ("run", "checkins", [DAY])
    assert (figures["rows"]["read"], figures["rows"]["written"], figures["quarantined"]) == (31, 30, {"malformed": 1})
    assert figures["quarantine_share"] == round(1 / 31, 6)
    assert len({line["run_id"] for line in lines}) == 1


def test_lineage_and_metrics_go_where_the_options_say(house: House, command: Command) -> None:
    house.brings(events(30))
    assert ran(command, house, "--lineage", "told/a.ndjson", "--metrics", "told/a.prom").code == 0
    assert len((house.folder / "told/a.ndjson").read_text().splitlines()) == 2
    assert "minimize_rows" in (house.folder / "told/a.prom").read_text()
    assert not (house.folder / "_out.lineage.ndjson").exists()


def test_lineage_and_metrics_go_where_the_house_says(house: House, command: Command) -> None:
    (house.folder / "minimize.yaml").write_text("lineage: off\nmetrics: told\n")
    house.brings(events(30))
    assert ran(command, house).code == 0
    assert [path.name for path in (house.folder / "told").iterdir()] == ["minimize_checkins.prom"]
    assert not (house.folder / "_out.lineage.ndjson").exists()


def test_a_replay_is_told_too(house: House, command: Command) -> None:
    house.brings([*events(30), "broken", json.dumps({**events(1)[0], "contacts": ["x"]})])
    ran(command, house)
    house.policy(never=None, **LASTING)
    said = command("replay", house.out, "--keys", house.keys, "--metrics", "told")
    assert said.code == 0
    assert 'fate="written"} 31' in (house.folder / "told/minimize_checkins.prom").read_text()
    assert len((house.folder / "_out.lineage.ndjson").read_text().splitlines()) == 4
