"""Sealed counts of a receipt that were damaged, exchanged or removed, and a receipt that shows what they seal."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from minimize.datasets.reader import load_receipts
from minimize.keys import Keyring
from tests.commands import command
from tests.project import BEFORE, DAY, Builds, Project, event


def published(project: Project) -> None:
    """Two runs, each of which suppresses a group of one device."""
    for count, day in enumerate((BEFORE, DAY), start=3):
        project.records([*(event(each, model="A") for each in range(40)), *[event(9, model="B")] * count], day)
        project.policy({"model": {"type": "string", "do": "keep"}})
        project.run(date=day)


@pytest.fixture(name="ran")
def _ran(builds: Builds, project: Project) -> Project:
    return builds.fill(project, published)


def counts_of(project: Project, number: int) -> Path:
    return project.out / "runs" / load_receipts(project.out)[number].run_id / "counts.sealed"


def codes(project: Project) -> tuple[int, set[str]]:
    """The exit code of `verify`, and the codes of its findings."""
    done = command("verify", project.out, "--keys", project.keys, "--json")
    return done.code, {each["code"] for each in done.json["findings"]}


def flip(project: Project) -> None:
    content = bytearray(counts_of(project, 1).read_bytes())
    content[len(content) // 2] ^= 1
    counts_of(project, 1).write_bytes(content)


def exchange(project: Project) -> None:
    counts_of(project, 1).write_bytes(counts_of(project, 0).read_bytes())


def remove(project: Project) -> None:
    counts_of(project, 1).unlink()


def test_untouched_counts_are_verified(ran: Project) -> None:
    assert counts_of(ran, 0).read_bytes() != counts_of(ran, 1).read_bytes()
    code, found = codes(ran)
    assert (code, "V083" in found) == (0, False)


@pytest.mark.parametrize("damage", [flip, exchange, remove])
def test_damaged_counts_are_noticed(ran: Project, damage: Callable[[Project], None]) -> None:
    damage(ran)
    code, found = codes(ran)
    assert (code, "V083" in found) == (1, True)


def sign(project: Project, *, opened: bool) -> None:
    """Signs the last receipt again, with the counts that it shows or with its sealed ones."""
    receipt = load_receipts(project.out)[-1]
    path = project.out / "runs" / receipt.run_id / "receipt.json"
    exact = replace(project.exact(receipt), files=receipt.files) if opened else receipt
    signed = replace(exact, signature=None).with_signature(Keyring.load(project.keys))
    path.write_text(signed.file_text())


@pytest.mark.parametrize("opened", [False, True])
def test_a_receipt_that_shows_what_is_sealed_is_noticed(ran: Project, opened: bool) -> None:
    sign(ran, opened=opened)
    assert ("V083" in codes(ran)[1]) is opened
