"""Outputs of earlier versions, whose receipts have SHA-256 digests of files."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

import minimize
from minimize.datasets.reader import load_receipts
from minimize.governance.subjects import DataSubject, delete_subjects
from minimize.receipts import Receipt
from minimize.stores import durable_files
from minimize.stores.durable_files import digest_algorithm
from tests.calls import recheck_quarantine
from tests.governance.outputs import PER_TENANT, RECORDS, places, run
from tests.project import BEFORE, DAY, Builds, Project, events


def written_by_an_earlier_version(project: Project) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(durable_files, "ALGORITHM", "sha256")
        project.pipeline(aggregates=PER_TENANT)
        for day in (DAY, BEFORE):
            project.records([*RECORDS, "no JSON"], day)
        run(project)


@pytest.fixture(name="earlier")
def _earlier(builds: Builds, project: Project) -> Project:
    return builds.fill(project, written_by_an_earlier_version)


def algorithms(receipt: Receipt) -> set[str | None]:
    """The algorithms of the digests of files that a receipt adds, inputs included."""
    found = [each.digest for each in receipt.inputs] + [file.digest for file in receipt.quarantine.files]
    for output in receipt.outputs.values():
        found += [file.digest for file in output.files]
        found += [each.digest for each in output.index or ()]
    return set(map(digest_algorithm, found))


def test_it_is_verified(earlier: Project) -> None:
    assert {word for receipt in load_receipts(earlier.out) for word in algorithms(receipt)} == {"sha256"}
    minimize.verify(earlier.out, keys=earlier.keys)


def test_its_quarantined_records_are_found_in_the_source(earlier: Project) -> None:
    ledger = earlier.folder / "organization.db"
    assert [each.quarantined.rows for each in recheck_quarantine(earlier.out, keys=earlier.keys, ledger=ledger)] == [
        1,
        1,
    ]


def test_a_file_that_changed_is_found(earlier: Project) -> None:
    path = earlier.out / sorted(earlier.files())[0]
    path.write_bytes(path.read_bytes() + b"\n")
    with pytest.raises(minimize.VerificationError) as caught:
        minimize.verify(earlier.out, keys=earlier.keys)
    assert "V012" in {finding.code for finding in caught.value.findings}


def test_unchanged_files_are_recognized(earlier: Project) -> None:
    assert run(earlier, pending=True).sequence == 0


def test_a_changed_date_is_run_and_named_by_the_new_algorithm(earlier: Project) -> None:
    earlier.records(events(60), day=DAY)
    receipt = run(earlier, pending=True, allow_shrink=True)
    assert (receipt.dates, algorithms(receipt)) == ((DAY,), {"blake3"})
    minimize.verify(earlier.out, keys=earlier.keys)


def test_a_deletion_rewrites_its_files_under_the_new_algorithm(earlier: Project) -> None:
    done = delete_subjects([DataSubject("d3", "north")], places(earlier), datetime.now(UTC), yes=True)
    (receipt,) = done.receipts
    assert algorithms(receipt) == {"blake3"}
    minimize.verify(earlier.out, keys=earlier.keys)
