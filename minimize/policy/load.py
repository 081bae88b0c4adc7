"""Loading policies and pipelines: from files or from plain mappings, typed, with every fault reported at once."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from minimize.errors import Finding, OutputError, PolicyError, without_values
from minimize.policy.approval import house_approval
from minimize.policy.encrypt import house_encrypt
from minimize.policy.faults import Faults
from minimize.policy.fields import generalized
from minimize.policy.model import Policy
from minimize.policy.pipeline import EncryptBy, Pipeline
from minimize.policy.pipelines import NOBODY, PipelineReader
from minimize.policy.policies import policy_of
from minimize.policy.purposes import house_purposes
from minimize.policy.scope import Scope
from minimize.policy.yaml import Node, content_of, node_from, parse

T = TypeVar("T")


@without_values
def load_policy(path: str | Path, purposes: Sequence[str] = ()) -> Policy:
    """The policy in a file, or in a folder's `policy.yaml`.

    Takes the path, and purposes beside the closed list and the nearest `minimize.yaml`.
    Raises PolicyError with every fault as a finding, or where the file cannot be read.
    """
    policy, found = examine_policy(path, purposes)
    return _sound(policy, found, "policy")


def examine_policy(path: str | Path, purposes: Sequence[str] = ()) -> tuple[Policy | None, list[Finding]]:
    """The policy as far as it can be read, with every fault. Where there are faults, never run by it."""
    faults = Faults()
    read = _read_policy(_file(path, "policy.yaml"), tuple(purposes), faults)
    return read.policy, _in_order(faults.found)


def policy_from(mapping: Mapping[str, Any], purposes: Sequence[str] = (), folder: str | Path = ".") -> Policy:
    """The policy in a mapping, as a file would say it; `folder` is where its relative paths start.

    Raises PolicyError with every fault as a finding.

    >>> policy_from({"policy": "p", "version": 1, "purposes": ["operations"], "fields": {"a": {"type": "string"}}}).policy
    'p'
    """
    faults = Faults()
    policy, _ = policy_of(node_from(mapping), Path(folder), faults, tuple(purposes), {})
    return _sound(policy, faults.found, "policy")


@without_values
def load_pipeline(path: str | Path, purposes: Sequence[str] = ()) -> Pipeline:
    """The pipeline in a file, or in a folder's `pipeline.yaml`, with the policy that it names.

    Raises PolicyError with every fault of both files as a finding, or where a file cannot be read.
    """
    pipeline, found = examine_pipeline(path, purposes)
    return _sound(pipeline, found, "pipeline")


def examine_pipeline(path: str | Path, purposes: Sequence[str] = ()) -> tuple[Pipeline | None, list[Finding]]:
    """The pipeline as far as it can be read, with every fault of both files: for `lint`, which goes on to judge the rest.

    Where there are faults, what is faulty is left out or stands in its most careful form; never run that.
    """
    file = _file(path, "pipeline.yaml")
    faults = Faults(str(file))
    opened = _open(file, faults)
    if opened is None or _mistaken(opened.root, "policy", "pipeline", faults):
        return None, faults.found
    house = (*purposes, *house_purposes(file.parent, faults))
    house_approval(file.parent, faults)
    pipeline = _pipeline(opened, file, house, faults, house_encrypt(file.parent, faults))
    return None if pipeline is None or pipeline.policy is NOBODY else pipeline, _in_order(faults.found)


def hierarchy_files(policy: Policy) -> tuple[Path, ...]:
    """The files that a policy's steps refer to (hierarchies), each once, in the policy's order."""
    return tuple(dict.fromkeys(step.file for step in generalized(policy.fields.values())))


@dataclass(frozen=True, slots=True)
class _Opened:
    root: Node
    digest: str


@dataclass(frozen=True, slots=True)
class _Read:
    policy: Policy | None
    scope: Scope


def _file(path: str | Path, name: str) -> Path:
    try:
        is_folder = Path(path).is_dir()
    except (OSError, ValueError):  # a text that cannot be a path; its error repeats it
        is_folder = None
    if is_folder is None:
        raise PolicyError(
            "this is no path", hint="give the path of a file or folder; a policy as a mapping: `policy_from`"
        )
    return Path(path) / name if is_folder else Path(path)


def straight(path: Path) -> Path:
    """The path without `..`, where that leads to the same file (behind a link it may not)."""
    short = Path(os.path.normpath(path))
    return short if short.exists() and path.exists() and short.samefile(path) else path


def _open(file: Path, faults: Faults) -> _Opened | None:
    content = content_of(file, faults)
    if content is None and (of := _output_of(file.parent)) is not None:
        faults.found.pop()
        faults.add("P001", f"this is an output{of}", hint="name the pipeline that made it, not its output")
    root = None if content is None else parse(content.decode("utf-8-sig"), faults)
    if content is None or root is None:
        return None
    return _Opened(root, f"sha256:{hashlib.sha256(content).hexdigest()}")


def _output_of(folder: Path) -> str | None:
    """Of which pipeline a folder is the output, in words, where its receipts tell that; None where it is no output."""
    from minimize.io.history import has_runs, receipts

    try:
        chain = receipts(folder) if has_runs(folder) else ()
    except (OSError, OutputError):
        return ""
    return f" of the pipeline {chain[-1].pipeline}" if chain else None


def _mistaken(root: Node, is_: str, wanted: str, faults: Faults) -> bool:
    """Whether the file is the other of the two; that is the only fault then."""
    has_fields, has_name = "fields" in root.entries, "pipeline" in root.entries
    mistaken = (has_fields, has_name) == ((True, False) if is_ == "policy" else (False, True))
    if mistaken:
        hint = f"name the {wanted}.yaml, or the folder of both"
        faults.add("P005", f"this is a {is_}, and a {wanted} is wanted", line=1, hint=hint)
    return mistaken


def _read_policy(file: Path, purposes: tuple[str, ...], faults: Faults) -> _Read:
    own = Faults(str(file))
    read = _Read(None, Scope(own, file.parent, None, {}))
    opened = _open(file, own)
    if opened is not None and not _mistaken(opened.root, "pipeline", "policy", own):
        house = (*purposes, *house_purposes(file.parent, own))
        read = _Read(*policy_of(opened.root, file.parent, own, house, {"path": file, "digest": opened.digest}))
    faults.found.extend(own.found)
    return read


def _pipeline(
    opened: _Opened, file: Path, house: tuple[str, ...], faults: Faults, demanded: EncryptBy
) -> Pipeline | None:
    named = opened.root.get("policy")
    if named is None or not isinstance(named.value, str):
        policy, scope = None, Scope(faults, file.parent, None, {})
    else:
        read = _read_policy(_file(straight(file.parent / named.value), "policy.yaml"), house, faults)
        policy, scope = read.policy, read.scope
    given = {"path": file, "digest": opened.digest, "demanded": demanded}
    return PipelineReader.over(policy, scope, faults, house)(opened.root, given)


def _in_order(findings: Sequence[Finding]) -> list[Finding]:
    """Each once, by file and line."""
    files = {finding.file: index for index, finding in reversed(list(enumerate(findings)))}
    return sorted(dict.fromkeys(findings), key=lambda finding: (files[finding.file], finding.line or 0))


def _sound(thing: T | None, findings: Sequence[Finding], noun: str) -> T:
    unique = _in_order(findings)
    if thing is None or unique:
        count = len(unique)
        raise PolicyError(f"the {noun} has {count} fault{'' if count == 1 else 's'}", findings=unique)
    return thing
