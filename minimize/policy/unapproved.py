"""What is said, or refused, before something is written under a policy that nobody approved as it is.

Who does not use approvals hears nothing: it takes a policy that has `approved`, or a house that wants it.
"""

from __future__ import annotations

import logging
from pathlib import Path

from minimize.errors import Finding, RefusedError
from minimize.policy.approval import KEY, Demand, approval_state, house_approval
from minimize.policy.faults import Faults
from minimize.policy.model import Policy

log = logging.getLogger("minimize")


def check_approval(policy: Policy, folder: Path | None) -> None:
    """Warns (W026) of a policy that is not the one that was approved.

    Takes the policy, and the folder where the search for the house's file starts. Raises RefusedError (R006) where the house
    says `approval: required`.
    """
    demand = house_approval(folder, Faults())
    found = unapproved(policy, demand)
    if found is not None and demand == "required":
        raise RefusedError("the house wants an approved policy, nothing was read", findings=[found])
    if found is not None:
        log.warning("%s: %s (%s)", policy.policy, found.message, found.hint, extra={"code": "W026"})


def unapproved(policy: Policy, demand: Demand) -> Finding | None:
    """What stands against a policy as it is now; None where it is approved, or nobody asks."""
    state = approval_state(policy)
    if state == "approved" or (state == "unapproved" and demand == "none"):
        return None
    message = "nobody approved this policy"
    if policy.approved is not None:
        message = f"the policy was changed since {policy.approved.by} approved it on {policy.approved.on}"
    file = None if policy.path is None else str(policy.path)
    return Finding(
        "R006", message, hint="minimize policy approve FILE --by NAME", file=file, line=policy.lines.get((KEY,))
    )
