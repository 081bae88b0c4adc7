from __future__ import annotations

import json
from pathlib import Path

import pytest

from minimize.errors import CheckFailed, ConfigurationError, OutputError
from minimize.keys import new_keyring
from minimize.report import create_report
from tests.project import AT, FIELDS, Builds, Project, events
from tests.report.telling import facts, report


def done_content(project: Project) -> None:
    project.records([*events(60), "broken"])
    project.run()


@pytest.fixture(name="done")
def _done(builds: Builds, project: Project) -> Project:
    return builds.fill(project, done_content)


def receipt_of(project: Project) -> Path:
    return next((project.out / "runs").rglob("receipt.json"))


def test_a_folder_without_receipts_is_no_output(project: Project) -> None:
    with pytest.raises(OutputError, match="this is not an output folder"):
        create_report(project.out, at=AT)


def test_a_damaged_receipt_is_named(done: Project) -> None:
    receipt_of(done).write_text("{}")
    with pytest.raises(OutputError, match=r"receipt.json: this version cannot read the receipt"):
        report(done)


def test_a_changed_receipt_is_refused(done: Project) -> None:
    path = receipt_of(done)
    path.write_text(path.read_text().replace('"purpose": "service_maintenance"', '"purpose": "operations"'))
    with pytest.raises(CheckFailed, match="fail their check"):
        report(done)


def test_receipts_of_another_keyring_are_refused(done: Project, tmp_path: Path) -> None:
    other = tmp_path / "other.keys"
    new_keyring(other, ["device"], now=AT)
    with pytest.raises(CheckFailed):
        report(done, keys=other)


def test_a_report_without_a_key_states_that_nothing_was_checked(done: Project) -> None:
    found = facts(done, keys=None)
    assert found.signatures == "not checked, because no keyring was found"
    assert "signatures of the receipts" in {each.what for each in found.hidden}
    assert str(found.flow.written) == "60"


def test_a_report_without_the_pipeline_uses_the_receipts(
    done: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    done.out.rename(elsewhere / "moved")
    (done.folder / "pipeline.yaml").unlink()
    monkeypatch.chdir(elsewhere)
    found = create_report(elsewhere / "moved", at=AT, keys=done.keys).facts
    assert str(found.flow.written) == "60"
    assert len(found.fields) == 8
    assert "the current pipeline and policy" in {each.what for each in found.hidden}


def test_a_pipeline_that_was_named_and_is_not_there_is_a_mistake(done: Project) -> None:
    with pytest.raises(ConfigurationError):
        report(done, pipeline=done.folder / "nowhere")


def test_an_unreadable_part_is_left_out_and_listed(done: Project) -> None:
    (done.folder / "settings.csv").write_text("nonsense")
    found = facts(done)
    assert found.collection is None
    assert "collection settings of tenants" in {each.what for each in found.hidden}


def test_the_json_has_the_same_facts_and_states_its_rounding(done: Project) -> None:
    body = json.loads(json.dumps(report(done).to_json()))
    assert (body["flow"]["read"], body["flow"]["written"]) == ("60 or more", 60)
    assert body["flow"]["quarantined"] == {"malformed": "fewer than 5"}
    assert body["policies"][0]["approved"] == "no"
    assert {each["key"] for each in body["fields"]} == set(FIELDS)
    assert "nearest 5" in body["rounding"]


def test_the_summary_fits_its_width(done: Project) -> None:
    lines = report(done).summary(80).splitlines()
    assert lines[0] == "checkins: 1 run, 2026-11-24 to 2026-11-24, for service_maintenance"
    assert max(map(len, lines)) <= 80
    assert any("60 or more read = 60 written + fewer than 5 quarantined" in line for line in lines)


def test_a_report_does_not_print_its_facts(done: Project) -> None:
    assert repr(report(done)) == "OutputReport()"
