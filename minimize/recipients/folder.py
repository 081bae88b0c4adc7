"""Where recipients are: a folder of files, one a recipient, beside the dated list of subprocessors."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Final, Self

from minimize.errors import PolicyError
from minimize.house import house_file, house_line
from minimize.policy.faults import did_you_mean
from minimize.recipients.load import load_recipient, load_subprocessors
from minimize.recipients.model import Recipient
from minimize.recipients.subprocessors import Subprocessors

FOLDER: Final = "recipients"
LIST: Final = "subprocessors.yaml"
PathLike = str | os.PathLike[str]


@dataclass(frozen=True, slots=True)
class Recipients:
    """The recipients of a house. A file is read when its recipient is named."""

    folder: Path
    subprocessors: Subprocessors

    @classmethod
    def none(cls) -> Self:
        """No recipients: nobody is listed."""
        return cls(Path(), Subprocessors())

    def names(self) -> tuple[str, ...]:
        """Their names, sorted."""
        return tuple(file.stem for file in files_of(self.folder))

    def named(self, name: str) -> Recipient:
        """The recipient of this name. Raises PolicyError where there is none, or its file has faults."""
        known = self.names()
        if name not in known:
            hint = did_you_mean(name, known) or "a recipient is a file of that folder"
            raise PolicyError(f"there is no recipient `{name}` in {self.folder}", hint=hint)
        return load_recipient(self.folder / f"{name}.yaml")

    def listed(self, recipient: Recipient, on: date) -> bool:
        """Whether a recipient may act on a day, as far as the list goes: an agent only while it is on it."""
        if recipient.standing == "independent":
            return True
        return recipient.subprocessor is not None and self.subprocessors.lists(recipient.subprocessor, on)


def load_recipients(folder: PathLike) -> Recipients:
    """The recipients in a folder, and its list of subprocessors. Raises PolicyError."""
    place = Path(folder)
    return Recipients(place, load_subprocessors(place / LIST))


def find_recipients(given: PathLike | None = None, *, start: PathLike | None = None) -> Path:
    """The folder of recipients that counts.

    Takes what a flag gave, else `recipients:` of the nearest `minimize.yaml` upwards from a folder, else `recipients/` beside
    that file, else beside the folder. Raises PolicyError, which says where it was looked for.
    """
    places = list(_places(given, start))
    found = next((place for place in places if place.is_dir()), None)
    if found is None:
        hint = f"looked for {', '.join(map(str, places))}"
        raise PolicyError("there is no folder of recipients", hint=hint)
    return found


def files_of(folder: Path) -> list[Path]:
    """The recipients' files of a folder, sorted."""
    return sorted(file for file in folder.glob("*.yaml") if file.name != LIST and file.is_file())


def _places(given: PathLike | None, start: PathLike | None) -> Iterator[Path]:
    house = house_file(start)
    said = None if house is None else _said(house)
    if given:
        yield Path(given)
    elif house is not None:
        yield house.parent / (said or FOLDER)
    else:
        yield from (Path(start or ".") / FOLDER, Path(start or ".") / "pipelines" / FOLDER)


def _said(house: Path) -> str | None:
    try:
        return house_line(house, "recipients")
    except ValueError:
        pass
    raise PolicyError(f"`recipients:` cannot be read from {house}", hint="write `recipients: FOLDER`")
