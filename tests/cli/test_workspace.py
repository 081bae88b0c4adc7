"""The workspace of a command is what its options name."""

from __future__ import annotations

from minimize.cli.options import Places
from minimize.workspace import Workspace


def test_options_that_are_none_of_a_workspace_are_ignored() -> None:
    options = {"ledger": "l.db", "output": None, "pipeline": "p", "keys": "k", "tenant": "t-1"}
    assert Places(options).workspace == Workspace("l.db", None, "p", "k")


def test_a_workspace_may_be_named_in_part() -> None:
    assert Places({"keys": "k"}).workspace == Workspace(keys="k")
