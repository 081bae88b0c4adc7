"""`minimize policy`: who approved a policy."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import click

from minimize.cli import options

if TYPE_CHECKING:
    from minimize.review.approving import Signed


@click.group(name="policy")
def command() -> None:
    """Approve a policy as it is."""


@command.command("approve")
@click.argument("policy", type=click.Path())
@click.option("--by", metavar="NAME", help="Who approves; else MINIMIZE_ACTOR, else the system's user.")
@options.only_ledger
@options.keys
@options.as_json
def approve(policy: str, by: str | None, ledger: str | None, keys: str | None, as_json: bool) -> None:
    """Write into POLICY that it is approved as it is: `approved: {by, on, digest}`.

    The digest is of what the policy says, hierarchies included; comments and layout may change afterwards. A policy in which
    `minimize lint` finds an error is not approved. Who is taken as the approver, and where that name comes from, is printed.
    """
    from minimize.review.approving import approve as signed

    done = signed(policy, by=by, ledger=ledger, keys=keys)
    options.show(done.as_json(), as_json, _told(done))


def _told(done: Signed) -> str:
    name, whence = f"{done.policy} version {done.version}", f"who approves is taken from {_WHENCE[done.named]}"
    if not done.changed:
        said = f"{name} is approved already, by {done.approved.by} on {done.approved.on}; nothing was changed"
        return f"{said}\n{whence}"
    log = "the audit log was told" if done.recorded else "no ledger is named, so the audit log was not told"
    return f"{name} approved by {done.approved.by} on {done.approved.on}, in {done.file}; {log}\n{whence}"


_WHENCE: Final = {
    "--by": "--by",
    "MINIMIZE_ACTOR": "MINIMIZE_ACTOR",
    "system": "the system's user: neither --by nor MINIMIZE_ACTOR names anybody",
}
