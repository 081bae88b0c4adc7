"""Approval of a policy: its digest, whether the policy is still the approved one, and the check before a run.

An approval covers the content of a policy, independent of its layout: its keys and values without `approved`, and the
bytes of the hierarchies that it names. Comments may change and keys may move.

The check has an effect only if the policy has `approved`, or the configuration requires an approval.
"""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import Final, Literal, get_args

from minimize.config import OFF, load_config
from minimize.errors import Finding, RefusedError
from minimize.policy.faults import FaultList
from minimize.policy.fields import reference_files
from minimize.policy.model import Policy
from minimize.policy.yaml_nodes import YamlNode
from minimize.receipts import PolicyRef, ReceiptApproval
from minimize.receipts.canonical import sha256_text
from minimize.text import did_you_mean

ApprovalState = Literal["approved", "changed", "unapproved"]
"""`changed`: an earlier version was approved, and the content has changed since."""
ApprovalDemand = Literal["none", "warn", "required"]
"""What `minimize.yaml` requires of a policy that is not approved: nothing, a warning, or that no run uses it."""
APPROVED_KEY: Final = "approved"
APPROVAL_WORDS: Final = (*(word for word in get_args(ApprovalDemand) if word != "none"), OFF)


def content_digest(root: YamlNode) -> str:
    """`sha256:` of the content of a policy file without its approval; order of keys, spaces and comments do not matter."""
    content = root.to_data()
    body = (
        {key: value for key, value in content.items() if key != APPROVED_KEY} if isinstance(content, dict) else content
    )
    return sha256_text(json.dumps(body, sort_keys=True, ensure_ascii=False, separators=(",", ":")).encode())


def approval_digest(policy: Policy) -> str:
    """The digest that an approval names: of the content of the policy and of the hierarchies that it refers to."""
    hierarchies = sorted({(file.name, file.digest) for file in reference_files(policy.fields.values())})
    return policy.form if not hierarchies else sha256_text(json.dumps([policy.form, hierarchies]).encode())


def approval_state(policy: Policy) -> ApprovalState:
    """Whether the current content of a policy is approved, was changed after approval, or was never approved."""
    if policy.approved is None:
        return "unapproved"
    return "approved" if policy.form and policy.approved.digest == approval_digest(policy) else "changed"


def policy_reference(policy: Policy) -> PolicyRef:
    """The reference of a receipt to a policy: with approver and day if the current content is approved."""
    approved = policy.approved if approval_state(policy) == "approved" else None
    approval = None if approved is None else ReceiptApproval(approved.by, approved.on)
    return PolicyRef(policy.policy, policy.version, policy.digest, approval)


def configured_approval(start: Path | None, faults: FaultList) -> ApprovalDemand:
    """The value of `approval:` in `minimize.yaml`. A fault is recorded with the name of that file.

    An unknown word counts as `required`.
    """
    config = load_config(start)
    if config.approval is None or config.approval.value == OFF:
        return "none"
    word = config.approval.value
    if word in APPROVAL_WORDS:
        return "required" if word == "required" else "warn"
    hint = did_you_mean(word, APPROVAL_WORDS) if isinstance(word, str) else f"Use one of: {', '.join(APPROVAL_WORDS)}."
    message, line = "`approval` has an unknown value", config.approval.line
    FaultList(str(config.path), faults.found).add("P007", message, line=line, hint=hint)
    return "required"


log = logging.getLogger("minimize")


def check_approval(policy: Policy, folder: Path | None) -> None:
    """Warns (W026) if a policy is not the approved one.

    Takes the policy, and the folder where the search for `minimize.yaml` starts. Raises RefusedError (R006) if that file has
    `approval: required`.
    """
    demand = configured_approval(folder, FaultList())
    found = approval_finding(policy, demand)
    if found is not None and demand == "required":
        raise RefusedError("`minimize.yaml` requires an approved policy; nothing was read", findings=[found])
    if found is not None:
        log.warning("%s: %s (%s)", policy.policy, found.message, found.hint, extra={"code": "W026"})


def approval_finding(policy: Policy, demand: ApprovalDemand) -> Finding | None:
    """The finding if the current content of a policy is not approved; None if it is, or if no approval is required."""
    state = approval_state(policy)
    if state == "approved" or (state == "unapproved" and demand == "none"):
        return None
    message = "this policy is not approved"
    if policy.approved is not None:
        message = f"the policy has changed since {policy.approved.by} approved it on {policy.approved.on}"
    file = None if policy.path is None else str(policy.path)
    return Finding(
        "R006",
        message,
        hint="Run `minimize policy approve FILE --by NAME`.",
        file=file,
        line=policy.lines.get((APPROVED_KEY,)),
    )
