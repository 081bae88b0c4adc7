"""Approval of a policy and its pipelines: its digest, whether both are still the approved ones, and the check before a run.

An approval covers under one digest the content of a policy, the bytes of the hierarchies that it names, and the content of the
pipelines that were approved with it. Content is keys and values without `approved`: comments may change and keys may move.

The check has an effect only if the policy has `approved`, or the configuration requires an approval.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from types import MappingProxyType
from typing import Final, Literal, get_args

from minimize.config import OFF, Config
from minimize.errors import Finding, RefusedError
from minimize.forms.yaml_nodes import FaultList, YamlNode
from minimize.policy.fields import reference_files
from minimize.policy.model import Policy
from minimize.policy.pipeline import Pipeline
from minimize.receipts import PolicyRef, ReceiptApproval
from minimize.receipts.parts import sha256_text
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


def policy_content_digest(policy: Policy) -> str:
    """The digest of the content of a policy and of the hierarchies that it refers to."""
    hierarchies = sorted({(file.name, file.digest) for file in reference_files(policy.fields.values())})
    return policy.form if not hierarchies else sha256_text(json.dumps([policy.form, hierarchies]).encode())


def approval_digest(policy: Policy, pipelines: Mapping[str, str] = MappingProxyType({})) -> str:
    """The digest that an approval names. Takes the digest of each approved pipeline, by path relative to the policy."""
    content = policy_content_digest(policy)
    return content if not pipelines else sha256_text(json.dumps([content, sorted(pipelines.items())]).encode())


def approval_state(judged: Policy | Pipeline) -> ApprovalState:
    """Whether the current content of a policy, or of a pipeline with its policy, is approved, was changed after approval, or was
    never approved. A pipeline that the approval of its policy does not cover counts as changed."""
    policy = _policy_of(judged)
    if policy.approved is None:
        return "unapproved"
    if not policy.form or policy.approved.digest != approval_digest(policy, policy.approved.pipelines):
        return "changed"
    is_covered = not isinstance(judged, Pipeline) or judged.form in policy.approved.pipelines.values()
    return "approved" if is_covered else "changed"


def _policy_of(judged: Policy | Pipeline) -> Policy:
    return judged.policy if isinstance(judged, Pipeline) else judged


def policy_reference(judged: Policy | Pipeline) -> PolicyRef:
    """The reference of a receipt to a policy: with approver and day if the current content is approved, also of the pipeline."""
    policy = _policy_of(judged)
    approved = policy.approved if approval_state(judged) == "approved" else None
    approval = None if approved is None else ReceiptApproval(approved.by, approved.on)
    return PolicyRef(policy.policy, policy.version, policy.digest, approval)


def configured_approval(config: Config, faults: FaultList) -> ApprovalDemand:
    """The value of `approval:` in `minimize.yaml`. A fault is recorded with the name of that file.

    An unknown word counts as `required`.
    """
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


def check_approval(judged: Policy | Pipeline) -> None:
    """Warns (W026) if a policy, or a pipeline with its policy, is not the approved one.

    Raises RefusedError (R006) if the nearest `minimize.yaml` has `approval: required`.
    """
    policy = _policy_of(judged)
    demand = configured_approval(judged.config, FaultList())
    finding = approval_finding(judged, demand)
    if finding is not None and demand == "required":
        raise RefusedError("`minimize.yaml` requires an approved policy; nothing was read", findings=[finding])
    if finding is not None:
        log.warning("%s: %s (%s)", policy.policy, finding.message, finding.hint, extra={"code": "W026"})


def approval_finding(judged: Policy | Pipeline, demand: ApprovalDemand) -> Finding | None:
    """The finding if the current content of a policy, or of a pipeline with its policy, is not approved; None if it is, or if no
    approval is required."""
    policy, state = _policy_of(judged), approval_state(judged)
    if state == "approved" or (state == "unapproved" and demand == "none"):
        return None
    message = f"not approved: {_missing_approval(policy)}"
    file = None if policy.path is None else str(policy.path)
    return Finding(
        "R006",
        message,
        hint="Run `minimize policy approve FILE --actor NAME`.",
        file=file,
        line=policy.lines.get((APPROVED_KEY,)),
    )


def _missing_approval(policy: Policy) -> str:
    """Why the current content is not approved, in words."""
    approved = policy.approved
    if approved is None:
        return "no approval is recorded in the policy"
    if approval_state(policy) == "approved":
        return f"the approval by {approved.by} on {approved.on} does not cover this pipeline in its current form"
    return f"the policy has changed since {approved.by} approved it on {approved.on}"
