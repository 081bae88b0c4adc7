"""Workspace and time of a command: where its options say that things are, and when it runs."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from minimize.governance.workspace import Workspace

_WORKSPACE_OPTIONS: Final = ("ledger", "output", "pipeline", "keys")


def command_workspace(options: Mapping[str, Any]) -> Workspace:
    """The workspace that a command's options name. Other options are ignored."""
    from minimize.governance.workspace import Workspace  # late: `--help` of a command needs no Arrow

    return Workspace(**{name: options.get(name) for name in _WORKSPACE_OPTIONS})


def utc_now() -> datetime:
    """The time at which a command runs."""
    return datetime.now(UTC)
