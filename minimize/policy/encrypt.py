"""Reading what pipelines and the house say of encryption at rest."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final, get_args

from minimize.house import house_file
from minimize.policy.faults import Faults, did_you_mean
from minimize.policy.pipeline import Encrypt, EncryptBy
from minimize.policy.scope import Scope
from minimize.policy.shape import Shape, build
from minimize.policy.yaml import Node, content_of, parse

WORDS: Final = get_args(EncryptBy)
BY_CATEGORY: Final = "by_category"
ACCESS: Final = ("file", "encrypt")
"""What `access:` of the house's file may say, where it is more than the path of a file."""


def read_encrypt(node: Node, scope: Scope) -> Encrypt | None:
    """`none`, `by_category`, or `by_category: {per: FIELD}` for records whose folders have keys of their own."""
    if not node.is_mapping:
        by = read_word(node, scope.faults)
        return None if by is None else Encrypt(by=by)
    below = node.get(BY_CATEGORY)
    if below is None or len(node.entries) > 1:
        hint = "encrypt: {by_category: {per: FIELD}}"
        scope.faults.add("P006", "`encrypt` wants one way to encrypt", line=node.line, hint=hint)
        return None
    shape = Shape(
        "`by_category`",
        {"per": lambda field: scope.field(field, "per")},
        given={"by": BY_CATEGORY},
        hidden=frozenset({"by"}),
    )
    return build(Encrypt, below, scope.faults, shape)


def read_word(node: Node, faults: Faults) -> EncryptBy | None:
    """`none` or `by_category`."""
    word: Any = node.value
    if word in WORDS:
        return "by_category" if word == BY_CATEGORY else "none"
    hint = did_you_mean(word, WORDS) if isinstance(word, str) else f"one of {', '.join(WORDS)}"
    faults.add("P007", "`encrypt` is not one of the ways to encrypt", line=node.line, hint=hint)
    return None


def house_encrypt(start: Path, faults: Faults) -> EncryptBy:
    """What the house demands of every output: `access: {encrypt: …}` of its `minimize.yaml`; faults stand under that file's name.

    What cannot be read demands the most.
    """
    file = house_file(start)
    if file is None:
        return "none"
    own = Faults(str(file))
    demanded = _demanded(file, own)
    faults.found.extend(own.found)
    return demanded


def _demanded(file: Path, faults: Faults) -> EncryptBy:
    content = content_of(file, Faults())
    root = None if content is None else parse(content.decode("utf-8-sig"), Faults())
    access = None if root is None else root.get("access")
    if access is None or not access.is_mapping:
        return "none"
    for key, entry in access.entries.items():
        if key not in ACCESS:
            faults.add("P004", f"`access` has no key `{key}`", line=entry.line, hint=did_you_mean(key, ACCESS))
    said = access.get("encrypt")
    word = None if said is None else read_word(said, faults)
    return "none" if said is None else (word or "by_category")
