"""Figures with noise at the limits of what a run accepts: keys, rows per subject, releases, and tables of earlier versions."""

from __future__ import annotations

import base64
import json
import logging
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

import minimize
from minimize.datasets.reader import load_receipts
from minimize.errors import KeyringError, MinimizeError, PolicyError, RefusedError
from minimize.keys import Keyring
from minimize.keys.keyring import add_key
from minimize.receipts import CompanionFile, sha256_text
from minimize.removal.expire import expire
from minimize.times import utc_now
from tests.commands import command
from tests.project import AT, DAY, PIPELINE, Project, event, write_yaml

TABLE: dict[str, Any] = {
    "group_by": {"tenant": "tenant_id"},
    "measures": {"devices": {"count_distinct": "device_id"}},
    "suppress": {"below": 3},
}
EXACT = {**TABLE, "exact": {"because": "a test"}}


def publish(project: Project, devices: int = 40, hours: int = 0, *, rows: int = 1) -> minimize.Receipt:
    project.records(
        [event(at, device_id=f"d{at // rows}", tenant_id="north") for at in range(devices * rows)],
    )
    return project.run(at=AT + timedelta(hours=hours), allow_shrink=True)


def change_keyring(project: Project, versions: int) -> None:
    """Leaves so many versions of the key of noise in the keyring."""
    document = json.loads(project.keys.read_text())
    (line,) = document["keys"].pop("noise")
    made = [{**line, "version": number, "key": base64.b64encode(bytes([number]) * 32).decode()} for number in (1, 2)]
    if versions:
        document["keys"]["noise"] = made[:versions]
    project.keys.write_text(json.dumps(document))


def test_a_run_needs_the_key_of_noise(project: Project) -> None:
    project.pipeline(aggregates={"fleet": TABLE})
    change_keyring(project, 0)
    with pytest.raises(KeyringError, match="has no key `noise`") as caught:
        publish(project)
    assert (caught.value.exit_code, "minimize keys add" in caught.value.hint) == (2, True)
    assert not project.out.exists() or project.files() == set()
    add_key(project.keys, "noise", now=utc_now())
    assert publish(project).outputs["fleet"].rows == 1


def test_exact_figures_and_records_need_no_key_of_noise(project: Project) -> None:
    project.pipeline(aggregates={"fleet": EXACT})
    change_keyring(project, 0)
    assert publish(project).outputs["fleet"].rows == 1


def test_a_run_refuses_a_second_key_of_noise(project: Project) -> None:
    project.pipeline(aggregates={"fleet": TABLE})
    change_keyring(project, 2)
    with pytest.raises(KeyringError, match="second version of the key `noise`") as caught:
        publish(project)
    assert (caught.value.exit_code, "Restore the keyring" in caught.value.hint) == (2, True)
    assert not project.out.exists() or project.files() == set()


def test_the_command_that_adds_keys_refuses_a_second_key_of_noise(project: Project) -> None:
    done = command("keys", "add", project.keys, "noise")
    assert (done.code, "has the key `noise` already" in done.err) == (2, True)


@pytest.mark.parametrize("measure", ["count", {"sum": "battery"}, {"mean": "battery"}])
def test_a_run_refuses_several_rows_of_a_subject_unless_their_number_is_stated(project: Project, measure: Any) -> None:
    table = {**TABLE, "measures": {**TABLE["measures"], "x": measure}}
    project.pipeline(aggregates={"fleet": table})
    assert publish(project).outputs["fleet"].rows == 1
    with pytest.raises(RefusedError) as caught:
        publish(project, hours=1, rows=2)
    (finding,) = caught.value.findings
    assert (caught.value.exit_code, finding.code, "per_subject: {rows: R}" in finding.hint) == (3, "R025", True)
    assert len(load_receipts(project.out)) == 1
    project.pipeline(aggregates={"fleet": {**table, "per_subject": {"rows": 2}}})
    assert publish(project, hours=1, rows=2).outputs["fleet"].rows == 1


def test_lint_names_figures_that_depend_on_the_rows_of_a_subject(project: Project) -> None:
    measures = {"devices": {"count_distinct": "device_id"}, "events": "count"}
    project.pipeline(aggregates={"fleet": {**TABLE, "measures": measures}})
    assert "L092" in [finding.code for finding in minimize.lint(project.folder)]
    project.pipeline(aggregates={"fleet": {**TABLE, "measures": measures, "per_subject": {"rows": 4}}})
    assert "L092" not in [finding.code for finding in minimize.lint(project.folder)]


