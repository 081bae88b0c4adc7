"""How often each command reads its surroundings: the configuration, the keyring, the access rules, and connects to the ledger."""

from __future__ import annotations

import json
import sys
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit
from uuid import uuid4

from tests.cli.permission_table import CALLS, OWN, prepare
from tests.world import World


class _OpenedFiles:
    """Counts the files that the process opens. An audit hook of Python cannot be removed, so it is made once."""

    def __init__(self) -> None:
        self.counts: Counter[Path] | None = None
        sys.addaudithook(self)

    def __call__(self, event: str, arguments: tuple[Any, ...]) -> None:
        if self.counts is None or not isinstance(arguments[0], str):
            return
        if event == "open":
            self.counts[Path(arguments[0]).resolve()] += 1
        elif event == "sqlite3.connect":
            self.counts[Path(urlsplit(arguments[0]).path)] += 1

    @contextmanager
    def counted(self) -> Iterator[Counter[Path]]:
        self.counts = Counter()
        try:
            yield self.counts
        finally:
            self.counts = None


_OPENED = _OpenedFiles()
MOST_READS: Final[Mapping[str, int]] = {"minimize.yaml": 2, "test.keys": 1, "access.yaml": 1, "ledger.db": 1}
"""How often a command may read a file of its surroundings: a command for one output finds its configuration once, and once more
where another output's rules decide, too."""
MORE_READS: Final[Mapping[str, Mapping[str, int]]] = {
    "keys rotate": {"ledger.db": 2},
    "keys add": {"ledger.db": 2},
    "runs": {"ledger.db": 3},
    "share send": {"ledger.db": 2},
    "consent confirm": {"access.yaml": 2},
    "share explain": {"test.keys": 2},
    "subject view": {"test.keys": 2},
    "subject export": {"test.keys": 2},
    "subject approve": {"access.yaml": 2},
    "subject restrict": {"test.keys": 2},
    "subject delete": {"test.keys": 2},
    "incident reclassify": {"access.yaml": 2},
    "incident close": {"access.yaml": 2},
    "audit verify": {"test.keys": 2},
    "report": {"minimize.yaml": 5},
    "risk --population": {"access.yaml": 2},
    "tenant report": {"minimize.yaml": 10, "test.keys": 3},
    "export": {"minimize.yaml": 3, "ledger.db": 3},
    "drift": {"test.keys": 2, "ledger.db": 2},
    "run --settings": {"minimize.yaml": 3},
    "run --input": {"minimize.yaml": 3},
    "backfill --settings": {"minimize.yaml": 3},
    "replay": {"minimize.yaml": 5},
    "replay --settings": {"minimize.yaml": 4, "access.yaml": 2},
    "retract": {"minimize.yaml": 3},
    "policy approve": {"minimize.yaml": 5, "access.yaml": 2},
    "keys shred": {"test.keys": 2, "ledger.db": 2},
    "access token": {"access.yaml": 2},
    "access request": {"access.yaml": 2, "ledger.db": 2},
    "access adopt --yes": {"minimize.yaml": 3, "access.yaml": 3},
}
"""The commands that read one of these files more often. Lower a number when a command needs less."""


def test_each_command_reads_its_surroundings_no_more_often_than_it_must(world: World) -> None:
    prepare(world)
    (disclosed,) = json.loads(world.command("pia", "share", "log", "--json").out)["disclosures"]
    read_by_command = {}
    for name, call in CALLS.items():
        words = call.format(tenant=OWN, disclosure=disclosed["disclosure"], new=f"{uuid4()}.csv").split()
        with _OPENED.counted() as opened:
            world.command("pia", *words)
        read_by_command[name] = {file: opened[(world.folder / file).resolve()] for file in MOST_READS}
    assert max(read["minimize.yaml"] for read in read_by_command.values()) > 0, "the hook sees what is opened"
    most = {name: {**MOST_READS, **MORE_READS.get(name, {})} for name in CALLS}
    above = {
        name: {file: count for file, count in read.items() if count > most[name][file]}
        for name, read in read_by_command.items()
    }
    assert {name: counts for name, counts in above.items() if counts} == {}
