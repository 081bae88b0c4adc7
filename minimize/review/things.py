"""What lies in a file or folder that people wrote: policies, pipelines, recipients, access files, the house's file."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final, Literal

from minimize.errors import ConfigurationError, Finding
from minimize.governance.access.load import examine_access
from minimize.house import HOUSE
from minimize.policy.faults import Faults
from minimize.policy.load import examine_pipeline, examine_policy
from minimize.policy.yaml import Node, content_of, parse
from minimize.recipients.load import examine_recipient, examine_subprocessors
from minimize.review.houses import read_house
from minimize.review.revisions import SUFFIXES, Side

RECEIPT: Final = "receipt.json"
Kind = Literal["policy", "pipeline", "recipient", "subprocessors", "access", "house"]
Read = Callable[[Path], tuple[Any, list[Finding]]]


@dataclass(frozen=True, slots=True)
class Thing:
    """One file: its kind, where it is on disk, what it is called."""

    kind: Kind
    path: Path
    shown: str

    def read(self) -> tuple[Any, list[Finding]]:
        """What it says, and its faults, each under what its file is called."""
        return READERS[self.kind](self.path)


def things(side: Side) -> dict[str, Thing]:
    """Everything that a side has, by its path from what was asked for; with a pipeline the policy that it names.

    Raises ConfigurationError where there is nothing.
    """
    found: dict[str, Thing] = {}
    start = side.place if side.place.is_dir() else side.place.parent
    for path in _files(side.place):
        for kind, file in _kinds(path):
            key = Path(os.path.relpath(file, start)).as_posix()
            found.setdefault(key if side.place.is_dir() else kind, Thing(kind, file, side.shown(file)))
    if not found:
        hint = "a policy, a pipeline, a recipient, an access file, minimize.yaml, or a folder of these"
        raise ConfigurationError(f"nothing to compare in {side.shown(side.place)}", hint=hint)
    return found


def _files(place: Path) -> list[Path]:
    if not place.is_dir():
        return [place]
    return sorted(_below(place))


def _below(folder: Path) -> Iterator[Path]:
    """The files of a folder; hidden folders are left out, and what a run put beside its receipt."""
    for path in folder.iterdir():
        if path.is_dir():
            if not (path.name.startswith(".") or path.is_symlink() or (path / RECEIPT).exists()):
                yield from _below(path)
        elif path.suffix in SUFFIXES:
            yield path


def _kinds(path: Path) -> Iterator[tuple[Kind, Path]]:
    root = _root(path)
    kind = None if root is None else kind_of(root, path.name)
    if kind is not None:
        yield kind, path
    named = root.get("policy") if kind == "pipeline" and root is not None else None
    if named is not None and isinstance(named.value, str):
        file = Path(os.path.normpath(path.parent / named.value))
        yield "policy", file / "policy.yaml" if file.is_dir() else file


def kind_of(root: Node, name: str) -> Kind | None:
    """What a file is, by its name and the keys at its head; None for what is none of ours."""
    if name == HOUSE:
        return "house"
    kinds: tuple[tuple[Kind, str], ...] = (
        ("pipeline", "source"),
        ("policy", "fields"),
        ("recipient", "standing"),
        ("subprocessors", "subprocessors"),
        ("access", "assignments"),
    )
    return next(
        (kind for kind, key in kinds if key in root.entries and (kind in root.entries or kind == "access")), None
    )


def _root(path: Path) -> Node | None:
    content = content_of(path, Faults())
    return None if content is None else parse(content.decode("utf-8-sig"), Faults())


def _house(path: Path) -> tuple[Any, list[Finding]]:
    faults = Faults(str(path))
    return read_house(path, faults), faults.found


READERS: Final[Mapping[Kind, Read]] = MappingProxyType(
    {
        "policy": examine_policy,
        "pipeline": examine_pipeline,
        "recipient": examine_recipient,
        "subprocessors": examine_subprocessors,
        "access": examine_access,
        "house": _house,
    }
)
