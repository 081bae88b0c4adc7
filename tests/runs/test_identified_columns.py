"""Runs that encrypt identified columns only: other tools read the other columns, and every command works with the output."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import duckdb
import pandas as pd
import polars as pl
import pyarrow.parquet as pq
import pytest

import minimize
from minimize.errors import KeyringError
from minimize.governance.subjects import DataSubject, delete_subjects, view_subjects
from minimize.keys import new_keyring
from minimize.keys.parquet_footer import read_encrypted_columns
from minimize.receipts import Receipt
from minimize.removal.expire import expire
from minimize.times import utc_now
from minimize.verification import check
from minimize.workspace import Workspace
from tests.commands import command
from tests.project import AT, DAY, Builds, Project, events

pytestmark = pytest.mark.usefixtures("clock")

PHONE: dict[str, Any] = {"phone": {"type": "string", "role": "identifier", "do": "keep"}}
RECORDS = [{**record, "phone": f"+1202555{number:04}"} for number, record in enumerate(events(60))]
KEYS = ("encrypt.footer/1", "encrypt.identified/1")
DEVICE = DataSubject("d3", "north")
HIS = sum(record["tenant_id"] == "north" and record["device_id"] == "d3" for record in RECORDS)


def content(project: Project) -> None:
    """The default of the configuration, a pipeline without `encrypt`, and one day."""
    (project.folder / "minimize.yaml").write_text("keys: test.keys\nencrypt: identified\n")
    project.policy(PHONE)
    project.pipeline(records={"must_be": "identified"}, aggregates=None)
    project.records(RECORDS)
    project.run()


@pytest.fixture(name="project")
def _project(builds: Builds, project: Project) -> Project:
    return builds.fill(project, content)


def file_of(project: Project) -> str:
    (file,) = minimize.files(project.out)
    return file


def encrypted(project: Project) -> set[str]:
    return {column for file in minimize.files(project.out) for column in read_encrypted_columns(Path(file)).masters}


def receipt_of(project: Project) -> Receipt:
    return Receipt.from_json(next((project.out / "runs").glob("*/receipt.json")).read_bytes())


def workspace(project: Project) -> Workspace:
    return Workspace(output=project.out, keys=project.keys)


def test_only_the_identified_column_is_encrypted(project: Project) -> None:
    assert encrypted(project) == {"phone"}
    assert receipt_of(project).outputs["records"].files[0].keys == KEYS


def test_other_tools_read_the_other_columns_without_a_key(project: Project) -> None:
    file, columns = file_of(project), ["tenant_id", "device_id", "model"]
    read = {
        "pandas": pd.read_parquet(file, columns=columns),
        "duckdb": duckdb.connect().execute(f"SELECT {', '.join(columns)} FROM '{file}'").df(),
        "polars": pl.read_parquet(file, columns=columns).to_pandas(),
        "polars, lazily": pl.scan_parquet(file).select(columns).collect().to_pandas(),
        "pyarrow": pq.read_table(file, columns=columns, partitioning=None).to_pandas(),
    }
    expected = minimize.read(project.out, keys=project.keys).select(columns).to_pandas()
    for tool, frame in read.items():
        assert frame.astype(str).to_dict("list") == expected.astype(str).to_dict("list"), tool


def test_the_identified_column_needs_the_key(project: Project) -> None:
    new_keyring(project.folder / "other.keys", now=AT)
    with pytest.raises(KeyringError, match=r"phone under encrypt\.identified/1"):
        minimize.read(project.out, keys=project.folder / "other.keys")
    found = minimize.read(project.out, keys=project.keys)["phone"].to_pylist()
    assert sorted(found) == sorted(record["phone"] for record in RECORDS)


def test_no_value_of_the_identified_column_is_in_the_output(project: Project) -> None:
    raw = b"".join(path.read_bytes() for path in project.out.rglob("*") if path.is_file())
    assert not any(record["phone"].encode() in raw for record in RECORDS)
    with pytest.raises(duckdb.Error):
        duckdb.connect().execute(f"SELECT phone FROM '{file_of(project)}'").fetchall()


def test_records_without_identified_columns_are_plain_parquet(project: Project) -> None:
    project.policy({"phone": {"type": "string", "role": "identifier", "do": "drop"}})
    receipt = project.run()
    assert encrypted(project) == set()
    assert receipt.outputs["records"].files[0].keys is None
    assert pq.read_table(file_of(project)).num_rows == len(RECORDS)


def test_the_page_of_the_run_names_the_columns_that_need_keys(project: Project) -> None:
    page = next((project.out / "runs").glob("*/columns.md")).read_text()
    assert "Identified columns are encrypted (identified keys): phone; `SELECT *` needs the keys." in page
    assert "Read these columns with `minimize.read(…, keys=…)`." in page


def test_each_tenant_may_have_its_own_key_for_identified_columns(project: Project) -> None:
    project.pipeline(records={"partition_by": ["tenant_id"], "encrypt": {"identified": {"per": "tenant_id"}}})
    project.run()
    assert project.master_keys() == {"encrypt.identified.t-north/1", "encrypt.identified.t-south/1"}


def test_without_a_keyring_the_run_names_the_command_that_creates_one(project: Project) -> None:
    (project.folder / "minimize.yaml").write_text("encrypt: identified\n")
    with pytest.raises(KeyringError) as caught:
        project.run(keys=None)
    assert "minimize keys new" in caught.value.hint


def test_verify_accepts_the_output_with_and_without_the_keyring(project: Project) -> None:
    minimize.verify(project.out, keys=project.keys)
    public = project.folder / "public.pem"
    public.write_bytes(minimize.keys.Keyring.load(project.keys).public_key_pem())
    found = check(project.out, public_key=public)
    assert [(each.code, each.severity) for each in found if each.code.startswith("V06")] == [("V061", "warning")]


def test_verify_finds_an_identified_column_that_is_not_encrypted(project: Project) -> None:
    file, run = file_of(project), next((project.out / "runs").glob("*/receipt.json"))
    pq.write_table(minimize.read(project.out, keys=project.keys).drop_columns(["date"]), file)
    codes = [(each.code, each.message) for each in check(project.out, keys=project.keys) if each.code == "V060"]
    assert (("V060", "the column is not encrypted, although other columns of the file are")) in codes
    assert run.is_file()


def test_a_pipeline_that_turns_it_off_is_named_by_verify_lint_and_report(project: Project) -> None:
    project.pipeline(records={"must_be": "identified", "encrypt": "off"}, aggregates=None)
    project.run()
    assert encrypted(project) == set()
    minimize.verify(project.out, keys=project.keys)
    assert "L049" in command("lint", project.folder).out
    assert "60 rows, identified, not encrypted" in command("report", project.out, "--keys", project.keys).out


def test_the_report_shows_that_identified_columns_are_encrypted(project: Project) -> None:
    assert "60 rows, identified, encrypted" in command("report", project.out, "--keys", project.keys).out


def test_a_subject_is_viewed_and_deleted_and_the_rest_stays_encrypted(project: Project) -> None:
    project.policy({**PHONE, "latitude": None})
    project.run()
    (project.folder / "minimize.yaml").write_text("access: off\n")
    assert view_subjects([DEVICE], workspace(project), utc_now())[0].rows == HIS > 0
    [receipt] = delete_subjects([DEVICE], workspace(project), utc_now(), yes=True).receipts
    assert receipt.outputs["records"].files[0].keys == KEYS
    assert len(project.rows(keys=project.keys)) == len(RECORDS) - HIS
    assert encrypted(project) == {"phone"}
    minimize.verify(project.out, keys=project.keys)


def test_an_expiry_of_values_keeps_the_column_encrypted(project: Project) -> None:
    [receipt] = expire(project.out, at=AT + timedelta(days=2), keys=project.keys, yes=True, allow_shrink=True).receipts
    assert receipt.outputs["records"].files[0].keys == KEYS
    assert {row["latitude"] for row in project.rows(keys=project.keys)} == {None}
    minimize.verify(project.out, keys=project.keys)


def test_a_replay_keeps_the_column_encrypted(project: Project) -> None:
    project.records([*RECORDS, {**RECORDS[0], "event_id": "e99", "storage": "many"}])
    project.run()
    project.policy({**PHONE, "storage": None})
    replayed = command("replay", project.out, "--pipeline", project.folder, "--keys", project.keys, "--json")
    assert replayed.code == 0, replayed.err
    assert encrypted(project) == {"phone"}
    assert len(project.rows(keys=project.keys)) == len(RECORDS) + 1


def test_a_rewrite_under_a_new_key_leaves_the_other_columns_readable(project: Project) -> None:
    rotated = command("keys", "rotate", project.keys, "--rewrite", project.out)
    assert rotated.code == 0, rotated.err
    assert project.master_keys() == {"encrypt.identified/2"}
    assert pl.read_parquet(file_of(project), columns=["device_id"]).height == len(RECORDS)
    assert minimize.read(project.out, keys=project.keys, dates=[DAY]).num_rows == len(RECORDS)
