"""`verify` on encrypted outputs: whole with the keyring, and said to be less without."""

from __future__ import annotations

import shutil
from typing import Any

import pyarrow.parquet as pq
import pytest

from minimize.keys import Keyring, PublicKeys, find_kms, new_keyring
from minimize.keys.keyring import destroy_key
from minimize.keys.parquet_encryption import open_parquet
from minimize.receipts import Receipt
from minimize.verification import check
from tests.project import AT, Builds, Project, events

ENCRYPTED: dict[str, Any] = {"must_be": "pseudonymized", "encrypt": "by_category"}


def content(project: Project) -> None:
    project.pipeline(records=ENCRYPTED)
    project.records(events(60))
    project.run()


@pytest.fixture(name="project")
def _project(builds: Builds, project: Project, monkeypatch: pytest.MonkeyPatch) -> Project:
    monkeypatch.delenv("MINIMIZE_LEDGER")
    return builds.fill(project, content)


def codes(project: Project, **how: Any) -> list[str]:
    given = how or {"keys": project.keys}
    return [finding.code for finding in check(project.out, **given) if finding.code != "V008"]


def test_with_the_keyring_everything_is_checked(project: Project) -> None:
    assert codes(project) == []


def test_with_a_public_key_encrypted_columns_are_reported_as_unchecked(project: Project) -> None:
    public = PublicKeys(Keyring.load(project.keys).public_key_pem())
    findings = [each for each in check(project.out, public_key=public) if each.code not in ("V008", "V019")]
    assert [(each.code, each.severity) for each in findings] == [("V061", "warning"), ("V082", "warning")]
    assert "1 files" in findings[0].message


def test_another_keyring_does_not_open_them(project: Project) -> None:
    new_keyring(project.folder / "other.keys", ("device",), now=AT)
    assert "V062" in codes(project, keys=project.folder / "other.keys")


def test_an_unreadable_file_is_a_warning(project: Project) -> None:
    destroy_key(project.keys, "encrypt.pseudonymized", 1, now=AT)
    assert codes(project) == ["V061"]
    [found] = [each for each in check(project.out, keys=project.keys) if each.code == "V061"]
    assert found.hint == "Run the date again while its source exists."


def test_values_are_judged_below_the_encryption(project: Project) -> None:
    """A file that says more than its policy allows, and whose receipt is signed by us."""
    path = next((project.out / "runs").glob("*/policy.yaml"))
    path.write_text(path.read_text().replace('"width": 10', '"width": 30'))
    assert "V030" in codes(project)


def test_a_plain_file_under_a_receipt_with_keys_is_found(project: Project) -> None:
    [path] = project.out.glob("records/*/*.parquet")
    table = open_parquet(path, find_kms(project.keys)).read()
    pq.write_table(table, path)
    assert {"V012", "V060"} <= set(codes(project))


def test_an_unencrypted_file_of_a_pipeline_that_encrypts_is_found(project: Project) -> None:
    shutil.rmtree(project.out)
    project.pipeline()
    project.run()
    run = next((project.out / "runs").glob("*/receipt.json"))
    beside = run.with_name("pipeline.yaml")
    beside.write_text(beside.read_text().replace('"must_be": "pseudonymized"', '"encrypt": "by_category"'))
    assert Receipt.from_json(run.read_bytes()).outputs["records"].files[0].keys is None
    assert "V060" in codes(project)
