"""Whether a policy is the one that somebody approved, and whether the house wants it to be.

What is approved is what a policy says, however it is laid out: its keys and values without `approved`, and the bytes of the
hierarchies that it names. A comment may change, a key may move; nothing else.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final, Literal, get_args

from minimize.house import house_file
from minimize.policy.faults import Faults, did_you_mean
from minimize.policy.fields import generalized
from minimize.policy.model import Policy
from minimize.policy.yaml import Node, content_of, parse
from minimize.receipt import Approval, PolicyRef

State = Literal["approved", "changed", "unapproved"]
"""`changed`: approved once, and not as it is now."""
Demand = Literal["none", "warn", "required"]
"""What the house wants of a policy that is not approved: nothing, a warning, or that nothing runs under it."""
KEY: Final = "approved"
WORDS: Final = tuple(word for word in get_args(Demand) if word != "none")
WELL_FORMED: Final = MappingProxyType(
    {"by": r"[^\x00-\x1f\x7f]{1,200}", "on": r"\d{4}-\d{2}-\d{2}", "digest": r"sha256:[0-9a-f]{64}"}
)
"""What the parts of an approval look like."""


def form_of(root: Node) -> str:
    """`sha256:` of what a policy's file says, whatever its order of keys, its spaces and comments, without its approval."""
    said = root.plain()
    body = {key: value for key, value in said.items() if key != KEY} if isinstance(said, dict) else said
    return _digest(json.dumps(body, sort_keys=True, ensure_ascii=False, separators=(",", ":")).encode())


def approval_digest(policy: Policy) -> str:
    """What an approval names: the digest of what the policy says and of the hierarchies that it names."""
    hierarchies = sorted({(step.hierarchy, step.digest) for step in generalized(policy.fields.values())})
    return policy.form if not hierarchies else _digest(json.dumps([policy.form, hierarchies]).encode())


def approval_state(policy: Policy) -> State:
    """Whether a policy is the one that was approved."""
    if policy.approved is None:
        return "unapproved"
    return "approved" if policy.form and policy.approved.digest == approval_digest(policy) else "changed"


def reference(policy: Policy) -> PolicyRef:
    """A policy as a receipt names it: with who approved it and when, where it is the one that was approved."""
    said = policy.approved if approval_state(policy) == "approved" else None
    approval = None if said is None else Approval(said.by, said.on)
    return PolicyRef(policy.policy, policy.version, policy.digest, approval)


def house_approval(start: Path | None, faults: Faults) -> Demand:
    """What the house wants: `approval: warn` or `approval: required` of its `minimize.yaml`; faults stand under that file's name.

    What cannot be read demands the most.
    """
    file = house_file(start)
    content = None if file is None else content_of(file, Faults())
    root = None if content is None else parse(content.decode("utf-8-sig"), Faults())
    node = None if root is None else root.get("approval")
    if node is None:
        return "none"
    found: Any = node.value
    if found in WORDS:
        return "required" if found == "required" else "warn"
    hint = did_you_mean(found, WORDS) if isinstance(found, str) else f"one of {', '.join(WORDS)}"
    Faults(str(file), faults.found).add("P007", "`approval` is no word for what is wanted", line=node.line, hint=hint)
    return "required"


def _digest(content: bytes) -> str:
    return "sha256:" + hashlib.sha256(content).hexdigest()
