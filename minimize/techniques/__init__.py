"""Registry of techniques: the name that a policy uses, and its class. One technique per file.

Reference table of techniques: name, parameters, input types, result, residual, source.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import ClassVar, Final

from minimize.techniques.base import (
    ALL_FAMILIES,
    Context,
    Family,
    Residual,
    Technique,
    TechniqueResult,
    TechniqueStep,
    UnsupportedType,
    treat,
    type_family,
)
from minimize.techniques.cache import TechniqueCache
from minimize.text import Registry

__all__ = [
    "TECHNIQUES",
    "Context",
    "Drop",
    "Family",
    "Residual",
    "Technique",
    "TechniqueCache",
    "TechniqueResult",
    "TechniqueStep",
    "UnsupportedType",
    "is_published_unchanged",
    "published_techniques",
    "treat",
    "type_family",
]

TECHNIQUES: Final[Mapping[str, type[TechniqueStep]]] = Registry(
    "minimize.techniques",
    {
        "keep": "keep.Keep",
        "pseudonymize": "pseudonymize.Pseudonymize",
        "tokenize": "tokenize.Tokenize",
        "mask": "mask.Mask",
        "round": "round.Round",
        "bin": "bin.Bin",
        "clip": "clip.Clip",
        "truncate_time": "truncate_time.TruncateTime",
        "age": "age.Age",
        "shift_dates": "shift_dates.ShiftDates",
        "truncate_ip": "truncate_ip.TruncateIp",
        "truncate_version": "truncate_version.TruncateVersion",
        "generalize": "generalize.Generalize",
        "map": "map.Map",
        "top": "top.Top",
        "grid": "grid.Grid",
        "h3": "h3.H3",
        "keep_host": "keep_host.KeepHost",
        "email_domain": "email_domain.EmailDomain",
        "redact": "redact.Redact",
        "presence": "presence.Presence",
        "size": "size.Size",
    },
)
"""In the order of the table in the README. `drop` is a keyword of the policy and not in the table."""


class Drop(TechniqueStep):
    """The treatment `drop`, which a policy names like a technique."""

    name: ClassVar[str] = "drop"
    takes: ClassVar[tuple[Family, ...]] = ALL_FAMILIES
    residual: ClassVar[Residual] = "coarse"
    source: ClassVar[str] = "GDPR Art. 5(1)(c)"
    about: ClassVar[str] = "the field is removed from schema and data"


class UnknownTechnique(TechniqueStep):
    """A technique that the table does not have. Each answer is the one that assumes the most about what it reveals."""

    @classmethod
    def is_pseudonym(cls) -> bool:
        """A holder of the keys may be able to link or reverse it."""
        return True

    @classmethod
    def keeps_distinct(cls) -> bool:
        """Its values cannot be used to distinguish persons."""
        return False

    @classmethod
    def is_keyed(cls) -> bool:
        """A key may have been used."""
        return True


_PARAMETERS_IN_TEXT: Final = re.compile(r"\([^()]*\)")


def published_techniques(text: str) -> list[type[TechniqueStep]]:
    """The techniques that the metadata of a column, or the description of a form, names.

    >>> [kind.__name__ for kind in published_techniques("pseudonymize (key device, per tenant_id) → mask (keep_last 4)")]
    ['Pseudonymize', 'Mask']
    >>> [kind.__name__ for kind in published_techniques("keep,drop, shuffle")]
    ['Keep', 'Drop', 'UnknownTechnique']
    """
    names = re.split(r"[,;→]", _PARAMETERS_IN_TEXT.sub("", text))
    return [_published_technique(name.strip()) for name in names if name.strip()]


def is_published_unchanged(text: str) -> bool:
    """Whether the techniques that metadata names change nothing. False if it names none."""
    kinds = published_techniques(text)
    return bool(kinds) and all(kind.changes_nothing for kind in kinds)


def _published_technique(name: str) -> type[TechniqueStep]:
    return Drop if name == Drop.name else TECHNIQUES.get(name, UnknownTechnique)


@dataclass(frozen=True, slots=True)
class TechniqueEntry:
    """One technique, for a table."""

    name: str
    parameters: tuple[str, ...]
    takes: tuple[Family, ...]
    residual: Residual
    source: str
    about: str

    @property
    def cells(self) -> tuple[str, ...]:
        """The texts of the columns: technique, parameters, takes, about, residual, source."""
        takes = "any" if self.takes == ALL_FAMILIES else ", ".join(self.takes)
        return f"`{self.name}`", ", ".join(self.parameters), takes, self.about, self.residual, self.source


def technique_entry(kind: type[TechniqueStep]) -> TechniqueEntry:
    """The line of a technique."""
    parameters = tuple(info.alias or name for name, info in kind.model_fields.items())
    return TechniqueEntry(
        name=kind.name,
        parameters=parameters,
        takes=kind.takes,
        residual=kind.residual,
        source=kind.source,
        about=kind.about,
    )


def technique_entries(kinds: Iterable[type[TechniqueStep]]) -> tuple[TechniqueEntry, ...]:
    """The lines of these techniques, with `drop` after the first, which is a keyword of the policy without a class."""
    first, *others = (technique_entry(kind) for kind in kinds)
    return first, technique_entry(Drop), *others


def markdown_table(kinds: Iterable[type[TechniqueStep]]) -> str:
    """The table in Markdown.

    >>> from minimize.techniques import TECHNIQUES
    >>> print(markdown_table(TECHNIQUES.values()).splitlines()[3])
    | `drop` |  | any | the field is removed from schema and data | coarse | GDPR Art. 5(1)(c) |
    """
    head = ("technique", "parameters", "takes", "result", "residual", "source")
    rows = [head, ("---",) * len(head), *(each.cells for each in technique_entries(kinds))]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in rows)
