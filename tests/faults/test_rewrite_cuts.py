"""Every kind of rewrite, cut at any operation: the output is old or new, and the same command continues with what is left."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

import minimize
from minimize.arrow.pointers import Pointer
from minimize.checkpoints import at_checkpoint
from minimize.datasets.lifecycle_events import RetentionEvent
from minimize.datasets.published_output import PublishedOutput
from minimize.datasets.reader import load_receipts
from minimize.keys import Keyring, add_key
from minimize.output.commit import FolderExchange
from minimize.removal import rewrite
from minimize.removal.expiry_plan import ResolvedExpiry
from minimize.removal.keys import files_under_old_keys
from minimize.removal.plan import counted_file
from minimize.removal.retract import retract
from minimize.removal.rewrite import Rewrite
from minimize.removal.rewrite_receipt import PlannedFile
from minimize.removal.verdict import BatchVerdict
from minimize.stores import Location
from minimize.workspace import Workspace
from tests.calls import resolve_expiry
from tests.faults.power_cut_checks import OUT, Recording, Scenario, Scratch, faults, recording
from tests.faults.power_cut_model import Log, record, tree_of
from tests.governance.retention.daily import START, Daily, rows
from tests.project import enter, write_project

FIRST, DAY = START.date(), timedelta(days=1)
RAN = START + 2 * DAY
CUTS = 8
"""At so many operations of a rewrite in portions it is killed."""


@dataclass(frozen=True)
class Published:
    """An output of two days, and what its rewrites need."""

    project: Daily
    base: Path

    @property
    def ledger(self) -> Path:
        return self.project.folder / "organization.db"

    @property
    def options(self) -> dict[str, Any]:
        return {"pipeline": self.project.folder, "keys": self.project.keys, "ledger": self.ledger}

    def put(self, folder: Path, exchange: FolderExchange | None = None) -> None:
        """Puts the output into a folder."""
        shutil.copytree(self.base, folder)

    def save_ledger(self, receipts: int) -> None:
        """Saves the ledger that has so many receipts, which may be open."""
        path = self.project.folder / f"{receipts}.db"
        path.unlink(missing_ok=True)
        with closing(sqlite3.connect(self.ledger)) as ledger, closing(sqlite3.connect(path)) as copy:
            ledger.backup(copy)
        path.chmod(0o600)

    def restore_ledger(self, receipts: int = 1) -> None:
        """Restores the ledger that has so many receipts: only the first by default."""
        shutil.copy(self.project.folder / f"{receipts}.db", self.ledger)

    def keyring(self) -> Keyring:
        return Keyring.load(self.project.keys)

    def output(self, folder: Path) -> PublishedOutput:
        return PublishedOutput(folder, load_receipts(folder), self.keyring())

    def rewrite(self, kind: Any, folder: Location, **changes: Any) -> Rewrite:
        workspace = Workspace(self.ledger, folder, self.project.folder, self.keyring())
        return Rewrite(kind, workspace, **changes)


Act = Callable[[Published, Path], object]


def carry_out(published: Published, kind: str, made: ResolvedExpiry) -> None:
    plan, at = made.plan(), made.request.as_of
    list(published.rewrite(kind, made.request.output, as_of=at, tables_left=plan.tables_left).execute(plan.due))


def expire(published: Published, folder: Path) -> None:
    """The first day is past its retention, and values of the second."""
    carry_out(published, "expire", resolve_expiry(folder, at=START + 30.96 * DAY, **published.options))


def delete(published: Published, folder: Path) -> None:
    """A tenant is erased; tables stay."""
    made = resolve_expiry(folder, at=RAN, **published.options)
    request = replace(made.request, by_age=False, events=(RetentionEvent("south", "erasure", RAN),))
    carry_out(published, "delete", replace(made, request=request))


def apply_policy(published: Published, folder: Path) -> None:
    """Today's policy drops a field, and there is no source."""
    retract(folder, at=RAN, yes=True, input=published.project.folder / "none/{date}/*.ndjson", **published.options)


@dataclass(frozen=True)
class Correcting:
    """Makes all notes the same."""

    pointers: Mapping[str, Pointer] = field(default_factory=lambda: {"note": Pointer.parse("note")})

    def __call__(self, batch: pa.RecordBatch) -> BatchVerdict:
        return BatchVerdict(replacements={"note": pa.array(["corrected"] * batch.num_rows)})


