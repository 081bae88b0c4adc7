"""Loading recipients and the list of subprocessors: from files or plain mappings, with every fault reported at once."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from minimize.errors import Finding, PolicyError
from minimize.policy.faults import Faults
from minimize.policy.purposes import house_purposes
from minimize.policy.scope import Scope
from minimize.policy.yaml import content_of, node_from, parse
from minimize.recipients.model import Recipient
from minimize.recipients.read import RecipientReader
from minimize.recipients.subprocessors import Subprocessors, subprocessors_of


def load_recipient(path: str | Path, purposes: Sequence[str] = ()) -> Recipient:
    """The recipient in a file.

    Takes the path, and purposes beside the closed list and the nearest `minimize.yaml`.
    Raises PolicyError with every fault as a finding, or where the file cannot be read.
    """
    found, faults = examine_recipient(path, purposes)
    return _sound(found, faults)


def recipient_from(mapping: Mapping[str, Any], purposes: Sequence[str] = ()) -> Recipient:
    """The recipient in a mapping, as a file would say it. Raises PolicyError with every fault as a finding.

    >>> recipient_from({"recipient": "r", "standing": "independent", "functions": {}}).functions
    {}
    """
    faults = Faults()
    found = RecipientReader(Scope(faults, Path(), None, {}), tuple(purposes), {})(node_from(mapping))
    return _sound(found, faults.found)


def examine_recipient(path: str | Path, purposes: Sequence[str] = ()) -> tuple[Recipient | None, list[Finding]]:
    """The recipient as far as it can be read, with every fault: for lint. Where there are faults, never share by it."""
    file = Path(path)
    faults = Faults(str(file))
    content = content_of(file, faults)
    root = None if content is None else parse(content.decode("utf-8-sig"), faults)
    if content is None or root is None:
        return None, faults.found
    given = {"path": file, "digest": f"sha256:{hashlib.sha256(content).hexdigest()}"}
    house = (*purposes, *house_purposes(file.parent, faults))
    found = RecipientReader(Scope(faults, file.parent, None, {}), house, given)(root)
    if found is not None and found.recipient and found.recipient != file.stem:
        line = root.entries["recipient"].line
        faults.add(
            "T006", f"`{found.recipient}` stands in the file of another name", line=line, hint="one file a recipient"
        )
    return found, _in_order(faults.found)


def load_subprocessors(path: str | Path) -> Subprocessors:
    """The list of subprocessors in a file; an empty one where there is no file: nobody is listed. Raises PolicyError."""
    found, faults = examine_subprocessors(path)
    if faults:
        raise _error(faults, "the list of subprocessors")
    return found


def examine_subprocessors(path: str | Path) -> tuple[Subprocessors, list[Finding]]:
    """The list as far as it can be read, with every fault."""
    file = Path(path)
    if not file.exists():
        return Subprocessors(path=file), []
    faults = Faults(str(file))
    content = content_of(file, faults)
    root = None if content is None else parse(content.decode("utf-8-sig"), faults)
    found = Subprocessors(path=file) if root is None else subprocessors_of(root, file, faults)
    return found, _in_order(faults.found)


def _in_order(findings: Sequence[Finding]) -> list[Finding]:
    return sorted(dict.fromkeys(findings), key=lambda finding: (finding.file or "", finding.line or 0))


def _sound(found: Recipient | None, faults: Sequence[Finding]) -> Recipient:
    if found is None or faults:
        raise _error(faults, "the recipient")
    return found


def _error(faults: Sequence[Finding], what: str) -> PolicyError:
    count = len(faults)
    return PolicyError(f"{what} has {count} fault{'' if count == 1 else 's'}", findings=faults)
