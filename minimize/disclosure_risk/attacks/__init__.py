"""Attacks on released records: the table of all of them, and the attacks that apply to some records.

An attack is one class in a file of its own; `base` has the interface. A result has numbers only: no value, and no record.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from minimize.disclosure_risk.attacks.base import Attack, AttackedRecords, AttackResult
from minimize.disclosure_risk.attacks.differences import Differences
from minimize.disclosure_risk.attacks.inference import Inference
from minimize.disclosure_risk.attacks.linkage import Linkage
from minimize.disclosure_risk.attacks.singling_out import SinglingOut

ATTACKS: Final[Mapping[str, type[Attack]]] = MappingProxyType(
    {kind.name: kind for kind in (SinglingOut, Linkage, Inference, Differences)}
)
"""The attacks by name."""


def measure_attacks(records: AttackedRecords) -> list[AttackResult]:
    """The results of all attacks for which the records have what they need, in the order of the table.

    >>> import pyarrow as pa
    >>> table = pa.table({"model": ["A", "A", "B"], "state": ["x", "y", "x"]})
    >>> [result.name for result in measure_attacks(AttackedRecords(table, ["model"], ["state"]))]
    ['singling_out', 'linkage', 'inference']
    """
    applicable = (
        kind
        for kind in ATTACKS.values()
        if (records.sensitive or not kind.needs_sensitive)
        and (records.earlier is not None or not kind.compares_releases)
    )
    return [result for kind in applicable for result in kind.measure(records)]
