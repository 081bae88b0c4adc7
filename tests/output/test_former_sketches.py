"""Contribution sketches of earlier versions: the next publication removes them, and their receipts are read as before."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

import minimize
from minimize.errors import MinimizeError, PolicyError
from minimize.keys.cryptography import sign_as_text
from minimize.receipts import CompanionFile, Receipt, Signature, canonical_json
from minimize.records import FileRef
from minimize.removal.expire import expire
from minimize.results import json_object
from tests.project import AT, PIPELINE, Project, events
from tests.verification.make import OutputWriter, policy

SKETCHES = "sketches/fleet/date=2026-11-24/old-0.sealed"


def plant(output: Path) -> Path:
    place = output / SKETCHES
    place.parent.mkdir(parents=True)
    place.write_bytes(b"sealed")
    return output / "sketches"


def run(project: Project, **options: Any) -> Receipt:
    project.records(events(40))
    return project.run(ledger=project.folder / "ledger.db", **options)


@pytest.fixture(name="plain")
def _plain(project: Project) -> Project:
    project.pipeline(aggregates=None)
    run(project)
    return project


def test_a_run_removes_them(plain: Project) -> None:
    folder = plant(plain.out)
    run(plain)
    assert not folder.exists()
    minimize.verify(plain.out, keys=plain.keys)


def test_an_expiry_removes_them(plain: Project) -> None:
    folder = plant(plain.out)
    options: dict[str, Any] = {"keys": plain.keys, "ledger": plain.folder / "ledger.db", "allow_shrink": True}
    expire(plain.out, at=AT + timedelta(days=40), **options)
    assert folder.exists()
    expire(plain.out, at=AT + timedelta(days=40), yes=True, **options)
    assert not folder.exists()


def test_a_run_that_publishes_nothing_leaves_them(plain: Project) -> None:
    folder = plant(plain.out)
    plain.pipeline(aggregates=None, quarantine={"stop_above": 0})
    plain.records([*events(40), "no json"])
    with pytest.raises(MinimizeError):
        plain.run(ledger=plain.folder / "ledger.db")
    assert folder.exists()


def earlier_receipt(writer: OutputWriter) -> Receipt:
    """A receipt of an earlier version, whose table has sketches, deferred rows, and sketches of a table that is gone."""
    table = pa.table({"version": ["10.0"], "devices": [20]})
    fleet = {
        "group_by": {"version": "version"},
        "measures": {"devices": {"count_distinct": "device"}},
        "suppress": {"below": 10, "counting": "device"},
    }
    fields = {
        "device": {"type": "string", "role": "identifier", "do": {"pseudonymize": {"key": "device"}}},
        "version": {"type": "string", "do": {"truncate_version": {"parts": 2}}},
    }
    made = writer.run(policy(fields), {"fleet": table}, pipeline={"pipeline": "p", "aggregates": {"fleet": fleet}})
    (file,) = made.outputs["fleet"].files
    sketches = (CompanionFile(SKETCHES, "blake3:" + "0" * 64, file.path),)
    kept = (CompanionFile("sketches/gone/old-0.sealed", "blake3:" + "1" * 64, "gone/old-0.parquet"),)
    writer.receipts.clear()
    document = replace(
        made, outputs={"fleet": replace(made.outputs["fleet"], sketches=sketches)}, kept_sketches=kept, signature=None
    ).to_json()
    document["outputs"]["fleet"]["deferred"] = 3
    document.pop("signature")
    document["signature"] = json_object(Signature("ed25519", *sign_as_text(canonical_json(document), writer.keyring)))
    text = json.dumps(document)
    (writer.output / "runs" / made.run_id / "receipt.json").write_text(text)
    writer.receipts.append(Receipt.from_json(text))
    return writer.receipts[0]


@pytest.fixture(name="writer")
def _writer(tmp_path: Path) -> OutputWriter:
    return OutputWriter(tmp_path)


def test_receipts_of_earlier_versions_are_read_and_verified(writer: OutputWriter) -> None:
    earlier_receipt(writer)
    assert '"deferred": 3' in next((writer.output / "runs").rglob("receipt.json")).read_text()
    assert writer.codes() == []
    plant(writer.output)
    assert writer.codes() == []


def test_a_file_between_them_that_no_receipt_names_is_found(writer: OutputWriter) -> None:
    earlier_receipt(writer)
    plant(writer.output)
    (writer.output / SKETCHES).with_name("other.sealed").write_bytes(b"x")
    assert writer.codes() == ["V014"]


def test_an_earlier_receipt_may_remove_sketches_that_were_kept(writer: OutputWriter) -> None:
    first = earlier_receipt(writer)
    assert first.kept_sketches is not None
    removed = tuple(FileRef(each.path, each.digest) for each in first.kept_sketches)
    parts: dict[str, Any] = {"pipeline": {"pipeline": "p", "aggregates": {}}, "kind": "expire"}
    writer.run(policy({}), {}, removes=removed, **parts)
    assert writer.codes() == []
    writer.run(policy({}), {}, removes=removed, **parts)
    assert writer.codes() == ["V006"]


def test_no_table_can_have_their_name(project: Project) -> None:
    project.pipeline(aggregates={"sketches": next(iter(PIPELINE["aggregates"].values()))})
    with pytest.raises(PolicyError):
        run(project)
