"""Names of input files can be ids: a terminal shows them, and no stored or redirected byte contains them."""

from __future__ import annotations

import json
import os
import pty
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.leak.canary import Canary
from tests.leak.sweep import found
from tests.project import AT, Project, event, events, new_project

ID = Canary("name of a file", "B-SECRETID-1")
OTHER = Canary("name of an input", "C-SECRETID-2")
BOTH = (ID, OTHER)


@pytest.fixture
def project(tmp_path: Path) -> Project:
    """One file in the source and one elsewhere, each with records that are quarantined."""
    one = new_project(tmp_path)
    one.policy({"storage": {"type": "integer", "do": "drop"}})
    one.pipeline(aggregates=None)
    rows: list[dict[str, Any] | str] = [*events(30), event(30, storage="x"), "broken"]
    one.records(rows, name=str(ID.value))
    one.lines(f"{OTHER.value}.ndjson", rows)
    return one


def command_words(project: Project, *words: str) -> list[str]:
    return [sys.executable, "-m", "minimize", *words]


def environment(project: Project, log_format: str) -> dict[str, str]:
    places = {"MINIMIZE_KEYS": str(project.keys), "MINIMIZE_LEDGER": str(project.folder / "ledger.db")}
    return {**os.environ, **places, "MINIMIZE_LOG_FORMAT": log_format, "COLUMNS": "100"}


def redirected(project: Project, *words: str, log_format: str = "text") -> bytes:
    done = subprocess.run(
        command_words(project, *words),
        capture_output=True,
        env=environment(project, log_format),
        cwd=project.folder,
        check=False,
    )
    return done.stdout + done.stderr


def on_terminal(project: Project, *words: str, log_format: str = "text") -> bytes:
    """What a command prints if both streams are a terminal."""
    controller, terminal = pty.openpty()
    process = subprocess.Popen(
        command_words(project, *words),
        stdin=terminal,
        stdout=terminal,
        stderr=terminal,
        env=environment(project, log_format),
        cwd=project.folder,
    )
    os.close(terminal)
    shown = b""
    try:
        while block := os.read(controller, 65536):
            shown += block
    except OSError:  # the terminal is closed
        pass
    os.close(controller)
    process.wait()
    return shown


def test_no_byte_of_an_output_has_the_name_of_an_input_file(project: Project) -> None:
    given = project.folder / f"{OTHER.value}.ndjson"
    lineage, metrics = project.folder / "stored" / "lineage", project.folder / "stored" / "metrics"
    (project.folder / "stored").mkdir()
    for replacement in (None, given):
        receipt = project.run("2026-11-24", lineage=lineage, metrics=metrics, input=replacement)
        assert receipt.rows.quarantined == 2
    stored = [project.out, project.folder / "stored", *project.folder.glob("ledger.db*")]
    assert all(place.exists() for place in stored)
    assert [found(BOTH, place) for place in stored] == [set()] * len(stored)


def test_the_control_finds_both_names_in_the_source(project: Project) -> None:
    assert found(BOTH, project.folder / "data") | found(
        BOTH, str(project.folder / f"{OTHER.value}.ndjson").encode()
    ) == {
        ID.place,
        OTHER.place,
    }


def damage(project: Project) -> None:
    (file,) = (project.folder / "data").rglob("*.gz")
    file.write_bytes(file.read_bytes()[:-20])


TIME = ("--at", AT.isoformat(), "--output", "at")
RUN = ("run", ".", "--date", "2026-11-24", *TIME)


def test_a_terminal_names_a_damaged_file(project: Project) -> None:
    damage(project)
    assert f"2026-11-24/{ID.value}.ndjson.gz is damaged".encode() in on_terminal(project, *RUN)


@pytest.mark.parametrize(
    ("words", "log_format"), [(RUN, "text"), ((*RUN, "--json"), "text"), (("run", ".", "--pending", *TIME), "json")]
)
def test_a_redirected_stream_names_the_hash_of_a_damaged_file(
    project: Project, words: tuple[str, ...], log_format: str
) -> None:
    damage(project)
    printed = redirected(project, *words, log_format=log_format)
    assert b".ndjson.gz is damaged" in printed
    assert found([ID], printed) == set()


def test_a_log_in_json_and_a_result_in_json_have_the_hash_on_a_terminal_too(project: Project) -> None:
    damage(project)
    for printed in (on_terminal(project, *RUN, log_format="json"), on_terminal(project, *RUN, "--json")):
        assert b"is damaged" in printed
        assert found([ID], printed) == set()


def test_quarantine_on_a_terminal_names_the_files_that_it_checks(project: Project) -> None:
    redirected(project, *RUN)
    words = ("quarantine", "at", "--check", "--pipeline", ".")
    assert str(ID.value).encode() in on_terminal(project, *words)
    printed = redirected(project, *words, "--json")
    assert json.loads(printed)["rows"] == 2
    assert found([ID], printed) == set()
