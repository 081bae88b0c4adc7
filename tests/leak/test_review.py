"""Nothing planted is in what explanations and tests of fixtures print, nor does anything of them stay on disk."""

from __future__ import annotations

import gzip
import json
import tempfile
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from minimize.errors import MinimizeError
from minimize.keys import Keyring, new_keyring
from minimize.policy.load import load_pipeline
from minimize.review.explain import explain
from minimize.review.fixtures import try_fixtures
from minimize.review.trial import RecordExplanation, Trial
from tests.calls import load_pipeline_settings
from tests.leak.planted import ALL, AT, VALUE, build
from tests.leak.sweep import found
from tests.leak.test_printed import whole
from tests.project import DAY

NOW = datetime(2026, 11, 25, tzinfo=UTC)
NOT_NAMED = [canary for canary in ALL if canary.place != "file name"]
"""The caller names the file whose lines are explained."""


@pytest.fixture(name="folder")
def _organization(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder with planted records; whatever is put in a temporary folder is put in one that is looked at afterwards."""
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(scratch))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "folder").mkdir()
    folder = build(tmp_path / "folder")
    new_keyring(folder / "keys", ("device", "ticket"), now=NOW)
    yield folder
    assert list(scratch.iterdir()) == []


def lines(folder: Path) -> tuple[Path, list[bytes]]:
    file = next((folder / "in" / DAY).glob("*.gz"))
    return file, gzip.decompress(file.read_bytes()).splitlines()


def planted(content: bytes) -> bool:
    return bool(found(NOT_NAMED, content))


def test_an_explanation_of_a_record_reveals_no_value(folder: Path) -> None:
    job, (file, records) = load_pipeline(folder), lines(folder)
    rows = load_pipeline_settings(None, job)
    assert rows is not None
    trial = Trial.of(job, [file], NOW, rows, Keyring.load(folder / "keys"))
    tried = list(trial.tried())
    assert len(tried) == len(records)
    settings = rows.effective_at(NOW)
    said = [RecordExplanation(trial, each, key, settings) for each in tried for key in job.policy.fields]
    text = "\n".join(f"{each!r} {each.outcome()} {[step.to_json() for step in each.steps()]}" for each in said)
    assert {"kept", "transformed", "gated", "dropped", "record quarantined"} <= {each.outcome() for each in said}
    assert found(NOT_NAMED, text.encode()) == set()


def test_nor_does_the_command(folder: Path) -> None:
    file, records = lines(folder)
    number = next(number for number, line in enumerate(records, 1) if planted(line))
    said = explain(folder, "ip", record=f"{file}:{number}", at=AT, keys=folder / "keys")
    assert found(NOT_NAMED, f"{said!r} {json.dumps(said.to_json())}".encode()) == set()


def test_failing_fixtures_are_reported_without_their_content(folder: Path) -> None:
    _, records = lines(folder)
    (folder / "tests").mkdir()
    (folder / "tests" / "a.pass.ndjson").write_bytes(b"\n".join(records) + b"\n")
    (folder / "tests" / "a.expect.ndjson").write_text(json.dumps({"note": VALUE["dropped text"]}) + "\n")
    done = try_fixtures(folder, now=NOW, at=AT)
    assert {"F001", "F004", "F005"} <= {each.code for each in done.failures}
    text = json.dumps([each.to_json(show=False) for each in done.failures])
    assert found(NOT_NAMED, text.encode()) == set()


def damaged(folder: Path) -> None:
    file, _ = lines(folder)
    file.write_bytes(file.read_bytes()[:-20])
    explain(folder, "note", record=f"{file}:1", at=AT, keys=folder / "keys")


def unread(folder: Path) -> None:
    _, records = lines(folder)
    (folder / "tests").mkdir()
    (folder / "tests" / "a.pass.ndjson").write_bytes(records[0] + b"\n")
    (folder / "tests" / "expect.ndjson").write_text('{"note": "' + str(VALUE["dropped text"]))
    try_fixtures(folder, now=NOW, at=AT)


@pytest.mark.parametrize("failing", [damaged, unread])
def test_an_error_of_a_fixture_reveals_no_planted_value(failing: Callable[[Path], None], folder: Path) -> None:
    with pytest.raises(MinimizeError) as caught:
        failing(folder)
    assert found(NOT_NAMED, "\n".join(whole(caught.value)).encode()) == set()
