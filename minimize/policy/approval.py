"""Approval of a policy: its digest, whether the policy is still the approved one, and the check before a run.

What is approved is the content of a policy, independent of its layout: its keys and values without `approved`, and the
bytes of the hierarchies that it names. Comments may change and keys may move.

The check does nothing without approvals: it needs a policy with `approved`, or a configuration that demands one.
"""

from __future__ import annotations

import hashlib
import json
import logging
from pathlib import Path
from types import MappingProxyType
from typing import Final, Literal, get_args

from minimize.config import load_config
from minimize.errors import Finding, RefusedError
from minimize.policy.faults import FaultList
from minimize.policy.fields import generalize_steps
from minimize.policy.model import Policy
from minimize.policy.yaml_nodes import YamlNode
from minimize.receipts import PolicyRef, ReceiptApproval
from minimize.text import did_you_mean

ApprovalState = Literal["approved", "changed", "unapproved"]
"""`changed`: approved once, and not as it is now."""
ApprovalDemand = Literal["none", "warn", "required"]
"""What the house wants of a policy that is not approved: nothing, a warning, or that nothing runs under it."""
APPROVED_KEY: Final = "approved"
APPROVAL_WORDS: Final = tuple(word for word in get_args(ApprovalDemand) if word != "none")
APPROVAL_PATTERNS: Final = MappingProxyType(
    {"by": r"[^\x00-\x1f\x7f]{1,200}", "on": r"\d{4}-\d{2}-\d{2}", "digest": r"sha256:[0-9a-f]{64}"}
)
"""What the parts of an approval look like."""


def content_digest(root: YamlNode) -> str:
    """`sha256:` of what a policy's file says, whatever its order of keys, its spaces and comments, without its approval."""
    said = root.to_data()
    body = {key: value for key, value in said.items() if key != APPROVED_KEY} if isinstance(said, dict) else said
    return _sha256(json.dumps(body, sort_keys=True, ensure_ascii=False, separators=(",", ":")).encode())


def approval_digest(policy: Policy) -> str:
    """What an approval names: the digest of what the policy says and of the hierarchies that it names."""
    hierarchies = sorted({(step.hierarchy, step.digest) for step in generalize_steps(policy.fields.values())})
    return policy.form if not hierarchies else _sha256(json.dumps([policy.form, hierarchies]).encode())


def approval_state(policy: Policy) -> ApprovalState:
    """Whether a policy is the one that was approved."""
    if policy.approved is None:
        return "unapproved"
    return "approved" if policy.form and policy.approved.digest == approval_digest(policy) else "changed"


def policy_reference(policy: Policy) -> PolicyRef:
    """A policy as a receipt names it: with who approved it and when, where it is the one that was approved."""
    said = policy.approved if approval_state(policy) == "approved" else None
    approval = None if said is None else ReceiptApproval(said.by, said.on)
    return PolicyRef(policy.policy, policy.version, policy.digest, approval)


def configured_approval(start: Path | None, faults: FaultList) -> ApprovalDemand:
    """What `approval:` of `minimize.yaml` demands. A fault is recorded under the name of that file.

    A word that is not known demands the most.
    """
    config = load_config(start)
    if config.approval is None:
        return "none"
    word = config.approval.value
    if word in APPROVAL_WORDS:
        return "required" if word == "required" else "warn"
    hint = did_you_mean(word, APPROVAL_WORDS) if isinstance(word, str) else f"one of {', '.join(APPROVAL_WORDS)}"
    message, line = "`approval` is no word for what is wanted", config.approval.line
    FaultList(str(config.path), faults.found).add("P007", message, line=line, hint=hint)
    return "required"


def _sha256(content: bytes) -> str:
    return "sha256:" + hashlib.sha256(content).hexdigest()


log = logging.getLogger("minimize")


def check_approval(policy: Policy, folder: Path | None) -> None:
    """Warns (W026) of a policy that is not the one that was approved.

    Takes the policy, and the folder where the search for the house's file starts. Raises RefusedError (R006) where the house
    says `approval: required`.
    """
    demand = configured_approval(folder, FaultList())
    found = approval_finding(policy, demand)
    if found is not None and demand == "required":
        raise RefusedError("the house wants an approved policy, nothing was read", findings=[found])
    if found is not None:
        log.warning("%s: %s (%s)", policy.policy, found.message, found.hint, extra={"code": "W026"})


def approval_finding(policy: Policy, demand: ApprovalDemand) -> Finding | None:
    """What stands against a policy as it is now; None where it is approved, or nobody asks."""
    state = approval_state(policy)
    if state == "approved" or (state == "unapproved" and demand == "none"):
        return None
    message = "nobody approved this policy"
    if policy.approved is not None:
        message = f"the policy was changed since {policy.approved.by} approved it on {policy.approved.on}"
    file = None if policy.path is None else str(policy.path)
    return Finding(
        "R006",
        message,
        hint="minimize policy approve FILE --by NAME",
        file=file,
        line=policy.lines.get((APPROVED_KEY,)),
    )
