"""The permission to share: a dry run in Python needs it, as one on the command line does."""

from __future__ import annotations

import pytest

import minimize
from minimize.errors import AccessDenied
from minimize.governance.sharing.disclosures import ShareSummary
from tests.world import World


def tried(world: World, account: str) -> ShareSummary:
    with world.as_actor(account):
        summary: ShareSummary = minimize.share(
            None, recipient="vendor", function="sync", pipeline=world.folder / "usage", dry_run=True
        )
    return summary


def test_a_dry_run_needs_the_permission_to_share(world: World) -> None:
    with pytest.raises(AccessDenied):
        tried(world, "ann")
    assert world.command("ann", "share", "send", "vendor", "sync", "--pipeline", "usage", "--dry-run").code == 3
    assert tried(world, "pia").rows > 0
