"""Loading the access file: from disk or a plain mapping, with every fault reported at once."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from minimize.errors import Finding, PolicyError
from minimize.governance.access.model import Access
from minimize.governance.access.read import AccessReader
from minimize.house import access_line, house_file
from minimize.policy.faults import Faults
from minimize.policy.scope import Scope
from minimize.policy.yaml import content_of, node_from, parse

PathLike = str | os.PathLike[str]


def load_access(path: PathLike) -> Access:
    """The access file. Raises PolicyError with every fault as a finding, or where it cannot be read."""
    return _sound(*examine_access(path))


def access_from(mapping: Mapping[str, Any]) -> Access:
    """What a mapping says, as a file would. Raises PolicyError with every fault as a finding.

    >>> access_from({"version": 1}).assignments
    ()
    """
    faults = Faults()
    found = AccessReader(Scope(faults, Path(), None, {}), {})(node_from(mapping))
    return _sound(found, faults.found)


def examine_access(path: PathLike) -> tuple[Access | None, list[Finding]]:
    """What the file says as far as it can be read, with every fault: for lint. Where there are faults, nobody may anything."""
    file = Path(path)
    faults = Faults(str(file))
    content = content_of(file, faults)
    return (None, faults.found) if content is None else _examined(content, file, faults)


def access_in(content: bytes, file: PathLike) -> Access:
    """What the bytes of a file say, which may not be what stands in it by now. Raises PolicyError."""
    return _sound(*_examined(content, Path(file), Faults(str(file))))


def find_access(start: PathLike | None = None) -> Path | None:
    """The access file that counts: that of the nearest `minimize.yaml` upwards from a folder; None where it names none.

    Raises PolicyError where it cannot be read, or what it names is not there: then nobody may anything.
    """
    house = house_file(start)
    if house is None:
        return None
    said, faulty = _said(house)
    if faulty:
        raise PolicyError(
            f"`access:` cannot be read from {house}", hint="write `access: FILE`, or `access: {file: FILE}`"
        )
    if said is None:
        return None
    file = house.parent / said
    if not file.is_file():
        raise PolicyError(f"there is no access file {file}", hint=f"{house} names it")
    return file


def required_file(start: PathLike | None = None) -> Path:
    """The same, where nothing can be done without one. Raises PolicyError."""
    found = find_access(start)
    if found is None:
        raise PolicyError("no access file is configured", hint="say `access: access.yaml` in minimize.yaml")
    return found


def _examined(content: bytes, file: Path, faults: Faults) -> tuple[Access | None, list[Finding]]:
    root = parse(content.decode("utf-8-sig"), faults)
    if root is None:
        return None, faults.found
    given = {"path": file, "digest": f"sha256:{hashlib.sha256(content).hexdigest()}"}
    found = AccessReader(Scope(faults, file.parent, None, {}), given)(root)
    return found, sorted(dict.fromkeys(faults.found), key=lambda finding: finding.line or 0)


def _said(house: Path) -> tuple[str | None, bool]:
    try:
        return access_line(house), False
    except ValueError:
        return None, True


def _sound(found: Access | None, faults: Sequence[Finding]) -> Access:
    if found is None or faults:
        count = len(faults)
        raise PolicyError(f"the access file has {count} fault{'' if count == 1 else 's'}", findings=faults)
    return found