def correct(published: Published, folder: Path) -> None:
    """Values are replaced."""
    counted = (
        counted_file(file, Correcting(), file.stored_file.batches())
        for file in published.output(folder).files("records")
    )
    files = [each for each in counted if each.is_due]
    list(published.rewrite("correct", folder, as_of=RAN).execute(files))


def rotate(published: Published, folder: Path) -> None:
    """Files are encrypted under a newer key."""
    files = map(PlannedFile, files_under_old_keys(published.output(folder)))
    list(published.rewrite("rotate", folder).execute(list(files)))


ACTS: Mapping[str, Act] = {
    "expire": expire,
    "delete": delete,
    "retract": apply_policy,
    "correct": correct,
    "rotate": rotate,
}


@pytest.fixture(scope="module", name="project")
def _project(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daily]:
    folder = tmp_path_factory.mktemp("published")
    with pytest.MonkeyPatch.context() as patch:
        enter(folder, patch)
        patch.setenv("MINIMIZE_LEDGER", str(folder / "organization.db"))
        yield write_project(Daily(folder))


@pytest.fixture(scope="module", name="published")
def _published(project: Daily) -> Published:
    (project.folder / "minimize.yaml").write_text("keys: test.keys\naccess: {encrypt: by_category}\n")
    for day in (FIRST, FIRST + DAY):
        project.collect(rows(day, devices=3), day)
    minimize.run(project.folder, since=FIRST, until=FIRST + DAY, at=RAN, keys=project.keys, output=project.out)
    published = Published(project, project.folder / "base")
    shutil.move(project.out, published.base)
    published.save_ledger(1)
    project.policy({"phone": None}, version=2)
    add_key(project.keys, "encrypt.pseudonymized", now=RAN)
    return published


@pytest.fixture(name="scratch")
def _scratch(tmp_path: Path) -> Scratch:
    return Scratch(tmp_path)


@pytest.fixture(name="act", params=ACTS)
def _act(request: pytest.FixtureRequest, published: Published) -> Act:
    published.restore_ledger()
    return ACTS[request.param]


SLOW = ("delete", "retract", "correct")
"""Kinds whose publications are like the others, at every operation."""
EACH = pytest.mark.parametrize(
    "act", [pytest.param(kind, marks=[pytest.mark.slow] if kind in SLOW else []) for kind in ACTS], indirect=True
)


def recorded(published: Published, act: Act, scratch: Scratch) -> Recording:
    """One publication of a rewrite."""

    def publish(folder: Path, exchange: FolderExchange) -> None:
        act(published, folder)

    return recording(Scenario("rewrite", published.put, publish), scratch)


@EACH
def test_cut_at_any_operation_a_rewrite_is_old_or_new(published: Published, act: Act, scratch: Scratch) -> None:
    made = recorded(published, act, scratch)
    assert made.log.live() == made.end
    assert [*faults(made)] == []
    assert len(made.recoveries.known) > 20


def content(folder: Path, published: Published) -> list[dict[str, Any]]:
    """The records and aggregates of a verified output."""
    minimize.verify(folder, keys=published.project.keys)
    tables = [minimize.read(folder, name=name, keys=published.project.keys) for name in ("records", "daily")]
    return sorted((row for table in tables for row in table.to_pylist()), key=str)


def test_the_same_command_continues_with_the_portions_that_are_left(
    published: Published, act: Act, scratch: Scratch, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rewrite, "FILES_PER_PORTION", 1)
    saving = at_checkpoint("rewrite.published", lambda _, receipt: published.save_ledger(receipt.sequence))
    with scratch.holding({}) as folder, saving:
        published.put(folder / OUT)
        base = tree_of(folder)
        operations = record(folder, lambda folder: act(published, folder / OUT))
        end, receipts = content(folder / OUT, published), len(load_receipts(folder / OUT))
    assert receipts == (2 if act is expire else 3)
    for length in range(0, len(operations), len(operations) // CUTS):
        with scratch.holding(Log(base, operations).live(length)) as folder:
            published.restore_ledger(len(load_receipts(folder / OUT)))
            act(published, folder / OUT)
            assert content(folder / OUT, published) == end
            assert len(load_receipts(folder / OUT)) == receipts
