"""Files of one room that stand side by side do not know each other: what the room's table names, and nothing by hand."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache

import grimp
import pytest

from minimize.aggregates import MEASURES
from minimize.cli.main import COMMANDS
from minimize.disclosure_risk.attacks import ATTACKS
from minimize.engines import ENGINES
from minimize.interop import FORMATS as EXCHANGED
from minimize.sources import FORMATS
from minimize.techniques import TECHNIQUES

ROOMS = {
    "techniques": {kind.__module__ for kind in TECHNIQUES.values()},
    "measures": {kind.__module__ for kind in MEASURES.values()},
    "attacks": {kind.__module__ for kind in ATTACKS.values()},
    "formats": {each.bind.__module__ for each in FORMATS.values()} | {"minimize.sources.memory"},
    "engines": {run.__module__ for run in ENGINES.values()},
    "exchange": {path.rpartition(".")[0] for row in EXCHANGED.values() for path in (row.reads, row.writes) if path},
    "verbs": {path.rpartition(".")[0] for path, _ in COMMANDS.values()},
}


@cache
def graph() -> grimp.ImportGraph:
    return grimp.build_graph("minimize", cache_dir=None)


def known(modules: Iterable[str]) -> set[tuple[str, str]]:
    side = set(modules)
    return {(one, other) for one in side for other in graph().find_modules_directly_imported_by(one) & side}


@pytest.mark.parametrize("room", ROOMS)
def test_modules_of_one_table_do_not_import_each_other(room: str) -> None:
    assert len(ROOMS[room]) > 1
    assert known(ROOMS[room]) - {("minimize.engines.spark", "minimize.engines.local")} == set()


def test_a_neighbour_that_is_known_would_be_seen() -> None:
    assert known({"minimize.engines.spark", "minimize.engines.passes"}) == {
        ("minimize.engines.spark", "minimize.engines.passes")
    }
