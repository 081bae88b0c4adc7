"""Outputs whose subject indexes have the format of an earlier version: each search finds everyone, because it reads the files."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.cmac import CMAC

import minimize
from minimize.output import subject_index
from minimize.output.subject_index import EARLIER_MAGIC, HashPrefixes, IndexContents, IndexKey
from tests.commands import command
from tests.project import Project, events, new_project

SUBJECT = ("d3", "--tenant", "south")


def _cmac_prefixes(key: IndexKey, contents: pa.Array) -> HashPrefixes:
    """The first 8 bytes of AES-CMAC (RFC 4493), which the earlier version computed."""
    tags = []
    for value in contents.to_pylist():
        mac = CMAC(AES(bytes(range(32))))
        mac.update(value)
        tags.append(mac.finalize()[:8])
    return np.frombuffer(b"".join(tags), np.uint64).copy()


def _contents_without_hash(contents: IndexContents) -> bytes:
    sections = [[each.first, each.groups, each.entries] for each in contents.extents]
    header = json.dumps({"subject": contents.subject, "sections": sections}).encode()
    return header + b"\n" + contents.fences.astype("<u8").tobytes()


@contextmanager
def written_by(magic: bytes, *, names_hash: bool) -> Iterator[None]:
    """Indexes are written with this format and the earlier hash, until the block ends."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(IndexKey, "hash_each", _cmac_prefixes)
        patch.setattr(subject_index, "MAGIC", magic)
        if not names_hash:
            patch.setattr(IndexContents, "to_bytes", _contents_without_hash)
        yield


def output(folder: Path, magic: bytes = EARLIER_MAGIC, *, names_hash: bool = False) -> Project:
    project = new_project(folder, lasting=True)
    project.pipeline(aggregates=None)
    project.records(events(60))
    with written_by(magic, names_hash=names_hash):
        project.run(at=None)
    return project


@pytest.fixture(autouse=True)
def _ledger(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MINIMIZE_LEDGER", str(tmp_path / "ledger.db"))


@pytest.fixture(name="project")
def _project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    project = output(tmp_path / "project")
    monkeypatch.chdir(project.folder)
    monkeypatch.setenv("MINIMIZE_KEYS", str(project.keys))
    return project


def viewed(project: Project) -> int:
    """The number of records of the subject that a view finds."""
    found = command("subject", "view", *SUBJECT, "--pipeline", project.folder, "--also", project.out, "--json")
    count: int = found.json["subjects"][0]["rows"]
    return count


def magics(project: Project) -> set[bytes]:
    return {path.read_bytes()[:8] for path in (project.out / "index").rglob("*.index")}


def test_a_view_finds_everyone(project: Project) -> None:
    assert magics(project) == {b"MZINDEX1"}
    assert viewed(project) > 0


def test_the_same_hash_under_the_present_name_hides_everyone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The control: without a name that changes with the hash, the search trusts an index that it cannot read."""
    project = output(tmp_path / "control", subject_index.MAGIC, names_hash=True)
    monkeypatch.chdir(project.folder)
    monkeypatch.setenv("MINIMIZE_KEYS", str(project.keys))
    assert viewed(project) == 0


@pytest.mark.parametrize("magic", [b"MZINDEX1", b"MZINDEX9"])
def test_a_read_of_one_subject_reads_the_files(tmp_path: Path, magic: bytes) -> None:
    project = output(tmp_path / "project", magic)
    device = project.rows()[0]["device_id"]
    found = minimize.read(project.out, subjects=device, keys=project.keys)
    assert found.num_rows == sum(row["device_id"] == device for row in project.rows())


def test_a_deletion_removes_the_records_and_writes_a_present_index(project: Project) -> None:
    before = len(project.rows())
    count = viewed(project)
    assert command("subject", "delete", *SUBJECT, "--pipeline", project.folder, "--yes").code == 0
    assert len(project.rows()) == before - count
    assert magics(project) == {b"MZINDEX2"}
    assert viewed(project) == 0


def test_a_restriction_seals_the_records(project: Project) -> None:
    before, count = len(project.rows()), viewed(project)
    assert command("subject", "restrict", *SUBJECT, "--pipeline", project.folder, "--yes").code == 0
    assert len(project.rows()) == before - count


def test_an_event_makes_the_records_due(project: Project) -> None:
    before, count = len(project.rows()), viewed(project)
    added: tuple[Any, ...] = ("events", "add", "south", "subject_left", "--subject", "d3", "--pipeline", project.folder)
    assert command(*added).code == 0
    assert command("expire", project.out, "--yes").code == 0
    assert len(project.rows()) == before - count


def test_verify_reports_an_earlier_index_format(project: Project) -> None:
    found = command("verify", project.out)
    assert (found.code, "V080" in found.out + found.err, "V018" in found.out + found.err) == (0, True, False)


def test_verify_reports_an_unknown_index_format(tmp_path: Path) -> None:
    project = output(tmp_path / "project", b"MZINDEX9")
    found = command("verify", project.out, "--keys", project.keys)
    assert (found.code, "V081" in found.out + found.err) == (0, True)