def test_the_fourth_release_of_a_date_is_not_published(project: Project, caplog: pytest.LogCaptureFixture) -> None:
    project.pipeline(aggregates={"fleet": TABLE})
    marks = [publish(project, 40 + number, number).outputs["fleet"].releases for number in range(3)]
    assert [release[DAY].number for release in marks if release] == [1, 2, 3]
    stands = project.rows("fleet")
    with caplog.at_level(logging.WARNING, "minimize"):
        fourth = publish(project, 43, 3)
    assert [getattr(each, "code", "") for each in caplog.records].count("W032") == 1
    assert (fourth.outputs["fleet"].rows, fourth.stays) == (0, {"fleet": (DAY,)})
    assert project.rows("fleet") == stands
    again = publish(project, 41, 4).outputs["fleet"].releases
    assert again == marks[1]
    minimize.verify(project.out, keys=project.keys)


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"aggregates": {"fleet": EXACT, "other": EXACT}}, "P133"),
        ({"aggregates": {"fleet": EXACT, "other": TABLE}}, "P133"),
        ({"aggregates": {"fleet": EXACT}, "source": {"path": "data/*/*.ndjson.gz", "format": "ndjson"}}, "P134"),
        ({"aggregates": {"fleet": {**TABLE, "exact": {}}}}, "P005"),
        ({"aggregates": {"fleet": {**TABLE, "measures": {"x": {"mean": "age"}}}}}, "P130"),
    ],
)
def test_a_run_refuses_what_noise_and_exact_tables_do_not_permit(
    project: Project, changes: dict[str, Any], code: str
) -> None:
    project.policy({"age": {"type": "double", "do": "keep"}})
    project.pipeline(**changes)
    with pytest.raises(MinimizeError) as caught:
        publish(project)
    assert isinstance(caught.value, PolicyError)
    assert (caught.value.exit_code, {finding.code for finding in caught.value.findings}) == (2, {code})
    assert all(finding.hint for finding in caught.value.findings)
    assert not project.out.exists() or project.files() == set()


def make_earlier(project: Project) -> Path:
    """Makes the only run of an output one of an earlier version: exact figures without a statement of it, and sketches. Returns
    their folder."""
    (receipt,) = load_receipts(project.out)
    (file,) = receipt.outputs["fleet"].files
    folder = project.out / "runs" / receipt.run_id
    write_yaml(folder / "pipeline.yaml", {**PIPELINE, "records": False, "aggregates": {"fleet": TABLE}})
    sketches = project.out / "sketches" / f"{file.path.removesuffix('.parquet')}.sealed"
    sketches.parent.mkdir(parents=True)
    sketches.write_bytes(b"sealed")
    companion = CompanionFile(sketches.relative_to(project.out).as_posix(), "blake3:" + "0" * 64, file.path)
    earlier = replace(
        receipt,
        outputs={"fleet": replace(receipt.outputs["fleet"], sketches=(companion,))},
        files={**receipt.files, "pipeline.yaml": sha256_text((folder / "pipeline.yaml").read_bytes())},
        audit=None,
        signature=None,
    ).with_signature(Keyring.load(project.keys))
    (folder / "receipt.json").write_text(earlier.file_text())
    (project.out / "ledger.db").unlink()
    return project.out / "sketches"


def test_exact_tables_of_an_earlier_version_stay_and_their_sketches_go(
    project: Project, caplog: pytest.LogCaptureFixture
) -> None:
    project.pipeline(aggregates={"fleet": EXACT}, records=False)
    publish(project)
    sketches = make_earlier(project)
    minimize.verify(project.out, keys=project.keys)
    project.pipeline(aggregates={"fleet": TABLE}, records=False)
    with caplog.at_level(logging.INFO, "minimize"):
        second = publish(project, 41, 1)
    assert "I006" in [getattr(each, "code", "") for each in caplog.records]
    assert (second.outputs["fleet"].rows, second.stays) == (0, {"fleet": (DAY,)})
    assert [row["devices"] for row in project.rows("fleet")] == [40]
    assert not sketches.exists()
    minimize.verify(project.out, keys=project.keys)
    later = AT + timedelta(hours=2)
    expire(project.out, at=later, tables=True, yes=True, keys=project.keys, allow_shrink=True)
    assert publish(project, 41, 3).outputs["fleet"].rows == 1
    minimize.verify(project.out, keys=project.keys)
