"""Nights as their operator sees them: through the commands, and through what other tools read afterwards."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import duckdb
import pandas as pd
import polars as pl
import pytest

import minimize
from tests.commands import Command, Result
from tests.project import Project, event

FIRST = date(2026, 11, 10)
CANARY = "canary"


def day(number: int) -> str:
    return (FIRST + timedelta(days=number)).isoformat()


def rows(number: int, count: int, late: int = 0, first: int = 0) -> list[dict[str, Any]]:
    """Check-ins of a night, or that came in it and are of an earlier day."""
    return [
        event(each, event_time=f"{day(number - late)}T{each % 24:02}:00:00Z", device_id=f"{CANARY}-{each % 9}")
        for each in range(first, first + count)
    ]


def switched_on(project: Project, command: Command) -> None:
    for tenant in ("north", "south"):
        said = command(
            "settings", "set", tenant, "location", "on", "--since", "2026-01-01", "--pipeline", project.folder
        )
        assert said.code == 0


def pending(project: Project, command: Command) -> Result:
    return command("run", project.folder, "--pending")


def counted(project: Project) -> dict[tuple[str, str], int]:
    return {(row["date"].isoformat(), row["tenant_id"]): row["events"] for row in project.rows("per_day")}


def test_each_day_is_counted_once_with_its_late_rows_and_every_tool_reads_the_same(
    project: Project, command: Command
) -> None:
    switched_on(project, command)
    for night in range(5):
        project.records(rows(night, 20), day(night))
        if night:
            project.records(rows(night, 6, late=1, first=100), day(night), "late")
        assert pending(project, command).code == 0
    project.records(rows(1, 4, first=200), day(1), "very_late")
    again = command("run", project.folder, "--pending", "--json").json
    assert again["dates"] == [day(1)]
    assert again["outputs"]["per_day"]["too_late"] == 4
    assert pending(project, command).out == "nothing to do\n"
    assert counted(project) == {(day(night), tenant): 13 for night in range(3) for tenant in ("north", "south")}
    records = project.out / "records"
    with duckdb.connect() as engine:
        of_duckdb = engine.execute(f"select count(*) from read_parquet('{records}/**/*.parquet')").fetchall()[0][0]
    assert len(pd.read_parquet(records)) == pl.read_parquet(records).height == of_duckdb == 20 * 5 + 6 * 4 + 4
    assert minimize.read(project.out).num_rows == of_duckdb
    assert command("verify", project.out).code == 0
    assert command("audit", "verify", "--receipts", project.out).code == 0


def test_a_batch_that_is_gone_holds_its_days_back_until_it_is_there_again(project: Project, command: Command) -> None:
    switched_on(project, command)
    kept = [project.records(rows(night, 20), day(night)) for night in range(2)][1]
    assert pending(project, command).code == 0
    content = kept.read_bytes()
    kept.unlink()
    project.records(rows(2, 20), day(2))
    said = pending(project, command)
    assert said.code == 1
    reason = f"because one of its batches was skipped or has changed ({day(1)}: gone)"
    assert f"the event day {day(0)} is not published, {reason}" in said.err
    kept.write_bytes(content)
    project.records(rows(3, 20), day(3))
    assert pending(project, command).code == 0
    assert {when for when, _ in counted(project)} == {day(0), day(1)}


def test_an_opt_out_counts_after_any_change_of_the_keyring(project: Project, command: Command) -> None:
    switched_on(project, command)
    mine = (
        "north",
        "location",
        "--subject",
        f"{CANARY}-1",
        "--holder",
        "user",
        "--reference",
        "app-1",
        "--pipeline",
        project.folder,
    )
    project.records(rows(0, 40), day(0))

    def located() -> int:
        assert command("run", project.folder, "--date", day(0)).code == 0
        return sum(row["latitude"] is not None for row in project.rows(dates=day(0)))

    def says(word: str, since: str) -> None:
        assert command("settings", "set", *mine[:2], word, *mine[2:], "--since", since).code == 0

    everybody = located()
    says("off", "2026-11-01")
    assert located() < everybody
    for name in ("subject", "device"):
        assert command("keys", "add", project.keys, name).code == 0
    says("on", "2026-11-02")
    assert located() == everybody
    says("off", "2026-11-03")
    assert located() < everybody
    why = command("settings", "explain", "north", "location", f"{day(0)}T10:00:00Z", "--subject", f"{CANARY}-1")
    assert why.out.startswith("location of north: not collected")
    assert command("verify", project.out).code == 0


def test_an_older_copy_of_the_ledger_and_a_new_one_are_found(project: Project, command: Command) -> None:
    switched_on(project, command)
    ledger, older = project.folder / "ledger.db", project.folder / "older.db"
    project.records(rows(0, 20), day(0))
    assert pending(project, command).code == 0
    shutil.copy(ledger, older)
    head = project.folder / "head.json"
    project.records(rows(1, 20), day(1))
    assert pending(project, command).code == 0
    head.write_text(command("audit", "verify", "--json").out)
    shutil.copy(older, ledger)
    assert command("audit", "verify").code == 0
    assert (
        "removal of the last entries cannot be excluded"
        in command("audit", "verify").err + command("audit", "verify").out
    )
    for found in (("--receipts", project.out), ("--head", head)):
        assert command("audit", "verify", *found).code == 1
    assert command("verify", project.out).code == 1
    ledger.unlink()
    for words, code in ((("run", project.folder, "--pending"), 3), (("runs",), 2), (("audit", "log"), 2)):
        said = command(*words)
        assert (said.code, str(ledger) in said.err) == (code, True)
    switched_on(project, command)
    assert command("runs", "--rebuild", "--output", project.out).code == 0
    assert len(command("runs", "--json").json["runs"]) == 2
    assert command("run", project.folder, "--date", day(1)).code == 3
    assert command("runs", "adopt-ledger", project.out, "--reason", "lost").code == 0
    assert command("run", project.folder, "--date", day(1)).code == 0
    assert command("verify", project.out).code == 0


def test_nothing_stored_next_to_the_data_or_printed_holds_a_value(project: Project, command: Command) -> None:
    switched_on(project, command)
    bad: list[dict[str, Any] | str] = [
        event(1, event_time=f"{CANARY} noon"),
        event(2, battery=f"{CANARY}"),
        f'{{"{CANARY}": ',
    ]
    new = [{**each, f"{CANARY}@example.org": 1} for each in rows(0, 30)]
    project.records([*new, *bad], day(0))
    own = ("--subject", f"{CANARY}-1", "--holder", "user", "--evidence", "app-1")
    project.write("again", {"backfill": "again", "pipeline": ".", "reason": "bins", "dates": [day(0)]})
    printed = [
        command("settings", "set", "north", "location", "off", *own, "--pipeline", project.folder),
        command(
            "settings", "explain", "north", "location", f"{day(0)}T10:00:00Z", *own[:2], "--pipeline", project.folder
        ),
        command("settings", "show", "--history"),
        pending(project, command),
        command("run", project.folder, "--date", day(0), "--json"),
        command("--log-format", "json", "--verbose", "run", project.folder, "--date", day(0)),
        command("backfill", "again.yaml"),
        command("drift", project.folder),
        command("drift", project.folder, "--json"),
        command("quarantine", project.out, "--check"),
        command("replay", project.out),
        command("runs"),
        command("audit", "log", "--json"),
        command("audit", "export", "log.ndjson"),
        command("settings", "export", "settings.out.csv"),
        command("verify", project.out),
    ]
    assert {each.code for each in printed} == {0}
    assert not [each for each in printed if CANARY in each.out + each.err]
    assert not [path for path in beside(project) if CANARY.encode() in path.read_bytes()]
    assert list((project.folder / "metrics").iterdir())
    assert list(project.folder.glob("*lineage.ndjson"))


def beside(project: Project) -> Iterator[Path]:
    """All that was written but the data that came in."""
    found = (
        path for path in project.folder.rglob("*") if path.is_file() and (project.folder / "data") not in path.parents
    )
    yield from found


@pytest.mark.parametrize(
    ("words", "code", "told"),
    [
        (("run", ".", "--date", "2026-11-31"), 2, "--date is not a date"),
        (("run", ".", "--since", "2026-11-20", "--until", "2026-11-18"), 2, "--until is before --since"),
        (("run", ".", "--date", "2026-11-20", "--pending"), 2, "--date cannot be combined with"),
        (("run", ".", "--at", "2026-01-01T00:00:00Z"), 3, "--at is in the past"),
        (("run", ".", "--at", "2026-01-01T00:00:00"), 2, "has no time zone"),
        (("run", "nowhere"), 2, "the file does not exist"),
        (("backfill", "nowhere.yaml"), 2, "the file does not exist"),
        (("verify", "nowhere"), 2, "nowhere: the output folder does not exist"),
        (("replay", "nowhere"), 2, "nowhere: the output folder does not exist"),
        (("audit", "verify", "--receipts", "nowhere"), 2, "nowhere"),
        (("settings", "set", "north", "loation", "on", "--pipeline", "."), 2, "no feature `loation`"),
        (("settings", "set", "north", "location", "on", "--subject", ""), 2, "the subject is blank"),
        (("settings", "import", "nowhere.csv"), 2, "the settings file does not exist"),
        (("runs", "--ledger", "mysql://bob:hunter2@host/db"), 2, "is not supported"),
        (("audit", "log", "--ledger", "postgresql://bob:hun@ter2@host:port/db"), 2, "is invalid"),
    ],
)
def test_a_mistake_is_named_with_its_exit_code_and_changes_nothing(
    project: Project, command: Command, words: tuple[str, ...], code: int, told: str
) -> None:
    switched_on(project, command)
    project.records(rows(0, 5), day(0))
    said = command(*words)
    assert (said.code, told in said.err) == (code, True)
    assert "ter2" not in said.out + said.err
    assert not project.files()
    assert len(command("audit", "log", "--activity", "settings", "--json").json["entries"]) == 2


def test_a_run_with_too_many_quarantined_rows_is_reported_and_replaces_nothing(
    project: Project, command: Command
) -> None:
    switched_on(project, command)
    project.records(rows(0, 20), day(0))
    assert pending(project, command).code == 0
    project.records([*rows(0, 10), *(f"{CANARY} {each}" for each in range(5))], day(0))
    said = pending(project, command)
    assert (said.code, "published, but 5 of 15 rows are in quarantine" in said.err) == (4, True)
    project.records([f"{CANARY} {each}" for each in range(5)], day(0))
    said = command("run", project.folder, "--pending", "--json")
    assert said.code == 4
    assert "5 of 5 rows would be in quarantine" in said.error["message"]
    assert "malformed 5" in said.error["message"]
    assert len(project.rows()) == 10
    assert json.loads(command("quarantine", project.out, "--json").out)["rows"] == 5
