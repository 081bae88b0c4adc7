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
from minimize.job.collecting import load_job_settings
from minimize.keys import Keyring, new_keyring
from minimize.policy.load import load_pipeline
from minimize.review.explaining import explain
from minimize.review.recorded import Recorded
from minimize.review.trial import Trial
from minimize.review.trying import try_fixtures
from tests.leak.planted import AT, CANARIES, DAY, VALUE, build
from tests.leak.sweep import found
from tests.leak.test_printed import whole

NOW = datetime(2026, 11, 25, tzinfo=UTC)


@pytest.fixture(name="house")
def _house(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A house with planted records; whatever is put in a temporary folder is put in one that is looked at afterwards."""
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(scratch))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "house").mkdir()
    house = build(tmp_path / "house")
    new_keyring(house / "keys", ("device", "ticket"), now=NOW)
    yield house
    assert list(scratch.iterdir()) == []


def lines(house: Path) -> tuple[Path, list[bytes]]:
    file = next((house / "in" / DAY).glob("*.gz"))
    return file, gzip.decompress(file.read_bytes()).splitlines()


def planted(content: bytes) -> bool:
    return bool(found(CANARIES, content))


def test_an_explanation_of_a_record_tells_no_value_of_it(house: Path) -> None:
    job, (file, records) = load_pipeline(house), lines(house)
    rows = load_job_settings(None, job)
    assert rows is not None
    trial = Trial.of(job, [file], NOW, rows, Keyring.load(house / "keys"))
    tried = list(trial.tried())
    assert len(tried) == len(records)
    said = [Recorded(trial, each, key, rows.at(NOW)) for each in tried for key in job.policy.fields]
    text = "\n".join(f"{each!r} {each.outcome()} {[step.as_json() for step in each.steps()]}" for each in said)
    assert {"kept", "generalized", "gated", "dropped", "record quarantined"} <= {each.outcome() for each in said}
    assert found(CANARIES, text.encode()) == set()


def test_nor_does_the_command(house: Path) -> None:
    file, records = lines(house)
    number = next(number for number, line in enumerate(records, 1) if planted(line))
    said = explain(house, "ip", record=f"{file}:{number}", at=AT, keys=house / "keys")
    assert found(CANARIES, f"{said!r} {json.dumps(said.as_json())}".encode()) == set()


def test_fixtures_that_fail_are_told_without_what_they_hold(house: Path) -> None:
    _, records = lines(house)
    (house / "tests").mkdir()
    (house / "tests" / "a.pass.ndjson").write_bytes(b"\n".join(records) + b"\n")
    (house / "tests" / "a.expect.ndjson").write_text(json.dumps({"note": VALUE["dropped text"]}) + "\n")
    done = try_fixtures(house, now=NOW, at=AT)
    assert {"F001", "F004", "F005"} <= {each.code for each in done.failures}
    text = json.dumps([each.as_json(show=False) for each in done.failures])
    assert found(CANARIES, text.encode()) == set()


def damaged(house: Path) -> None:
    file, _ = lines(house)
    file.write_bytes(file.read_bytes()[:-20])
    explain(house, "note", record=f"{file}:1", at=AT, keys=house / "keys")


def unread(house: Path) -> None:
    _, records = lines(house)
    (house / "tests").mkdir()
    (house / "tests" / "a.pass.ndjson").write_bytes(records[0] + b"\n")
    (house / "tests" / "expect.ndjson").write_text('{"note": "' + str(VALUE["dropped text"]))
    try_fixtures(house, now=NOW, at=AT)


@pytest.mark.parametrize("failing", [damaged, unread])
def test_an_error_tells_nothing_planted(failing: Callable[[Path], None], house: Path) -> None:
    with pytest.raises(MinimizeError) as caught:
        failing(house)
    assert found(CANARIES, "\n".join(whole(caught.value)).encode()) == set()
