"""Where a keyring is found: what was given, then `MINIMIZE_KEYS`, then `keys:` of the nearest `minimize.yaml`."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from minimize.errors import KeyringError
from minimize.house import house_file, house_line
from minimize.keys.keyring import Keyring

VARIABLE: Final = "MINIMIZE_KEYS"


def find_keyring(
    explicit: Keyring | str | os.PathLike[str] | None = None,
    start: str | os.PathLike[str] | None = None,
    environ: Mapping[str, str] | None = None,
) -> Keyring | None:
    """The keyring that counts, or None where nothing names one.

    Takes what a flag or argument gave, the pipeline's folder, and the environment (the process's own where none is
    given). Raises KeyringError where the keyring that is named cannot be used.
    """
    if isinstance(explicit, Keyring):
        return explicit
    named = explicit or (os.environ if environ is None else environ).get(VARIABLE)
    if named:
        return Keyring.load(named)
    path = _of_house(start)
    return None if path is None else Keyring.load(path)


def _of_house(start: str | os.PathLike[str] | None) -> Path | None:
    house = house_file(start)
    if house is None:
        return None
    keys = _keys_line(house)
    return None if keys is None else house.parent / Path(keys).expanduser()


def _keys_line(house: Path) -> str | None:
    try:
        return house_line(house, "keys")
    except ValueError:
        pass
    raise KeyringError(f"`keys:` cannot be read from {house}", hint="write `keys: FILE`")
