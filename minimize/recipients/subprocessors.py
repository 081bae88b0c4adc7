"""The list of subprocessors: which agents act for us, and from when to when."""

from __future__ import annotations

from datetime import date
from pathlib import Path

from minimize.policy.faults import Faults
from minimize.policy.model import Model
from minimize.policy.scope import Scope
from minimize.policy.shape import Readers, Shape, build
from minimize.policy.yaml import Node
from minimize.recipients.read import read_date


class Subprocessor(Model):
    """One entry: a name, the first day on which it is listed, and the first on which it is listed no longer."""

    name: str
    from_: date
    until: date | None = None
    about: str = ""
    line: int | None = None

    def as_json(self) -> dict[str, str | None]:
        """The entry as a JSON object."""
        until = None if self.until is None else self.until.isoformat()
        return {"name": self.name, "from": self.from_.isoformat(), "until": until, "about": self.about}

    def overlaps(self, other: Subprocessor) -> bool:
        """Whether both are listed on some day."""
        return (other.until is None or self.from_ < other.until) and (self.until is None or other.from_ < self.until)


class Subprocessors(Model):
    """The whole list; a name may stand in it more than once, with other dates."""

    entries: tuple[Subprocessor, ...] = ()
    path: Path | None = None

    def lists(self, name: str, on: date) -> bool:
        """Whether a name is on the list on a day.

        >>> Subprocessors(entries=(Subprocessor(name="Ann", from_=date(2026, 1, 1)),)).lists("Ann", date(2025, 12, 31))
        False
        """
        return any(
            entry.name == name and entry.from_ <= on and (entry.until is None or on < entry.until)
            for entry in self.entries
        )


def subprocessors_of(root: Node, file: Path | None, faults: Faults) -> Subprocessors:
    """The list from nodes; what is wrong stands in `faults`, and its entry is left out."""
    scope = Scope(faults, Path() if file is None else file.parent, None, {})
    for key, below in root.entries.items():
        if key != "subprocessors":
            faults.add("P004", f"a list of subprocessors has no key `{key}`", line=below.line)
    listed = root.entries.get("subprocessors")
    if listed is None or not listed.is_list:
        faults.add("P006", "`subprocessors` wants a list of entries", line=None if listed is None else listed.line)
        return Subprocessors(path=file)
    found = [_entry(node, scope) for node in listed.items]
    return Subprocessors(entries=tuple(entry for entry in found if entry is not None), path=file)


def _entry(node: Node, scope: Scope) -> Subprocessor | None:
    readers: Readers = {
        "from": lambda below: read_date(below, scope, "from"),
        "until": lambda below: read_date(below, scope, "until"),
    }
    shape = Shape(
        "an entry of the list", readers, {"line": node.line}, spelled={"from": "from_"}, hidden=frozenset({"line"})
    )
    found = build(Subprocessor, node, scope.faults, shape)
    if found is not None and found.until is not None and found.until <= found.from_:
        scope.faults.add("T005", "it ends before it begins", line=node.line, hint="`until` is the first day without it")
    return found
