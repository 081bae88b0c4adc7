"""Two states of the house's file compared: purposes, approval, encryption, and places."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from minimize.policy.approval import Demand, house_approval
from minimize.policy.encrypt import house_encrypt
from minimize.policy.faults import Faults
from minimize.policy.pipeline import EncryptBy
from minimize.policy.purposes import house_purposes
from minimize.policy.yaml import Node, content_of, parse
from minimize.review.change import Change
from minimize.review.grades import fewer, ranked, said
from minimize.review.words import ENCRYPTED, arrow, listed

_DEMANDS: Final = ("required", "warn", "none")
NOBODY: Final = "nobody is asked"
_OWN: Final = ("purposes", "approval", "access")


@dataclass(frozen=True, slots=True)
class HouseFile:
    """What a `minimize.yaml` says."""

    root: Node
    purposes: tuple[str, ...]
    approval: Demand
    encrypt: EncryptBy


def read_house(file: Path, faults: Faults) -> HouseFile | None:
    """The house's file; None (and faults) where it cannot be read."""
    content = content_of(file, faults)
    root = None if content is None else parse(content.decode("utf-8-sig"), faults)
    if root is None:
        return None
    start = file.parent
    demanded = house_approval(start, faults), house_encrypt(start, faults)
    return HouseFile(root, house_purposes(start, faults), *demanded)


def house_changes(old: HouseFile, new: HouseFile, file: str | None) -> Iterator[Change]:
    """What changed about the house's file."""
    parts = (
        ("purposes", listed(old.purposes), listed(new.purposes), fewer(old.purposes, new.purposes)),
        ("approval", old.approval, new.approval, ranked(_DEMANDS)(old.approval, new.approval)),
        ("access", old.encrypt, new.encrypt, ranked(ENCRYPTED)(old.encrypt, new.encrypt)),
    )
    for key, before, after, grade in parts:
        if before != after:
            yield Change("J050", grade, f"{key}: {arrow(before, after)}", file, _line(new, key))
    if _access(old) != _access(new):
        message = f"access: {arrow(_access(old) or NOBODY, _access(new) or NOBODY)}"
        yield Change("J050", said(_access(old), _access(new)), message, file, _line(new, "access"))
    for key in {**old.root.entries, **new.root.entries}:
        if key not in _OWN and _said(old, key) != _said(new, key):
            yield Change("J050", "neutral", f"{key}: {arrow(_said(old, key), _said(new, key))}", file, _line(new, key))


def _access(house: HouseFile) -> str | None:
    """The access file that is named; without one nobody is asked."""
    node = house.root.get("access")
    named = node.get("file") if node is not None and node.is_mapping else node
    return None if named is None else str(named.value)


def _said(house: HouseFile, key: str) -> str:
    node = house.root.get(key)
    return "nothing" if node is None else str(node.plain())


def _line(house: HouseFile, key: str) -> int | None:
    node = house.root.get(key)
    return None if node is None else node.line
