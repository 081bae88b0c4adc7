"""An index is checked against the file that it is of, by a reading of its own."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from minimize.arrow.pointers import Pointer
from minimize.errors import Finding
from minimize.keys import Keyring, PublicKeys, new_keyring
from minimize.output.subject_index import SubjectIndexer
from minimize.records import FileRef, WrittenFile
from minimize.verification import check
from minimize.verification.evidence import Evidence, EvidenceFile, gather_evidence
from minimize.verification.indexes import check_indexes
from tests.project import AT, Builds, Project, events


def content(project: Project) -> None:
    project.pipeline(aggregates=None)
    project.records(events(40))
    project.run()


@pytest.fixture(name="project")
def _project(builds: Builds, project: Project) -> Project:
    return builds.fill(project, content)


def codes(project: Project, **options: Any) -> list[str]:
    options = options or {"keys": project.keys}
    return [finding.code for finding in check(project.out, **options) if finding.code != "V008"]


def index_of(project: Project) -> Path:
    [path] = (project.out / "index").rglob("*.index")
    return path


def test_the_output_of_a_run_passes_verification(project: Project) -> None:
    assert codes(project) == []


def test_with_a_public_key_indexes_are_reported_as_unchecked(project: Project) -> None:
    public = PublicKeys(Keyring.load(project.keys).public_key_pem())
    assert codes(project, public_key=public) == ["V019"]
    [finding] = [each for each in check(project.out, public_key=public) if each.code == "V019"]
    assert (finding.severity, finding.message) == ("warning", "1 index not checked")


@pytest.mark.parametrize(
    ("change", "code"),
    [
        (Path.unlink, "V011"),
        (lambda path: path.write_bytes(path.read_bytes() + b"x"), "V012"),
        (lambda path: path.with_name("other.index").write_bytes(b"x"), "V014"),
        (lambda path: path.with_suffix(".parquet").write_bytes(b"x"), "V014"),
    ],
)
def test_a_missing_changed_or_extra_index_is_found(
    project: Project, change: Callable[[Path], object], code: str
) -> None:
    change(index_of(project))
    assert codes(project) == [code]
    assert codes(project, public_key=PublicKeys(Keyring.load(project.keys).public_key_pem())) in ([code, "V019"],)


def indexed_by(
    project: Project, made: Callable[[SubjectIndexer, pa.Table], SubjectIndexer | None], keys: Keyring
) -> list[Finding]:
    """What is found where the index of the records is one that was made otherwise, and told so."""
    evidence = gather_evidence(project.out)
    standing = next(each for each in evidence.files if each.name == "records")
    rows = pq.read_table(project.out / standing.file.path, partitioning=None)
    indexer = SubjectIndexer.from_keys(Keyring.load(project.keys), Pointer.parse("device_id"))
    index_of(project).unlink()
    writing = (made(indexer, rows) or indexer)(project.out, standing.file.path)
    for group in others.get(made, lambda rows: [rows])(rows):
        writing.group(group)
    told = writing.close(WrittenFile(standing.file.path, standing.file.rows, standing.file.digest)).index
    return list(check_indexes(stands_so(evidence, standing, told), keys))


def stands_so(evidence: Evidence, standing: EvidenceFile, index: FileRef | None) -> Evidence:
    other = replace(standing, file=replace(standing.file, index=index))
    return replace(evidence, files=tuple(other if each is standing else each for each in evidence.files))


def as_it_is(indexer: SubjectIndexer, rows: pa.Table) -> None:
    """Nothing else."""


def without_a_subject(indexer: SubjectIndexer, rows: pa.Table) -> None:
    """A row is left out."""


def with_another_group(indexer: SubjectIndexer, rows: pa.Table) -> None:
    """One row group becomes two."""


def by_another_column(indexer: SubjectIndexer, rows: pa.Table) -> SubjectIndexer:
    return replace(indexer, subject=Pointer.parse("model"))


def _fewer(rows: pa.Table) -> list[pa.Table]:
    first = rows["device_id"][0]
    return [rows.filter(pa.compute.not_equal(rows["device_id"], first))]


others: dict[Any, Callable[[pa.Table], list[pa.Table]]] = {
    without_a_subject: _fewer,
    with_another_group: lambda rows: [rows.slice(0, 10), rows.slice(10)],
}


@pytest.mark.parametrize(
    ("made", "message"),
    [
        (without_a_subject, "the content of 1 row groups differs from the file of records"),
        (with_another_group, "the index has 2 row groups, its file of records has 1"),
        (by_another_column, "the index is for another column than the subject of the policy"),
    ],
)
def test_an_index_that_differs_from_its_file_is_found(project: Project, made: Any, message: str) -> None:
    [finding] = indexed_by(project, made, Keyring.load(project.keys))
    assert (finding.code, finding.severity, finding.message) == ("V018", "error", message)


def test_the_control_is_as_it_should_be(project: Project) -> None:
    assert indexed_by(project, as_it_is, Keyring.load(project.keys)) == []


def test_another_keyring_does_not_open_it(project: Project, tmp_path: Path) -> None:
    other = new_keyring(tmp_path / "other.keys", ("device",), now=AT)
    [finding] = indexed_by(project, as_it_is, other)
    assert (finding.code, finding.message) == ("V018", "the keyring does not open the index for its file of records")


def test_an_index_in_a_place_that_is_not_its_own_is_found(project: Project) -> None:
    evidence = gather_evidence(project.out)
    standing = next(each for each in evidence.files if each.name == "records")
    assert standing.file.index is not None
    elsewhere = index_of(project).rename(index_of(project).with_name("elsewhere.index"))
    told = FileRef(elsewhere.relative_to(project.out).as_posix(), standing.file.index.digest)
    [finding] = check_indexes(stands_so(evidence, standing, told), Keyring.load(project.keys))
    assert finding.code == "V016"


def test_a_file_that_is_no_index_is_found(project: Project) -> None:
    from minimize.stores.durable_files import file_digest

    evidence = gather_evidence(project.out)
    standing = next(each for each in evidence.files if each.name == "records")
    assert standing.file.index is not None
    for content in (b"", b"x" * 100):
        index_of(project).write_bytes(content)
        told = FileRef(standing.file.index.path, file_digest(index_of(project)))
        [finding] = check_indexes(stands_so(evidence, standing, told), Keyring.load(project.keys))
        assert (finding.code, finding.message) == ("V018", "the file is not an index")
