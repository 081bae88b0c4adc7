"""Load the access file, from disk or from a mapping, with every fault at once, and find it in the configuration."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from minimize.access.model import AccessRules
from minimize.config import load_config
from minimize.errors import Finding, PolicyError
from minimize.forms import examine_content, examine_file, examine_mapping
from minimize.forms.yaml_nodes import FaultList, require_sound
from minimize.stores import PathText

_ACCOUNT_FAULTS: Final = frozenset({"U007", "U008", "U210", "U211"})
"""Faults that arise if two spellings are one account."""


def load_access(path: PathText) -> AccessRules:
    """Loads an access file. Raises PolicyError with every fault as a finding, or if the file cannot be read."""
    return require_sound(*examine_access(path), "access file")


def access_from_mapping(mapping: Mapping[str, Any]) -> AccessRules:
    """Reads access rules from a mapping with the content of a file. Raises PolicyError with every fault as a finding.

    >>> access_from_mapping({"version": 1}).assignments
    ()
    """
    return require_sound(*examine_mapping(AccessRules, mapping), "access file")


def examine_access(path: PathText) -> tuple[AccessRules | None, list[Finding]]:
    """Reads an access file for lint, as far as possible, with every fault. A file with faults permits nothing."""
    return examine_file(AccessRules, Path(path))


def parse_access(content: bytes, file: PathText) -> AccessRules:
    """Parses the bytes of an access file, which is to be adopted. Raises PolicyError."""
    return require_sound(*examine_content(AccessRules, content, Path(file), FaultList(str(file))), "access file")


def parse_adopted(content: bytes, file: PathText, *, to_replace: bool = False) -> AccessRules:
    """Parses the recorded bytes of an adopted access file. Raises PolicyError.

    An earlier version can have adopted two spellings of one account, which was two accounts then. Such a file permits nothing,
    except that it decides who may replace it (`to_replace`): its spellings are one account then.
    """
    found, faults = examine_content(AccessRules, content, Path(file), FaultList(str(file)))
    if not faults or {each.code for each in faults} - _ACCOUNT_FAULTS:
        return require_sound(found, faults, "adopted access file")
    if found is not None and to_replace:
        return found
    raise PolicyError(
        "the adopted access file has accounts that are not written in one way, so it permits nothing",
        findings=faults,
        hint="Correct the access file that `access:` in minimize.yaml names, and replace the adopted one: run `minimize access"
        " adopt --yes` as an account that may assign roles.",
    )


def find_access_file(start: PathText | None = None) -> Path | None:
    """The configured access file, from the nearest `minimize.yaml` in a folder or above it. None if it names none.

    Raises PolicyError if the configuration cannot be read, or the access file does not exist. Then nothing is permitted.
    """
    config = load_config(start).checked("access", PolicyError)
    if config.access.file is None:
        return None
    file = config.folder / config.access.file
    if not file.is_file():
        raise PolicyError(
            f"the access file {file} does not exist",
            hint=f"Create it with `minimize access new`, or correct `access:` in {config.path}.",
        )
    return file


def required_access_file(start: PathText | None = None) -> Path:
    """The configured access file. Raises PolicyError if none is configured."""
    found = find_access_file(start)
    if found is None:
        raise PolicyError("no access file is configured", hint="Set `access: access.yaml` in minimize.yaml.")
    return found
