"""The ledger's server restarted, crashed or gone, before a run, in the middle of it and after it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, suppress
from functools import partial

import pytest

from minimize.checkpoints import at_checkpoint
from minimize.errors import LedgerError
from minimize.ledger import ledger as ledger_module
from minimize.runs.verify import check_output
from tests.calls import list_runs, verify_audit
from tests.postgres import Server
from tests.project import Project

pytestmark = pytest.mark.postgres


@pytest.fixture(name="served")
def _served(project: Project, postgres: Server, monkeypatch: pytest.MonkeyPatch) -> Project:
    """A project that ran once, with a ledger on a server."""
    monkeypatch.setenv("MINIMIZE_LEDGER", postgres.database())
    project.run()
    return project


@pytest.fixture(name="away")
def _away(postgres: Server, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[], None]]:
    """Takes the server away until the block ends; nobody waits for it for long."""
    monkeypatch.setattr(ledger_module, "PATIENCE_S", 0.5)
    gone = list[bool]()

    def away() -> None:
        if not gone:
            gone.append(True)
            postgres.stop()

    yield away
    if gone:
        postgres.start()


def crashes(postgres: Server) -> None:
    """As if its power had gone for a moment."""
    postgres.stop("immediate")
    postgres.start()


def at(stage: str, act: Callable[[], None]) -> AbstractContextManager[None]:
    """Does something once, at a stage of a run."""
    point = {
        "first look": "run.opened",
        "everything is written": "run.written",
        "publication": "success.before",
        "telling": "clean.after",
    }[stage]
    done = list[bool]()

    def acts(*_: object) -> None:
        if not done:
            done.append(True)
            act()

    return at_checkpoint(point, acts)


def is_whole(project: Project, runs: int) -> None:
    assert [row.sequence for row in list_runs(output=project.out)] == [*range(1, runs + 1)]
    assert check_output(project.out, keys=project.keys) == []
    assert verify_audit(receipts=project.out, keys=project.keys).findings == ()


@pytest.mark.parametrize("how", [Server.restart, crashes], ids=["restarted", "crashed"])
@pytest.mark.parametrize("stage", ["first look", "everything is written", "publication", "telling"])
def test_a_server_that_comes_back_is_waited_for(
    served: Project, postgres: Server, monkeypatch: pytest.MonkeyPatch, how: Callable[[Server], None], stage: str
) -> None:
    with at(stage, partial(how, postgres)):
        assert served.run().sequence == 2
    is_whole(served, 2)


@pytest.mark.parametrize("turn", range(4))
@pytest.mark.parametrize("point", ["audit.appended", "ledger.before", "ledger.after"])
def test_a_server_that_crashes_while_something_is_kept_loses_nothing(
    served: Project, postgres: Server, point: str, turn: int
) -> None:
    passed = list[str]()

    def crashing(name: str) -> None:
        passed.append(name)
        if len(passed) == turn + 1:
            crashes(postgres)

    # nobody knows whether it was kept: the run stops, or what is published is told later
    with at_checkpoint(point, crashing), suppress(LedgerError):
        served.run()
    is_whole(served, served.run().sequence)


def test_without_its_server_a_run_stops_before_it_writes(served: Project, away: Callable[[], None]) -> None:
    away()
    with pytest.raises(LedgerError, match="cannot be reached") as told:
        served.run()
    assert (told.value.code, told.value.__context__) == ("E206", None)
    assert len([*(served.out / "runs").glob("*/receipt.json")]) == 1


def test_a_publication_during_a_server_outage_is_recorded_by_the_next_run(
    served: Project,
    postgres: Server,
    away: Callable[[], None],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    with at("telling", away):
        assert served.run().sequence == 2
    assert "published, but the ledger could not record it" in caplog.text
    postgres.start()
    assert served.run().sequence == 3
    is_whole(served, 3)
    postgres.stop()
